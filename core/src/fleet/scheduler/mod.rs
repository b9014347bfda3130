//! Which database needs which work now: a state machine without threads, clocks or I/O.
//!
//! Events go in ([`Scheduler::changed`], outcomes of work), work comes out (`take_*`); whoever drives it says what time
//! it is. So the rules are tested with invented time and invented work. One mutex around it is held for microseconds.
//!
//! The rules of each lane are in `local`, `upload` and `levels`; looking at files that report nothing is in `sweep`.

mod levels;
mod lifecycle;
mod local;
mod sweep;
mod upload;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use crate::clock;
use crate::ltx::Txid;

use super::back_off::{Failure, pause};
use super::due::{DueQueue, Tick};
use super::hot_set::{HotDb, HotSet};
use super::levels::LevelPlan;
use super::record::{DbId, EntryId, Flags, Lane, Phase, Record};
use super::table::Table;

pub use levels::{LevelsEnd, LevelsWork};
pub use lifecycle::{Admission, OtherName};
pub use local::{LocalAction, LocalDone, LocalFailure, LocalReport, LocalWork};
pub use sweep::{Pace, SweepItem, SweepSeen, SweepWork};
pub use upload::{UploadEnd, UploadWork};

/// A store that databases share: its queue, its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolId(pub u32);

/// What the scheduler needs to know of a configuration entry.
#[derive(Clone, Debug)]
pub struct Timing {
    /// How soon a change must be noticed that nothing reports. `None`: only on request.
    pub monitor_interval: Option<Duration>,
    /// The pace of uploads, and of local syncs if it is shorter than `monitor_interval`.
    pub sync_interval: Duration,
    /// How often unattached files are looked at; more rarely than each `monitor_interval` while a watch reports changes.
    pub sweep: Pace,
    /// The store.
    pub pool: PoolId,
}

/// How much may happen at once.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Attached databases.
    pub open_databases: usize,
    /// Uploads. A store that has none may always begin one more.
    pub uploads: usize,
    /// Compactions, snapshots, retention and validation.
    pub levels: usize,
    /// A database without news is detached after this time.
    pub quiet: Duration,
}

/// Something that people or other parts want to hear of.
pub enum Event {
    /// A lane failed, and it is time to say so again.
    Failed(DbId, Lane, Failure),
    /// A lane works again after this many failures.
    Recovered(DbId, Lane, u32),
    /// A row is gone.
    Forgotten(DbId, Box<Forgotten>),
    /// A path was wanted again before its row was gone, under this entry; or the row that had its file under another name
    /// let go of it.
    Returned(EntryId, std::path::PathBuf),
    /// A lane ended a run; whether it found something new.
    Ended(DbId, Lane, bool),
    /// Far fewer databases are open than were a while ago: memory can be given back.
    Shrunk,
}

/// A row that is gone.
pub struct Forgotten {
    /// Its last state.
    pub record: Record,
    /// Its file.
    pub path: std::path::PathBuf,
    /// What still failed at the end.
    pub failure: Option<String>,
}

