//! Figures of the fleet as a whole: few series, however many databases there are.
//!
//! States and limits are set when somebody asks for the metrics; lag and locks are observed where they happen.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{Gauge, Histogram, HistogramOpts, IntGauge, IntGaugeVec, Opts};

/// From a commit that was copied to its file on the replica, in seconds.
const LAG_BUCKETS: [f64; 12] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// A write lock should be held for milliseconds.
const LOCK_BUCKETS: [f64; 8] = [0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0];

/// The families.
pub struct FleetMetrics {
    databases: IntGaugeVec,
    open: IntGauge,
    open_limit: IntGauge,
    budget: IntGauge,
    budget_used: IntGauge,
    discovery_bound: Gauge,
    lag: Histogram,
    write_lock: Histogram,
}

/// What is read when the metrics are asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FleetReading {
    /// Databases by state.
    pub databases: Vec<(&'static str, usize)>,
    /// Attached ones.
    pub open: usize,
    /// How many may be.
    pub open_limit: usize,
    /// Bytes of the memory budget.
    pub budget_bytes: u64,
    /// Those in use.
    pub budget_used_bytes: u64,
    /// The longest that a change can stay unseen if the system reports none.
    pub discovery_bound: Duration,
}

impl FleetMetrics {
    pub(super) fn new() -> FleetMetrics {
        let gauge = |name: &str, help: &str| IntGauge::new(name, help).expect("the name is well formed");
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec())).expect("the buckets ascend")
        };
        let databases =
            Opts::new("litestream_fleet_databases", "Databases by state; refused: found and not replicated");
        let bound = "The longest that a change stays unseen where the system reports none, in seconds";
        FleetMetrics {
            databases: IntGaugeVec::new(databases, &["state"]).expect("the name is well formed"),
            open: gauge("litestream_fleet_open_databases", "Databases that are held open"),
            open_limit: gauge("litestream_fleet_open_databases_limit", "Databases that may be held open at once"),
            budget: gauge("litestream_memory_budget_bytes", "Memory for data under way, in bytes"),
            budget_used: gauge("litestream_memory_budget_used_bytes", "Memory that data under way takes, in bytes"),
            discovery_bound: Gauge::new("litestream_fleet_discovery_bound_seconds", bound).expect("well formed"),
            lag: histogram(
                "litestream_fleet_lag_seconds",
                "Time from the copy of a commit to its file on the replica, in seconds",
                &LAG_BUCKETS,
            ),
            write_lock: histogram(
                "litestream_fleet_write_lock_seconds",
                "Time for which a database's write lock was held, in seconds",
                &LOCK_BUCKETS,
            ),
        }
    }

    pub(super) fn families(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.databases.clone()),
            Box::new(self.open.clone()),
            Box::new(self.open_limit.clone()),
            Box::new(self.budget.clone()),
            Box::new(self.budget_used.clone()),
            Box::new(self.discovery_bound.clone()),
            Box::new(self.lag.clone()),
            Box::new(self.write_lock.clone()),
        ]
    }

    /// A file of level 0 is on the replica, so long after it was copied.
    pub fn uploaded(&self, lag: Duration) {
        self.lag.observe(lag.as_secs_f64());
    }

    /// A write lock was held for so long.
    pub fn held_write_lock(&self, time: Duration) {
        self.write_lock.observe(time.as_secs_f64());
    }

    /// Sets what is true now.
    pub fn set(&self, reading: &FleetReading) {
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        for (state, count) in &reading.databases {
            self.databases.with_label_values(&[*state]).set(signed(*count as u64));
        }
        self.open.set(signed(reading.open as u64));
        self.open_limit.set(signed(reading.open_limit as u64));
        self.budget.set(signed(reading.budget_bytes));
        self.budget_used.set(signed(reading.budget_used_bytes));
        self.discovery_bound.set(reading.discovery_bound.as_secs_f64());
    }
}
