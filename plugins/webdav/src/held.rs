//! Which bytes of an object an answer holds, and which of them were asked for: a server may not know ranges.

use http::HeaderMap;
use litestream_sdk::{ErrorKind, ReadRequest, Result, StorageError};
use litestream_sdk_http::range::{content_length, first_byte, past_end, size_behind_range};

/// What an answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Bytes in front of the first one that was asked for: all, when the server does not know ranges.
    pub skip: u64,
    /// Bytes that were asked for, if it is known.
    pub len: Option<u64>,
    /// Of the whole object, if it is known.
    pub size: Option<u64>,
}

/// Compares an answer (200, 206 or 416) with the question.
///
/// # Errors
/// INVALID_INPUT if the object ends before the range does.
pub(crate) fn held(request: &ReadRequest, status: u16, headers: &HeaderMap) -> Result<Held> {
    let (first, size) = match status {
        200 => (0, content_length(headers)),
        206 => {
            let Some(first) = first_byte(headers) else {
                let message = format!("GET {}: the answer does not say which bytes it holds", request.key);
                return Err(StorageError::new(ErrorKind::TRANSIENT, message));
            };
            if first != request.offset {
                let message = format!("GET {}: the answer holds other bytes than were asked for", request.key);
                return Err(StorageError::new(ErrorKind::TRANSIENT, message));
            }
            (first, size_behind_range(headers))
        }
        // Only an open range may begin at the end.
        _ => {
            let size = size_behind_range(headers);
            let at_end = request.len.is_none() && size == Some(request.offset);
            return if at_end { Ok(Held { skip: 0, len: Some(0), size }) } else { Err(past_end(request)) };
        }
    };
    let wanted = match (request.len, size) {
        (Some(len), Some(size)) if request.offset.saturating_add(len) > size => return Err(past_end(request)),
        (None, Some(size)) if request.offset > size => return Err(past_end(request)),
        (None, size) => size.map(|size| size - request.offset),
        (len, _) => len,
    };
    Ok(Held { skip: request.offset - first, len: wanted, size })
}

#[cfg(test)]
mod tests {
    use http::header::{CONTENT_LENGTH, CONTENT_RANGE};
    use litestream_sdk::ObjectKey;

    use super::*;

    fn asked(offset: u64, len: Option<u64>) -> ReadRequest {
        let mut request = ReadRequest::from_offset(ObjectKey::parse("a").unwrap(), offset);
        request.len = len;
        request
    }

    fn answer(request: &ReadRequest, status: u16, name: http::HeaderName, value: &str) -> Option<Held> {
        held(request, status, &HeaderMap::from_iter([(name, value.parse().unwrap())])).ok()
    }

    #[test]
    fn answers_that_are_longer_shorter_or_elsewhere_are_noticed() {
        let of = |skip, len, size| Some(Held { skip, len, size });
        let partial = |offset, len, range| answer(&asked(offset, len), 206, CONTENT_RANGE, range);
        assert_eq!(partial(5, Some(10), "bytes 5-14/100"), of(0, Some(10), Some(100)));
        assert_eq!(partial(5, Some(10), "bytes 5-14/*"), of(0, Some(10), None));
        assert_eq!(partial(5, None, "bytes 5-99/100"), of(0, Some(95), Some(100)));
        assert_eq!(partial(95, Some(10), "bytes 95-99/100"), None, "past the end");
        assert_eq!(partial(5, Some(10), "bytes 0-9/100"), None, "elsewhere");
        let whole = |offset, len| answer(&asked(offset, len), 200, CONTENT_LENGTH, "100");
        assert_eq!(whole(0, None), of(0, Some(100), Some(100)));
        assert_eq!(whole(5, Some(10)), of(5, Some(10), Some(100)), "a server without ranges");
        assert_eq!(whole(95, Some(10)), None);
        assert_eq!(whole(100, None), of(100, Some(0), Some(100)));
        let refused = |offset, len| answer(&asked(offset, len), 416, CONTENT_RANGE, "bytes */100");
        assert_eq!(refused(100, None), of(0, Some(0), Some(100)));
        assert_eq!((refused(101, None), refused(100, Some(1))), (None, None));
    }
}
