//! One row of numbers for each database, and their text form.
//!
//! Each family has the label `db`, the full path. A path that is not UTF-8 is shown with `\xNN` for each foreign byte:
//! one such file must not take the whole metrics page down.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use crate::ltx::Txid;

/// How a checkpoint was asked for: the label `mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointMode {
    /// `PASSIVE`
    Passive,
    /// `TRUNCATE`
    Truncate,
}

/// Local files of level 0, by what retention says of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct L0Retention {
    /// Old enough, and contained in level 1.
    pub eligible: u64,
    /// Not in level 1 yet.
    pub not_compacted: u64,
    /// In level 1, but younger than the retention time.
    pub too_recent: u64,
}

/// Writes the series of one database. Clones share the row; dropping the last one removes the series.
#[derive(Clone)]
pub struct DatabaseMetrics {
    row: Arc<Row>,
}

impl DatabaseMetrics {
    /// `litestream_db_size`, in bytes.
    pub fn set_db_size(&self, bytes: u64) {
        self.row.db_size.store(bytes, Relaxed);
    }

    /// What [`DatabaseMetrics::set_db_size`] said last.
    pub fn db_size(&self) -> u64 {
        self.row.db_size.load(Relaxed)
    }

    /// Syncs that failed.
    pub fn sync_errors(&self) -> u64 {
        self.row.sync.errors.load(Relaxed)
    }

