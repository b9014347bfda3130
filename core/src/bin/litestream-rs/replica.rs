//! The replica of one database, for commands that read it: named by a URL, or by a database of the configuration.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::StreamExt;
use litestream_core::config::{self, Config, Environment, LoadRequest, ReplicaConfig, ResolveRequest, Source};
use litestream_core::fleet::{Destination, PluginDestination};
use litestream_core::plugin::{ByteBudget, Registry, Stores, Urgency};
use litestream_core::replica::{Generations, ReplicaClient};
use litestream_core::restore::{self, Choice, Output, Progress, RestoreError, RestoreOptions, Restored, Target};
use litestream_sdk::{DbPath, Entry, ListMode, ListRequest};

use crate::args::Args;
use crate::commands::expand_path;
use crate::failure::UsageError;
use crate::inventory::{self, Listed};
use crate::setup::{self, CONFIG, LENIENT};

mod directory;

pub use directory::{Databases, OpenDirectory, choose_directory};

/// As many as a person reads in an error.
const NAMES_SHOWN: usize = 5;

/// Which replica is meant, after the arguments and the configuration were read.
pub struct Chosen {
    /// What the replica is called in messages: its URL without secrets, or the path of its database.
    pub name: String,
    /// The database's own path; `None` for a URL.
    pub database: Option<PathBuf>,
    config: Config,
    replica: ReplicaConfig,
    /// Where the database is below the replica.
    db: DbPath,
    environment: Environment,
}

/// Reads a `DB_PATH` or `REPLICA_URL` argument.
///
/// # Errors
/// A URL together with `-config`, a configuration that cannot be read, or a database that is not in it.
pub fn choose(args: &Args, argument: &OsStr) -> anyhow::Result<Chosen> {
    choose_from(args, argument, inventory::find)
}

/// As [`choose`]; a directory of the configuration is its replica's base.
///
/// # Errors
/// Those of [`choose`].
pub fn choose_place(args: &Args, argument: &OsStr) -> anyhow::Result<Chosen> {
    choose_from(args, argument, |config, path| {
        let directory = || inventory::directory(config, path);
        inventory::find(config, path).or_else(directory)
    })
}

fn choose_from(
    args: &Args,
    argument: &OsStr,
    find: impl for<'a> Fn(&'a Config, &Path) -> Option<Listed<'a>>,
) -> anyhow::Result<Chosen> {
    let environment = Environment::of_process();
    if let Some(url) = argument.to_str().filter(|text| config::is_url(text)) {
        if args.is_given(&CONFIG) {
            return Err(UsageError::new("cannot specify a replica URL and the -config flag"));
        }
        let replica = config::replica_from_url(url)?;
        let loaded = config::load(&LoadRequest::new(Source::None, environment.clone()))?;
        let name = replica.display_url().unwrap_or_default();
        return Ok(Chosen { name, database: None, config: loaded.config, replica, db: DbPath::default(), environment });
    }
    let path = expand_path(&environment, argument)?;
    let config = setup::load_for_report(args, &environment)?.config;
    let Some(listed) = find(&config, &path) else {
        let message = format!("database not found in config: {}", path.display());
        let is_entry = inventory::directory(&config, &path).is_some();
        let note = is_entry.then(|| {
            "that is a directory of databases: name one of them by its path, or restore all with -dir".to_owned()
        });
        return Err(UsageError::with_note(message, note));
    };
    let (name, db) = (path.display().to_string(), listed.relative.clone().unwrap_or_default());
    let replica = listed.entry.replica.clone();
    Ok(Chosen { name, database: Some(path), config, replica, db, environment })
}

impl Chosen {
    /// The configuration; without entries for a URL.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Loads the plugin and lets it judge the configuration. Opens nothing.
    ///
    /// # Errors
    /// No plugin, or a configuration it refuses.
    pub fn destination(mut self, args: &Args) -> anyhow::Result<PluginDestination> {
        let registry = self.complete(args)?;
        let stores = Arc::new(Stores::new(ByteBudget::new(self.config.memory_budget_bytes), None));
        Ok(PluginDestination::of(&self.replica, &registry, &stores)?)
    }

