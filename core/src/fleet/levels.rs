//! When the levels of a replica need work: pure rules over what is known of it.
//!
//! An idle database ends up with nothing planned: a job is planned only while it has something to do.

use std::time::Duration;

use crate::ltx::{Level, Txid};

use super::due::phase;
use super::record::{Job, Levels};

/// The configured intervals.
#[derive(Clone, Debug)]
pub struct LevelPlan {
    /// Of levels 1, 2, ...
    pub compaction_intervals: Vec<Duration>,
    /// Of snapshots.
    pub snapshot_interval: Duration,
    /// How long snapshots are kept.
    pub snapshot_retention: Duration,
    /// How long files of level 0 are kept after level 1 holds them; zero: for ever.
    pub l0_retention: Duration,
    /// How often files of level 0 are looked through.
    pub l0_retention_check_interval: Duration,
    /// Look for gaps and overlaps this often.
    pub validation_interval: Option<Duration>,
    /// False: the levels are somebody else's business (single runs).
    pub enabled: bool,
}

impl LevelPlan {
    /// No work on levels at all.
    pub fn off() -> LevelPlan {
        LevelPlan {
            compaction_intervals: Vec::new(),
            snapshot_interval: Duration::MAX,
            snapshot_retention: Duration::MAX,
            l0_retention: Duration::ZERO,
            l0_retention_check_interval: Duration::MAX,
            validation_interval: None,
            enabled: false,
        }
    }

    /// The interval of one compaction level.
    fn interval(&self, level: Level) -> Option<Duration> {
        let index = usize::from(level.number()).checked_sub(1)?;
        self.compaction_intervals.get(index).copied()
    }
}

/// The next wall-clock multiple of `interval` after `now` (Unix seconds), moved by a phase of its own for each `key`, so
/// that not all databases are due at once.
pub fn next_boundary(now: u32, interval: Duration, key: u64) -> u32 {
    let interval_s = u32::try_from(interval.as_secs()).unwrap_or(u32::MAX).max(1);
    let phase_s = phase(key, Duration::from_secs(u64::from(interval_s))).as_secs() as u32;
    let since = now.saturating_sub(phase_s) % interval_s;
    now.saturating_add(interval_s - since)
}

/// The TXID up to which `level` holds everything: its own end or, while it is empty, that of the newest snapshot.
pub fn covered(levels: &Levels, level: Level) -> Txid {
    let own = levels.max(level);
    if own.is_some() { own } else { levels.max(Level::SNAPSHOT) }
}

/// Plans what has something to do and is not planned yet; takes off the plan what has nothing to do.
pub fn replan(levels: &mut Levels, plan: &LevelPlan, key: u64, now: u32) {
    if !plan.enabled {
        return;
    }
    for level in (1..=8).filter_map(Level::new) {
        let job = Job::Compact(level);
        match plan.interval(level) {
            Some(interval) if is_worth_merging(levels, level) => {
                plan_once(levels, job, || next_boundary(now, interval, key));
            }
            _ => levels.plan(job, None),
        }
    }
    if levels.position() > levels.max(Level::SNAPSHOT) {
        let first = !levels.max(Level::SNAPSHOT).is_some();
        let at = || if first { now + 1 } else { next_boundary(now, plan.snapshot_interval, key) };
        plan_once(levels, Job::Snapshot, at);
    } else {
        levels.plan(Job::Snapshot, None);
    }
    if !plan.l0_retention.is_zero() && raw_files_covered(levels) {
        let wait = plan.l0_retention.max(plan.l0_retention_check_interval);
        plan_once(levels, Job::RawRetention, || now.saturating_add(seconds_up(wait)));
    } else {
        levels.plan(Job::RawRetention, None);
    }
    if levels.snapshots > 1 {
        plan_once(levels, Job::SnapshotRetention, || now + 1);
    } else {
        levels.plan(Job::SnapshotRetention, None);
    }
    if let Some(interval) = plan.validation_interval {
        plan_once(levels, Job::Validate, || next_boundary(now, interval, key));
    }
}

/// True if the level below holds what `level` does not. A single file of level 0 stays where it is until a second one comes:
/// level 1 would hold the same bytes, and with many databases of which each changes now and then, every commit would be
/// written twice.
fn is_worth_merging(levels: &Levels, level: Level) -> bool {
    let Some(below) = Level::new(level.number() - 1) else { return false };
    let alone = if below == Level::RAW { 1 } else { 0 };
    levels.max(below).0 > covered(levels, level).0 + alone
}

