//! Answers of the store as error kinds: one match, by the code in the answer, then by the status.

use http::HeaderMap;
use litestream_sdk::{ErrorKind, StorageError};
use litestream_sdk_http::refusal::{self, header};

use crate::xml::Failure;

/// An answer that is no success. `what` says which request, for people.
pub(crate) fn from_answer(what: &str, status: u16, headers: &HeaderMap, body: &[u8]) -> StorageError {
    let failure = Failure::parse(body).unwrap_or_default();
    let region = failure.region.clone().or_else(|| header(headers, "x-amz-bucket-region").map(str::to_owned));
    let kind = kind_of(status, &failure.code);
    let mut error = refusal::error(what, kind, &text_of(&failure), status, headers);
    if let Some(region) = region.filter(|_| matches!(status, 301 | 307 | 400)) {
        error.message.push_str(&format!("; the bucket is in region {region}: set `region`"));
    }
    let code = if failure.code.is_empty() { format!("{status}") } else { failure.code };
    let request_id = failure.request_id.or_else(|| header(headers, "x-amz-request-id").map(str::to_owned));
    error.with_code(code).with_request_id(request_id.unwrap_or_default())
}

/// One key of a batch delete.
pub(crate) fn from_code(what: &str, code: &str, text: &str) -> StorageError {
    let failure = Failure { code: code.to_owned(), message: text.to_owned(), ..Failure::default() };
    StorageError::new(kind_of(200, code), format!("{what}: {}", text_of(&failure))).with_code(code)
}

fn text_of(failure: &Failure) -> String {
    match (failure.code.as_str(), failure.message.as_str()) {
        ("", _) => String::new(),
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
        _ => refusal::kind_of(status),
    }
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
        assert_eq!((error.request_id.as_str(), error.retry_after), ("r1", Some(std::time::Duration::from_secs(7))));
    }

    #[test]
    fn a_bucket_of_another_region_is_named() {
        let error = answer(301, "PermanentRedirect", &[("x-amz-bucket-region", "eu-west-1")]);
        assert_eq!(error.kind, ErrorKind::INVALID_INPUT);
        assert!(error.message.ends_with("the bucket is in region eu-west-1: set `region`"), "{}", error.message);
    }
}
