//! Answers of the store as error kinds: one match, by the code in the answer, then by the status.

use std::time::Duration;

use http::HeaderMap;
use litestream_sdk::{ErrorKind, StorageError};

use crate::xml::Failure;

/// An answer that is no success. `what` says which request, for people.
pub(crate) fn from_answer(what: &str, status: u16, headers: &HeaderMap, body: &[u8]) -> StorageError {
    let failure = Failure::parse(body).unwrap_or_default();
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let region = failure.region.clone().or_else(|| header("x-amz-bucket-region").map(str::to_owned));
    let kind = kind_of(status, &failure.code);
    let mut message = format!("{what}: {}", text_of(status, &failure));
    if let Some(region) = region.filter(|_| matches!(status, 301 | 307 | 400)) {
        message.push_str(&format!("; the bucket is in region {region}: set `region`"));
    }
    let code = if failure.code.is_empty() { format!("{status}") } else { failure.code };
    let mut error = StorageError::new(kind, message).with_http_status(status).with_code(code);
    let request_id = failure.request_id.or_else(|| header("x-amz-request-id").map(str::to_owned));
    if let Some(id) = request_id {
        error = error.with_request_id(id);
    }
    match header("retry-after").and_then(|text| wait(text.trim(), header("date"))) {
        Some(wait) => error.with_retry_after(wait),
        None => error,
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

/// One key of a batch delete.
pub(crate) fn from_code(what: &str, code: &str, text: &str) -> StorageError {
    let failure = Failure { code: code.to_owned(), message: text.to_owned(), ..Failure::default() };
    StorageError::new(kind_of(200, code), format!("{what}: {}", text_of(200, &failure))).with_code(code)
}

/// An answer to HEAD has no body, so some messages must be made here.
fn text_of(status: u16, failure: &Failure) -> String {
    let reason =
        http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
    match (failure.code.as_str(), failure.message.as_str()) {
        ("", _) => format!("status {status} {reason}"),
        (code, "") => code.to_owned(),
        (code, message) => format!("{message} ({code})"),
    }
}

fn kind_of(status: u16, code: &str) -> ErrorKind {
    match code {
        "NoSuchKey" | "NoSuchVersion" => ErrorKind::NOT_FOUND,
        "NoSuchBucket" => ErrorKind::NO_STORE,
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "ExpiredToken"
        | "InvalidToken"
        | "TokenRefreshRequired"
        | "RequestTimeTooSkewed" => ErrorKind::UNAUTHENTICATED,
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" => ErrorKind::PERMISSION_DENIED,
        "PreconditionFailed" | "ConditionalRequestConflict" => ErrorKind::CONFLICT,
        "SlowDown"
        | "ServiceUnavailable"
        | "Throttling"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "TooManyRequests" => ErrorKind::RATE_LIMITED,
        // Damaged on the way: sending again is the cure.
        "BadDigest"
        | "XAmzContentSHA256Mismatch"
        | "IncompleteBody"
        | "RequestTimeout"
        | "InternalError"
        | "OperationAborted"
        | "NoSuchUpload" => ErrorKind::TRANSIENT,
        "QuotaExceeded" | "XMinioStorageFull" => ErrorKind::STORAGE_FULL,
        "NotImplemented" => ErrorKind::UNSUPPORTED,
        "EntityTooLarge" | "KeyTooLongError" | "InvalidRange" | "InvalidStorageClass" | "InvalidBucketName" => {
            ErrorKind::INVALID_INPUT
        }
        _ => kind_of_status(status),
    }
}

fn kind_of_status(status: u16) -> ErrorKind {
    match status {
        401 => ErrorKind::UNAUTHENTICATED,
        403 => ErrorKind::PERMISSION_DENIED,
        404 => ErrorKind::NOT_FOUND,
        412 => ErrorKind::CONFLICT,
        416 => ErrorKind::INVALID_INPUT,
        429 | 503 => ErrorKind::RATE_LIMITED,
        408 | 500..=502 | 504 => ErrorKind::TRANSIENT,
        507 => ErrorKind::STORAGE_FULL,
        301 | 307 => ErrorKind::INVALID_INPUT,
        _ => ErrorKind::PERMANENT,
    }
}

/// No answer at all, or one that broke off.
pub(crate) fn from_transport(what: &str, error: reqwest::Error) -> StorageError {
    // The whole address says no more than `what`, but which machine it was is worth knowing.
    let store = error.url().and_then(|url| Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?)));
    let kind = if error.is_builder() { ErrorKind::INVALID_INPUT } else { ErrorKind::TRANSIENT };
    let error = error.without_url();
    let store = store.as_deref().unwrap_or("the store");
    let happened = if error.is_body() || error.is_decode() { "broke off its answer" } else { "did not answer" };
    StorageError::new(kind, format!("{what}: {store} {happened}")).with_source(&error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, code: &str, extra: &[(&'static str, &'static str)]) -> StorageError {
        let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>why</Message></Error>");
        let headers = extra.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        from_answer("GET k", status, &headers, if code.is_empty() { b"" } else { body.as_bytes() })
    }

    #[test]
    fn answers_are_classified_by_code_and_then_by_status() {
        for (status, code, kind) in [
            (404, "NoSuchKey", ErrorKind::NOT_FOUND),
            (404, "", ErrorKind::NOT_FOUND),
            (404, "NoSuchBucket", ErrorKind::NO_STORE),
            (403, "SignatureDoesNotMatch", ErrorKind::UNAUTHENTICATED),
            (403, "AccessDenied", ErrorKind::PERMISSION_DENIED),
            (403, "", ErrorKind::PERMISSION_DENIED),
            (412, "PreconditionFailed", ErrorKind::CONFLICT),
            (409, "ConditionalRequestConflict", ErrorKind::CONFLICT),
            (507, "XMinioStorageFull", ErrorKind::STORAGE_FULL),
            (403, "ExpiredToken", ErrorKind::UNAUTHENTICATED),
            (503, "SlowDown", ErrorKind::RATE_LIMITED),
            (503, "ServiceUnavailable", ErrorKind::RATE_LIMITED),
            (503, "", ErrorKind::RATE_LIMITED),
            (429, "", ErrorKind::RATE_LIMITED),
            (501, "NotImplemented", ErrorKind::UNSUPPORTED),
            (500, "", ErrorKind::TRANSIENT),
            (400, "SomethingNew", ErrorKind::PERMANENT),
        ] {
            assert_eq!(answer(status, code, &[]).kind, kind, "{status} {code}");
        }
    }

    #[test]
    fn an_answer_without_a_body_still_says_what_happened() {
        let error = answer(403, "", &[("x-amz-request-id", "r1"), ("retry-after", "7")]);
        assert_eq!(error.message, "GET k: status 403 Forbidden");
        assert_eq!((error.request_id.as_str(), error.retry_after), ("r1", Some(Duration::from_secs(7))));
    }

    #[test]
    fn a_date_to_wait_for_counts_from_the_stores_clock() {
        let date = ("date", "Sun, 22 Nov 2026 10:00:00 GMT");
        let error = answer(503, "SlowDown", &[date, ("retry-after", "Sun, 22 Nov 2026 10:00:42 GMT")]);
        assert_eq!(error.retry_after, Some(Duration::from_secs(42)));
        let past = answer(503, "SlowDown", &[date, ("retry-after", "Sun, 22 Nov 2026 09:00:00 GMT")]);
        assert_eq!(past.retry_after, Some(Duration::ZERO));
        assert_eq!(answer(503, "SlowDown", &[("retry-after", "soon")]).retry_after, None);
    }

    #[test]
    fn a_bucket_of_another_region_is_named() {
        let error = answer(301, "PermanentRedirect", &[("x-amz-bucket-region", "eu-west-1")]);
        assert_eq!(error.kind, ErrorKind::INVALID_INPUT);
        assert!(error.message.ends_with("the bucket is in region eu-west-1: set `region`"), "{}", error.message);
    }
}
