//! Deletes what is no longer needed: remote first, then the local copy, so that nothing is forgotten half way.
//!
//! Level 0 goes by what we know we uploaded, without a listing. Ages compare local times with the store's; whatever a
//! clock says, the newest file of a level is never deleted.

use std::time::Duration;

use crate::clock::{self, UnixMillis};
use crate::ltx::{FileName, Level, LtxInfo, Txid};
use crate::metrics::L0Retention;

use super::jobs::{JobContext, JobError};
use super::levels::covered;
use super::scheduler::{LevelsEnd, LevelsWork};

/// Names in a row that one run deletes without having listed them. A longer row has holes: it is listed.
const BLIND_DELETES: u64 = 4096;

/// Deletes files of level 0 that level 1 (or a snapshot) holds and that are old enough.
///
/// # Errors
/// The store or the local disk failed. What was not deleted stays planned.
pub async fn raw(work: &LevelsWork, context: &JobContext<'_>) -> Result<LevelsEnd, JobError> {
    let level1 = covered(&work.levels, Level::new(1).unwrap_or(Level::SNAPSHOT));
    let last = work.levels.max(Level::RAW);
    let before = clock::unix_millis().saturating_sub(millis(context.plan.l0_retention));
    let local = context.local_raw_files().await?;
    let choice = choose_raw(&local, level1, last, before);
    context.note_l0(work, choice.counts);
    let floor = choice.floor(level1).unwrap_or(work.levels.raw_floor);
    if floor > work.levels.raw_floor {
        if context.retention_enabled {
            context.client.delete(remote_raw(work, floor, context).await?).await?;
        }
        context.remove_local(choice.remove).await?;
    }
    let again = choice.too_young.map(|created| age_until(created, context.plan.l0_retention));
    Ok(LevelsEnd::RawRetention {
        floor: floor.max(work.levels.raw_floor),
        again: again.map(|wait| wait.max(context.plan.l0_retention_check_interval)),
    })
}

/// What is on the replica below `floor`.
async fn remote_raw(
    work: &LevelsWork,
    floor: Txid,
    context: &JobContext<'_>,
) -> Result<Vec<(Level, FileName)>, JobError> {
    let known = work.levels.raw_floor.0..floor.0;
    if floor.0 - work.levels.raw_floor.0 <= BLIND_DELETES {
        return Ok(known.map(|txid| (Level::RAW, FileName::new(Txid(txid), Txid(txid)))).collect());
    }
    let listed = context.client.list_level(Level::RAW, Txid::NONE).await?;
    Ok(listed.iter().filter(|file| file.max_txid < floor).map(|file| (Level::RAW, file.file_name())).collect())
}

#[derive(Debug, Default, PartialEq, Eq)]
struct RawChoice {
    /// Local files to remove.
    remove: Vec<Txid>,
    /// The lowest TXID that stays, if anything goes.
    keep_from: Option<Txid>,
    /// When the first file was written that is only too young.
    too_young: Option<UnixMillis>,
    counts: L0Retention,
}

impl RawChoice {
    /// Where level 0 may begin. Local files tell ages, not what the replica holds: where the local history has a gap (it was
    /// lost, and began again above the replica), files in the gap may not be in level 1 yet.
    fn floor(&self, level1: Txid) -> Option<Txid> {
        self.keep_from.map(|keep| keep.min(level1.next()))
    }
}

/// In order, up to the first file that is too young or not in level 1; never the last.
fn choose_raw(local: &[LtxInfo], level1: Txid, last: Txid, before: UnixMillis) -> RawChoice {
    let mut choice = RawChoice::default();
    let mut stopped = false;
    for file in local {
        let not_compacted = file.max_txid > level1 || file.max_txid >= last;
        let too_recent = file.created_at > before;
        match (not_compacted, too_recent) {
            (true, _) => choice.counts.not_compacted += 1,
            (false, true) => choice.counts.too_recent += 1,
            (false, false) => choice.counts.eligible += 1,
        }
        if stopped {
            continue;
        }
        if !not_compacted && !too_recent {
            choice.remove.push(file.max_txid);
            continue;
        }
        stopped = true;
        choice.keep_from = Some(file.min_txid);
        choice.too_young = (!not_compacted).then_some(file.created_at);
    }
    choice
}

/// Deletes snapshots that are too old, and files of levels 1 to 8 that only led up to deleted ones.
///
/// # Errors
/// The store failed.
pub async fn snapshots(context: &JobContext<'_>) -> Result<LevelsEnd, JobError> {
    let files = context.client.list_all().await?;
    let retention = context.plan.snapshot_retention;
    let choice = choose_snapshots(&files, clock::unix_millis().saturating_sub(millis(retention)));
    if context.retention_enabled {
        context.client.delete(choice.remove.iter().map(|file| (file.level, file.file_name()))).await?;
    }
    let again = choice.next.map(|created| age_until(created, retention));
    // Where nothing can be deleted, looking again would only list again: no more is planned until the next snapshot.
    let again = again.filter(|_| context.retention_enabled);
    let count = if again.is_some() { choice.left } else { choice.left.min(1) };
    Ok(LevelsEnd::SnapshotRetention { count, again: again.map(|wait| wait.max(Duration::from_secs(1))) })
}

#[derive(Debug, Default, PartialEq, Eq)]
struct SnapshotChoice {
    remove: Vec<LtxInfo>,
    /// Snapshots that stay.
    left: u16,
    /// When the oldest of them was written, if there is a newer one.
    next: Option<UnixMillis>,
}

