//! Detach: leave the database as the application expects it, and remember enough to recognise it.
//!
//! | at close | if we are the last connection |
//! |---|---|
//! | everything in the WAL is in the database file and copied | SQLite removes `-wal` and `-shm`; the database file is not touched |
//! | frames are left | everything stays; the next opener recovers and appends |

use super::Db;
use super::error::Result;
use super::position::WalPosition;
use super::report::SyncReport;

/// How many moves of the read mark are tried to get the whole WAL into the database file.
const MAX_MOVES: u32 = 2;

impl Db {
    /// The steps of [`Db::detach`]; after an error the caller closes the attachment.
    pub(super) fn detach_steps(&mut self, report: &mut SyncReport) -> Result<()> {
        self.sync_pass(report)?;
        // What is committed by now, and no more: an application that never pauses must not keep us here for ever.
        let goal = self.attached().header()?.wal_position();
        while report.more && !self.has_passed(goal) {
            report.more = false;
            self.sync_pass(report)?;
        }
        for _ in 0..MAX_MOVES {
            if !self.attached().is_mark_behind(self.reached()) {
                break;
            }
            self.hand_over(report)?;
            self.flush(report)?;
        }
        report.more = false;
        self.attached_mut().rest = None;
        self.note_rest()?;
        self.save_position()?;
        if let Some(newest) = self.newest {
            self.bring_checksums_forward(newest, true);
        }
        if self.attached().rest.is_some() {
            self.attached().main.checkpoint_on_close();
        }
        Ok(())
    }

    /// Whether everything up to `goal` is copied. Another generation is a later one.
    fn has_passed(&self, goal: WalPosition) -> bool {
        let reached = self.reached();
        reached.salt != goal.salt || reached.frames >= goal.frames
    }
}
