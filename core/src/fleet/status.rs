//! What the fleet says of itself: a row for each database, and sums. Copies, taken under the lock in one go.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::UnixMillis;
use crate::ltx::Txid;
use crate::metrics::{DatabaseMetrics, FleetReading};

use super::due::Tick;
use super::record::{DbId, Flags, Lane, Phase, Record};
use super::registration::failure_of;
use super::shared::{Shared, State};
use super::working::Running;

/// How a database fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseStatus {
    /// Replicated, or on the way.
    Replicating,
    /// Known, and not yet synced for the first time.
    Starting,
    /// No file at its path; replicated as soon as there is one.
    Missing,
    /// Stopped by the operator.
    Stopped,
    /// Something fails; it is tried again.
    Failing,
    /// Another program writes to its replica; stopped until started again.
    Conflict,
    /// On its way out.
    Removing,
}

impl DatabaseStatus {
    /// All of them.
    pub const ALL: [DatabaseStatus; 7] = [
        DatabaseStatus::Replicating,
        DatabaseStatus::Starting,
        DatabaseStatus::Missing,
        DatabaseStatus::Stopped,
        DatabaseStatus::Failing,
        DatabaseStatus::Conflict,
        DatabaseStatus::Removing,
    ];

    /// One word.
    pub fn as_str(self) -> &'static str {
        match self {
            DatabaseStatus::Replicating => "replicating",
            DatabaseStatus::Starting => "starting",
            DatabaseStatus::Missing => "missing",
            DatabaseStatus::Stopped => "stopped",
            DatabaseStatus::Failing => "failing",
            DatabaseStatus::Conflict => "conflict",
            DatabaseStatus::Removing => "removing",
        }
    }
}

/// One database.
#[derive(Clone, Debug)]
pub struct StatusRow {
    /// Its path.
    pub path: PathBuf,
    /// `s3`, `file`.
    pub replica_type: String,
    /// How it fares.
    pub status: DatabaseStatus,
    /// The newest local LTX file.
    pub txid: Txid,
    /// What is known to be on the replica.
    pub replica_txid: Txid,
    /// SQLite has it open for us.
    pub attached: bool,
    /// The replica is known to hold everything that was copied.
    pub uploaded: bool,
    /// For how long something that was copied has not been on the replica.
    pub lag: Duration,
    /// Something is being done with it.
    pub busy: bool,
    /// What is being done with it, if anything.
    pub running: Option<Running>,
    /// The end of what was copied from its WAL, in bytes.
    pub synced_wal_offset: u64,
    /// Requests that wait for a sync of it.
    pub waiters: usize,
    /// Since when the first of them waits.
    pub waiting_since: Option<UnixMillis>,
    /// Unix seconds of the last good upload by this process.
    pub last_sync: Option<u32>,
    /// Why it fails.
    pub error: Option<String>,
}

/// Sums over all databases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// All of them.
    pub databases: usize,
    /// Synced at least once since the start, or proven unchanged.
    pub synced: usize,
    /// With everything that was synced on their replica.
    pub uploaded: usize,
    /// With something that fails.
    pub failing: usize,
    /// Without a file.
    pub missing: usize,
    /// With SQLite open.
    pub attached: usize,
    /// Candidates that are not replicated.
    pub refused: usize,
}

impl Progress {
    /// True once every database was synced and uploaded, or cannot be for the moment.
    pub fn is_complete(&self) -> bool {
        self.uploaded + self.failing + self.missing >= self.databases
    }
}

impl Shared {
    /// A row for each database, in no order.
    pub fn rows(self: &Arc<Self>) -> Vec<StatusRow> {
        let entries = self.entries();
        let kind = |record: &Record| {
            let entry = entries.get(record.entry.0 as usize);
            entry.map_or_else(String::new, |entry| entry.destination.kind().to_owned())
        };
        let (now, running) = (self.now(), self.working.all());
        self.look(|state| {
            let row = |(id, record)| row(state, id, record, kind(record), now, running.get(&id).copied());
            state.scheduler.table.iter().map(row).collect()
        })
    }

