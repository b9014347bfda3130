//! Reads of a part of an object: what is asked, and of which object the answer is a part.

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderName};
use litestream_sdk::{ReadRequest, Result, StorageError};

/// The `Range` header of a read; `None` for the whole object. A read of 0 bytes has no such header and is the caller's.
///
/// # Errors
/// INVALID_INPUT for a range that no object can hold: [`past_end`].
pub fn header(request: &ReadRequest) -> Result<Option<String>> {
    let Some(len) = request.len else {
        return Ok((request.offset > 0).then(|| format!("bytes={}-", request.offset)));
    };
    let last = request.offset.checked_add(len).and_then(|end| end.checked_sub(1)).ok_or_else(|| past_end(request))?;
    Ok(Some(format!("bytes={}-{last}", request.offset)))
}

/// INVALID_INPUT: what was asked for ends after the object.
pub fn past_end(request: &ReadRequest) -> StorageError {
    StorageError::invalid_input(format!("{}: the range ends after the object", request.key))
}

/// The size of the object, not of the answer; of an answer without a range both are the same.
pub fn object_size(headers: &HeaderMap) -> Option<u64> {
    if headers.contains_key(CONTENT_RANGE) { size_behind_range(headers) } else { content_length(headers) }
}

/// The size of the object behind the slash of `bytes 7-9/100`, and of `bytes */100` in a refusal.
pub fn size_behind_range(headers: &HeaderMap) -> Option<u64> {
    text(headers, &CONTENT_RANGE)?.rsplit_once('/')?.1.trim().parse().ok()
}

/// Where an answer begins: the 7 of `bytes 7-9/100`.
pub fn first_byte(headers: &HeaderMap) -> Option<u64> {
    let range = text(headers, &CONTENT_RANGE)?;
    range.trim_start_matches("bytes").trim_start().split('-').next()?.parse().ok()
}

/// The length of an answer in bytes.
pub fn content_length(headers: &HeaderMap) -> Option<u64> {
    text(headers, &CONTENT_LENGTH)?.trim().parse().ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use litestream_sdk::ObjectKey;

    use super::*;

    fn asked(offset: u64, len: Option<u64>) -> ReadRequest {
        let mut request = ReadRequest::from_offset(ObjectKey::parse("a").unwrap(), offset);
        request.len = len;
        request
    }

    #[test]
    fn the_question_is_exact() {
        for (offset, len, text) in [
            (0, None, None),
            (5, None, Some("bytes=5-")),
            (0, Some(1), Some("bytes=0-0")),
            (5, Some(10), Some("bytes=5-14")),
        ] {
            assert_eq!(header(&asked(offset, len)).unwrap().as_deref(), text);
        }
        assert!(header(&asked(u64::MAX, Some(2))).is_err(), "not a shorter range");
    }

    #[test]
    fn the_size_is_that_of_the_object() {
        let headers = |name, value: &str| HeaderMap::from_iter([(name, value.parse().unwrap())]);
        let whole = headers(CONTENT_LENGTH, "100");
        assert_eq!((object_size(&whole), first_byte(&whole)), (Some(100), None));
        let part = headers(CONTENT_RANGE, "bytes 7-9/100");
        assert_eq!((object_size(&part), first_byte(&part)), (Some(100), Some(7)));
        assert_eq!(object_size(&headers(CONTENT_RANGE, "bytes 7-9/*")), None);
        let refusal = headers(CONTENT_RANGE, "bytes */100");
        assert_eq!((size_behind_range(&refusal), first_byte(&refusal)), (Some(100), None));
        assert_eq!(size_behind_range(&whole), None, "the length of a refusal's own text is no size of the object");
    }
}
