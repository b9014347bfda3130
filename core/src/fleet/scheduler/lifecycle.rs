//! Coming and going: rows that are added, removed, stopped and started while the fleet runs.
//!
//! A removal is ordinary work: a last local run, a last upload, and the row is forgotten whatever they gave. So it
//! delays nobody, and a path that comes back is never stuck.

use super::super::due::Tick;
use super::super::hot_set::HotDb;
use super::super::record::{DbId, Flags, Lane, Phase};
use super::{Event, Scheduler};

impl<D: HotDb> Scheduler<D> {
    /// Begins the removal of a row. Its end is [`Event::Forgotten`].
    pub fn remove(&mut self, id: DbId, now: Tick) {
        let Some(record) = self.table.get_mut(id) else { return };
        record.flags.set(Flags::RETURNED, false);
        if record.flags.has(Flags::REMOVING) {
            return;
        }
        record.flags.set(Flags::REMOVING, true);
        record.flags.set(Flags::STOPPED, false);
        self.urge(id, Lane::Local, now);
    }

    /// The path of a row that is being removed is wanted again. True if the row is being removed.
    pub fn returned(&mut self, id: DbId) -> bool {
        let Some(record) = self.table.get_mut(id) else { return false };
        let removing = record.flags.has(Flags::REMOVING);
        if removing {
            record.flags.set(Flags::RETURNED, true);
        }
        removing
    }

    /// After each run of a lane of a row that is being removed: what is left to do, or the end.
    pub(super) fn end_removal(&mut self, id: DbId, lane: Lane, now: Tick) {
        let Some(record) = self.table.get_mut(id) else { return };
        if !record.flags.has(Flags::REMOVING) {
            return;
        }
        if lane == Lane::Local {
            record.flags.set(Flags::FINISHED, true);
            let failed = record.lane(Lane::Local).failures > 0;
            if !record.uploaded() && !failed {
                self.urge(id, Lane::Upload, now);
                let waiting = self.table.get(id).is_some_and(|record| {
                    let upload = record.lane(Lane::Upload);
                    upload.phase != Phase::Idle || upload.due != Tick::NEVER
                });
                if waiting {
                    return;
                }
            }
        }
        self.forget_at_rest(id);
    }

    fn forget_at_rest(&mut self, id: DbId) {
        let Some(record) = self.table.get(id) else { return };
        let running = |lane| record.lane(lane).phase == Phase::Running;
        if !record.flags.has(Flags::FINISHED) || Lane::ALL.into_iter().any(running) {
            return;
        }
        let returned = record.flags.has(Flags::RETURNED);
        let path = self.table.path(id);
        for lane in Lane::ALL {
            self.failures.remove(&(id, lane));
        }
        self.full_files.remove(&id);
        if let Some(record) = self.table.remove(id) {
            self.events.push(Event::Forgotten(Box::new(record), path.clone()));
        }
        if returned {
            self.events.push(Event::Returned(path));
        }
    }

    /// Stops all work of a database, or allows it again.
    pub fn set_stopped(&mut self, id: DbId, stopped: bool, now: Tick) {
        let Some(record) = self.table.get_mut(id) else { return };
        record.flags.set(Flags::STOPPED, stopped);
        if !stopped {
            record.flags.set(Flags::CONFLICT, false);
            record.flags.set(Flags::CONTACTED, false);
            record.flags.set(Flags::FORCED, true);
            for lane in Lane::ALL {
                self.urge(id, lane, now);
            }
        }
    }
}
