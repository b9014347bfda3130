//! What the threads and tasks of a fleet share: the scheduler behind its mutex, and the hand-over of work to whoever does
//! it. The mutex is held for microseconds and never across I/O.
//!
//! ```text
//! events, outcomes --update--> scheduler --pump--> worker threads (local work, sweeps), runtime tasks (uploads, levels)
//! ```

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::clock;
use crate::db::Db;

use super::due::Tick;
use super::entry::{Entry, EntryTarget};
use super::jobs::JobRules;
use super::ledger::Ledger;
use super::owners::Owners;
use super::readers::Readers;
use super::record::{DbId, EntryId, Lane};
use super::scheduler::{Event, Forgotten, PoolId, Scheduler};
use super::waiters::{Ended, Gone, Waiters};
use super::working::Working;

/// Up to this many databases, each one's start and each of its compactions is worth a line in the log.
pub const FEW: usize = 100;

/// How far a shutdown has come. Only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Not at all.
    Running,
    /// Work on levels ends; what is not uploaded yet still is.
    Closing,
    /// Nothing is waited for any more.
    Cut,
}

/// See the module.
pub struct Shared {
    state: Mutex<State>,
    /// Workers wait here.
    work: Condvar,
    /// The timer waits here.
    timer: Condvar,
    started: Instant,
    entries: RwLock<Vec<Arc<Entry>>>,
    /// Where async work runs.
    pub runtime: Handle,
    /// How jobs on levels are run.
    pub rules: JobRules,
    /// What is kept between two runs.
    pub ledger: Ledger,
    /// What is being done now.
    pub working: Working,
    /// Files that must not be attached now.
    pub readers: Readers,
    /// How far a shutdown has come.
    pub stage: watch::Sender<Stage>,
}

/// Behind the mutex.
pub struct State {
    /// The rules.
    pub scheduler: Scheduler<Db>,
    /// Replica paths and state directories that are taken.
    pub owners: Owners,
    /// Requests that wait for a database.
    pub waiters: Waiters,
    /// Candidates that are not replicated, with the reason.
    pub refused: HashMap<PathBuf, String>,
    /// Entries of single databases that are gone: their places are taken again.
    pub(super) vacant: Vec<EntryId>,
    /// Entries that a reload took out: they get no database any more.
    pub(super) retired: HashSet<EntryId>,
    /// When the timer must look again.
    pub(super) wake_at: Tick,
    /// Workers that wait for work.
    idle_workers: usize,
    /// How often every worker was asked to give its memory back.
    pub(super) give_backs: u32,
    /// Threads end.
    pub(super) stop: bool,
}

impl State {
    /// Answers those who wait for a run that ended, before anybody can begin to wait for the next one.
    fn answer(&mut self, id: DbId, lane: Lane, news: bool) {
        let Some(record) = self.scheduler.table.get(id) else { return };
        let (txid, replica_txid) = (record.local, record.levels.position());
        let error = self.scheduler.failures.get(&(id, lane)).map(|failure| failure.message.clone());
        let uploaded = record.uploaded();
        self.waiters.ended(&Ended { id, lane, news, txid, replica_txid, uploaded, error });
    }
}

impl Shared {
    /// An empty fleet.
    pub fn new(scheduler: Scheduler<Db>, rules: JobRules, runtime: Handle, ledger: Ledger) -> Shared {
        let state = State {
            scheduler,
            owners: Owners::default(),
            waiters: Waiters::default(),
            refused: HashMap::new(),
            vacant: Vec::new(),
            retired: HashSet::new(),
            wake_at: Tick(0),
            idle_workers: 0,
            give_backs: 0,
            stop: false,
        };
        Shared {
            state: Mutex::new(state),
            work: Condvar::new(),
            timer: Condvar::new(),
            started: clock::monotonic(),
            entries: RwLock::default(),
            runtime,
            rules,
            ledger,
            working: Working::default(),
            readers: Readers::default(),
            stage: watch::Sender::new(Stage::Running),
        }
    }

    /// Waits until a shutdown has come so far.
    pub async fn reached(&self, stage: Stage) {
        // The sender lives as long as `self`.
        let _ = self.stage.subscribe().wait_for(|now| *now >= stage).await;
    }

    /// The fleet's clock.
    pub fn now(&self) -> Tick {
        let since = clock::monotonic().saturating_duration_since(self.started);
        Tick(u64::try_from(since.as_millis()).unwrap_or(u64::MAX - 1))
    }

