//! A single run over all databases: sync, upload, and what else was asked for. One bad database starves no other one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::{StreamExt, stream};

use crate::db::MetaDir;

use super::jobs::JobContext;
use super::record::{DbId, Flags, Job};
use super::scheduler::{LevelsEnd, LevelsWork};
use super::shared::Shared;
use super::waiters::{Answer, Synced};
use super::{retention, snapshot, upload};

/// What to do beside syncing.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnceRequest {
    /// Write a snapshot, even if there is one of this state.
    pub force_snapshot: bool,
    /// Delete what retention allows.
    pub enforce_retention: bool,
}

/// How one database fared.
#[derive(Clone, Debug)]
pub struct OnceResult {
    /// Which.
    pub path: PathBuf,
    /// Where it and its replica are, or why not.
    pub result: Result<Synced, String>,
}

/// Snapshots and retention of this many databases at once.
const AT_ONCE: usize = 8;

/// Runs it.
pub async fn run(shared: &Arc<Shared>, request: OnceRequest) -> Vec<OnceResult> {
    let ids: Vec<DbId> = shared.look(|state| state.scheduler.table.iter().map(|(id, _)| id).collect());
    let waiting: Vec<_> = ids.into_iter().map(|id| (id, ask(shared, id))).collect();
    let one = |(id, waiting)| async move {
        let path = shared.look(|state| state.scheduler.table.path(id));
        let result = match waiting {
            Ok(answer) => receive(answer, &path).await,
            Err(reason) => Err(reason),
        };
        let result = match result {
            Ok(synced) => extra(shared, id, request).await.map(|()| synced),
            failed => failed,
        };
        OnceResult { path, result }
    };
    let mut results: Vec<OnceResult> =
        stream::iter(waiting.into_iter().map(one)).buffer_unordered(AT_ONCE).collect().await;
    results.sort_by(|a, b| a.path.cmp(&b.path));
    results
}

type Receiver = tokio::sync::oneshot::Receiver<Answer>;

/// Asks for a sync of one database.
fn ask(shared: &Arc<Shared>, id: DbId) -> Result<Receiver, String> {
    shared.request(id, true).ok_or_else(|| no_position(&shared.look(|state| state.scheduler.table.path(id))))
}

fn no_position(path: &Path) -> String {
    format!("sync replica for {}: no position, waiting for data", path.display())
}

async fn receive(answer: Receiver, path: &Path) -> Answer {
    match answer.await {
        Ok(Ok(synced)) if !synced.txid.is_some() => Err(no_position(path)),
        Ok(answer) => answer,
        Err(_) => Err("the fleet ended".to_owned()),
    }
}

impl Shared {
    /// Asks for a sync; `None` if there is no file to sync.
    pub(super) fn request(self: &Arc<Self>, id: DbId, upload: bool) -> Option<Receiver> {
        self.update(|state, now| {
            let record = state.scheduler.table.get(id)?;
            if record.flags.has(Flags::MISSING) {
                return None;
            }
            let running = record.lane(super::record::Lane::Local).phase == super::record::Phase::Running;
            let receiver = state.waiters.add(id, upload, running);
            state.scheduler.request(id, now);
            Some(receiver)
        })
    }
}

async fn extra(shared: &Arc<Shared>, id: DbId, request: OnceRequest) -> Result<(), String> {
    for (wanted, job) in [(request.force_snapshot, Job::Snapshot), (request.enforce_retention, Job::SnapshotRetention)]
    {
        if wanted {
            run_job(shared, id, job, request.force_snapshot).await?;
        }
    }
    Ok(())
}

async fn run_job(shared: &Arc<Shared>, id: DbId, job: Job, force: bool) -> Result<(), String> {
    let work = shared.look(|state| {
        let record = state.scheduler.table.get(id)?;
        let path = state.scheduler.table.path(id);
        let (entry, levels) = (record.entry, record.levels);
        Some((LevelsWork { id, path, entry, job, levels }, record.metrics.clone()))
    });
    let Some((work, metrics)) = work else { return Ok(()) };
    let Some(entry) = shared.entry(work.entry) else { return Ok(()) };
    let meta = MetaDir::new(entry.meta_path(&work.path));
    let client = upload::client(&entry, &work.path, work.levels.layout).await.map_err(|error| error.to_string())?;
    let rules = &shared.rules;
    let context = JobContext {
        client: &client,
        meta: &meta,
        plan: &rules.plan,
        retention_enabled: rules.retention_enabled,
        verify: rules.verify,
        force,
        few: true,
        metrics,
    };
    let end = match job {
        Job::Snapshot => snapshot::run(&work, &context).await,
        Job::SnapshotRetention => retention::snapshots(&context).await,
        _ => return Ok(()),
    };
    match end {
        Ok(LevelsEnd::Lost(message) | LevelsEnd::Failed(message)) => Err(message),
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}
