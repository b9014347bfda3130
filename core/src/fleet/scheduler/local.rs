//! The local lane: WAL to LTX, attaching under the ceiling of the hot set, detaching what is quiet.

use std::cmp::Reverse;
use std::path::PathBuf;
use std::time::Duration;

use crate::ltx::Txid;

use super::super::due::Tick;
use super::super::hot_set::HotDb;
use super::super::record::{DbId, EntryId, Flags, Identity, Lane, Phase};
use super::Scheduler;

/// A WAL is written before its commit is published, so the first look after an event often comes too early. Looks
/// after 1, 2, 4 .. 64, 64 .. ms, for about a second, cost nanoseconds each and cover the fsync in between.
const LOOKS: u8 = 20;

/// File times younger than two seconds prove nothing; and what a reader or writer kept us from tidying is tried again.
const SETTLE: Duration = Duration::from_secs(3);

/// How long a database without news stays attached where many are: until a later look at its files alone can be a proof.
const QUIET_IN_A_CROWD: Duration = Duration::from_millis(2250);

/// The longest pause between two looks, as a power of two of milliseconds.
const LONGEST_PAUSE: u8 = 6;

/// After so much time without work the runtime has ended its threads for blocking work (10 s), and memory that they held is
/// free for all.
const GIVE_BACK_AFTER: Duration = Duration::from_secs(15);

/// Looks of many databases are at the same moments, or the timer would wake up for each.
const LOOK_GRID: u64 = 2;

/// A unit of blocking work on one database, for a worker thread.
pub struct LocalWork<D> {
    /// Whose.
    pub id: DbId,
    /// Its file.
    pub path: PathBuf,
    /// Its configuration entry.
    pub entry: EntryId,
    /// When it was taken.
    pub started: Tick,
    /// Another database to detach first, to make room.
    pub evict: Option<Evicted<D>>,
    /// What to do.
    pub action: LocalAction<D>,
}

/// A database that gives way to another one.
pub struct Evicted<D> {
    /// Whose.
    pub id: DbId,
    /// Its file.
    pub path: PathBuf,
    /// Its configuration entry.
    pub entry: EntryId,
    /// Its attachment.
    pub db: D,
}

/// What to do with a database.
pub enum LocalAction<D> {
    /// Bring the local LTX files up to date.
    Sync {
        /// Its attachment, if it has one.
        db: Option<D>,
        /// Nothing to do if the file still has this stamp (0: look closer anyway).
        stamp: u64,
        /// The next file must be a full one above this TXID.
        full_above: Option<Txid>,
        /// The highest TXID that was ever given to this database, as far as the fleet knows.
        known: Txid,
    },
    /// Give the descriptors back.
    Detach {
        /// Its attachment.
        db: D,
    },
    /// Bring the local LTX files up to date a last time, and let go.
    Finish {
        /// Its attachment, if it has one.
        db: Option<D>,
        /// As in `Sync`.
        known: Txid,
    },
}

impl<D> LocalAction<D> {
    /// True if SQLite has the file open already.
    pub fn is_attached(&self) -> bool {
        match self {
            LocalAction::Sync { db, .. } | LocalAction::Finish { db, .. } => db.is_some(),
            LocalAction::Detach { .. } => true,
        }
    }
}

/// How local work ended.
pub struct LocalDone<D> {
    /// The database, if it is attached now.
    pub db: Option<D>,
    /// What came of it.
    pub result: Result<LocalReport, LocalFailure>,
    /// The stamp to compare with, see [`Record::stamp`](super::super::record::Record::stamp).
    pub stamp: u64,
    /// An equal stamp proves that nothing happened. False: look again soon, whatever the stamp says.
    pub settled: bool,
    /// Which file was found at the path.
    pub identity: Option<Identity>,
}

