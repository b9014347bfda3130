//! From a found file to a row: who it belongs to, where it goes, what was saved of it. Refuses what would destroy
//! something: two databases on one replica path, one inside the other's levels, two on one state directory.
//!
//! What touches disks ([`prepare`]) runs outside the fleet's lock, and for many databases on several threads.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use litestream_sdk::ReplicaPath;

use crate::metrics;

use super::entry::Entry;
use super::ledger::Ledger;
use super::local_work::{Look, look};
use super::owners::Taken;
use super::record::{DbId, EntryId, Flags, Identity, Lane};
use super::saved_state::{self, SavedState};
use super::scheduler::{Admission, OtherName};
use super::shared::{Shared, State};

/// A file that an entry covers.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its name.
    pub path: PathBuf,
    /// Which entry.
    pub entry: EntryId,
    /// The name is a symbolic link.
    pub link: bool,
}

/// A candidate, and all that a look at the disk tells.
pub struct Prepared {
    candidate: Candidate,
    identity: Option<Identity>,
    stamp: u64,
    state_dir: PathBuf,
    place: Result<ReplicaPath, String>,
    saved: Option<SavedState>,
}

/// Why a candidate is not replicated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It has no place on the replica.
    #[error("{} is not replicated: {reason}", .path.display())]
    NoPlace {
        /// The database.
        path: PathBuf,
        /// The plugin's words.
        reason: String,
    },
    /// Its replica path or state directory belongs to another database.
    #[error("{0}")]
    Collision(String),
    /// The same file is replicated under another name.
    #[error("{} is not replicated under this name: the same file is replicated as {}", .path.display(), .as_.display())]
    SameFile {
        /// The second name.
        path: PathBuf,
        /// The first.
        as_: PathBuf,
    },
    /// The path is known already.
    #[error("{} is already replicated", .0.display())]
    Known(PathBuf),
}

/// Looks at a candidate: the file, its saved state, its place.
pub fn prepare(candidate: Candidate, entry: &Entry, ledger: &Ledger) -> Prepared {
    let Look { identity, stamp, .. } = look(&candidate.path, candidate.link);
    let state_dir = entry.meta_path(&candidate.path);
    let place = entry.replica_path(&candidate.path).map_err(|error| error.message);
    let name = saved_state::replica_name(entry, &candidate.path);
    let saved = ledger.load(&candidate.path);
    let saved = saved.filter(|saved| name.is_some_and(|replica| saved.is_borne_out(&state_dir, replica)));
    Prepared { candidate, identity, stamp, state_dir, place, saved }
}

/// The same for many, on several threads. Keeps the order.
pub fn prepare_all(shared: &Shared, candidates: Vec<Candidate>) -> Vec<Prepared> {
    const WORTH_A_THREAD: usize = 256;
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let threads = candidates.len().div_ceil(WORTH_A_THREAD).clamp(1, cores * 2);
    let share = candidates.len().div_ceil(threads).max(1);
    let mut parts: Vec<Vec<Candidate>> = Vec::new();
    let mut rest = candidates;
    while rest.len() > share {
        let tail = rest.split_off(share);
        parts.push(std::mem::replace(&mut rest, tail));
    }
    parts.push(rest);
    let (entries, ledger) = (shared.entries(), &shared.ledger);
    let prepare_part = |part: Vec<Candidate>| -> Vec<Prepared> {
        let entry_of = |candidate: &Candidate| entries.get(candidate.entry.0 as usize).cloned();
        part.into_iter()
            .filter_map(|candidate| Some((entry_of(&candidate)?, candidate)))
            .map(|(entry, candidate)| prepare(candidate, &entry, ledger))
            .collect()
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = parts.into_iter().map(|part| scope.spawn(|| prepare_part(part))).collect();
        // A thread that panicked took its share along; the panic was printed, and a rescan finds the files again.
        running.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    })
}

