//! One SQLite connection to a replicated database, set up so that it disturbs nobody: it creates nothing, checkpoints
//! only when told, waits hardly at all, and takes little memory.
//!
//! The path is handed over as plain bytes. SQLite is compiled to read `file:` names as URIs, so only absolute paths may
//! come here; then `?`, `#` and `%` are ordinary characters.

#![allow(unsafe_code, reason = "the few SQLite calls that rusqlite does not offer without reading the schema")]

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{OpenFlags, ffi};

use super::memory::configure_sqlite;
use super::{DbError, DbSettings};
use crate::clock;

/// One connection. Dropping it never checkpoints unless [`Connection::checkpoint_on_close`] allowed it.
pub(super) struct Connection {
    pub(super) sqlite: rusqlite::Connection,
}

/// What `sqlite3_wal_checkpoint_v2` answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CheckpointAnswer {
    /// Another checkpointer, writer or reader was in the way; part of the work may be done all the same.
    pub busy: bool,
    /// Frames in the WAL, -1 if unknown.
    pub frames: i32,
    /// Frames that are in the database file now, -1 if unknown.
    pub backfilled: i32,
}

impl Connection {
    /// Opens read-write, without creating. Takes no lock and reads nothing yet.
    pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
        debug_assert!(path.is_absolute(), "a relative name could be taken for a URI");
        configure_sqlite();
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let sqlite = rusqlite::Connection::open_with_flags(path, flags)?;
        sqlite.busy_timeout(DbSettings::PROBE_TIMEOUT)?;
        sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        // SAFETY: the handle is open and used by this thread only; LOOKASIDE takes a pointer and two ints, and no memory
        // of this connection is in use yet. A refusal only costs memory.
        unsafe {
            let none = std::ptr::null_mut::<std::ffi::c_void>();
            ffi::sqlite3_db_config(sqlite.handle(), ffi::SQLITE_DBCONFIG_LOOKASIDE, none, 0i32, 0i32);
            ffi::sqlite3_wal_autocheckpoint(sqlite.handle(), 0);
        }
        Ok(Connection { sqlite })
    }

    /// Whether SQLite could open the file for reading only: it falls back to that without a word.
    pub(super) fn is_read_only(&self) -> rusqlite::Result<bool> {
        self.sqlite.is_readonly(rusqlite::MAIN_DB)
    }

    /// Begins a read transaction and takes the read lock at once, without reading the schema.
    pub(super) fn begin_read(&self) -> rusqlite::Result<()> {
        self.sqlite.execute_batch("BEGIN")?;
        self.sqlite.execute_batch("PRAGMA schema_version").inspect_err(|_| self.rollback())
    }

    /// Takes the write lock, or fails as busy after `patience`. Asks each millisecond: SQLite's own busy handler sleeps ever
    /// longer, and so gets nothing beside writers that never pause.
    pub(super) fn begin_write(&self, patience: Duration) -> rusqlite::Result<()> {
        const PAUSE: Duration = Duration::from_millis(1);
        self.sqlite.busy_timeout(Duration::ZERO)?;
        let deadline = clock::monotonic() + patience;
        loop {
            match self.sqlite.execute_batch("BEGIN IMMEDIATE") {
                Err(error) if DbError::is_busy(&error) && clock::monotonic() < deadline => clock::sleep(PAUSE),
                done => return done,
            }
        }
    }

    /// Ends the transaction, if there is one. It never holds a change, so there is nothing to lose if SQLite refuses.
    pub(super) fn rollback(&self) {
        if !self.sqlite.is_autocommit()
            && let Err(error) = self.sqlite.execute_batch("ROLLBACK")
        {
            tracing::debug!(%error, "rollback of a transaction without changes");
        }
    }

    /// Copies into the database file what no reader is in the way of. Takes no write lock and waits for nobody.
    pub(super) fn checkpoint_passive(&self) -> rusqlite::Result<CheckpointAnswer> {
        self.checkpoint(ffi::SQLITE_CHECKPOINT_PASSIVE)
    }

    /// Empties the WAL file if everything in it is in the database and nobody uses it; otherwise "busy", at once.
    pub(super) fn checkpoint_truncate(&self) -> rusqlite::Result<CheckpointAnswer> {
        self.sqlite.busy_timeout(Duration::ZERO)?;
        // A connection that has read nothing does not know of the WAL yet, and would do nothing.
        self.begin_read()?;
        self.rollback();
        self.checkpoint(ffi::SQLITE_CHECKPOINT_TRUNCATE)
    }

    /// The pragma of the same name would read the whole schema first.
    fn checkpoint(&self, mode: i32) -> rusqlite::Result<CheckpointAnswer> {
        let (mut frames, mut backfilled) = (-1, -1);
        // SAFETY: the handle is open and used by this thread only; both counters outlive the call.
        let code = unsafe {
            let handle = self.sqlite.handle();
            ffi::sqlite3_wal_checkpoint_v2(handle, c"main".as_ptr(), mode, &raw mut frames, &raw mut backfilled)
        };
        match code & 0xff {
            ffi::SQLITE_OK => Ok(CheckpointAnswer { busy: false, frames, backfilled }),
            ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => Ok(CheckpointAnswer { busy: true, frames, backfilled }),
            _ => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)),
        }
    }

    /// Lets the close remove the WAL, as an application expects of the last connection. Right only when everything in the
    /// WAL is in the database file and copied.
    pub(super) fn checkpoint_on_close(&self) {
        if let Err(error) = self.sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false) {
            tracing::debug!(%error, "the wal stays in place");
        }
    }
}
