//! The sweep: each file is looked at within its interval, a few at a time, so that a change that nobody reported is
//! noticed. Events only make us look sooner; this is the truth.
//!
//! A cursor walks the slots of the table; a sweep holds nothing for a single database.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::super::due::Tick;
use super::super::hot_set::HotDb;
use super::super::record::{DbId, Flags, Identity, Lane, Phase, Record};
use super::Scheduler;

/// Slots that one step looks at, at most.
const STEP: u32 = 1024;

/// How files are looked at although nothing reported a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pace {
    /// Each file once in this time, if that costs little.
    pub interval: Duration,
    /// After a step the sweep rests for at least this many times as long as the step took.
    pub rest: u32,
}

impl Pace {
    /// Where events report changes: a large fleet is looked at more rarely, for at most 1/400 of a core.
    pub const fn watched(interval: Duration) -> Pace {
        Pace { interval, rest: 400 }
    }

    /// Where nothing else notices a change.
    pub const fn polled(interval: Duration) -> Pace {
        Pace { interval, rest: 3 }
    }
}

/// All databases whose entries want the same pace.
pub(super) struct Sweep {
    pace: Pace,
    cursor: u32,
    next: Tick,
    /// When it began at the first slot.
    began: Tick,
    /// From one beginning to the next, last time.
    round: Duration,
}

/// Files to look at.
pub struct SweepWork {
    /// The sweep they are a step of; `None` if somebody asked for them.
    pace: Option<Pace>,
    /// Never empty.
    pub items: Vec<SweepItem>,
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
        let wanted: BTreeSet<Pace> =
            self.timings.iter().filter(|timing| timing.monitor_interval.is_some()).map(|t| t.sweep).collect();
        self.sweeps.retain(|sweep| wanted.contains(&sweep.pace));
        for pace in wanted {
            if !self.sweeps.iter().any(|sweep| sweep.pace == pace) {
                // It begins at once: what happened before is unknown.
                self.sweeps.push(Sweep { pace, cursor: 0, next: now, began: now, round: Duration::ZERO });
            }
        }
        let shortest = self.timings.iter().filter_map(|timing| timing.monitor_interval).min();
        self.hot_look = shortest;
    }

    /// Every sweep goes on at once, from where it is: one that began anew each time events are lost would never reach the end
    /// of a large table.
    pub fn sweep_now(&mut self, now: Tick) {
        for sweep in &mut self.sweeps {
            sweep.next = now;
        }
    }

    pub(super) fn next_sweep(&self, now: Tick) -> Tick {
        let hot = if self.hot.is_empty() || self.closing { Tick::NEVER } else { self.next_hot_look };
        // One that is due already is taken by the first worker that is free: nobody needs to be woken for it again.
        self.sweeps.iter().map(|sweep| sweep.next).filter(|next| *next > now).min().unwrap_or(Tick::NEVER).min(hot)
    }

    /// The longest that a file is not looked at although nobody reports a change, as far as the rounds so far tell.
    pub fn sweep_bound(&self, now: Tick) -> Duration {
        let bound = |sweep: &Sweep| sweep.pace.interval.max(sweep.round).max(now.since(sweep.began));
        self.sweeps.iter().map(bound).max().unwrap_or_default()
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

    /// The files to look at now; `None` while there are none.
    pub fn take_sweep(&mut self, now: Tick) -> Option<SweepWork> {
        let touched = self.take_touched();
        let (pace, ids) = if touched.is_empty() { self.take_step(now)? } else { (None, touched) };
        let link = |id| self.table.get(id).is_some_and(|record| record.flags.has(Flags::LINK));
        let items = ids.into_iter().map(|id| SweepItem { id, path: self.table.path(id), link: link(id) });
        Some(SweepWork { pace, items: items.collect() })
    }

    fn take_touched(&mut self) -> Vec<DbId> {
        let count = self.touched.len().min(STEP as usize);
        let mut ids: Vec<DbId> = self.touched.drain(..count).collect();
        // One may be gone meanwhile.
        ids.retain(|id| {
            self.table.get_mut(*id).is_some_and(|record| {
                record.flags.set(Flags::TOUCHED, false);
                true
            })
        });
        ids
    }

    fn take_step(&mut self, now: Tick) -> Option<(Option<Pace>, Vec<DbId>)> {
        let slots = self.table.slots();
        let sweep = self.sweeps.iter_mut().find(|sweep| sweep.next <= now)?;
        let pace = sweep.pace;
        let steps = slots.div_ceil(STEP).max(1);
        let from = if sweep.cursor >= slots { 0 } else { sweep.cursor };
        if from == 0 {
            if sweep.cursor > 0 {
                sweep.round = now.since(sweep.began);
            }
            sweep.began = now;
        }
        let to = from.saturating_add(slots.div_ceil(steps)).min(slots);
        sweep.cursor = to;
        // At least a millisecond, or a table of millions would never let go of the lock.
        sweep.next = now.after((pace.interval / steps).max(Duration::from_millis(1)));
        let rows = self.table.within(from..to).filter(|(_, record)| self.sweepable(record, pace));
        let ids: Vec<DbId> = rows.map(|(id, _)| id).collect();
        (!ids.is_empty()).then_some((Some(pace), ids))
    }

    fn sweepable(&self, record: &Record, pace: Pace) -> bool {
        let due_soon = record.lane(Lane::Local).phase != Phase::Idle;
        let wanted = self.timing(record.entry).is_some_and(|t| t.sweep == pace && t.monitor_interval.is_some());
        wanted && !due_soon && !record.flags.has(Flags::STOPPED) && !record.flags.has(Flags::REMOVING)
    }

    /// A sweep's step took this long: the next one waits as long as the pace asks.
    pub fn rest_after(&mut self, work: &SweepWork, took: Duration, now: Tick) {
        let Some(pace) = work.pace else { return };
        if let Some(sweep) = self.sweeps.iter_mut().find(|sweep| sweep.pace == pace) {
            sweep.next = sweep.next.max(now.after(took * pace.rest));
        }
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
        if moved && !hot {
            // One that is attached has its old file until the run that was just asked for.
            self.table.set_identity(id, seen.identity);
            self.free_names(id);
        }
    }
}
