//! Copying what is committed from the WAL, from where we stand to the commit that the wal-index publishes.
//!
//! Little is taken into memory and written when nobody waits any more; much is written straight from the WAL, in bounded
//! files. Whatever does not chain exactly from our position to the published commit is settled by looking at every page.

use super::attachment::{Attachment, optional};
use super::batch::{self, Batch};
use super::error::{DbError, Result};
use super::growth::{self, Growth};
use super::l0::{self, L0Writer};
use super::log::{Log, Stretch, WalkError, Walked};
use super::page_map::PageMap;
use super::phase::{self, Phase};
use super::position::WalPosition;
use super::reread::Extent;
use super::rules::{self, Rule, Step};
use super::wal_index::IndexHeader;
use super::{Content, Db, Reason, SyncReport};
use crate::sqlite::frame_len;

/// What a copy did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copied {
    /// Everything published is written or waiting in memory.
    All,
    /// More is published than one file may take: call again.
    Limited,
    /// Only where nothing may be written: it cannot be had from the WAL into memory.
    NotNow,
}

/// How the published commit relates to where we stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Nothing,
    /// The WAL is restarted and empty.
    Emptied,
    /// Frames behind this position of the published generation.
    Frames(WalPosition),
    /// The WAL does not lead from our position to the published commit.
    Lost(Reason),
}

impl Db {
    /// Where everything that is written or waiting ends.
    pub(super) fn reached(&self) -> WalPosition {
        let waiting = self.attached().pending.as_ref().map(|batch| batch.end);
        waiting.unwrap_or_else(|| self.position.as_ref().expect("an attached database has a position").wal)
    }

    /// Pages in the database at the end of the newest file.
    fn old_commit(&self) -> u32 {
        self.position.as_ref().map_or(0, |position| position.commit)
    }

    /// One bounded step towards the published commit.
    pub(super) fn copy(&mut self, report: &mut SyncReport) -> Result<Copied> {
        phase::enter(Phase::SyncLtx);
        let header = self.attached().header()?;
        match self.news(&header) {
            News::Nothing => Ok(Copied::All),
            News::Emptied => {
                self.flush(report)?;
                self.enter_generation(header.salt);
                Ok(Copied::All)
            }
            News::Lost(reason) => self.reread(Extent::Difference, reason, report).map(|()| Copied::All),
            News::Frames(from) => {
                let stretch = Stretch::up_to(&header, from);
                if self.take(&stretch, batch::LIMIT_BYTES)? {
                    return Ok(Copied::All);
                }
                self.flush(report)?;
                self.write_from_wal(&stretch, report)
            }
        }
    }

    /// As [`Db::copy`], but only reads, and only into memory: for the time in which the write lock is held.
    pub(super) fn copy_into_memory(&mut self) -> Result<Copied> {
        let header = self.attached().header()?;
        match self.news(&header) {
            News::Nothing => Ok(Copied::All),
            News::Frames(from) => {
                let taken = self.take(&Stretch::up_to(&header, from), batch::LOCKED_LIMIT_BYTES)?;
                Ok(if taken { Copied::All } else { Copied::NotNow })
            }
            News::Emptied | News::Lost(_) => Ok(Copied::NotNow),
        }
    }

    /// Writes what waits in memory.
    pub(super) fn flush(&mut self, report: &mut SyncReport) -> Result<()> {
        let Some(batch) = self.attached_mut().pending.take() else { return Ok(()) };
        phase::enter(Phase::WriteLtxFromWal);
        let page_size = self.attached().page_size;
        let header = l0::header(page_size, batch.commit, self.next_txid(), batch.start..batch.end);
        let mut writer = L0Writer::create(&self.meta, &self.owner()?, &header)?;
        for (pgno, page) in batch.pages() {
            writer.put(pgno, page)?;
        }
        report.copied_wal_bytes += header.wal_size;
        self.publish(writer, &header, batch.end, Content::Commits, report).map(drop)
    }

    fn news(&self, header: &IndexHeader) -> News {
        let (reached, published) = (self.reached(), header.wal_position());
        if published.is_same_as(&reached) {
            return News::Nothing;
        }
        if published.salt == reached.salt {
            // The same generation never goes back, nor says something else about the same frame.
            let longer = published.frames > reached.frames;
            return if longer { News::Frames(reached) } else { News::Lost(Reason::WalNotContinued) };
        }
        if self.attached().owed.is_some() && !rules::is_off(Rule::Jump) {
            return News::Lost(Reason::WalRestarted);
        }
        if published.frames == 0 { News::Emptied } else { News::Frames(WalPosition::start_of(published.salt)) }
    }

    /// Whether a stretch is small enough to wait in memory, together with what waits already.
    fn is_small(&self, stretch: &Stretch, most: u64) -> bool {
        let attachment = self.attached();
        let start = match &attachment.pending {
            Some(batch) if batch.end.salt != stretch.to.salt => return false,
            Some(batch) => batch.start,
            None => stretch.from,
        };
        let bytes = Stretch { from: start, ..*stretch }.bytes(attachment.page_size);
        bytes <= most && self.settings.max_sync_wal_bytes.is_none_or(|limit| bytes <= limit)
    }

    /// Takes a small stretch into memory. False, with nothing changed: it is too large, or not to be had.
    fn take(&mut self, stretch: &Stretch, most: u64) -> Result<bool> {
        let old_commit = self.old_commit();
        if !self.is_small(stretch, most) {
            return Ok(false);
        }
        let Some(taken) = optional(self.attached().take(stretch, old_commit), &self.files.path)? else {
            return Ok(false);
        };
        let end = taken.end;
        let attachment = self.attached_mut();
        attachment.pending = match attachment.pending.take() {
            Some(waiting) => Some(waiting.followed_by(taken)),
            None => Some(taken),
        };
        attachment.settle_debt(end);
        Ok(true)
    }

