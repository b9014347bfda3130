//! Merges the files of a level into one file of the level above. Deletes nothing: that is retention's.

use crate::ltx::{FileName, Level, LtxInfo, Txid};

use super::jobs::{JobContext, JobError};
use super::levels::covered;
use super::merge::{self, MAX_INPUTS};
use super::record::Levels;
use super::scheduler::{LevelsEnd, LevelsWork};

/// Brings `level` up to the level below it, or as far as one merge goes.
///
/// # Errors
/// A hole, a store that failed, a damaged file. The inputs stay as they are.
pub async fn run(work: &LevelsWork, level: Level, context: &JobContext<'_>) -> Result<LevelsEnd, JobError> {
    let reached = covered(&work.levels, level);
    let mut inputs = chain(&candidates(work, level, reached.next(), context).await?, reached);
    if inputs.is_empty() {
        let bridge = bridge(&work.levels, level);
        if bridge > reached {
            inputs = chain(&candidates(work, level, bridge.next(), context).await?, bridge);
            if inputs.is_empty() {
                return Ok(LevelsEnd::Compacted { level, max: bridge });
            }
        }
    }
    if inputs.is_empty() {
        let below = Level::new(level.number() - 1).unwrap_or(Level::RAW);
        let reason = format!("level {below} has a hole behind {reached}, it is not compacted");
        return Err(JobError::Lost(reason));
    }
    inputs.truncate(MAX_INPUTS);
    let (name, bytes) = match &inputs[..] {
        // What is at level 1 or above would come out of a merge as it went in. Files of level 0 go the long way: our own
        // copies are read, so damage to one on the replica does not spread.
        [only] if only.level > Level::RAW && context.client.promote(only, level).await => (only.file_name(), only.size),
        inputs => merged(inputs, level, context).await?,
    };
    context.report("compaction complete", work, level, name, bytes);
    if context.verify {
        context.verify_level(work, level).await?;
    }
    Ok(LevelsEnd::Compacted { level, max: name.max_txid })
}

async fn merged(inputs: &[LtxInfo], level: Level, context: &JobContext<'_>) -> Result<(FileName, u64), JobError> {
    let merged = merge::merge(context.client, context.meta, inputs).await?;
    let name = FileName::of(&merged.header);
    context.client.write_file(level, name, merged.header.timestamp, false, &merged.spool).await?;
    Ok((name, merged.spool.len()))
}

/// A hole is harmless where a snapshot or another level above bridges it: the level goes on behind that.
fn bridge(levels: &Levels, level: Level) -> Txid {
    let above = Level::all().filter(|above| *above > level);
    above.map(|above| levels.max(above)).max().unwrap_or(Txid::NONE)
}

/// The files of the level below that may continue `level`.
async fn candidates(
    work: &LevelsWork,
    level: Level,
    from: Txid,
    context: &JobContext<'_>,
) -> Result<Vec<LtxInfo>, JobError> {
    let below = Level::new(level.number() - 1).unwrap_or(Level::RAW);
    if below == Level::RAW {
        let local = context.local_raw_files().await?;
        let uploaded = work.levels.max(Level::RAW);
        let usable = local.into_iter().filter(|file| file.min_txid >= from && file.max_txid <= uploaded);
        let usable: Vec<LtxInfo> = usable.collect();
        if usable.first().is_some_and(|file| file.min_txid == from) {
            return Ok(usable);
        }
    }
    let listed = context.client.list_level(below, from).await?;
    if listed.first().is_some_and(|file| file.min_txid == from) {
        return Ok(listed);
    }
    // Files that overlap begin earlier.
    Ok(context.client.list_level(below, Txid::NONE).await?)
}

/// The longest gapless row of files behind `reached`, each as long as possible. Sorted input.
fn chain(files: &[LtxInfo], mut reached: Txid) -> Vec<LtxInfo> {
    let mut chain = Vec::new();
    loop {
        let next = files.iter().filter(|file| file.min_txid <= reached.next() && file.max_txid > reached);
        let Some(next) = next.max_by_key(|file| file.max_txid) else { return chain };
        reached = next.max_txid;
        chain.push(next.clone());
        if chain.len() >= MAX_INPUTS {
            return chain;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(ranges: &[(u64, u64)]) -> Vec<LtxInfo> {
        let file = |&(min, max): &(u64, u64)| LtxInfo {
            level: Level::RAW,
            min_txid: Txid(min),
            max_txid: Txid(max),
            size: 1,
            created_at: 0,
        };
        ranges.iter().map(file).collect()
    }

    #[test]
    fn a_chain_stops_before_a_hole() {
        let files = files(&[(3, 3), (4, 4), (6, 6)]);
        assert_eq!(chain(&files, Txid(2)), files[..2]);
        assert_eq!(chain(&files, Txid(1)), [], "the hole is in front");
        assert_eq!(chain(&files, Txid(5)), files[2..]);
    }

    /// Found by the simulation, seed 86: somebody deleted a file of level 1, and nothing was compacted ever again.
    #[test]
    fn a_hole_is_bridged_by_whatever_reaches_furthest_above_it() {
        let mut levels = Levels::default();
        for (number, txid) in [(0, 15), (1, 9), (2, 12), (9, 7)] {
            levels.reached(Level::new(number).unwrap(), Txid(txid));
        }
        assert_eq!(bridge(&levels, Level::new(1).unwrap()), Txid(12));
        assert_eq!(bridge(&levels, Level::new(2).unwrap()), Txid(7));
    }

    #[test]
    fn overlapping_files_are_used_once() {
        let files = files(&[(1, 10), (8, 15), (11, 12), (16, 20)]);
        let taken: Vec<u64> = chain(&files, Txid(10)).iter().map(|file| file.max_txid.0).collect();
        assert_eq!(taken, [15, 20]);
    }
}