    /// `litestream_lag_seconds`: for how long something that was copied has not been on the replica.
    pub fn set_lag(&self, lag: Duration) {
        self.row.lag_ms.store(u64::try_from(lag.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    /// What [`DatabaseMetrics::set_wal_size`] said last.
    pub fn wal_size(&self) -> u64 {
        self.row.wal_size.load(Relaxed)
    }

    /// `litestream_wal_size`: the end of what was synced from the WAL, in bytes; not the size of the file.
    pub fn set_wal_size(&self, bytes: u64) {
        self.row.wal_size.store(bytes, Relaxed);
    }

    /// `litestream_total_wal_bytes`: bytes taken from the WAL.
    pub fn add_wal_bytes(&self, bytes: u64) {
        self.row.total_wal_bytes.fetch_add(bytes, Relaxed);
        self.row.table.totals.wal_bytes.fetch_add(bytes, Relaxed);
    }

    /// `litestream_txid`.
    pub fn set_txid(&self, txid: Txid) {
        self.row.txid.store(txid.0, Relaxed);
    }

    /// A sync ended well: count and seconds.
    pub fn sync_succeeded(&self, took: Duration) {
        self.row.sync.add(took, false);
        self.row.table.totals.sync.add(took, false);
    }

    /// A sync failed: count, errors and seconds.
    pub fn sync_failed(&self, took: Duration) {
        self.row.sync.add(took, true);
        self.row.table.totals.sync.add(took, true);
    }

    /// `litestream_disk_full`: replication waits for room on the local disk.
    pub fn set_disk_full(&self, full: bool) {
        self.row.disk_full.store(u64::from(full), Relaxed);
    }

    /// A checkpoint ended well. The series of a mode appear with its first checkpoint.
    pub fn checkpoint_succeeded(&self, mode: CheckpointMode, took: Duration) {
        self.row.checkpoint(mode).add(took, false);
    }

    /// A checkpoint failed.
    pub fn checkpoint_failed(&self, mode: CheckpointMode, took: Duration) {
        self.row.checkpoint(mode).add(took, true);
    }

    /// `litestream_compaction_verify_error_count`.
    pub fn compaction_verify_failed(&self) {
        self.row.compaction_verify_errors.fetch_add(1, Relaxed);
    }

    /// `litestream_l0_retention_files_total`.
    pub fn set_l0_retention(&self, files: L0Retention) {
        let values = [files.eligible, files.not_compacted, files.too_recent];
        for (cell, value) in self.row.l0_retention.iter().zip(values) {
            cell.store(value, Relaxed);
        }
    }
}

/// Count, errors and time of a repeated activity.
#[derive(Default)]
struct Activity {
    count: AtomicU64,
    errors: AtomicU64,
    nanos: AtomicU64,
}

impl Activity {
    fn add(&self, took: Duration, failed: bool) {
        self.count.fetch_add(1, Relaxed);
        self.errors.fetch_add(u64::from(failed), Relaxed);
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    fn seconds(&self) -> f64 {
        Duration::from_nanos(self.nanos.load(Relaxed)).as_secs_f64()
    }
}

struct Row {
    table: Table,
    label: Arc<str>,
    db_size: AtomicU64,
    wal_size: AtomicU64,
    total_wal_bytes: AtomicU64,
    txid: AtomicU64,
    disk_full: AtomicU64,
    lag_ms: AtomicU64,
    compaction_verify_errors: AtomicU64,
    l0_retention: [AtomicU64; 3],
    sync: Activity,
    /// By mode; made at first use.
    checkpoints: [OnceLock<Box<Activity>>; 2],
}

impl Row {
    fn new(table: Table, label: Arc<str>) -> Row {
        Row {
            table,
            label,
            db_size: AtomicU64::default(),
            wal_size: AtomicU64::default(),
            total_wal_bytes: AtomicU64::default(),
            txid: AtomicU64::default(),
            disk_full: AtomicU64::default(),
            lag_ms: AtomicU64::default(),
            compaction_verify_errors: AtomicU64::default(),
            l0_retention: Default::default(),
            sync: Activity::default(),
            checkpoints: Default::default(),
        }
    }

    fn checkpoint(&self, mode: CheckpointMode) -> &Activity {
        self.checkpoints[mode as usize].get_or_init(Box::default)
    }

    fn checkpointed(&self, mode: CheckpointMode, value: fn(&Activity) -> f64) -> Option<f64> {
        self.checkpoints[mode as usize].get().map(|activity| value(activity))
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        let mut rows = self.table.lock();
        // The same database may have been registered anew since our last handle went.
        if rows.get(&self.label).is_some_and(|row| row.strong_count() == 0) {
            rows.remove(&self.label);
        }
    }
}

type Rows = BTreeMap<Arc<str>, Weak<Row>>;

/// All databases, by label.
#[derive(Clone, Default)]
pub(super) struct Table {
    rows: Arc<Mutex<Rows>>,
    totals: Arc<Totals>,
}

/// What all databases together did, those that have left included: a sum must not fall.
#[derive(Default)]
struct Totals {
    wal_bytes: AtomicU64,
    sync: Activity,
}

/// Which databases are shown one by one.
pub enum Series {
    /// Each.
    All,
    /// Only these. The sums are those of all.
    Of(Vec<DatabaseMetrics>),
}

impl Table {
    fn lock(&self) -> std::sync::MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn row(&self, path: &Path) -> DatabaseMetrics {
        let label: Arc<str> = label_text(path.as_os_str().as_encoded_bytes()).into();
        let mut rows = self.lock();
        if let Some(row) = rows.get(&label).and_then(Weak::upgrade) {
            return DatabaseMetrics { row };
        }
        let row = Arc::new(Row::new(self.clone(), label.clone()));
        rows.insert(label, Arc::downgrade(&row));
        DatabaseMetrics { row }
    }

    pub(super) fn render(&self, out: &mut dyn Write, series: Series) -> io::Result<()> {
        // A database that leaves meanwhile is dropped here, after the lock.
        let mut rows: Vec<Arc<Row>> = self.lock().values().filter_map(Weak::upgrade).collect();
        self.render_sums(out, &rows)?;
        if let Series::Of(chosen) = series {
            rows = chosen.into_iter().map(|database| database.row).collect();
            rows.sort_by(|one, other| one.label.cmp(&other.label));
        }
        let head = "# HELP litestream_fleet_database_series Databases that have series of their own\n\
                    # TYPE litestream_fleet_database_series gauge\nlitestream_fleet_database_series";
        writeln!(out, "{head} {}", rows.len())?;
        for family in FAMILIES {
            let mut headed = false;
            for row in &rows {
                for (labels, value) in family.series {
                    let Some(value) = value(row) else { continue };
                    if !headed {
                        writeln!(out, "# HELP {0} {1}\n# TYPE {0} {2}", family.name, family.help, family.kind)?;
                        headed = true;
                    }
                    writeln!(out, "{}{{db=\"{}\"{labels}}} {value}", family.name, row.label)?;
                }
            }
        }
        Ok(())
    }

    fn render_sums(&self, out: &mut dyn Write, rows: &[Arc<Row>]) -> io::Result<()> {
        let Totals { wal_bytes, sync } = &*self.totals;
        let sum = |cell: fn(&Row) -> &AtomicU64| rows.iter().map(|row| number(cell(row))).sum::<f64>();
        let lags = || rows.iter().map(|row| row.lag_ms.load(Relaxed)).filter(|lag| *lag > 0);
        for (name, kind, help, value) in [
            ("sync_count", "counter", "Syncs from WALs to local LTX files", number(&sync.count)),
            ("sync_error_count", "counter", "Syncs that failed", number(&sync.errors)),
            ("sync_seconds", "counter", "Time spent in syncs, in seconds", sync.seconds()),
            ("total_wal_bytes", "counter", "Bytes taken from WALs", number(wal_bytes)),
            ("db_size", "gauge", "Size of all databases together, in bytes", sum(|row| &row.db_size)),
            ("disk_full", "gauge", "Databases that wait because the local disk is full", sum(|row| &row.disk_full)),
            ("lagging_databases", "gauge", "Databases with copied commits not on the replica", lags().count() as f64),
            ("max_lag_seconds", "gauge", "The longest of their lags", lags().max().unwrap_or(0) as f64 / 1000.0),
        ] {
            let name = format!("litestream_fleet_{name}");
            writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}")?;
        }
        Ok(())
    }
}

/// One series of a family: the labels beside `db`, and the value, or `None` while the series does not exist.
type Member = (&'static str, fn(&Row) -> Option<f64>);

struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    series: &'static [Member],
}

const PASSIVE: &str = ",mode=\"PASSIVE\"";
const TRUNCATE: &str = ",mode=\"TRUNCATE\"";

/// What the reference exports for each database, in the order of the names.
const FAMILIES: &[Family] = &[
    Family {
        name: "litestream_checkpoint_count",
        kind: "counter",
        help: "Checkpoints run",
        series: &[
            (PASSIVE, |row| row.checkpointed(CheckpointMode::Passive, |a| number(&a.count))),
            (TRUNCATE, |row| row.checkpointed(CheckpointMode::Truncate, |a| number(&a.count))),
        ],
    },
    Family {
        name: "litestream_checkpoint_error_count",
        kind: "counter",
        help: "Checkpoints that failed",
        series: &[
            (PASSIVE, |row| row.checkpointed(CheckpointMode::Passive, |a| number(&a.errors))),
            (TRUNCATE, |row| row.checkpointed(CheckpointMode::Truncate, |a| number(&a.errors))),
        ],
    },
    Family {
        name: "litestream_checkpoint_seconds",
        kind: "counter",
        help: "Time spent in checkpoints, in seconds",
        series: &[
            (PASSIVE, |row| row.checkpointed(CheckpointMode::Passive, Activity::seconds)),
            (TRUNCATE, |row| row.checkpointed(CheckpointMode::Truncate, Activity::seconds)),
        ],
    },
    Family {
        name: "litestream_compaction_verify_error_count",
        kind: "counter",
        help: "Compactions whose check afterwards failed",
        series: &[("", |row| Some(number(&row.compaction_verify_errors)))],
    },
    Family {
        name: "litestream_db_size",
        kind: "gauge",
        help: "Size of the database, in bytes",
        series: &[("", |row| Some(number(&row.db_size)))],
    },
    Family {
        name: "litestream_disk_full",
        kind: "gauge",
        help: "1 while replication waits because the local disk is full",
        series: &[("", |row| Some(number(&row.disk_full)))],
    },
    Family {
        name: "litestream_l0_retention_files_total",
        kind: "gauge",
        help: "Local files of level 0, by what retention says of them",
        series: &[
            (",status=\"eligible\"", |row| Some(number(&row.l0_retention[0]))),
            (",status=\"not_compacted\"", |row| Some(number(&row.l0_retention[1]))),
            (",status=\"too_recent\"", |row| Some(number(&row.l0_retention[2]))),
        ],
    },
    Family {
        name: "litestream_lag_seconds",
        kind: "gauge",
        help: "For how long something that was copied has not been on the replica, in seconds",
        series: &[("", |row| Some(number(&row.lag_ms) / 1000.0))],
    },
    Family {
        name: "litestream_sync_count",
        kind: "counter",
        help: "Syncs from the WAL to local LTX files",
        series: &[("", |row| Some(number(&row.sync.count)))],
    },
    Family {
        name: "litestream_sync_error_count",
        kind: "counter",
        help: "Syncs that failed",
        series: &[("", |row| Some(number(&row.sync.errors)))],
    },
    Family {
        name: "litestream_sync_seconds",
        kind: "counter",
        help: "Time spent in syncs, in seconds",
        series: &[("", |row| Some(row.sync.seconds()))],
    },
    Family {
        name: "litestream_total_wal_bytes",
        kind: "counter",
        help: "Bytes taken from the WAL",
        series: &[("", |row| Some(number(&row.total_wal_bytes)))],
    },
    Family {
        name: "litestream_txid",
        kind: "gauge",
        help: "Newest transaction id",
        series: &[("", |row| Some(number(&row.txid)))],
    },
    Family {
        name: "litestream_wal_size",
        kind: "gauge",
        help: "End of what was synced from the WAL, in bytes",
        series: &[("", |row| Some(number(&row.wal_size)))],
    },
];

/// Prometheus' numbers are doubles.
fn number(cell: &AtomicU64) -> f64 {
    cell.load(Relaxed) as f64
}

/// The path as a label value: Prometheus' own escapes, and `\xNN` for bytes that are not UTF-8.
fn label_text(path: &[u8]) -> String {
    let mut label = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => label.push_str("\\\\"),
                '"' => label.push_str("\\\""),
                '\n' => label.push_str("\\n"),
                other => label.push(other),
            }
        }
        for byte in chunk.invalid() {
            write!(label, "\\\\x{byte:02x}").expect("a string takes everything");
        }
    }
    label
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::super::Metrics;
    use super::super::tests::text;
    use super::*;

