//! The row of one database: everything the process keeps for it while nothing happens.
//!
//! Small on purpose (an idle database must stay below 2 KiB with its indexes): numbers, one name, no strings about
//! failures, no handles. What only busy or failing databases need lives in side maps of the scheduler.

use std::ffi::OsStr;

use crate::ltx::{Level, Txid};
use crate::metrics::DatabaseMetrics;
use crate::replica::Layout;

use super::due::Tick;

/// A row of the table. A slot is used again after its row is gone, an id never: work and looks that end late find no row, and
/// not the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DbId {
    /// Where the row is.
    pub slot: u32,
    /// How many rows were there before.
    pub life: u32,
}

impl DbId {
    /// The first row of a slot.
    #[cfg(test)]
    pub fn first_of(slot: u32) -> DbId {
        DbId { slot, life: 0 }
    }
}

/// A configuration entry, with what all its databases share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub u32);

/// A directory that holds databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirId(pub u32);

/// Which file stands at the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
}

/// The three kinds of work of a database. Different lanes of one database run side by side; one lane never twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// WAL to local LTX files, and detaching: blocking, on the worker threads.
    Local,
    /// Local LTX files to the replica.
    Upload,
    /// Compaction, snapshots, retention and validation.
    Levels,
}

impl Lane {
    /// All of them.
    pub const ALL: [Lane; 3] = [Lane::Local, Lane::Upload, Lane::Levels];

    /// For people and scripts.
    pub fn name(self) -> &'static str {
        match self {
            Lane::Local => "sync",
            Lane::Upload => "upload",
            Lane::Levels => "levels",
        }
    }
}

/// What a lane is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Nothing; `due` may be set.
    #[default]
    Idle,
    /// In a ready queue.
    Queued,
    /// A worker or a task holds it.
    Running,
}

/// The schedule of one lane of one database.
#[derive(Clone, Copy, Debug)]
pub struct LaneState {
    /// When it should run next.
    pub due: Tick,
    /// It must not run earlier: its pace while all is well, its back-off while it fails.
    pub not_before: Tick,
    /// What it is doing.
    pub phase: Phase,
    /// Something happened while it ran: run again.
    pub again: bool,
    /// Failures in a row, saturating.
    pub failures: u16,
}

impl Default for LaneState {
    fn default() -> Self {
        LaneState { due: Tick::NEVER, not_before: Tick(0), phase: Phase::Idle, again: false, failures: 0 }
    }
}

/// Yes/no facts of a row.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags(u32);

impl Flags {
    /// The replica was listed by this process: `replica` and `levels` are facts, not memories.
    pub const CONTACTED: Flags = Flags(1);
    /// The file is gone or was dropped from the set: finish, then forget the row.
    pub const REMOVING: Flags = Flags(1 << 1);
    /// Stopped by the operator: no work until started again.
    pub const STOPPED: Flags = Flags(1 << 3);
    /// Another program writes to the same replica: no upload until started again.
    pub const CONFLICT: Flags = Flags(1 << 4);
    /// The replica has no base that reaches the present: a snapshot must follow the next full file.
    pub const NEEDS_SNAPSHOT: Flags = Flags(1 << 5);
    /// No file stands at the path.
    pub const MISSING: Flags = Flags(1 << 6);
    /// A first sync succeeded in this process, or the saved state showed that none is needed.
    pub const SYNCED: Flags = Flags(1 << 7);
    /// The next local run must not be skipped on an unchanged stamp.
    pub const FORCED: Flags = Flags(1 << 8);
    /// Attached, or with a worker that may attach it.
    pub const HOT: Flags = Flags(1 << 9);
    /// The saved state on disk says the same as this row.
    pub const SAVED: Flags = Flags(1 << 10);

    /// A chain of looks for a commit that is about to be published is under way.
    pub const LOOKING: Flags = Flags(1 << 11);
    /// Something is left to tidy, or the stamp is too young to prove anything.
    pub const UNSETTLED: Flags = Flags(1 << 13);
    /// The path is a symbolic link: the WAL lies beside its target.
    pub const LINK: Flags = Flags(1 << 14);
    /// A worker is to look at the file.
    pub const TOUCHED: Flags = Flags(1 << 15);
    /// The last local work of a row that is being removed is done.
    pub const FINISHED: Flags = Flags(1 << 12);
    /// The replica is ahead, or of another history: nothing counts as uploaded before the full file that was asked for.
    pub const FULL_DUE: Flags = Flags(1 << 16);

    /// True if all of `other` are set.
    pub fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Sets or clears `other`.
    pub fn set(&mut self, other: Flags, on: bool) {
        if on { self.0 |= other.0 } else { self.0 &= !other.0 }
    }
}

/// What is known of a replica's levels. Unix seconds are 32 bits wide, enough until 2106.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels {
    /// Highest TXID of each level on the replica, index 0 to 9.
    pub max: [Txid; 10],
    /// Lowest TXID of level 0 that may still be on the replica; `NONE` if nothing is there.
    pub raw_floor: Txid,
    /// Number of snapshots on the replica, saturating.
    pub snapshots: u16,
    /// How the replica names its objects.
    pub layout: Layout,
    /// When each job is due (see [`Job`]), Unix seconds; 0 = not planned.
    pub due: [u32; Job::COUNT],
}

impl Default for Levels {
    fn default() -> Self {
        Levels { max: [Txid::NONE; 10], raw_floor: Txid::NONE, snapshots: 0, layout: Layout::Ltx, due: [0; Job::COUNT] }
    }
}

impl Levels {
    /// The highest TXID of all levels: where the replica is.
    pub fn position(&self) -> Txid {
        self.max.iter().copied().max().unwrap_or(Txid::NONE)
    }

