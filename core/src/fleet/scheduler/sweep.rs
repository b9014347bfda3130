//! The sweep: each file is looked at within its interval, a few at a time, so that a change that nobody reported is
//! noticed. Events only make us look sooner; this is the truth.
//!
//! A cursor walks the slots of the table; a sweep holds nothing for a single database.

use std::path::PathBuf;
use std::time::Duration;

use super::super::due::Tick;
use super::super::hot_set::HotDb;
use super::super::record::{DbId, Flags, Identity, Lane, Phase};
use super::Scheduler;

/// Slots that one step looks at, at most.
const STEP: u32 = 1024;

/// All databases whose entries want the same interval.
pub(super) struct Sweep {
    interval: Duration,
    cursor: u32,
    next: Tick,
}

/// A file to look at.
pub struct SweepItem {
    /// Whose.
    pub id: DbId,
    /// The file.
    pub path: PathBuf,
    /// It is a symbolic link.
    pub link: bool,
}

/// What was seen.
pub struct SweepSeen {
    /// Whose.
    pub id: DbId,
    /// Which file stands there; `None`: none.
    pub identity: Option<Identity>,
    /// Stamp of file and WAL.
    pub stamp: u64,
    /// Stamp of the file alone.
    pub file: u64,
}

impl<D: HotDb> Scheduler<D> {
    /// One sweep for each interval that some entry wants.
    pub(super) fn arrange_sweeps(&mut self, now: Tick) {
        if self.closing {
            return;
        }
        let wanted: std::collections::BTreeSet<Duration> =
            self.timings.iter().filter(|timing| timing.monitor_interval.is_some()).map(|t| t.sweep_interval).collect();
        self.sweeps.retain(|sweep| wanted.contains(&sweep.interval));
        for interval in wanted {
            if !self.sweeps.iter().any(|sweep| sweep.interval == interval) {
                // It begins at once: what happened before is unknown.
                self.sweeps.push(Sweep { interval, cursor: 0, next: now });
            }
        }
        let shortest = self.timings.iter().filter_map(|timing| timing.monitor_interval).min();
        self.hot_look = shortest;
    }

    /// Every sweep begins anew, at once.
    pub fn sweep_now(&mut self, now: Tick) {
        for sweep in &mut self.sweeps {
            (sweep.cursor, sweep.next) = (0, now);
        }
    }

    pub(super) fn next_sweep(&self, now: Tick) -> Tick {
        let hot = if self.hot.is_empty() || self.closing { Tick::NEVER } else { self.next_hot_look };
        // One that is due already is taken by the first worker that is free: nobody needs to be woken for it again.
        self.sweeps.iter().map(|sweep| sweep.next).filter(|next| *next > now).min().unwrap_or(Tick::NEVER).min(hot)
    }

    /// Asks the attached databases, by a look at shared memory, whether an event was missed.
    pub(super) fn look_at_hot(&mut self, now: Tick) {
        let Some(interval) = self.hot_look else { return };
        if now < self.next_hot_look || self.hot.is_empty() || self.closing {
            return;
        }
        self.next_hot_look = now.after(interval);
        for id in self.hot.with_news() {
            self.want(id, Lane::Local, now);
        }
    }

    /// Has a file looked at out of turn. True if that was not planned yet.
    pub fn touch(&mut self, id: DbId) -> bool {
        let Some(record) = self.table.get_mut(id) else { return false };
        let planned = record.flags.has(Flags::TOUCHED) || self.closing;
        if !planned {
            record.flags.set(Flags::TOUCHED, true);
            self.touched.push_back(id);
        }
        !planned
    }

    /// True if a step of a sweep is due.
    pub(super) fn sweep_due(&self, now: Tick) -> bool {
        !self.touched.is_empty() || self.sweeps.iter().any(|sweep| sweep.next <= now)
    }

    /// The files to look at now; empty while no step is due.
    pub fn take_sweep(&mut self, now: Tick) -> Vec<SweepItem> {
        let mut ids = self.take_touched();
        if ids.is_empty() {
            ids = self.take_step(now);
        }
        let link = |id| self.table.get(id).is_some_and(|record| record.flags.has(Flags::LINK));
        ids.into_iter().map(|id| SweepItem { id, path: self.table.path(id), link: link(id) }).collect()
    }

    fn take_touched(&mut self) -> Vec<DbId> {
        let count = self.touched.len().min(STEP as usize);
        let ids: Vec<DbId> = self.touched.drain(..count).collect();
        for id in &ids {
            if let Some(record) = self.table.get_mut(*id) {
                record.flags.set(Flags::TOUCHED, false);
            }
        }
        ids
    }

    fn take_step(&mut self, now: Tick) -> Vec<DbId> {
        let slots = self.table.slots();
        let Some(index) = self.sweeps.iter().position(|sweep| sweep.next <= now) else { return Vec::new() };
        let sweep = &mut self.sweeps[index];
        let interval = sweep.interval;
        let steps = slots.div_ceil(STEP).max(1);
        let from = if sweep.cursor >= slots { 0 } else { sweep.cursor };
        let to = from.saturating_add(slots.div_ceil(steps)).min(slots);
        sweep.cursor = to;
        // At least a millisecond, or a table of millions would never let go of the lock.
        sweep.next = now.after((interval / steps).max(Duration::from_millis(1)));
        (from..to).map(DbId).filter(|id| self.sweepable(*id, interval)).collect()
    }

    fn sweepable(&self, id: DbId, interval: Duration) -> bool {
        let Some(record) = self.table.get(id) else { return false };
        let due_soon = record.lane(Lane::Local).phase != Phase::Idle;
        let wanted =
            self.timing(record.entry).is_some_and(|t| t.sweep_interval == interval && t.monitor_interval.is_some());
        wanted && !due_soon && !record.flags.has(Flags::STOPPED) && !record.flags.has(Flags::REMOVING)
    }

    /// Compares what was seen with what is known.
    pub fn finish_sweep(&mut self, seen: &[SweepSeen], now: Tick) {
        for one in seen {
            self.seen(one, now);
        }
    }

    fn seen(&mut self, seen: &SweepSeen, now: Tick) {
        let id = seen.id;
        let Some(record) = self.table.get_mut(id) else { return };
        if record.lane(Lane::Local).phase != Phase::Idle {
            return;
        }
        let hot = record.flags.has(Flags::HOT);
        let moved = record.identity != seen.identity;
        match seen.identity {
            None => {
                let was_there = !record.flags.has(Flags::MISSING);
                record.flags.set(Flags::MISSING, true);
                if hot && was_there {
                    record.flags.set(Flags::FORCED, true);
                    self.want(id, Lane::Local, now);
                }
            }
            Some(_) => {
                record.flags.set(Flags::MISSING, false);
                if hot {
                    if moved || record.stamp != seen.file {
                        record.flags.set(Flags::FORCED, true);
                        self.want(id, Lane::Local, now);
                    }
                } else if moved || record.stamp != seen.stamp {
                    let patient = record.stamp != 0 || moved;
                    if patient {
                        // The failure, if there was one, was about another state of the file.
                        record.lane_mut(Lane::Local).not_before = now;
                    }
                    self.want(id, Lane::Local, now);
                }
            }
        }
        if moved {
            self.table.set_identity(id, seen.identity);
        }
    }
}
