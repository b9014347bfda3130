//! What a configuration entry says about its databases, as the engine needs it. One value serves all databases of an entry.

use std::time::Duration;

/// Limits and habits of the engine for one database. Defaults are the reference's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DbSettings {
    /// How long the one change of the journal mode waits for other programs. Everything else the engine does in SQLite
    /// waits at most [`DbSettings::PROBE_TIMEOUT`], so that a busy database never holds up a worker.
    pub busy_timeout: Duration,
    /// A checkpoint is forced after this long if commits were copied and the WAL did not fold on its own. `None`: never.
    pub checkpoint_interval: Option<Duration>,
    /// WAL size, in pages, above which the write lock is taken for a moment if hand-overs alone do not shrink it.
    pub min_checkpoint_page_count: u32,
    /// WAL size, in pages, above which the WAL file is truncated as soon as everything in it is in the database.
    /// `None`: never.
    pub truncate_page_n: Option<u32>,
    /// One L0 file takes commits up to this many WAL bytes; a single larger transaction is never split. `None`: no limit.
    pub max_sync_wal_bytes: Option<u64>,
    /// Databases larger than this remember no page checksums (8 bytes a page), and need a full file where others need
    /// only the pages that differ.
    pub page_checksum_limit_bytes: u64,
    /// Up to this size the read mark is moved without a second connection. What slips in between costs a comparison of every
    /// page, and that is cheap here; the connection takes an eighth of a commit's CPU.
    pub small_database_bytes: u64,
    /// Work on NFS, SMB, FUSE and the like, although their locks and shared memory may lie.
    pub allow_network_file_system: bool,
}

impl DbSettings {
    /// Longest wait for a lock that another program holds, where the answer "busy" is acceptable.
    pub const PROBE_TIMEOUT: Duration = Duration::from_millis(50);

    /// Longest wait for the write lock once the WAL is above `truncate_page_n`. Waiting costs the application nothing; a WAL
    /// that grows without end does.
    pub const EMERGENCY_TIMEOUT: Duration = Duration::from_millis(500);
}

impl Default for DbSettings {
    fn default() -> Self {
        DbSettings {
            busy_timeout: Duration::from_secs(1),
            checkpoint_interval: Some(Duration::from_secs(60)),
            min_checkpoint_page_count: 1000,
            truncate_page_n: Some(121_359),
            max_sync_wal_bytes: Some(64 << 20),
            page_checksum_limit_bytes: 64 << 30,
            small_database_bytes: 1 << 20,
            allow_network_file_system: false,
        }
    }
}
