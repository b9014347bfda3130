//! `-once`: every database is synced, and each that was not is named.

use litestream_core::fleet::{Fleet, OnceRequest, OnceResult};

use crate::signals::Signals;

/// Syncs all databases. A signal ends the waiting.
///
/// # Errors
/// What was not replicated, and why: of one database in the reference's words, of several a line for each.
pub async fn run(fleet: &Fleet, request: OnceRequest, signals: &mut Signals) -> anyhow::Result<()> {
    let results = tokio::select! {
        results = fleet.once(request) => results,
        received = signals.next() => {
            tracing::info!(signal = received.as_str(), "signal received, litestream shutting down");
            anyhow::bail!("interrupted before every database was replicated");
        }
    };
    let failed: Vec<String> = results.iter().filter_map(failure).collect();
    for result in results.iter().filter(|result| result.result.is_ok()) {
        tracing::debug!(path = %result.path.display(), "database replicated");
    }
    if failed.is_empty() {
        tracing::info!(databases = results.len(), "one-shot replication complete");
    }
    tracing::info!("replication complete, litestream shutting down");
    match failed.as_slice() {
        [] => Ok(()),
        [one] => anyhow::bail!("{one}"),
        several => {
            let count = format!("{} of {} databases were not replicated:", several.len(), results.len());
            anyhow::bail!("{count}\n  {}", several.join("\n  "))
        }
    }
}

/// What went wrong with a database, in words. The fleet has logged its own errors; that a file is missing is none to it.
fn failure(result: &OnceResult) -> Option<String> {
    let path = result.path.display().to_string();
    match &result.result {
        Ok(synced) if synced.txid.is_some() => None,
        Ok(_) => {
            let db = result.path.file_name().unwrap_or_default().to_string_lossy();
            tracing::error!(%db, path, error = "no position, waiting for data", "sync error");
            Some(format!("sync replica for {path}: no position, waiting for data"))
        }
        Err(error) if error.contains(&path) => Some(error.clone()),
        Err(error) => Some(format!("sync replica for {path}: {error}")),
    }
}
