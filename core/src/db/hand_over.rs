//! Moving the read mark forward, without the write lock.
//!
//! Hand over hand: a second connection takes a read lock before the first lets go, so that there is no moment without a
//! reader. Safe because: if the second stands in the WAL, nobody restarts it meanwhile. If it stands at 0, every frame was in
//! the database file while the first still held its mark, so none lies above that mark, and what is committed later cannot
//! be moved into the file.
//!
//! Of a small database the first lets go and takes hold again. Everything up to then is copied; what is committed in between
//! may be moved into the file and its frames overwritten. Nobody can do that without restarting the WAL, with other salts:
//! then all pages are compared, as after an attach.

use super::copy::Copied;
use super::error::{DbError, Result};
use super::open::Connection;
use super::phase::{self, Phase};
use super::report::{Checkpoint, CheckpointMode, SyncReport};
use super::rules::{self, Rule, Step};
use super::{Db, preflight};
use crate::clock;

impl Db {
    /// One move, with a passive checkpoint in the middle of it. Does nothing if another program is in the way.
    pub(super) fn hand_over(&mut self, report: &mut SyncReport) -> Result<()> {
        let alone = self.is_small_database();
        if !alone {
            let Some(second) = self.second_reader()? else { return Ok(()) };
            self.attached_mut().second = Some(second);
            rules::passed(Step::Held);
        }
        if self.copy(report)? == Copied::Limited {
            self.release();
            report.more = true;
            return Ok(());
        }
        rules::passed(Step::Copied);
        let reached = self.reached();
        self.move_mark(report)?;
        if alone && !rules::is_off(Rule::Gap) {
            // As after an attach: what was moved into the file while nobody held anything is not protected.
            let published = self.attached().header()?.wal_position();
            self.attached_mut().owed = Some(published).filter(|published| !published.is_same_as(&reached));
        }
        // Beside a second connection not needed for safety: nothing behind its mark can be moved into the file. It spares what
        // was committed meanwhile the wait for the next pass.
        report.more |= self.copy(report)? == Copied::Limited;
        rules::passed(Step::Copied);
        self.release();
        Ok(())
    }

    fn is_small_database(&self) -> bool {
        let attachment = self.attached();
        let waiting = attachment.pending.as_ref().map(|batch| batch.commit);
        let pages = waiting.or(self.position.as_ref().map(|position| position.commit));
        let bytes = |pages: u32| u64::from(pages) * u64::from(attachment.page_size.get());
        pages.is_some_and(|pages| bytes(pages) <= self.settings.small_database_bytes)
    }

    /// Lets go of the read lock, checkpoints what can be, and takes a new one. The caller keeps the WAL in place meanwhile, or
    /// looks whether it stayed.
    pub(super) fn move_mark(&mut self, report: &mut SyncReport) -> Result<()> {
        self.unread();
        rules::passed(Step::Unread);
        self.checkpoint_passive(report);
        rules::passed(Step::Passive);
        self.attached_mut().begin_read()?;
        rules::passed(Step::Read);
        Ok(())
    }

    /// Lets go of the read lock.
    pub(super) fn unread(&mut self) {
        let attachment = self.attached_mut();
        attachment.rest = None;
        attachment.free_mark = None;
        attachment.main.rollback();
    }

    /// Copies what can be copied into the database file. "Busy" is a normal answer: somebody else is at it.
    pub(super) fn checkpoint_passive(&self, report: &mut SyncReport) {
        phase::enter(Phase::CheckpointPassive);
        let started = clock::monotonic();
        match self.attached().main.checkpoint_passive() {
            Ok(answer) => report.checkpoints.push(Checkpoint {
                mode: CheckpointMode::Passive,
                complete: !answer.busy && answer.frames == answer.backfilled,
                duration: clock::monotonic().saturating_duration_since(started),
            }),
            // The application's disk is in trouble, not ours: what is committed is still in the WAL.
            Err(error) => tracing::warn!(path = %self.files.path.display(), %error, "passive checkpoint failed"),
        }
    }

    /// Closes the second connection, if there is one, and with it whatever lock it held.
    pub(super) fn release(&mut self) {
        if let Some(second) = self.attached_mut().second.take() {
            second.rollback();
        }
        rules::passed(Step::Released);
    }

    /// A second connection with a read lock; `None` if it cannot be had at the moment.
    pub(super) fn second_reader(&self) -> Result<Option<Connection>> {
        let path = &self.files.path;
        let failed = |error| preflight::explain("open second connection", path, error);
        let second = Connection::open(path).map_err(failed)?;
        if rules::is_off(Rule::Hold) {
            return Ok(Some(second));
        }
        match second.begin_read() {
            Ok(()) => Ok(Some(second)),
            Err(error) if DbError::is_busy(&error) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}
