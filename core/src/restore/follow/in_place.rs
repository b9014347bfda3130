//! Applies one LTX file to a database that others read.
//!
//! SQLite takes the lock that keeps readers out, and nothing else: the pages are written beside it, behind a rollback journal in
//! SQLite's own format. If this process or the machine stops in between, whoever opens the database next, reader or we, rolls it
//! back to the state before.
//!
//! The one descriptor of our own is opened before SQLite's and closed after it: closing any descriptor of a file drops the
//! process's locks on it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::journal::Journal;
use crate::ltx::{Decoder, FileName, Header, LtxError, PageSize, Pgno, verify};
use crate::sqlite::{DATABASE_HEADER_LEN, DatabaseHeader, lock_page};

/// How long readers may keep us out before the next poll tries again.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// Write and read version in the database header.
const FORMAT_VERSIONS: Range<usize> = 18..20;

/// The file change counter in the database header.
const CHANGE_COUNTER: Range<usize> = 24..28;

/// The size in pages in the database header, valid while the two counters are equal.
const PAGE_COUNT: Range<usize> = 28..32;

/// The change counter for which the size was written.
const VERSION_VALID_FOR: Range<usize> = 92..96;

/// Why a file was not applied. The database is as it was, or will be as soon as somebody opens it.
#[derive(Debug, thiserror::Error)]
pub enum InPlaceError {
    /// The file is damaged, or its transfer broke.
    #[error("{0}")]
    Ltx(#[from] LtxError),
    /// Readers hold the database, or SQLite does not take it for one.
    #[error("database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The database left rollback mode, or is none.
    #[error("{}: {reason}", .path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Readers cannot be moved to pages of another size.
    #[error("the page size changes from {} to {}: delete the database and its -txid file to re-restore", .from.get(), .to.get())]
    PageSize {
        /// Of the database.
        from: PageSize,
        /// Of the file.
        to: PageSize,
    },
    /// The position is not where we left it.
    #[error("another follower works on {}: stop one of them", .0.display())]
    TwoFollowers(PathBuf),
    /// The local disk.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

pub(super) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> InPlaceError {
    let path = path.to_owned();
    move |source| InPlaceError::Io { path, source }
}

/// A verified file on the local disk, without a name.
pub(super) struct Spool {
    file: File,
    header: Header,
}

/// Fetches a file to beside the database, and verifies it to its last byte. Blocks.
pub(super) fn fetch(mut from: impl Read, name: FileName, database: &Path) -> Result<Spool, InPlaceError> {
    let directory = database.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::tempfile_in(directory).map_err(io_error(directory))?;
    io::copy(&mut from, &mut file).map_err(LtxError::from)?;
    let header = verify(rewound(&mut file)?, Some(name))?.header;
    Ok(Spool { file, header })
}

/// Rolls back what a stop left half done, so that readers who may not write can read; and leaves WAL mode if no reader is in
/// the way. Blocks.
pub(super) fn settle(path: &Path) -> Result<(), InPlaceError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(LOCK_TIMEOUT)?;
    connection.query_row("PRAGMA schema_version", [], |_| Ok(()))?;
    if let Err(error) = connection.query_row("PRAGMA journal_mode=DELETE", [], |_| Ok(())) {
        tracing::warn!(output = %path.display(), %error, "followed database cannot leave WAL mode yet");
    }
    Ok(())
}

/// Makes a database that nobody has open one in rollback mode. In WAL mode, readers would keep their lock as long as they are
/// connected, and leave files behind.
pub(super) fn leave_wal_mode(database: &File) -> io::Result<()> {
    database.write_all_at(&[1, 1], FORMAT_VERSIONS.start as u64)
}

/// Changes the database, if `is_ours` still says so once it is locked. Blocks.
pub(super) fn apply(mut spool: Spool, path: &Path, is_ours: impl FnOnce() -> bool) -> Result<(), InPlaceError> {
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(io_error(path))?;
    let database = Locked::new(path, file)?;
    if !is_ours() {
        return Err(InPlaceError::TwoFollowers(path.to_owned()));
    }
    let (from, to) = (database.page_size()?, spool.header.page_size);
    if from != to {
        return Err(InPlaceError::PageSize { from, to });
    }
    database.change(&mut spool.file, &spool.header)
}

fn rewound(spool: &mut File) -> Result<BufReader<&mut File>, InPlaceError> {
    spool.seek(SeekFrom::Start(0)).map_err(LtxError::from)?;
    Ok(BufReader::with_capacity(256 << 10, spool))
}

/// A database that only we may touch. Fields in the order in which they must be dropped.
struct Locked {
    _lock: Connection,
    file: File,
    path: PathBuf,
}

impl Locked {
    /// Waits for readers, rolls back what a stop left half done, and leaves WAL mode: readers need no `-wal` and `-shm` then.
    fn new(path: &Path, file: File) -> Result<Locked, InPlaceError> {
        let lock = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        lock.busy_timeout(LOCK_TIMEOUT)?;
        let mode: String = lock.query_row("PRAGMA journal_mode=DELETE", [], |row| row.get(0))?;
        if !mode.eq_ignore_ascii_case("delete") {
            let reason = format!("journal mode is {mode}, and readers keep it from being changed");
            return Err(InPlaceError::Database { path: path.to_owned(), reason });
        }
        lock.execute_batch("BEGIN EXCLUSIVE")?;
        Ok(Locked { _lock: lock, file, path: path.to_owned() })
    }

