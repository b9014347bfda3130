//! What identifies a file, and what shows that it was touched, from one `stat` and without opening anything:
//! closing any descriptor of a database file would drop SQLite's locks in this process.
//!
//! An inode number is reused at once and `cp -p` keeps size and mtime, so identity takes the birth time and content the
//! ctime as well.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::rules;
use crate::clock;

/// The age a time stamp must have to be trusted: file systems and older kernels give one value per tick, up to 2 s.
pub(super) const RACY: Duration = Duration::from_secs(2);

/// Which file stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Birth time in nanoseconds since the epoch; 0 where the file system keeps none.
    pub birth_ns: i64,
}

/// Which content a file had, as far as `stat` can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Size in bytes.
    pub size: u64,
    /// Last change of the content, nanoseconds since the epoch.
    pub mtime_ns: i64,
    /// Last change of content or attributes, nanoseconds since the epoch. Cannot be set by a program.
    pub ctime_ns: i64,
}

impl Identity {
    /// Reads it from one `stat`.
    pub fn of(metadata: &Metadata) -> Identity {
        let birth = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let birth_ns = birth.and_then(|since| i64::try_from(since.as_nanos()).ok()).unwrap_or(0);
        Identity { dev: metadata.dev(), ino: metadata.ino(), birth_ns }
    }
}

impl Stamp {
    /// Reads it from one `stat`.
    pub fn of(metadata: &Metadata) -> Stamp {
        let ns = |seconds: i64, nanoseconds: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds);
        Stamp {
            dev: metadata.dev(),
            ino: metadata.ino(),
            size: metadata.size(),
            mtime_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether a later write is certain to give another stamp: both times are older than the coarsest clock tick.
    pub fn is_settled(&self) -> bool {
        let now = i64::try_from(clock::unix_time().as_nanos()).unwrap_or(i64::MAX);
        let newest = self.mtime_ns.max(self.ctime_ns);
        now.saturating_sub(newest) >= i64::try_from(rules::racy_window().as_nanos()).unwrap_or(i64::MAX)
    }
}

/// Database file and WAL at one moment. Equal to the value taken at detach means that nothing happened since.
///
/// The comparison needs no SQLite and no open file; a difference only means that the database must be looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ColdStamp {
    /// The database file; `None` if missing.
    pub database: Option<Stamp>,
    /// The `-wal` file; `None` if missing.
    pub wal: Option<Stamp>,
}

impl ColdStamp {
    /// Two `stat` calls. Errors other than "no such file" count as missing too: the database is then looked at, and the
    /// look reports the error.
    pub fn of(path: &Path) -> ColdStamp {
        ColdStamp { database: stamp_at(path).ok().flatten(), wal: stamp_at(&wal_path(path)).ok().flatten() }
    }

    /// Whether both stamps are old enough for the comparison to be a proof.
    pub fn is_settled(&self) -> bool {
        [self.database, self.wal].iter().flatten().all(Stamp::is_settled)
    }
}

/// The stamp of the file at a path; `None` if there is none.
pub(super) fn stamp_at(path: &Path) -> io::Result<Option<Stamp>> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(Some(Stamp::of(&metadata))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// `<path>-wal`, as SQLite names it.
pub(super) fn wal_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}
