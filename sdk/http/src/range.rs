//! Reads of a part of an object: what is asked, and of which object the answer is a part.

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderName};
use litestream_sdk::ReadRequest;

/// The `Range` header of a read; `None` for the whole object. A read of 0 bytes has no such header and is the caller's.
pub fn header(request: &ReadRequest) -> Option<String> {
    match request.len {
        None if request.offset == 0 => None,
        None => Some(format!("bytes={}-", request.offset)),
        Some(len) => Some(format!("bytes={}-{}", request.offset, request.offset.saturating_add(len - 1))),
    }
}

/// The size of the object, not of the answer: behind the slash of `bytes 7-9/100`.
pub fn object_size(headers: &HeaderMap) -> Option<u64> {
    match text(headers, &CONTENT_RANGE) {
        None => content_length(headers),
        Some(range) => range.rsplit_once('/')?.1.trim().parse().ok(),
    }
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

    #[test]
    fn the_question_is_exact() {
        for (offset, len, text) in [
            (0, None, None),
            (5, None, Some("bytes=5-")),
            (0, Some(1), Some("bytes=0-0")),
            (5, Some(10), Some("bytes=5-14")),
        ] {
            let mut request = ReadRequest::from_offset(ObjectKey::parse("a").unwrap(), offset);
            request.len = len;
            assert_eq!(header(&request).as_deref(), text);
        }
    }

    #[test]
    fn the_size_is_that_of_the_object() {
        let headers = |name, value: &str| HeaderMap::from_iter([(name, value.parse().unwrap())]);
        let whole = headers(CONTENT_LENGTH, "100");
        assert_eq!((object_size(&whole), first_byte(&whole)), (Some(100), None));
        let part = headers(CONTENT_RANGE, "bytes 7-9/100");
        assert_eq!((object_size(&part), first_byte(&part)), (Some(100), Some(7)));
        assert_eq!(object_size(&headers(CONTENT_RANGE, "bytes 7-9/*")), None);
    }
}
