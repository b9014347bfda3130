//! From errors of SSH and SFTP to `StorageError`: where, what was done, and the kind the host acts on.
//!
//! SFTP itself knows nine statuses. A full disk, a file that exists and a broken disk are all `Failure`; who needs to
//! tell them apart has to look.

use litestream_sdk::{ErrorKind, StorageError};
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::protocol::StatusCode;

use crate::config::Address;

/// An answer of the SFTP server, or none. `doing` names the step: `writing`, `reading the directory`.
pub(crate) fn failed(doing: &str, path: &str, error: &SftpError) -> StorageError {
    let (kind, code) = match error {
        SftpError::Status(status) => classify(status.status_code),
        SftpError::Timeout => (ErrorKind::TIMEOUT, ""),
        // Handles come free again; and whatever the stream ends with, the next connection may not.
        SftpError::Limited(_) | SftpError::IO(_) | SftpError::UnexpectedPacket | SftpError::UnexpectedBehavior(_) => {
            (ErrorKind::TRANSIENT, "")
        }
    };
    let message = match error {
        SftpError::Status(status) if !status.error_message.is_empty() => status.error_message.clone(),
        SftpError::Status(status) => status.status_code.to_string(),
        SftpError::Timeout => "no answer from the server".to_owned(),
        SftpError::IO(_) | SftpError::UnexpectedPacket | SftpError::UnexpectedBehavior(_) => {
            format!("the connection broke: {error}")
        }
        SftpError::Limited(_) => error.to_string(),
    };
    StorageError::new(kind, format!("{doing} {path}: {message}")).with_code(code)
}

/// Whether the connection is of no more use.
pub(crate) fn breaks_connection(error: &SftpError) -> bool {
    match error {
        SftpError::Status(status) => {
            matches!(status.status_code, StatusCode::NoConnection | StatusCode::ConnectionLost)
        }
        SftpError::Limited(_) => false,
        SftpError::IO(_) | SftpError::Timeout | SftpError::UnexpectedPacket | SftpError::UnexpectedBehavior(_) => true,
    }
}

/// The status of an answer, if it was one.
pub(crate) fn status(error: &SftpError) -> Option<StatusCode> {
    match error {
        SftpError::Status(status) => Some(status.status_code),
        _ => None,
    }
}

fn classify(status: StatusCode) -> (ErrorKind, &'static str) {
    match status {
        StatusCode::NoSuchFile => (ErrorKind::NOT_FOUND, "SSH_FX_NO_SUCH_FILE"),
        StatusCode::PermissionDenied => (ErrorKind::PERMISSION_DENIED, "SSH_FX_PERMISSION_DENIED"),
        // OpenSSH says it of a name that is too long.
        StatusCode::BadMessage => (ErrorKind::INVALID_INPUT, "SSH_FX_BAD_MESSAGE"),
        StatusCode::NoConnection => (ErrorKind::TRANSIENT, "SSH_FX_NO_CONNECTION"),
        StatusCode::ConnectionLost => (ErrorKind::TRANSIENT, "SSH_FX_CONNECTION_LOST"),
        StatusCode::OpUnsupported => (ErrorKind::UNSUPPORTED, "SSH_FX_OP_UNSUPPORTED"),
        StatusCode::Failure => (ErrorKind::PERMANENT, "SSH_FX_FAILURE"),
        StatusCode::Eof => (ErrorKind::PERMANENT, "SSH_FX_EOF"),
        StatusCode::Ok => (ErrorKind::PERMANENT, "SSH_FX_OK"),
    }
}

