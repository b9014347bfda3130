//! Puts a database back: chooses files, streams and merges them, verifies, and only then shows the result.
//!
//! ```text
//! Source (listings) -> plan -> Source (bytes) -> apply (newest file first) -> <output>.tmp -> verified -> <output>
//! ```

mod apply;
mod coverage;
mod decode;
mod directory;
mod error;
mod fetch;
mod file_reader;
mod follow;
mod integrity;
mod output;
mod plan;
mod progress;
mod source;
mod v3;

use std::fs::File;

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::clock::UnixMillis;
use crate::ltx::{Level, LtxInfo, Txid};

pub use directory::{
    DirectoryError, DirectoryOptions, DirectoryProgress, DirectoryReport, Failure, Member, Outcome, plan_directory,
    restore_directory,
};
pub use error::RestoreError;
pub use file_reader::FileReader;
pub use follow::{FollowError, FollowOptions, InPlaceError, follow};
pub use integrity::{IntegrityCheck, IntegrityError, ParseIntegrityCheckError};
pub use output::{Output, OutputError, OutputRules};
pub use plan::{Plan, PlanError, Target, plan};
pub use progress::Progress;
pub use source::Source;
pub use v3::{V3Object, V3Plan, V3Source, plan_v3};

/// Requests for exact times under way at once.
const TIME_REQUESTS: usize = 50;
/// Damaged or vanished files one restore works around before it gives up.
const MAX_ATTEMPTS: usize = 16;

/// How to restore.
#[derive(Clone, Copy, Debug)]
pub struct RestoreOptions {
    /// Requests under way at once, and at most as many threads.
    pub parallelism: usize,
    /// What SQLite is asked before the database appears.
    pub integrity: IntegrityCheck,
}

impl Default for RestoreOptions {
    fn default() -> Self {
        RestoreOptions { parallelism: 8, integrity: IntegrityCheck::None }
    }
}

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The state; [`Txid::NONE`] for a database of the 0.3 layout, which has no transaction ids.
    pub txid: Txid,
    /// Files that were read.
    pub files: usize,
}

/// Files of which generation of the format a restore would use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Today's.
    Ltx(Plan),
    /// Litestream 0.3's.
    V3(V3Plan),
}

impl Choice {
    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        match self {
            Choice::Ltx(plan) => plan.bytes(),
            Choice::V3(plan) => plan.objects().map(|object| object.size).sum(),
        }
    }

    /// How many files there are.
    pub fn files(&self) -> usize {
        match self {
            Choice::Ltx(plan) => plan.files().len(),
            Choice::V3(plan) => plan.objects().count(),
        }
    }

    /// When the newest file was written: the moment whose state it gives.
    pub fn newest(&self) -> UnixMillis {
        match self {
            Choice::Ltx(plan) => plan.files().last().map_or(0, |file| file.created_at),
            Choice::V3(plan) => plan.newest(),
        }
    }

    /// The transaction whose state it gives; [`Txid::NONE`] in the 0.3 layout.
    pub fn txid(&self) -> Txid {
        match self {
            Choice::Ltx(plan) => plan.max_txid(),
            Choice::V3(_) => Txid::NONE,
        }
    }
}

/// Lists every level; for a target in time, with exact times.
pub async fn list(source: &dyn Source, target: Target) -> Result<Vec<LtxInfo>, RestoreError> {
    let mut files = Vec::new();
    // One after the other, lowest first: what retention takes from a level, the level above already has. The other way
    // round, a compaction between two listings would look like a hole.
    for level in Level::all() {
        files.extend(source.list(level).await.map_err(|error| RestoreError::List { level, source: error.into() })?);
    }
    if matches!(target, Target::Timestamp(_)) {
        let exact = stream::iter(files)
            .map(|file| async move {
                match source.exact_time(&file).await {
                    Ok(created_at) => Ok(Some(LtxInfo { created_at, ..file })),
                    // Retention was quicker: a file that is gone cannot be part of a plan.
                    Err(error) if error.kind == litestream_sdk::ErrorKind::NOT_FOUND => Ok(None),
                    Err(error) => Err(RestoreError::Read { file, source: error.into() }),
                }
            })
            .buffered(TIME_REQUESTS);
        files = exact.try_filter_map(|file| async move { Ok(file) }).try_collect().await?;
    }
    Ok(files)
}

/// Decides what a restore to `target` would read: what a dry run shows.
///
/// Where a replica holds both formats, the one whose plan gives the newer state is chosen.
pub async fn choose(source: &dyn Source, v3: Option<&dyn V3Source>, target: Target) -> Result<Choice, RestoreError> {
    let ltx = match quick_plan(source, target).await? {
        Some(quick) => Ok(quick),
        None => plan(&list(source, target).await?, target),
    };
    let old = match v3 {
        Some(v3) => plan_v3(&v3.list_v3().await.map_err(|error| RestoreError::ListV3(error.into()))?, target)?,
        None => None,
    };
    let newest = |plan: &Plan| plan.files().last().map(|file| file.created_at);
    match (ltx, old) {
        (Ok(ltx), Some(old)) if newest(&ltx) < Some(old.newest()) => Ok(Choice::V3(old)),
        (Ok(ltx), _) => Ok(Choice::Ltx(ltx)),
        // A hole is not healed by older data: better no database than one that is silently stale.
        (Err(PlanError::Empty | PlanError::BeforeFirst { .. } | PlanError::NotAvailable { .. }), Some(old)) => {
            Ok(Choice::V3(old))
        }
        (Err(error), _) => Err(error.into()),
    }
}

