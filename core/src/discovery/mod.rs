//! Finds databases: which files of a configured directory are replicated, and why the others are not.
//!
//! ```text
//! DirSpec -> walk (names only) -> pattern, exclude -> stat -> header -> Scan { found, skipped, problems }
//! ```
//!
//! Only this module walks directories. It decides by name and by the first 100 bytes; it does not watch (`fleet` asks
//! again through [`Rescan`]), opens no SQLite connection, and knows nothing of replicas. Rules about two databases that
//! want the same replica path or state directory belong to `fleet::registration`, which uses [`FileIdentity`] and
//! [`MetaLocation`].

mod error;
pub mod header;
mod meta;
mod pattern;
mod rescan;
mod scan;
mod skipped;
mod walk;

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

pub use error::ScanError;
pub use meta::{MetaCollision, MetaLocation, is_state_directory_name};
pub use pattern::{Pattern, PatternError};
pub use rescan::{Changes, Replaced, Rescan};
pub use scan::{Found, Scan, scan};
pub use skipped::{Problem, SkipReason, Skipped};

/// One configured directory: what the keys `dir`, `pattern`, `exclude`, `recursive` and `watch` say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirSpec {
    /// The directory, absolute and clean. A symbolic link is resolved at each scan; paths of databases keep this name.
    pub dir: PathBuf,
    /// The directory as written in the configuration, for messages.
    pub written: String,
    /// What is taken.
    pub pattern: Pattern,
    /// What is not taken although the pattern says so. A directory that matches is not entered.
    pub exclude: Vec<Pattern>,
    /// Whether subdirectories are entered.
    pub recursive: bool,
    /// Whether databases that appear later are taken, and an empty directory is fine.
    pub watch: bool,
}

/// What a file is, whatever it is called. Inode numbers are reused: equal identities at different times may be
/// different files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileIdentity {
    /// Number of the file system.
    pub device: u64,
    /// Number of the file in it.
    pub inode: u64,
}

impl FileIdentity {
    /// Of the file these metadata describe.
    pub fn of(metadata: &Metadata) -> FileIdentity {
        FileIdentity { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// Who holds database files open in this process.
///
/// Closing *any* descriptor of a database file drops every POSIX lock this process has on it, those of an attached
/// SQLite connection included, after which an application may reset the WAL under us. So discovery asks before it
/// opens a file.
pub trait Attachments: Sync {
    /// Runs `open` unless the file is attached, and keeps it from being attached while `open` runs.
    /// Returns false, without having run it, if the file is attached (it is a database then).
    fn unless_attached(&self, identity: FileIdentity, open: &mut dyn FnMut()) -> bool;
}

/// For a process that attaches nothing, or has not begun to.
#[derive(Clone, Copy, Debug, Default)]
pub struct NothingAttached;

impl Attachments for NothingAttached {
    fn unless_attached(&self, _identity: FileIdentity, open: &mut dyn FnMut()) -> bool {
        open();
        true
    }
}
