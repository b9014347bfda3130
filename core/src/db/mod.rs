//! One database: WAL to LTX. Attach, judge, sync, hand-over, checkpoint, detach, by the rules of SAFETY.md.
//!
//! Everything here blocks and belongs on a worker thread. A [`Db`] is owned by one worker at a time; while it is cold
//! it holds no descriptor and hardly any memory.

mod error;
mod meta;
mod report;
mod settings;
mod stamp;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::ltx::Txid;

pub use error::{DbError, DbErrorKind, Result};
pub use meta::{LocalFile, MetaDir};
pub use report::{Checkpoint, CheckpointMode, Content, Reason, SyncReport, WrittenFile};
pub use settings::DbSettings;
pub use stamp::{ColdStamp, Identity, Stamp};

/// The two places that belong to a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DbFiles {
    /// The database file, symbolic links resolved.
    pub path: PathBuf,
    /// Its local state, the `-litestream` directory. Made when first needed.
    pub meta: PathBuf,
}

/// One database.
pub struct Db {
    files: DbFiles,
    settings: Arc<DbSettings>,
    meta: MetaDir,
}

impl Db {
    /// Reads the local state: removes `*.tmp`, verifies the newest L0 file, loads the saved position. Opens no SQLite, and
    /// needs no database to be there.
    pub fn open(files: DbFiles, settings: Arc<DbSettings>) -> Result<Db> {
        let meta = MetaDir::new(files.meta.clone());
        Ok(Db { files, settings, meta })
    }

    /// Where the database and its local state are.
    pub fn files(&self) -> &DbFiles {
        &self.files
    }

    /// The limits this database works under.
    pub fn settings(&self) -> &DbSettings {
        &self.settings
    }

    /// The local state, for the uploader and for retention.
    pub fn meta(&self) -> &MetaDir {
        &self.meta
    }

    /// The newest local L0 file; [`Txid::NONE`] if there is none.
    pub fn txid(&self) -> Txid {
        Txid::NONE
    }

    /// Tells the newest transaction that the replica holds at any level. If it is ahead of the local state (the database
    /// was restored, or the state was lost), the next sync drops the local L0 files and writes a full file numbered
    /// above it.
    pub fn continue_after(&mut self, replica_max: Txid) {
        let _ = replica_max;
    }

    /// One bounded pass: attach if needed, judge, copy what is committed, move the read mark, checkpoint when due.
    ///
    /// After an error the database is detached and the saved position holds; the next call judges anew.
    pub fn sync(&mut self) -> Result<SyncReport> {
        Err(DbError::new(DbErrorKind::Io, "sync", &self.files.path))
    }

    /// Whether something was committed since the last sync: compares the wal-index header with our position, without a
    /// system call. False while cold.
    pub fn has_news(&self) -> bool {
        false
    }

    /// Whether SQLite has the file open for us.
    pub fn is_attached(&self) -> bool {
        false
    }

    /// Syncs, moves what it can into the database file, saves the position and closes SQLite. Best called at least 2 s
    /// after the last change: only then can an untouched file be recognised later without reading it.
    pub fn detach(&mut self) -> Result<SyncReport> {
        Err(DbError::new(DbErrorKind::Io, "detach", &self.files.path))
    }

    /// Two `stat` calls; see [`ColdStamp`].
    pub fn cold_stamp(path: &Path) -> ColdStamp {
        ColdStamp::of(path)
    }
}
