//! What the host lends to a plugin: its log and its metrics.

use crate::values::Pair;
use abi_stable::StableAbi;
use abi_stable::std_types::{RSlice, RStr};
use std::fmt;

/// Valid for the life of the process, callable from any thread.
///
/// Levels: 1 error, 2 warn, 3 info, 4 debug, 5 trace. Metric kinds: 0 counter, 1 gauge, 2 histogram.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct HostApi {
    data: *const (),
    host_version: RStr<'static>,
    worker_threads: u32,
    blocking_threads: u32,
    enabled: unsafe extern "C" fn(data: *const (), level: u8, target: RStr<'_>) -> u8,
    log:
        unsafe extern "C" fn(data: *const (), level: u8, target: RStr<'_>, message: RStr<'_>, fields: RSlice<'_, Pair>),
    metric: unsafe extern "C" fn(data: *const (), kind: u8, name: RStr<'_>, labels: RSlice<'_, Pair>, value: f64),
}

// SAFETY: `HostApi::new` makes its caller promise that `data` may be used from any thread.
unsafe impl Send for HostApi {}
// SAFETY: as above.
unsafe impl Sync for HostApi {}

/// The functions of a [`HostApi`]. All get its `data` first; none may unwind.
#[derive(Clone, Copy)]
pub struct HostFunctions {
    /// Whether a line of this level would be kept: 0 or 1.
    pub enabled: unsafe extern "C" fn(*const (), u8, RStr<'_>) -> u8,
    /// Takes one line.
    pub log: unsafe extern "C" fn(*const (), u8, RStr<'_>, RStr<'_>, RSlice<'_, Pair>),
    /// Takes one value.
    pub metric: unsafe extern "C" fn(*const (), u8, RStr<'_>, RSlice<'_, Pair>, f64),
}

impl HostApi {
    /// `worker_threads` and `blocking_threads` size the plugin's own runtime.
    ///
    /// # Safety
    /// `data` must suit the functions, stay valid for the life of the process, and be usable from any thread.
    pub unsafe fn new(
        data: *const (),
        host_version: RStr<'static>,
        worker_threads: u32,
        blocking_threads: u32,
        functions: HostFunctions,
    ) -> Self {
        let HostFunctions { enabled, log, metric } = functions;
        Self { data, host_version, worker_threads, blocking_threads, enabled, log, metric }
    }

    /// The host's version, for the log.
    pub fn host_version(&self) -> RStr<'static> {
        self.host_version
    }

    /// Threads that drive the plugin's sockets and timers.
    pub fn worker_threads(&self) -> u32 {
        self.worker_threads
    }

    /// Threads for the plugin's blocking work.
    pub fn blocking_threads(&self) -> u32 {
        self.blocking_threads
    }

    /// Whether a line of this level would be kept.
    pub fn enabled(&self, level: u8, target: &str) -> bool {
        // SAFETY: promised to `HostApi::new`.
        unsafe { (self.enabled)(self.data, level, target.into()) != 0 }
    }

    /// Gives one line to the host.
    pub fn log(&self, level: u8, target: &str, message: &str, fields: &[Pair]) {
        // SAFETY: promised to `HostApi::new`.
        unsafe { (self.log)(self.data, level, target.into(), message.into(), fields.into()) }
    }

    /// Gives one value to the host.
    pub fn metric(&self, kind: u8, name: &str, labels: &[Pair], value: f64) {
        // SAFETY: promised to `HostApi::new`.
        unsafe { (self.metric)(self.data, kind, name.into(), labels.into(), value) }
    }
}

impl fmt::Debug for HostApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostApi").field("host_version", &self.host_version).finish_non_exhaustive()
    }
}
