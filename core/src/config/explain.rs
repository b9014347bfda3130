//! `config explain`: every value that holds, and where it came from. Data only; the command prints it.
//!
//! Values are the effective ones, read back from the [`Config`]. What a plugin's keys mean, and which of them are
//! secret, comes from the plugin's own answer; without one they are named and not shown.

use std::path::{Path, PathBuf};
use std::time::Duration;

use litestream_sdk::describe::Configured;
use serde::Serialize;

use super::duration::GoDuration;
use super::keys::{Place, keys_of};
use super::load::Loaded;
use super::{Config, DbEntry, LayoutChoice, LogFormat, Origins, ReplicaConfig, Target};
use crate::discovery::MetaLocation;

/// All of a configuration, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// The keys at the top, in the order of `config/README.md`.
    pub settings: Vec<Setting>,
    /// The elements of `dbs`, in their order.
    pub databases: Vec<DatabaseExplanation>,
}

/// One element of `dbs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DatabaseExplanation {
    /// `dbs[0]`.
    pub place: String,
    /// Its `path` or `dir`, absolute.
    pub target: PathBuf,
    /// Its keys and those of its replica.
    pub settings: Vec<Setting>,
}

/// A key with its value and where that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// `snapshot.interval`, `replica.bucket`.
    pub key: String,
    /// As it would be written in a file; `<secret>` for a secret.
    pub value: String,
    /// `default`, `litestream.yml:12`, `environment NAME`, `flag -x`, `url`.
    pub origin: String,
}

/// Explains a configuration. `configured` has the plugins' answers by the position of the database, as
/// [`Config::configure_replicas`] gives them; an empty slice if no plugin was asked.
pub fn explain(loaded: &Loaded, configured: &[Configured]) -> Explanation {
    let Loaded { config, origins, path, .. } = loaded;
    let settings = keys_of(Place::Global).filter_map(|key| {
        let (key, value) = (key.name.to_owned(), top_value(config, key.name)?);
        let origin = origins.of(&key).to_string();
        Some(Setting { key, value, origin })
    });
    let explain_database = |(index, entry): (usize, &DbEntry)| DatabaseExplanation {
        place: entry.place.clone(),
        target: target(entry).to_owned(),
        settings: database(entry, origins, configured.get(index)),
    };
    Explanation {
        file: path.clone(),
        settings: settings.collect(),
        databases: config.dbs.iter().enumerate().map(explain_database).collect(),
    }
}

fn target(entry: &DbEntry) -> &Path {
    match &entry.target {
        Target::Path(path) => path,
        Target::Dir(spec) => &spec.dir,
    }
}

fn duration(duration: Duration) -> String {
    GoDuration::from(duration).to_string()
}

/// Zero is how a file writes "off".
fn duration_or_off(value: Option<Duration>) -> String {
    duration(value.unwrap_or_default())
}

fn bytes(bytes: u64) -> String {
    litestream_sdk::Size(bytes).to_string()
}

