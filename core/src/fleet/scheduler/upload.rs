//! The upload lane: one queue for each store, so that a dead one delays nobody else's databases.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use crate::ltx::{Level, Txid};

use super::super::due::Tick;
use super::super::hot_set::HotDb;
use super::super::record::{DbId, EntryId, Flags, Lane, Levels, Record};
use super::Scheduler;

/// Failures in a row after which a store gets one upload at a time, until one succeeds: a store that times out must
/// not fill the places of all others.
const SUSPECT: u32 = 3;

/// The uploads of one store.
#[derive(Default)]
pub(super) struct Pool {
    pub(super) ready: VecDeque<DbId>,
    running: usize,
    failures: u32,
}

/// A unit of upload work.
pub struct UploadWork {
    /// Whose.
    pub id: DbId,
    /// Its file.
    pub path: PathBuf,
    /// Its configuration entry.
    pub entry: EntryId,
    /// When it was taken.
    pub started: Tick,
    /// The newest local LTX file.
    pub local: Txid,
    /// What is known of the replica.
    pub levels: Levels,
    /// The replica was listed by this process.
    pub contacted: bool,
    /// A restore of the replica is not possible now: a snapshot goes first.
    pub needs_snapshot: bool,
    /// The local file of this TXID is a full one, and nothing before it is wanted on the replica.
    pub full_from: Option<Txid>,
}

/// How an upload ended.
#[derive(Debug)]
pub enum UploadEnd {
    /// All that was asked for, or a full round of it, is on the replica.
    Done,
    /// The replica cannot go on from its end: the next local file must be a full one above this TXID.
    NeedsFullFile {
        /// Above this TXID.
        above: Txid,
        /// And a snapshot must follow, because nothing on the replica leads up to it.
        snapshot: bool,
    },
    /// Another program writes there.
    Conflict(String),
    /// Worth another try.
    Failed {
        /// For a person.
        message: String,
        /// The store failed, not something of this database.
        store: bool,
    },
}

impl<D: HotDb> Scheduler<D> {
    /// The next upload, if the limits allow one. Stores take turns.
    pub fn take_upload(&mut self, now: Tick) -> Option<UploadWork> {
        let full = self.uploading >= self.limits.uploads;
        let count = self.pools.len();
        for turn in 0..count {
            let index = (self.next_pool + turn) % count;
            // A store without an upload always gets one: nobody waits for somebody else's store.
            let limit = if full { 1 } else { usize::MAX };
            while self.pools[index].has_room(limit)
                && let Some(id) = self.pools[index].ready.pop_front()
            {
                if !self.begin(id, Lane::Upload) {
                    continue;
                }
                let Some(record) = self.table.get(id) else { continue };
                self.next_pool = index + 1;
                self.pools[index].running += 1;
                self.uploading += 1;
                return Some(UploadWork {
                    id,
                    path: self.table.path(id),
                    entry: record.entry,
                    started: now,
                    local: record.local,
                    levels: record.levels,
                    contacted: record.flags.has(Flags::CONTACTED),
                    needs_snapshot: record.flags.has(Flags::NEEDS_SNAPSHOT),
                    full_from: self.full_from.get(&id).copied(),
                });
            }
        }
        None
    }

    /// Notes what a listing of the replica showed.
    pub fn listed(&mut self, id: DbId, levels: Levels) {
        let Some(record) = self.table.get_mut(id) else { return };
        // What is planned may have been planned anew while the listing was under way.
        let levels = Levels { due: record.levels.due, ..levels };
        if levels != std::mem::replace(&mut record.levels, levels) {
            record.flags.set(Flags::SAVED, false);
        }
        record.flags.set(Flags::CONTACTED, true);
    }

    /// Notes that a file is on the replica.
    pub fn uploaded(&mut self, id: DbId, level: Level, txid: Txid, unix_seconds: u32) {
        let Some(record) = self.table.get_mut(id) else { return };
        record.levels.reached(level, txid);
        record.flags.set(Flags::SAVED, false);
        if level == Level::SNAPSHOT {
            record.levels.snapshots = record.levels.snapshots.saturating_add(1);
            record.flags.set(Flags::NEEDS_SNAPSHOT, false);
        }
        record.synced_at = unix_seconds;
        if level == Level::RAW && self.full_from.get(&id).is_some_and(|full| *full <= txid) {
            self.full_from.remove(&id);
        }
        if level == Level::RAW && !record.levels.raw_floor.is_some() {
            record.levels.raw_floor = txid;
        }
    }