/// True if level 0 holds files, beside its last one, that level 1 or a snapshot holds too.
pub fn raw_files_covered(levels: &Levels) -> bool {
    let raw = levels.max(Level::RAW);
    let level1 = covered(levels, Level::new(1).unwrap_or(Level::SNAPSHOT));
    levels.raw_floor.is_some() && levels.raw_floor < raw && levels.raw_floor <= level1
}

fn plan_once(levels: &mut Levels, job: Job, at: impl FnOnce() -> u32) {
    if levels.due(job).is_none() {
        levels.plan(job, Some(at()));
    }
}

/// Whole seconds, rounded up.
pub fn seconds_up(duration: Duration) -> u32 {
    let extra = u64::from(duration.subsec_nanos() > 0);
    u32::try_from(duration.as_secs().saturating_add(extra)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> LevelPlan {
        LevelPlan {
            compaction_intervals: [30, 300, 3600].map(Duration::from_secs).to_vec(),
            snapshot_interval: Duration::from_secs(86_400),
            snapshot_retention: Duration::from_secs(86_400),
            l0_retention: Duration::from_secs(300),
            l0_retention_check_interval: Duration::from_secs(15),
            validation_interval: None,
            enabled: true,
        }
    }

    fn level(n: u8) -> Level {
        Level::new(n).unwrap()
    }

    #[test]
    fn boundaries_repeat_with_the_interval_and_differ_between_databases() {
        let interval = Duration::from_secs(30);
        let first = next_boundary(1_000_000, interval, 7);
        assert!((1_000_001..=1_000_030).contains(&first));
        assert_eq!(next_boundary(first, interval, 7), first + 30);
        assert_eq!(next_boundary(first - 1, interval, 7), first);
        let distinct: std::collections::HashSet<u32> =
            (0..200).map(|key| next_boundary(1_000_000, interval, key)).collect();
        assert!(distinct.len() > 25, "{} different seconds", distinct.len());
    }

    #[test]
    fn news_climb_the_levels_and_then_nothing_is_planned() {
        let (plan, now) = (plan(), 1_000_000);
        let mut levels = Levels::default();
        levels.reached(Level::RAW, Txid(1));
        levels.raw_floor = Txid(1);
        replan(&mut levels, &plan, 0, now);
        assert_eq!(levels.first_due(), Some((Job::Snapshot, now + 1)));
        levels.plan(Job::Snapshot, None);
        levels.reached(Level::SNAPSHOT, Txid(1));
        levels.snapshots = 1;
        replan(&mut levels, &plan, 0, now);
        assert_eq!(levels.first_due(), None, "one file and its snapshot: nothing to do");

        levels.reached(Level::RAW, Txid(2));
        replan(&mut levels, &plan, 0, now);
        assert!(levels.due(Job::Compact(level(1))).is_none(), "one file of level 0 is left there");
        levels.reached(Level::RAW, Txid(3));
        replan(&mut levels, &plan, 0, now);
        assert!(levels.due(Job::Compact(level(1))).is_some());
        assert!(levels.due(Job::Compact(level(2))).is_none());
        assert!(levels.due(Job::Snapshot).is_some());
        for n in 1..=3 {
            levels.plan(Job::Compact(level(n)), None);
            levels.reached(level(n), Txid(3));
            replan(&mut levels, &plan, 0, now);
        }
        levels.plan(Job::Snapshot, None);
        levels.reached(Level::SNAPSHOT, Txid(3));
        levels.snapshots = 2;
        replan(&mut levels, &plan, 0, now);
        assert_eq!(levels.due(Job::RawRetention), Some(now + 300));
        levels.raw_floor = Txid(3);
        levels.snapshots = 1;
        replan(&mut levels, &plan, 0, now);
        assert_eq!(levels.first_due(), None);
    }

    #[test]
    fn without_configured_levels_only_snapshots_are_planned() {
        let plan = LevelPlan { compaction_intervals: Vec::new(), ..plan() };
        let mut levels = Levels::default();
        levels.reached(Level::RAW, Txid(4));
        levels.raw_floor = Txid(1);
        replan(&mut levels, &plan, 0, 50);
        let planned: Vec<Job> = Job::all().filter(|job| levels.due(*job).is_some()).collect();
        assert_eq!(planned, [Job::Snapshot]);
    }

    #[test]
    fn switched_off_means_nothing_is_planned() {
        let mut levels = Levels::default();
        levels.reached(Level::RAW, Txid(4));
        replan(&mut levels, &LevelPlan::off(), 0, 50);
        assert_eq!(levels.first_due(), None);
    }
}