    /// One database.
    pub fn row(self: &Arc<Self>, id: DbId) -> Option<StatusRow> {
        let entry = self.look(|state| state.scheduler.table.get(id).map(|record| record.entry))?;
        let kind = self.entry(entry).map(|entry| entry.destination.kind().to_owned()).unwrap_or_default();
        let (now, running) = (self.now(), self.working.of(id));
        self.look(|state| state.scheduler.table.get(id).map(|record| row(state, id, record, kind, now, running)))
    }

    /// What of the fleet is read when its metrics are asked for: databases by state, those that are refused too, and the
    /// places for open ones.
    pub fn reading(&self) -> FleetReading {
        self.look(|state| {
            let mut counts = [0; DatabaseStatus::ALL.len()];
            for (_, record) in state.scheduler.table.iter() {
                counts[status_of(record) as usize] += 1;
            }
            let mut databases: Vec<_> =
                DatabaseStatus::ALL.into_iter().map(|status| (status.as_str(), counts[status as usize])).collect();
            databases.push(("refused", state.refused.len()));
            let (open, open_limit) = (state.scheduler.hot.open(), state.scheduler.hot.ceiling());
            let discovery_bound = state.scheduler.sweep_bound(self.now());
            FleetReading { databases, open, open_limit, discovery_bound, ..FleetReading::default() }
        })
    }

    /// Sums.
    pub fn progress(&self) -> Progress {
        self.look(|state| {
            let scheduler = &state.scheduler;
            let mut sum = Progress {
                databases: scheduler.table.len(),
                attached: scheduler.hot.open(),
                refused: state.refused.len(),
                ..Progress::default()
            };
            for (_, record) in scheduler.table.iter() {
                let failing = Lane::ALL[..2].iter().any(|lane| record.lane(*lane).failures > 0);
                let missing = record.flags.has(Flags::MISSING);
                let synced = record.flags.has(Flags::SYNCED);
                sum.missing += usize::from(missing);
                sum.failing += usize::from(failing && !missing);
                sum.synced += usize::from(synced);
                sum.uploaded += usize::from(synced && !failing && !missing && record.uploaded());
            }
            sum
        })
    }
}

fn status_of(record: &Record) -> DatabaseStatus {
    let flags = record.flags;
    let failing = record.lanes.iter().any(|lane| lane.failures > 0);
    match flags {
        _ if flags.has(Flags::REMOVING) => DatabaseStatus::Removing,
        _ if flags.has(Flags::STOPPED) => DatabaseStatus::Stopped,
        _ if flags.has(Flags::CONFLICT) => DatabaseStatus::Conflict,
        _ if flags.has(Flags::MISSING) => DatabaseStatus::Missing,
        _ if failing => DatabaseStatus::Failing,
        _ if !flags.has(Flags::SYNCED) => DatabaseStatus::Starting,
        _ => DatabaseStatus::Replicating,
    }
}

fn row(
    state: &State,
    id: DbId,
    record: &Record,
    replica_type: String,
    now: Tick,
    running: Option<Running>,
) -> StatusRow {
    StatusRow {
        path: state.scheduler.table.path(id),
        replica_type,
        status: status_of(record),
        txid: record.local,
        replica_txid: record.levels.position(),
        attached: record.flags.has(Flags::HOT),
        uploaded: record.uploaded(),
        lag: record.lag(now),
        busy: record.lanes.iter().any(|lane| lane.phase == Phase::Running),
        running,
        synced_wal_offset: record.metrics.as_ref().map_or(0, DatabaseMetrics::wal_size),
        waiters: state.waiters.waiting(id),
        waiting_since: state.waiters.waiting_since(id),
        last_sync: Some(record.synced_at).filter(|at| *at != 0),
        error: failure_of(state, id),
    }
}
