//! What all databases of a configuration entry share: settings, where their state lies, where their replicas go.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use litestream_sdk::{DbPath, ReplicaPath, StorageError};

use crate::config::LayoutChoice;
use crate::db::DbSettings;
use crate::discovery::{DirSpec, MetaLocation};
use crate::plugin::Store;

/// Where the replicas of an entry go: a store, and a place in it for each database.
///
/// The program's own is made of a plugin; tests and programs that embed a storage bring theirs.
#[async_trait]
pub trait Destination: Send + Sync {
    /// `s3`, `file`: the type of the replicas, for logs.
    fn kind(&self) -> &str;

    /// Names the store: two destinations with one name share it. May hold secrets; never shown.
    fn pool(&self) -> &str;

    /// The place of a database. Pure.
    ///
    /// # Errors
    /// The reason why it has none, for the user.
    fn resolve(&self, db: &DbPath) -> Result<ReplicaPath, StorageError>;

    /// The store. Cheap once it is open.
    ///
    /// # Errors
    /// Those of opening; the next call tries again.
    async fn store(&self) -> Result<Arc<Store>, StorageError>;

    /// Whether replicas of this type may have the hex layout.
    fn hex_layout(&self) -> bool {
        false
    }

    /// Attributes for the log line `replicating to`, without secrets: `bucket`, `path`, `region`.
    fn shown(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}

/// See the module.
pub struct Entry {
    /// The database, or the directory.
    pub target: EntryTarget,
    /// The engine's limits.
    pub settings: Arc<DbSettings>,
    /// How soon a change must be noticed; `None`: only on request.
    pub monitor_interval: Option<Duration>,
    /// Where local state lies.
    pub meta: MetaLocation,
    /// Where replicas go.
    pub destination: Arc<dyn Destination>,
    /// The pace of uploads.
    pub sync_interval: Duration,
    /// Uploads of one database give way after this many files.
    pub max_sync_ltx_files: Option<u64>,
    /// Damaged local state is thrown away, at the price of a full file.
    pub auto_recover: bool,
    /// How objects are named.
    pub layout: LayoutChoice,
}

/// What an entry covers.
#[derive(Clone, Debug)]
pub enum EntryTarget {
    /// One database.
    Path(PathBuf),
    /// The databases of a directory.
    Dir(DirSpec),
}

impl Entry {
    /// The path of a database below the entry's directory; `None` for an entry of one database.
    fn relative<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        match &self.target {
            EntryTarget::Path(_) => None,
            EntryTarget::Dir(spec) => path.strip_prefix(&spec.dir).ok(),
        }
    }

    /// What the replica path of a database is made of; empty for an entry of one database.
    ///
    /// # Errors
    /// None for a path that discovery gave.
    pub fn db_path(&self, path: &Path) -> Result<DbPath, StorageError> {
        match self.relative(path) {
            None => Ok(DbPath::default()),
            Some(relative) => DbPath::parse(relative.as_os_str().as_bytes()),
        }
    }

    /// The local state directory of a database.
    pub fn meta_path(&self, path: &Path) -> PathBuf {
        self.meta.meta_path(path, self.relative(path))
    }

    /// Where the replica of a database begins inside its store.
    ///
    /// # Errors
    /// The reason why it has no place, for the user.
    pub fn replica_path(&self, path: &Path) -> Result<ReplicaPath, StorageError> {
        self.destination.resolve(&self.db_path(path)?)
    }
}
