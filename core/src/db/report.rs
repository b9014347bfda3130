//! What one sync did: for the scheduler, the log and the metrics. Holds no logic.

use std::fmt;
use std::time::Duration;

use crate::clock::UnixMillis;
use crate::ltx::Txid;

/// The outcome of [`Db::sync`](super::Db::sync).
#[derive(Clone, Debug, Default)]
pub struct SyncReport {
    /// Newest local L0 file after this call; [`Txid::NONE`] if there is none yet.
    pub txid: Txid,
    /// L0 files written by this call, oldest first. Empty: nothing was new.
    pub files: Vec<WrittenFile>,
    /// The pass stopped at `max-sync-wal-bytes`: call again at once.
    pub more: bool,
    /// Frames remain in the WAL that could not be moved into the database file (a reader or writer was in the way):
    /// call again in a while, even without news.
    pub unsettled: bool,
    /// Bytes of WAL that were copied by this call.
    pub copied_wal_bytes: u64,
    /// Logical size of the WAL up to our position. The file may be longer: stale frames are not counted.
    pub wal_bytes: u64,
    /// Size of the database, in bytes, at our position.
    pub database_bytes: u64,
    /// The checkpoints made by this call, in order.
    pub checkpoints: Vec<Checkpoint>,
    /// For how long the application could not write because of us. Zero for nearly every call.
    pub write_lock_held: Duration,
    /// The journal mode was changed to WAL by this call, the only change ever made to a database.
    pub converted_to_wal: bool,
}

/// One L0 file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFile {
    /// Its `min_txid` and `max_txid`.
    pub txid: Txid,
    /// What is in it.
    pub content: Content,
    /// Size of the file.
    pub size_bytes: u64,
    /// Pages in it.
    pub pages: u32,
    /// The timestamp in its header.
    pub created_at: UnixMillis,
}

/// How an L0 file was filled. To the format there is no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Pages of the WAL commits since the last file.
    Commits,
    /// Every page, read from the database under a read lock.
    Full(Reason),
    /// The pages whose checksum is not the remembered one, read under a read lock.
    Difference(Reason),
}

/// Why the WAL alone was not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// There was no local position.
    First,
    /// The replica holds a newer position than the local state.
    BehindReplica,
    /// Another file stands at the path: device, inode or birth time differ.
    Replaced,
    /// The same file on a device with another number, as after a restart of the machine.
    DeviceRenumbered,
    /// The page size is another one. Every file after this one has the new size; a restore cannot mix the two.
    PageSizeChanged,
    /// The WAL does not continue our position, and the database file was changed meanwhile.
    WalNotContinued,
    /// The WAL was restarted while it was being read.
    WalRestarted,
    /// The database file was changed by something other than a checkpoint.
    ChangedInPlace,
}

impl Reason {
    /// The text for the log, in the reference's words where it has some.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::First => "first sync",
            Reason::BehindReplica => "database behind replica",
            Reason::Replaced => "database file replaced",
            Reason::DeviceRenumbered => "device number changed",
            Reason::PageSizeChanged => "page size changed",
            Reason::WalNotContinued => "wal overwritten by another process",
            Reason::WalRestarted => "wal truncated by another process",
            Reason::ChangedInPlace => "database file changed in place",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One checkpoint made by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which of the two kinds we use.
    pub mode: CheckpointMode,
    /// Whether every frame is now in the database file.
    pub complete: bool,
    /// How long it took.
    pub duration: Duration,
}

/// The checkpoint modes the engine uses; FULL and RESTART would make writers wait for readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointMode {
    /// Copies what no reader is in the way of.
    Passive,
    /// Empties the WAL file; only when nothing is left to copy.
    Truncate,
}

impl CheckpointMode {
    /// The metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            CheckpointMode::Passive => "PASSIVE",
            CheckpointMode::Truncate => "TRUNCATE",
        }
    }
}
