//! Answers of the service as error kinds: one match, by the reason in the answer, then by the status.

use http::HeaderMap;
use litestream_sdk::{ErrorKind, StorageError};
use litestream_sdk_http::refusal::{self, header};
use serde::Deserialize;

use crate::client::Target;

#[derive(Default, Deserialize)]
struct Failure {
    error: Details,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    message: String,
    errors: Vec<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    reason: String,
}

/// An answer that is no success. `what` says which request, for people.
pub(crate) fn from_answer(what: &str, target: &Target, status: u16, headers: &HeaderMap, body: &[u8]) -> StorageError {
    let details = details(header(headers, "content-type"), body);
    let code = details.errors.into_iter().next().map(|detail| detail.reason).unwrap_or_default();
    let said = details.message.trim().lines().next().unwrap_or_default();
    let kind = if status == 404 { kind_of_absence(target, said) } else { kind_of(status, &code) };
    let error = refusal::error(what, kind, said, status, headers).with_code(code);
    error.with_request_id(header(headers, "x-guploader-uploadid").unwrap_or_default())
}

/// Downloads and uploads answer with plain text, the rest with JSON.
fn details(content_type: Option<&str>, body: &[u8]) -> Details {
    if let Ok(failure) = serde_json::from_slice::<Failure>(body) {
        return failure.error;
    }
    let is_text = content_type.is_some_and(|kind| kind.starts_with("text/plain"));
    let message = std::str::from_utf8(body).ok().filter(|text| is_text && text.len() < 500);
    Details { message: message.unwrap_or_default().to_owned(), ..Details::default() }
}

/// The service has one reason for a missing bucket and a missing object. What is not about one object can only miss its
/// bucket; otherwise the text says it.
fn kind_of_absence(target: &Target, text: &str) -> ErrorKind {
    match target {
        Target::Names | Target::Upload => ErrorKind::NO_STORE,
        Target::Object(_) | Target::Content(_) if text.contains("bucket does not exist") => ErrorKind::NO_STORE,
        Target::Object(_) | Target::Content(_) => ErrorKind::NOT_FOUND,
        // Of an upload the service forgot what it had: all of it again.
        Target::Session(_) => ErrorKind::TRANSIENT,
        Target::Batch => ErrorKind::PERMANENT,
    }
}

fn kind_of(status: u16, code: &str) -> ErrorKind {
    match code {
        "conditionNotMet" => ErrorKind::CONFLICT,
        "rateLimitExceeded" | "userRateLimitExceeded" | "quotaExceeded" => ErrorKind::RATE_LIMITED,
        "authError" | "required" | "expired" => ErrorKind::UNAUTHENTICATED,
        "backendError" | "internalError" => ErrorKind::TRANSIENT,
        "invalid" | "invalidParameter" | "invalidArgument" | "badRequest" => ErrorKind::INVALID_INPUT,
        _ => kind_of_status(status),
    }
}

fn kind_of_status(status: u16) -> ErrorKind {
    match status {
        400 => ErrorKind::INVALID_INPUT,
        // An upload that the service has thrown away.
        410 => ErrorKind::TRANSIENT,
        status => refusal::kind_of(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(given: &[(&'static str, &'static str)]) -> HeaderMap {
        given.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn object() -> Target {
        Target::Object("k".into())
    }

    fn answer(target: &Target, status: u16, reason: &str, message: &str) -> StorageError {
        let body = format!(
            r#"{{"error":{{"code":{status},"message":"{message}","errors":[{{"domain":"global","reason":"{reason}"}}]}}}}"#
        );
        from_answer("GET k", target, status, &headers(&[("x-guploader-uploadid", "r1")]), body.as_bytes())
    }

    #[test]
    fn answers_are_classified_by_reason_and_then_by_status() {
        for (status, reason, kind) in [
            (412, "conditionNotMet", ErrorKind::CONFLICT),
            (429, "rateLimitExceeded", ErrorKind::RATE_LIMITED),
            (403, "userRateLimitExceeded", ErrorKind::RATE_LIMITED),
            (403, "forbidden", ErrorKind::PERMISSION_DENIED),
            (401, "authError", ErrorKind::UNAUTHENTICATED),
            (401, "required", ErrorKind::UNAUTHENTICATED),
            (503, "backendError", ErrorKind::TRANSIENT),
            (503, "", ErrorKind::RATE_LIMITED),
            (500, "", ErrorKind::TRANSIENT),
            (410, "", ErrorKind::TRANSIENT),
            (400, "invalid", ErrorKind::INVALID_INPUT),
            (418, "", ErrorKind::PERMANENT),
        ] {
            assert_eq!(answer(&object(), status, reason, "why").kind, kind, "{status} {reason}");
        }
    }

    /// Texts recorded from the service.
    #[test]
    fn a_missing_bucket_is_told_from_a_missing_object() {
        let (no_object, no_bucket) = ("No such object: b/k", "The specified bucket does not exist.");
        for (target, text, kind) in [
            (object(), no_object, ErrorKind::NOT_FOUND),
            (object(), no_bucket, ErrorKind::NO_STORE),
            (object(), "", ErrorKind::NOT_FOUND),
            (Target::Content("k".into()), no_object, ErrorKind::NOT_FOUND),
            (Target::Names, no_bucket, ErrorKind::NO_STORE),
            (Target::Names, "", ErrorKind::NO_STORE),
            (Target::Upload, "Not Found", ErrorKind::NO_STORE),
            (Target::Session(http::Uri::from_static("http://x")), "", ErrorKind::TRANSIENT),
        ] {
            assert_eq!(answer(&target, 404, "notFound", text).kind, kind, "{target:?} {text}");
        }
    }

    #[test]
    fn the_text_comes_from_json_from_plain_text_or_from_the_status() {
        let error = answer(&object(), 403, "forbidden", "x@y does not have storage.objects.get access.");
        let shown = "GET k: x@y does not have storage.objects.get access. (forbidden, HTTP 403, request r1)";
        assert_eq!(error.to_string(), shown);
        let plain = headers(&[("content-type", "text/plain; charset=UTF-8"), ("retry-after", "7")]);
        let error = from_answer("GET k", &object(), 404, &plain, b"No such object: b/k");
        assert_eq!((error.message.as_str(), error.kind), ("GET k: No such object: b/k", ErrorKind::NOT_FOUND));
        assert_eq!(error.retry_after, Some(std::time::Duration::from_secs(7)));
        let error = from_answer("GET k", &object(), 502, &headers(&[("content-type", "text/html")]), b"<html>");
        assert_eq!(error.message, "GET k: status 502 Bad Gateway");
    }
}
