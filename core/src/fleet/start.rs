//! Starts a fleet: entries, first scans, rows, threads, watches. Refuses only what the configuration gets wrong; a bad
//! database or a store that does not answer is that database's problem, later.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::config::{Config, DbEntry, Target};
use crate::db;
use crate::discovery::{Changes, DirSpec, Rescan, ScanError, Scope};
use crate::plugin::{Registry, Stores};

use super::destination::{DestinationError, PluginDestination};
use super::entry::{Destination, Entry, EntryTarget};
use super::jobs::JobRules;
use super::ledger::Ledger;
use super::levels::LevelPlan;
use super::limits;
use super::membership::{Membership, Scans};
use super::record::EntryId;
use super::registration::{self, Candidate, Refused};
use super::reload::Configured;
use super::scheduler::{Limits, Pace, PoolId, Scheduler, Timing};
use super::shared::{FEW, Shared};
use super::{Fleet, watch, workers};

/// A database without news is detached after this time: long enough that files are old enough to be recognised, short
/// enough that a fleet that was busy once does not keep its descriptors.
const QUIET: Duration = Duration::from_secs(10);

/// Jobs on levels at once. Each holds a merge's buffers, and none is urgent.
const LEVEL_JOBS: usize = 4;

/// What a fleet is made of.
pub struct FleetParts {
    /// Entries, with what their databases share.
    pub entries: Vec<Entry>,
    /// Work on levels.
    pub rules: JobRules,
    /// Attached databases, at most; fewer if the limit of open files says so.
    pub max_open_databases: usize,
    /// Uploads at once.
    pub upload_concurrency: usize,
    /// How often watched directories are scanned, and files looked at although nothing reported a change.
    pub scan_interval: Duration,
    /// How databases come to be synced.
    pub mode: Mode,
    /// The directory for what is kept between two runs, the ledger. `None`: nothing is.
    pub state_directory: Option<PathBuf>,
}

/// How databases come to be synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// When they change, for as long as the program runs.
    Continuous,
    /// Once, on request: no sweeps, no watches, no work on levels.
    Once,
}

