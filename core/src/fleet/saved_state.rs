//! What is kept of a database between two runs of the program: enough that a start with unchanged databases opens no
//! SQLite and waits for no listing.
//!
//! A row of the [`ledger`](super::ledger), written when the database comes to rest. Without it, or when it is older than the
//! truth, the start is only more careful. What it says of the replica is checked with the next upload.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::db::MetaDir;
use crate::ltx::Txid;
use crate::replica::Layout;

use super::entry::Entry;
use super::record::{Job, Levels, Record};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedState {
    /// Names the replica that `max` and the rest speak of.
    replica: u64,
    /// Hash of the cold stamp.
    pub stamp: u64,
    local: u64,
    max: [u64; 10],
    raw_floor: u64,
    snapshots: u16,
    hex: bool,
    due: [u32; Job::COUNT],
}

impl SavedState {
    /// What a row at rest says, without the name of its replica.
    pub fn of(record: &Record) -> SavedState {
        let levels = &record.levels;
        SavedState {
            replica: 0,
            stamp: record.stamp,
            local: record.local.0,
            max: levels.max.map(|txid| txid.0),
            raw_floor: levels.raw_floor.0,
            snapshots: levels.snapshots,
            hex: levels.layout == Layout::Hex,
            due: levels.due,
        }
    }

    /// The same about another replica.
    #[must_use]
    pub fn for_replica(self, replica: u64) -> SavedState {
        SavedState { replica, ..self }
    }

    /// The newest local LTX file.
    pub fn local(&self) -> Txid {
        Txid(self.local)
    }

    /// What was known of the replica.
    pub fn levels(&self) -> Levels {
        Levels {
            max: self.max.map(Txid),
            raw_floor: Txid(self.raw_floor),
            snapshots: self.snapshots,
            layout: if self.hex { Layout::Hex } else { Layout::Ltx },
            due: self.due,
        }
    }

    /// False if it speaks of another replica, or if the local history it speaks of is gone (`reset`): then what it knows of
    /// the replica must not make the next file look like an old one. Blocks.
    pub fn is_borne_out(&self, meta: &Path, replica: u64) -> bool {
        self.replica == replica && MetaDir::new(meta).l0_path(self.local()).exists()
    }
}

/// Names the replica of a database: its kind, what may be shown of its settings, and its place.
pub fn replica_name(entry: &Entry, path: &Path) -> Option<u64> {
    let place = entry.replica_path(path).ok()?;
    let mut hasher = DefaultHasher::new();
    (entry.destination.kind(), entry.destination.shown(), place.as_bytes()).hash(&mut hasher);
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::record::{DirId, EntryId};

    fn record() -> Record {
        let mut record = Record::new(EntryId(0), DirId(0), std::ffi::OsStr::new("a.db").into(), None);
        record.stamp = 77;
        record.local = Txid(9);
        record.levels.max[0] = Txid(9);
        record.levels.raw_floor = Txid(3);
        record.levels.plan(Job::Snapshot, Some(5));
        record.levels.layout = Layout::Hex;
        record
    }

    #[test]
    fn counts_for_its_replica_and_while_its_local_history_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let saved = SavedState::of(&record()).for_replica(1);
        assert_eq!((saved.stamp, saved.local(), saved.levels()), (77, Txid(9), record().levels));
        assert!(!saved.is_borne_out(dir.path(), 1), "the local history is gone");
        let newest = MetaDir::new(dir.path()).l0_path(Txid(9));
        std::fs::create_dir_all(newest.parent().unwrap()).unwrap();
        std::fs::write(newest, b"ltx").unwrap();
        assert!(saved.is_borne_out(dir.path(), 1));
        assert!(!saved.is_borne_out(dir.path(), 2), "another replica");
    }
}
