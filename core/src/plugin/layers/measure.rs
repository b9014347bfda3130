//! The outermost layer: counts, times and traces what the callers asked for, whatever happened below.
//!
//! A read or a list is one operation until its stream ends or is dropped; its time is the time somebody waited for it.

use std::time::Duration;

use futures::{Stream, StreamExt};
use litestream_sdk::{ErrorKind, Result, StorageError};
use tokio::time::Instant;

use crate::metrics::{Operation, OperationMetrics, ReplicaMetrics};

/// The series of one type of replica.
pub(in crate::plugin) struct Measure {
    replica_type: String,
    list: OperationMetrics,
    stat: OperationMetrics,
    get: OperationMetrics,
    put: OperationMetrics,
    delete: OperationMetrics,
}

impl Measure {
    pub fn new(metrics: &ReplicaMetrics, replica_type: &str) -> Measure {
        let series = |operation| metrics.operation(replica_type, operation);
        Measure {
            replica_type: replica_type.to_owned(),
            list: series(Operation::List),
            stat: series(Operation::Stat),
            get: series(Operation::Get),
            put: series(Operation::Put),
            delete: series(Operation::Delete),
        }
    }

    /// Begins one operation on `what`.
    pub fn begin(&self, operation: Operation, what: impl std::fmt::Display) -> Running {
        tracing::trace!(replica = self.replica_type, operation = operation.label(), %what, "store operation");
        let series = match operation {
            Operation::List => &self.list,
            Operation::Stat => &self.stat,
            Operation::Get => &self.get,
            Operation::Put => &self.put,
            Operation::Delete => &self.delete,
        };
        Running { series: series.clone(), operation, waited: Duration::ZERO }
    }
}

/// One operation under way. Counted when dropped.
pub(in crate::plugin) struct Running {
    series: OperationMetrics,
    operation: Operation,
    waited: Duration,
}

impl Running {
    /// Waits for a part of the operation.
    pub async fn wait<T>(&mut self, part: impl Future<Output = Result<T>>) -> Result<T> {
        let start = Instant::now();
        let result = part.await;
        self.waited += start.elapsed();
        if let Err(error) = &result {
            self.failed(error);
        }
        result
    }

    pub fn failed(&self, error: &StorageError) {
        tracing::trace!(operation = self.operation.label(), kind = error.kind.name(), %error, "store operation failed");
        self.series.failed(code(error));
    }

    pub fn moved(&self, bytes: u64) {
        self.series.moved(bytes);
    }

    /// The rest of the operation is this stream.
    pub fn stream<T: Send + 'static>(
        self,
        stream: impl Stream<Item = Result<T>> + Send + Unpin + 'static,
        bytes: fn(&T) -> u64,
    ) -> impl Stream<Item = Result<T>> + Send + 'static {
        futures::stream::unfold((stream, self), move |(mut stream, mut running)| async move {
            let item = running.wait(async { stream.next().await.transpose() }).await.transpose()?;
            if let Ok(item) = &item {
                running.moved(bytes(item));
            }
            Some((item, (stream, running)))
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let elapsed_ms = u64::try_from(self.waited.as_millis()).unwrap_or(u64::MAX);
        tracing::trace!(operation = self.operation.label(), elapsed_ms, "store operation ended");
        self.series.finished(self.waited);
    }
}

/// The label `code`: the store's own word if it looks like one, else the kind.
fn code(error: &StorageError) -> &str {
    let is_word =
        |text: &str| text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    if !error.code.is_empty() && is_word(&error.code) { &error.code } else { kind_name(error.kind) }
}

fn kind_name(kind: ErrorKind) -> &'static str {
    kind.name()
}
