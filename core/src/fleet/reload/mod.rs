//! Other entries for a running fleet: what is equal stays untouched, the rest gets other settings, comes, or goes.
//!
//! Everything that can be refused is looked at before anything is changed. Then nothing is waited for: a database that
//! leaves an entry has its last sync as any removed one, in the queue, and one that has an entry of another kind comes
//! back under it as soon as its old row is gone. What was registered at run time is nobody's business here.

mod apply;
mod difference;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::discovery::{Changes, Rescan, ScanError};

use super::entry::{Entry, EntryTarget};
use super::record::{EntryId, Flags};
use super::shared::{Shared, Stage};
use super::{Fleet, start};
use apply::Applying;
use difference::{Difference, Fate};

/// The entries of the configuration, in its order, with their places in the fleet.
pub(super) type Configured = Vec<(EntryId, Arc<Entry>)>;

/// What a reload did, in entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// As they were.
    pub unchanged: usize,
    /// With other settings for the same databases.
    pub changed: usize,
    /// New ones, and those with another replica or other local state.
    pub added: usize,
    /// Gone, or added again so.
    pub removed: usize,
}

/// Why a fleet keeps the entries that it has.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// A new directory cannot be scanned, or holds no database.
    #[error("{0}")]
    Scan(#[from] ScanError),
    /// It does single runs, or ends.
    #[error("the fleet does not run")]
    NotRunning,
    /// A mistake of the program.
    #[error("internal error: {0}; please report it")]
    Internal(String),
}

impl Fleet {
    /// Makes `entries` the configured ones. Databases of an entry that is there already are not touched. Runs to its end
    /// even if nobody waits for it any more; one reload waits for the other.
    ///
    /// # Errors
    /// See [`ReloadError`]. Everything is as before then.
    pub async fn reload(&self, entries: Vec<Entry>) -> Result<Reloaded, ReloadError> {
        let (Some(watches), Some(scans)) = (self.watches.clone(), self.scans.clone()) else {
            return Err(ReloadError::NotRunning);
        };
        let (shared, configured) = (Arc::clone(&self.shared), Arc::clone(&self.configured));
        let task = self.shared.runtime.spawn(async move {
            let mut configured = configured.lock_owned().await;
            let wanted: Vec<Arc<Entry>> = entries.into_iter().map(Arc::new).collect();
            let running = running(&shared, &configured);
            let difference = Difference::between(&running, &wanted);
            let looks = look(&shared, &running, &wanted, &difference.fates).await?;
            if *shared.stage.borrow() != Stage::Running {
                return Err(ReloadError::NotRunning);
            }
            let (unchanged, changed) = (
                difference.fates.iter().filter(|fate| matches!(fate, Fate::Unchanged(_))).count(),
                difference.fates.iter().filter(|fate| matches!(fate, Fate::Renewed(_))).count(),
            );
            let added = difference.fates.len() - unchanged - changed;
            let report = Reloaded { unchanged, changed, added, removed: difference.removed.len() };
            let applying = Applying { shared, watches, scans };
            let applied = tokio::task::spawn_blocking(move || applying.run(wanted, difference, looks)).await;
            *configured = applied.map_err(|error| ReloadError::Internal(error.to_string()))?;
            Ok(report)
        });
        task.await.unwrap_or_else(|error| Err(ReloadError::Internal(error.to_string())))
    }
}

/// The configured entries that are still in force: that of a database which was unregistered, or never taken, is not.
fn running(shared: &Shared, configured: &Configured) -> Configured {
    let in_force = |(id, entry): &&(EntryId, Arc<Entry>)| {
        let EntryTarget::Path(path) = &entry.target else { return true };
        shared.look(|state| {
            let row = state.scheduler.table.find(path).and_then(|row| Some((row, state.scheduler.table.get(row)?)));
            row.is_some_and(|(row, record)| match record.flags.has(Flags::REMOVING) {
                true => state.scheduler.comes_back(row) == Some(*id),
                false => record.entry == *id,
            })
        })
    };
    configured.iter().filter(in_force).cloned().collect()
}

/// What a first look at a directory found.
pub(super) type Look = (Rescan, Changes);

/// Scans the directories that are new, or have other rules. One for each wanted entry that needs it.
async fn look(
    shared: &Arc<Shared>,
    running: &Configured,
    wanted: &[Arc<Entry>],
    fates: &[Fate],
) -> Result<Vec<Option<Look>>, ReloadError> {
    let same_rules = |id: EntryId, entry: &Entry| {
        let before = running.iter().find(|(running, _)| *running == id).map(|(_, entry)| &entry.target);
        matches!((before, &entry.target), (Some(EntryTarget::Dir(one)), EntryTarget::Dir(other)) if one == other)
    };
    let mut scans = Vec::with_capacity(wanted.len());
    for (entry, fate) in wanted.iter().zip(fates) {
        let known = match fate {
            Fate::Unchanged(_) => true,
            Fate::Renewed(id) => same_rules(*id, entry),
            Fate::Added => false,
        };
        scans.push(match &entry.target {
            EntryTarget::Dir(spec) if !known => Some(start::first_scan(shared, spec.clone())),
            _ => None,
        });
    }
    let mut looks = Vec::with_capacity(scans.len());
    for scan in scans {
        looks.push(match scan {
            Some(scan) => Some(scan.await.map_err(|error| ReloadError::Internal(error.to_string()))??),
            None => None,
        });
    }
    Ok(looks)
}
