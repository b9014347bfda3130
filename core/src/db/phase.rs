//! Which step of its work a thread is at, for people who look at a database that hangs: in `fsync` on a dead disk, say.
//!
//! Whoever runs a database gives the thread a place to note it; a step notes itself there with two stores.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};

use crate::clock::{self, UnixMillis};

/// A step. Its text is the reference's word for what it does there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Taken up by a worker.
    Starting,
    /// Opens SQLite, takes the read lock, judges.
    EnsureWal,
    /// Looks whether the file was replaced or overwritten.
    Verify,
    /// Reads new frames.
    SyncLtx,
    /// Writes every page, or those that differ.
    WriteLtxFromDb,
    /// Writes what was copied from the WAL.
    WriteLtxFromWal,
    /// Finishes the file.
    CloseLtx,
    /// Makes it durable.
    FsyncLtx,
    /// Gives it its name.
    RenameLtx,
    /// Decides what the WAL needs.
    CheckpointIfNeeded,
    /// Waits for the write lock.
    CheckpointLock,
    /// A passive checkpoint.
    CheckpointPassive,
    /// A truncating checkpoint.
    CheckpointTruncate,
    /// Closes SQLite.
    Detach,
}

impl Phase {
    const ALL: [Phase; 14] = [
        Phase::Starting,
        Phase::EnsureWal,
        Phase::Verify,
        Phase::SyncLtx,
        Phase::WriteLtxFromDb,
        Phase::WriteLtxFromWal,
        Phase::CloseLtx,
        Phase::FsyncLtx,
        Phase::RenameLtx,
        Phase::CheckpointIfNeeded,
        Phase::CheckpointLock,
        Phase::CheckpointPassive,
        Phase::CheckpointTruncate,
        Phase::Detach,
    ];

    /// One word; `detach` is ours.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::EnsureWal => "ensure_wal",
            Phase::Verify => "verify",
            Phase::SyncLtx => "sync_ltx",
            Phase::WriteLtxFromDb => "write_ltx_from_db",
            Phase::WriteLtxFromWal => "write_ltx_from_wal",
            Phase::CloseLtx => "close_ltx",
            Phase::FsyncLtx => "fsync_ltx",
            Phase::RenameLtx => "rename_ltx",
            Phase::CheckpointIfNeeded => "checkpoint_if_needed",
            Phase::CheckpointLock => "checkpoint_lock",
            Phase::CheckpointPassive | Phase::CheckpointTruncate => "checkpoint_exec",
            Phase::Detach => "detach",
        }
    }

    /// `PASSIVE` or `TRUNCATE`, while there is a checkpoint.
    pub fn checkpoint_mode(self) -> Option<&'static str> {
        match self {
            Phase::CheckpointPassive => Some("PASSIVE"),
            Phase::CheckpointTruncate => Some("TRUNCATE"),
            _ => None,
        }
    }
}

/// The place where a thread notes its steps.
#[derive(Debug)]
pub struct Activity {
    phase: AtomicU8,
    updated_at: AtomicI64,
}

thread_local! {
    static NOTED: RefCell<Option<Arc<Activity>>> = const { RefCell::new(None) };
}

impl Activity {
    /// A run that begins.
    pub fn starting() -> Arc<Activity> {
        Arc::new(Activity { phase: AtomicU8::new(0), updated_at: AtomicI64::new(clock::unix_millis()) })
    }

    /// Does work whose steps are noted here.
    pub fn observe<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        NOTED.set(Some(Arc::clone(self)));
        // Also after a panic: what the thread does next is another run.
        let _end = End;
        work()
    }

    /// The present step, and since when.
    pub fn now(&self) -> (Phase, UnixMillis) {
        let phase = Phase::ALL.get(usize::from(self.phase.load(Ordering::Relaxed))).copied();
        (phase.unwrap_or(Phase::Starting), self.updated_at.load(Ordering::Relaxed))
    }
}

struct End;

impl Drop for End {
    fn drop(&mut self) {
        NOTED.set(None);
    }
}

/// The thread goes on to a step.
pub(super) fn enter(phase: Phase) {
    NOTED.with_borrow(|noted| {
        if let Some(activity) = noted {
            activity.phase.store(phase as u8, Ordering::Relaxed);
            activity.updated_at.store(clock::unix_millis(), Ordering::Relaxed);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_noted_where_the_work_belongs_and_nowhere_after_it() {
        for (number, phase) in Phase::ALL.into_iter().enumerate() {
            assert_eq!(phase as usize, number);
        }
        let (one, other) = (Activity::starting(), Activity::starting());
        one.observe(|| enter(Phase::FsyncLtx));
        enter(Phase::Detach);
        let panicked =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| other.observe(|| panic!("on purpose"))));
        assert!(panicked.is_err());
        enter(Phase::Detach);
        assert_eq!((one.now().0, other.now().0), (Phase::FsyncLtx, Phase::Starting));
        assert_eq!((Phase::CheckpointTruncate.as_str(), Phase::FsyncLtx.checkpoint_mode()), ("checkpoint_exec", None));
    }
}
