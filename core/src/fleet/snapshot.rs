//! Files of level 9: the whole database in one file, made of LTX files, so that the database is not touched and no read
//! mark is held.

use crate::db::MetaDir;
use crate::ltx::{FileName, Level, LtxInfo, Txid};
use crate::replica::ReplicaClient;
use crate::restore::{PlanError, Target, plan};

use super::jobs::{JobContext, JobError};
use super::local_file::LocalLtx;
use super::merge::{self, MAX_INPUTS, Merged};
use super::scheduler::{LevelsEnd, LevelsWork};
use super::upload::{Stop, local_failure};

/// Writes a snapshot that reaches as far as the replica does, unless there is one.
///
/// # Errors
/// The replica has a hole, the store failed, or a file is damaged.
pub async fn run(work: &LevelsWork, context: &JobContext<'_>) -> Result<LevelsEnd, JobError> {
    let files = context.client.list_all().await?;
    let count = files.iter().filter(|file| file.level == Level::SNAPSHOT).count();
    let plan = match plan(&files, Target::Latest) {
        Ok(plan) => plan,
        Err(PlanError::Empty) => return Err(JobError::Lost("the replica is empty".to_owned())),
        Err(error) => return Err(JobError::Lost(error.to_string())),
    };
    let inputs = &plan.files()[..plan.files().len().min(MAX_INPUTS)];
    let max = inputs.last().map_or(Txid::NONE, |file| file.max_txid);
    if let [only] = inputs
        && only.level == Level::SNAPSHOT
        && !context.force
    {
        return Ok(LevelsEnd::Snapshot { max, count: saturated(count) });
    }
    let (name, bytes) = match inputs {
        // A whole database in one file already, as after the first sync of it: no second upload.
        [only] if only.level < Level::SNAPSHOT && context.client.promote(only, Level::SNAPSHOT).await => {
            (only.file_name(), only.size)
        }
        inputs => {
            let merged = merge::merge(context.client, context.meta, inputs).await?;
            (FileName::of(&merged.header), write(context.client, &merged).await?)
        }
    };
    context.report("snapshot complete", work, Level::SNAPSHOT, name, bytes);
    let replaced = files.iter().any(|file| is_snapshot(file, max));
    Ok(LevelsEnd::Snapshot { max, count: saturated(count + usize::from(!replaced)) })
}

fn is_snapshot(file: &LtxInfo, max: Txid) -> bool {
    file.level == Level::SNAPSHOT && file.max_txid == max
}

fn saturated(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

/// Writes the snapshot that one full local file is. Gives its size.
///
/// # Errors
/// Those of an upload.
pub async fn of_full_file(client: &ReplicaClient, meta: &MetaDir, file: &LocalLtx) -> Result<u64, Stop> {
    let merged = merge::snapshot_of(file.path.clone(), meta.root().to_owned()).await;
    let merged = merged.map_err(|error| local_failure(&error))?;
    Ok(write(client, &merged).await?)
}

async fn write(client: &ReplicaClient, merged: &Merged) -> Result<u64, litestream_sdk::StorageError> {
    let name = FileName::of(&merged.header);
    client.write_file(Level::SNAPSHOT, name, merged.header.timestamp, false, &merged.spool).await?;
    Ok(merged.spool.len())
}