/// What good local work found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalReport {
    /// Up to date, or as far as one run may go.
    Synced {
        /// The newest local LTX file.
        txid: Txid,
        /// At least one file was written.
        wrote: bool,
        /// The full file that was asked for.
        full: Option<Txid>,
        /// More is waiting.
        more: bool,
        /// Something is left to tidy: come again in a while, even without news.
        unsettled: bool,
    },
    /// The stamp was the old one.
    Unchanged,
    /// No file at the path.
    Missing,
}

/// Why local work failed.
#[derive(Clone, Debug)]
pub struct LocalFailure {
    /// For a person.
    pub message: String,
    /// Only a change of the file can help (it is not a database, say): a change ends the back-off.
    pub until_change: bool,
}

impl<D: HotDb> Scheduler<D> {
    /// Somebody wrote to the database or its WAL. A hint: it may be too early to see anything. True if that planned
    /// something new; a database that is written to all the time has its next run planned already.
    pub fn changed(&mut self, id: DbId, now: Tick) -> bool {
        let Some(record) = self.table.get(id) else { return false };
        let monitored = self.timing(record.entry).is_some_and(|timing| timing.monitor_interval.is_some());
        let flags = record.flags;
        if self.closing || !monitored || flags.has(Flags::STOPPED) {
            return false;
        }
        if flags.has(Flags::MISSING) {
            return self.touch(id);
        }
        match self.hot.get(id) {
            Some(db) if db.has_news() => self.want_sooner(id, now),
            Some(_) => self.start_looking(id, now),
            None => self.want_sooner(id, now) | self.start_looking(id, now),
        }
    }

    /// Wants a local run. True if none was planned for as soon.
    fn want_sooner(&mut self, id: DbId, now: Tick) -> bool {
        let planned = |scheduler: &Self| scheduler.table.get(id).map(|record| *record.lane(Lane::Local));
        let Some(before) = planned(self) else { return false };
        self.want(id, Lane::Local, now);
        planned(self).is_some_and(|after| after.due < before.due)
    }

    /// One chain of looks for each database, however many events arrive.
    fn start_looking(&mut self, id: DbId, now: Tick) -> bool {
        let Some(record) = self.table.get_mut(id) else { return false };
        let starts = !record.flags.has(Flags::LOOKING);
        if starts {
            record.flags.set(Flags::LOOKING, true);
            self.look_later(id, 0, now);
        }
        starts
    }

    fn look_later(&mut self, id: DbId, tries: u8, now: Tick) {
        let pause = 1 << tries.min(LONGEST_PAUSE);
        let at = (now.0 + pause).next_multiple_of(pause.max(LOOK_GRID));
        self.looks.push(Reverse((Tick(at), id, tries)));
    }

    pub(super) fn take_looks(&mut self, now: Tick) {
        while let Some(Reverse((at, id, tries))) = self.looks.peek().copied()
            && at <= now
        {
            self.looks.pop();
            let Some(record) = self.table.get_mut(id) else { continue };
            // Not in the hot set, but wanted: its commit may be published only after the worker looked.
            let wait = match self.hot.get(id) {
                Some(db) => !db.has_news(),
                None => record.lane(Lane::Local).phase != Phase::Idle,
            };
            if wait && tries < LOOKS {
                self.look_later(id, tries + 1, now);
                continue;
            }
            record.flags.set(Flags::LOOKING, false);
            match self.hot.get(id) {
                Some(db) if db.has_news() => self.want(id, Lane::Local, now),
                // Somebody wrote, and it was no commit: a checkpoint, or another file was copied over this one.
                Some(_) => drop(self.touch(id)),
                None => {}
            }
        }
    }

    /// True if a worker would find something to do now.
    pub fn has_local_work(&self, now: Tick) -> bool {
        !self.local_ready.is_empty() || !self.leaving_ready.is_empty() || self.sweep_due(now)
    }

    /// The next unit of local work.
    pub fn take_local(&mut self, now: Tick) -> Option<LocalWork<D>> {
        for _ in 0..self.local_ready.len() + self.leaving_ready.len() {
            let id = self.next_ready()?;
            if !self.begin(id, Lane::Local) {
                continue;
            }
            if let Some(work) = self.local_work(id, now) {
                return Some(work);
            }
        }
        None
    }

