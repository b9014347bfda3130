//! One error type: a kind the host acts on, and text for people.
//!
//! Rules. A plugin *classifies*; the host decides about retries, waiting and giving up. Say which object and what the
//! server answered; add a hint when there is one. Never put a secret into any field. `docs/errors.md` has the table of
//! kinds with what the host does for each.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

/// `std::result::Result` with [`StorageError`].
pub type Result<T, E = StorageError> = std::result::Result<T, E>;

/// What went wrong, for the host to act on. A number, so that old hosts can meet new kinds: unknown ones count as
/// PERMANENT.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorKind(
    /// The number that crosses the ABI.
    pub u16,
);

macro_rules! kinds {
    ($($(#[$meta:meta])* $name:ident = $number:literal;)+) => {
        impl ErrorKind {
            $($(#[$meta])* pub const $name: Self = Self($number);)+

            /// The name in metrics, logs and reports.
            pub fn name(self) -> &'static str {
                match self.0 {
                    $($number => stringify!($name),)+
                    _ => "UNKNOWN",
                }
            }
        }
    };
}

kinds! {
    /// The object is not there.
    NOT_FOUND = 1;
    /// Authenticated, but not allowed.
    PERMISSION_DENIED = 2;
    /// The object exists already, or is another one by now.
    CONFLICT = 3;
    /// The store asks to slow down. Set `retry_after` if it said for how long.
    RATE_LIMITED = 4;
    /// A connection, a 5xx answer, a broken stream: likely to pass.
    TRANSIENT = 5;
    /// Anything else.
    PERMANENT = 6;
    /// The request or an option cannot be served.
    INVALID_INPUT = 7;
    /// Not implemented by this storage.
    UNSUPPORTED = 8;
    /// No answer in time.
    TIMEOUT = 9;
    /// Made by the runtime only.
    CANCELLED = 10;
    /// The store's own checksum says the bytes are damaged.
    CORRUPT = 11;
    /// The bucket, container, share or root directory is missing. Not NOT_FOUND: a wrong bucket name must never look
    /// like an empty replica.
    NO_STORE = 12;
    /// Credentials are absent, wrong or expired.
    UNAUTHENTICATED = 13;
    /// Quota reached, or the disk is full.
    STORAGE_FULL = 14;
    /// A panic inside the plugin. Made by the SDK only.
    PLUGIN_PANIC = 100;
    /// The plugin broke a promise of the contract. Made by SDK and host only.
    BROKEN_CONTRACT = 101;
}

impl ErrorKind {
    /// Whether the host sends the same request again by itself.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::RATE_LIMITED | Self::TRANSIENT | Self::TIMEOUT)
    }
}

impl fmt::Debug for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            "UNKNOWN" => write!(f, "UNKNOWN({})", self.0),
            name => f.write_str(name),
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The error of every storage call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StorageError {
    /// What the host acts on.
    pub kind: ErrorKind,
    /// What failed, where and why, for a person. No secrets.
    pub message: String,
    /// How long the store asked to wait.
    pub retry_after: Option<Duration>,
    /// The HTTP status, 0 if there was none.
    pub http_status: u16,
    /// The store's own error code (`SlowDown`), empty if there was none.
    pub code: String,
    /// The store's request id, empty if there was none: what its support asks for.
    pub request_id: String,
    /// The texts of the underlying errors, outermost first.
    pub chain: Vec<String>,
}

impl StorageError {
    /// A kind and its text.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after: None,
            http_status: 0,
            code: String::new(),
            request_id: String::new(),
            chain: Vec::new(),
        }
    }

    /// NOT_FOUND for a named object.
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NOT_FOUND, format!("{what}: not found"))
    }

    /// CONFLICT for a named object.
    pub fn conflict(what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::CONFLICT, format!("{what}: exists already, or has changed"))
    }

    /// INVALID_INPUT with a sentence for the user.
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::INVALID_INPUT, message)
    }

    /// UNSUPPORTED, naming what is.
    pub fn unsupported(what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::UNSUPPORTED, format!("{what}: not supported by this storage"))
    }

    /// TRANSIENT with its text.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::TRANSIENT, message)
    }

    /// PERMANENT with its text.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::PERMANENT, message)
    }

    /// BROKEN_CONTRACT with what was broken. For SDK and host.
    pub fn broken_contract(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BROKEN_CONTRACT, message)
    }

    /// PLUGIN_PANIC with the text a panic was raised with.
    pub fn from_panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text");
        Self::new(ErrorKind::PLUGIN_PANIC, format!("panic in the plugin: {text}"))
    }

    /// Adds the underlying error and everything below it to `chain`.
    pub fn with_source(mut self, error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            self.chain.push(error.to_string());
            next = error.source();
        }
        self
    }

    /// Adds the store's own code.
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = code.into();
        self
    }

    /// Adds the HTTP status.
    pub fn with_http_status(mut self, status: u16) -> Self {
        self.http_status = status;
        self
    }

    /// Adds the store's request id.
    pub fn with_request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = id.into();
        self
    }

    /// Adds how long the store asked to wait.
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Puts what was being done in front: `what: message`. Once, at the layer that knows it.
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        // Many errors say in their own text what caused them: nothing is said twice.
        for cause in self.chain.iter().filter(|cause| !self.message.contains(cause.as_str())) {
            write!(f, ": {cause}")?;
        }
        let mut notes = Vec::new();
        if !self.code.is_empty() {
            notes.push(self.code.clone());
        }
        if self.http_status != 0 {
            notes.push(format!("HTTP {}", self.http_status));
        }
        if !self.request_id.is_empty() {
            notes.push(format!("request {}", self.request_id));
        }
        if notes.is_empty() { Ok(()) } else { write!(f, " ({})", notes.join(", ")) }
    }
}