    /// Gives an entry its place, and tells the store it shares: the place of another of that store that nobody needs any
    /// more (whoever registers and unregisters for years must not grow), else the next one.
    ///
    /// Needs the state: ids are those of the scheduler. Who holds the state may ask for entries, never the other way.
    pub(super) fn place_entry(&self, state: &mut State, entry: Arc<Entry>) -> (EntryId, PoolId) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let shares = |other: &Arc<Entry>| other.destination.pool() == entry.destination.pool();
        let pool = PoolId(entries.iter().position(shares).unwrap_or(entries.len()) as u32);
        let vacant = state.vacant.iter().position(|id| entries.get(id.0 as usize).is_some_and(shares));
        let id = vacant.map_or(EntryId(entries.len() as u32), |position| state.vacant.swap_remove(position));
        state.retired.remove(&id);
        match entries.get_mut(id.0 as usize) {
            Some(place) => *place = entry,
            None => entries.push(entry),
        }
        (id, pool)
    }

    /// Puts other settings in the place of an entry.
    pub(super) fn renew_entry(&self, id: EntryId, entry: Arc<Entry>) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = entries.get_mut(id.0 as usize) {
            *place = entry;
        }
    }

    /// A configuration entry.
    pub fn entry(&self, id: EntryId) -> Option<Arc<Entry>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).get(id.0 as usize).cloned()
    }

    /// All configuration entries, by id.
    pub fn entries(&self) -> Vec<Arc<Entry>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at the state. Nothing is handed out and nobody is told: for questions.
    pub fn look<R>(&self, question: impl FnOnce(&State) -> R) -> R {
        question(&self.lock())
    }

    /// Changes the state, hands out the work that has become possible, and tells who must hear of it.
    pub fn update<R>(self: &Arc<Self>, change: impl FnOnce(&mut State, Tick) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state, self.now());
        self.pump(&mut state);
        let events = std::mem::take(&mut state.scheduler.events);
        for event in &events {
            match event {
                Event::Forgotten(id, gone) => {
                    self.release(&mut state, *id, gone);
                    let entry = gone.record.entry;
                    let returns = |event: &Event| matches!(event, Event::Returned(of, _) if *of == entry);
                    if self.is_of_one_database(entry) && !events.iter().any(returns) {
                        state.vacant.push(entry);
                    }
                }
                Event::Ended(id, lane, news) => state.answer(*id, *lane, *news),
                _ => {}
            }
        }
        drop(state);
        self.tell(events);
        result
    }

    fn is_of_one_database(&self, id: EntryId) -> bool {
        self.entry(id).is_some_and(|entry| matches!(entry.target, EntryTarget::Path(_)))
    }

    /// Frees the places of a row that is gone, before its id or its path can be used again.
    fn release(&self, state: &mut State, id: DbId, gone: &Forgotten) {
        let Forgotten { record, path, failure } = gone;
        let (txid, uploaded, failure) = (record.local, record.uploaded(), failure.clone());
        state.waiters.forgotten(id, &Gone { txid, uploaded, failure });
        let Some(entry) = self.entry(record.entry) else { return };
        if let Ok(place) = entry.replica_path(path) {
            state.owners.release(id, entry.destination.pool(), &place, &entry.meta_path(path));
        }
    }

    /// The state; a thread that panicked while it held the lock left consistent rows behind.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands out work; wakes workers and timer if there is something for them.
    pub(super) fn pump(self: &Arc<Self>, state: &mut State) {
        let now = self.now();
        let next = state.scheduler.advance(now);
        while let Some(work) = state.scheduler.take_upload(now) {
            self.spawn_upload(work);
        }
        while let Some(work) = state.scheduler.take_levels(now) {
            self.spawn_levels(work, state.scheduler.table.len() <= FEW);
        }
        self.wake_a_worker(state, now);
        if next < state.wake_at {
            self.timer.notify_one();
        }
        state.wake_at = next;
    }

    /// Wakes one worker if there is something for it. That one wakes the next before it begins, and so on: a single commit
    /// does not wake all of them.
    pub(super) fn wake_a_worker(&self, state: &State, now: Tick) {
        if state.idle_workers > 0 && state.scheduler.has_local_work(now) {
            self.work.notify_one();
        }
    }

    /// Gives the memory of a busy time back: this thread at once, each worker as soon as it has nothing else to do.
    pub fn give_memory_back(&self) {
        self.lock().give_backs += 1;
        self.work.notify_all();
        super::memory::give_back();
    }

    /// Ends all threads after their present work.
    pub fn stop_threads(&self) {
        self.lock().stop = true;
        self.work.notify_all();
        self.timer.notify_all();
        self.ledger.close();
    }

    /// Waits, as the timer, until something is due or plans change.
    pub(super) fn wait_until_due<'a>(&'a self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let wait = state.wake_at.since(self.now()).min(Duration::from_secs(3600));
        self.timer.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits, as a worker, until there may be work.
    pub(super) fn wait_for_work<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.idle_workers += 1;
        let mut state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.idle_workers -= 1;
        state
    }

    fn tell(self: &Arc<Self>, events: Vec<Event>) {
        for event in events {
            super::report::event(self, event);
        }
    }

    /// The row of a path.
    pub fn find(&self, path: &Path) -> Option<DbId> {
        self.lock().scheduler.table.find(path)
    }
}
