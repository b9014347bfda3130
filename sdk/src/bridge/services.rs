//! The host's log and metrics over the boundary.

use crate::context::{HostServices, LogLevel, MetricKind};
use litestream_sdk_abi::abi_stable::std_types::{RSlice, RStr};
use litestream_sdk_abi::host::HostFunctions;
use litestream_sdk_abi::{HostApi, Pair};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

impl LogLevel {
    fn from_number(level: u8) -> Self {
        match level {
            0 | 1 => Self::Error,
            2 => Self::Warn,
            3 => Self::Info,
            4 => Self::Debug,
            _ => Self::Trace,
        }
    }
}

impl MetricKind {
    fn from_number(kind: u8) -> Option<Self> {
        Some(match kind {
            0 => Self::Counter,
            1 => Self::Gauge,
            2 => Self::Histogram,
            _ => return None, // a kind of a later day
        })
    }
}

/// The plugin's view: calls go to the host.
pub(crate) struct RemoteHost(pub(crate) HostApi);

fn pairs(pairs: &[(&str, &str)]) -> Vec<Pair> {
    pairs.iter().map(|(key, value)| Pair { key: (*key).into(), value: (*value).into() }).collect()
}

impl HostServices for RemoteHost {
    fn enabled(&self, level: LogLevel, target: &str) -> bool {
        self.0.enabled(level as u8, target)
    }

    fn log(&self, level: LogLevel, target: &str, message: &str, fields: &[(&str, &str)]) {
        self.0.log(level as u8, target, message, &pairs(fields));
    }

    fn metric(&self, kind: MetricKind, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.metric(kind as u8, name, &pairs(labels), value);
    }
}

/// The host's half: lends `services` for the life of the process, because a loaded library is never unloaded and may
/// log from any thread until the end.
pub(super) fn lend(services: Arc<dyn HostServices>, version: &str, workers: u32, blocking: u32) -> HostApi {
    let version: &'static str = Box::leak(version.to_owned().into_boxed_str());
    let services: &'static Arc<dyn HostServices> = Box::leak(Box::new(services));
    let data = std::ptr::from_ref(services).cast();
    let functions = HostFunctions { enabled, log, metric };
    // SAFETY: `data` is a leaked `Arc<dyn HostServices>`, which is `Send + Sync`, as each function expects.
    unsafe { HostApi::new(data, RStr::from_str(version), workers, blocking, functions) }
}

/// # Safety
/// `data` is the one of [`lend`].
unsafe fn services(data: *const ()) -> &'static dyn HostServices {
    // SAFETY: promised by the caller; the value is leaked, so it lives for ever.
    unsafe { &**data.cast::<Arc<dyn HostServices>>() }
}

unsafe extern "C" fn enabled(data: *const (), level: u8, target: RStr<'_>) -> u8 {
    // SAFETY: called with the data of `lend`.
    let services = unsafe { services(data) };
    let asked = catch_unwind(AssertUnwindSafe(|| services.enabled(LogLevel::from_number(level), target.as_str())));
    u8::from(asked.unwrap_or(false))
}

unsafe extern "C" fn log(data: *const (), level: u8, target: RStr<'_>, message: RStr<'_>, fields: RSlice<'_, Pair>) {
    // SAFETY: called with the data of `lend`.
    let services = unsafe { services(data) };
    let fields = borrowed(&fields);
    let level = LogLevel::from_number(level);
    let _ = catch_unwind(AssertUnwindSafe(|| services.log(level, target.as_str(), message.as_str(), &fields)));
}

unsafe extern "C" fn metric(data: *const (), kind: u8, name: RStr<'_>, labels: RSlice<'_, Pair>, value: f64) {
    let Some(kind) = MetricKind::from_number(kind) else { return };
    // SAFETY: called with the data of `lend`.
    let services = unsafe { services(data) };
    let labels = borrowed(&labels);
    let _ = catch_unwind(AssertUnwindSafe(|| services.metric(kind, name.as_str(), &labels, value)));
}

fn borrowed<'a>(pairs: &'a RSlice<'_, Pair>) -> Vec<(&'a str, &'a str)> {
    pairs.iter().map(|pair| (pair.key.as_str(), pair.value.as_str())).collect()
}