/// Snapshots written before `before` go, never the newest. Files of other levels that end below the newest deleted
/// snapshot go too, never the last of a level: so a restore that was planned a moment ago still finds its files.
fn choose_snapshots(files: &[LtxInfo], before: UnixMillis) -> SnapshotChoice {
    let snapshots: Vec<&LtxInfo> = files.iter().filter(|file| file.level == Level::SNAPSHOT).collect();
    let Some((newest, older)) = snapshots.split_last() else { return SnapshotChoice::default() };
    // An unknown time (0) is no age.
    let old = |file: &LtxInfo| file.created_at != 0 && file.created_at < before;
    let (gone, kept): (Vec<&LtxInfo>, Vec<&LtxInfo>) = older.iter().copied().partition(|file| old(file));
    let kept_min = kept.iter().chain([newest]).map(|file| file.max_txid).min().unwrap_or(Txid::NONE);
    let floor = gone.iter().map(|file| file.max_txid).filter(|max| *max < kept_min).max().unwrap_or(Txid::NONE);
    let mut remove: Vec<LtxInfo> = gone.iter().map(|file| (*file).clone()).collect();
    for level in (1..=8).filter_map(Level::new) {
        let of_level: Vec<&LtxInfo> = files.iter().filter(|file| file.level == level).collect();
        let Some((_, front)) = of_level.split_last() else { continue };
        remove.extend(front.iter().filter(|file| file.max_txid < floor).map(|file| (*file).clone()));
    }
    SnapshotChoice {
        remove,
        left: u16::try_from(kept.len() + 1).unwrap_or(u16::MAX),
        next: kept.iter().map(|file| file.created_at).filter(|created| *created != 0).min(),
    }
}

fn millis(duration: Duration) -> UnixMillis {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// How long until a file written at `created` is older than `retention`.
fn age_until(created: UnixMillis, retention: Duration) -> Duration {
    let due = created.saturating_add(millis(retention));
    Duration::from_millis(u64::try_from(due.saturating_sub(clock::unix_millis())).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(level: u8, min: u64, max: u64, created_at: UnixMillis) -> LtxInfo {
        let level = Level::new(level).unwrap();
        LtxInfo { level, min_txid: Txid(min), max_txid: Txid(max), size: 1, created_at }
    }

    fn raw_files(times: &[UnixMillis]) -> Vec<LtxInfo> {
        (1..).zip(times).map(|(txid, time)| file(0, txid, txid, *time)).collect()
    }

    #[test]
    fn old_files_of_level_0_go_once_level_1_holds_them() {
        let choice = choose_raw(&raw_files(&[10, 20, 30, 40]), Txid(2), Txid(4), 100);
        assert_eq!((choice.remove, choice.keep_from), (vec![Txid(1), Txid(2)], Some(Txid(3))));
        assert_eq!(choice.counts, L0Retention { eligible: 2, not_compacted: 2, too_recent: 0 });
    }

    #[test]
    fn h40_the_newest_file_of_level_0_stays_whatever_the_clock_says() {
        let choice = choose_raw(&raw_files(&[10, 20, 30]), Txid(3), Txid(3), UnixMillis::MAX);
        assert_eq!((choice.remove, choice.keep_from), (vec![Txid(1), Txid(2)], Some(Txid(3))));
        assert_eq!(choice.too_young, None, "nothing to wait for");
    }

    /// Found by the simulation, seed 157: 6 to 8 were deleted while level 1 ended at 5.
    #[test]
    fn what_is_not_in_level_1_stays_even_if_it_is_not_local() {
        let choice = choose_raw(&[file(0, 9, 9, 10)], Txid(5), Txid(9), 100);
        assert_eq!((choice.keep_from, choice.floor(Txid(5))), (Some(Txid(9)), Some(Txid(6))));
        assert_eq!(choice.floor(Txid(8)), Some(Txid(9)));
        assert_eq!(RawChoice::default().floor(Txid(8)), None);
    }

    #[test]
    fn a_young_file_stops_the_walk_and_says_when_to_come_again() {
        let choice = choose_raw(&raw_files(&[10, 90, 30, 40]), Txid(4), Txid(4), 50);
        assert_eq!((choice.remove, choice.keep_from, choice.too_young), (vec![Txid(1)], Some(Txid(2)), Some(90)));
    }

    #[test]
    fn old_snapshots_go_and_the_newest_stays() {
        let files = [file(9, 1, 5, 10), file(9, 1, 9, 20), file(9, 1, 14, 30)];
        let choice = choose_snapshots(&files, 25);
        assert_eq!(choice.remove, files[..2]);
        assert_eq!((choice.left, choice.next), (1, None));
        let choice = choose_snapshots(&files, UnixMillis::MAX);
        assert_eq!(choice.left, 1, "never the newest");
        let choice = choose_snapshots(&files, 15);
        assert_eq!((choice.remove, choice.left, choice.next), (files[..1].to_vec(), 2, Some(20)));
    }

    #[test]
    fn levels_lose_what_ends_below_the_last_deleted_snapshot_but_never_their_last_file() {
        let files = [
            file(1, 1, 3, 1),
            file(1, 4, 5, 1),
            file(1, 6, 12, 1),
            file(2, 1, 3, 1),
            file(9, 1, 5, 10),
            file(9, 1, 14, 30),
        ];
        let removed: Vec<(u8, u64)> =
            choose_snapshots(&files, 25).remove.iter().map(|f| (f.level.number(), f.max_txid.0)).collect();
        assert_eq!(removed, [(9, 5), (1, 3)]);
    }

    #[test]
    fn a_store_that_keeps_no_times_loses_nothing() {
        let files = [file(9, 1, 5, 0), file(9, 1, 14, 0)];
        assert_eq!(choose_snapshots(&files, UnixMillis::MAX).remove, []);
    }
}
