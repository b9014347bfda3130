//! Carries a difference out. Blocks: files are looked at.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::discovery::DirSpec;
use crate::fleet::entry::{Entry, EntryTarget};
use crate::fleet::membership::Scans;
use crate::fleet::record::{DbId, EntryId, Flags};
use crate::fleet::registration::{self, Candidate, Refused};
use crate::fleet::scheduler::PoolId;
use crate::fleet::shared::{FEW, Shared, State};
use crate::fleet::start::{self, Mode};
use crate::fleet::watch::Watches;

use super::difference::{Difference, Fate};
use super::{Configured, Look};

/// Rows that begin to leave under one hold of the lock.
const AT_ONCE: usize = 500;

/// The fleet that changes.
pub(super) struct Applying {
    pub(super) shared: Arc<Shared>,
    pub(super) watches: Watches,
    pub(super) scans: Scans,
}

impl Applying {
    /// Gives the entries in force from now on.
    pub(super) fn run(
        &self,
        wanted: Vec<Arc<Entry>>,
        difference: Difference,
        mut looks: Vec<Option<Look>>,
    ) -> Configured {
        let mut leaving: Vec<PathBuf> = Vec::new();
        for id in &difference.removed {
            leaving.extend(self.retire(*id));
        }
        let mut configured = Configured::with_capacity(wanted.len());
        let mut candidates = Vec::new();
        for ((entry, fate), look) in wanted.into_iter().zip(difference.fates).zip(&mut looks) {
            let id = match fate {
                Fate::Unchanged(id) => id,
                Fate::Renewed(id) => {
                    self.renew(id, &entry);
                    if let Some(look) = look.take() {
                        leaving.extend(self.leave_what_is_not_in(id, &look));
                        candidates.extend(self.take_up(id, look));
                    }
                    id
                }
                Fate::Added => {
                    let id = start::add_entry(&self.shared, Arc::clone(&entry), Mode::Continuous);
                    match (&entry.target, look.take()) {
                        (EntryTarget::Path(path), _) => self.watch_parent(id, path),
                        (EntryTarget::Dir(_), Some(look)) => candidates.extend(self.take_up(id, look)),
                        (EntryTarget::Dir(_), None) => {}
                    }
                    id
                }
            };
            configured.push((id, entry));
        }
        let explicit = self.explicit(&configured, &mut leaving);
        // Who is first gets a path: an entry of its own, then the directories that stay or come.
        let others = self.covered_by_others(&configured, &leaving);
        self.register(explicit.into_iter().chain(others).chain(candidates).collect());
        configured
    }

    /// Takes an entry out. Gives the paths that leave with it.
    fn retire(&self, id: EntryId) -> Vec<PathBuf> {
        self.scans.forget(id);
        let target = self.shared.entry(id).map(|entry| entry.target.clone());
        let (rows, mut paths) = self.shared.update(|state, now| {
            state.retired.insert(id);
            state.scheduler.mute(id, now);
            match &target {
                Some(EntryTarget::Dir(spec)) => self.forget_refused(state, id, &spec.dir),
                Some(EntryTarget::Path(path)) => drop(state.refused.remove(path)),
                None => {}
            }
            let waiting = state.scheduler.stay_away(id);
            let table = &state.scheduler.table;
            let rows: Vec<DbId> = table.iter().filter(|(_, record)| record.entry == id).map(|(row, _)| row).collect();
            (rows, waiting.into_iter().map(|row| table.path(row)).collect::<Vec<_>>())
        });
        paths.extend(self.remove(&rows));
        paths
    }

    /// What was refused below a directory is no candidate of it any more. It may be one of another.
    fn forget_refused(&self, state: &mut State, id: EntryId, dir: &Path) {
        let entries = self.shared.entries();
        let others =
            (0..).map(EntryId).zip(&entries).filter(|(other, _)| *other != id && !state.retired.contains(other));
        let directory = |entry: &Arc<Entry>| match &entry.target {
            EntryTarget::Dir(spec) => Some(spec.dir.clone()),
            EntryTarget::Path(_) => None,
        };
        let others: Vec<PathBuf> = others.filter_map(|(_, entry)| directory(entry)).collect();
        let is_of_another = |path: &Path| others.iter().any(|other| path.starts_with(other));
        state.refused.retain(|path, _| !path.starts_with(dir) || is_of_another(path));
    }

    /// Begins the removal of rows. Gives their paths; those that were leaving already are not among them.
    fn remove(&self, rows: &[DbId]) -> Vec<PathBuf> {
        let mut paths = Vec::with_capacity(rows.len());
        for some in rows.chunks(AT_ONCE) {
            self.shared.update(|state, now| {
                for row in some {
                    let Some(record) = state.scheduler.table.get(*row) else { continue };
                    if !record.flags.has(Flags::REMOVING) {
                        paths.push(state.scheduler.table.path(*row));
                        state.scheduler.remove(*row, now);
                    }
                }
            });
        }
        for (n, path) in paths.iter().enumerate() {
            if n < FEW {
                tracing::info!(path = %path.display(), "removed database from replication");
            } else {
                tracing::debug!(path = %path.display(), "removed database from replication");
            }
        }
        paths
    }

    /// Gives an entry other settings; what is attached takes them at its next sync.
    fn renew(&self, id: EntryId, entry: &Arc<Entry>) {
        self.shared.renew_entry(id, Arc::clone(entry));
        self.shared.update(|state, now| {
            let pool = state.scheduler.pool(id).unwrap_or(PoolId(0));
            state.scheduler.set_entry(id, start::timing(entry, pool, Mode::Continuous), now);
        });
        self.watches.rely(id);
    }

