//! Follow mode: a restored database that keeps up with its replica, for readers.
//!
//! ```text
//! restore, or resume at <output>-txid -> poll -> next files -> spool, verify -> change the database in place -> <output>-txid
//! ```
//!
//! The loop is in `follower`; what is remembered between runs in `position`.
//!
//! A file is applied whole or not at all, also when the machine stops in between (see `in_place`): readers see committed states
//! only. `<output>-txid` is written after the database; a file that was applied just before a stop is applied again, which
//! changes nothing.

mod error;
mod follower;
mod in_place;
mod journal;
mod position;

use std::fs::{self, File};
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinError;

use super::error::RestoreError;
use super::output::{self, Output, OutputRules};
use super::plan::{Target, plan};
use super::progress::Progress;
use super::source::Source;
use super::{RestoreOptions, list, log_check, restore_and};
use crate::ltx::{LtxInfo, Txid};
use follower::Follower;
use position::{load_position, position_path, remove_position, save_position};

pub use error::FollowError;
pub use in_place::InPlaceError;

/// How to follow.
#[derive(Clone, Copy, Debug)]
pub struct FollowOptions {
    /// How often the replica is asked for news.
    pub interval: Duration,
    /// The first restore replaces what stands at the output, unless a follower left it there.
    pub force: bool,
    /// How the first restore is done.
    pub restore: RestoreOptions,
}

/// Restores or resumes, then follows until `stop`. Gives the transaction the database stands at then.
///
/// While it follows, errors are logged and tried again for ever: the replica may come back.
///
/// # Errors
/// Following does not begin; or cannot go on: the page size changed, or there are two followers.
pub async fn follow(
    source: Arc<dyn Source>,
    path: &Path,
    options: FollowOptions,
    progress: &dyn Progress,
    stop: impl Future<Output = ()>,
) -> Result<Txid, FollowError> {
    tokio::pin!(stop);
    let beginning = begin(&source, path, options, progress);
    let txid = tokio::select! {
        begun = beginning => begun?,
        () = &mut stop => return Ok(Txid::NONE),
    };
    let mut follower = Follower::new(source, path, txid);
    tracing::info!(output = %path.display(), %txid, interval = ?options.interval, "entering follow mode");
    let keep_up = async {
        loop {
            if let Err(error) = follower.step().await {
                break error;
            }
            tokio::time::sleep(follower.pause(options.interval)).await;
        }
    };
    tokio::select! {
        () = &mut stop => {}
        error = keep_up => return Err(error),
    }
    follower.come_to_rest().await;
    tracing::info!(output = %path.display(), txid = %follower.txid, "follow mode stopped");
    Ok(follower.txid)
}

async fn begin(
    source: &Arc<dyn Source>,
    path: &Path,
    options: FollowOptions,
    progress: &dyn Progress,
) -> Result<Txid, FollowError> {
    let exists = fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0);
    if exists && (!options.force || position_path(path).exists()) {
        return resume(source, path).await;
    }
    let rules = OutputRules { force: options.force, skip_existing: false };
    let checked = Output::check(path, rules).map_err(RestoreError::from)?;
    let Some(output) = checked else { return Err(FollowError::NoPosition(path.to_owned())) };
    let files = list(source.as_ref(), Target::Latest).await?;
    let plan = plan(&files, Target::Latest).map_err(RestoreError::from)?;
    // A position of before must not be taken for that of the database that comes.
    remove_position(path)?;
    let prepare = {
        let path = path.to_owned();
        move |file: &File, txid: Txid| {
            in_place::leave_wal_mode(file).map_err(output::io_error("write", &path))?;
            // Where nothing stood before, no stop can leave a database without its position.
            if exists { Ok(()) } else { save_position(&path, txid) }
        }
    };
    let (target, how) = (Target::Latest, options.restore);
    let restored = restore_and(source.as_ref(), target, plan, &output, how, progress, prepare).await?;
    log_check(how.integrity);
    if exists {
        save_position(path, restored.txid).map_err(RestoreError::from)?;
    }
    Ok(restored.txid)
}

async fn resume(source: &Arc<dyn Source>, path: &Path) -> Result<Txid, FollowError> {
    let at = load_position(path)?;
    let database = path.to_owned();
    joined(tokio::task::spawn_blocking(move || in_place::settle(&database)).await)
        .map_err(|source| FollowError::Database { path: path.to_owned(), source })?;
    let files = list(source.as_ref(), Target::Latest).await?;
    match tip(&files) {
        tip if tip == at || continuing(&files, at).is_some() => Ok(at),
        tip if tip < at => Err(FollowError::Ahead { path: path.to_owned(), at, tip }),
        _ => Err(FollowError::Gap(at)),
    }
}

/// The result of a blocking task; its panic is ours.
fn joined<T>(result: Result<T, JoinError>) -> T {
    result.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// The newest transaction of some files.
fn tip(files: &[LtxInfo]) -> Txid {
    files.iter().map(|file| file.max_txid).max().unwrap_or(Txid::NONE)
}

/// Of the files that continue a state, the one that leads furthest.
fn continuing(files: &[LtxInfo], txid: Txid) -> Option<&LtxInfo> {
    let next = txid.next();
    files.iter().filter(|file| file.min_txid <= next && file.max_txid >= next).max_by_key(|file| file.max_txid)
}

#[cfg(test)]
mod tests;
