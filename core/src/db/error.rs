//! The error of one database.
//!
//! Rules: the kind says what a caller can do about it; the text says what was being done, on which file, and why it
//! failed; [`DbError::hint`] says what to do next. Context is added once, where the operation is known.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What went wrong, as far as a caller acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DbErrorKind {
    /// No file at the path. It may come (back): wait.
    Missing,
    /// Not a SQLite database, or not yet one (zero bytes): wait.
    NotADatabase,
    /// The journal mode is not WAL and could not be changed.
    NotWal,
    /// Another program is in the way for a moment: try again soon.
    Busy,
    /// Another program holds the database with `locking_mode=EXCLUSIVE`: back off.
    ExclusiveLock,
    /// No permission for the database file, its directory or the local state.
    NoPermission,
    /// The file system is mounted read-only.
    ReadOnlyFileSystem,
    /// The file system cannot be trusted with locks and shared memory.
    NetworkFileSystem,
    /// No space, or the quota is used up.
    DiskFull,
    /// The process has no descriptors left.
    TooManyFiles,
    /// The database itself is damaged.
    Corrupt,
    /// The newest local LTX file is missing or damaged; see the hint.
    CorruptState,
    /// The file at the path keeps changing while it is being opened.
    Moving,
    /// Anything else the operating system or SQLite reports.
    Io,
}

/// Why an operation on one database failed.
#[derive(Debug)]
pub struct DbError {
    kind: DbErrorKind,
    path: PathBuf,
    doing: &'static str,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The result of everything in this module.
pub type Result<T> = std::result::Result<T, DbError>;

impl DbError {
    /// An error without a cause of its own.
    pub(super) fn new(kind: DbErrorKind, doing: &'static str, path: &Path) -> DbError {
        DbError { kind, path: path.to_owned(), doing, source: None }
    }

    /// Adds the cause.
    pub(super) fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> DbError {
        self.source = Some(source.into());
        self
    }

    /// An error of the operating system.
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> DbError {
        DbError::new(kind_of_io(&source), doing, path).because(source)
    }

    /// An error of SQLite.
    pub(super) fn sqlite(doing: &'static str, path: &Path, source: rusqlite::Error) -> DbError {
        DbError::new(kind_of_sqlite(&source), doing, path).because(source)
    }

    /// Whether SQLite only says that another program is in the way.
    pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
        kind_of_sqlite(error) == DbErrorKind::Busy
    }

    /// The same error, known better.
    pub(super) fn with_kind(mut self, kind: DbErrorKind) -> DbError {
        self.kind = kind;
        self
    }

    /// What a caller can act on.
    pub fn kind(&self) -> DbErrorKind {
        self.kind
    }

    /// The file concerned.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the user can do next; one sentence.
    pub fn hint(&self) -> Option<&'static str> {
        match self.kind {
            DbErrorKind::NotADatabase => Some("it is replicated as soon as it has a SQLite header"),
            DbErrorKind::NotWal => {
                Some("run `PRAGMA journal_mode=WAL` in the application, or close its connections once")
            }
            DbErrorKind::ExclusiveLock => Some(
                "opened exclusively by another program; a replicated database needs locking_mode=NORMAL in every program",
            ),
            DbErrorKind::NoPermission => {
                Some("needs write permission on the file and its directory, even to read: WAL locks are kept in files")
            }
            DbErrorKind::ReadOnlyFileSystem => {
                Some("nothing can change on a read-only file system; remount it writable")
            }
            DbErrorKind::NetworkFileSystem => Some("WAL needs a local file system; move the database to one"),
            DbErrorKind::DiskFull => Some("replication continues by itself when space is freed"),
            DbErrorKind::TooManyFiles => Some("raise the limit of open files (ulimit -n) or lower max-open-databases"),
            DbErrorKind::Corrupt => {
                Some("check it with `PRAGMA integrity_check`; the replica still holds its last good state")
            }
            DbErrorKind::CorruptState => {
                Some("run `litestream-rs reset` for this database, or set auto-recover, to start with a fresh snapshot")
            }
            _ => None,
        }
    }
}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, self.path.display())?;
        match (&self.source, reason(self.kind)) {
            (Some(source), _) => write!(f, ": {source}"),
            (None, Some(reason)) => write!(f, ": {reason}"),
            (None, None) => Ok(()),
        }
    }
}

impl Error for DbError {
    // The source is part of the text already; returning it too would print it twice.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().and_then(|source| source.source())
    }
}

/// The words for errors that have no cause of their own.
fn reason(kind: DbErrorKind) -> Option<&'static str> {
    match kind {
        DbErrorKind::Missing => Some("no such file"),
        DbErrorKind::NotADatabase => Some("not yet a database"),
        DbErrorKind::NotWal => Some("not in WAL mode"),
        DbErrorKind::Busy => Some("database is locked"),
        DbErrorKind::ExclusiveLock => Some("opened exclusively by another program"),
        DbErrorKind::ReadOnlyFileSystem => Some("read-only file system"),
        DbErrorKind::NetworkFileSystem => Some("network file system"),
        DbErrorKind::Moving => Some("the file was replaced while it was being opened"),
        _ => None,
    }
}

fn kind_of_io(error: &io::Error) -> DbErrorKind {
    match error.kind() {
        io::ErrorKind::NotFound => DbErrorKind::Missing,
        io::ErrorKind::PermissionDenied => DbErrorKind::NoPermission,
        io::ErrorKind::ReadOnlyFilesystem => DbErrorKind::ReadOnlyFileSystem,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => DbErrorKind::DiskFull,
        _ if is_out_of_descriptors(error) => DbErrorKind::TooManyFiles,
        _ => DbErrorKind::Io,
    }
}

/// EMFILE (this process) and ENFILE (the machine); the standard library has no kind for them.
pub(super) fn is_out_of_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    error.raw_os_error().is_some_and(|code| code == Errno::MFILE.raw_os_error() || code == Errno::NFILE.raw_os_error())
}

fn kind_of_sqlite(error: &rusqlite::Error) -> DbErrorKind {
    use rusqlite::ErrorCode;
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
            DbErrorKind::Busy
        }
        Some(ErrorCode::NotADatabase) => DbErrorKind::NotADatabase,
        Some(ErrorCode::DatabaseCorrupt) => DbErrorKind::Corrupt,
        Some(ErrorCode::DiskFull) => DbErrorKind::DiskFull,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => DbErrorKind::NoPermission,
        _ => DbErrorKind::Io,
    }
}
