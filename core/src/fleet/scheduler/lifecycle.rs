//! Coming and going: rows that are added, removed, stopped and started while the fleet runs.
//!
//! A file has one row, under one name: SQLite in this process must never open it under two, where it would mix the files
//! beside them. A file that was moved waits under its new name until the old one has let go of it.
//!
//! A removal is ordinary work: a last local run, a last upload, and the row is forgotten whatever they gave. So it
//! delays nobody, and a path that comes back is never stuck.

use std::path::PathBuf;
use std::time::Duration;

use super::super::due::Tick;
use super::super::hot_set::HotDb;
use super::super::record::{DbId, EntryId, Flags, Identity, Lane, Phase, Record};
use super::super::saved_state::SavedState;
use super::{Event, Forgotten, Scheduler};

/// A new database whose replica answers slowly is synced locally all the same after this time.
const GRACE: Duration = Duration::from_secs(2);

/// What is known of a database when it is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Nothing: look at its replica, then sync it.
    New,
    /// Saved state, and the files are as they were: nothing to do.
    Unchanged,
    /// Saved state, and the files changed since: sync it.
    Changed,
    /// No file stands at its path.
    Missing,
}

/// Another name of a file that has a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherName {
    /// Which entry covers it.
    pub entry: EntryId,
    /// The name.
    pub path: PathBuf,
    /// The file.
    pub identity: Identity,
}

impl<D: HotDb> Scheduler<D> {
    /// A file cannot be added under this name while row `id` has it. [`Event::Returned`] follows when it can.
    pub fn add_when_free(&mut self, id: DbId, name: OtherName) {
        let names = self.other_names.entry(id).or_default();
        if !names.contains(&name) {
            names.push(name);
        }
        // The file was moved, most likely. Who has it open lets go of it as soon as that is seen.
        self.touch(id);
    }

    /// Tells of the names whose file a row has let go of.
    pub(super) fn free_names(&mut self, id: DbId) {
        let Some(names) = self.other_names.remove(&id) else { return };
        let held = self.table.get(id).map(|record| (record.identity, record.flags.has(Flags::HOT)));
        let is_held = |name: &OtherName| match held {
            Some((identity, hot)) => hot || identity == Some(name.identity),
            None => false,
        };
        let (held, free): (Vec<_>, Vec<_>) = names.into_iter().partition(is_held);
        if !held.is_empty() {
            self.other_names.insert(id, held);
        }
        self.events.extend(free.into_iter().map(|name| Event::Returned(name.entry, name.path)));
    }

    /// Plans the first work of a row that was just added.
    pub fn admit(&mut self, id: DbId, admission: Admission, now: Tick) {
        if let Some(record) = self.table.get_mut(id) {
            record.flags.set(Flags::MISSING, admission == Admission::Missing);
            record.flags.set(Flags::SYNCED, admission == Admission::Unchanged);
        }
        let monitored = |scheduler: &Self, record: &Record| {
            scheduler.timing(record.entry).is_some_and(|timing| timing.monitor_interval.is_some())
        };
        if !self.table.get(id).is_some_and(|record| monitored(self, record)) {
            return;
        }
        let Some(record) = self.table.get_mut(id) else { return };
        match admission {
            Admission::New => {
                self.want(id, Lane::Upload, now);
                self.want(id, Lane::Local, now.after(GRACE));
            }
            Admission::Changed => self.want(id, Lane::Local, now),
            Admission::Unchanged => {
                if !record.uploaded() {
                    self.want(id, Lane::Upload, now);
                }
                self.plan_levels(id, now);
            }
            Admission::Missing => {}
        }
    }

    /// Begins the removal of a row. Its end is [`Event::Forgotten`].
    pub fn remove(&mut self, id: DbId, now: Tick) {
        self.returning.remove(&id);
        let Some(record) = self.table.get_mut(id) else { return };
        if record.flags.has(Flags::REMOVING) {
            return;
        }
        record.flags.set(Flags::REMOVING, true);
        record.flags.set(Flags::STOPPED, false);
        self.urge(id, Lane::Local, now);
    }

    /// The path of a row that is being removed is wanted again, under `entry`; the first who wants it gets it. True if the
    /// row is being removed.
    pub fn returned(&mut self, id: DbId, entry: EntryId) -> bool {
        let removing = self.table.get(id).is_some_and(|record| record.flags.has(Flags::REMOVING));
        if removing {
            self.returning.entry(id).or_insert(entry);
        }
        removing
    }

    /// Under which entry the path of a row that is being removed comes back.
    pub fn comes_back(&self, id: DbId) -> Option<EntryId> {
        self.returning.get(&id).copied()
    }

    /// The paths that wait to come back under an entry do not come back. Gives their rows.
    pub fn stay_away(&mut self, entry: EntryId) -> Vec<DbId> {
        self.returning.extract_if(|_, wanted| *wanted == entry).map(|(id, _)| id).collect()
    }

