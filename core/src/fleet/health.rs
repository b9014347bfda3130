//! Whether everything is replicated as it should be: the one question behind the heartbeat.

use std::time::Duration;

use crate::clock;

use super::Fleet;
use super::record::{Flags, Lane, Record};

impl Fleet {
    /// True if every open database is on its replica, or was within `interval`. `None` if there is no open database:
    /// those without a file, stopped ones and those on their way out do not count.
    pub fn is_healthy(&self, interval: Duration) -> Option<bool> {
        let now = clock::unix_time().as_secs();
        self.shared.look(|state| {
            let mut open =
                state.scheduler.table.iter().map(|(_, record)| record).filter(|record| is_open(record)).peekable();
            open.peek()?;
            Some(open.all(|record| is_well(record, now, interval)))
        })
    }
}

fn is_open(record: &Record) -> bool {
    ![Flags::STOPPED, Flags::MISSING, Flags::REMOVING].into_iter().any(|flag| record.flags.has(flag))
}

/// An idle database is well for ever: nothing of it is missing on its replica.
fn is_well(record: &Record, now: u64, interval: Duration) -> bool {
    let failing = [Lane::Local, Lane::Upload].into_iter().any(|lane| record.lane(lane).failures > 0);
    let settled = record.flags.has(Flags::SYNCED) && record.uploaded() && !record.flags.has(Flags::CONFLICT);
    let synced_at = u64::from(record.synced_at);
    (settled && !failing) || (synced_at != 0 && now.saturating_sub(synced_at) <= interval.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::record::{DirId, EntryId};
    use crate::ltx::{Level, Txid};

    const INTERVAL: Duration = Duration::from_secs(300);

    fn record(local: u64, remote: u64) -> Record {
        let mut record = Record::new(EntryId(0), DirId(0), std::ffi::OsStr::new("a.db").into(), None);
        record.local = Txid(local);
        record.levels.reached(Level::RAW, Txid(remote));
        record.flags.set(Flags::SYNCED, true);
        record
    }

    #[test]
    fn an_idle_database_is_well_however_long_ago_it_was_synced() {
        assert!(is_well(&record(4, 4), 1_000_000, INTERVAL));
    }

    #[test]
    fn one_that_lags_or_fails_is_well_only_for_an_interval() {
        let mut lagging = record(5, 4);
        assert!(!is_well(&lagging, 1_000_000, INTERVAL));
        lagging.synced_at = 999_800;
        assert!(is_well(&lagging, 1_000_000, INTERVAL) && !is_well(&lagging, 1_000_101, INTERVAL));
        let mut failing = record(4, 4);
        failing.lane_mut(Lane::Local).failures = 1;
        assert!(!is_well(&failing, 1_000_000, INTERVAL));
    }

    #[test]
    fn what_is_stopped_or_has_no_file_is_not_asked() {
        let mut other = record(5, 4);
        assert!(is_open(&other));
        other.flags.set(Flags::MISSING, true);
        assert!(!is_open(&other));
    }
}
