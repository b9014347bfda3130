//! The shape of a configuration file, before anything is judged. Field names are the keys.
//!
//! A field without `Option` has a built-in value in the table of keys. Which names may stand in a file is checked
//! against that table, not here.

use figment::value::Dict;
use serde::Deserialize;

use super::duration::GoDuration;
use super::scalar::{Bytes, Integer, Switch, Text, Texts};

/// The top of the file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct FileSchema {
    pub(super) addr: Option<Text>,
    pub(super) mcp_addr: Option<Text>,
    pub(super) socket: SocketSchema,
    pub(super) levels: Vec<LevelSchema>,
    pub(super) snapshot: SnapshotSchema,
    pub(super) l0_retention: GoDuration,
    pub(super) l0_retention_check_interval: GoDuration,
    pub(super) verify_compaction: Switch,
    pub(super) retention: RetentionSchema,
    #[serde(default)]
    pub(super) validation: ValidationSchema,
    pub(super) heartbeat_url: Option<Text>,
    pub(super) heartbeat_interval: GoDuration,
    pub(super) exec: Option<Text>,
    pub(super) logging: LoggingSchema,
    pub(super) shutdown_sync_timeout: GoDuration,
    pub(super) shutdown_sync_interval: GoDuration,
    #[serde(default)]
    pub(super) dbs: Vec<Dict>,
    #[serde(default)]
    pub(super) plugin_dir: Texts,
    pub(super) max_open_databases: Integer,
    pub(super) memory_budget: Bytes,
    pub(super) upload_concurrency: Integer,
    pub(super) scan_interval: GoDuration,
    pub(super) max_metric_databases: Integer,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct SocketSchema {
    pub(super) enabled: Switch,
    pub(super) path: Text,
    pub(super) permissions: Integer,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct LevelSchema {
    #[serde(default)]
    pub(super) interval: GoDuration,
}

/// Both at the top, where each has a built-in value, and in a database.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct SnapshotSchema {
    pub(super) interval: Option<GoDuration>,
    pub(super) retention: Option<GoDuration>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct RetentionSchema {
    pub(super) enabled: Switch,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ValidationSchema {
    pub(super) interval: Option<GoDuration>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct LoggingSchema {
    pub(super) level: Text,
    pub(super) r#type: Text,
    pub(super) stderr: Switch,
    pub(super) source: Switch,
}

/// One element of `dbs`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct DatabaseSchema {
    pub(super) path: Option<Text>,
    pub(super) dir: Option<Text>,
    pub(super) pattern: Option<Text>,
    #[serde(default)]
    pub(super) exclude: Texts,
    pub(super) recursive: Switch,
    pub(super) watch: Switch,
    pub(super) meta_path: Option<Text>,
    pub(super) meta_dir: Option<Text>,
    pub(super) monitor_interval: GoDuration,
    pub(super) checkpoint_interval: GoDuration,
    pub(super) busy_timeout: GoDuration,
    pub(super) min_checkpoint_page_count: Integer,
    pub(super) truncate_page_n: Integer,
    pub(super) max_sync_wal_bytes: Integer,
    pub(super) page_checksum_limit: Bytes,
    pub(super) allow_network_file_system: Switch,
    #[serde(default)]
    pub(super) snapshot: SnapshotSchema,
    pub(super) restore_if_db_not_exists: Switch,
    pub(super) replica: Option<Dict>,
    #[serde(default)]
    pub(super) replicas: Vec<Dict>,
}

/// The keys of a replica that are the program's own.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ReplicaSchema {
    pub(super) r#type: Text,
    pub(super) url: Option<Text>,
    #[serde(rename = "name")]
    pub(super) _name: Option<Text>,
    pub(super) sync_interval: Option<GoDuration>,
    pub(super) max_sync_ltx_files: Integer,
    pub(super) auto_recover: Switch,
    #[serde(rename = "validation-interval")]
    pub(super) _validation_interval: Option<GoDuration>,
    #[serde(default)]
    pub(super) age: AgeSchema,
    pub(super) layout: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct AgeSchema {
    #[serde(default)]
    pub(super) identities: Texts,
    #[serde(default)]
    pub(super) recipients: Texts,
}