/// See the module.
pub struct Scheduler<D> {
    /// The databases.
    pub table: Table,
    /// The attached ones.
    pub hot: HotSet<D>,
    /// Why lanes fail; no entry for those that do not.
    pub failures: HashMap<(DbId, Lane), Failure>,
    /// For others to hear of; whoever holds the lock takes it along.
    pub events: Vec<Event>,
    limits: Limits,
    level_plan: LevelPlan,
    timings: Vec<Timing>,
    due: DueQueue,
    looks: BinaryHeap<Reverse<(Tick, DbId, u8)>>,
    local_ready: VecDeque<DbId>,
    /// Last local runs of rows that are being removed: a directory that leaves must not delay those that stay.
    leaving_ready: VecDeque<DbId>,
    /// Whose turn it is.
    turn: u32,
    /// Rows whose path is wanted again, under this entry, as soon as they are gone.
    returning: HashMap<DbId, EntryId>,
    pools: Vec<upload::Pool>,
    next_pool: usize,
    uploading: usize,
    levels_ready: VecDeque<DbId>,
    levelling: usize,
    /// When memory is to be given back.
    give_back_at: Tick,
    sweeps: Vec<sweep::Sweep>,
    /// Files to look at out of turn.
    touched: VecDeque<DbId>,
    /// How often the attached databases are asked for news.
    hot_look: Option<Duration>,
    next_hot_look: Tick,
    /// Databases whose next file must be a full one above a TXID.
    full_files: HashMap<DbId, Txid>,
    /// Names that wait for a row to let go of their file.
    other_names: HashMap<DbId, Vec<OtherName>>,
    /// Full files that were made so, until they are on the replica.
    full_from: HashMap<DbId, Txid>,
    closing: bool,
    detaching: bool,
    retry_interval: Option<Duration>,
    unix_start: u32,
}

impl<D: HotDb> Scheduler<D> {
    /// An empty fleet.
    pub fn new(limits: Limits, level_plan: LevelPlan) -> Self {
        Scheduler {
            table: Table::default(),
            hot: HotSet::new(limits.open_databases),
            failures: HashMap::new(),
            events: Vec::new(),
            limits,
            level_plan,
            timings: Vec::new(),
            due: DueQueue::default(),
            looks: BinaryHeap::new(),
            local_ready: VecDeque::new(),
            leaving_ready: VecDeque::new(),
            turn: 0,
            returning: HashMap::new(),
            pools: Vec::new(),
            next_pool: 0,
            uploading: 0,
            levels_ready: VecDeque::new(),
            levelling: 0,
            give_back_at: Tick::NEVER,
            sweeps: Vec::new(),
            touched: VecDeque::new(),
            hot_look: None,
            next_hot_look: Tick(0),
            full_files: HashMap::new(),
            full_from: HashMap::new(),
            other_names: HashMap::new(),
            closing: false,
            detaching: false,
            retry_interval: None,
            unix_start: u32::try_from(clock::unix_time().as_secs()).unwrap_or(u32::MAX),
        }
    }

    /// Wall-clock seconds as this fleet counts them: the time of its start, moved on monotonically. A clock that is
    /// set while we run shifts nothing that is planned.
    pub fn unix(&self, now: Tick) -> u32 {
        self.unix_start.saturating_add((now.0 / 1000) as u32)
    }

    /// Notes what a configuration entry's databases share: of the next one, or of one that is known and keeps its store.
    pub fn set_entry(&mut self, entry: EntryId, timing: Timing, now: Tick) {
        while self.pools.len() <= timing.pool.0 as usize {
            self.pools.push(upload::Pool::default());
        }
        match self.timings.get_mut(entry.0 as usize) {
            Some(old) => *old = timing,
            None => self.timings.push(timing),
        }
        self.arrange_sweeps(now);
    }

    /// From now on nothing is done for an entry's databases but what they leave with.
    pub fn mute(&mut self, entry: EntryId, now: Tick) {
        if let Some(timing) = self.timings.get_mut(entry.0 as usize) {
            timing.monitor_interval = None;
            self.arrange_sweeps(now);
        }
    }

    /// The store of an entry.
    pub fn pool(&self, entry: EntryId) -> Option<PoolId> {
        self.timing(entry).map(|timing| timing.pool)
    }

    /// Changes how often an entry's files are looked at.
    pub fn set_sweep(&mut self, entry: EntryId, sweep: Pace, now: Tick) {
        if let Some(timing) = self.timings.get_mut(entry.0 as usize)
            && timing.sweep != sweep
        {
            timing.sweep = sweep;
            self.arrange_sweeps(now);
        }
    }

