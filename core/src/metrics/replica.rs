//! `litestream_replica_operation_*`: what the stores were asked, how long it took, and what failed.
//!
//! Counted by the outermost layer of a store, so an operation is one whatever the number of tries inside it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts};

/// The label `operation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Operation {
    List,
    Stat,
    Get,
    Put,
    Delete,
}

impl Operation {
    /// The text of the label. `STAT` is ours: the reference has no such request.
    pub fn label(self) -> &'static str {
        match self {
            Operation::List => "LIST",
            Operation::Stat => "STAT",
            Operation::Get => "GET",
            Operation::Put => "PUT",
            Operation::Delete => "DELETE",
        }
    }
}

/// The upper bounds of the duration histogram, in seconds.
const BUCKETS: [f64; 9] = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0];

/// The four families.
pub struct ReplicaMetrics {
    total: IntCounterVec,
    bytes: IntCounterVec,
    seconds: HistogramVec,
    errors: IntCounterVec,
    handles: Mutex<HashMap<(String, Operation), OperationMetrics>>,
}

impl ReplicaMetrics {
    pub(super) fn new() -> ReplicaMetrics {
        let labels = &["replica_type", "operation"];
        let counter = |name: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name, help), labels).expect("the name and labels are well formed")
        };
        let seconds = HistogramOpts::new(
            "litestream_replica_operation_duration_seconds",
            "Time of operations on the replica's store, retries included, in seconds",
        );
        ReplicaMetrics {
            total: counter("litestream_replica_operation_total", "Operations on the replica's store", labels),
            bytes: counter("litestream_replica_operation_bytes", "Bytes moved by operations, in bytes", labels),
            seconds: HistogramVec::new(seconds.buckets(BUCKETS.to_vec()), labels).expect("the buckets ascend"),
            errors: counter(
                "litestream_replica_operation_errors_total",
                "Operations that failed, by the store's code or the kind of error",
                &["replica_type", "operation", "code"],
            ),
            handles: Mutex::default(),
        }
    }

    pub(super) fn families(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.total.clone()),
            Box::new(self.bytes.clone()),
            Box::new(self.seconds.clone()),
            Box::new(self.errors.clone()),
        ]
    }

    /// The series of one operation on one type of replica, made with value 0 at the first call.
    pub fn operation(&self, replica_type: &str, operation: Operation) -> OperationMetrics {
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        handles
            .entry((replica_type.to_owned(), operation))
            .or_insert_with(|| {
                let labels = &[replica_type, operation.label()];
                OperationMetrics {
                    replica_type: replica_type.into(),
                    operation,
                    total: self.total.with_label_values(labels),
                    bytes: self.bytes.with_label_values(labels),
                    seconds: self.seconds.with_label_values(labels),
                    errors: self.errors.clone(),
                }
            })
            .clone()
    }
}

/// Counts one operation on one type of replica.
#[derive(Clone)]
pub struct OperationMetrics {
    replica_type: std::sync::Arc<str>,
    operation: Operation,
    total: IntCounter,
    bytes: IntCounter,
    seconds: Histogram,
    errors: IntCounterVec,
}

impl OperationMetrics {
    /// One operation ended, well or not, after `took`.
    pub fn finished(&self, took: Duration) {
        self.total.inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// `bytes` were moved.
    pub fn moved(&self, bytes: u64) {
        self.bytes.inc_by(bytes);
    }

    /// The operation failed with this code. The codes are the stores' own words, of which there are few.
    pub fn failed(&self, code: &str) {
        self.errors.with_label_values(&[&self.replica_type, self.operation.label(), code]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::super::tests::text;
    use super::*;

    #[test]
    fn names_labels_and_buckets_are_the_references() {
        let metrics = Metrics::new();
        let put = metrics.replicas().operation("s3", Operation::Put);
        put.finished(Duration::from_millis(20));
        put.moved(4096);
        put.failed("SlowDown");
        let text = text(&metrics);
        for line in [
            "litestream_replica_operation_total{operation=\"PUT\",replica_type=\"s3\"} 1\n",
            "litestream_replica_operation_bytes{operation=\"PUT\",replica_type=\"s3\"} 4096\n",
            "litestream_replica_operation_errors_total{code=\"SlowDown\",operation=\"PUT\",replica_type=\"s3\"} 1\n",
            "litestream_replica_operation_duration_seconds_bucket{operation=\"PUT\",replica_type=\"s3\",le=\"0.01\"} 0\n",
            "litestream_replica_operation_duration_seconds_bucket{operation=\"PUT\",replica_type=\"s3\",le=\"0.05\"} 1\n",
            "litestream_replica_operation_duration_seconds_bucket{operation=\"PUT\",replica_type=\"s3\",le=\"60\"} 1\n",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
