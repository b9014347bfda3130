//! The one tokio runtime of the process.

use std::future::Future;

use anyhow::Context;

/// Runs a future to its end. Work that is still blocked somewhere then (a scan of a hung mount) does not delay the exit.
///
/// # Errors
/// Those of the future; no threads to be had.
pub fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("async").build();
    let runtime = runtime.context("cannot start threads")?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}