    fn page_size(&self) -> Result<PageSize, InPlaceError> {
        let mut bytes = [0; DATABASE_HEADER_LEN];
        self.file.read_exact_at(&mut bytes, 0).map_err(io_error(&self.path))?;
        let header = DatabaseHeader::parse(&bytes);
        let header =
            header.map_err(|error| InPlaceError::Database { path: self.path.clone(), reason: error.to_string() })?;
        Ok(header.page_size)
    }

    /// Journals every page that changes or goes, then changes them. After an error the journal stays: the next to open the
    /// database rolls it back.
    fn change(&self, spool: &mut File, header: &Header) -> Result<(), InPlaceError> {
        let len = self.file.metadata().map_err(io_error(&self.path))?.len();
        let pages = u32::try_from(len / u64::from(header.page_size.get())).unwrap_or(u32::MAX);
        let mut journal = Journal::create(&self.path, header.page_size, pages)?;
        self.save_pages(&mut journal, spool, header, pages)?;
        journal.seal()?;
        self.write_pages(spool, header)?;
        self.file
            .set_len(u64::from(header.commit) * u64::from(header.page_size.get()))
            .map_err(io_error(&self.path))?;
        self.file.sync_all().map_err(io_error(&self.path))?;
        journal.remove()
    }

    fn save_pages(
        &self,
        journal: &mut Journal,
        spool: &mut File,
        header: &Header,
        pages: u32,
    ) -> Result<(), InPlaceError> {
        let (mut new, mut old) = (vec![0; header.page_size.bytes()], vec![0; header.page_size.bytes()]);
        let mut save = |pgno: Pgno| {
            let read = self.file.read_exact_at(&mut old, pgno.offset(header.page_size));
            read.map_err(io_error(&self.path))?;
            journal.save(pgno, &old)
        };
        save(Pgno::FIRST)?;
        let mut decoder = Decoder::new(rewound(spool)?)?;
        while let Some(pgno) = decoder.next_page(&mut new)? {
            if pgno != Pgno::FIRST && pgno.0 <= pages.min(header.commit) {
                save(pgno)?;
            }
        }
        let lock_page = lock_page(header.page_size);
        (header.commit.saturating_add(1)..=pages).map(Pgno).filter(|pgno| *pgno != lock_page).try_for_each(save)
    }

    fn write_pages(&self, spool: &mut File, header: &Header) -> Result<(), InPlaceError> {
        let mut first = vec![0; header.page_size.bytes()];
        self.file.read_exact_at(&mut first, 0).map_err(io_error(&self.path))?;
        let counter = first.get(CHANGE_COUNTER).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
        let mut page = vec![0; header.page_size.bytes()];
        let mut decoder = Decoder::new(rewound(spool)?)?;
        while let Some(pgno) = decoder.next_page(&mut page)? {
            if pgno == Pgno::FIRST {
                first.copy_from_slice(&page);
            } else if pgno.0 <= header.commit {
                let written = self.file.write_all_at(&page, pgno.offset(header.page_size));
                written.map_err(io_error(&self.path))?;
            }
        }
        // Readers look at the counter to know that what they remember is old; the versions say rollback mode.
        let counter = counter.wrapping_add(1).to_be_bytes();
        first[FORMAT_VERSIONS].copy_from_slice(&[1, 1]);
        first[CHANGE_COUNTER].copy_from_slice(&counter);
        first[PAGE_COUNT].copy_from_slice(&header.commit.to_be_bytes());
        first[VERSION_VALID_FOR].copy_from_slice(&counter);
        self.file.write_all_at(&first, 0).map_err(io_error(&self.path))
    }
}
