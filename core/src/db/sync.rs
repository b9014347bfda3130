//! One pass over one database: attach if needed, copy, move the read mark, checkpoint when due, write, save.

use super::Db;
use super::copy::Copied;
use super::error::Result;
use super::phase::{self, Phase};
use super::report::{Reason, SyncReport};
use super::reread::Extent;
use crate::sqlite::frame_offset;

impl Db {
    /// The steps of [`Db::sync`]; after an error the caller closes the attachment.
    pub(super) fn sync_pass(&mut self, report: &mut SyncReport) -> Result<()> {
        phase::enter(Phase::Verify);
        self.leave_if_moved()?;
        if self.attachment.is_none() {
            phase::enter(Phase::EnsureWal);
            self.attach(report)?;
        } else if self.behind.is_some() {
            self.reread(Extent::Full, Reason::BehindReplica, report)?;
        } else if self.was_overwritten()? {
            self.reread(Extent::Difference, Reason::ChangedInPlace, report)?;
        }
        if self.copy(report)? == Copied::Limited {
            report.more = true;
            return Ok(());
        }
        if self.attached().is_mark_behind(self.reached()) {
            self.hand_over(report)?;
        }
        if !report.more {
            phase::enter(Phase::CheckpointIfNeeded);
            self.checkpoint_if_due(report)?;
        }
        self.flush(report)?;
        self.note_rest()
    }

    /// Another file at the path is another database: this one is closed, and judged to be replaced at the next attach.
    fn leave_if_moved(&mut self) -> Result<()> {
        if let Some(attachment) = &self.attachment
            && attachment.has_moved()?
        {
            tracing::info!(path = %self.files.path.display(), "database file was replaced or removed");
            self.abandon();
        }
        Ok(())
    }

    /// Whether the database file changed although nobody had a reason to write it.
    fn was_overwritten(&self) -> Result<bool> {
        let attachment = self.attached();
        match attachment.rest {
            Some(rest) => Ok(attachment.stamp()?.is_some_and(|now| now != rest)),
            None => Ok(false),
        }
    }

    /// Notes that the database file alone is what we have, and saves that once a later write is certain to show.
    pub(super) fn note_rest(&mut self) -> Result<()> {
        let reached = self.reached();
        if self.attached().rest.is_none() {
            self.attached_mut().note_rest(reached)?;
        }
        let rest = self.attached().rest.filter(super::Stamp::is_settled);
        match &mut self.position {
            Some(position) if rest.is_some() && position.folded != rest => {
                position.folded = rest;
                self.save_position()
            }
            _ => Ok(()),
        }
    }

    /// What the pass leaves behind.
    pub(super) fn complete(&self, report: &mut SyncReport) {
        report.txid = self.txid();
        if let (Some(attachment), Some(position)) = (&self.attachment, &self.position) {
            report.unsettled = attachment.is_mark_behind(position.wal);
            report.wal_bytes = frame_offset(position.wal.frames, position.page_size);
            report.database_bytes = u64::from(position.commit) * u64::from(position.page_size.get());
        }
    }
}
