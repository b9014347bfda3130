//! What is kept of a database between two runs of the program: enough that a start with unchanged databases opens no
//! SQLite and waits for no listing.
//!
//! A small file in the local state directory, written when the database comes to rest. It is a cache: without it, or when
//! it is older than the truth, the start is only more careful. What it says of the replica is checked in the background.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::db::MetaDir;
use crate::failpoint;
use crate::ltx::Txid;
use crate::replica::Layout;

use super::entry::Entry;
use super::record::{Job, Levels, Record};

const NAME: &str = "litestream-rs.fleet";

/// Raised when the meaning of a field changes: other versions are ignored.
const VERSION: u32 = 1;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedState {
    version: u32,
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
            version: VERSION,
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

    /// Reads it. `None` if there is none, if it is damaged, if it speaks of another replica, or if the local history it
    /// speaks of is gone (`reset`): then what it knows of the replica must not make the next file look like an old one.
    pub fn load(meta: &Path, replica: u64) -> Option<SavedState> {
        let text = std::fs::read(meta.join(NAME)).ok()?;
        let saved: SavedState = serde_json::from_slice(&text).ok()?;
        let is_current = saved.version == VERSION && saved.replica == replica;
        (is_current && MetaDir::new(meta).l0_path(saved.local()).exists()).then_some(saved)
    }

    /// Writes it in one step. Not synced: losing it costs a listing.
    ///
    /// # Errors
    /// Those of the local disk; nothing depends on it.
    pub fn save(&self, meta: &Path) -> io::Result<()> {
        let new = meta.join(format!("{NAME}.new"));
        std::fs::write(&new, serde_json::to_vec(self)?)?;
        failpoint::around("fleet-rename", || std::fs::rename(&new, meta.join(NAME)))
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
    fn comes_back_as_it_was_saved() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(SavedState::load(dir.path(), 1), None);
        SavedState::of(&record()).for_replica(1).save(dir.path()).unwrap();
        assert_eq!(SavedState::load(dir.path(), 1), None, "the local history is gone");
        let newest = MetaDir::new(dir.path()).l0_path(Txid(9));
        std::fs::create_dir_all(newest.parent().unwrap()).unwrap();
        std::fs::write(newest, b"ltx").unwrap();
        let saved = SavedState::load(dir.path(), 1).unwrap();
        assert_eq!((saved.stamp, saved.local(), saved.levels()), (77, Txid(9), record().levels));
        assert_eq!(SavedState::load(dir.path(), 2), None, "another replica");
    }

    #[test]
    fn damage_is_like_absence() {
        let dir = tempfile::tempdir().unwrap();
        for text in [&b""[..], b"{", b"{}", b"\xff\xfe", b"[1,2]"] {
            std::fs::write(dir.path().join(NAME), text).unwrap();
            assert_eq!(SavedState::load(dir.path(), 1), None);
        }
    }
}
