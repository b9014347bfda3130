//! What the control server asks of a running fleet.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Fleet;
use super::entry::{Entry, EntryTarget};
use super::record::{DbId, Flags};
use super::registration::{self, Candidate};
use super::start;
use super::status::StatusRow;
use super::waiters::Synced;

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
        let id = self.id(path)?;
        let stopped = self
            .shared
            .look(|state| state.scheduler.table.get(id).is_none_or(|record| record.flags.has(Flags::STOPPED)));
        let receiver = if stopped { None } else { self.shared.request(id, replica) };
        let Some(receiver) = receiver else { return Err(RequestError::NotOpen(path.to_owned())) };
        let answer = receiver.await.unwrap_or_else(|_| Err("the fleet ended".to_owned()));
        answer.map_err(RequestError::Failed)
    }

    /// Stops or starts the replication of a database. Gives whether that changed anything. Starting also ends a state
    /// of conflict with another writer.
    ///
    /// # Errors
    /// No such database.
    pub fn set_stopped(&self, path: &Path, stopped: bool) -> Result<bool, RequestError> {
        let id = self.id(path)?;
        Ok(self.shared.update(|state, now| {
            let flags = state.scheduler.table.get(id).map(|record| record.flags).unwrap_or_default();
            let changes = flags.has(Flags::STOPPED) != stopped || (!stopped && flags.has(Flags::CONFLICT));
            if changes {
                state.scheduler.set_stopped(id, stopped, now);
            }
            changes
        }))
    }

    /// Adds one database with an entry of its own. Gives false if it is replicated already.
    ///
    /// # Errors
    /// It cannot be replicated there.
    pub async fn register(&self, entry: Entry) -> Result<bool, RequestError> {
        let EntryTarget::Path(path) = entry.target.clone() else {
            return Err(RequestError::Failed("only single databases can be registered".to_owned()));
        };
        if self.shared.find(&path).is_some() {
            return Ok(false);
        }
        let id = start::add_entry(&self.shared, Arc::new(entry), self.mode);
        if let (Some(watches), Some(dir)) = (&self.watches, path.parent()) {
            watches.add(vec![dir.to_owned()], None);
        }
        let shared = Arc::clone(&self.shared);
        let registered = tokio::task::spawn_blocking(move || {
            let candidate = Candidate { link: path.is_symlink(), path, entry: id };
            registration::register(&shared, registration::prepare_all(vec![candidate], &shared.entries()))
        });
        let (_, refused) = registered.await.map_err(|error| RequestError::Failed(error.to_string()))?;
        match refused.first() {
            None => Ok(true),
            Some(reason) => Err(RequestError::Failed(reason.to_string())),
        }
    }

    /// Syncs a database a last time and forgets it. Gives its last state, or `None` if it was not known.
    pub async fn unregister(&self, path: &Path) -> Option<StatusRow> {
        let id = self.shared.find(path)?;
        // What was not seen yet is replicated, or its failure is in the answer; never silently dropped.
        let last = self.sync(path, true).await;
        let row = self.shared.row(id);
        self.shared.update(|state, now| state.scheduler.remove(id, now));
        row.map(|row| StatusRow { error: last.err().map(|error| error.to_string()), ..row })
    }

    /// Something wrote to this file, or to its WAL. A hint: it only makes the fleet look sooner.
    pub fn changed(&self, path: &Path) {
        self.shared.changed(path);
    }

    fn id(&self, path: &Path) -> Result<DbId, RequestError> {
        self.shared.find(path).ok_or_else(|| RequestError::NotFound(path.to_owned()))
    }
}
