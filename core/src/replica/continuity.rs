//! Does the replica continue into our local files? Decided once for each database and process, from one listing.
//!
//! The position is the highest TXID of **all** levels: level 0 may have been trimmed, or lost, while a snapshot above it
//! still shadows every file that begins lower.

use crate::clock::UnixMillis;
use crate::db::LocalFile;
use crate::ltx::{Level, LtxInfo, Txid};
use crate::restore::{Target, plan};

/// What a listing of all levels says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remote {
    /// Highest TXID of each level, 0 to 9.
    pub max: [Txid; 10],
    /// Lowest TXID of level 0.
    pub raw_floor: Txid,
    /// Snapshots.
    pub snapshots: u16,
    /// When the newest file of each level was written, 0 where there is none.
    pub newest: [UnixMillis; 10],
    /// The TXID that a restore of the latest state reaches now; `NONE` if none is possible.
    pub restorable: Txid,
}

impl Remote {
    /// Sums up a listing.
    pub fn of(files: &[LtxInfo]) -> Remote {
        let mut remote = Remote::default();
        for file in files {
            let level = usize::from(file.level.number());
            remote.max[level] = remote.max[level].max(file.max_txid);
            remote.newest[level] = remote.newest[level].max(file.created_at);
            remote.snapshots = remote.snapshots.saturating_add(u16::from(file.level == Level::SNAPSHOT));
            if file.level == Level::RAW && (!remote.raw_floor.is_some() || file.min_txid < remote.raw_floor) {
                remote.raw_floor = file.min_txid;
            }
        }
        remote.restorable = plan(files, Target::Latest).map_or(Txid::NONE, |plan| plan.max_txid());
        remote
    }

    /// Where the replica is.
    pub fn position(&self) -> Txid {
        self.max.iter().copied().max().unwrap_or(Txid::NONE)
    }
}

/// How to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is there, and the local history is whole: upload from its first file.
    Fresh,
    /// Upload what follows the position, if the local file of this TXID is the replica's.
    ContinueIfSame(Txid),
    /// The replica is ahead: the database was restored, or the local state was lost.
    Ahead,
    /// The replica cannot be continued, or not be restored: a full file above everything, with a snapshot.
    Broken(&'static str),
}

/// Judges a replica against the local files of level 0, which are sorted.
pub fn judge(remote: &Remote, local: &[LocalFile]) -> Verdict {
    let position = remote.position();
    let (Some(first), Some(last)) = (local.first(), local.last()) else {
        // No local history: the first local file will be a full one in any case.
        return if position.is_some() { Verdict::Ahead } else { Verdict::Fresh };
    };
    if !position.is_some() {
        let whole = first.min_txid == Txid::FIRST && contiguous(local, Txid::FIRST);
        return if whole {
            Verdict::Fresh
        } else {
            Verdict::Broken("the replica is empty, and older local files are gone")
        };
    }
    if position > last.max_txid {
        return Verdict::Ahead;
    }
    if remote.restorable != position {
        return Verdict::Broken("files are missing on the replica");
    }
    if remote.max[0] != position {
        return Verdict::Broken("the replica's newest file of level 0 is missing, so its history cannot be compared");
    }
    if !contiguous(local, position) {
        return Verdict::Broken("local files are missing that were not uploaded");
    }
    Verdict::ContinueIfSame(position)
}

/// True if the local files hold every TXID from `from` to their end, one by one.
pub fn contiguous(local: &[LocalFile], from: Txid) -> bool {
    let Some(start) = local.iter().position(|file| file.max_txid == from) else { return false };
    local[start..].windows(2).all(|pair| pair[1].min_txid == pair[0].max_txid.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(files: &[(u8, u64, u64)]) -> Remote {
        let info = |&(level, min, max): &(u8, u64, u64)| LtxInfo {
            level: Level::new(level).unwrap(),
            min_txid: Txid(min),
            max_txid: Txid(max),
            size: 600,
            created_at: max as i64,
        };
        Remote::of(&files.iter().map(info).collect::<Vec<_>>())
    }

    fn local(txids: impl IntoIterator<Item = u64>) -> Vec<LocalFile> {
        let file = |txid| LocalFile { min_txid: Txid(txid), max_txid: Txid(txid), size: 600, modified_at: 0 };
        txids.into_iter().map(file).collect()
    }

    fn broken(verdict: Verdict) -> bool {
        matches!(verdict, Verdict::Broken(_))
    }

    #[test]
    fn the_position_is_the_highest_of_all_levels() {
        let remote = remote(&[(0, 7, 7), (1, 1, 6), (9, 1, 9), (9, 1, 3)]);
        assert_eq!((remote.position(), remote.raw_floor, remote.snapshots), (Txid(9), Txid(7), 2));
        assert_eq!((remote.max[1], remote.newest[9]), (Txid(6), 9));
        assert_eq!(judge(&remote, &local(5..=8)), Verdict::Ahead, "level 0 alone would say: go on at 8");
    }

    #[test]
    fn an_empty_replica_takes_a_whole_local_history_and_no_other() {
        assert_eq!(judge(&remote(&[]), &local([])), Verdict::Fresh);
        assert_eq!(judge(&remote(&[]), &local(1..=3)), Verdict::Fresh);
        assert!(broken(judge(&remote(&[]), &local(2..=3))), "the front was pruned");
        assert!(broken(judge(&remote(&[]), &local([1, 3]))), "a hole");
    }

    #[test]
    fn a_replica_ahead_of_us_is_never_overwritten() {
        let there = remote(&[(0, 1, 1), (0, 2, 2)]);
        assert_eq!(judge(&there, &local([])), Verdict::Ahead);
        assert_eq!(judge(&there, &local([1])), Verdict::Ahead);
    }

    #[test]
    fn a_replica_that_we_can_continue_must_hold_our_own_file() {
        let there = remote(&[(0, 1, 1), (0, 2, 2)]);
        assert_eq!(judge(&there, &local(1..=2)), Verdict::ContinueIfSame(Txid(2)));
        assert_eq!(judge(&there, &local(2..=5)), Verdict::ContinueIfSame(Txid(2)));
        assert!(broken(judge(&there, &local(3..=5))), "nothing to compare with");
        assert!(broken(judge(&there, &local([2, 4]))), "a hole behind the position");
    }

    #[test]
    fn a_replica_with_missing_files_is_noticed() {
        assert!(broken(judge(&remote(&[(0, 1, 1), (0, 3, 3)]), &local(1..=3))));
        assert!(broken(judge(&remote(&[(0, 2, 2), (0, 3, 3)]), &local(1..=3))), "its base is gone");
        assert!(broken(judge(&remote(&[(9, 1, 3)]), &local(2..=3))), "level 0 is gone");
    }
}