    #[test]
    fn series_exist_from_the_start_and_checkpoints_from_the_first_one() {
        let metrics = Metrics::new();
        let db = metrics.database(Path::new("/srv/a.db"));
        let before = text(&metrics);
        assert!(before.contains("# TYPE litestream_sync_count counter\nlitestream_sync_count{db=\"/srv/a.db\"} 0\n"));
        assert!(!before.contains("litestream_checkpoint_count"));

        db.sync_failed(Duration::from_millis(1500));
        db.set_txid(Txid(7));
        db.checkpoint_succeeded(CheckpointMode::Passive, Duration::from_secs(1));
        db.set_l0_retention(L0Retention { eligible: 1, not_compacted: 2, too_recent: 3 });
        let after = text(&metrics);
        for line in [
            "litestream_sync_count{db=\"/srv/a.db\"} 1\n",
            "litestream_sync_error_count{db=\"/srv/a.db\"} 1\n",
            "litestream_sync_seconds{db=\"/srv/a.db\"} 1.5\n",
            "litestream_txid{db=\"/srv/a.db\"} 7\n",
            "litestream_checkpoint_count{db=\"/srv/a.db\",mode=\"PASSIVE\"} 1\n",
            "litestream_l0_retention_files_total{db=\"/srv/a.db\",status=\"too_recent\"} 3\n",
        ] {
            assert!(after.contains(line), "{line} is not in\n{after}");
        }
        assert!(!after.contains("TRUNCATE"));
    }

