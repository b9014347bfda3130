//! Runs one job on the levels of one replica, and what the jobs have in common.

use litestream_sdk::StorageError;

use crate::db::MetaDir;
use crate::ltx::{FileName, Level, LtxInfo, Txid, is_contiguous};
use crate::metrics::{DatabaseMetrics, L0Retention};
use crate::replica::ReplicaClient;

use super::entry::Entry;
use super::levels::LevelPlan;
use super::local_file::blocking;
use super::merge::MergeError;
use super::record::Job;
use super::scheduler::{LevelsEnd, LevelsWork};
use super::{compaction, retention, snapshot, upload};

/// What every job needs beside the work itself.
pub struct JobContext<'a> {
    /// The replica.
    pub client: &'a ReplicaClient,
    /// The local state.
    pub meta: &'a MetaDir,
    /// The configured intervals.
    pub plan: &'a LevelPlan,
    /// False: nothing is deleted on the replica.
    pub retention_enabled: bool,
    /// Look at a level again after each compaction.
    pub verify: bool,
    /// A snapshot even if there is one.
    pub force: bool,
    /// Few databases: each job is worth a line in the log.
    pub few: bool,
    /// The database's metrics.
    pub metrics: Option<DatabaseMetrics>,
}

/// Why a job gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// What should be on the replica is not.
    #[error("{0}")]
    Lost(String),
    /// The store.
    #[error("{0}")]
    Store(#[from] StorageError),
    /// The local disk.
    #[error("local ltx files: {0}")]
    Local(#[from] std::io::Error),
    /// A merge.
    #[error("{0}")]
    Merge(MergeError),
}

impl From<MergeError> for JobError {
    fn from(error: MergeError) -> JobError {
        match error {
            MergeError::Missing(_) => JobError::Lost(error.to_string()),
            MergeError::Store(error) => JobError::Store(error),
            error => JobError::Merge(error),
        }
    }
}

/// How jobs are run; the same for all databases.
#[derive(Clone, Debug)]
pub struct JobRules {
    /// The configured intervals.
    pub plan: LevelPlan,
    /// `retention.enabled`.
    pub retention_enabled: bool,
    /// `verify-compaction`.
    pub verify: bool,
}

/// Runs it.
pub async fn run(
    work: &LevelsWork,
    entry: &Entry,
    rules: &JobRules,
    metrics: Option<DatabaseMetrics>,
    few: bool,
) -> LevelsEnd {
    let meta = MetaDir::new(entry.meta_path(&work.path));
    let client = match upload::client(entry, &work.path, work.levels.layout).await {
        Ok(client) => client,
        Err(error) => return LevelsEnd::Failed(error.to_string()),
    };
    let context = JobContext {
        client: &client,
        meta: &meta,
        plan: &rules.plan,
        retention_enabled: rules.retention_enabled,
        verify: rules.verify,
        force: false,
        few,
        metrics,
    };
    let done = match work.job {
        Job::Compact(level) => compaction::run(work, level, &context).await,
        Job::Snapshot => snapshot::run(work, &context).await,
        Job::RawRetention => retention::raw(work, &context).await,
        Job::SnapshotRetention => retention::snapshots(&context).await,
        Job::Validate => context.validate(work).await,
    };
    match done {
        Ok(end) => end,
        Err(JobError::Lost(message)) => LevelsEnd::Lost(message),
        Err(error) => LevelsEnd::Failed(error.to_string()),
    }
}

impl JobContext<'_> {
    /// Local files of level 0 as a listing of the replica would show them.
    ///
    /// # Errors
    /// The local disk failed.
    pub async fn local_raw_files(&self) -> Result<Vec<LtxInfo>, JobError> {
        let meta = self.meta.clone();
        let files = blocking(move || meta.list_l0()).await?;
        let info = |file: &crate::db::LocalFile| LtxInfo {
            level: Level::RAW,
            min_txid: file.min_txid,
            max_txid: file.max_txid,
            size: file.size,
            created_at: file.modified_at,
        };
        Ok(files.iter().map(info).collect())
    }

    /// Removes local files of level 0.
    ///
    /// # Errors
    /// The local disk failed.
    pub async fn remove_local(&self, txids: Vec<Txid>) -> Result<(), JobError> {
        let meta = self.meta.clone();
        Ok(blocking(move || txids.into_iter().try_for_each(|txid| meta.remove_l0(txid))).await?)
    }

    /// One line for a file that was made.
    pub fn report(&self, message: &'static str, work: &LevelsWork, level: Level, name: FileName, size: u64) {
        let path = work.path.display();
        let db = work.path.file_name().unwrap_or_default().to_string_lossy();
        let (min, max) = (name.min_txid, name.max_txid);
        if self.few {
            tracing::info!(system = "store", db = %db, path = %path, level = level.number(), txid.min = %min, txid.max = %max, size, "{message}");
        } else {
            tracing::debug!(system = "store", db = %db, path = %path, level = level.number(), txid.min = %min, txid.max = %max, size, "{message}");
        }
    }

    /// Notes what retention says of the local files.
    pub fn note_l0(&self, _work: &LevelsWork, counts: L0Retention) {
        if let Some(metrics) = &self.metrics {
            metrics.set_l0_retention(counts);
        }
    }

    /// `verify-compaction`: lists a level and reports what is wrong with it.
    ///
    /// # Errors
    /// The store failed.
    pub async fn verify_level(&self, work: &LevelsWork, level: Level) -> Result<(), JobError> {
        let files = self.client.list_level(level, Txid::NONE).await?;
        if report_faults(work, &files, "compaction verification failed")
            && let Some(metrics) = &self.metrics
        {
            metrics.compaction_verify_failed();
        }
        Ok(())
    }

    async fn validate(&self, work: &LevelsWork) -> Result<LevelsEnd, JobError> {
        let files = self.client.list_all().await?;
        for level in (0..=8).filter_map(Level::new) {
            let of_level: Vec<LtxInfo> = files.iter().filter(|file| file.level == level).cloned().collect();
            report_faults(work, &of_level, "validation error detected");
        }
        Ok(LevelsEnd::Validated)
    }
}

/// Two neighbours of a level that do not follow each other.
fn fault(pair: &[LtxInfo]) -> Option<&'static str> {
    let (before, after) = (&pair[0], &pair[1]);
    if is_contiguous(before.max_txid, after.min_txid, after.max_txid) && after.min_txid == before.max_txid.next() {
        None
    } else if after.min_txid > before.max_txid.next() {
        Some("gap")
    } else {
        Some("overlap")
    }
}

fn report_faults(work: &LevelsWork, files: &[LtxInfo], message: &'static str) -> bool {
    let faults = files.windows(2).filter_map(|pair| fault(pair).map(|kind| (pair, kind)));
    let mut any = false;
    for (pair, kind) in faults {
        any = true;
        let (level, previous, next) = (pair[0].level, pair[0].file_name(), pair[1].file_name());
        tracing::warn!(path = %work.path.display(), level = level.number(), r#type = kind, %previous, %next, "{message}");
    }
    any
}
