//! Why a whole directory could not be scanned. One bad file or subdirectory is a [`Problem`](super::Problem) instead.

use std::io;
use std::path::PathBuf;

/// The directory itself is unusable. Texts are the reference's, which tests and operators search for.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The directory is missing, is no directory, or may not be read.
    #[error("failed to scan directory {}: {operation} {}: {}", .directory.display(), .directory.display(), system_text(.source))]
    Directory {
        /// The configured directory.
        directory: PathBuf,
        /// The system call that failed.
        operation: &'static str,
        /// Its answer.
        source: io::Error,
    },
    /// Nothing to replicate, and nothing to wait for.
    #[error("no SQLite databases found in directory {} with pattern {pattern}", .directory.display())]
    NoDatabases {
        /// The configured directory.
        directory: PathBuf,
        /// The configured pattern.
        pattern: String,
    },
    /// The system has no threads left to scan with.
    #[error("failed to scan directory {}: cannot start threads: {reason}", .directory.display())]
    Threads {
        /// The configured directory.
        directory: PathBuf,
        /// The pool's answer.
        reason: String,
    },
}

impl ScanError {
    /// True if the directory does not exist, which for a watched one may pass.
    pub fn is_missing(&self) -> bool {
        matches!(self, ScanError::Directory { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// An I/O error as the reference words it: `no such file or directory`, without the number.
pub(super) fn system_text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error ").next().unwrap_or_default();
    let mut characters = text.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}