/// See [`restore_quietly`].
fn choose_boxed<'a>(
    source: &'a dyn Source,
    v3: Option<&'a dyn V3Source>,
    target: Target,
) -> BoxFuture<'a, Result<Choice, RestoreError>> {
    Box::pin(choose(source, v3, target))
}

/// A plan from one listing of all levels, if it gives one. Not for a target in time: files in motion may be missing from
/// such a listing, which is sure to show as a hole only below the newest file.
async fn quick_plan(source: &dyn Source, target: Target) -> Result<Option<Plan>, RestoreError> {
    if matches!(target, Target::Timestamp(_)) {
        return Ok(None);
    }
    let listed = source.list_at_once().await;
    let files = listed.map_err(|error| RestoreError::List { level: Level::RAW, source: error.into() })?;
    Ok(files.and_then(|files| plan(&files, target).ok()))
}

/// Restores `plan`, which was made for `target`, to `output`.
///
/// If a file proves damaged, others that lead to the same transaction are used instead; if one has vanished meanwhile
/// (compaction, retention), the replica is listed and planned anew.
pub async fn restore(
    source: &dyn Source,
    target: Target,
    plan: Plan,
    output: &Output,
    options: RestoreOptions,
    progress: &dyn Progress,
) -> Result<Restored, RestoreError> {
    let restored = restore_quietly(source, target, plan, output, options, progress).await?;
    log_check(options.integrity);
    Ok(restored)
}

/// Boxed, like [`choose_boxed`], for callers that go from thread to thread: the compiler cannot tell it of the bare future.
fn restore_quietly<'a>(
    source: &'a dyn Source,
    target: Target,
    plan: Plan,
    output: &'a Output,
    options: RestoreOptions,
    progress: &'a dyn Progress,
) -> BoxFuture<'a, Result<Restored, RestoreError>> {
    Box::pin(restore_and(source, target, plan, output, options, progress, |_, _| Ok(())))
}

/// As [`restore`]; `prepare` has the finished file and its transaction just before it becomes the output.
async fn restore_and(
    source: &dyn Source,
    target: Target,
    mut plan: Plan,
    output: &Output,
    options: RestoreOptions,
    progress: &dyn Progress,
    prepare: impl FnOnce(&File, Txid) -> Result<(), OutputError> + Send + 'static,
) -> Result<Restored, RestoreError> {
    let mut temporary = output.create()?;
    let mut unusable: Vec<LtxInfo> = Vec::new();
    let (file, applied) = loop {
        let error = match apply::apply(source, &plan, &mut temporary, options.parallelism, progress).await {
            Ok(applied) => break applied,
            Err(error) => error,
        };
        let Some(bad) = error.blamed_file().cloned().filter(|_| unusable.len() < MAX_ATTEMPTS) else {
            return Err(error);
        };
        plan = replan(source, target, &plan, &mut unusable, bad, error).await?;
    };
    let txid = applied.header.max_txid;
    finish(temporary, file, options.integrity, move |file| prepare(file, txid)).await?;
    progress.finish();
    Ok(Restored { txid, files: applied.files })
}

/// Restores a database of the 0.3 layout.
pub async fn restore_v3(
    source: &dyn V3Source,
    plan: &V3Plan,
    output: &Output,
    options: RestoreOptions,
    progress: &dyn Progress,
) -> Result<Restored, RestoreError> {
    let restored = restore_v3_quietly(source, plan, output, options, progress).await?;
    log_check(options.integrity);
    Ok(restored)
}

async fn restore_v3_quietly(
    source: &dyn V3Source,
    plan: &V3Plan,
    output: &Output,
    options: RestoreOptions,
    progress: &dyn Progress,
) -> Result<Restored, RestoreError> {
    let mut temporary = output.create()?;
    let file = v3::apply_v3(source, plan, &mut temporary, options.parallelism, progress).await?;
    finish(temporary, file, options.integrity, |_| Ok(())).await?;
    progress.finish();
    Ok(Restored { txid: Txid::NONE, files: plan.objects().count() })
}

async fn replan(
    source: &dyn Source,
    target: Target,
    failed: &Plan,
    unusable: &mut Vec<LtxInfo>,
    bad: LtxInfo,
    error: RestoreError,
) -> Result<Plan, RestoreError> {
    let mut files = list(source, target).await?;
    let same = |a: &LtxInfo, b: &LtxInfo| (a.level, a.min_txid, a.max_txid) == (b.level, b.min_txid, b.max_txid);
    let vanished = error.is_vanished_file() && !files.iter().any(|file| same(file, &bad));
    tracing::warn!(%error, "ltx file cannot be used, looking for others");
    unusable.push(bad);
    files.retain(|file| !unusable.iter().any(|bad| same(bad, file)));
    if vanished {
        return Ok(plan(&files, target)?);
    }
    // Not a state less: what cannot be had from other files is an error, never an older database.
    plan(&files, Target::Txid(failed.max_txid())).map_err(|_| error)
}

fn log_check(integrity: IntegrityCheck) {
    if integrity != IntegrityCheck::None {
        tracing::info!("post-restore integrity check passed");
    }
}

/// Checks the database and lets it appear.
async fn finish(
    temporary: output::TempOutput,
    file: File,
    integrity: IntegrityCheck,
    prepare: impl FnOnce(&File) -> Result<(), OutputError> + Send + 'static,
) -> Result<(), RestoreError> {
    let finishing = tokio::task::spawn_blocking(move || {
        integrity::check_integrity(temporary.path(), integrity)?;
        prepare(&file)?;
        Ok(temporary.keep(file)?)
    });
    finishing.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
