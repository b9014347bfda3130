//! How a whole fleet fares, as one who is responsible for it asks: how many are well, and which are not.

use std::path::PathBuf;
use std::time::Duration;

use super::Fleet;
use super::status::{DatabaseStatus, StatusRow};

/// How a database counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Failing, or in conflict with another writer; tried again, or stopped until somebody looks.
    Quarantined,
    /// Its replica is behind by more than was allowed.
    Behind,
    /// Not on its replica yet, as far as this process knows.
    Starting,
    /// Stopped by the operator.
    Stopped,
    /// No file at its path.
    Missing,
    /// Open, and on its replica or on the way there.
    Replicating,
    /// Everything is on its replica, and nothing is held open for it.
    Idle,
    /// On its way out.
    Removing,
}

impl Standing {
    /// All of them.
    pub const ALL: [Standing; 8] = [
        Standing::Quarantined,
        Standing::Behind,
        Standing::Starting,
        Standing::Stopped,
        Standing::Missing,
        Standing::Replicating,
        Standing::Idle,
        Standing::Removing,
    ];

    /// One word.
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Quarantined => "quarantined",
            Standing::Behind => "behind",
            Standing::Starting => "starting",
            Standing::Stopped => "stopped",
            Standing::Missing => "missing",
            Standing::Replicating => "replicating",
            Standing::Idle => "idle",
            Standing::Removing => "removing",
        }
    }

    /// True if what was committed would survive the loss of the disk.
    pub fn is_protected(self) -> bool {
        matches!(self, Standing::Replicating | Standing::Idle | Standing::Removing)
    }

    fn of(row: &StatusRow, allowed: Duration) -> Standing {
        match row.status {
            DatabaseStatus::Failing | DatabaseStatus::Conflict => Standing::Quarantined,
            DatabaseStatus::Starting => Standing::Starting,
            DatabaseStatus::Stopped => Standing::Stopped,
            DatabaseStatus::Missing => Standing::Missing,
            DatabaseStatus::Removing => Standing::Removing,
            DatabaseStatus::Replicating if row.lag > allowed => Standing::Behind,
            DatabaseStatus::Replicating if row.uploaded && !row.attached => Standing::Idle,
            DatabaseStatus::Replicating => Standing::Replicating,
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Every database: those that lag most first, then those that are worst off, then by path.
    pub databases: Vec<(Standing, StatusRow)>,
    /// Candidates that are not replicated, with the reason, by path.
    pub refused: Vec<(PathBuf, String)>,
}

impl Summary {
    /// How many databases stand so.
    pub fn count(&self, standing: Standing) -> usize {
        self.databases.iter().filter(|(of, _)| *of == standing).count()
    }

    /// How many databases and candidates are not protected.
    pub fn unprotected(&self) -> usize {
        self.databases.iter().filter(|(standing, _)| !standing.is_protected()).count() + self.refused.len()
    }

    fn of(rows: Vec<StatusRow>, mut refused: Vec<(PathBuf, String)>, allowed: Duration) -> Summary {
        let mut databases: Vec<_> = rows.into_iter().map(|row| (Standing::of(&row, allowed), row)).collect();
        databases.sort_by(|(one_stands, one), (other_stands, other)| {
            other.lag.cmp(&one.lag).then(one_stands.cmp(other_stands)).then_with(|| one.path.cmp(&other.path))
        });
        refused.sort();
        Summary { databases, refused }
    }
}

impl Fleet {
    /// All of it. A replica may be behind by `allowed`.
    pub fn summary(&self, allowed: Duration) -> Summary {
        Summary::of(self.snapshot(), self.refused(), allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ltx::Txid;

    fn row(path: &str, status: DatabaseStatus, lag_s: u64) -> StatusRow {
        StatusRow {
            path: path.into(),
            replica_type: "file".to_owned(),
            status,
            txid: Txid(2),
            replica_txid: Txid(2),
            attached: false,
            uploaded: lag_s == 0,
            lag: Duration::from_secs(lag_s),
            busy: false,
            running: None,
            waiting_since: None,
            synced_wal_offset: 0,
            waiters: 0,
            last_sync: None,
            error: None,
        }
    }

    #[test]
    fn the_worst_comes_first_and_everything_that_is_not_safe_is_counted() {
        let rows = vec![
            row("/a", DatabaseStatus::Replicating, 0),
            row("/b", DatabaseStatus::Replicating, 9),
            row("/c", DatabaseStatus::Replicating, 11),
            row("/d", DatabaseStatus::Failing, 400),
            row("/e", DatabaseStatus::Starting, 0),
            row("/f", DatabaseStatus::Conflict, 0),
        ];
        let summary = Summary::of(rows, vec![("/x".into(), "no database".to_owned())], Duration::from_secs(10));
        let order: Vec<&str> = summary.databases.iter().map(|(_, row)| row.path.to_str().unwrap()).collect();
        assert_eq!(order, ["/d", "/c", "/b", "/f", "/e", "/a"]);
        let counts = Standing::ALL.map(|standing| summary.count(standing));
        assert_eq!(counts, [2, 1, 1, 0, 0, 1, 1, 0]);
        assert_eq!(summary.unprotected(), 5, "quarantined, behind, starting, and what was refused");
    }
}
