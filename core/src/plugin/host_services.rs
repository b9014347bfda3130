//! What the program lends to a plugin: its log and its metrics.

use litestream_sdk::context::MetricKind as SdkMetricKind;
use litestream_sdk::{HostServices, LogLevel};
use tracing::Level;

use crate::metrics::{self, MetricKind, PluginMetrics};

/// The services of one plugin. Lives as long as the process, as the plugin does.
pub(super) struct Services {
    plugin: String,
    metrics: PluginMetrics,
}

impl Services {
    pub fn new(plugin: &str) -> Services {
        Services { plugin: plugin.to_owned(), metrics: metrics::global().plugin(plugin) }
    }
}

/// The macros need the level as a constant.
macro_rules! at_level {
    ($level:expr, $act:ident) => {
        match $level {
            LogLevel::Error => $act!(Level::ERROR),
            LogLevel::Warn => $act!(Level::WARN),
            LogLevel::Info => $act!(Level::INFO),
            LogLevel::Debug => $act!(Level::DEBUG),
            LogLevel::Trace => $act!(Level::TRACE),
        }
    };
}

impl HostServices for Services {
    fn enabled(&self, level: LogLevel, _target: &str) -> bool {
        macro_rules! enabled {
            ($level:expr) => {
                tracing::enabled!($level)
            };
        }
        at_level!(level, enabled)
    }

    fn log(&self, level: LogLevel, target: &str, message: &str, fields: &[(&str, &str)]) {
        let detail = fields.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ");
        let detail = (!detail.is_empty()).then_some(detail);
        macro_rules! event {
            ($level:expr) => {
                tracing::event!($level, plugin = self.plugin, from = target, detail, "{message}")
            };
        }
        at_level!(level, event);
    }

    fn metric(&self, kind: SdkMetricKind, name: &str, labels: &[(&str, &str)], value: f64) {
        let kind = match kind {
            SdkMetricKind::Counter => MetricKind::Counter,
            SdkMetricKind::Gauge => MetricKind::Gauge,
            SdkMetricKind::Histogram => MetricKind::Histogram,
        };
        self.metrics.record(kind, name, labels, value);
    }
}