    #[test]
    fn the_last_handle_takes_the_series_along() {
        let metrics = Metrics::new();
        let first = metrics.database(Path::new("/srv/a.db"));
        let second = metrics.database(Path::new("/srv/a.db"));
        second.set_db_size(5);
        drop(second);
        assert!(text(&metrics).contains("litestream_db_size{db=\"/srv/a.db\"} 5\n"));
        drop(first);
        assert!(!text(&metrics).contains("a.db"));
    }

    #[test]
    fn where_only_some_have_series_the_sums_are_those_of_all() {
        let metrics = Metrics::new();
        let (one, other) = (metrics.database(Path::new("/srv/a.db")), metrics.database(Path::new("/srv/b.db")));
        for (db, size) in [(&one, 5), (&other, 7)] {
            db.set_db_size(size);
            db.set_lag(Duration::from_millis(size * 100));
            db.sync_failed(Duration::from_secs(1));
        }
        let mut out = Vec::new();
        metrics.render(&mut out, Series::Of(vec![one])).unwrap();
        let shown = String::from_utf8(out).unwrap();
        assert!(shown.contains("litestream_lag_seconds{db=\"/srv/a.db\"} 0.5\n") && !shown.contains("b.db"), "{shown}");
        for line in [
            "litestream_fleet_database_series 1\n",
            "litestream_fleet_db_size 12\n",
            "litestream_fleet_sync_error_count 2\n",
            "litestream_fleet_lagging_databases 2\n",
            "litestream_fleet_max_lag_seconds 0.7\n",
        ] {
            assert!(shown.contains(line), "{line} is not in\n{shown}");
        }
        drop(other);
        assert!(text(&metrics).contains("litestream_fleet_sync_error_count 2\n"), "a counter never falls");
    }

    #[test]
    fn a_foreign_name_is_escaped_and_does_not_end_the_page() {
        let metrics = Metrics::new();
        let _db = metrics.database(Path::new(OsStr::from_bytes(b"/srv/\xff\"\n\\.db")));
        assert!(text(&metrics).contains(r#"litestream_txid{db="/srv/\\xff\"\n\\.db"} 0"#));
    }

    #[test]
    fn a_row_takes_at_most_an_eighth_of_what_a_database_may_cost() {
        assert!(size_of::<Row>() <= 256, "{}", size_of::<Row>());
    }
}