    /// The rows of a directory whose rules no longer want them leave. Gives their paths.
    fn leave_what_is_not_in(&self, id: EntryId, (rescan, changes): &Look) -> Vec<PathBuf> {
        let spec = rescan.spec();
        let found: HashSet<&Path> = changes.added.iter().map(|found| &*found.path).collect();
        let unseen = |path: &Path| changes.problems.iter().any(|problem| path.starts_with(&problem.path));
        // One that is not among them may have been made after the look.
        let stays =
            |path: &Path| found.contains(path) || unseen(path) || (spec.covers(path).is_some() && path.exists());
        let rows: Vec<(DbId, PathBuf)> = self.shared.look(|state| {
            let table = &state.scheduler.table;
            table.iter().filter(|(_, record)| record.entry == id).map(|(row, _)| (row, table.path(row))).collect()
        });
        self.shared.update(|state, _| self.forget_refused(state, id, &spec.dir));
        let rows: Vec<DbId> = rows.into_iter().filter(|(_, path)| !stays(path)).map(|(row, _)| row).collect();
        self.remove(&rows)
    }

    /// Watches and scans a directory from now on, if it is to be. Gives what it holds.
    fn take_up(&self, id: EntryId, (rescan, mut changes): Look) -> Vec<Candidate> {
        let spec = rescan.spec().clone();
        start::log_found(&self.shared, &spec, &changes);
        if spec.watch {
            self.scans.set(id, rescan);
            self.watches.add(std::mem::take(&mut changes.directories), Some(id));
        } else {
            self.scans.forget(id);
            let parents: BTreeSet<&Path> = changes.added.iter().filter_map(|found| found.path.parent()).collect();
            self.watches.add(parents.into_iter().map(Path::to_owned).collect(), None);
        }
        self.watches.rely(id);
        let found = changes.added.into_iter();
        found.map(|found| Candidate { link: found.path != found.file, path: found.path, entry: id }).collect()
    }

    fn watch_parent(&self, id: EntryId, path: &Path) {
        if let Some(parent) = path.parent() {
            self.watches.add(vec![parent.to_owned()], None);
        }
        self.watches.rely(id);
    }

    /// The databases with an entry of their own that have no row of it yet. One that a directory has taken leaves it.
    fn explicit(&self, configured: &Configured, leaving: &mut Vec<PathBuf>) -> Vec<Candidate> {
        let directories: HashSet<EntryId> = configured
            .iter()
            .filter(|(_, entry)| matches!(entry.target, EntryTarget::Dir(_)))
            .map(|(id, _)| *id)
            .collect();
        let mut candidates = Vec::new();
        for (id, entry) in configured {
            let EntryTarget::Path(path) = &entry.target else { continue };
            let owner = self.shared.look(|state| {
                let row = state.scheduler.table.find(path)?;
                Some((row, state.scheduler.table.get(row)?.entry))
            });
            match owner {
                Some((_, owner)) if owner == *id => continue,
                Some((row, owner)) if directories.contains(&owner) => leaving.extend(self.remove(&[row])),
                _ => {}
            }
            candidates.push(Candidate { path: path.clone(), entry: *id, link: path.is_symlink() });
        }
        candidates
    }

    /// Paths that leave an entry while another one, which stays, covers them.
    fn covered_by_others(&self, configured: &Configured, leaving: &[PathBuf]) -> Vec<Candidate> {
        let directories: Vec<(EntryId, &DirSpec)> = configured
            .iter()
            .filter_map(|(id, entry)| match &entry.target {
                EntryTarget::Dir(spec) => Some((*id, spec)),
                EntryTarget::Path(_) => None,
            })
            .collect();
        let covering = |path: &&PathBuf| directories.iter().find(|(_, spec)| spec.covers(path).is_some());
        let candidate = |path: &PathBuf| {
            let (id, _) = covering(&path)?;
            path.exists().then(|| Candidate { path: path.clone(), entry: *id, link: path.is_symlink() })
        };
        leaving.iter().filter_map(candidate).collect()
    }

    /// Makes rows. Of paths whose old row is still leaving it is noted where they come back.
    fn register(&self, candidates: Vec<Candidate>) {
        let entries: HashMap<PathBuf, EntryId> =
            candidates.iter().map(|candidate| (candidate.path.clone(), candidate.entry)).collect();
        let prepared = registration::prepare_all(&self.shared, candidates);
        let (ids, refused) = registration::register(&self.shared, prepared);
        for (n, id) in ids.iter().enumerate() {
            let path = self.shared.look(|state| state.scheduler.table.path(*id));
            if n < FEW {
                tracing::info!(path = %path.display(), "added database to replication");
            } else {
                tracing::debug!(path = %path.display(), "added database to replication");
            }
        }
        for refused in refused {
            match refused {
                Refused::Known(path) => self.say_if_registered(&path, entries.get(&path).copied()),
                refused => tracing::error!(reason = %refused, "database is not replicated"),
            }
        }
    }

    /// A database that has an entry of its own now, and was registered at run time before.
    fn say_if_registered(&self, path: &Path, wanted: Option<EntryId>) {
        let owner = self.shared.look(|state| {
            let row = state.scheduler.table.find(path)?;
            let record = state.scheduler.table.get(row)?;
            (!record.flags.has(Flags::REMOVING)).then_some(record.entry)
        });
        let is_single =
            |id: EntryId| self.shared.entry(id).is_some_and(|entry| matches!(entry.target, EntryTarget::Path(_)));
        if let (Some(owner), Some(wanted)) = (owner, wanted)
            && owner != wanted
            && is_single(owner)
            && is_single(wanted)
        {
            tracing::warn!(path = %path.display(),
                "the database is replicated as it was registered; unregister it, or restart, to have it as configured");
            self.shared.update(|state, _| state.vacant.push(wanted));
        }
    }
}
