//! The values in force, by key, as a configuration file would write them. A test holds this to the table of keys.

use std::time::Duration;

use litestream_core::config::{Config, DbEntry, GoDuration, LayoutChoice, LogFormat, LogLevel, Place, Target};
use litestream_core::discovery::{MetaLocation, Pattern};

/// A key at the top; `None` for one that is shown otherwise.
pub fn global(config: &Config, key: &str) -> Option<String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    Some(match key {
        "addr" => text(&config.addr),
        "mcp-addr" => text(&config.mcp_addr),
        "socket.enabled" => config.socket.enabled.to_string(),
        "socket.path" => config.socket.path.display().to_string(),
        "socket.permissions" => format!("{:04o}", config.socket.permissions),
        "levels" => joined(config.levels.iter().map(|interval| duration(*interval))),
        "snapshot.interval" => duration(config.snapshot.interval),
        "snapshot.retention" => duration(config.snapshot.retention),
        "l0-retention" => optional_duration(config.l0_retention),
        "l0-retention-check-interval" => duration(config.l0_retention_check_interval),
        "verify-compaction" => config.verify_compaction.to_string(),
        "retention.enabled" => config.retention_enabled.to_string(),
        "validation.interval" => optional_duration(config.validation_interval),
        "heartbeat-url" => if config.heartbeat.is_some() { "<secret>" } else { "" }.to_owned(),
        "heartbeat-interval" => config.heartbeat.as_ref().map(|beat| duration(beat.interval)).unwrap_or_default(),
        "exec" => text(&config.exec),
        "logging.level" => level(config.logging.level).to_owned(),
        "logging.type" => format(config.logging.format).to_owned(),
        "logging.stderr" => config.logging.stderr.to_string(),
        "logging.source" => config.logging.source.to_string(),
        "shutdown-sync-timeout" => duration(config.shutdown_sync_timeout),
        "shutdown-sync-interval" => duration(config.shutdown_sync_interval),
        "plugin-dir" => joined(config.plugin_dirs.iter().map(|dir| dir.display().to_string())),
        "max-open-databases" => config.max_open_databases.to_string(),
        "memory-budget" => config.memory_budget_bytes.to_string(),
        "upload-concurrency" => config.upload_concurrency.to_string(),
        "scan-interval" => duration(config.scan_interval),
        "max-metric-databases" => config.max_metric_databases.map_or_else(|| "-1".to_owned(), |most| most.to_string()),
        _ => return None,
    })
}

/// A key of a database or of its replica; `None` for one that does not concern the entry, or that the plugin shows.
pub fn of_entry(entry: &DbEntry, place: Place, key: &str) -> Option<String> {
    if place == Place::Replica { replica(entry, key) } else { database(entry, key).or_else(|| directory(entry, key)) }
}

fn database(entry: &DbEntry, key: &str) -> Option<String> {
    let settings = &entry.settings;
    let number = |value: Option<u64>| value.unwrap_or(0).to_string();
    Some(match (key, &entry.target, &entry.meta) {
        ("path", Target::Path(path), _) => path.display().to_string(),
        ("meta-path", _, MetaLocation::MetaPath(path)) => path.display().to_string(),
        ("monitor-interval", ..) => optional_duration(entry.monitor_interval),
        ("checkpoint-interval", ..) => optional_duration(settings.checkpoint_interval),
        ("busy-timeout", ..) => duration(settings.busy_timeout),
        ("min-checkpoint-page-count", ..) => settings.min_checkpoint_page_count.to_string(),
        ("truncate-page-n", ..) => settings.truncate_page_n.map_or_else(|| "-1".to_owned(), |pages| pages.to_string()),
        ("max-sync-wal-bytes", ..) => number(settings.max_sync_wal_bytes),
        ("page-checksum-limit", ..) => settings.page_checksum_limit_bytes.to_string(),
        ("allow-network-file-system", ..) => settings.allow_network_file_system.to_string(),
        ("restore-if-db-not-exists", Target::Path(_), _) => entry.restore_if_db_not_exists.to_string(),
        _ => return None,
    })
}

fn directory(entry: &DbEntry, key: &str) -> Option<String> {
    let Target::Dir(spec) = &entry.target else { return None };
    Some(match (key, &entry.meta) {
        ("dir", _) => spec.dir.display().to_string(),
        ("pattern", _) => spec.pattern.to_string(),
        ("exclude", _) => joined(spec.exclude.iter().map(Pattern::to_string)),
        ("recursive", _) => spec.recursive.to_string(),
        ("watch", _) => spec.watch.to_string(),
        ("meta-dir", MetaLocation::MetaDir(path)) => path.display().to_string(),
        _ => return None,
    })
}

fn replica(entry: &DbEntry, key: &str) -> Option<String> {
    let replica = &entry.replica;
    Some(match key {
        "type" => replica.kind.clone(),
        "url" => replica.display_url()?,
        "sync-interval" => duration(replica.sync_interval()),
        "max-sync-ltx-files" => replica.max_sync_ltx_files.unwrap_or(0).to_string(),
        "auto-recover" => replica.auto_recover.to_string(),
        "layout" => match replica.layout {
            LayoutChoice::Auto => "auto".to_owned(),
            LayoutChoice::Ltx => "ltx".to_owned(),
            LayoutChoice::Hex => "hex".to_owned(),
        },
        _ => return None,
    })
}

fn duration(value: Duration) -> String {
    GoDuration::from(value).to_string()
}

/// Zero is how "off" is written.
fn optional_duration(value: Option<Duration>) -> String {
    duration(value.unwrap_or_default())
}

fn joined(values: impl Iterator<Item = String>) -> String {
    values.collect::<Vec<_>>().join(", ")
}

fn level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Trace => "trace",
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    }
}

fn format(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
        LogFormat::Pretty => "pretty",
    }
}

#[cfg(test)]
mod tests {
    use litestream_core::config::{self, Environment, LoadRequest, Source, keys_of};

    use super::*;

    /// A key that is added and forgotten here would be missing from every explanation.
    #[test]
    fn every_key_is_shown_or_known_to_be_shown_otherwise() {
        let file = tempfile::Builder::new().suffix(".yml").tempfile().unwrap();
        let entries = "dbs:\n- {path: /a, meta-path: /m, replica: {url: \"file:///r\"}}\n\
                       - {dir: /d, pattern: x, meta-dir: /m, replica: {url: \"file:///r\"}}\n";
        std::fs::write(file.path(), entries).unwrap();
        let source = Source::File(file.path().to_str().unwrap().to_owned());
        let config = config::load(&LoadRequest::new(source, Environment::empty("/"))).unwrap().config;
        // Elements of `dbs` have reports of their own, the snapshot settings are hoisted, the others have no effect.
        let elsewhere = [
            "dbs",
            "replica",
            "replicas",
            "snapshot.interval",
            "snapshot.retention",
            "name",
            "validation-interval",
            "age.identities",
            "age.recipients",
        ];
        let of_any = |place, key: &str| config.dbs.iter().any(|entry| of_entry(entry, place, key).is_some());
        for key in keys_of(Place::Global) {
            assert!(global(&config, key.name).is_some() || elsewhere.contains(&key.name), "{}", key.name);
        }
        for place in [Place::Database, Place::Replica] {
            for key in keys_of(place) {
                assert!(of_any(place, key.name) || elsewhere.contains(&key.name), "{}", key.name);
            }
        }
    }
}
