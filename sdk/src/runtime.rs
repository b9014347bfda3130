//! The one tokio runtime of a plugin library.
//!
//! A library links its own tokio and cannot see the host's. Its runtime is made at the first `open` and lives as long
//! as the process: libraries are never unloaded. Calls are polled by the host's threads with this runtime entered, so
//! its workers only drive sockets, timers and what the plugin spawns: one or two are enough.

use crate::error::{Result, StorageError};
use std::sync::{Mutex, PoisonError};
use tokio::runtime::{Builder, Handle, Runtime};

static RUNTIME: Mutex<Option<&'static Runtime>> = Mutex::new(None);

/// The library's runtime, made by the first call; later numbers change nothing.
///
/// # Errors
/// TRANSIENT if the system gives no threads.
pub(crate) fn of_library(plugin: &str, worker_threads: u32, blocking_threads: u32) -> Result<&'static Handle> {
    let mut runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = *runtime {
        return Ok(runtime.handle());
    }
    let made = Builder::new_multi_thread()
        .worker_threads(threads(worker_threads))
        .max_blocking_threads(threads(blocking_threads))
        .thread_name(format!("plug-{plugin}"))
        .enable_all()
        .build();
    let made = made.map_err(|e| StorageError::transient("starting the plugin's threads").with_source(&e))?;
    Ok(runtime.insert(Box::leak(Box::new(made))).handle())
}

fn threads(wanted: u32) -> usize {
    wanted.clamp(1, 512) as usize
}