    /// After each run of a lane of a row that is being removed: what is left to do, or the end.
    pub(super) fn end_removal(&mut self, id: DbId, lane: Lane, now: Tick) {
        let Some(record) = self.table.get_mut(id) else { return };
        if !record.flags.has(Flags::REMOVING) {
            return;
        }
        if lane == Lane::Local && record.flags.has(Flags::HOT) {
            // A run that had begun before the removal: what it attached is still to be let go of.
            self.urge(id, Lane::Local, now);
            return;
        }
        if lane == Lane::Local {
            record.flags.set(Flags::FINISHED, true);
            let failed = record.lane(Lane::Local).failures > 0;
            if !record.uploaded() && !failed {
                self.urge(id, Lane::Upload, now);
                let waiting = self.table.get(id).is_some_and(|record| {
                    let upload = record.lane(Lane::Upload);
                    upload.phase != Phase::Idle || upload.due != Tick::NEVER
                });
                if waiting {
                    return;
                }
            }
        }
        self.forget_at_rest(id);
    }

    fn forget_at_rest(&mut self, id: DbId) {
        let Some(record) = self.table.get(id) else { return };
        let running = |lane| record.lane(lane).phase == Phase::Running;
        if !record.flags.has(Flags::FINISHED) || Lane::ALL.into_iter().any(running) {
            return;
        }
        let path = self.table.path(id);
        let failures: Vec<_> = Lane::ALL.into_iter().filter_map(|lane| self.failures.remove(&(id, lane))).collect();
        let failure = failures.into_iter().next().map(|failure| failure.message);
        let returning = self.returning.remove(&id);
        self.full_files.remove(&id);
        self.full_from.remove(&id);
        if let Some(record) = self.table.remove(id) {
            self.events.push(Event::Forgotten(id, Box::new(Forgotten { record, path: path.clone(), failure })));
        }
        if let Some(entry) = returning {
            self.events.push(Event::Returned(entry, path));
        }
        self.free_names(id);
    }

    /// Asks for a local run and an upload now, whatever the pace, and whatever the stamp says.
    pub fn request(&mut self, id: DbId, now: Tick) {
        if let Some(record) = self.table.get_mut(id) {
            record.flags.set(Flags::FORCED, true);
        }
        self.urge(id, Lane::Local, now);
        self.urge(id, Lane::Upload, now);
    }

    /// True if something of a database is still to be brought to its replica, and can be.
    pub fn unfinished(&self, id: DbId, single_attempt: bool) -> bool {
        let Some(record) = self.table.get(id) else { return false };
        let stopped = record.flags.has(Flags::STOPPED) || record.flags.has(Flags::CONFLICT);
        let failed = record.lane(Lane::Local).failures > 0 || record.lane(Lane::Upload).failures > 0;
        let busy = |lane| {
            let state = record.lane(lane);
            state.phase != Phase::Idle || state.again || state.due != Tick::NEVER
        };
        match failed {
            _ if stopped => false,
            true if single_attempt => false,
            _ => busy(Lane::Local) || busy(Lane::Upload) || !record.uploaded(),
        }
    }

    /// From now on attached databases are detached, whatever else is to be done.
    pub fn detach_all(&mut self, now: Tick) {
        self.detaching = true;
        for id in self.hot.ids() {
            self.urge(id, Lane::Local, now);
        }
    }

    /// What to save of a database, if it has come to rest (cold, uploaded, proven by its stamp) and is not saved yet.
    pub fn take_rested(&mut self, id: DbId) -> Option<SavedState> {
        let record = self.table.get_mut(id)?;
        let flags = record.flags;
        let settled = record.stamp != 0 && !flags.has(Flags::UNSETTLED) && !flags.has(Flags::HOT);
        let known = flags.has(Flags::CONTACTED) && !flags.has(Flags::SAVED);
        let idle = |lane| record.lane(lane).phase == Phase::Idle && record.lane(lane).failures == 0;
        if !settled || !known || !record.uploaded() || !idle(Lane::Local) || !idle(Lane::Upload) {
            return None;
        }
        record.flags.set(Flags::SAVED, true);
        Some(SavedState::of(record))
    }

    /// Stops all work of a database, or allows it again. One that is attached is detached first.
    pub fn set_stopped(&mut self, id: DbId, stopped: bool, now: Tick) {
        let Some(record) = self.table.get_mut(id) else { return };
        record.flags.set(Flags::STOPPED, stopped);
        if stopped {
            self.urge(id, Lane::Local, now);
        } else {
            record.flags.set(Flags::CONFLICT, false);
            record.flags.set(Flags::CONTACTED, false);
            record.flags.set(Flags::FORCED, true);
            for lane in Lane::ALL {
                self.urge(id, lane, now);
            }
        }
    }
}
