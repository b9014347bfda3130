//! Why a file that was asked for is not replicated. Nothing is left out without one of these.

use std::fs::FileType;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;

use super::header::NotADatabase;

/// One candidate that is not replicated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Below the configured directory, under its configured name.
    pub path: PathBuf,
    /// Why.
    pub reason: SkipReason,
}

/// Why a candidate is not replicated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    /// The file is no database, or not yet one.
    #[error(transparent)]
    NotADatabase(#[from] NotADatabase),
    /// The configuration says so.
    #[error("excluded by {pattern:?}")]
    Excluded {
        /// The pattern that matched.
        pattern: String,
    },
    /// The same file under another name, which is replicated.
    #[error("the same file as {}", .path.display())]
    SameFile {
        /// The name that is replicated.
        path: PathBuf,
    },
    /// A symbolic link to a directory; links are followed to files only, so that no tree is walked twice or for ever.
    #[error("symbolic link to a directory")]
    LinkToDirectory,
    /// A symbolic link to nothing.
    #[error("symbolic link to a missing file")]
    DanglingLink,
    /// A directory that by its name holds the local state of a database.
    #[error("a directory named *-litestream holds local state, not databases")]
    StateDirectory,
    /// A regular file was expected.
    #[error("not a regular file ({0})")]
    NotAFile(FileKind),
}

/// What stands where a file was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// FIFO: opening it would wait for a writer.
    NamedPipe,
    /// Unix socket.
    Socket,
    /// Character or block device: opening it may act on the device.
    Device,
    /// Something this program has no name for.
    Other,
}

impl FileKind {
    pub(super) fn of(file_type: FileType) -> FileKind {
        if file_type.is_fifo() {
            FileKind::NamedPipe
        } else if file_type.is_socket() {
            FileKind::Socket
        } else if file_type.is_char_device() || file_type.is_block_device() {
            FileKind::Device
        } else {
            FileKind::Other
        }
    }
}

impl std::fmt::Display for FileKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            FileKind::NamedPipe => "named pipe",
            FileKind::Socket => "socket",
            FileKind::Device => "device",
            FileKind::Other => "unknown kind",
        })
    }
}

/// Something could not be looked at, so whatever is there is not protected. The rest of the directory is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file or subdirectory.
    pub path: PathBuf,
    /// The system's answer.
    pub message: String,
}