    /// Those that stay go first; but of sixteen one leaves, however many stay.
    fn next_ready(&mut self) -> Option<DbId> {
        self.turn = self.turn.wrapping_add(1);
        let (stay, leave) = (&mut self.local_ready, &mut self.leaving_ready);
        let (first, second) = if self.turn.is_multiple_of(16) { (leave, stay) } else { (stay, leave) };
        first.pop_front().or_else(|| second.pop_front())
    }

    fn local_work(&mut self, id: DbId, now: Tick) -> Option<LocalWork<D>> {
        let record = self.table.get(id)?;
        let (entry, stamp, flags) = (record.entry, record.stamp, record.flags);
        let known = record.local.max(record.levels.position());
        let quiet = self.detaching || (now.since(record.active) >= self.quiet() && record.uploaded());
        let full_above = self.full_files.get(&id).copied();
        let forced = flags.has(Flags::FORCED) || flags.has(Flags::UNSETTLED) || full_above.is_some();
        if let Some(db) = self.hot.get(id)
            && !flags.has(Flags::REMOVING)
            && !flags.has(Flags::STOPPED)
            && !db.has_news()
            && !forced
            && !quiet
        {
            self.rest(id, now);
            return None;
        }
        let db = self.hot.lend(id);
        let mut evict = None;
        if db.is_none() && self.hot.reserve().is_err() {
            evict = self.evict(now);
            if evict.is_none() {
                // Every place is with a worker. The first to end makes room.
                self.requeue(id);
                return None;
            }
            self.hot.reserve_evicted();
        }
        let action = match db {
            db if flags.has(Flags::REMOVING) => LocalAction::Finish { db, known },
            Some(db) if flags.has(Flags::STOPPED) => LocalAction::Detach { db },
            Some(db) if self.detaching || (quiet && !forced && !db.has_news()) => LocalAction::Detach { db },
            db => LocalAction::Sync { db, stamp: if forced { 0 } else { stamp }, full_above, known },
        };
        let path = self.table.path(id);
        if let Some(record) = self.table.get_mut(id) {
            if !record.flags.has(Flags::HOT) {
                // News made us come here; they may be published a moment after the worker looked.
                record.active = now;
            }
            record.flags.set(Flags::FORCED, false);
            record.flags.set(Flags::HOT, true);
        }
        Some(LocalWork { id, path, entry, started: now, evict, action })
    }

    /// A hot database without work: ends the run, and comes back when it may be detached.
    fn rest(&mut self, id: DbId, now: Tick) {
        // Nothing was looked at, so nobody who waits for a run is told.
        self.set_idle(id, Lane::Local);
        self.come_again(id, now);
    }

    /// How long a database without news stays attached. One that has to go sooner than in a crowd, to make room, must be
    /// looked into again.
    fn quiet(&self) -> Duration {
        let crowded = self.hot.open() > self.hot.ceiling() / 4;
        if crowded { QUIET_IN_A_CROWD.min(self.limits.quiet) } else { self.limits.quiet }
    }

    fn requeue(&mut self, id: DbId) {
        if let Some(record) = self.table.get_mut(id) {
            record.lane_mut(Lane::Local).phase = Phase::Queued;
            self.local_ready.push_back(id);
        }
    }

    fn evict(&mut self, now: Tick) -> Option<Evicted<D>> {
        let table = &self.table;
        let idle = |id| table.get(id).is_some_and(|record| record.lane(Lane::Local).phase == Phase::Idle);
        let (id, db) = self.hot.evict(idle)?;
        let path = self.table.path(id);
        let mut entry = EntryId(0);
        if let Some(record) = self.table.get_mut(id) {
            entry = record.entry;
            let state = record.lane_mut(Lane::Local);
            // Its own run, if one is queued or planned, is for afterwards: what is in the queue may find it idle again.
            state.again |= db.has_news() || state.phase == Phase::Queued || state.due <= now;
            state.phase = Phase::Running;
            state.due = Tick::NEVER;
        }
        Some(Evicted { id, path, entry, db })
    }