    /// Asks for a run of a lane at `at`, or when its pace or back-off allows.
    pub fn want(&mut self, id: DbId, lane: Lane, at: Tick) {
        if self.blocked(id, lane) {
            return;
        }
        let Some(record) = self.table.get_mut(id) else { return };
        let state = record.lane_mut(lane);
        match state.phase {
            Phase::Running => state.again = true,
            Phase::Queued => {}
            Phase::Idle => {
                let at = at.max(state.not_before);
                if at < state.due {
                    state.due = at;
                    self.due.push(at, id, lane);
                }
            }
        }
    }

    /// Asks for a run of a lane at once, whatever its pace or back-off.
    pub fn urge(&mut self, id: DbId, lane: Lane, now: Tick) {
        if let Some(record) = self.table.get_mut(id) {
            record.lane_mut(lane).not_before = now;
        }
        self.want(id, lane, now);
    }

    /// True if the lane must not run at all now.
    fn blocked(&self, id: DbId, lane: Lane) -> bool {
        let Some(record) = self.table.get(id) else { return true };
        let removing = record.flags.has(Flags::REMOVING);
        match lane {
            // What is attached when it is stopped is given back; nothing else happens to it.
            Lane::Local if record.flags.has(Flags::STOPPED) && record.flags.has(Flags::HOT) => false,
            _ if record.flags.has(Flags::STOPPED) && !removing => true,
            Lane::Local => record.flags.has(Flags::MISSING) && !record.flags.has(Flags::HOT) && !removing,
            Lane::Upload => record.flags.has(Flags::CONFLICT) || self.full_files.contains_key(&id),
            Lane::Levels => record.flags.has(Flags::CONFLICT) || removing || self.closing,
        }
    }

    /// Moves what is due to the ready queues. Gives the time of the next call that can have an effect.
    pub fn advance(&mut self, now: Tick) -> Tick {
        while let Some((at, id, lane)) = self.due.pop(now) {
            let Some(record) = self.table.get_mut(id) else { continue };
            let state = record.lane_mut(lane);
            if state.due != at || state.phase != Phase::Idle {
                continue;
            }
            state.due = Tick::NEVER;
            if self.blocked(id, lane) {
                continue;
            }
            self.enqueue(id, lane);
        }
        self.take_looks(now);
        self.look_at_hot(now);
        if self.give_back_at <= now {
            self.give_back_at = Tick::NEVER;
            self.events.push(Event::Shrunk);
        }
        let looks = self.looks.peek().map_or(Tick::NEVER, |Reverse((at, ..))| *at);
        let due = self.due.next().unwrap_or(Tick::NEVER);
        due.min(looks).min(self.give_back_at).min(self.next_sweep(now))
    }

    fn enqueue(&mut self, id: DbId, lane: Lane) {
        let Some(record) = self.table.get_mut(id) else { return };
        record.lane_mut(lane).phase = Phase::Queued;
        let (entry, leaves) = (record.entry, record.flags.has(Flags::REMOVING));
        match lane {
            Lane::Local if leaves => self.leaving_ready.push_back(id),
            Lane::Local => self.local_ready.push_back(id),
            Lane::Levels => self.levels_ready.push_back(id),
            Lane::Upload => {
                let pool = self.timing(entry).map_or(PoolId(0), |timing| timing.pool);
                if let Some(pool) = self.pools.get_mut(pool.0 as usize) {
                    pool.ready.push_back(id);
                }
            }
        }
    }

    /// Marks a queued lane as running. False if it is not queued (its work went another way meanwhile).
    fn begin(&mut self, id: DbId, lane: Lane) -> bool {
        let Some(state) = self.table.get_mut(id).map(|record| record.lane_mut(lane)) else { return false };
        match state.phase {
            Phase::Queued => {
                state.phase = Phase::Running;
                true
            }
            Phase::Running => {
                state.again = true;
                false
            }
            Phase::Idle => false,
        }
    }

    /// Ends a run that turned out to have nothing to do.
    fn set_idle(&mut self, id: DbId, lane: Lane) {
        if let Some(record) = self.table.get_mut(id) {
            let state = record.lane_mut(lane);
            (state.phase, state.again) = (Phase::Idle, false);
        }
    }

