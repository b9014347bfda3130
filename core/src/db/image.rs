//! A whole database as of one published commit, read page by page under a read lock.
//!
//! If everything in the WAL is in the database file, the file alone is the database: at read mark 0 the WAL may be
//! overwritten at any moment, so it is not touched. Otherwise the newest version of each page is in the WAL, proved up to the
//! commit, or, if no frame has it, in the file, where nobody writes it while our mark stands.

use std::io;

use super::error::{DbError, Result};
use super::file_object::FileObject;
use super::log::{Log, Stretch, WalkError};
use super::open::Connection;
use super::page_map::PageMap;
use super::position::WalPosition;
use super::wal_index::IndexHeader;
use crate::ltx::{PageSize, Pgno};
use crate::sqlite::{ByteOrder, lock_page};

/// Bytes of the database file read in one call.
const READ_BYTES: usize = 256 * 1024;

/// The pages of one commit.
pub(super) struct Image<'connection> {
    database: FileObject<'connection>,
    log: Log<'connection>,
    /// Empty when the file alone is the database.
    map: PageMap,
    page_size: PageSize,
    commit: u32,
}

impl<'connection> Image<'connection> {
    /// The database at the published commit `header`.
    pub(super) fn at(
        connection: &'connection Connection,
        header: &IndexHeader,
        page_size: PageSize,
    ) -> std::result::Result<Image<'connection>, WalkError> {
        if header.is_folded() {
            let database = connection.database_file()?;
            let commit = if header.frames > 0 { header.pages } else { pages_in_file(&database, page_size)? };
            let log = Log { file: connection.wal_file()?, page_size };
            return Ok(Image { database, log, map: PageMap::default(), page_size, commit });
        }
        Image::at_frame(connection, header.wal_position(), header.order, page_size)
    }

    /// The database at an earlier commit of this generation. No read mark of ours may stand behind it: a checkpoint may have
    /// put everything up to the mark into the file.
    pub(super) fn at_frame(
        connection: &'connection Connection,
        end: WalPosition,
        order: ByteOrder,
        page_size: PageSize,
    ) -> std::result::Result<Image<'connection>, WalkError> {
        let log = Log { file: connection.wal_file()?, page_size };
        let from = WalPosition::start_of(end.salt);
        let stretch = Stretch { from, to: end, order, limit_bytes: None };
        let mut map = PageMap::default();
        let walked = log.walk(&stretch, |number, frame, _| map.insert(frame.pgno, number))?;
        let map = map.finish(walked.commit);
        Ok(Image { database: connection.database_file()?, log, map, page_size, commit: walked.commit })
    }

    /// Pages in the database.
    pub(super) fn commit(&self) -> u32 {
        self.commit
    }

    /// Shows every page but the lock page to `visit`, ascending.
    pub(super) fn for_each_page(
        &self,
        path: &std::path::Path,
        mut visit: impl FnMut(Pgno, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let size = self.page_size.bytes();
        let pages_a_read = u32::try_from(READ_BYTES / size).unwrap_or(1).max(1);
        let mut buffer = vec![0; size * pages_a_read as usize];
        let lock_page = lock_page(self.page_size);
        let mut first = Pgno::FIRST;
        while first.0 <= self.commit {
            let count = pages_a_read.min(self.commit - first.0 + 1) as usize;
            let chunk = &mut buffer[..count * size];
            let read = |error: io::Error| DbError::io("read database", path, error);
            // A short read leaves zeros, as SQLite reads pages that were never written.
            self.database.read_at(chunk, first.offset(self.page_size)).map_err(read)?;
            let mut pgno = first;
            for page in chunk.chunks_exact_mut(size) {
                if let Some(frame) = self.map.get(pgno) {
                    self.log.read_page(frame, page).map_err(|error| DbError::io("read wal", path, error))?;
                }
                if pgno != lock_page {
                    visit(pgno, page)?;
                }
                pgno = pgno.next();
            }
            first = pgno;
        }
        Ok(())
    }
}

/// Size of the file in pages, a started one included, as SQLite counts them.
fn pages_in_file(database: &FileObject<'_>, page_size: PageSize) -> io::Result<u32> {
    let pages = database.size()?.div_ceil(u64::from(page_size.get()));
    u32::try_from(pages).map_err(|_| io::Error::other("database file is larger than SQLite allows"))
}
