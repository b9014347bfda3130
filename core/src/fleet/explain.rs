//! One database in full: what a person asks for who wants to know why it is as it is.

use std::path::Path;
use std::time::Duration;

use crate::clock::UnixMillis;

use super::Fleet;
use super::due::Tick;
use super::record::{Job, Lane, Phase, Record};
use super::status::StatusRow;

/// One database, and what is planned for it.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// How it fares.
    pub row: StatusRow,
    /// Its replica is known to hold everything that was copied locally.
    pub uploaded: bool,
    /// What is done for it, and when next: copying, uploading, work on the levels of the replica.
    pub work: [Work; 3],
    /// The next periodic work on its replica, and when it is due.
    pub next_job: Option<(String, UnixMillis)>,
}

/// One kind of work.
#[derive(Clone, Debug)]
pub struct Work {
    /// What it is: `sync`, `upload`, `levels`.
    pub name: &'static str,
    /// Being done, or next in the queue.
    pub running: bool,
    /// Planned, in so much time.
    pub due_in: Option<Duration>,
    /// Failures in a row.
    pub failures: u32,
    /// The last failure, while there is one.
    pub error: Option<String>,
}

impl Fleet {
    /// One database in full. `None` if the fleet does not know it.
    pub fn explain(&self, path: &Path) -> Option<Explanation> {
        let id = self.shared.find(path)?;
        let row = self.shared.row(id)?;
        let now = self.shared.now();
        self.shared.look(|state| {
            let record = state.scheduler.table.get(id)?;
            let failures = &state.scheduler.failures;
            let work = Lane::ALL.map(|lane| {
                let failure = failures.get(&(id, lane));
                Work {
                    name: lane.name(),
                    running: record.lane(lane).phase != Phase::Idle,
                    due_in: due_in(record, lane, now),
                    failures: failure.map_or(0, |failure| failure.count),
                    error: failure.map(|failure| failure.message.clone()),
                }
            });
            let next_job = record.levels.first_due().map(|(job, at)| (describe(job), i64::from(at) * 1000));
            Some(Explanation { row, uploaded: record.uploaded(), work, next_job })
        })
    }

    /// Why a file that was found is not replicated.
    pub fn refusal(&self, path: &Path) -> Option<String> {
        self.shared.look(|state| state.refused.get(path).cloned())
    }
}

fn due_in(record: &Record, lane: Lane, now: Tick) -> Option<Duration> {
    let state = record.lane(lane);
    (state.due != Tick::NEVER).then(|| state.due.max(state.not_before).since(now))
}

fn describe(job: Job) -> String {
    match job {
        Job::Compact(level) => format!("compaction into level {level}"),
        Job::Snapshot => "snapshot".to_owned(),
        Job::RawRetention => "retention of level 0".to_owned(),
        Job::SnapshotRetention => "retention of snapshots".to_owned(),
        Job::Validate => "validation".to_owned(),
    }
}
