//! The configuration: one schema, four layers (built-in values, file, environment, flags), and where each value came
//! from.
//!
//! ```text
//! file -> $VAR (expand) -> YAML or TOML (document) -> layers (figment) -> schema -> validate -> Config
//!                                                                    plugins' descriptions -> resolve -> Config
//! ```
//!
//! A file that Litestream 0.5 accepts works unchanged, and is refused with the same words. Keys of a storage are not
//! known here: they are kept as they were written and judged by [`Config::resolve_replicas`], with what the plugins say
//! of themselves.
//!
//! Only this module reads the environment; it opens one file, and nothing that the file names.

mod bare_duration;
mod build;
mod check_keys;
mod document;
mod duration;
mod error;
mod expand;
mod keys;
mod layers;
mod load;
mod origin;
mod path;
mod replica;
mod request;
mod resolve;
mod restart;
mod scalar;
mod schema;
mod toml;
mod yaml;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use litestream_sdk::describe::Given;

use crate::db::DbSettings;
use crate::discovery::{DirSpec, MetaLocation};

pub use duration::{GoDuration, ParseDurationError};
pub use error::{ConfigError, ReplicaProblem, UnknownKey, Warning};
pub use keys::{KEYS, Key, Place, keys_of};
pub use load::{Loaded, load};
pub use origin::{Origin, Origins};
pub use path::{ExpandPathError, expand_path};
pub use replica::{LayoutChoice, ReplicaConfig, is_url, replica_from_url};
pub use request::{DEFAULT_CONFIG_PATH, DatabaseArgument, Environment, FlagSetting, LoadRequest, Source};
pub use resolve::{PluginCatalog, ResolveRequest};

/// Everything the program was told. Durations are not negative; where zero means "off" the type says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where metrics are served.
    pub addr: Option<String>,
    /// Where the MCP server listens.
    pub mcp_addr: Option<String>,
    /// The control socket.
    pub socket: SocketConfig,
    /// Intervals of the compaction levels, level 1 first; at most eight, none zero.
    pub levels: Vec<Duration>,
    /// Snapshots of all databases.
    pub snapshot: SnapshotConfig,
    /// How long files of level 0 stay after they were compacted. `None`: for ever.
    pub l0_retention: Option<Duration>,
    /// How often that is looked at. Not zero.
    pub l0_retention_check_interval: Duration,
    /// Whether a level is listed after each compaction, to find gaps and overlaps.
    pub verify_compaction: bool,
    /// Whether anything is ever deleted from a replica.
    pub retention_enabled: bool,
    /// How often the levels of replicas are listed, to find gaps and overlaps. `None`: never.
    pub validation_interval: Option<Duration>,
    /// The heartbeat.
    pub heartbeat: Option<HeartbeatConfig>,
    /// The child process's command line.
    pub exec: Option<String>,
    /// Logging.
    pub logging: LoggingConfig,
    /// How long the last sync of each database may be tried again. Zero: one attempt.
    pub shutdown_sync_timeout: Duration,
    /// How long to wait between these attempts. Not zero.
    pub shutdown_sync_interval: Duration,
    /// Where plugins are looked for, before the usual places.
    pub plugin_dirs: Vec<PathBuf>,
    /// How many databases may be attached at once.
    pub max_open_databases: usize,
    /// Memory for data under way, in bytes.
    pub memory_budget_bytes: u64,
    /// Uploads at once.
    pub upload_concurrency: u32,
    /// How often watched directories are scanned, and files looked at although nothing reported a change.
    pub scan_interval: Duration,
    /// Up to how many databases all have metrics of their own. `None`: always.
    pub max_metric_databases: Option<usize>,
    /// The databases and directories, in the order of the file.
    pub dbs: Vec<DbEntry>,
    /// Top-level keys that fill every replica whose plugin declares them global; used by `resolve_replicas`.
    pub(super) replica_defaults: BTreeMap<String, Given>,
}

/// `socket`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketConfig {
    /// Whether there is one.
    pub enabled: bool,
    /// Where.
    pub path: PathBuf,
    /// Its mode.
    pub permissions: u32,
}

/// `snapshot`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotConfig {
    /// How often a whole database is written. Not zero.
    pub interval: Duration,
    /// How far back a database can be restored. Not zero.
    pub retention: Duration,
}

/// `heartbeat-url` and `heartbeat-interval`.
#[derive(Clone, PartialEq, Eq)]
pub struct HeartbeatConfig {
    /// Begins with `http://` or `https://`. Often a capability, so its `Debug` shows none.
    pub url: String,
    /// At least a minute.
    pub interval: Duration,
}

impl std::fmt::Debug for HeartbeatConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeartbeatConfig").field("interval", &self.interval).finish_non_exhaustive()
    }
}

/// `logging`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggingConfig {
    /// What is written.
    pub level: LogLevel,
    /// `logging.level` as the file, a variable or a flag says it; empty if none does. For the first log line.
    pub level_text: String,
    /// How.
    pub format: LogFormat,
    /// To standard error instead of standard output.
    pub stderr: bool,
    /// With the place in the source.
    pub source: bool,
}

/// `logging.level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl LogLevel {
    /// Reads a level in any case. An unknown one is `info`, as in the reference.
    pub fn from_text(text: &str) -> LogLevel {
        match text.to_ascii_lowercase().as_str() {
            "trace" => LogLevel::Trace,
            "debug" => LogLevel::Debug,
            "warn" | "warning" => LogLevel::Warn,
            "error" => LogLevel::Error,
            _ => LogLevel::Info,
        }
    }
}

impl std::fmt::Display for LogLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            LogLevel::Trace => "trace",
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
        })
    }
}

/// `logging.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `key=value`.
    Text,
    /// One JSON object for each line.
    Json,
    /// For a person at a terminal.
    Pretty,
}

/// One element of `dbs`.
#[derive(Clone, Debug, PartialEq)]
pub struct DbEntry {
    /// What is replicated.
    pub target: Target,
    /// How the engine treats each of its databases.
    pub settings: Arc<DbSettings>,
    /// How often a database is looked at. `None`: never on its own.
    pub monitor_interval: Option<Duration>,
    /// Where to.
    pub replica: ReplicaConfig,
    /// Where local state is kept.
    pub meta: MetaLocation,
    /// Whether a missing database is restored before replication begins. Only with [`Target::Path`].
    pub restore_if_db_not_exists: bool,
    /// `dbs[0]`, for messages.
    pub place: String,
    /// Where it was written.
    pub origin: Origin,
}

/// What an element of `dbs` replicates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One database, absolute.
    Path(PathBuf),
    /// All matching databases of a directory.
    Dir(DirSpec),
}

#[cfg(test)]
mod tests;
