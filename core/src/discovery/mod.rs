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
mod scope;
mod skipped;
mod walk;

use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use litestream_sdk::DbPath;

pub use error::ScanError;
pub use meta::{MetaCollision, MetaLocation, is_state_directory_name};
pub use pattern::{Pattern, PatternError};
pub use rescan::{Changes, Replaced, Rescan};
pub use scan::{Found, Scan, scan};
pub use scope::Scope;
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

impl DirSpec {
    /// Whether a database at `path` (absolute and clean) would be taken, by its name alone, and its relative path.
    pub fn covers(&self, path: &Path) -> Option<DbPath> {
        let relative = path.strip_prefix(&self.dir).ok().filter(|relative| !relative.as_os_str().is_empty())?;
        let parent = relative.parent().unwrap_or(Path::new(""));
        let name = relative.file_name()?;
        let taken = self.pattern.matches(parent, name) && !walk::is_sidecar(name) && !self.excludes(relative);
        let reached = parent.as_os_str().is_empty() || self.enters(parent);
        (taken && reached).then(|| DbPath::parse(relative.as_os_str().as_bytes()).ok())?
    }

    /// Whether a scan looks into a subdirectory, given relative to `dir`, by its name and those above it.
    fn enters(&self, directory: &Path) -> bool {
        let hidden_by = |directory: &Path| {
            directory.file_name().is_some_and(|name| is_state_directory_name(name) || self.excludes(directory))
        };
        self.recursive && !directory.ancestors().any(hidden_by)
    }

    fn excludes(&self, relative: &Path) -> bool {
        let (directory, name) = (relative.parent().unwrap_or(Path::new("")), relative.file_name().unwrap_or_default());
        self.exclude.iter().any(|pattern| pattern.matches(directory, name))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_covers_what_a_scan_would_take() {
        let spec = |recursive, exclude: &[&str]| DirSpec {
            dir: "/d".into(),
            written: "d".into(),
            pattern: Pattern::parse("*.db").unwrap(),
            exclude: exclude.iter().map(|text| Pattern::parse(text).unwrap()).collect(),
            recursive,
            watch: false,
        };
        let covers = |spec: &DirSpec, path: &str| spec.covers(Path::new(path)).map(|relative| relative.to_string());
        let flat = spec(false, &["tmp*"]);
        assert_eq!(covers(&flat, "/d/a.db").as_deref(), Some("a.db"));
        let deep = spec(true, &["cache", "s/*.db"]);
        assert_eq!(covers(&deep, "/d/t/u/a.db").as_deref(), Some("t/u/a.db"));
        for path in ["/d", "/dd/a.db", "/a.db", "/d/a.sqlite", "/d/s/a.db", "/d/tmp1.db", "/d/a.db-wal"] {
            assert_eq!(covers(&flat, path), None, "{path}");
        }
        for path in ["/d/cache/a.db", "/d/x/cache/y/a.db", "/d/s/a.db", "/d/.a.db-litestream/x.db"] {
            assert_eq!(covers(&deep, path), None, "{path}");
        }
    }
}
