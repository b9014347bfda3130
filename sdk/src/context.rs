//! What a plugin gets with `open`: its runtime, the host's log and metrics, and a place for cleaning that must outlive a
//! cancelled call.

use crate::error::{ErrorKind, Result, StorageError};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// How important a log line is. The numbers cross the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum LogLevel {
    /// An operator must act.
    Error = 1,
    /// Something went wrong and was put right.
    Warn = 2,
    /// Lifecycle.
    Info = 3,
    /// For the developer of the plugin.
    Debug = 4,
    /// Every step.
    Trace = 5,
}

/// What a measured value means. The numbers cross the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MetricKind {
    /// Added up.
    Counter = 0,
    /// The newest value counts.
    Gauge = 1,
    /// One observation of many.
    Histogram = 2,
}

/// The host's log and metrics. Implemented by the host; a plugin reaches it through [`Context`], `tracing` and `log`.
///
/// Called from any thread, also while a panic unwinds. Must not block for long and must not call the plugin.
pub trait HostServices: Send + Sync + 'static {
    /// Whether a line of this level would be kept. Asked before anything is formatted.
    fn enabled(&self, level: LogLevel, target: &str) -> bool;

    /// Takes one line with its fields.
    fn log(&self, level: LogLevel, target: &str, message: &str, fields: &[(&str, &str)]);

    /// Takes one value. The host prefixes the name with `litestream_plugin_<plugin>_`.
    fn metric(&self, kind: MetricKind, name: &str, labels: &[(&str, &str)], value: f64);
}

/// Listens to nothing: for tests and measurements, and for programs that link a plugin's code directly.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHost;

impl HostServices for NoHost {
    fn enabled(&self, _: LogLevel, _: &str) -> bool {
        false
    }
    fn log(&self, _: LogLevel, _: &str, _: &str, _: &[(&str, &str)]) {}
    fn metric(&self, _: MetricKind, _: &str, _: &[(&str, &str)], _: f64) {}
}

/// What a plugin gets with `open`. Cheap to clone; keep it in the store.
#[derive(Clone)]
pub struct Context {
    services: Arc<dyn HostServices>,
    runtime: Handle,
    /// Cleaning that was started and may still run; `close` waits for it.
    cleaning: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Context {
    /// For a store that runs on `runtime` and reports to `services`.
    pub fn new(runtime: Handle, services: Arc<dyn HostServices>) -> Self {
        Self { services, runtime, cleaning: Arc::default() }
    }

    /// For tests, and for programs that link a plugin's code directly: nothing is logged or counted.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn without_host() -> Self {
        Self::new(Handle::current(), Arc::new(NoHost))
    }

    /// The plugin's runtime, for `spawn`. Inside any call it is entered already: `tokio::spawn` and timers just work.
    pub fn handle(&self) -> &Handle {
        &self.runtime
    }

    /// Runs blocking code on the plugin's bounded pool of blocking threads.
    ///
    /// A cancelled call cannot stop it: keep each piece short, about one chunk.
    ///
    /// # Errors
    /// Its own; PLUGIN_PANIC if it panicked.
    pub async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        match self.runtime.spawn_blocking(work).await {
            Ok(result) => result,
            Err(stopped) if stopped.is_panic() => Err(StorageError::from_panic(&*stopped.into_panic())),
            Err(_) => Err(StorageError::new(ErrorKind::CANCELLED, "the plugin's runtime has stopped")),
        }
    }

    /// Registers cleaning that runs if the guard is dropped before [`OnDrop::disarm`]: the asynchronous half of
    /// cancellation. Register it *before* the step that needs it.
    ///
    /// ```
    /// # async fn upload(context: &litestream_sdk::Context) -> litestream_sdk::Result<()> {
    /// # async fn abort_upload() {} async fn send_parts() -> litestream_sdk::Result<()> { Ok(()) }
    /// let undo = context.on_drop(async { abort_upload().await });
    /// send_parts().await?; // an error, or a drop at this await, aborts the upload
    /// undo.disarm();
    /// # Ok(()) }
    /// ```
    pub fn on_drop(&self, cleaning: impl Future<Output = ()> + Send + 'static) -> OnDrop {
        OnDrop { context: self.clone(), cleaning: Some(Box::pin(cleaning)) }
    }

    /// Whether the host would keep a line of this level: ask before formatting something long.
    pub fn log_enabled(&self, level: LogLevel) -> bool {
        self.services.enabled(level, "plugin")
    }

    /// One line in the host's log. `tracing` and `log` macros arrive there as well.
    pub fn log(&self, level: LogLevel, message: impl AsRef<str>) {
        if self.log_enabled(level) {
            self.services.log(level, "plugin", message.as_ref(), &[]);
        }
    }

    /// Adds to a counter of the host, shown as `litestream_plugin_<plugin>_<name>`.
    pub fn counter(&self, name: &str, add: f64) {
        self.services.metric(MetricKind::Counter, name, &[], add);
    }

    /// Any metric of the host, with labels.
    pub fn metric(&self, kind: MetricKind, name: &str, labels: &[(&str, &str)], value: f64) {
        self.services.metric(kind, name, labels, value);
    }

    /// Waits for cleaning that dropped calls have started, at most `limit`. The SDK does it after `close`.
    pub async fn finish_cleaning(&self, limit: Duration) {
        let running = std::mem::take(&mut *self.cleaning.lock().unwrap_or_else(PoisonError::into_inner));
        // What is not done by then goes on by itself, as long as the process lives.
        let _ = tokio::time::timeout(limit, futures::future::join_all(running)).await;
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

/// Runs its cleaning when dropped, unless it was disarmed. See [`Context::on_drop`].
#[must_use = "dropping it at once runs the cleaning at once"]
pub struct OnDrop {
    context: Context,
    cleaning: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl OnDrop {
    /// The work succeeded: nothing needs cleaning.
    pub fn disarm(mut self) {
        self.cleaning = None;
    }
}

impl Drop for OnDrop {
    fn drop(&mut self) {
        let Some(cleaning) = self.cleaning.take() else { return };
        let mut running = self.context.cleaning.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|task| !task.is_finished());
        running.push(self.context.runtime.spawn(cleaning));
    }
}

impl fmt::Debug for OnDrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnDrop").field("armed", &self.cleaning.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn cleaning_runs_only_when_armed_and_close_waits_for_it() {
        let context = Context::without_host();
        let runs = Arc::new(AtomicU32::new(0));
        let guard = || {
            let runs = runs.clone();
            context.on_drop(async move {
                tokio::task::yield_now().await;
                runs.fetch_add(1, Ordering::SeqCst);
            })
        };
        guard().disarm();
        drop(guard());
        drop(guard());
        context.finish_cleaning(Duration::from_secs(10)).await;
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn blocking_work_gives_its_result_or_its_panic() {
        let context = Context::without_host();
        assert_eq!(context.blocking(|| Ok(7)).await, Ok(7));
        let error = context.blocking(|| -> Result<()> { panic!("boom {}", 1) }).await.unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::PLUGIN_PANIC, "panic in the plugin: boom 1"));
    }
}
