//! Answers of the service as error kinds: one match, by the code in the answer, then by the status.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use litestream_sdk::{ErrorKind, StorageError};
use litestream_sdk_http::refusal::{self, header};

use crate::xml::Failure;

/// An answer that is no success. `what` says which request, for people.
pub(crate) fn from_answer(what: &str, status: u16, headers: &HeaderMap, body: &[u8]) -> StorageError {
    // An answer to HEAD has no body, and carries it in a header.
    let from_header = || Failure::parse(&STANDARD.decode(header(headers, "x-oss-err")?).ok()?);
    let failure = Failure::parse(body).or_else(from_header).unwrap_or_default();
    let error = from_failure(what, status, headers, &failure);
    error.with_request_id(header(headers, "x-oss-request-id").unwrap_or(&failure.request_id))
}

/// What an answer says about one request, or about one key of a batch, which has no status of its own (0).
pub(crate) fn from_failure(what: &str, status: u16, headers: &HeaderMap, failure: &Failure) -> StorageError {
    let is_here = failure.endpoint.is_empty();
    let kind = if is_here { kind_of(status, &failure.code) } else { ErrorKind::INVALID_INPUT };
    let said = if failure.message.trim().is_empty() && status == 0 { &failure.code } else { &failure.message };
    let mut error = refusal::error(what, kind, said, status, headers).with_code(&failure.code);
    if !is_here {
        let hint = format!("; the bucket is at {}: set `endpoint` or `region`", failure.endpoint);
        error.message.push_str(&hint);
    }
    error
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
        _ => refusal::kind_of(status),
    }
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
        assert_eq!((error.request_id.as_str(), error.retry_after), ("r1", Some(std::time::Duration::from_secs(7))));
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
