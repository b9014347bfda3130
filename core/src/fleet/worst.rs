//! Which databases have metrics of their own where all would be too many: those that lag most, are largest, or fail most.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::time::Duration;

use crate::metrics::{DatabaseMetrics, Series};

use super::Fleet;
use super::due::Tick;
use super::record::{DbId, Record};

impl Fleet {
    /// Notes how far each database lags, and gives whose series are to be shown: all, or if there are more than `limit`,
    /// a third of it for each way to be remarkable.
    pub fn series(&self, limit: Option<usize>) -> Series {
        let now = self.shared.now();
        self.shared.look(|state| {
            let table = &state.scheduler.table;
            for (_, record) in table.iter() {
                record.metrics.as_ref().inspect(|metrics| metrics.set_lag(record.lag(now)));
            }
            match limit {
                Some(limit) if table.len() > limit => {
                    let chosen = worst(table.iter(), limit / 3, now).into_iter();
                    Series::Of(chosen.filter_map(|id| table.get(id)?.metrics.clone()).collect())
                }
                _ => Series::All,
            }
        })
    }
}

impl Record {
    /// For how long something that was copied has not been on the replica.
    pub fn lag(&self, now: Tick) -> Duration {
        if self.uploaded() { Duration::ZERO } else { now.since(self.behind_since) }
    }
}

/// `each` databases by each measure.
fn worst<'a>(rows: impl Iterator<Item = (DbId, &'a Record)>, each: usize, now: Tick) -> BTreeSet<DbId> {
    let mut tops = [(); 3].map(|()| Top { limit: each, best: BinaryHeap::new() });
    for (id, record) in rows {
        let Some(metrics) = &record.metrics else { continue };
        let measures = [record.lag(now).as_millis() as u64, metrics.db_size(), errors(record, metrics)];
        tops.iter_mut().zip(measures).for_each(|(top, measure)| top.offer(measure, id));
    }
    tops.into_iter().flat_map(|top| top.best).map(|Reverse((_, id))| id).collect()
}

/// What fails now goes before what failed once.
fn errors(record: &Record, metrics: &DatabaseMetrics) -> u64 {
    let now: u64 = record.lanes.iter().map(|lane| u64::from(lane.failures)).sum();
    (now << 32).saturating_add(metrics.sync_errors().min(u64::from(u32::MAX)))
}

/// The largest of what was offered.
struct Top {
    limit: usize,
    best: BinaryHeap<Reverse<(u64, DbId)>>,
}

impl Top {
    fn offer(&mut self, measure: u64, id: DbId) {
        if measure == 0 || self.limit == 0 {
            return;
        }
        if self.best.len() == self.limit {
            if self.best.peek().is_some_and(|Reverse((least, _))| *least >= measure) {
                return;
            }
            self.best.pop();
        }
        self.best.push(Reverse((measure, id)));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::fleet::record::{DirId, EntryId, Lane};
    use crate::ltx::{Level, Txid};
    use crate::metrics::Metrics;

    #[test]
    fn the_worst_are_chosen_by_each_measure_and_the_rest_is_left_out() {
        let (metrics, now) = (Metrics::new(), Tick(100_000));
        let mut rows: Vec<(DbId, Record)> = Vec::new();
        for n in 0..30_u32 {
            let mut record = Record::new(EntryId(0), DirId(0), std::ffi::OsStr::new("a.db").into(), None);
            let row = metrics.database(Path::new(&format!("/t/{n}.db")));
            row.set_db_size(1000 + u64::from(n == 7));
            record.metrics = Some(row);
            record.local = Txid(2);
            record.levels.reached(Level::RAW, Txid(2));
            rows.push((DbId::first_of(n), record));
        }
        rows[3].1.lane_mut(Lane::Upload).failures = 1;
        for _ in 0..9 {
            rows[4].1.metrics.as_ref().unwrap().sync_failed(Duration::ZERO);
        }
        for (n, since) in [(11, 90_000), (12, 10_000)] {
            rows[n].1.local = Txid(3);
            rows[n].1.behind_since = Tick(since);
        }
        let chosen = |each| worst(rows.iter().map(|(id, record)| (*id, record)), each, now);
        assert_eq!(chosen(1), [3, 7, 12].map(DbId::first_of).into());
        assert!(chosen(2).is_superset(&[3, 4, 7, 11, 12].map(DbId::first_of).into()));
        assert_eq!(chosen(2).len(), 6);
        assert!(chosen(0).is_empty());
    }
}
