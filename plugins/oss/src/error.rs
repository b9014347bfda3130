//! Answers of the service as error kinds: one match, by the code in the answer, then by the status.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use litestream_sdk::{ErrorKind, StorageError};

use crate::xml::Failure;

/// An answer that is no success. `what` says which request, for people.
pub(crate) fn from_answer(what: &str, status: u16, headers: &HeaderMap, body: &[u8]) -> StorageError {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // An answer to HEAD has no body, and carries it in a header.
    let from_header = || Failure::parse(&STANDARD.decode(header("x-oss-err")?).ok()?);
    let failure = Failure::parse(body).or_else(from_header).unwrap_or_default();
    let mut error = from_failure(what, status, &failure);
    let request_id = header("x-oss-request-id").unwrap_or(&failure.request_id);
    error = error.with_request_id(request_id);
    match header("retry-after").and_then(|seconds| seconds.trim().parse().ok()) {
        Some(seconds) => error.with_retry_after(Duration::from_secs(seconds)),
        None => error,
    }
}

/// What an answer says about one request, or about one key of a batch, which has no status of its own (0).
pub(crate) fn from_failure(what: &str, status: u16, failure: &Failure) -> StorageError {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let text = match failure.message.trim() {
        "" if status == 0 => failure.code.clone(),
        "" => format!("status {status} {}", reason.unwrap_or_default()).trim_end().to_owned(),
        message => message.to_owned(),
    };
    let mut message = format!("{what}: {text}");
    let kind = if failure.endpoint.is_empty() {
        kind_of(status, &failure.code)
    } else {
        message.push_str(&format!("; the bucket is at {}: set `endpoint` or `region`", failure.endpoint));
        ErrorKind::INVALID_INPUT
    };
    StorageError::new(kind, message).with_http_status(status).with_code(&failure.code)
}

fn kind_of(status: u16, code: &str) -> ErrorKind {
    match code {
        "NoSuchKey" => ErrorKind::NOT_FOUND,
        "NoSuchBucket" => ErrorKind::NO_STORE,
        "FileAlreadyExists" | "PreconditionFailed" => ErrorKind::CONFLICT,
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "SecurityTokenExpired"
        | "InvalidSecurityToken"
        | "RequestTimeTooSkewed" => ErrorKind::UNAUTHENTICATED,
        "AccessDenied" | "UserDisable" | "FileImmutable" => ErrorKind::PERMISSION_DENIED,
        "DownloadTrafficRateLimitExceeded"
        | "UploadTrafficRateLimitExceeded"
        | "QpsLimitExceeded"
        | "TotalQpsLimitExceeded"
        | "RequestRateLimitExceeded" => ErrorKind::RATE_LIMITED,
        // Damaged on the way, or an upload that somebody else ended: sending all again is the cure.
        "InternalError" | "RequestTimeout" | "OperationAborted" | "IncompleteBody" | "InvalidDigest"
        | "NoSuchUpload" => ErrorKind::TRANSIENT,
        "QuotaExceeded" | "StorageCapacityExceeded" => ErrorKind::STORAGE_FULL,
        "EntityTooLarge" | "InvalidObjectName" | "InvalidBucketName" | "InvalidRange" | "KeyTooLong" => {
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
        _ => ErrorKind::PERMANENT,
    }
}

/// No answer at all, or one that broke off.
pub(crate) fn from_transport(what: &str, error: reqwest::Error) -> StorageError {
    let kind = if error.is_builder() { ErrorKind::INVALID_INPUT } else { ErrorKind::TRANSIENT };
    let error = error.without_url();
    StorageError::new(kind, format!("{what}: the store did not answer")).with_source(&error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
        given.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn body(code: &str, more: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>why</Message><RequestId>5C3D</RequestId>{more}</Error>"
        )
    }

    #[test]
    fn answers_are_classified_by_code_and_then_by_status() {
        for (status, code, kind) in [
            (404, "NoSuchKey", ErrorKind::NOT_FOUND),
            (404, "NoSuchBucket", ErrorKind::NO_STORE),
            (409, "FileAlreadyExists", ErrorKind::CONFLICT),
            (412, "PreconditionFailed", ErrorKind::CONFLICT),
            (403, "SignatureDoesNotMatch", ErrorKind::UNAUTHENTICATED),
            (403, "AccessDenied", ErrorKind::PERMISSION_DENIED),
            (503, "QpsLimitExceeded", ErrorKind::RATE_LIMITED),
            (503, "SomethingNew", ErrorKind::RATE_LIMITED),
            (500, "InternalError", ErrorKind::TRANSIENT),
            (404, "NoSuchUpload", ErrorKind::TRANSIENT),
            (400, "SomethingNew", ErrorKind::PERMANENT),
        ] {
            let error = from_answer("GET k", status, &headers(&[]), body(code, "").as_bytes());
            assert_eq!(error.kind, kind, "{status} {code}");
            assert_eq!(error.to_string(), format!("GET k: why ({code}, HTTP {status}, request 5C3D)"));
        }
    }

    #[test]
    fn an_answer_to_head_carries_its_body_in_a_header() {
        let text = STANDARD.encode(body("NoSuchBucket", ""));
        let given = headers(&[("x-oss-err", &text), ("x-oss-request-id", "r1")]);
        let error = from_answer("HEAD k", 404, &given, b"");
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::NO_STORE, "HEAD k: why"));
        let error = from_answer("HEAD k", 503, &headers(&[("x-oss-request-id", "r1"), ("retry-after", "7")]), b"");
        assert_eq!(error.message, "HEAD k: status 503 Service Unavailable");
        assert_eq!((error.request_id.as_str(), error.retry_after), ("r1", Some(Duration::from_secs(7))));
    }

    #[test]
    fn a_bucket_of_another_region_is_named() {
        let text = body("AccessDenied", "<Endpoint>oss-cn-beijing.aliyuncs.com</Endpoint>");
        let error = from_answer("GET k", 403, &headers(&[]), text.as_bytes());
        assert_eq!(error.kind, ErrorKind::INVALID_INPUT);
        let hint = "why; the bucket is at oss-cn-beijing.aliyuncs.com: set `endpoint` or `region`";
        assert!(error.message.ends_with(hint), "{}", error.message);
    }
}
