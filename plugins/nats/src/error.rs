//! Errors of the client and answers of the server as error kinds.

use async_nats::ConnectErrorKind;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use litestream_sdk::{ErrorKind, StorageError};
use std::error::Error;

/// What connecting ended with.
pub(crate) fn connecting(server: &str, error: &async_nats::ConnectError) -> StorageError {
    let kind = match error.kind() {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => ErrorKind::UNAUTHENTICATED,
        ConnectErrorKind::TimedOut => ErrorKind::TIMEOUT,
        ConnectErrorKind::ServerParse => ErrorKind::INVALID_INPUT,
        ConnectErrorKind::Tls => ErrorKind::PERMANENT,
        ConnectErrorKind::Io if is_about_tls(error) => ErrorKind::PERMANENT,
        _ => ErrorKind::TRANSIENT,
    };
    StorageError::new(kind, format!("connecting to {server}: {error}"))
}

/// Whether both sides talked, and could not agree on the encryption: a certificate that nobody trusts, for example.
fn is_about_tls(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if inner.is_some_and(|inner| inner.is::<async_nats::rustls::Error>()) {
            return true;
        }
        next = error.source();
    }
    false
}

/// A message that was not taken.
pub(crate) fn publishing(what: &str, error: &PublishError) -> StorageError {
    let kind = match error.kind() {
        PublishErrorKind::WrongLastSequence | PublishErrorKind::WrongLastMessageId => ErrorKind::CONFLICT,
        PublishErrorKind::TimedOut => ErrorKind::TIMEOUT,
        PublishErrorKind::BrokenPipe | PublishErrorKind::MaxAckPending => ErrorKind::TRANSIENT,
        PublishErrorKind::StreamNotFound => ErrorKind::NO_STORE,
        PublishErrorKind::MaxPayloadExceeded => ErrorKind::INVALID_INPUT,
        PublishErrorKind::Other => of_answer(error).unwrap_or(ErrorKind::TRANSIENT),
    };
    StorageError::new(kind, format!("{what}: {error}"))
}

/// Any other request of the store.
pub(crate) fn asking(what: &str, error: &(dyn Error + 'static)) -> StorageError {
    StorageError::new(of_answer(error).unwrap_or(ErrorKind::TRANSIENT), format!("{what}: {error}"))
}

/// An answer of JetStream.
pub(crate) fn answered(what: &str, answer: &async_nats::jetstream::Error) -> StorageError {
    let text = answer.to_string();
    let error = StorageError::new(kind_of(answer.error_code(), &text), format!("{what}: {text}"));
    error.with_code(answer.error_code().0.to_string())
}

/// The kind of an answer of JetStream, if one is behind the error.
fn of_answer(error: &(dyn Error + 'static)) -> Option<ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(answer) = error.downcast_ref::<async_nats::jetstream::Error>() {
            return Some(kind_of(answer.error_code(), &answer.to_string()));
        }
        next = error.source();
    }
    let text = error.to_string();
    text.contains("timed out").then_some(ErrorKind::TIMEOUT)
}

fn kind_of(code: ErrorCode, text: &str) -> ErrorKind {
    match code {
        ErrorCode::STREAM_NOT_FOUND => ErrorKind::NO_STORE,
        ErrorCode::STREAM_WRONG_LAST_SEQUENCE => ErrorKind::CONFLICT,
        ErrorCode::STORAGE_RESOURCES_EXCEEDED | ErrorCode::INSUFFICIENT_RESOURCES => ErrorKind::STORAGE_FULL,
        // `maximum bytes exceeded`, `maximum messages exceeded`: limits of the bucket.
        ErrorCode::STREAM_STORE_FAILED if text.contains("maximum") => ErrorKind::STORAGE_FULL,
        ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => ErrorKind::NO_STORE,
        _ => ErrorKind::TRANSIENT,
    }
}

#[cfg(test)]
mod tests {
    use async_nats::rustls::CertificateError;

    use super::*;

    #[test]
    fn answers_get_the_kind_the_host_acts_on() {
        for (code, text, kind) in [
            (10059, "stream not found", ErrorKind::NO_STORE),
            (10076, "JetStream not enabled", ErrorKind::NO_STORE),
            (10071, "wrong last sequence: 3", ErrorKind::CONFLICT),
            (10047, "insufficient storage resources available", ErrorKind::STORAGE_FULL),
            (10077, "maximum bytes exceeded", ErrorKind::STORAGE_FULL),
            (10077, "store failed", ErrorKind::TRANSIENT),
        ] {
            let answer = format!(r#"{{"code":400,"err_code":{code},"description":"{text}"}}"#);
            let answer: async_nats::jetstream::Error = serde_json::from_str(&answer).unwrap();
            let error = answered("writing a", &answer);
            assert_eq!(error.kind, kind, "{code} {text}");
            assert!(error.message.starts_with("writing a: ") && error.code == code.to_string(), "{error:?}");
            let behind = PublishError::with_source(PublishErrorKind::Other, answer);
            assert_eq!(publishing("writing a", &behind).kind, kind, "{code} {text}");
        }
    }

    #[test]
    fn a_message_that_was_not_taken_says_why() {
        for (kind, expected) in [
            (PublishErrorKind::WrongLastSequence, ErrorKind::CONFLICT),
            (PublishErrorKind::TimedOut, ErrorKind::TIMEOUT),
            (PublishErrorKind::BrokenPipe, ErrorKind::TRANSIENT),
            (PublishErrorKind::StreamNotFound, ErrorKind::NO_STORE),
            (PublishErrorKind::Other, ErrorKind::TRANSIENT),
        ] {
            assert_eq!(publishing("writing a", &PublishError::new(kind)).kind, expected);
        }
    }

    #[test]
    fn a_refused_login_is_not_an_absent_server() {
        for (kind, expected) in [
            (ConnectErrorKind::AuthorizationViolation, ErrorKind::UNAUTHENTICATED),
            (ConnectErrorKind::Authentication, ErrorKind::UNAUTHENTICATED),
            (ConnectErrorKind::Io, ErrorKind::TRANSIENT),
            (ConnectErrorKind::Dns, ErrorKind::TRANSIENT),
            (ConnectErrorKind::TimedOut, ErrorKind::TIMEOUT),
        ] {
            assert_eq!(connecting("h:4222", &async_nats::ConnectError::new(kind)).kind, expected);
        }
        let unknown = async_nats::rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let unknown = async_nats::ConnectError::from(std::io::Error::new(std::io::ErrorKind::InvalidData, unknown));
        assert_eq!(connecting("h:4222", &unknown).kind, ErrorKind::PERMANENT, "{unknown}");
    }
}
