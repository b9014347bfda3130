//! The one tokio runtime of the process.

use std::future::Future;
use std::time::Duration;

use anyhow::Context;

/// How long a thread for blocking work waits for more. Each keeps memory of what it did until it ends, and with a longer time
/// a few pieces of work each second keep alive as many threads as were ever busy at once.
const IDLE_THREAD_ENDS_AFTER: Duration = Duration::from_millis(500);

/// Runs a future to its end. Work that is still blocked somewhere then (a scan of a hung mount) does not delay the exit.
///
/// # Errors
/// Those of the future; no threads to be had.
pub fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().thread_name("async").thread_keep_alive(IDLE_THREAD_ENDS_AFTER);
    let runtime = builder.build().context("cannot start threads")?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}
