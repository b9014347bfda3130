//! What is being done at this moment: a row for each run that is under way, and none for all other databases. For people who
//! look at one that hangs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::{self, UnixMillis};
use crate::db::{Activity, Phase};

use super::record::{DbId, Lane};

/// A run that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// Which kind of work.
    pub lane: Lane,
    /// Since when.
    pub started_at: UnixMillis,
    /// Of work on the local files: the present step, and since when.
    pub phase: Option<(Phase, UnixMillis)>,
}

/// See the module.
#[derive(Default)]
pub struct Working(Mutex<HashMap<(DbId, Lane), Run>>);

struct Run {
    started_at: UnixMillis,
    activity: Option<Arc<Activity>>,
}

/// A run ends when this is dropped.
pub struct Ending<'a> {
    working: &'a Working,
    key: (DbId, Lane),
}

impl Working {
    /// A run begins. `activity`: where it notes its steps, if it does.
    pub fn begin(&self, id: DbId, lane: Lane, activity: Option<Arc<Activity>>) -> Ending<'_> {
        self.lock().insert((id, lane), Run { started_at: clock::unix_millis(), activity });
        Ending { working: self, key: (id, lane) }
    }

    /// The run of a database, the first in the order of the lanes.
    pub fn of(&self, id: DbId) -> Option<Running> {
        let runs = self.lock();
        Lane::ALL.into_iter().find_map(|lane| runs.get(&(id, lane)).map(|run| run.shown(lane)))
    }

    /// All of them, by database.
    pub fn all(&self) -> HashMap<DbId, Running> {
        let mut all: HashMap<DbId, Running> = HashMap::new();
        for ((id, lane), run) in self.lock().iter() {
            let first = all.get(id).is_none_or(|other| *lane < other.lane);
            if first {
                all.insert(*id, run.shown(*lane));
            }
        }
        all
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(DbId, Lane), Run>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    fn shown(&self, lane: Lane) -> Running {
        let phase = self.activity.as_ref().map(|activity| activity.now());
        Running { lane, started_at: self.started_at, phase }
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.working.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_under_way_is_there_and_local_work_is_shown_first() {
        let (working, id) = (Working::default(), DbId::first_of(3));
        let upload = working.begin(id, Lane::Upload, None);
        assert_eq!(working.of(id).map(|run| (run.lane, run.phase)), Some((Lane::Upload, None)));
        let local = working.begin(id, Lane::Local, Some(Activity::starting()));
        assert_eq!(working.of(id).and_then(|run| run.phase).map(|(phase, _)| phase), Some(Phase::Starting));
        assert_eq!(working.all()[&id].lane, Lane::Local);
        drop(local);
        assert_eq!(working.all()[&id].lane, Lane::Upload);
        drop(upload);
        assert!(working.of(id).is_none() && working.all().is_empty());
    }
}
