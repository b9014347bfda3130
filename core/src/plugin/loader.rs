//! From a checked file to a loaded library.

use std::path::Path;
use std::sync::Arc;

use litestream_sdk::describe::{ConfigureAnswer, ConfigureRequest, Description};
use litestream_sdk::{DbPath, Location, ReplicaPath, Result, Storage, StorageError};

use super::record::Record;
use super::refusal::{Reason, Refusal};

/// A plugin library in this process. Never unloaded.
pub struct LoadedPlugin {
    record: Record,
    description: Description,
}

impl LoadedPlugin {
    pub(super) fn load(shown: &Path, _target: &Path, record: &Record) -> Result<LoadedPlugin, Refusal> {
        Err(Refusal::new(shown, Some(record), Reason::NotLoadable("loading is not there yet".to_owned())))
    }

    /// What it says of itself.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The same with its keys.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Judges the configuration of one replica. Pure; all problems at once.
    pub fn configure(&self, _request: &ConfigureRequest) -> ConfigureAnswer {
        ConfigureAnswer::Refused { problems: Vec::new() }
    }

    /// The place of one database. Pure, microseconds.
    ///
    /// # Errors
    ///
    /// INVALID_INPUT with the reason, for the user.
    pub fn resolve(&self, _at: &Location, _db: &DbPath) -> Result<ReplicaPath> {
        Err(StorageError::unsupported("resolve"))
    }

    /// Opens a store without any layer. Use [`super::Stores::open`].
    ///
    /// # Errors
    ///
    /// NO_STORE, UNAUTHENTICATED, and whatever connecting meets.
    pub async fn open(&self, _request: &ConfigureRequest) -> Result<Arc<dyn Storage>> {
        Err(StorageError::unsupported("open"))
    }
}
