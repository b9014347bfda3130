//! Answers of a WebDAV server as error kinds: by the status, which is all that such servers have in common.

use http::HeaderMap;
use litestream_sdk::{ErrorKind, StorageError};
use litestream_sdk_http::refusal::{self, header};

use crate::xml;

/// An answer that is no success. `what` says which request, for people.
pub(crate) fn from_answer(what: &str, status: u16, headers: &HeaderMap, body: &[u8]) -> StorageError {
    let said = xml::message(body).unwrap_or_default();
    let mut error = refusal::error(what, kind_of(status), &said, status, headers);
    if let Some(hint) = hint(status, header(headers, "www-authenticate")) {
        error.message.push_str(&format!(": {hint}"));
    }
    error.with_request_id(header(headers, "x-request-id").unwrap_or_default())
}

fn hint(status: u16, asked: Option<&str>) -> Option<&'static str> {
    let basic = asked.is_none_or(|asked| asked.to_ascii_lowercase().contains("basic"));
    match status {
        300..=399 => Some("the server sends us elsewhere; set `webdav-url` to the address it has now"),
        401 if !basic => Some("the server does not take Basic logins, and no others are known here"),
        401 => Some("check `webdav-username` and `webdav-password`"),
        405 => Some("no WebDAV at this address; check `webdav-url`"),
        _ => None,
    }
}

fn kind_of(status: u16) -> ErrorKind {
    match status {
        410 => ErrorKind::NOT_FOUND,
        // Somebody holds a lock, for a while.
        423 => ErrorKind::TRANSIENT,
        // Not to be followed with a login, and nothing that a change of the request could cure.
        300..=399 => ErrorKind::PERMANENT,
        status => refusal::kind_of(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(given: &[(&'static str, &'static str)]) -> HeaderMap {
        given.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn answers_get_the_kind_the_host_acts_on() {
        for (status, kind) in [
            (401, ErrorKind::UNAUTHENTICATED),
            (403, ErrorKind::PERMISSION_DENIED),
            (404, ErrorKind::NOT_FOUND),
            (405, ErrorKind::PERMANENT),
            (412, ErrorKind::CONFLICT),
            (423, ErrorKind::TRANSIENT),
            (429, ErrorKind::RATE_LIMITED),
            (500, ErrorKind::TRANSIENT),
            (503, ErrorKind::RATE_LIMITED),
            (504, ErrorKind::TIMEOUT),
            (507, ErrorKind::STORAGE_FULL),
            (301, ErrorKind::PERMANENT),
            (418, ErrorKind::PERMANENT),
        ] {
            let error = from_answer("GET k", status, &headers(&[]), b"");
            assert_eq!(error.kind, kind, "{status}");
            assert!(error.message.starts_with(&format!("GET k: status {status}")), "{error}");
        }
    }

    #[test]
    fn the_servers_words_its_request_and_its_wish_to_wait_are_kept() {
        // As Nextcloud answers.
        let body = br#"<?xml version="1.0" encoding="utf-8"?><d:error xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns">
            <s:exception>Sabre\DAV\Exception\ServiceUnavailable</s:exception><s:message>System in maintenance mode.</s:message>
            </d:error>"#;
        let error = from_answer("PUT k", 503, &headers(&[("retry-after", "120"), ("x-request-id", "7f")]), body);
        assert_eq!(error.to_string(), "PUT k: System in maintenance mode. (HTTP 503, request 7f)");
        assert_eq!(error.retry_after, Some(std::time::Duration::from_secs(120)));
    }

    #[test]
    fn a_login_of_another_kind_is_named() {
        let digest = from_answer("GET k", 401, &headers(&[("www-authenticate", "Digest realm=\"x\"")]), b"");
        assert!(digest.message.contains("does not take Basic"), "{digest}");
        let basic = from_answer("GET k", 401, &headers(&[("www-authenticate", "Basic realm=\"x\"")]), b"");
        assert!(basic.message.contains("webdav-password"), "{basic}");
    }
}
