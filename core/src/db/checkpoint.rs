//! Checkpoints under the write lock, for the case that hand-overs do not shrink the WAL: an application that commits without a
//! pause always has one commit behind our mark. And the emergency truncation of a WAL file that grew huge.
//!
//! The lock is held for one small copy into memory and one passive checkpoint of what is left, and is hardly waited for. Much is
//! moved into the database by the hand-over, without the lock.

use std::time::Duration;

use super::copy::Copied;
use super::error::{DbError, Result};
use super::open::Connection;
use super::phase::{self, Phase};
use super::position::WalPosition;
use super::report::{Checkpoint, CheckpointMode, SyncReport};
use super::rules::{self, Rule, Step};
use super::{Db, DbSettings, preflight};
use crate::clock;
use crate::sqlite::{frame_len, frame_offset};

/// WAL bytes that a checkpoint under the lock may move: what applications without a pause commit between the hand-over and the
/// moment at which the lock is had. More was in place before, and is moved by the next hand-over.
const MOVED_LIMIT_BYTES: u64 = 64 << 20;

impl Db {
    /// Decides, after a hand-over, whether more is needed, and does it.
    pub(super) fn checkpoint_if_due(&mut self, report: &mut SyncReport) -> Result<()> {
        let reached = self.reached();
        if self.lock_above.salt != reached.salt {
            self.lock_above = WalPosition::start_of(reached.salt);
        }
        if self.attached().is_mark_behind(reached) && self.is_lock_due() {
            // The next try waits until the WAL has grown by as much again: a reader that stays would make each one vain. A
            // lock that could not be had is tried again sooner.
            self.lock_above = reached;
            self.last_rest = Some(clock::monotonic());
            // Under the lock there must be room in memory for what is committed until it is had.
            self.flush(report)?;
            report.more |= self.copy(report)? == Copied::Limited;
            if !self.checkpoint_under_lock(report)? {
                let step = self.settings.min_checkpoint_page_count;
                self.lock_above.frames = reached.frames.saturating_sub(step - step / 8);
            }
        }
        let reached = self.reached();
        if self.attached().is_mark_behind(reached) {
            self.warn_of_growth(reached.frames);
            return Ok(());
        }
        self.last_rest = Some(clock::monotonic());
        if self.settings.truncate_page_n.is_some_and(|limit| reached.frames >= limit) {
            self.truncate(report)?;
        }
        Ok(())
    }

    fn is_lock_due(&self) -> bool {
        let frames = self.reached().frames;
        let by_size = frames >= self.lock_above.frames.saturating_add(self.settings.min_checkpoint_page_count);
        let by_time = self.settings.checkpoint_interval.is_some_and(|interval| {
            self.last_rest.is_some_and(|last| clock::monotonic().saturating_duration_since(last) >= interval)
        });
        by_size || by_time
    }

    fn warn_of_growth(&self, frames: u32) {
        if self.settings.truncate_page_n.is_some_and(|limit| frames >= limit) {
            let wal_bytes = frame_offset(frames, self.attached().page_size);
            tracing::warn!(
                path = %self.files.path.display(),
                wal_bytes,
                "wal cannot shrink: a reader of the application stands in its way"
            );
        }
    }

    /// With the write lock held, nothing can be committed between the copy and the checkpoint. False: the lock was not to be
    /// had, or more had come meanwhile than fits into memory, or more is left to move than is done soon: a reader that had
    /// kept a large WAL in place may end this very moment.
    fn checkpoint_under_lock(&mut self, report: &mut SyncReport) -> Result<bool> {
        let is_emergency = self.settings.truncate_page_n.is_some_and(|limit| self.reached().frames >= limit);
        let patience = if is_emergency { DbSettings::EMERGENCY_TIMEOUT } else { DbSettings::PROBE_TIMEOUT };
        phase::enter(Phase::CheckpointLock);
        let Some(second) = self.second_writer(patience)? else { return Ok(false) };
        let locked = clock::monotonic();
        self.attached_mut().second = Some(second);
        rules::passed(Step::Locked);
        let outcome = self.checkpoint_locked(report);
        self.release();
        report.write_lock_held += clock::monotonic().saturating_duration_since(locked);
        outcome
    }

    /// A second connection with the write lock; `None` if somebody else had it all the time.
    pub(super) fn second_writer(&self, patience: Duration) -> Result<Option<Connection>> {
        let path = &self.files.path;
        let failed = |error| preflight::explain("open second connection", path, error);
        let second = Connection::open(path).map_err(failed)?;
        if rules::is_off(Rule::Lock) {
            return Ok(Some(second));
        }
        match second.begin_write(patience) {
            Ok(()) => Ok(Some(second)),
            Err(error) if DbError::is_busy(&error) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn checkpoint_locked(&mut self, report: &mut SyncReport) -> Result<bool> {
        if self.copy_into_memory()? == Copied::NotNow || !self.is_nearly_folded()? {
            return Ok(false);
        }
        rules::passed(Step::Copied);
        self.move_mark(report)?;
        let reached = self.reached();
        self.attached_mut().note_rest(reached)?;
        Ok(true)
    }

    /// Whether a checkpoint has little to move.
    fn is_nearly_folded(&self) -> Result<bool> {
        let header = self.attached().header()?;
        let left = u64::from(header.frames.saturating_sub(header.backfilled));
        Ok(left * frame_len(self.attached().page_size) <= MOVED_LIMIT_BYTES)
    }

    /// Gives the space of a huge WAL file back. Everything in it is in the database and copied, and our mark at 0 keeps the
    /// checkpoint from touching anything that is committed meanwhile; it then answers "busy", at once.
    fn truncate(&mut self, report: &mut SyncReport) -> Result<()> {
        self.flush(report)?;
        let path = &self.files.path;
        let failed = |error| preflight::explain("open second connection", path, error);
        let second = Connection::open(path).map_err(failed)?;
        let locked = clock::monotonic();
        phase::enter(Phase::CheckpointTruncate);
        match second.checkpoint_truncate() {
            Ok(answer) => {
                let duration = clock::monotonic().saturating_duration_since(locked);
                report.write_lock_held += duration;
                let complete = !answer.busy;
                report.checkpoints.push(Checkpoint { mode: CheckpointMode::Truncate, complete, duration });
            }
            Err(error) if DbError::is_busy(&error) => {}
            Err(error) => tracing::warn!(path = %path.display(), %error, "truncate checkpoint failed"),
        }
        drop(second);
        report.more |= self.copy(report)? == Copied::Limited;
        Ok(())
    }
}
