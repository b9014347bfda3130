//! Attach: open SQLite, take the read lock, and only then look and judge. All looks come after the lock, and judging and
//! copying use one and the same wal-index header.

use std::fs;
use std::path::Path;

use super::attachment::Attachment;
use super::error::{DbError, DbErrorKind, Result};
use super::open::Connection;
use super::position::WalPosition;
use super::report::{Reason, SyncReport};
use super::reread::Extent;
use super::rules::{self, Step};
use super::stamp::{Identity, Stamp};
use super::verdict::{Seen, Verdict, judge};
use super::wal_index::{IndexHeader, WalIndex};
use super::{Db, DbSettings, preflight, takeover};
use crate::clock;
use crate::sqlite::{DATABASE_HEADER_LEN, DatabaseHeader, Salt};

/// How often a file may be replaced while it is being opened.
const MAX_TRIES: u32 = 3;

/// What was seen at the moment of the lock.
struct Looks {
    stamp: Stamp,
    header: IndexHeader,
}

impl Db {
    /// Opens the database and brings the position into the present WAL, or writes what it takes to have one.
    pub(super) fn attach(&mut self, report: &mut SyncReport) -> Result<()> {
        let (verdict, header) = self.open_and_judge(report)?;
        rules::passed(Step::Judged);
        self.follow(verdict, &header, report)
    }

    /// Takes the read lock and judges; the header returned is the one that was judged.
    pub(super) fn open_and_judge(&mut self, report: &mut SyncReport) -> Result<(Verdict, IndexHeader)> {
        for _ in 0..MAX_TRIES {
            let Some((attachment, looks)) = self.open_attachment(report)? else { continue };
            self.attachment = Some(attachment);
            self.last_rest = Some(clock::monotonic());
            let verdict = self.verdict(&looks)?;
            tracing::debug!(path = %self.files.path.display(), ?verdict, "attached");
            return Ok((verdict, looks.header));
        }
        Err(DbError::new(DbErrorKind::Moving, "open database", &self.files.path))
    }

    /// `None`: another file took the name meanwhile.
    fn open_attachment(&self, report: &mut SyncReport) -> Result<Option<(Attachment, Looks)>> {
        let path = &self.files.path;
        preflight::check(path, &self.settings)?;
        preflight::warn_of_hot_journal(path);
        let failed = |error| preflight::explain("open database", path, error);
        let main = Connection::open(path).map_err(failed)?;
        main.begin_read().map_err(failed)?;
        if main.is_read_only().map_err(failed)? {
            return Err(DbError::new(DbErrorKind::NoPermission, "open database", path).because("may only be read"));
        }
        let mut database = read_header(&main, path)?;
        if !database.is_wal {
            convert_to_wal(&main, path, &self.settings)?;
            report.converted_to_wal = true;
            main.begin_read().map_err(failed)?;
            database = read_header(&main, path)?;
        }
        let wal_index = WalIndex::of(&main).map_err(failed)?;
        let metadata = fs::metadata(path).map_err(|error| DbError::io("open database", path, error))?;
        let (identity, page_size) = (Identity::of(&metadata), database.page_size);
        let attachment = Attachment::new(main, wal_index, path, identity, page_size);
        let looks = Looks { stamp: Stamp::of(&metadata), header: attachment.header()? };
        // The page size in the wal-index is that of the WAL file, if there is one.
        let agrees = looks.header.frames == 0 || looks.header.page_size == Some(page_size);
        if attachment.has_moved()? || !agrees {
            return Ok(None);
        }
        Ok(Some((attachment, looks)))
    }

    fn verdict(&mut self, looks: &Looks) -> Result<Verdict> {
        if self.behind.is_some() {
            return Ok(Verdict::Full(Reason::BehindReplica));
        }
        let Some(newest) = self.newest else { return Ok(Verdict::Full(Reason::First)) };
        let (identity, page_size) = (self.attached().identity, self.attached().page_size);
        if self.position.is_none() {
            if self.saved.as_ref().is_some_and(|(_, lagging)| lagging.identity != identity) {
                return Ok(Verdict::Full(Reason::Replaced));
            }
            let path = self.meta.l0_path(newest.txid);
            match takeover::verify(self.attached(), &looks.header, &path, &self.files.path)? {
                Some(position) => self.position = Some(position),
                None => return Ok(Verdict::Differs(Reason::WalNotContinued)),
            }
        }
        let Some(position) = &self.position else { return Ok(Verdict::Full(Reason::First)) };
        let read = |error| DbError::io("read wal", &self.files.path, error);
        let frame = self.attached().log()?.frame_header(position.wal.frames).map_err(read)?;
        let frame_at_position = frame.map(|frame| (frame.salt, frame.checksum));
        let seen = Seen { identity, stamp: looks.stamp, page_size, header: looks.header, frame_at_position };
        Ok(judge(Some(position), &seen))
    }

    /// Does what the verdict asks for, short of copying the WAL.
    pub(super) fn follow(&mut self, verdict: Verdict, header: &IndexHeader, report: &mut SyncReport) -> Result<()> {
        match verdict {
            Verdict::Full(reason) => return self.reread(Extent::Full, reason, report),
            Verdict::Differs(reason) => return self.reread(Extent::Difference, reason, report),
            Verdict::Continues => {}
            Verdict::Folded => self.enter_generation(header.salt),
        }
        let judged = header.wal_position();
        let reached = self.reached();
        self.attached_mut().owed = Some(judged).filter(|judged| !judged.is_same_as(&reached));
        Ok(())
    }

    /// Stands before the first frame of a generation whose base is what we have.
    pub(super) fn enter_generation(&mut self, salt: Salt) {
        if let Some(position) = &mut self.position {
            position.wal = WalPosition::start_of(salt);
        }
    }
}

fn read_header(connection: &Connection, path: &Path) -> Result<DatabaseHeader> {
    let mut bytes = [0; DATABASE_HEADER_LEN];
    let file = connection.database_file().map_err(|error| DbError::io("read database header", path, error))?;
    file.read_at(&mut bytes, 0).map_err(|error| DbError::io("read database header", path, error))?;
    DatabaseHeader::parse(&bytes)
        .map_err(|error| DbError::new(DbErrorKind::NotADatabase, "read database header", path).because(error))
}

/// The one change the program makes to a database.
fn convert_to_wal(connection: &Connection, path: &Path, settings: &DbSettings) -> Result<()> {
    connection.rollback();
    let refused = |error| preflight::explain("change journal mode to wal", path, error);
    connection.sqlite.busy_timeout(settings.busy_timeout).map_err(refused)?;
    let mode: String =
        connection.sqlite.query_row("PRAGMA journal_mode = wal", [], |row| row.get(0)).map_err(refused)?;
    connection.sqlite.busy_timeout(DbSettings::PROBE_TIMEOUT).map_err(refused)?;
    if mode != "wal" {
        let error = DbError::new(DbErrorKind::NotWal, "change journal mode to wal", path);
        return Err(error.because(format!("enable wal failed, mode={mode:?}")));
    }
    Ok(())
}
