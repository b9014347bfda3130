//! What plugins count themselves: `litestream_plugin_<name>_<metric>`.
//!
//! A plugin is somebody else's code, so nothing it sends can fail here: names are made legal, and the number of
//! families and series is limited. What does not fit is dropped, and said once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{CounterVec, GaugeVec, HistogramOpts, HistogramVec, Opts, Registry};

/// Families one plugin may have.
const MAX_FAMILIES: usize = 100;
/// Series one plugin may have, over all families: each costs a kilobyte or so, and a label might hold an object's name.
const MAX_SERIES: usize = 1000;

/// What a plugin's number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Add the value.
    Counter,
    /// The value is the new state.
    Gauge,
    /// One observation.
    Histogram,
}

enum Family {
    Counter(CounterVec),
    Gauge(GaugeVec),
    Histogram(HistogramVec),
}

struct Known {
    labels: Vec<String>,
    family: Family,
    series: std::collections::HashSet<Vec<String>>,
}

/// The metrics of one plugin.
#[derive(Clone)]
pub struct PluginMetrics {
    inner: Arc<Inner>,
}

struct Inner {
    plugin: String,
    registry: Registry,
    families: Mutex<HashMap<String, Known>>,
    complained: AtomicBool,
}

impl PluginMetrics {
    pub(super) fn new(plugin: &str, registry: Registry) -> PluginMetrics {
        let inner = Inner {
            plugin: plugin.to_owned(),
            registry,
            families: Mutex::default(),
            complained: AtomicBool::new(false),
        };
        PluginMetrics { inner: Arc::new(inner) }
    }

    /// Takes one number from the plugin.
    pub fn record(&self, kind: MetricKind, name: &str, labels: &[(&str, &str)], value: f64) {
        if let Err(reason) = self.inner.record(kind, name, labels, value)
            && !self.inner.complained.swap(true, Relaxed)
        {
            tracing::warn!(plugin = self.inner.plugin, metric = name, reason, "a metric of the plugin is not kept");
        }
    }
}

impl Inner {
    fn record(&self, kind: MetricKind, name: &str, labels: &[(&str, &str)], value: f64) -> Result<(), &'static str> {
        let mut labels = labels.to_vec();
        labels.sort_unstable();
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        if !families.contains_key(name) {
            if families.len() >= MAX_FAMILIES {
                return Err("too many metrics");
            }
            let known = self.register(kind, name, &labels)?;
            families.insert(name.to_owned(), known);
        }
        let series: usize = families.values().map(|known| known.series.len()).sum();
        let Some(known) = families.get_mut(name) else { return Err("unknown metric") };
        if known.labels.len() != labels.len() || known.labels.iter().zip(&labels).any(|(name, label)| name != label.0) {
            return Err("its labels differ from those of its first use");
        }
        let values: Vec<&str> = labels.iter().map(|label| label.1).collect();
        let key: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        if !known.series.contains(&key) {
            if series >= MAX_SERIES {
                return Err("too many series");
            }
            known.series.insert(key);
        }
        match (&known.family, kind) {
            // A counter only grows, and the library panics on anything else.
            (Family::Counter(_), MetricKind::Counter) if !(value.is_finite() && value >= 0.0) => {
                return Err("a counter cannot go down");
            }
            (Family::Counter(family), MetricKind::Counter) => family.with_label_values(&values).inc_by(value),
            (Family::Gauge(family), MetricKind::Gauge) => family.with_label_values(&values).set(value),
            (Family::Histogram(family), MetricKind::Histogram) => family.with_label_values(&values).observe(value),
            _ => return Err("its kind differs from that of its first use"),
        }
        Ok(())
    }

    fn register(&self, kind: MetricKind, name: &str, labels: &[(&str, &str)]) -> Result<Known, &'static str> {
        let full_name = format!("litestream_plugin_{}_{}", legal(&self.plugin), legal(name));
        let help = format!("Counted by the plugin {}", self.plugin);
        let names: Vec<&str> = labels.iter().map(|label| label.0).collect();
        let refused = |_| "its name or labels are not usable";
        let family = match kind {
            MetricKind::Counter => {
                Family::Counter(CounterVec::new(Opts::new(full_name, help), &names).map_err(refused)?)
            }
            MetricKind::Gauge => Family::Gauge(GaugeVec::new(Opts::new(full_name, help), &names).map_err(refused)?),
            MetricKind::Histogram => {
                Family::Histogram(HistogramVec::new(HistogramOpts::new(full_name, help), &names).map_err(refused)?)
            }
        };
        match &family {
            Family::Counter(family) => self.registry.register(Box::new(family.clone())),
            Family::Gauge(family) => self.registry.register(Box::new(family.clone())),
            Family::Histogram(family) => self.registry.register(Box::new(family.clone())),
        }
        .map_err(refused)?;
        Ok(Known { labels: names.iter().map(|name| (*name).to_owned()).collect(), family, series: Default::default() })
    }
}

/// A metric name holds letters, digits and `_`.
fn legal(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::super::tests::text;
    use super::*;

    #[test]
    fn a_plugins_numbers_appear_under_its_name() {
        let metrics = Metrics::new();
        let plugin = metrics.plugin("my-kv");
        plugin.record(MetricKind::Counter, "part.uploads", &[("b", "2"), ("a", "1")], 2.0);
        plugin.record(MetricKind::Counter, "part.uploads", &[("a", "1"), ("b", "2")], 1.0);
        plugin.record(MetricKind::Gauge, "connections", &[], 4.0);
        let text = text(&metrics);
        assert!(text.contains("litestream_plugin_my_kv_part_uploads{a=\"1\",b=\"2\"} 3\n"), "{text}");
        assert!(text.contains("litestream_plugin_my_kv_connections 4\n"), "{text}");
    }

    #[test]
    fn nonsense_is_dropped_and_harms_nothing() {
        let metrics = Metrics::new();
        let plugin = metrics.plugin("kv");
        plugin.record(MetricKind::Counter, "n", &[], 1.0);
        plugin.record(MetricKind::Counter, "n", &[], -5.0);
        plugin.record(MetricKind::Counter, "n", &[], f64::NAN);
        plugin.record(MetricKind::Gauge, "n", &[], 9.0);
        plugin.record(MetricKind::Counter, "n", &[("late", "label")], 1.0);
        plugin.record(MetricKind::Counter, "bad label", &[("not a label!", "")], 1.0);
        assert!(text(&metrics).contains("litestream_plugin_kv_n 1\n"));
        assert!(!text(&metrics).contains("late"));
    }

    #[test]
    fn series_without_end_are_cut_off() {
        let metrics = Metrics::new();
        let plugin = metrics.plugin("kv");
        for key in 0..MAX_SERIES + 500 {
            plugin.record(MetricKind::Counter, "n", &[("key", &key.to_string())], 1.0);
        }
        assert_eq!(text(&metrics).matches("litestream_plugin_kv_n{").count(), MAX_SERIES);
    }
}