fn paths(paths: &[PathBuf]) -> Option<String> {
    (!paths.is_empty()).then(|| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "))
}

/// `None` for what is not set and has no value of its own.
fn top_value(config: &Config, key: &str) -> Option<String> {
    Some(match key {
        "addr" => config.addr.clone()?,
        "mcp-addr" => config.mcp_addr.clone()?,
        "socket.enabled" => config.socket.enabled.to_string(),
        "socket.path" => config.socket.path.display().to_string(),
        "socket.permissions" => format!("{:04o}", config.socket.permissions),
        "levels" => config.levels.iter().map(|interval| duration(*interval)).collect::<Vec<_>>().join(", "),
        "snapshot.interval" => duration(config.snapshot.interval),
        "snapshot.retention" => duration(config.snapshot.retention),
        "l0-retention" => duration_or_off(config.l0_retention),
        "l0-retention-check-interval" => duration(config.l0_retention_check_interval),
        "verify-compaction" => config.verify_compaction.to_string(),
        "retention.enabled" => config.retention_enabled.to_string(),
        "validation.interval" => duration(config.validation_interval?),
        "heartbeat-url" => {
            config.heartbeat.as_ref()?;
            "<secret>".to_owned()
        }
        "heartbeat-interval" => duration(config.heartbeat.as_ref()?.interval),
        "exec" => config.exec.clone()?,
        "logging.level" => config.logging.level.to_string(),
        "logging.type" => match config.logging.format {
            LogFormat::Text => "text".to_owned(),
            LogFormat::Json => "json".to_owned(),
            LogFormat::Pretty => "pretty".to_owned(),
        },
        "logging.stderr" => config.logging.stderr.to_string(),
        "logging.source" => config.logging.source.to_string(),
        "shutdown-sync-timeout" => duration(config.shutdown_sync_timeout),
        "shutdown-sync-interval" => duration(config.shutdown_sync_interval),
        "plugin-dir" => paths(&config.plugin_dirs)?,
        "max-open-databases" => config.max_open_databases.to_string(),
        "memory-budget" => bytes(config.memory_budget_bytes),
        "upload-concurrency" => config.upload_concurrency.to_string(),
        "scan-interval" => duration(config.scan_interval),
        // Explained one by one.
        _ => return None,
    })
}

fn database(entry: &DbEntry, origins: &Origins, configured: Option<&Configured>) -> Vec<Setting> {
    let own = keys_of(Place::Database).filter_map(|key| {
        let origin = origins.of(&format!("{}.{}", entry.place, key.name)).to_string();
        Some(Setting { key: key.name.to_owned(), value: database_value(entry, key.name)?, origin })
    });
    let replica = keys_of(Place::Replica).filter_map(|key| {
        let place = format!("{}.{}", entry.replica.place, key.name);
        let origin = match origins.of(&place) {
            super::Origin::Default => origins.of(key.name),
            origin => origin,
        };
        let value = replica_value(&entry.replica, key.name)?;
        Some(Setting { key: format!("replica.{}", key.name), value, origin: origin.to_string() })
    });
    let mut settings: Vec<Setting> = own.chain(replica).collect();
    match configured {
        Some(configured) => settings.extend(configured.shown.iter().map(|(key, shown)| Setting {
            key: format!("replica.{key}"),
            value: shown.value.as_str().map_or_else(|| shown.value.to_string(), str::to_owned),
            origin: shown.origin.clone(),
        })),
        None => settings.extend(entry.replica.values.iter().map(|(key, given)| Setting {
            key: format!("replica.{key}"),
            value: "<not shown without its plugin>".to_owned(),
            origin: given.origin.clone(),
        })),
    }
    settings
}

fn database_value(entry: &DbEntry, key: &str) -> Option<String> {
    let settings = &entry.settings;
    let spec = match &entry.target {
        Target::Dir(spec) => Some(spec),
        Target::Path(_) => None,
    };
    Some(match key {
        "path" if spec.is_none() => target(entry).display().to_string(),
        "dir" => spec?.dir.display().to_string(),
        "pattern" => spec?.pattern.to_string(),
        "exclude" => {
            let patterns: Vec<String> = spec?.exclude.iter().map(ToString::to_string).collect();
            if patterns.is_empty() {
                return None;
            }
            patterns.join(", ")
        }
        "recursive" => spec?.recursive.to_string(),
        "watch" => spec?.watch.to_string(),
        "meta-path" => match &entry.meta {
            MetaLocation::MetaPath(path) => path.display().to_string(),
            _ => return None,
        },
        "meta-dir" => match &entry.meta {
            MetaLocation::MetaDir(path) => path.display().to_string(),
            _ => return None,
        },
        "monitor-interval" => duration_or_off(entry.monitor_interval),
        "checkpoint-interval" => duration_or_off(settings.checkpoint_interval),
        "busy-timeout" => duration(settings.busy_timeout),
        "min-checkpoint-page-count" => settings.min_checkpoint_page_count.to_string(),
        "truncate-page-n" => settings.truncate_page_n.map_or_else(|| "-1".to_owned(), |pages| pages.to_string()),
        "max-sync-wal-bytes" => settings.max_sync_wal_bytes.unwrap_or_default().to_string(),
        "page-checksum-limit" => bytes(settings.page_checksum_limit_bytes),
        "allow-network-file-system" => settings.allow_network_file_system.to_string(),
        "restore-if-db-not-exists" if spec.is_none() => entry.restore_if_db_not_exists.to_string(),
        // `snapshot` is a setting of the whole process; `replica` follows.
        _ => return None,
    })
}

fn replica_value(replica: &ReplicaConfig, key: &str) -> Option<String> {
    Some(match key {
        "type" => replica.kind.clone(),
        "url" => replica.display_url()?,
        "sync-interval" => duration(replica.sync_interval),
        "max-sync-ltx-files" => replica.max_sync_ltx_files.unwrap_or_default().to_string(),
        "auto-recover" => replica.auto_recover.to_string(),
        "layout" => match replica.layout {
            LayoutChoice::Auto => "auto".to_owned(),
            LayoutChoice::Ltx => "ltx".to_owned(),
            LayoutChoice::Hex => "hex".to_owned(),
        },
        // Accepted and without effect.
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
