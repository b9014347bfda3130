//! The safety rules that a test may leave out, to prove that it would notice; and the places at which a test may stop the
//! engine to let an application act.
//!
//! Without the `failpoints` feature, which no release has, nothing here does anything.

/// A rule that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Checkpoints that an application must not slip into happen under the write lock.
    Lock,
    /// The hand-over keeps a second read lock while the first is let go.
    Hold,
    /// After a moment without a read lock a restarted WAL is not trusted.
    Gap,
    /// "Folded" needs an unchanged stamp of the database file.
    Folded,
    /// The old last frame still lying there proves nothing.
    Tail,
    /// A restarted WAL is trusted only after everything that was judged has been copied.
    Jump,
    /// Salts of zero name no generation.
    Zero,
    /// A stretch of the WAL that may be restarted is looked at again after it was read.
    Reread,
}

/// A place between two steps of the engine, in the words of the line protocol of the schedule tester.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The verdict is made, nothing is copied yet.
    Judged,
    /// One commit is chosen, of which every page will be read.
    Looking,
    /// A stretch of the WAL was proved; its pages are still to be read.
    Proved,
    /// The second connection has its read lock.
    Held,
    /// The second connection has the write lock.
    Locked,
    /// Everything committed was copied.
    Copied,
    /// The first connection let go.
    Unread,
    /// The passive checkpoint is done.
    Passive,
    /// The first connection has a new read lock.
    Read,
    /// The second connection is closed.
    Released,
    /// The L0 file is in place; the position is not saved yet.
    Written,
}

#[cfg(feature = "failpoints")]
impl Step {
    /// Its failpoint.
    fn name(self) -> &'static str {
        match self {
            Step::Judged => "judged",
            Step::Looking => "looking",
            Step::Proved => "proved",
            Step::Held => "held",
            Step::Locked => "locked",
            Step::Copied => "copied",
            Step::Unread => "unread",
            Step::Passive => "passive",
            Step::Read => "read",
            Step::Released => "released",
            Step::Written => "written",
        }
    }
}

#[cfg(feature = "failpoints")]
pub use switched::{is_off, on_step, passed, racy_window, set_racy_window, switch_off};

#[cfg(feature = "failpoints")]
mod switched {
    use std::cell::RefCell;
    use std::sync::{Mutex, PoisonError};
    use std::time::Duration;

    use super::super::stamp::RACY as RACY_DEFAULT;
    use super::{Rule, Step};
    use crate::failpoint;

    static OFF: Mutex<Vec<Rule>> = Mutex::new(Vec::new());

    /// How old a time stamp must be; a test that knows its file system may lower it.
    static RACY: Mutex<Duration> = Mutex::new(RACY_DEFAULT);

    /// Lowers the age a time stamp must have, in the whole process.
    pub fn set_racy_window(window: Duration) {
        *RACY.lock().unwrap_or_else(PoisonError::into_inner) = window;
    }

    /// The age a time stamp must have.
    pub fn racy_window() -> Duration {
        *RACY.lock().unwrap_or_else(PoisonError::into_inner)
    }

    type Hook = Box<dyn FnMut(Step)>;

    thread_local! {
        static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
    }

    /// Leaves a rule out from now on, in the whole process.
    pub fn switch_off(rule: Rule) {
        OFF.lock().unwrap_or_else(PoisonError::into_inner).push(rule);
    }

    /// Whether a test left this rule out.
    pub fn is_off(rule: Rule) -> bool {
        OFF.lock().unwrap_or_else(PoisonError::into_inner).contains(&rule)
    }

    /// Calls `hook` at each step of every database that this thread works on.
    pub fn on_step(hook: impl FnMut(Step) + 'static) {
        HOOK.with_borrow_mut(|slot| *slot = Some(Box::new(hook)));
    }

    /// The engine is at this place.
    pub fn passed(step: Step) {
        failpoint::hit(step.name());
        HOOK.with_borrow_mut(|hook| {
            if let Some(hook) = hook {
                hook(step);
            }
        });
    }
}

/// Whether a test left this rule out.
#[cfg(not(feature = "failpoints"))]
pub(super) const fn is_off(_rule: Rule) -> bool {
    false
}

/// The age a time stamp must have.
#[cfg(not(feature = "failpoints"))]
pub(super) const fn racy_window() -> std::time::Duration {
    super::stamp::RACY
}

/// The engine is at this place.
#[cfg(not(feature = "failpoints"))]
pub(super) const fn passed(_step: Step) {}