/// Why a fleet does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A directory cannot be scanned, or holds no database.
    #[error("{0}")]
    Scan(#[from] ScanError),
    /// A replica's configuration.
    #[error("{0}")]
    Destination(#[from] DestinationError),
    /// Two databases would destroy each other's replica or state. One line for each.
    #[error("{0}")]
    Collision(String),
    /// No threads.
    #[error("cannot start threads: {0}")]
    Threads(std::io::Error),
}

impl FleetParts {
    /// The parts that a configuration describes, with no directory for state. Its replicas must have been completed by
    /// [`Config::resolve_replicas`].
    ///
    /// # Errors
    /// A replica's configuration is refused by its plugin.
    pub fn of(
        config: &Config,
        registry: &Registry,
        stores: &Arc<Stores>,
        mode: Mode,
    ) -> Result<FleetParts, DestinationError> {
        let entries = Entry::all_of(config, registry, stores)?;
        let plan = LevelPlan {
            compaction_intervals: config.levels.clone(),
            snapshot_interval: config.snapshot.interval,
            snapshot_retention: config.snapshot.retention,
            l0_retention: config.l0_retention.unwrap_or_default(),
            l0_retention_check_interval: config.l0_retention_check_interval,
            validation_interval: config.validation_interval,
            enabled: mode == Mode::Continuous,
        };
        let (retention_enabled, verify) = (config.retention_enabled, config.verify_compaction);
        Ok(FleetParts {
            entries,
            rules: JobRules { plan, retention_enabled, verify },
            max_open_databases: config.max_open_databases,
            upload_concurrency: config.upload_concurrency as usize,
            scan_interval: config.scan_interval,
            mode,
            state_directory: None,
        })
    }
}

impl Entry {
    /// The entries of a configuration, in its order. Its replicas must have been completed by
    /// [`Config::resolve_replicas`].
    ///
    /// # Errors
    /// A replica's configuration is refused by its plugin.
    pub fn all_of(config: &Config, registry: &Registry, stores: &Arc<Stores>) -> Result<Vec<Entry>, DestinationError> {
        let of = |entry: &DbEntry| {
            let destination = PluginDestination::of(&entry.replica, registry, stores)?;
            Ok(Entry::of(entry, Arc::new(destination)))
        };
        config.dbs.iter().map(of).collect()
    }

    /// A configured entry with its destination.
    pub fn of(entry: &DbEntry, destination: Arc<dyn Destination>) -> Entry {
        Entry {
            target: match &entry.target {
                Target::Path(path) => EntryTarget::Path(path.clone()),
                Target::Dir(spec) => EntryTarget::Dir(spec.clone()),
            },
            settings: Arc::clone(&entry.settings),
            monitor_interval: entry.monitor_interval,
            meta: entry.meta.clone(),
            destination,
            sync_interval: entry.replica.sync_interval(),
            max_sync_ltx_files: entry.replica.max_sync_ltx_files,
            auto_recover: entry.replica.auto_recover,
            layout: entry.replica.layout,
        }
    }
}

impl Fleet {
    /// Finds the databases and begins to replicate them. Call it within a runtime: uploads run there.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing runs then.
    pub async fn start(parts: FleetParts) -> Result<Fleet, StartError> {
        db::configure_sqlite();
        let workers = workers::suitable_number();
        let limits = Limits {
            open_databases: limits::open_databases(parts.max_open_databases, workers + 1),
            uploads: parts.upload_concurrency.max(1),
            levels: LEVEL_JOBS,
            quiet: QUIET,
        };
        let scheduler = Scheduler::new(limits, parts.rules.plan.clone());
        let ledger = open_ledger(parts.state_directory).await;
        let shared = Arc::new(Shared::new(scheduler, parts.rules, Handle::current(), ledger));
        let entries: Vec<Arc<Entry>> = parts.entries.into_iter().map(Arc::new).collect();
        let add = |entry: &Arc<Entry>| (add_entry(&shared, Arc::clone(entry), parts.mode), Arc::clone(entry));
        let configured: Configured = entries.iter().map(add).collect();
        let (candidates, rescans) = first_scans(&shared, &entries).await?;
        register_all(&shared, candidates, parts.mode).await?;
        log_start(&shared);
        let threads = workers::start(&shared, workers).map_err(StartError::Threads)?;
        let mut fleet = Fleet {
            shared,
            threads: threads.into(),
            watches: None,
            scans: None,
            configured: Arc::new(configured.into()),
            mode: parts.mode,
        };
        if parts.mode == Mode::Continuous {
            fleet.watch(rescans, parts.scan_interval)?;
        }
        Ok(fleet)
    }

    fn watch(&mut self, rescans: HashMap<EntryId, Rescan>, interval: Duration) -> Result<(), StartError> {
        let (requests, receiver) = tokio::sync::mpsc::unbounded_channel();
        let directories =
            self.shared.look(|state| state.scheduler.table.directories().map(|dir| dir.to_path_buf()).collect());
        let again = requests.clone();
        let watches = watch::start(&self.shared, requests, directories, interval).map_err(StartError::Threads)?;
        let scans = Scans::new(rescans, interval);
        let membership = Membership::new(Arc::clone(&self.shared), scans.clone(), again, watches.clone());
        self.shared.runtime.spawn(membership.run(receiver));
        (self.watches, self.scans) = (Some(watches), Some(scans));
        Ok(())
    }
}

/// The state directory may be on a disk that hangs, and a signal must end the process all the same.
async fn open_ledger(state_directory: Option<PathBuf>) -> Ledger {
    let Some(directory) = state_directory else { return Ledger::none() };
    tokio::task::spawn_blocking(move || Ledger::open(&directory)).await.unwrap_or_else(|_| Ledger::none())
}

/// Gives an entry its place in the fleet.
pub(super) fn add_entry(shared: &Arc<Shared>, entry: Arc<Entry>, mode: Mode) -> EntryId {
    shared.update(|state, now| {
        let (id, pool) = shared.place_entry(state, Arc::clone(&entry));
        state.scheduler.set_entry(id, timing(&entry, pool, mode), now);
        id
    })
}

/// What the scheduler needs to know of an entry. Until it is known that changes are reported, its files are looked at.
pub(super) fn timing(entry: &Entry, pool: PoolId, mode: Mode) -> Timing {
    Timing {
        monitor_interval: entry.monitor_interval.filter(|_| mode == Mode::Continuous),
        sync_interval: entry.sync_interval,
        sweep: Pace::polled(entry.monitor_interval.unwrap_or(Duration::from_secs(1))),
        pool,
    }
}

/// Scans all directories at once. Explicit paths come first in the result: they win over directories.
async fn first_scans(
    shared: &Arc<Shared>,
    entries: &[Arc<Entry>],
) -> Result<(Vec<Candidate>, HashMap<EntryId, Rescan>), StartError> {
    let mut candidates = Vec::new();
    let mut scans = Vec::new();
    for (id, entry) in (0..).map(EntryId).zip(entries) {
        match &entry.target {
            EntryTarget::Path(path) => {
                candidates.push(Candidate { path: path.clone(), entry: id, link: path.is_symlink() });
            }
            EntryTarget::Dir(spec) => {
                scans.push((id, first_scan(shared, spec.clone())));
            }
        }
    }
    let mut rescans = HashMap::new();
    for (id, scan) in scans {
        let Ok(scanned) = scan.await else { continue };
        let (rescan, changes) = scanned?;
        let spec = rescan.spec();
        log_found(shared, spec, &changes);
        let found = changes.added.into_iter();
        candidates.extend(found.map(|f| Candidate { link: f.path != f.file, path: f.path, entry: id }));
        if spec.watch {
            rescans.insert(id, rescan);
        }
    }
    Ok((candidates, rescans))
}

/// Looks through a directory for the first time.
pub(super) fn first_scan(shared: &Arc<Shared>, spec: DirSpec) -> JoinHandle<Result<(Rescan, Changes), ScanError>> {
    let attachments = Arc::clone(shared);
    shared.runtime.spawn_blocking(move || {
        let mut rescan = Rescan::new(spec);
        let changes = rescan.scan(&Scope::All, &*attachments)?;
        let spec = rescan.spec();
        if changes.added.is_empty() && !spec.watch {
            let (directory, pattern) = (spec.dir.clone(), spec.pattern.to_string());
            return Err(ScanError::NoDatabases { directory, pattern });
        }
        Ok((rescan, changes))
    })
}

/// What a first look at a directory found.
pub(super) fn log_found(shared: &Arc<Shared>, spec: &DirSpec, changes: &Changes) {
    let (count, watch) = (changes.added.len(), spec.watch);
    tracing::info!(dir = spec.written, count, watch, "found databases in directory");
    note_skipped(shared, changes);
}

fn note_skipped(shared: &Arc<Shared>, changes: &Changes) {
    let skipped = changes.skipped.iter().map(|skipped| (&skipped.path, skipped.reason.to_string()));
    let problems = changes.problems.iter().map(|problem| (&problem.path, problem.message.clone()));
    let reasons: Vec<(PathBuf, String)> =
        skipped.chain(problems).map(|(path, reason)| (path.clone(), reason)).collect();
    for (n, (path, reason)) in reasons.iter().enumerate() {
        if n < FEW {
            tracing::warn!(path = %path.display(), reason, "file is not replicated");
        } else {
            tracing::debug!(path = %path.display(), reason, "file is not replicated");
        }
    }
    if reasons.len() > FEW {
        tracing::warn!(
            count = reasons.len(),
            "files are not replicated; `status` lists all of them with their reasons"
        );
    }
    shared.lock().refused.extend(reasons);
}

async fn register_all(shared: &Arc<Shared>, candidates: Vec<Candidate>, mode: Mode) -> Result<(), StartError> {
    let registering = Arc::clone(shared);
    let done = tokio::task::spawn_blocking(move || {
        let prepared = registration::prepare_all(&registering, candidates);
        registration::register(&registering, prepared).1
    });
    let refused = done.await.unwrap_or_default();
    let collisions: Vec<String> =
        refused.iter().filter(|one| matches!(one, Refused::Collision(_))).map(ToString::to_string).collect();
    if !collisions.is_empty() {
        return Err(StartError::Collision(collisions.join("\n")));
    }
    for one in &refused {
        tracing::warn!(reason = %one, "database is not replicated");
    }
    let total = shared.look(|state| state.scheduler.table.len());
    tracing::debug!(databases = total, ?mode, "databases registered");
    Ok(())
}

/// What operators look for at a start. Of a large fleet one line, not one for each database.
fn log_start(shared: &Arc<Shared>) {
    let rows: Vec<(PathBuf, EntryId)> = shared.look(|state| {
        let table = &state.scheduler.table;
        table.iter().map(|(id, record)| (table.path(id), record.entry)).collect()
    });
    for (path, entry) in &rows {
        let Some(entry) = shared.entry(*entry) else { continue };
        let place = entry.replica_path(path).map(|place| place.to_string()).unwrap_or_default();
        let (kind, sync_interval) = (entry.destination.kind(), format!("{:?}", entry.sync_interval));
        let shown = entry.destination.shown();
        let get = |key: &str| shown.iter().find(|(name, text)| name == key && !text.is_empty()).map(|(_, text)| text);
        let (bucket, region, endpoint, host) = (get("bucket"), get("region"), get("endpoint"), get("host"));
        if rows.len() <= FEW {
            tracing::info!(path = %path.display(), "initialized db");
            tracing::info!(
                db = %path.file_name().unwrap_or_default().to_string_lossy(),
                r#type = kind,
                "sync-interval" = sync_interval,
                path = place,
                bucket,
                region,
                endpoint,
                host,
                "replicating to"
            );
        } else {
            tracing::debug!(path = %path.display(), "initialized db");
            tracing::debug!(
                db = %path.file_name().unwrap_or_default().to_string_lossy(),
                r#type = kind,
                "sync-interval" = sync_interval,
                path = place,
                bucket,
                region,
                endpoint,
                host,
                "replicating to"
            );
        }
    }
    if rows.len() > FEW {
        tracing::info!(databases = rows.len(), "initialized databases");
    }
}