    /// Takes a database back from a worker.
    pub fn finish_local(&mut self, id: DbId, done: LocalDone<D>, started: Tick, now: Tick) {
        let attached = done.db.is_some();
        self.hot.give_back(id, done.db);
        if self.hot.has_shrunk() && self.give_back_at == Tick::NEVER {
            self.give_back_at = now.after(GIVE_BACK_AFTER);
        }
        let Some(record) = self.table.get_mut(id) else { return };
        record.flags.set(Flags::HOT, attached);
        record.flags.set(Flags::UNSETTLED, !attached && !done.settled);
        if done.stamp != std::mem::replace(&mut record.stamp, done.stamp) {
            record.flags.set(Flags::SAVED, false);
        }
        let again = std::mem::take(&mut record.lane_mut(Lane::Local).again);
        if !matches!(done.result, Ok(LocalReport::Unchanged)) {
            self.table.set_identity(id, done.identity);
        }
        match done.result {
            Ok(report) => self.local_succeeded(id, report, again, started, now),
            Err(failure) => {
                if !failure.until_change
                    && let Some(record) = self.table.get_mut(id)
                {
                    record.stamp = 0;
                }
                self.failed(id, Lane::Local, failure.message, now);
            }
        }
        self.free_names(id);
        self.end_removal(id, Lane::Local, now);
    }

    fn local_succeeded(&mut self, id: DbId, report: LocalReport, again: bool, started: Tick, now: Tick) {
        let pace = if self.closing { Duration::ZERO } else { self.local_pace(id) };
        let Some(record) = self.table.get_mut(id) else { return };
        let mut not_before = record.lane(Lane::Local).not_before.min(now);
        let mut more = again;
        let missing = report == LocalReport::Missing;
        record.flags.set(Flags::MISSING, missing && record.identity.is_none());
        match report {
            LocalReport::Synced { txid, wrote, full, more: waiting, unsettled } => {
                if record.uploaded() {
                    record.behind_since = started;
                }
                record.local = record.local.max(txid);
                record.flags.set(Flags::SYNCED, true);
                record.flags.set(Flags::UNSETTLED, record.flags.has(Flags::UNSETTLED) || unsettled);
                if wrote {
                    record.active = now;
                    not_before = if waiting { now } else { started.after(pace) };
                }
                more |= waiting;
                if let Some(full) = full {
                    self.full_from.insert(id, full);
                    // Unless it was asked for again meanwhile, above something newer.
                    if self.full_files.get(&id).is_some_and(|above| full > *above) {
                        self.full_files.remove(&id);
                        record.flags.set(Flags::FULL_DUE, false);
                    }
                }
            }
            LocalReport::Unchanged => record.flags.set(Flags::SYNCED, true),
            LocalReport::Missing => {}
        }
        let behind = !record.uploaded();
        let news = matches!(report, LocalReport::Synced { wrote: true, .. });
        self.succeeded(id, Lane::Local, news, not_before);
        if behind {
            self.want(id, Lane::Upload, now);
        }
        if more {
            self.want(id, Lane::Local, now);
        } else if missing {
            // Where a file stands again already, once more; else `want` is refused until one does.
            self.want(id, Lane::Local, now.after(pace));
        } else {
            self.come_again(id, now);
        }
    }

    /// Plans the next run of a database that has nothing new: to tidy up, or to detach it.
    pub(super) fn come_again(&mut self, id: DbId, now: Tick) {
        let Some(record) = self.table.get(id) else { return };
        if self.closing {
            return;
        }
        let (flags, quiet_at) = (record.flags, record.active.after(self.quiet()));
        if flags.has(Flags::UNSETTLED) {
            self.want(id, Lane::Local, now.after(SETTLE));
        } else if flags.has(Flags::HOT) && record.uploaded() {
            self.want(id, Lane::Local, quiet_at.max(now));
        }
    }
}
