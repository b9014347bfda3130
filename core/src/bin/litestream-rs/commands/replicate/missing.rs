//! `-restore-if-db-not-exists`: databases that are gone come back from their replicas before replication begins.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use litestream_core::config::{Config, DbEntry, Target};
use litestream_core::plugin::{Registry, Stores};
use litestream_core::restore::{Output, OutputRules, RestoreError, RestoreOptions, Target as RestoreTarget};
use litestream_sdk::DbPath;

use crate::replica::OpenReplica;

/// Restores every missing database of a `path` entry that wants it. `all` stands for the flag.
///
/// # Errors
/// The first restore that fails for another reason than that there is no backup.
pub async fn restore(config: &Config, registry: &Registry, stores: &Arc<Stores>, all: bool) -> anyhow::Result<()> {
    for entry in config.dbs.iter().filter(|entry| all || entry.restore_if_db_not_exists) {
        let Target::Path(path) = &entry.target else { continue };
        if path.exists() {
            tracing::info!(path = %path.display(), "database exists, skipping restore");
            continue;
        }
        tracing::info!(path = %path.display(), "attempting restore before replication");
        let restored = restore_one(entry, path, registry, stores).await;
        match restored {
            Ok(()) => tracing::info!(path = %path.display(), "restore completed"),
            Err(error) if is_nothing(&error) => {
                tracing::info!(path = %path.display(), "no backup found, starting fresh");
            }
            Err(error) => return Err(error).context(format!("restore failed: {}", path.display())),
        }
    }
    Ok(())
}

async fn restore_one(entry: &DbEntry, path: &Path, registry: &Registry, stores: &Arc<Stores>) -> anyhow::Result<()> {
    let replica = OpenReplica::open(&entry.replica, &DbPath::default(), registry, stores).await?;
    let Some(output) = Output::check(path, OutputRules::default())? else { return Ok(()) };
    replica.restore(RestoreTarget::Latest, &output, RestoreOptions::default(), &()).await?;
    Ok(())
}

fn is_nothing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<RestoreError>().is_some_and(RestoreError::is_nothing_to_restore)
}
