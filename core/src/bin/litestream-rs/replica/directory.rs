//! The replicas of a whole directory: named by a URL, or by a `dir` entry of the configuration.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use litestream_core::config::{self, Environment, ResolveRequest};
use litestream_core::fleet::{Destination, PluginDestination};
use litestream_core::plugin::{ByteBudget, Store, Stores, Urgency};
use litestream_core::replica::{FoundReplica, Generations, ReplicaClient, find_replicas};
use litestream_core::restore::{Member, V3Source};
use litestream_sdk::{DbPath, ReplicaPath};

use super::Chosen;
use crate::args::Args;
use crate::commands::expand_path;
use crate::failure::UsageError;
use crate::inventory;
use crate::setup::{self, LENIENT};

/// Reads a `DIR` or `REPLICA_URL` argument. `database` of the result is the directory.
///
/// # Errors
/// As [`super::choose`]; a path that no `dir` entry has.
pub fn choose_directory(args: &Args, argument: &OsStr) -> anyhow::Result<Chosen> {
    if argument.to_str().is_some_and(config::is_url) {
        return super::choose(args, argument);
    }
    let environment = Environment::of_process();
    let path: PathBuf = expand_path(&environment, argument)?.components().collect();
    let config = setup::load_for_report(args, &environment)?.config;
    let Some(listed) = inventory::directory(&config, &path) else {
        let message = format!("directory not found in config: {}", path.display());
        let note = match inventory::find(&config, &path) {
            Some(_) => Some("that is one database: leave -dir out to restore it".to_owned()),
            None => Some("-dir takes the `dir` of an entry as the configuration has it, or a replica URL".to_owned()),
        };
        return Err(UsageError::with_note(message, note));
    };
    let (name, replica) = (path.display().to_string(), listed.entry.replica.clone());
    Ok(Chosen { name, database: Some(path), config, replica, db: DbPath::default(), environment })
}

impl Chosen {
    /// Opens the place of a whole directory.
    ///
    /// # Errors
    /// As [`Chosen::open`].
    pub async fn open_directory(mut self, args: &Args) -> anyhow::Result<OpenDirectory> {
        let registry = setup::plugins(args, Some(&self.config), &self.environment);
        let request = ResolveRequest { environment: &self.environment, lenient: args.switch(&LENIENT) };
        setup::warn_on_stderr(&self.config.resolve_replica(&mut self.replica, &registry, request)?);
        let budget = ByteBudget::new(self.config.memory_budget_bytes);
        let stores = Arc::new(Stores::new(budget.clone(), None));
        let destination = PluginDestination::of(&self.replica, &registry, &stores)?;
        let store = destination.store().await?;
        Ok(OpenDirectory { destination, store, budget })
    }
}

/// Replicas of many databases that can be read.
pub struct OpenDirectory {
    destination: PluginDestination,
    store: Arc<Store>,
    /// The memory for restoring them; what plugins hold of reads has a share of its own in it.
    pub budget: ByteBudget,
}

/// What was found.
pub struct Databases {
    /// Sorted by path.
    pub members: Vec<Member>,
    /// True if the place holds the replica of one database and no directory.
    pub is_one_database: bool,
}

impl Databases {
    /// At least one.
    ///
    /// # Errors
    /// The place holds no directory of replicas; what it holds instead.
    pub fn require(self, name: &str) -> anyhow::Result<Databases> {
        if !self.members.is_empty() {
            return Ok(self);
        }
        let (message, note) = if self.is_one_database {
            let note = "leave -dir out to restore it";
            (format!("{name} is the replica of one database, not of a directory"), note.to_owned())
        } else {
            let note = "a replica is a directory that holds `ltx`; look one level higher, or check bucket and path";
            (format!("no replicas found below {name}"), note.to_owned())
        };
        Err(UsageError::with_note(message, Some(note)))
    }
}

impl OpenDirectory {
    /// The type of the replica.
    pub fn kind(&self) -> &str {
        self.destination.kind()
    }

    /// Every database of the directory. Where the plugin has several spellings of one place, the first that holds any.
    ///
    /// # Errors
    /// Those of listing.
    pub async fn databases(&self) -> anyhow::Result<Databases> {
        let places = self.destination.directory_places()?;
        for base in &places {
            let found = find_replicas(&self.store, base, self.destination.hex_layout(), Urgency::Interactive).await?;
            if !found.is_empty() {
                let is_one_database = found.iter().any(|one| one.below.is_empty());
                let members = found.iter().filter(|one| !one.below.is_empty());
                let mut members = members.map(|one| self.member(base, one)).collect::<Vec<_>>();
                members.sort_by(|a, b| a.database.cmp(&b.database));
                return Ok(Databases { members, is_one_database });
            }
        }
        Ok(Databases { members: Vec::new(), is_one_database: false })
    }

    fn member(&self, base: &ReplicaPath, found: &FoundReplica) -> Member {
        let path = base.join(&found.below);
        let old = found.has_generations.then(|| {
            Arc::new(Generations::new(Arc::clone(&self.store), path.clone(), Urgency::Interactive)) as Arc<dyn V3Source>
        });
        let name = self.destination.database_at(&path, &found.below);
        let client = ReplicaClient::new(Arc::clone(&self.store), path, found.layout);
        let source = Arc::new(client.with_urgency(Urgency::Interactive));
        Member { database: PathBuf::from(OsString::from_vec(name.as_bytes().to_vec())), source, old }
    }
}