impl Error for StorageError {}

impl From<io::Error> for StorageError {
    /// Classifies by kind. Add the file name with [`StorageError::context`]: an `io::Error` does not know it.
    fn from(error: io::Error) -> Self {
        use io::ErrorKind as Io;
        let kind = match error.kind() {
            Io::NotFound => ErrorKind::NOT_FOUND,
            Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::PERMISSION_DENIED,
            Io::AlreadyExists => ErrorKind::CONFLICT,
            Io::StorageFull | Io::QuotaExceeded => ErrorKind::STORAGE_FULL,
            Io::TimedOut => ErrorKind::TIMEOUT,
            Io::InvalidInput => ErrorKind::INVALID_INPUT,
            Io::Unsupported => ErrorKind::UNSUPPORTED,
            Io::ConnectionReset | Io::ConnectionAborted | Io::ConnectionRefused | Io::NotConnected => {
                ErrorKind::TRANSIENT
            }
            Io::BrokenPipe | Io::UnexpectedEof | Io::Interrupted | Io::WouldBlock | Io::ResourceBusy => {
                ErrorKind::TRANSIENT
            }
            Io::HostUnreachable | Io::NetworkUnreachable | Io::NetworkDown | Io::StaleNetworkFileHandle => {
                ErrorKind::TRANSIENT
            }
            _ => ErrorKind::PERMANENT,
        };
        // Too many open files, in this process or the system: it passes. `std` has no kind for it.
        let crowded = cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24));
        let kind = if crowded { ErrorKind::TRANSIENT } else { kind };
        let error: &(dyn Error + 'static) = &error;
        let below = error.source().map(|source| Self::new(kind, error.to_string()).with_source(source));
        below.unwrap_or_else(|| Self::new(kind, error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_errors_are_classified() {
        for (io_kind, kind) in [
            (io::ErrorKind::NotFound, ErrorKind::NOT_FOUND),
            (io::ErrorKind::ReadOnlyFilesystem, ErrorKind::PERMISSION_DENIED),
            (io::ErrorKind::StorageFull, ErrorKind::STORAGE_FULL),
            (io::ErrorKind::ConnectionReset, ErrorKind::TRANSIENT),
            (io::ErrorKind::InvalidData, ErrorKind::PERMANENT),
        ] {
            assert_eq!(StorageError::from(io::Error::from(io_kind)).kind, kind);
        }
        if cfg!(unix) {
            assert_eq!(StorageError::from(io::Error::from_raw_os_error(24)).kind, ErrorKind::TRANSIENT);
        }
    }

    #[test]
    fn shows_everything_once() {
        let cause = io::Error::other("socket closed");
        let error = StorageError::transient("reading b/x").with_source(&cause).with_code("SlowDown");
        let error = error.with_http_status(503).with_request_id("7f").context("bucket b");
        assert_eq!(error.to_string(), "bucket b: reading b/x: socket closed (SlowDown, HTTP 503, request 7f)");
        let same = StorageError::permanent("socket closed").with_source(&cause);
        assert_eq!(same.to_string(), "socket closed");
    }

    #[test]
    fn unknown_kinds_keep_their_number_and_are_not_retried() {
        assert_eq!(format!("{}", ErrorKind(77)), "UNKNOWN(77)");
        assert!(!ErrorKind(77).is_retryable() && ErrorKind::TIMEOUT.is_retryable());
        assert_eq!(ErrorKind::NO_STORE.to_string(), "NO_STORE");
    }
}
