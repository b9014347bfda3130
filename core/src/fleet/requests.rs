//! What the control server asks of a running fleet.
//!
//! A request that changes something runs as a task of its own: whoever asked may go away, and it is done all the same.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::ltx::Txid;

use super::Fleet;
use super::entry::{Entry, EntryTarget};
use super::record::{DbId, Flags, Lane, Phase};
use super::registration::{self, Candidate, failure_of};
use super::shared::Shared;
use super::start::{self, Mode};
use super::waiters::Synced;
use super::watch::Watches;

/// Why a request was not granted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No such database.
    #[error("database not found: {}", .0.display())]
    NotFound(PathBuf),
    /// There is nothing to sync: no file, or stopped.
    #[error("database not open: {}", .0.display())]
    NotOpen(PathBuf),
    /// It was tried.
    #[error("{0}")]
    Failed(String),
}

impl Fleet {
    /// Syncs a database now; with `replica`, until its replica holds everything, too. Waits as long as that takes: give
    /// it a timeout.
    ///
    /// # Errors
    /// No such database, or the sync failed (it goes on being tried).
    pub async fn sync(&self, path: &Path, replica: bool) -> Result<Synced, RequestError> {
        sync(&self.shared, path, replica).await
    }

    /// Syncs a database a last time, gives its file back and lets it rest. Gives whether that changed anything. It rests
    /// after `patience`, whatever the last sync gave.
    ///
    /// # Errors
    /// No such database; or it rests, and the last sync failed.
    pub async fn stop_database(&self, path: &Path, patience: Duration) -> Result<bool, RequestError> {
        let id = self.shared.find(path).ok_or_else(|| RequestError::NotFound(path.to_owned()))?;
        if has(&self.shared, id, Flags::STOPPED) {
            return Ok(false);
        }
        let stop = stop(Arc::clone(&self.shared), path.to_owned(), patience);
        carry_through(&self.shared, stop).await.map(|()| true)
    }

    /// Takes up the replication of a database again. Gives whether that changed anything. Also ends a state of conflict
    /// with another writer.
    ///
    /// # Errors
    /// No such database.
    pub fn start_database(&self, path: &Path) -> Result<bool, RequestError> {
        let id = self.shared.find(path).ok_or_else(|| RequestError::NotFound(path.to_owned()))?;
        Ok(self.shared.update(|state, now| {
            let flags = state.scheduler.table.get(id).map(|record| record.flags).unwrap_or_default();
            let changes = flags.has(Flags::STOPPED) || flags.has(Flags::CONFLICT);
            if changes {
                state.scheduler.set_stopped(id, false, now);
            }
            changes
        }))
    }

    /// Adds one database with an entry of its own. Gives false if it is replicated already. A file that does not exist
    /// yet is waited for.
    ///
    /// # Errors
    /// It cannot be replicated there.
    pub async fn register(&self, entry: Entry) -> Result<bool, RequestError> {
        carry_through(&self.shared, register(Arc::clone(&self.shared), self.mode, self.watches.clone(), entry)).await
    }

    /// Syncs a database a last time and forgets it. Gives its last TXID, or `None` if it was not known. It leaves after
    /// `patience`, whatever the last sync gave.
    ///
    /// # Errors
    /// It left, and the last sync failed.
    pub async fn unregister(&self, path: &Path, patience: Duration) -> Result<Option<Txid>, RequestError> {
        if self.shared.find(path).is_none() {
            return Ok(None);
        }
        carry_through(&self.shared, unregister(Arc::clone(&self.shared), path.to_owned(), patience)).await
    }

    /// Something wrote to this file, or to its WAL. A hint: it only makes the fleet look sooner.
    pub fn changed(&self, path: &Path) {
        self.shared.changed(path);
    }
}

/// Runs to the end even if nobody waits for it any more.
async fn carry_through<T: Send + 'static>(
    shared: &Shared,
    work: impl Future<Output = Result<T, RequestError>> + Send + 'static,
) -> Result<T, RequestError> {
    let done = shared.runtime.spawn(work).await;
    done.unwrap_or_else(|error| Err(RequestError::Failed(format!("internal error: {error}; please report it"))))
}

fn has(shared: &Shared, id: DbId, flag: Flags) -> bool {
    shared.look(|state| state.scheduler.table.get(id).is_some_and(|record| record.flags.has(flag)))
}

