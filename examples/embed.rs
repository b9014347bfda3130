//! The engine as a library: what a replica holds, how a restore of it would go, and the restore.
//!
//! ```text
//! cargo build
//! LITESTREAM_PLUGIN_DIR=target/debug cargo run -p litestream-core --example embed -- file:///srv/backups/app.db out.db
//! ```
//!
//! The steps are the program's own: a URL becomes a replica configuration, the registry finds its plugin, the plugin
//! judges the configuration, and the open replica is a source of LTX files that a plan chooses from.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use litestream_core::config::{self, Environment, LoadRequest, ResolveRequest, Source};
use litestream_core::fleet::{Destination, PluginDestination};
use litestream_core::plugin::{ByteBudget, Registry, SearchPath, Stores, Urgency};
use litestream_core::replica::ReplicaClient;
use litestream_core::restore::{self, IntegrityCheck, Output, OutputRules, RestoreOptions, Target};
use litestream_sdk::DbPath;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, output] = &arguments[..] else { anyhow::bail!("usage: embed REPLICA_URL OUTPUT") };

    let replica = open(url).await.with_context(|| format!("open {url}"))?;
    let files = restore::list(&replica, Target::Latest).await?;
    for file in &files {
        println!("level {}  {}  {:>9} bytes", file.level, file.file_name(), file.size);
    }
    let plan = restore::plan(&files, Target::Latest)?;
    println!("a restore reads {} of {} files, {} bytes", plan.files().len(), files.len(), plan.bytes());

    // Refuses to overwrite anything; the database appears in one step, complete and checked.
    let Some(place) = Output::check(Path::new(output), OutputRules::default())? else { return Ok(()) };
    let options = RestoreOptions { integrity: IntegrityCheck::Quick, ..RestoreOptions::default() };
    let restored = restore::restore(&replica, Target::Latest, plan, &place, options, &()).await?;
    println!("{output} stands at transaction {}", restored.txid);
    Ok(())
}

/// The replica of a single database behind a URL.
async fn open(url: &str) -> anyhow::Result<ReplicaClient> {
    let environment = Environment::of_process();
    let config = config::load(&LoadRequest::new(Source::None, environment.clone()))?.config;
    let plugin_dirs = environment.get("LITESTREAM_PLUGIN_DIR").map(AsRef::as_ref);
    let registry = Registry::discover(&SearchPath::of_this_program(&[], plugin_dirs));
    let mut replica = config::replica_from_url(url)?;
    config.resolve_replica(&mut replica, &registry, ResolveRequest { environment: &environment, lenient: false })?;

    let stores = Arc::new(Stores::new(ByteBudget::new(config.memory_budget_bytes), None));
    let destination = PluginDestination::of(&replica, &registry, &stores)?;
    let path = destination.resolve(&DbPath::default())?;
    let store = destination.store().await?;
    let hex_known = destination.hex_layout();
    Ok(ReplicaClient::detect(store, path, replica.layout, hex_known, Urgency::Interactive).await?)
}
