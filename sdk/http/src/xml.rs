//! Bodies in XML.

use litestream_sdk::{Result, StorageError};
use serde::{Deserialize, Serialize};

/// Reads an answer; `what` begins the error.
///
/// # Errors
/// TRANSIENT, because what comes in place of an answer comes from something between us and the store.
pub fn read<T: for<'de> Deserialize<'de>>(what: &str, body: &[u8]) -> Result<T> {
    let unreadable = |why: &dyn std::fmt::Display| {
        StorageError::transient(format!("{what}: the store's answer is not the XML that was due: {why}"))
    };
    let text = text_of(body).ok_or_else(|| unreadable(&"it is not UTF-8"))?;
    quick_xml::de::from_str(text).map_err(|error| unreadable(&error))
}

/// Reads a body that may be something else, such as a page of some proxy.
pub fn try_read<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Option<T> {
    quick_xml::de::from_str(text_of(body)?).ok()
}

/// Writes a request.
///
/// # Errors
/// INVALID_INPUT for what XML has no form for.
pub fn write(request: &impl Serialize) -> Result<Vec<u8>> {
    let text = quick_xml::se::to_string(request)
        .map_err(|error| StorageError::invalid_input(format!("a request could not be written as XML: {error}")))?;
    Ok(text.into_bytes())
}

/// Whether a request in XML can carry a name. White space would be legal, but a parser may fold it.
pub fn carries(name: &str) -> bool {
    name.chars().all(|c| c >= ' ' && !matches!(c, '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}'))
}

/// Some services put a byte order mark in front.
fn text_of(body: &[u8]) -> Option<&str> {
    std::str::from_utf8(body).ok().map(|text| text.trim_start_matches('\u{feff}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    struct Answer {
        code: String,
    }

    #[test]
    fn a_body_comes_back_as_it_went_also_behind_a_byte_order_mark() {
        let answer = Answer { code: "a&b".into() };
        let mut body = "\u{feff}".as_bytes().to_vec();
        body.extend(write(&answer).unwrap());
        assert_eq!(read::<Answer>("GET k", &body).unwrap(), answer);
        assert_eq!(try_read(&body), Some(answer));
    }

    #[test]
    fn a_page_of_a_proxy_is_no_answer() {
        for body in [&b"<html>"[..], b"\xff", b""] {
            assert_eq!(try_read::<Answer>(body), None);
            let error = read::<Answer>("GET k", body).unwrap_err();
            assert!(error.message.starts_with("GET k: the store's answer is not the XML"), "{error}");
        }
    }

    #[test]
    fn names_with_control_characters_are_not_sent_in_xml() {
        assert!(carries("p/ä b&c"));
        assert!(!carries("a\tb") && !carries("a\u{1}") && !carries("\u{ffff}"));
    }
}