/// Makes rows of prepared candidates, and plans their first work. Gives the ids, and what was refused.
pub fn register(shared: &Arc<Shared>, prepared: Vec<Prepared>) -> (Vec<DbId>, Vec<Refused>) {
    /// Rows made under one hold of the lock.
    const AT_ONCE: usize = 500;
    let (mut ids, mut refused) = (Vec::new(), Vec::new());
    let entries = shared.entries();
    let mut prepared = prepared.into_iter().peekable();
    while prepared.peek().is_some() {
        let batch: Vec<Prepared> = prepared.by_ref().take(AT_ONCE).collect();
        shared.update(|state, now| {
            for one in batch {
                let entry = one.candidate.entry;
                if state.retired.contains(&entry) {
                    continue;
                }
                let Some(entry) = entries.get(entry.0 as usize) else { continue };
                let path = one.candidate.path.clone();
                match insert(state, &one, entry) {
                    Ok(id) => {
                        state.refused.remove(&path);
                        state.scheduler.admit(id, admission(&one), now);
                        ids.push(id);
                    }
                    Err(reason) => {
                        if !matches!(reason, Refused::Known(_)) {
                            state.refused.insert(path, reason.to_string());
                        }
                        refused.push(reason);
                    }
                }
            }
        });
    }
    (ids, refused)
}

fn insert(state: &mut State, one: &Prepared, entry: &Entry) -> Result<DbId, Refused> {
    let path = &one.candidate.path;
    let place = one.place.as_ref().map_err(|reason| Refused::NoPlace { path: path.clone(), reason: reason.clone() })?;
    let table = &state.scheduler.table;
    if let Some(other) = one.identity.and_then(|identity| table.find_identity(identity))
        && table.path(other) != *path
    {
        let as_ = table.path(other);
        let identity = table.get(other).and_then(|record| record.identity);
        if let Some(identity) = identity {
            let name = OtherName { entry: one.candidate.entry, path: path.clone(), identity };
            state.scheduler.add_when_free(other, name);
        }
        return Err(Refused::SameFile { path: path.clone(), as_ });
    }
    let inserted = state.scheduler.table.insert(one.candidate.entry, path, one.identity);
    let id = inserted.map_err(|known| {
        // On its way out: it is added again as soon as it is gone.
        state.scheduler.returned(known, one.candidate.entry);
        Refused::Known(path.clone())
    })?;
    if let Err(taken) = state.owners.claim(id, entry.destination.pool(), place, &one.state_dir) {
        state.scheduler.table.remove(id);
        return Err(collision(state, path, place, &one.state_dir, taken));
    }
    let Some(record) = state.scheduler.table.get_mut(id) else { return Err(Refused::Known(path.clone())) };
    record.metrics = Some(metrics::global().database(path));
    record.flags.set(Flags::LINK, one.candidate.link);
    if let Some(saved) = &one.saved {
        record.local = saved.local();
        record.levels = saved.levels();
        record.flags.set(Flags::SAVED, true);
        if saved.stamp == one.stamp {
            record.stamp = saved.stamp;
        }
    }
    Ok(id)
}

fn collision(state: &State, path: &Path, place: &ReplicaPath, state_dir: &Path, taken: Taken) -> Refused {
    let owner = |id: DbId| state.scheduler.table.path(id).display().to_string();
    let path = path.display();
    Refused::Collision(match taken {
        Taken::Same(id) => format!("replica path collision: databases {} and {path} would share `{place}`", owner(id)),
        Taken::Nested(id) => {
            format!(
                "replica path collision: the replica of one of {} and {path} would lie inside the other's (`{place}`)",
                owner(id)
            )
        }
        Taken::State(id) => format!(
            "meta-path collision: databases {} and {path} would share meta-path {}, causing replication state corruption",
            owner(id),
            state_dir.display()
        ),
    })
}

fn admission(one: &Prepared) -> Admission {
    match (&one.saved, one.identity) {
        (_, None) => Admission::Missing,
        (None, _) => Admission::New,
        (Some(saved), _) if saved.stamp == one.stamp => Admission::Unchanged,
        (Some(_), _) => Admission::Changed,
    }
}

/// What else a failing lane says of a database; for status and refusals.
pub fn failure_of(state: &State, id: DbId) -> Option<String> {
    let failures = &state.scheduler.failures;
    Lane::ALL.iter().find_map(|lane| failures.get(&(id, *lane))).map(|failure| failure.message.clone())
}
