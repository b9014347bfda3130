//! `POST /register`: adds a database while the daemon runs.
//!
//! What a registration says (a path, a replica URL) is all there is of it: the built-in values hold for the rest, as in
//! the reference. The two are kept (see `registrations`), so that a restart takes them up again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::config::{self, Config, ConfigError, Environment, LoadRequest, ResolveRequest, Source};
use crate::db::DbSettings;
use crate::discovery::MetaLocation;
use crate::fleet::{DestinationError, Entry, EntryTarget, Fleet, PluginDestination};
use crate::plugin::{Registry, Stores};

use super::Control;
use super::answer::{Answer, Refusal};
use super::request;

/// How often a registered database is looked at.
const MONITOR_INTERVAL: Duration = Duration::from_secs(1);

/// Makes entries of what is registered.
pub struct Registrar {
    registry: Arc<Registry>,
    stores: Arc<Stores>,
    environment: Environment,
    /// Without a file: the built-in values.
    config: Config,
}

impl Registrar {
    /// Finds plugins in `registry`, opens replicas through `stores`.
    ///
    /// # Errors
    /// Environment variables that set keys to what they cannot be.
    pub fn new(
        registry: Arc<Registry>,
        stores: Arc<Stores>,
        environment: Environment,
    ) -> Result<Registrar, ConfigError> {
        let config = config::load(&LoadRequest::new(Source::None, environment.clone()))?.config;
        Ok(Registrar { registry, stores, environment, config })
    }

    /// Adds a database to a fleet. Gives false if it is there already.
    pub(super) async fn add(
        self: &Arc<Self>,
        fleet: &Fleet,
        path: PathBuf,
        replica_url: &str,
    ) -> Result<bool, NotRegistered> {
        let (making, url) = (Arc::clone(self), replica_url.to_owned());
        let entry = tokio::task::spawn_blocking(move || making.entry(path, &url)).await;
        let entry = entry.map_err(|error| NotRegistered::Url(error.to_string()))?.map_err(NotRegistered::Url)?;
        fleet.register(entry).await.map_err(|error| NotRegistered::Fleet(error.to_string()))
    }

    /// The entry of a database with a replica. Loads the plugin if it is not loaded yet: blocks.
    ///
    /// # Errors
    /// What is wrong with the URL.
    fn entry(&self, path: PathBuf, replica_url: &str) -> Result<Entry, String> {
        let mut replica = config::replica_from_url(replica_url).map_err(in_a_request)?;
        replica.origin = config::Origin::Default;
        let resolve = ResolveRequest { environment: &self.environment, lenient: false };
        let warnings = self.config.resolve_replica(&mut replica, &*self.registry, resolve).map_err(in_a_request)?;
        for warning in &warnings {
            tracing::warn!(path = %path.display(), %warning, "registration");
        }
        let destination = PluginDestination::of(&replica, &self.registry, &self.stores);
        let destination = destination.map_err(|error: DestinationError| error.to_string())?;
        Ok(Entry {
            target: EntryTarget::Path(path),
            settings: Arc::new(DbSettings::default()),
            monitor_interval: Some(MONITOR_INTERVAL),
            meta: MetaLocation::Beside,
            destination: Arc::new(destination),
            sync_interval: replica.sync_interval(),
            max_sync_ltx_files: replica.max_sync_ltx_files,
            auto_recover: replica.auto_recover,
            layout: replica.layout,
        })
    }
}

/// Why a database is not registered.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotRegistered {
    /// The replica cannot be used.
    #[error("invalid replica url: {0}")]
    Url(String),
    /// The fleet does not take it.
    #[error("failed to register database: {0}")]
    Fleet(String),
}

/// There is no line of a file, and no command line, to point to.
fn in_a_request(error: ConfigError) -> String {
    match error {
        ConfigError::Invalid { message, .. } => message,
        ConfigError::Replicas(problems) => {
            problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>().join("\n")
        }
        other => other.to_string(),
    }
}

#[derive(Deserialize)]
struct RegisterRequest {
    path: Option<String>,
    /// May hold a password: shown in no answer and no log.
    replica_url: Option<String>,
}

/// What became of a registration.
#[derive(Debug, Deserialize, Serialize)]
pub struct RegisterAnswer {
    /// `registered` or `already_registered`.
    pub status: String,
    /// Of its file.
    pub path: String,
}

pub(super) async fn register(
    State(control): State<Arc<Control>>,
    body: Bytes,
) -> Result<Answer<RegisterAnswer>, Refusal> {
    let request: RegisterRequest = request::body(&body)?;
    let path = request::path(request.path.as_deref(), &control.environment)?;
    let replica_url = request.replica_url.filter(|url| !url.is_empty());
    let replica_url = replica_url.ok_or_else(|| Refusal::bad_request("replica_url required"))?;
    // A file that does not exist yet is waited for; a directory never becomes a database.
    if path.is_dir() {
        let reason =
            format!("{} is a directory: its databases need a `dir` entry in the configuration", path.display());
        return Err(Refusal::bad_request(reason));
    }
    let (doing, at) = (Arc::clone(&control), path.clone());
    // A task of its own: who asked may go away, and what is registered is kept all the same.
    let added = tokio::spawn(async move {
        let added = doing.registrar.add(&doing.fleet, at.clone(), &replica_url).await?;
        if added {
            doing.registrations.add(at, replica_url).await;
        }
        Ok::<bool, NotRegistered>(added)
    });
    let added = added.await.map_err(Refusal::internal)?.map_err(|error| match error {
        NotRegistered::Url(_) => Refusal::bad_request(error.to_string()),
        NotRegistered::Fleet(_) => Refusal::internal(error),
    })?;
    let status = if added { "registered" } else { "already_registered" };
    Ok(Answer(RegisterAnswer { status: status.to_owned(), path: path.to_string_lossy().into_owned() }))
}
