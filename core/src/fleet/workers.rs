//! The fixed threads of a fleet: a timer, the writer of the ledger, and workers for everything else that blocks. Their number
//! does not depend on how many databases there are.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use crate::clock;
use crate::db::{Activity, Db};

use super::due::Tick;
use super::local_work::{self, Subject};
use super::record::{DbId, EntryId, Flags, Lane};
use super::scheduler::{LocalAction, LocalDone, LocalFailure, LocalWork, SweepItem, SweepSeen, SweepWork};
use super::shared::{Shared, State};

/// Starts them.
///
/// # Errors
/// The system gives no threads.
pub fn start(shared: &Arc<Shared>, workers: usize) -> std::io::Result<Vec<JoinHandle<()>>> {
    let mut threads = Vec::with_capacity(workers + 2);
    let (timer, keeper) = (Arc::clone(shared), Arc::clone(shared));
    threads.push(Builder::new().name("fleet-timer".to_owned()).spawn(move || keep_time(&timer))?);
    threads.push(Builder::new().name("fleet-ledger".to_owned()).spawn(move || keeper.ledger.keep())?);
    for n in 0..workers {
        let worker = Arc::clone(shared);
        threads.push(Builder::new().name(format!("fleet-{n}")).spawn(move || work(&worker))?);
    }
    Ok(threads)
}

/// How many workers suit this machine: the work waits for disks more than it computes.
pub fn suitable_number() -> usize {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    (cores * 2).clamp(4, 32)
}

fn keep_time(shared: &Arc<Shared>) {
    loop {
        shared.update(|_, _| ());
        let state = shared.lock();
        if state.stop {
            return;
        }
        drop(shared.wait_until_due(state));
    }
}

/// What a worker takes next.
enum Task {
    Sweep(SweepWork),
    Local(Box<LocalWork<Db>>),
}

fn work(shared: &Arc<Shared>) {
    let mut given_back = 0;
    while let Some(task) = next(shared, &mut given_back) {
        perform(shared, task);
    }
}

fn perform(shared: &Arc<Shared>, task: Task) {
    match task {
        Task::Sweep(work) => sweep(shared, &work),
        Task::Local(work) => local(shared, *work),
    }
}

/// Does the next piece of work on this thread, if there is one now. For tests that are the only worker.
#[cfg(test)]
pub fn work_once(shared: &Arc<Shared>) -> bool {
    let task = take(&mut shared.lock(), shared.now());
    task.map(|task| perform(shared, task)).is_some()
}

/// Waits for the next task; `given_back` is how often this worker was asked for its memory and gave it.
fn next(shared: &Arc<Shared>, given_back: &mut u32) -> Option<Task> {
    let mut state = shared.lock();
    loop {
        if state.stop {
            return None;
        }
        let now = shared.now();
        if let Some(task) = take(&mut state, now) {
            shared.wake_a_worker(&state, now);
            return Some(task);
        }
        if std::mem::replace(given_back, state.give_backs) != state.give_backs {
            drop(state);
            super::memory::give_back_of_this_thread();
            state = shared.lock();
            continue;
        }
        state = shared.wait_for_work(state);
    }
}

fn take(state: &mut State, now: Tick) -> Option<Task> {
    if let Some(work) = state.scheduler.take_sweep(now) {
        return Some(Task::Sweep(work));
    }
    state.scheduler.take_local(now).map(|work| Task::Local(Box::new(work)))
}

fn sweep(shared: &Arc<Shared>, work: &SweepWork) {
    let started = clock::monotonic();
    let look = |item: &SweepItem| {
        let seen = local_work::look(&item.path, item.link);
        SweepSeen { id: item.id, identity: seen.identity, stamp: seen.stamp, file: seen.file }
    };
    let seen: Vec<SweepSeen> = work.items.iter().map(look).collect();
    let took = started.elapsed();
    shared.update(|state, now| {
        state.scheduler.finish_sweep(&seen, now);
        state.scheduler.rest_after(work, took, now);
    });
}

fn local(shared: &Arc<Shared>, work: LocalWork<Db>) {
    let LocalWork { id, path, entry, started, evict, action } = work;
    if let Some(evicted) = evict {
        let done = run(shared, evicted.id, &evicted.path, evicted.entry, LocalAction::Detach { db: evicted.db });
        shared.update(|state, now| state.scheduler.finish_local(evicted.id, done, started, now));
    }
    let done = run(shared, id, &path, entry, action);
    let rested = shared.update(|state, now| {
        state.scheduler.finish_local(id, done, started, now);
        state.scheduler.take_rested(id)
    });
    if let Some(saved) = rested {
        super::report::save(shared, entry, &path, saved);
    }
}

/// From now on nobody reads the file that may be attached next.
fn enter(shared: &Shared, id: DbId, path: &std::path::Path) {
    let Some(identity) = local_work::identity_of(path) else { return };
    shared.lock().scheduler.table.set_identity(id, Some(identity));
    shared.readers.wait_for(identity);
}

fn run(
    shared: &Arc<Shared>,
    id: DbId,
    path: &std::path::Path,
    entry: EntryId,
    action: LocalAction<Db>,
) -> LocalDone<Db> {
    let facts = shared.look(|state| {
        let record = state.scheduler.table.get(id)?;
        Some((record.metrics.clone()?, record.flags.has(Flags::LINK)))
    });
    match (shared.entry(entry), facts) {
        (Some(entry), Some((metrics, link))) => {
            if !action.is_attached() {
                enter(shared, id, path);
            }
            let activity = Activity::starting();
            let _running = shared.working.begin(id, Lane::Local, Some(Arc::clone(&activity)));
            activity.observe(|| Subject { path, entry: &entry, metrics: &metrics, link }.run(action))
        }
        _ => {
            let failure = LocalFailure { message: "the database was forgotten".to_owned(), until_change: false };
            LocalDone { db: None, result: Err(failure), stamp: 0, settled: true, identity: None }
        }
    }
}
