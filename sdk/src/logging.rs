//! `tracing` and `log` events, and panics, of a plugin library to its host's log.
//!
//! Each library has its own copy of these crates, so what is installed here is the library's alone. Whether the host
//! would keep a line is asked before anything is formatted.

use crate::bridge::RemoteHost;
use crate::context::{HostServices, LogLevel};
use bytes::Bytes;
use litestream_sdk_abi::HostApi;
use std::cell::Cell;
use std::fmt::{self, Write};
use std::sync::{Arc, Once};
use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;

/// Installs all three, once for each library. A plugin that has installed something of its own keeps it.
pub(crate) fn install(host: HostApi) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let host: Arc<dyn HostServices> = Arc::new(RemoteHost(host));
        let _ = tracing::subscriber::set_global_default(Registry::default().with(HostLayer(host.clone())));
        if log::set_boxed_logger(Box::new(HostLogger(host.clone()))).is_ok() {
            log::set_max_level(log::LevelFilter::Trace); // the host is asked for each line
        }
        report_panics(host);
    });
}

/// One line through each way that leads to the host. For tests of a loaded library.
pub(crate) fn self_test(text: &str) -> Bytes {
    tracing::info!(target: "sdk::self_test", through = "tracing", "{text}");
    log::info!(target: "sdk::self_test", "{text}");
    Bytes::new()
}

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` unless this thread is already giving a line to the host: what the host does with a line must not come
/// back as another line.
fn once_deep<T>(work: impl FnOnce() -> T) -> Option<T> {
    if INSIDE.replace(true) {
        return None;
    }
    let done = work();
    INSIDE.set(false);
    Some(done)
}

struct HostLayer(Arc<dyn HostServices>);

fn tracing_level(level: tracing::Level) -> LogLevel {
    match level {
        tracing::Level::ERROR => LogLevel::Error,
        tracing::Level::WARN => LogLevel::Warn,
        tracing::Level::INFO => LogLevel::Info,
        tracing::Level::DEBUG => LogLevel::Debug,
        tracing::Level::TRACE => LogLevel::Trace,
    }
}

impl<S: Subscriber> Layer<S> for HostLayer {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes() // the host may change its level at any time
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        once_deep(|| self.0.enabled(tracing_level(*metadata.level()), metadata.target())).unwrap_or(false)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        let fields: Vec<(&str, &str)> = line.fields.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let metadata = event.metadata();
        let level = tracing_level(*metadata.level());
        once_deep(|| self.0.log(level, metadata.target(), &line.message, &fields));
    }
}

/// One event as text.
#[derive(Default)]
struct Line {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // Writing to a `String` fails only if the value's own `Debug` does; what it wrote is kept.
        let _ = write!(text, "{value:?}");
        match field.name() {
            "message" => self.message = text,
            name => self.fields.push((name, text)),
        }
    }
}

struct HostLogger(Arc<dyn HostServices>);

fn log_level(level: log::Level) -> LogLevel {
    match level {
        log::Level::Error => LogLevel::Error,
        log::Level::Warn => LogLevel::Warn,
        log::Level::Info => LogLevel::Info,
        log::Level::Debug => LogLevel::Debug,
        log::Level::Trace => LogLevel::Trace,
    }
}

impl log::Log for HostLogger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        once_deep(|| self.0.enabled(log_level(metadata.level()), metadata.target())).unwrap_or(false)
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let text = record.args().to_string();
            once_deep(|| self.0.log(log_level(record.level()), record.target(), &text, &[]));
        }
    }

    fn flush(&self) {}
}

/// The default hook would print on the host's standard error. The panic itself becomes an error of its call.
fn report_panics(host: Arc<dyn HostServices>) {
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed").to_owned();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text");
        let fields = [("thread", thread.as_str()), ("location", place.as_str())];
        once_deep(|| host.log(LogLevel::Error, "panic", &format!("panic in the plugin: {text}"), &fields));
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    type Heard = (LogLevel, String, String, Vec<(String, String)>);

    /// Keeps what it hears from level INFO up, and logs about it, as a real host does.
    #[derive(Default)]
    struct Host(Mutex<Vec<Heard>>);

    impl HostServices for Host {
        fn enabled(&self, level: LogLevel, _: &str) -> bool {
            level <= LogLevel::Info
        }

        fn log(&self, level: LogLevel, target: &str, message: &str, fields: &[(&str, &str)]) {
            tracing::error!("a line of the host's own");
            let fields = fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
            self.0.lock().unwrap().push((level, target.into(), message.into(), fields));
        }

        fn metric(&self, _: crate::MetricKind, _: &str, _: &[(&str, &str)], _: f64) {}
    }

    #[test]
    fn events_reach_the_host_with_their_fields() {
        let host = Arc::new(Host::default());
        let subscriber = Registry::default().with(HostLayer(host.clone()));
        tracing::subscriber::with_default(subscriber, || {
            let lazy = |_| -> i32 { panic!("formatted although nobody listens") };
            tracing::debug!(target: "client", value = lazy(0), "not wanted");
            tracing::warn!(target: "client", bucket = "b", tries = 2, "slow {}", "answer");
        });
        let heard = host.0.lock().unwrap().clone();
        let fields = vec![("bucket".to_owned(), "b".to_owned()), ("tries".to_owned(), "2".to_owned())];
        assert_eq!(heard, [(LogLevel::Warn, "client".into(), "slow answer".into(), fields)]);
    }

    #[test]
    fn log_records_reach_the_host() {
        use log::Log;
        let host = Arc::new(Host::default());
        let logger = HostLogger(host.clone());
        let record = |level| log::Record::builder().level(level).target("ssh").args(format_args!("hello")).build();
        logger.log(&record(log::Level::Debug));
        logger.log(&record(log::Level::Error));
        let heard = host.0.lock().unwrap().clone();
        assert_eq!(heard, [(LogLevel::Error, "ssh".into(), "hello".into(), vec![])]);
    }
}
