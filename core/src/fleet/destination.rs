//! The destination of a configured replica: a plugin's store.

use std::sync::Arc;

use async_trait::async_trait;
use litestream_sdk::describe::{ConfigureAnswer, ConfigureRequest, Configured};
use litestream_sdk::{DbPath, Location, ObjectKey, ReplicaPath, StorageError};

use crate::config::ReplicaConfig;
use crate::plugin::{LoadedPlugin, PluginError, Registry, Store, Stores};

use super::entry::Destination;

/// See the module.
pub struct PluginDestination {
    plugin: Arc<LoadedPlugin>,
    request: ConfigureRequest,
    configured: Configured,
    location: Location,
    /// Plugin and pool text. The text may hold secrets.
    pool: String,
    stores: Arc<Stores>,
}

/// Why a replica's configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DestinationError {
    /// No plugin, or one that is refused.
    #[error("{place}: {error}")]
    Plugin {
        /// `dbs[0].replica`
        place: String,
        /// Why.
        error: PluginError,
    },
    /// The plugin refuses the configuration: all its problems, one for each line.
    #[error("{0}")]
    Refused(String),
}

impl PluginDestination {
    /// Lets the plugin of a replica judge its configuration. Opens nothing.
    ///
    /// # Errors
    /// See [`DestinationError`].
    pub fn of(
        replica: &ReplicaConfig,
        registry: &Registry,
        stores: &Arc<Stores>,
    ) -> Result<PluginDestination, DestinationError> {
        let refused = |error| DestinationError::Plugin { place: replica.place.clone(), error };
        let plugin = registry.for_type(&replica.kind).map_err(refused)?;
        let request = replica.configure_request();
        let configured = match plugin.configure(&request) {
            ConfigureAnswer::Accepted(configured) => configured,
            ConfigureAnswer::Refused { problems } => {
                let lines: Vec<String> = problems.iter().map(|p| replica.problem(p).to_string()).collect();
                return Err(DestinationError::Refused(lines.join("\n")));
            }
        };
        let location = Location::try_from(&configured.location)
            .map_err(|error| DestinationError::Refused(format!("{}: {error}", replica.place)))?;
        for warning in &configured.warnings {
            tracing::warn!(replica = plugin.record().replica_type(), "{warning}");
        }
        let pool = format!("{}\0{}", plugin.record().name, configured.pool.0);
        Ok(PluginDestination { plugin, request, configured, location, pool, stores: Arc::clone(stores) })
    }

    /// The plugin.
    pub fn plugin(&self) -> &Arc<LoadedPlugin> {
        &self.plugin
    }

    /// What the plugin accepted. Holds secrets.
    pub fn request(&self) -> &ConfigureRequest {
        &self.request
    }

    /// Where databases go.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Where the databases of a directory may lie, the place that is written to first.
    ///
    /// # Errors
    /// A base that the plugin cannot use.
    pub fn directory_places(&self) -> Result<Vec<ReplicaPath>, StorageError> {
        // How a plugin writes a base is its own business; what it makes of a database below shows it.
        let below = self.resolve(&DbPath::parse("x")?)?;
        let mut places = vec![ObjectKey::parse(below.as_bytes())?.parent()];
        for place in self.plugin.places(&self.configured)? {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        Ok(places)
    }

    /// The database whose replica is at `place`, `below` a base: the text itself or what it stands for percent-encoded,
    /// whichever this plugin resolves to there.
    pub fn database_at(&self, place: &ReplicaPath, below: &DbPath) -> DbPath {
        let decoded = percent_encoding::percent_decode(below.as_bytes()).collect::<Vec<u8>>();
        let candidates = [Some(below.clone()), DbPath::parse(decoded).ok()];
        let resolves = |db: &DbPath| self.resolve(db).is_ok_and(|resolved| resolved == *place);
        candidates.into_iter().flatten().find(resolves).unwrap_or_else(|| below.clone())
    }

    /// Every key in force with its value and where that was written, secrets hidden: for `config explain`.
    pub fn explained(&self) -> impl Iterator<Item = (&str, String, &str)> {
        let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let hidden = |key: &str| self.plugin.description().option(key).is_some_and(|option| option.hidden);
        let shown = self.configured.shown.iter().filter(move |(key, _)| !hidden(key));
        shown.map(move |(key, shown)| (key.as_str(), text(&shown.value), shown.origin.as_str()))
    }
}

#[async_trait]
impl Destination for PluginDestination {
    fn kind(&self) -> &str {
        self.plugin.record().replica_type()
    }

    fn pool(&self) -> &str {
        &self.pool
    }

    fn resolve(&self, db: &DbPath) -> Result<ReplicaPath, StorageError> {
        self.plugin.resolve(&self.location, db)
    }

    async fn store(&self) -> Result<Arc<Store>, StorageError> {
        self.stores.open(&self.plugin, &self.request, &self.configured).await
    }

    fn hex_layout(&self) -> bool {
        self.plugin.record().layouts.iter().any(|layout| layout == "hex")
    }

    fn shown(&self) -> Vec<(String, String)> {
        self.explained().map(|(key, value, _)| (key.to_owned(), value)).collect()
    }
}
