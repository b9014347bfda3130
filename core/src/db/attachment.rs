//! A database that SQLite has open for us: the connection whose read transaction keeps the WAL from being restarted, a
//! second one while that transaction is moved, and what was seen through them.
//!
//! Dropping it closes both connections without a checkpoint and leaves the WAL in place, whatever happened before.

use std::path::{Path, PathBuf};

use super::batch::Batch;
use super::error::{DbError, DbErrorKind, Result};
use super::image::Image;
use super::log::{Log, WalkError};
use super::open::Connection;
use super::position::WalPosition;
use super::stamp::{Identity, Stamp, stamp_at};
use super::wal_index::{IndexHeader, WalIndex};
use crate::ltx::PageSize;

/// The open side of a database. The fields are dropped in this order: the mapping before the connection it belongs to.
pub(super) struct Attachment {
    wal_index: WalIndex,
    /// Present only while the read mark is moved or the write lock is held.
    pub(super) second: Option<Connection>,
    /// Holds the read transaction.
    pub(super) main: Connection,
    path: PathBuf,
    /// Which file this is.
    pub(super) identity: Identity,
    /// Fixed as long as the database is in WAL mode.
    pub(super) page_size: PageSize,
    /// The commit that was judged and is not reached yet. Frames that were in the database file before our read lock began
    /// are not protected by it: if the WAL is restarted before we reach this commit, some were missed.
    pub(super) owed: Option<WalPosition>,
    /// Stamp of the database file when it alone equalled what we copied. Nobody has a reason to write the file from then
    /// until the read mark is moved.
    pub(super) rest: Option<Stamp>,
    /// What the WAL reached when our read transaction began, if everything in it was in the file: the mark is then at 0, and
    /// no checkpoint of the application waits for us.
    pub(super) free_mark: Option<WalPosition>,
    /// Copied and not yet written.
    pub(super) pending: Option<Batch>,
}

impl Attachment {
    /// Wraps a connection that holds a read transaction of the file `identity` at `path`.
    pub(super) fn new(
        main: Connection,
        wal_index: WalIndex,
        path: &Path,
        identity: Identity,
        page_size: PageSize,
    ) -> Attachment {
        Attachment {
            wal_index,
            second: None,
            main,
            path: path.to_owned(),
            identity,
            page_size,
            owed: None,
            rest: None,
            free_mark: None,
            pending: None,
        }
    }

    /// One stable wal-index header.
    pub(super) fn header(&self) -> Result<IndexHeader> {
        if let Some(header) = self.wal_index.header() {
            return Ok(header);
        }
        // A writer died between the two copies. The next reader repairs that, and we are not reading anew: let another
        // connection do it.
        let failed = |error| DbError::sqlite("repair wal-index", &self.path, error);
        let reader = Connection::open(&self.path).map_err(failed)?;
        reader.begin_read().map_err(failed)?;
        reader.rollback();
        self.wal_index.header().ok_or_else(|| DbError::new(DbErrorKind::Busy, "read wal-index", &self.path))
    }

    /// A look at the header that never waits: `None` if it is being written.
    pub(super) fn peek(&self) -> Option<IndexHeader> {
        self.wal_index.header()
    }

    /// The WAL.
    pub(super) fn log(&self) -> Result<Log<'_>> {
        let file = self.main.wal_file().map_err(|error| DbError::io("read wal", &self.path, error))?;
        Ok(Log { file, page_size: self.page_size })
    }

    /// The database at the published commit `header`. `None` if its WAL is gone.
    pub(super) fn image(&self, header: &IndexHeader) -> Result<Option<Image<'_>>> {
        optional(Image::at(&self.main, header, self.page_size), &self.path)
    }

    /// Whether another file, or none, stands at the path now.
    pub(super) fn has_moved(&self) -> Result<bool> {
        self.main.has_moved().map_err(|error| DbError::io("look at database", &self.path, error))
    }

    /// The stamp of the database file now. The file must not have moved.
    pub(super) fn stamp(&self) -> Result<Option<Stamp>> {
        stamp_at(&self.path).map_err(|error| DbError::io("look at database", &self.path, error))
    }

    /// Begins the read transaction anew, and notes whether the mark is free.
    pub(super) fn begin_read(&mut self) -> Result<()> {
        let before = self.peek();
        let mut tries = 0;
        while let Err(error) = self.main.begin_read() {
            tries += 1;
            if tries == 3 {
                return Err(DbError::sqlite("begin read transaction", &self.path, error));
            }
        }
        let after = self.peek();
        let folded = |header: &IndexHeader| header.is_folded().then_some(header.wal_position());
        self.free_mark = before.as_ref().and_then(folded).filter(|_| before == after);
        Ok(())
    }

    /// Notes the stamp of the database file if it alone equals what was copied up to `reached`.
    pub(super) fn note_rest(&mut self, reached: WalPosition) -> Result<()> {
        let folded = |header: &IndexHeader| header.is_folded() && header.wal_position().is_same_as(&reached);
        self.rest = None;
        if folded(&self.header()?) {
            let stamp = self.stamp()?;
            if folded(&self.header()?) && !self.has_moved()? {
                self.rest = stamp;
            }
        }
        Ok(())
    }

    /// Whether our read mark may make a checkpoint of the application wait.
    pub(super) fn is_mark_behind(&self, reached: WalPosition) -> bool {
        reached.frames > 0 && !self.free_mark.is_some_and(|mark| mark.is_same_as(&reached))
    }
}

impl WalPosition {
    /// Equal, where the checksum after no frames means nothing.
    pub(super) fn is_same_as(&self, other: &WalPosition) -> bool {
        self.salt == other.salt && self.frames == other.frames && (self.frames == 0 || self.checksum == other.checksum)
    }
}

/// A stretch that is not there (any more) is an answer, a failed read is an error.
pub(super) fn optional<T>(walked: std::result::Result<T, WalkError>, path: &Path) -> Result<Option<T>> {
    match walked {
        Ok(value) => Ok(Some(value)),
        Err(WalkError::Broken) => Ok(None),
        Err(WalkError::Io(error)) => Err(DbError::io("read wal", path, error)),
    }
}