/// What connecting to a server ended with.
pub(crate) fn connecting(address: &Address, error: &russh::Error) -> StorageError {
    use russh::{AlgorithmKind, Error};
    let kind = match error {
        Error::IO(io) if io.kind() == std::io::ErrorKind::TimedOut => ErrorKind::TIMEOUT,
        Error::ConnectionTimeout | Error::KeepaliveTimeout | Error::InactivityTimeout | Error::Elapsed(_) => {
            ErrorKind::TIMEOUT
        }
        // Also a name that does not resolve, refused sessions, and whatever a cut makes of a stream.
        Error::IO(_) | Error::Disconnect | Error::HUP | Error::SendError | Error::RecvError | Error::Pending => {
            ErrorKind::TRANSIENT
        }
        Error::ChannelOpenFailure(_) | Error::RequestDenied | Error::Inconsistent | Error::PacketAuth => {
            ErrorKind::TRANSIENT
        }
        Error::DecryptionError | Error::KexInit | Error::Kex => ErrorKind::TRANSIENT,
        // The types asked for are those of the keys that are known.
        Error::NoCommonAlgo { kind: AlgorithmKind::Key, .. } | Error::UnknownKey | Error::WrongServerSig => {
            ErrorKind::UNAUTHENTICATED
        }
        _ => ErrorKind::PERMANENT,
    };
    let message = match error {
        Error::NoCommonAlgo { kind: AlgorithmKind::Key, ours, theirs } => {
            let (ours, theirs) = (ours.join(", "), theirs.join(", "));
            format!("{address}: the server has no key of the type that is known ({ours}), it has {theirs}")
        }
        Error::Version => format!("{address}: no SSH server answers there"),
        error => format!("connecting to {address}: {error}"),
    };
    StorageError::new(kind, message)
}

#[cfg(test)]
mod tests {
    use russh_sftp::protocol::Status;

    use super::*;

    fn answer(status_code: StatusCode, error_message: &str) -> SftpError {
        SftpError::Status(Status {
            id: 1,
            status_code,
            error_message: error_message.into(),
            language_tag: String::new(),
        })
    }

    #[test]
    fn answers_of_the_server_get_the_kind_the_host_acts_on() {
        for (status, kind, broken) in [
            (StatusCode::NoSuchFile, ErrorKind::NOT_FOUND, false),
            (StatusCode::PermissionDenied, ErrorKind::PERMISSION_DENIED, false),
            (StatusCode::Failure, ErrorKind::PERMANENT, false),
            (StatusCode::BadMessage, ErrorKind::INVALID_INPUT, false),
            (StatusCode::OpUnsupported, ErrorKind::UNSUPPORTED, false),
            (StatusCode::ConnectionLost, ErrorKind::TRANSIENT, true),
        ] {
            let error = answer(status, "");
            assert_eq!(failed("writing", "/r/a", &error).kind, kind, "{status:?}");
            assert_eq!(breaks_connection(&error), broken, "{status:?}");
        }
        let shown = failed("writing", "/r/a", &answer(StatusCode::Failure, "Failure")).to_string();
        assert_eq!(shown, "writing /r/a: Failure (SSH_FX_FAILURE)");
        let shown = failed("writing", "/r/a", &answer(StatusCode::PermissionDenied, "")).to_string();
        assert_eq!(shown, "writing /r/a: Permission denied (SSH_FX_PERMISSION_DENIED)");
    }

    #[test]
    fn no_answer_is_retried_on_another_connection() {
        for (error, kind) in [
            (SftpError::Timeout, ErrorKind::TIMEOUT),
            (SftpError::IO("reset".into()), ErrorKind::TRANSIENT),
            (SftpError::UnexpectedBehavior("session closed".into()), ErrorKind::TRANSIENT),
        ] {
            assert_eq!(failed("reading", "/r/a", &error).kind, kind, "{error}");
            assert!(breaks_connection(&error), "{error}");
        }
        assert!(!breaks_connection(&SftpError::Limited("handles".into())));
    }

    #[test]
    fn errors_of_connecting_tell_a_wrong_server_from_an_absent_one() {
        let address = Address::parse("h").unwrap();
        for (error, kind) in [
            (russh::Error::IO(std::io::ErrorKind::ConnectionRefused.into()), ErrorKind::TRANSIENT),
            (russh::Error::IO(std::io::Error::other("failed to lookup address")), ErrorKind::TRANSIENT),
            (russh::Error::IO(std::io::ErrorKind::TimedOut.into()), ErrorKind::TIMEOUT),
            (russh::Error::HUP, ErrorKind::TRANSIENT),
            (russh::Error::UnknownKey, ErrorKind::UNAUTHENTICATED),
            (russh::Error::Version, ErrorKind::PERMANENT),
        ] {
            let error = connecting(&address, &error);
            assert_eq!(error.kind, kind, "{error}");
            assert!(error.message.contains("h:22"), "{error}");
        }
    }
}
