//! The levels lane: one job of one database at a time, a few databases at once, after everything more urgent.

use std::path::PathBuf;
use std::time::Duration;

use crate::ltx::{Level, Txid};

use super::super::due::Tick;
use super::super::hot_set::HotDb;
use super::super::levels::replan;
use super::super::record::{DbId, EntryId, Flags, Job, Lane, Levels};
use super::Scheduler;

/// Seconds by which a job that failed is put off, so that one that cannot succeed (a hole, a damaged file) does not keep
/// the others from being done: a snapshot may be just what it needs.
const AFTER_OTHERS: u32 = 60;

/// A unit of work on the levels of a replica.
pub struct LevelsWork {
    /// Whose.
    pub id: DbId,
    /// Its file.
    pub path: PathBuf,
    /// Its configuration entry.
    pub entry: EntryId,
    /// What to do.
    pub job: Job,
    /// What is known of the replica.
    pub levels: Levels,
}

/// How it ended.
#[derive(Debug)]
pub enum LevelsEnd {
    /// A level reaches this TXID now, or had nothing to merge.
    Compacted {
        /// Which.
        level: Level,
        /// Its end.
        max: Txid,
    },
    /// A snapshot reaches this TXID now; how many there are.
    Snapshot {
        /// Its end.
        max: Txid,
        /// Snapshots on the replica.
        count: u16,
    },
    /// Level 0 begins here now; when to look again, if something is left.
    RawRetention {
        /// The lowest TXID left.
        floor: Txid,
        /// After this time.
        again: Option<Duration>,
    },
    /// Snapshots left; when the next one is too old.
    SnapshotRetention {
        /// How many are left.
        count: u16,
        /// After this time.
        again: Option<Duration>,
    },
    /// Looked through.
    Validated,
    /// What was there is gone: list the replica again, and decide then.
    Lost(String),
    /// Worth another try.
    Failed(String),
}

impl<D: HotDb> Scheduler<D> {
    /// The next job on levels, if the limit allows one.
    pub fn take_levels(&mut self, now: Tick) -> Option<LevelsWork> {
        let limit = if self.is_pressed() { 1 } else { self.limits.levels };
        while self.levelling < limit
            && let Some(id) = self.levels_ready.pop_front()
        {
            if !self.begin(id, Lane::Levels) {
                continue;
            }
            let unix = self.unix(now);
            let Some(record) = self.table.get(id) else { continue };
            let due = record.levels.first_due().filter(|(_, at)| *at <= unix);
            if let Some((job, _)) = due {
                self.levelling += 1;
                let (entry, levels) = (record.entry, record.levels);
                let path = self.table.path(id);
                return Some(LevelsWork { id, path, entry, job, levels });
            }
            self.set_idle(id, Lane::Levels);
            self.plan_levels(id, now);
        }
        None
    }

    /// True while commits wait to be copied or uploaded: levels only move what is safe already, and lose nothing by waiting.
    fn is_pressed(&self) -> bool {
        !self.local_ready.is_empty() || self.pools.iter().any(super::upload::Pool::is_behind)
    }

    /// Plans the work on levels that has become possible, and asks for a run when the first of it is due.
    pub fn plan_levels(&mut self, id: DbId, now: Tick) {
        let unix = self.unix(now);
        let key = self.key(id);
        let Some(record) = self.table.get_mut(id) else { return };
        replan(&mut record.levels, &self.level_plan, key, unix);
        if let Some((_, at)) = record.levels.first_due() {
            let wait = Duration::from_secs(u64::from(at.saturating_sub(unix)));
            self.want(id, Lane::Levels, now.after(wait));
        }
    }

    /// What spreads a database's periodic work: stable over restarts.
    fn key(&self, id: DbId) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        self.table.path(id).hash(&mut hasher);
        hasher.finish()
    }

    /// Takes a database back from a job on its levels.
    pub fn finish_levels(&mut self, work: &LevelsWork, end: LevelsEnd, now: Tick) {
        let id = work.id;
        self.levelling = self.levelling.saturating_sub(1);
        let unix = self.unix(now);
        let at =
            |again: Option<Duration>| again.map(|wait| unix.saturating_add(super::super::levels::seconds_up(wait)));
        let Some(record) = self.table.get_mut(id) else { return };
        let levels = &mut record.levels;
        match end {
            LevelsEnd::Failed(message) => {
                levels.plan(work.job, Some(unix.saturating_add(AFTER_OTHERS)));
                self.failed(id, Lane::Levels, message, now);
            }
            LevelsEnd::Lost(message) => {
                levels.plan(work.job, Some(unix.saturating_add(AFTER_OTHERS)));
                record.flags.set(Flags::CONTACTED, false);
                self.failed(id, Lane::Levels, message, now);
                self.urge(id, Lane::Upload, now);
            }
            end => {
                levels.plan(work.job, None);
                match end {
                    LevelsEnd::Compacted { level, max } => levels.reached(level, max),
                    LevelsEnd::Snapshot { max, count } => {
                        levels.reached(Level::SNAPSHOT, max);
                        levels.snapshots = count;
                        record.flags.set(Flags::NEEDS_SNAPSHOT, false);
                    }
                    LevelsEnd::RawRetention { floor, again } => {
                        levels.raw_floor = floor;
                        levels.plan(work.job, at(again));
                    }
                    LevelsEnd::SnapshotRetention { count, again } => {
                        levels.snapshots = count;
                        levels.plan(work.job, at(again));
                    }
                    LevelsEnd::Validated | LevelsEnd::Lost(_) | LevelsEnd::Failed(_) => {}
                }
                record.flags.set(Flags::SAVED, false);
                self.succeeded(id, Lane::Levels, false, now);
            }
        }
        self.plan_levels(id, now);
        self.end_removal(id, Lane::Levels, now);
    }
}