    /// Ends a run that went well; the next one is not before `not_before`.
    fn succeeded(&mut self, id: DbId, lane: Lane, news: bool, not_before: Tick) {
        let Some(record) = self.table.get_mut(id) else { return };
        let state = record.lane_mut(lane);
        *state = super::record::LaneState { not_before, again: state.again, ..Default::default() };
        if let Some(failure) = self.failures.remove(&(id, lane)) {
            self.events.push(Event::Recovered(id, lane, failure.count));
        }
        self.events.push(Event::Ended(id, lane, news));
    }

    /// Ends a run that failed, and plans the next try.
    fn failed(&mut self, id: DbId, lane: Lane, message: String, now: Tick) {
        let interval = self.retry_interval(id, lane);
        let closing = self.retry_interval;
        let Some(record) = self.table.get_mut(id) else { return };
        let state = record.lane_mut(lane);
        state.phase = Phase::Idle;
        state.again = false;
        state.failures = state.failures.saturating_add(1);
        state.not_before = now.after(closing.unwrap_or_else(|| pause(interval, u32::from(state.failures))));
        let retry = state.not_before;
        let failure = self.failures.entry((id, lane)).or_insert_with(Failure::new);
        if failure.again(message, now) {
            self.events.push(Event::Failed(id, lane, failure.clone()));
        }
        self.events.push(Event::Ended(id, lane, false));
        self.want(id, lane, retry);
    }

    fn retry_interval(&self, id: DbId, lane: Lane) -> Duration {
        let timing = self.table.get(id).and_then(|record| self.timing(record.entry));
        let second = Duration::from_secs(1);
        timing.map_or(second, |timing| match lane {
            Lane::Local => timing.monitor_interval.unwrap_or(second),
            Lane::Upload => timing.sync_interval,
            // A lost compaction costs nothing but a longer restore: no hurry.
            Lane::Levels => timing.sync_interval.max(Duration::from_secs(5)),
        })
    }

    /// How long after a sync that found something the next one begins, at the earliest: no sooner than it is wanted on the
    /// replica, but where nothing reports changes as often as the file is looked at.
    fn local_pace(&self, id: DbId) -> Duration {
        let timing = self.table.get(id).and_then(|record| self.timing(record.entry));
        let second = Duration::from_secs(1);
        timing.map_or(second, |timing| timing.monitor_interval.unwrap_or(second).min(timing.sync_interval))
    }

    fn timing(&self, entry: EntryId) -> Option<&Timing> {
        self.timings.get(entry.0 as usize)
    }

    /// From now on only what is needed to finish runs: no sweeps, no levels; failures are tried again each `interval`.
    pub fn close(&mut self, interval: Duration, now: Tick) {
        self.closing = true;
        self.retry_interval = Some(interval);
        self.sweeps.clear();
        self.looks.clear();
        self.touched.clear();
        let all: Vec<DbId> = self.table.iter().map(|(id, _)| id).collect();
        for id in all {
            self.close_one(id, now);
        }
    }

    /// Old back-offs and plans end: what is left to do is tried now.
    fn close_one(&mut self, id: DbId, now: Tick) {
        let Some(record) = self.table.get_mut(id) else { return };
        let mut left = Vec::new();
        for lane in [Lane::Local, Lane::Upload] {
            let state = record.lane_mut(lane);
            let failing = std::mem::take(&mut state.failures) > 0;
            state.due = Tick::NEVER;
            if failing || (lane == Lane::Upload && !record.uploaded()) {
                left.push(lane);
            }
        }
        // With a worker now: what is committed after its look is for one more run.
        let lent = record.flags.has(Flags::HOT) && self.hot.get(id).is_none();
        if lent || self.hot.get(id).is_some_and(HotDb::has_news) {
            left.push(Lane::Local);
        }
        for lane in left {
            self.urge(id, lane, now);
        }
    }
}
