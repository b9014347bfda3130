//! All databases of this process, one record each, and the scheduler of their work.
//!
//! A database is a row of a table, not a task: no thread, timer, channel or descriptor exists for it while nothing
//! happens. A unit of work takes the row, opens what it needs, and gives it back with what came of it.
//!
//! ```text
//! watch (hints) --+                                       +-> workers: local_work (db), sweeps    threads, fixed number
//! sweep (truth) --+-> scheduler (table, due, hot_set) ----+-> tasks: upload                       runtime, limited
//! requests -------+          ^                            +-> tasks: jobs (compaction, snapshot, retention)
//!                            +---------- outcomes --------+
//! ```
//!
//! | question | file |
//! |---|---|
//! | what is kept of a database? | `record.rs`, `table.rs`; between runs `saved_state.rs`, `ledger.rs` |
//! | who works when? | `scheduler/`, `due.rs`, `back_off.rs`, `hot_set.rs` |
//! | which files belong to the fleet? | `start.rs`, `reload/`, `registration.rs`, `membership.rs`, `owners.rs` |
//! | how is a change noticed? | `watch.rs`, `scheduler/sweep.rs` |
//! | who may open a database file, and when? | `readers.rs`, `table.rs`; `workers.rs` |
//! | what is shown of it? | `status.rs`, `summary.rs`, `explain.rs`, `worst.rs`, `health.rs` |
//! | what is uploaded, merged, deleted? | `upload.rs`, `levels.rs`, `jobs.rs`, `merge.rs`, `compaction.rs`, `snapshot.rs`, `retention.rs` |
//! | what is being done now? | `working.rs`, `status.rs`, `explain.rs` |
//! | how does it end? | `once.rs`, `shutdown.rs` |

mod back_off;
mod compaction;
mod destination;
mod due;
mod entry;
mod explain;
mod flood;
mod health;
mod hot_set;
mod jobs;
mod ledger;
mod levels;
mod limits;
mod local_file;
mod local_work;
mod membership;
mod memory;
mod merge;
mod once;
mod owners;
mod readers;
mod record;
mod registration;
mod reload;
mod report;
mod requests;
mod retention;
mod saved_state;
mod scheduler;
mod shared;
mod shutdown;
mod snapshot;
mod start;
mod status;
mod summary;
mod table;
mod tasks;
mod upload;
mod waiters;
mod watch;
mod workers;
mod working;
mod worst;

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use litestream_sdk::StorageError;

use crate::replica::ReplicaClient;
use shared::Shared;

pub use destination::{DestinationError, PluginDestination};
pub use entry::{Destination, Entry, EntryTarget};
pub use explain::{Explanation, Work};
pub use jobs::JobRules;
pub use levels::LevelPlan;
pub use once::{OnceRequest, OnceResult};
pub use record::Lane;
pub use reload::{ReloadError, Reloaded};
pub use requests::RequestError;
pub use shutdown::{ShutdownReport, ShutdownRequest};
pub use start::{FleetParts, Mode, StartError};
pub use status::{DatabaseStatus, Progress, StatusRow};
pub use summary::{Standing, Summary};
pub use waiters::Synced;
pub use working::Running;

/// A running fleet. Dropping it without [`Fleet::shutdown`] ends its threads, without a last sync.
pub struct Fleet {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    watches: Option<watch::Watches>,
    scans: Option<membership::Scans>,
    /// Locked for as long as a reload takes.
    configured: Arc<tokio::sync::Mutex<reload::Configured>>,
    mode: Mode,
}

impl Fleet {
    /// Syncs every database once, and reports each. For a fleet in [`Mode::Once`].
    pub async fn once(&self, request: OnceRequest) -> Vec<OnceResult> {
        once::run(&self.shared, request).await
    }

    /// A row for each database, in no order.
    pub fn snapshot(&self) -> Vec<StatusRow> {
        self.shared.rows()
    }

    /// One database.
    pub fn status(&self, path: &std::path::Path) -> Option<StatusRow> {
        self.shared.row(self.shared.find(path)?)
    }

    /// Candidates that are not replicated, each with its reason.
    pub fn refused(&self) -> Vec<(std::path::PathBuf, String)> {
        self.shared.look(|state| state.refused.iter().map(|(path, reason)| (path.clone(), reason.clone())).collect())
    }

    /// Sums over all databases: how far a long first sync has come.
    pub fn progress(&self) -> Progress {
        self.shared.progress()
    }

    /// Sums for the metrics.
    pub fn reading(&self) -> crate::metrics::FleetReading {
        let mut reading = self.shared.reading();
        let scans = self.scans.as_ref().map(membership::Scans::bound);
        reading.discovery_bound = reading.discovery_bound.max(scans.unwrap_or_default());
        reading
    }

    /// A database's replica, for reading. `None` if the fleet does not know it.
    ///
    /// # Errors
    /// The store cannot be opened.
    pub async fn replica(&self, path: &std::path::Path) -> Option<Result<ReplicaClient, StorageError>> {
        let id = self.shared.find(path)?;
        let known =
            |state: &shared::State| state.scheduler.table.get(id).map(|record| (record.entry, record.levels.layout));
        let (entry, layout) = self.shared.look(known)?;
        let entry = self.shared.entry(entry)?;
        Some(upload::client(&entry, path, layout).await)
    }

    /// How it was started.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Ends it: a last sync of all databases in parallel, under one deadline, then every file is given back. `cut` (the
    /// second signal) ends the waiting. The stores stay open: they are the caller's.
    pub async fn shutdown(&self, request: ShutdownRequest, cut: impl Future<Output = ()>) -> ShutdownReport {
        let report = shutdown::run(&self.shared, request, cut).await;
        self.shared.stop_threads();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let joined = tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join())));
        if tokio::time::timeout(std::time::Duration::from_secs(10), joined).await.is_err() {
            tracing::warn!("a worker is still busy with a disk that does not answer");
        }
        report
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.shared.stop_threads();
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_levels;
#[cfg(test)]
mod tests_outage;
#[cfg(test)]
mod tests_replica;