    /// Writes one file straight from the WAL.
    fn write_from_wal(&mut self, stretch: &Stretch, report: &mut SyncReport) -> Result<Copied> {
        phase::enter(Phase::WriteLtxFromWal);
        let stretch = Stretch { limit_bytes: self.settings.max_sync_wal_bytes, ..*stretch };
        let path = self.files.path.clone();
        let old_commit = self.old_commit();
        let attachment = self.attached();
        let page_size = attachment.page_size;
        let log = attachment.log()?;
        let Some(found) = optional(find(&log, &stretch, old_commit), &path)? else {
            return self.reread(Extent::Difference, Reason::WalRestarted, report).map(|()| Copied::All);
        };
        rules::passed(Step::Proved);
        let header = l0::header(page_size, found.walked.commit, self.next_txid(), stretch.from..found.walked.end);
        let mut writer = L0Writer::create(&self.meta, &self.owner()?, &header)?;
        let written = found.write(attachment, &log, &mut writer);
        // A read mark at 0 does not stop the WAL from being restarted while everything in it is in the database. SQLite
        // changes the salts in the wal-index before it overwrites the first frame.
        let restarted = attachment.header()?.salt != stretch.to.salt && !rules::is_off(Rule::Reread);
        if restarted {
            drop(writer);
            return self.reread(Extent::Difference, Reason::WalRestarted, report).map(|()| Copied::All);
        }
        written.map_err(|error| error.at(&path))?;
        report.copied_wal_bytes += header.wal_size;
        self.publish(writer, &header, found.walked.end, Content::Commits, report)?;
        self.attached_mut().settle_debt(found.walked.end);
        Ok(if found.walked.end == stretch.to { Copied::All } else { Copied::Limited })
    }
}

/// A proved stretch: where its pages are.
struct Found {
    walked: Walked,
    map: PageMap,
    growth: Growth,
}

/// A failed read, or a failed write that already knows its file.
enum WriteError {
    Read(std::io::Error),
    Write(DbError),
}

impl WriteError {
    fn at(self, path: &std::path::Path) -> DbError {
        match self {
            WriteError::Read(error) => DbError::io("read wal", path, error),
            WriteError::Write(error) => error,
        }
    }
}

fn find(log: &Log<'_>, stretch: &Stretch, old_commit: u32) -> std::result::Result<Found, WalkError> {
    let mut map = PageMap::default();
    let walked = log.walk(stretch, |number, frame, _| map.insert(frame.pgno, number))?;
    let map = map.finish(walked.commit);
    let missing = growth::missing(old_commit, walked.commit, log.page_size, |pgno| map.get(pgno).is_some());
    let growth = Growth::find(log, stretch.from, stretch.order, missing)?;
    Ok(Found { walked, map, growth })
}

impl Found {
    /// Writes mapped and grown pages, both ascending, in one ascending order.
    fn write(
        &self,
        attachment: &Attachment,
        log: &Log<'_>,
        writer: &mut L0Writer,
    ) -> std::result::Result<(), WriteError> {
        let database = attachment.main.database_file().map_err(WriteError::Read)?;
        let mut page = vec![0; log.page_size.bytes()];
        let mut grown = self.growth.pages().iter().copied().peekable();
        for (pgno, frame) in self.map.iter() {
            while let Some(earlier) = grown.next_if(|&(grown, _)| grown < pgno) {
                growth::read(log, &database, earlier, &mut page).map_err(WriteError::Read)?;
                writer.put(earlier.0, &page).map_err(WriteError::Write)?;
            }
            log.read_page(frame, &mut page).map_err(WriteError::Read)?;
            writer.put(pgno, &page).map_err(WriteError::Write)?;
        }
        for rest in grown {
            growth::read(log, &database, rest, &mut page).map_err(WriteError::Read)?;
            writer.put(rest.0, &page).map_err(WriteError::Write)?;
        }
        Ok(())
    }
}

impl Attachment {
    /// The frames of a stretch, and the pages of a growth that neither they nor what waits already hold. Broken also if there
    /// are too many of these for memory.
    fn take(&self, stretch: &Stretch, old_commit: u32) -> std::result::Result<Batch, WalkError> {
        let log = Log { file: self.main.wal_file()?, page_size: self.page_size };
        let mut batch = Batch::starting_at(stretch.from);
        let walked = log.walk(stretch, |_, frame, page| batch.put(frame.pgno, page))?;
        batch.end = walked.end;
        batch.commit = walked.commit;
        let is_there = |pgno| batch.contains(pgno) || self.pending.as_ref().is_some_and(|older| older.contains(pgno));
        let missing = growth::missing(old_commit, walked.commit, self.page_size, is_there);
        if missing.is_empty() {
            return Ok(batch);
        }
        if missing.len() as u64 * frame_len(self.page_size) > batch::LIMIT_BYTES {
            return Err(WalkError::Broken);
        }
        let growth = Growth::find(&log, stretch.from, stretch.order, missing)?;
        let database = self.main.database_file()?;
        let mut page = vec![0; self.page_size.bytes()];
        for &grown in growth.pages() {
            growth::read(&log, &database, grown, &mut page)?;
            batch.put(grown.0, &page);
        }
        // These pages are not proved by the chain: see `Db::write_from_wal`.
        let restarted = self.peek().is_none_or(|header| header.salt != stretch.to.salt);
        if restarted { Err(WalkError::Broken) } else { Ok(batch) }
    }

    /// Forgets the debt once the judged commit is reached.
    fn settle_debt(&mut self, reached: WalPosition) {
        if self.owed.is_some_and(|owed| owed.salt == reached.salt && reached.frames >= owed.frames) {
            self.owed = None;
        }
    }
}