    /// The highest TXID of one level.
    pub fn max(&self, level: Level) -> Txid {
        self.max[usize::from(level.number())]
    }

    /// Notes that a file up to `txid` is on the replica.
    pub fn reached(&mut self, level: Level, txid: Txid) {
        let max = &mut self.max[usize::from(level.number())];
        *max = txid.max(*max);
    }

    /// When `job` is due, Unix seconds.
    pub fn due(&self, job: Job) -> Option<u32> {
        Some(self.due[job.index()]).filter(|at| *at != 0)
    }

    /// Plans `job`, or takes it off the plan.
    pub fn plan(&mut self, job: Job, at: Option<u32>) {
        self.due[job.index()] = at.unwrap_or(0);
    }

    /// The planned job that is due first, with its time.
    pub fn first_due(&self) -> Option<(Job, u32)> {
        let planned = Job::all().filter_map(|job| self.due(job).map(|at| (job, at)));
        planned.min_by_key(|(_, at)| *at)
    }
}

/// The periodic work on a replica's levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// Merge the level below into this one (1 to 8).
    Compact(Level),
    /// Write a file of level 9.
    Snapshot,
    /// Delete files of level 0 that level 1 or a snapshot covers.
    RawRetention,
    /// Delete old snapshots, and what they make superfluous in levels 1 to 8.
    SnapshotRetention,
    /// List all levels and look for gaps and overlaps.
    Validate,
}

impl Job {
    /// How many jobs there are.
    pub const COUNT: usize = 12;

    /// Every job.
    pub fn all() -> impl Iterator<Item = Job> {
        let compactions = (1..=8).filter_map(Level::new).map(Job::Compact);
        compactions.chain([Job::Snapshot, Job::RawRetention, Job::SnapshotRetention, Job::Validate])
    }

    fn index(self) -> usize {
        match self {
            Job::Compact(level) => usize::from(level.number()) - 1,
            Job::Snapshot => 8,
            Job::RawRetention => 9,
            Job::SnapshotRetention => 10,
            Job::Validate => 11,
        }
    }
}

/// One database.
pub struct Record {
    /// Whose settings it follows.
    pub entry: EntryId,
    /// Where it lies.
    pub dir: DirId,
    /// Its file name.
    pub name: Box<OsStr>,
    /// Which file it was when last looked at; `None` while none was seen.
    pub identity: Option<Identity>,
    /// Hash of what `stat` said: while cold of the file and its WAL when it was detached, while attached of the file
    /// alone before the last sync. 0 = none.
    pub stamp: u64,
    /// Newest local LTX file.
    pub local: Txid,
    /// What is on the replica.
    pub levels: Levels,
    /// Yes/no facts.
    pub flags: Flags,
    /// Schedules, by [`Lane`].
    pub lanes: [LaneState; 3],
    /// When it last had news.
    pub active: Tick,
    /// Since when something that was copied is not on the replica; of no meaning while everything is.
    pub behind_since: Tick,
    /// Unix seconds of the last good replica sync; 0 = never.
    pub synced_at: u32,
    /// Its metrics; dropped with the row.
    pub metrics: Option<DatabaseMetrics>,
}

impl Record {
    /// A row about which nothing is known yet.
    pub fn new(entry: EntryId, dir: DirId, name: Box<OsStr>, identity: Option<Identity>) -> Record {
        Record {
            entry,
            dir,
            name,
            identity,
            stamp: 0,
            local: Txid::NONE,
            levels: Levels::default(),
            flags: Flags::default(),
            lanes: [LaneState::default(); 3],
            active: Tick(0),
            behind_since: Tick(0),
            synced_at: 0,
            metrics: None,
        }
    }

    /// The schedule of one lane.
    pub fn lane(&self, lane: Lane) -> &LaneState {
        &self.lanes[lane as usize]
    }

    /// The schedule of one lane, to change.
    pub fn lane_mut(&mut self, lane: Lane) -> &mut LaneState {
        &mut self.lanes[lane as usize]
    }

    /// True if the replica is known to hold everything that was synced locally. Equal numbers prove nothing while a full
    /// file is due: those on the replica are of another history.
    pub fn uploaded(&self) -> bool {
        !self.flags.has(Flags::FULL_DUE) && self.levels.position() >= self.local
    }

    /// True while no lane is queued or running.
    #[cfg(test)]
    pub fn at_rest(&self) -> bool {
        self.lanes.iter().all(|lane| lane.phase == Phase::Idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_small() {
        assert!(size_of::<Record>() <= 384, "a record takes {} bytes", size_of::<Record>());
    }

    #[test]
    fn every_job_has_a_slot_of_its_own() {
        let mut levels = Levels::default();
        assert_eq!(Job::all().count(), Job::COUNT);
        for (n, job) in Job::all().enumerate() {
            levels.plan(job, Some(100 - n as u32));
        }
        for (n, job) in Job::all().enumerate() {
            assert_eq!(levels.due(job), Some(100 - n as u32));
        }
        assert_eq!(levels.first_due(), Some((Job::Validate, 89)));
        levels.plan(Job::Validate, None);
        assert_eq!(levels.first_due(), Some((Job::SnapshotRetention, 90)));
    }

    #[test]
    fn the_position_counts_every_level() {
        let mut levels = Levels::default();
        levels.reached(Level::RAW, Txid(3));
        levels.reached(Level::SNAPSHOT, Txid(5));
        levels.reached(Level::SNAPSHOT, Txid(4));
        assert_eq!(levels.position(), Txid(5));
        assert_eq!(levels.max(Level::RAW), Txid(3));
    }
}
