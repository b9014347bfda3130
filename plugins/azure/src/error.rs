//! Answers of the blob service as error kinds: one match, by the code in the answer, then by the status.

use http::HeaderMap;
use litestream_sdk::{ErrorKind, StorageError};
use litestream_sdk_http::refusal::{self, header};

use crate::xml::Failure;

/// An answer that is no success. `what` says which request, for people.
pub(crate) fn from_answer(what: &str, status: u16, headers: &HeaderMap, body: &[u8]) -> StorageError {
    let failure = Failure::parse(body).unwrap_or_default();
    // An answer to HEAD has no body, and this header all the same.
    let code = header(headers, "x-ms-error-code").map_or(failure.code, str::to_owned);
    let error = refusal::error(what, kind_of(status, &code), first_line(&failure.message), status, headers);
    error.with_code(code).with_request_id(header(headers, "x-ms-request-id").unwrap_or_default())
}

/// The rest repeats the request id and the time; of a wrong signature it repeats what was signed.
fn first_line(message: &str) -> &str {
    message.trim().lines().next().unwrap_or_default()
}

fn kind_of(status: u16, code: &str) -> ErrorKind {
    match code {
        "BlobNotFound" => ErrorKind::NOT_FOUND,
        "ContainerNotFound" | "ContainerBeingDeleted" | "ContainerDisabled" | "AccountNotFound" => ErrorKind::NO_STORE,
        "BlobAlreadyExists" | "ConditionNotMet" | "TargetConditionNotMet" => ErrorKind::CONFLICT,
        "AuthenticationFailed" | "InvalidAuthenticationInfo" | "NoAuthenticationInformation" => {
            ErrorKind::UNAUTHENTICATED
        }
        "BlobImmutableDueToPolicy" | "BlobImmutableDueToLegalHold" | "LeaseIdMissing" | "AccountIsDisabled" => {
            ErrorKind::PERMISSION_DENIED
        }
        "ServerBusy" => ErrorKind::RATE_LIMITED,
        "OperationTimedOut" => ErrorKind::TIMEOUT,
        // Damaged on the way, or blocks that another writer's commit has swept away: sending all again is the cure.
        "Md5Mismatch" | "InternalError" | "InvalidBlockList" => ErrorKind::TRANSIENT,
        "AccountStorageLimitExceeded" | "AccountCapacityExceeded" => ErrorKind::STORAGE_FULL,
        "RequestBodyTooLarge" | "BlockCountExceedsLimit" | "InvalidResourceName" | "InvalidUri" | "InvalidRange" => {
            ErrorKind::INVALID_INPUT
        }
        _ => refusal::kind_of(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(given: &[(&'static str, &'static str)]) -> HeaderMap {
        given.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn answer(status: u16, code: &'static str) -> StorageError {
        let given: &[_] = if code.is_empty() { &[] } else { &[("x-ms-error-code", code)] };
        from_answer("GET k", status, &headers(given), b"")
    }

    #[test]
    fn answers_are_classified_by_code_and_then_by_status() {
        for (status, code, kind) in [
            (404, "BlobNotFound", ErrorKind::NOT_FOUND),
            (404, "ContainerNotFound", ErrorKind::NO_STORE),
            (404, "", ErrorKind::NOT_FOUND),
            (409, "BlobAlreadyExists", ErrorKind::CONFLICT),
            (412, "ConditionNotMet", ErrorKind::CONFLICT),
            (409, "ContainerBeingDeleted", ErrorKind::NO_STORE),
            (403, "AuthenticationFailed", ErrorKind::UNAUTHENTICATED),
            (403, "AuthorizationPermissionMismatch", ErrorKind::PERMISSION_DENIED),
            (401, "", ErrorKind::UNAUTHENTICATED),
            (503, "ServerBusy", ErrorKind::RATE_LIMITED),
            (500, "OperationTimedOut", ErrorKind::TIMEOUT),
            (500, "InternalError", ErrorKind::TRANSIENT),
            (502, "", ErrorKind::TRANSIENT),
            (400, "SomethingNew", ErrorKind::PERMANENT),
        ] {
            assert_eq!(answer(status, code).kind, kind, "{status} {code}");
        }
    }

    /// Recorded from the service, with the key that was tried taken out.
    #[test]
    fn the_text_is_the_services_first_line_with_code_and_request_id() {
        let body = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>AuthenticationFailed</Code><Message>\
            Server failed to authenticate the request.\nRequestId:8f0a\nTime:2026-11-23T10:00:00Z</Message>\
            <AuthenticationErrorDetail>The MAC signature found in the HTTP request is not the same</AuthenticationErrorDetail>\
            </Error>";
        let error = from_answer("PUT k", 403, &headers(&[("x-ms-request-id", "8f0a")]), body.as_bytes());
        assert_eq!(
            error.to_string(),
            "PUT k: Server failed to authenticate the request. (AuthenticationFailed, HTTP 403, request 8f0a)"
        );
    }

    #[test]
    fn an_answer_without_a_body_still_says_what_happened() {
        let busy = headers(&[("x-ms-error-code", "ServerBusy"), ("retry-after", "7")]);
        let error = from_answer("HEAD k", 503, &busy, b"");
        assert_eq!(error.message, "HEAD k: status 503 Service Unavailable");
        assert_eq!((error.code.as_str(), error.retry_after), ("ServerBusy", Some(std::time::Duration::from_secs(7))));
        assert_eq!(from_answer("GET k", 599, &headers(&[]), b"<html>").message, "GET k: status 599");
    }
}
