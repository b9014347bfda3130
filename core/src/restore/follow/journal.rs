//! SQLite's rollback journal, written by hand: the pages of a database as they were before they are changed in place.
//!
//! | offset | size | field | |
//! |---|---|---|---|
//! | 0 | 8 | magic | `d9 d5 05 f9 20 a1 63 d7` |
//! | 8 | 4 | records | written last, when all are there |
//! | 12 | 4 | nonce | where the checksums start |
//! | 16 | 4 | pages | of the database before the change |
//! | 20 | 4 | sector size | the header is padded to it |
//! | 24 | 4 | page size | |
//! | 512 | | records | page number, page, checksum |
//!
//! All big-endian. Reference: <https://www.sqlite.org/fileformat2.html#the_rollback_journal>.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::in_place::{InPlaceError, io_error};
use crate::ltx::{PageSize, Pgno};
use crate::restore::output::with_suffix;

const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
const SECTOR: usize = 512;

/// Every so many bytes, from the end of a page, one is counted into its checksum.
const CHECKSUM_STEP: usize = 200;

/// The journal of one change. Until it is sealed, dropping it removes it.
pub(super) struct Journal {
    out: BufWriter<File>,
    path: PathBuf,
    nonce: u32,
    records: u32,
    sealed: bool,
}

impl Journal {
    /// Begins the journal of a database that has `pages` pages. Only with the database locked.
    pub(super) fn create(database: &Path, page_size: PageSize, pages: u32) -> Result<Journal, InPlaceError> {
        let path = with_suffix(database, "-journal");
        let open = OpenOptions::new().write(true).create(true).truncate(true).open(&path);
        let out = BufWriter::with_capacity(256 << 10, open.map_err(io_error(&path))?);
        let nonce = fastrand::u32(..);
        let mut journal = Journal { out, path, nonce, records: 0, sealed: false };
        let mut header = [0; SECTOR];
        header[..8].copy_from_slice(&MAGIC);
        let fields = [0, nonce, pages, SECTOR as u32, page_size.get()];
        for (at, field) in (8..).step_by(4).zip(fields) {
            header[at..at + 4].copy_from_slice(&field.to_be_bytes());
        }
        journal.write(&header)?;
        Ok(journal)
    }

    /// Adds a page as it is now. Each page once.
    pub(super) fn save(&mut self, pgno: Pgno, page: &[u8]) -> Result<(), InPlaceError> {
        let checksum = checksum(self.nonce, page);
        self.write(&pgno.0.to_be_bytes())?;
        self.write(page)?;
        self.write(&checksum.to_be_bytes())?;
        self.records += 1;
        Ok(())
    }

    /// Makes it durable and valid: from here on, it undoes whatever is done to the database.
    pub(super) fn seal(&mut self) -> Result<(), InPlaceError> {
        let mut seal = || {
            self.out.flush()?;
            let file = self.out.get_ref();
            file.sync_all()?;
            file.write_all_at(&self.records.to_be_bytes(), 8)?;
            file.sync_all()?;
            sync_directory_of(&self.path)
        };
        seal().map_err(io_error(&self.path))?;
        self.sealed = true;
        Ok(())
    }

    /// Ends it: the change holds.
    pub(super) fn remove(self) -> Result<(), InPlaceError> {
        let removed = fs::remove_file(&self.path).and_then(|()| sync_directory_of(&self.path));
        removed.map_err(io_error(&self.path))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), InPlaceError> {
        self.out.write_all(bytes).map_err(io_error(&self.path))
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if !self.sealed {
            // It says that it holds nothing: SQLite would ignore and remove it, too.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A nonce, so that a record of an older journal is never taken for one of this, and a sample of the page's bytes.
fn checksum(nonce: u32, page: &[u8]) -> u32 {
    let samples = (1..).map_while(|n| page.len().checked_sub(n * CHECKSUM_STEP)).take_while(|at| *at > 0);
    samples.fold(nonce, |sum, at| sum.wrapping_add(u32::from(page[at])))
}

fn sync_directory_of(path: &Path) -> std::io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}