    /// Takes a database back from an upload.
    pub fn finish_upload(&mut self, work: &UploadWork, end: UploadEnd, now: Tick) {
        let id = work.id;
        self.uploading = self.uploading.saturating_sub(1);
        self.note_pool(work.entry, &end, now);
        let done = matches!(end, UploadEnd::Done);
        match end {
            UploadEnd::Done => self.upload_succeeded(work, now),
            UploadEnd::NeedsFullFile { above, snapshot } => {
                self.succeeded(id, Lane::Upload, false, now);
                self.need_full_file(id, above, snapshot, now);
            }
            UploadEnd::Conflict(message) => {
                self.failed(id, Lane::Upload, message, now);
                if let Some(record) = self.table.get_mut(id) {
                    record.flags.set(Flags::CONFLICT, true);
                    record.lane_mut(Lane::Upload).due = Tick::NEVER;
                }
            }
            UploadEnd::Failed { message, .. } => {
                // The replica may have changed under us: look again before the next try.
                if let Some(record) = self.table.get_mut(id) {
                    record.flags.set(Flags::CONTACTED, false);
                }
                self.failed(id, Lane::Upload, message, now);
            }
        }
        if self.table.get(id).is_some_and(|record| !record.flags.has(Flags::SYNCED)) {
            // A new database waits for this look at its replica (not for long, see `admit`).
            self.want(id, Lane::Local, now);
        }
        let goes_on = |record: &Record| !record.uploaded() && record.levels.position() > work.levels.position();
        if done && self.table.get(id).is_some_and(goes_on) {
            // A round that gave way to others: one that leaves has its next one, too.
            return;
        }
        self.end_removal(id, Lane::Upload, now);
    }

    fn note_pool(&mut self, entry: EntryId, end: &UploadEnd, now: Tick) {
        let Some(id) = self.timing(entry).map(|timing| timing.pool) else { return };
        let Some(pool) = self.pools.get_mut(id.0 as usize) else { return };
        pool.running = pool.running.saturating_sub(1);
        let recovered = match end {
            UploadEnd::Failed { store: true, .. } => {
                pool.failures = pool.failures.saturating_add(1);
                false
            }
            UploadEnd::Failed { store: false, .. } => false,
            _ => std::mem::take(&mut pool.failures) >= SUSPECT,
        };
        if recovered {
            // The store is back: nobody sits out the rest of a back-off.
            let waiting: Vec<DbId> =
                self.failures.keys().filter(|(_, lane)| *lane == Lane::Upload).map(|k| k.0).collect();
            for waiting in waiting {
                let theirs = self.table.get(waiting).and_then(|record| self.timing(record.entry)).map(|t| t.pool);
                if theirs == Some(id) {
                    self.urge(waiting, Lane::Upload, now);
                }
            }
        }
    }

    fn upload_succeeded(&mut self, work: &UploadWork, now: Tick) {
        let id = work.id;
        let Some(record) = self.table.get_mut(id) else { return };
        let again = std::mem::take(&mut record.lane_mut(Lane::Upload).again);
        let moved = record.levels.position() > work.levels.position();
        let uploaded = record.uploaded();
        let pace = if self.closing { Duration::ZERO } else { self.retry_interval(id, Lane::Upload) };
        // A round that ended early goes on at once; otherwise the next file waits for the pace.
        let not_before = if moved && uploaded { work.started.after(pace) } else { now };
        self.succeeded(id, Lane::Upload, moved, not_before);
        if !uploaded || again {
            self.want(id, Lane::Upload, now);
        }
        if uploaded {
            self.come_again(id, now);
        }
        self.plan_levels(id, now);
    }

    /// The replica must be given a full file: the local lane makes it, above everything that is there.
    pub fn need_full_file(&mut self, id: DbId, above: Txid, snapshot: bool, now: Tick) {
        self.full_files.insert(id, above);
        if let Some(record) = self.table.get_mut(id) {
            record.flags.set(Flags::FORCED, true);
            record.flags.set(Flags::FULL_DUE, true);
            if snapshot {
                record.flags.set(Flags::NEEDS_SNAPSHOT, true);
            }
        }
        self.urge(id, Lane::Local, now);
    }
}

impl Pool {
    /// Uploads wait for a place. What waits for a store that fails does not count: that may take for ever.
    pub(super) fn is_behind(&self) -> bool {
        !self.ready.is_empty() && self.failures < SUSPECT
    }

    fn has_room(&self, limit: usize) -> bool {
        self.running < if self.failures >= SUSPECT { 1 } else { limit }
    }
}