    /// Fills in what the plugin declares.
    fn complete(&mut self, args: &Args) -> anyhow::Result<Registry> {
        let registry = setup::plugins(args, Some(&self.config), &self.environment);
        let request = ResolveRequest { environment: &self.environment, lenient: args.switch(&LENIENT) };
        setup::warn_on_stderr(&self.config.resolve_replica(&mut self.replica, &registry, request)?);
        Ok(registry)
    }

    /// Loads the plugin, lets it judge the configuration, and opens the store.
    ///
    /// # Errors
    /// No plugin, a configuration it refuses, or a store that cannot be reached.
    pub async fn open(mut self, args: &Args) -> anyhow::Result<OpenReplica> {
        let registry = self.complete(args)?;
        let stores = Arc::new(Stores::new(ByteBudget::new(self.config.memory_budget_bytes), None));
        OpenReplica::open(&self.replica, &self.db, &registry, &stores).await
    }
}

/// A replica that can be read.
pub struct OpenReplica {
    /// Its files.
    pub client: ReplicaClient,
    /// Files of Litestream 0.3 in the same place.
    old: Generations,
    /// `s3`, `file`.
    pub kind: String,
}

impl OpenReplica {
    /// Opens the place of one database in a replica that [`Config::resolve_replica`] completed.
    ///
    /// # Errors
    /// A configuration the plugin refuses, a database it has no place for, a store that cannot be reached.
    pub async fn open(
        replica: &ReplicaConfig,
        db: &DbPath,
        registry: &Registry,
        stores: &Arc<Stores>,
    ) -> anyhow::Result<OpenReplica> {
        let destination = PluginDestination::of(replica, registry, stores)?;
        let path = destination.resolve(db)?;
        let store = destination.store().await?;
        let hex_known = destination.hex_layout();
        let client = ReplicaClient::detect(store, path, replica.layout, hex_known, Urgency::Interactive).await?;
        let old = Generations::new(Arc::clone(client.store()), client.path().clone(), Urgency::Interactive);
        Ok(OpenReplica { client, old, kind: destination.kind().to_owned() })
    }

    /// Names directly below the replica that are not its own, a few of them: where a path was cut short, one of these goes on.
    ///
    /// # Errors
    /// Those of listing.
    pub async fn names_below(&self) -> anyhow::Result<Vec<String>> {
        let request = ListRequest::below(self.client.path().clone()).with_mode(ListMode::Shallow);
        let mut pages = self.client.store().list(request, Urgency::Interactive).await?;
        let Some(page) = pages.next().await else { return Ok(Vec::new()) };
        let name = |entry: &Entry| match entry {
            Entry::Dir(path) => path.segments().next_back().map(|name| String::from_utf8_lossy(name).into_owned()),
            Entry::Object(_) => None,
        };
        Ok(page?.iter().filter_map(name).take(NAMES_SHOWN).collect())
    }

    /// What a restore to `target` would read.
    ///
    /// # Errors
    /// Nothing leads there.
    pub async fn choose(&self, target: Target) -> Result<Choice, RestoreError> {
        restore::choose(&self.client, Some(&self.old), target).await
    }

    /// Restores to `target`.
    ///
    /// # Errors
    /// As [`restore::restore`]; nothing stands at the output then that did not before.
    pub async fn restore(
        &self,
        target: Target,
        output: &Output,
        options: RestoreOptions,
        progress: &dyn Progress,
    ) -> Result<Restored, RestoreError> {
        match self.choose(target).await? {
            Choice::Ltx(plan) => restore::restore(&self.client, target, plan, output, options, progress).await,
            Choice::V3(plan) => restore::restore_v3(&self.old, &plan, output, options, progress).await,
        }
    }
}
