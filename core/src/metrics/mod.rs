//! The metrics of the process, under the reference's names; written to from everywhere, read by the metrics endpoint.
//!
//! Two kinds of families live here. Those with few series (replica operations, plugins, process) are `prometheus`
//! collectors. Those with one series for each database are rows of a compact table ([`database`]): a `prometheus` child
//! costs about 600 bytes, and thirteen of them for each of 100,000 databases would be most of a gigabyte.
//!
//! Serving the text over HTTP is the server's business.

pub mod database;
pub mod fleet;
pub mod plugin;
pub mod replica;

use std::io::{self, Write};
use std::path::Path;
use std::sync::OnceLock;

use prometheus::core::Collector;
use prometheus::{Encoder, Registry, TextEncoder};

pub use database::{CheckpointMode, DatabaseMetrics, L0Retention, Series};
pub use fleet::{FleetMetrics, FleetReading};
pub use plugin::{MetricKind, PluginMetrics};
pub use replica::{Operation, OperationMetrics, ReplicaMetrics};

/// All metrics of one process. Tests make their own; the program uses [`global`].
pub struct Metrics {
    registry: Registry,
    databases: database::Table,
    replicas: ReplicaMetrics,
    fleet: FleetMetrics,
}

/// The process's metrics.
pub fn global() -> &'static Metrics {
    static GLOBAL: OnceLock<Metrics> = OnceLock::new();
    GLOBAL.get_or_init(|| {
        let metrics = Metrics::new();
        #[cfg(target_os = "linux")]
        metrics.register(prometheus::process_collector::ProcessCollector::for_self());
        metrics
    })
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

impl Metrics {
    /// An empty set, without the process's own figures.
    pub fn new() -> Metrics {
        let registry = Registry::new();
        let (replicas, fleet) = (ReplicaMetrics::new(), FleetMetrics::new());
        for family in replicas.families().into_iter().chain(fleet.families()) {
            registry.register(family).expect("the names of the families differ");
        }
        Metrics { registry, databases: database::Table::default(), replicas, fleet }
    }

    /// The series of one database, made with value 0 at the first call. They leave the output when the last handle of
    /// that database is dropped.
    pub fn database(&self, path: &Path) -> DatabaseMetrics {
        self.databases.row(path)
    }

    /// `litestream_replica_operation_*`.
    pub fn replicas(&self) -> &ReplicaMetrics {
        &self.replicas
    }

    /// `litestream_fleet_*` and `litestream_memory_budget_*`.
    pub fn fleet(&self) -> &FleetMetrics {
        &self.fleet
    }

    /// The metrics that one plugin counts itself, under `litestream_plugin_<name>_`.
    pub fn plugin(&self, name: &str) -> PluginMetrics {
        PluginMetrics::new(name, self.registry.clone())
    }

    /// Adds a family of another module.
    ///
    /// # Panics
    ///
    /// When a family of that name exists: a mistake of the program that its first start shows.
    pub fn register(&self, family: impl Collector + 'static) {
        self.registry.register(Box::new(family)).expect("each family is registered once, under a name of its own");
    }

    /// Writes everything in Prometheus' text format, one series after another, so that the memory taken does not grow
    /// with the number of databases.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn render(&self, out: &mut dyn Write, series: Series) -> io::Result<()> {
        self.databases.render(out, series)?;
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text).map_err(io::Error::other)?;
        out.write_all(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn text(metrics: &Metrics) -> String {
        let mut out = Vec::new();
        metrics.render(&mut out, Series::All).expect("a vector takes everything");
        String::from_utf8(out).expect("the text format is UTF-8")
    }

    #[test]
    fn a_family_of_another_module_appears() {
        let metrics = Metrics::new();
        let hot = prometheus::IntGauge::new("litestream_hot_databases", "Databases attached now").unwrap();
        hot.set(3);
        metrics.register(hot);
        assert!(text(&metrics).contains("litestream_hot_databases 3\n"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_global_set_has_the_process_figures() {
        assert!(text(global()).contains("process_open_fds "));
    }
}
