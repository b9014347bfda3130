//! Answers that are no success, as far as HTTP itself gives them a meaning. A store's own codes go before.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use litestream_sdk::{ErrorKind, StorageError};

/// What a status means where the store says no more.
pub fn kind_of(status: u16) -> ErrorKind {
    match status {
        301 | 302 | 307 | 308 | 413 | 414 | 416 => ErrorKind::INVALID_INPUT,
        401 => ErrorKind::UNAUTHENTICATED,
        403 => ErrorKind::PERMISSION_DENIED,
        404 => ErrorKind::NOT_FOUND,
        412 => ErrorKind::CONFLICT,
        429 | 503 => ErrorKind::RATE_LIMITED,
        408 | 425 | 500..=502 => ErrorKind::TRANSIENT,
        504 => ErrorKind::TIMEOUT,
        507 => ErrorKind::STORAGE_FULL,
        _ => ErrorKind::PERMANENT,
    }
}

/// The error of an answer: what was asked, what the store said (or else its status, in words), and how long it asks us to
/// wait.
pub fn error(what: &str, kind: ErrorKind, said: &str, status: u16, headers: &HeaderMap) -> StorageError {
    let said = said.trim();
    let text = if said.is_empty() { in_words(status) } else { said.to_owned() };
    let error = StorageError::new(kind, format!("{what}: {text}")).with_http_status(status);
    match header(headers, "retry-after").and_then(|text| wait(text.trim(), header(headers, "date"))) {
        Some(wait) => error.with_retry_after(wait),
        None => error,
    }
}

/// A header's text.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// An answer to HEAD has no body, so some messages must be made here.
fn in_words(status: u16) -> String {
    match StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()) {
        Some(reason) => format!("status {status} {reason}"),
        None => format!("status {status}"),
    }
}

/// `Retry-After` holds seconds, or a date, which counts from the date of the answer: the store's clock, not ours.
fn wait(text: &str, now: Option<&str>) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let (then, now) = (httpdate::parse_http_date(text).ok()?, httpdate::parse_http_date(now?).ok()?);
    Some(then.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(said: &str, given: &[(&'static str, &'static str)]) -> StorageError {
        let headers = given.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        error("GET k", kind_of(503), said, 503, &headers)
    }

    #[test]
    fn an_answer_without_words_still_says_what_happened() {
        assert_eq!(answer(" why\n", &[]).message, "GET k: why");
        assert_eq!(answer("", &[]).message, "GET k: status 503 Service Unavailable");
        assert_eq!(error("GET k", kind_of(599), "", 599, &HeaderMap::new()).message, "GET k: status 599");
    }

    #[test]
    fn a_wait_is_in_seconds_or_until_a_date_of_the_stores_clock() {
        assert_eq!(answer("", &[("retry-after", "7")]).retry_after, Some(Duration::from_secs(7)));
        let date = ("date", "Sun, 22 Nov 2026 10:00:00 GMT");
        let until = |text| answer("", &[date, ("retry-after", text)]).retry_after;
        assert_eq!(until("Sun, 22 Nov 2026 10:00:42 GMT"), Some(Duration::from_secs(42)));
        assert_eq!(until("Sun, 22 Nov 2026 09:00:00 GMT"), Some(Duration::ZERO), "past");
        assert_eq!(until("soon"), None);
    }

    #[test]
    fn what_may_pass_is_tried_again_and_what_cannot_is_not() {
        for (status, kind) in [
            (404, ErrorKind::NOT_FOUND),
            (412, ErrorKind::CONFLICT),
            (429, ErrorKind::RATE_LIMITED),
            (500, ErrorKind::TRANSIENT),
            (504, ErrorKind::TIMEOUT),
            (301, ErrorKind::INVALID_INPUT),
            (418, ErrorKind::PERMANENT),
        ] {
            assert_eq!(kind_of(status), kind, "{status}");
        }
    }
}