async fn sync(shared: &Arc<Shared>, path: &Path, replica: bool) -> Result<Synced, RequestError> {
    let id = shared.find(path).ok_or_else(|| RequestError::NotFound(path.to_owned()))?;
    if replica && has(shared, id, Flags::CONFLICT) {
        // Nothing is uploaded until it is started again: there is nothing to wait for.
        let reason = shared.look(|state| failure_of(state, id));
        return Err(RequestError::Failed(reason.unwrap_or_else(|| "another program writes to the replica".to_owned())));
    }
    let receiver = if has(shared, id, Flags::STOPPED) { None } else { shared.request(id, replica) };
    let Some(receiver) = receiver else { return Err(RequestError::NotOpen(path.to_owned())) };
    let answer = receiver.await.unwrap_or_else(|_| Err("the fleet ended".to_owned()));
    answer.map_err(RequestError::Failed)
}

/// What was not seen yet is replicated, or its failure is in the answer; never silently dropped.
async fn last_sync(shared: &Arc<Shared>, path: &Path, patience: Duration) -> Result<(), String> {
    match tokio::time::timeout(patience, sync(shared, path, true)).await {
        Ok(Ok(_) | Err(RequestError::NotOpen(_) | RequestError::NotFound(_))) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("not done within {patience:?}")),
    }
}

async fn stop(shared: Arc<Shared>, path: PathBuf, patience: Duration) -> Result<(), RequestError> {
    let last = last_sync(&shared, &path, patience).await;
    let given_back = shared.update(|state, now| {
        let id = state.scheduler.table.find(&path)?;
        let record = state.scheduler.table.get(id)?;
        let (attached, running) = (record.flags.has(Flags::HOT), record.lane(Lane::Local).phase == Phase::Running);
        state.waiters.refuse(id, "the database was stopped");
        let given_back = attached.then(|| state.waiters.add(id, false, running));
        state.scheduler.set_stopped(id, true, now);
        given_back
    });
    if let Some(given_back) = given_back {
        // A disk that does not answer keeps the file for now; it is given back as soon as it does.
        let _ = tokio::time::timeout(patience, given_back).await;
    }
    last.map_err(|error| RequestError::Failed(format!("the database is stopped, but its last sync failed: {error}")))
}

async fn unregister(shared: Arc<Shared>, path: PathBuf, patience: Duration) -> Result<Option<Txid>, RequestError> {
    let last = last_sync(&shared, &path, patience).await;
    let gone = shared.update(|state, now| {
        let id = state.scheduler.table.find(&path)?;
        let gone = state.waiters.until_gone(id);
        state.scheduler.remove(id, now);
        Some(gone)
    });
    let Some(gone) = gone else { return Ok(None) };
    tracing::info!(path = %path.display(), "removed database from replication");
    let failed = |error: String| RequestError::Failed(format!("last sync: {error}"));
    match tokio::time::timeout(patience, gone).await {
        Ok(Ok(gone)) if gone.uploaded => last.map(|()| Some(gone.txid)).map_err(failed),
        Ok(Ok(gone)) => Err(failed(gone.failure.or(last.err()).unwrap_or_else(|| "not fully uploaded".to_owned()))),
        Ok(Err(_)) => Err(failed("the fleet ended".to_owned())),
        Err(_) => Err(failed(last.err().unwrap_or_else(|| format!("not done within {patience:?}")))),
    }
}

async fn register(
    shared: Arc<Shared>,
    mode: Mode,
    watches: Option<Watches>,
    entry: Entry,
) -> Result<bool, RequestError> {
    let EntryTarget::Path(path) = entry.target.clone() else {
        return Err(RequestError::Failed("only single databases can be registered".to_owned()));
    };
    // One that is on its way out goes first: it may have another replica.
    while let Some(id) = shared.find(&path) {
        let gone = shared.update(|state, _| {
            let removing = state.scheduler.table.get(id).is_some_and(|record| record.flags.has(Flags::REMOVING));
            removing.then(|| state.waiters.until_gone(id))
        });
        match gone {
            None => return Ok(false),
            Some(gone) => drop(gone.await),
        }
    }
    let id = start::add_entry(&shared, Arc::new(entry), mode);
    if let (Some(watches), Some(dir)) = (watches, path.parent()) {
        watches.add(vec![dir.to_owned()], None);
        watches.rely(id);
    }
    let (registering, shown) = (Arc::clone(&shared), path.display().to_string());
    let registered = tokio::task::spawn_blocking(move || {
        let candidate = Candidate { link: path.is_symlink(), path, entry: id };
        registration::register(&registering, registration::prepare_all(&registering, vec![candidate]))
    });
    let (_, refused) = registered.await.map_err(|error| RequestError::Failed(error.to_string()))?;
    match refused.first() {
        None => {
            tracing::info!(path = shown, "added database to replication");
            Ok(true)
        }
        Some(reason) => {
            shared.update(|state, _| state.vacant.push(id));
            match reason {
                // Somebody else was faster.
                registration::Refused::Known(_) => Ok(false),
                reason => Err(RequestError::Failed(reason.to_string())),
            }
        }
    }
}
