//! From layers to a [`Config`]: the top of the file, in the order in which the reference judges it, so that the same
//! mistake is reported first.

mod database;
mod replica;

use std::collections::BTreeMap;
use std::path::PathBuf;

use figment::value::{Dict, Value};
use litestream_sdk::describe::Given;

use super::document::Entry;
use super::duration::GoDuration;
use super::error::{ConfigError, Warning};
use super::keys::{Place, keys_of};
use super::layers::{Layers, defaults, is_unset, key_text};
use super::origin::{Origin, Origins};
use super::request::LoadRequest;
use super::schema::{FileSchema, LoggingSchema, ReplicaSchema};
use super::{Config, DbEntry, HeartbeatConfig, LogFormat, LogLevel, LoggingConfig, SnapshotConfig, SocketConfig};
use database::Database;
use replica::to_json;

type Result<T> = std::result::Result<T, ConfigError>;

/// What building gives.
pub(super) struct Built {
    pub(super) config: Config,
    pub(super) origins: Origins,
    pub(super) warnings: Vec<Warning>,
}

/// What every step looks at.
struct Builder<'a> {
    request: &'a LoadRequest,
    layers: &'a Layers<'a>,
    /// The layer that holds `dbs`.
    dbs_layer: Origin,
    /// Replica keys of the program's own that stand at the top of the file.
    replica_defaults: Dict,
}

/// Builds and judges everything. `replica_defaults` are the top-level entries that plugins may claim.
pub(super) fn build(request: &LoadRequest, layers: &Layers<'_>, replica_defaults: &[&Entry]) -> Result<Built> {
    let schema: FileSchema = layers.extract()?;
    let builder =
        Builder { request, layers, dbs_layer: layers.layer_of("dbs"), replica_defaults: layers.replica_defaults() };
    // Judged here once, so that a mistake in a default is reported at its own place.
    let _: ReplicaSchema = layers.extract_table(&[], defaults(Place::Replica), [builder.replica_defaults.clone()])?;
    let databases = builder.databases(&schema.dbs)?;
    let mut warnings = Vec::new();
    let snapshot = builder.snapshot(&schema, &databases, &mut warnings)?;
    builder.check_times(&schema)?;
    builder.check_heartbeat(&schema)?;
    builder.check_levels(&schema)?;
    builder.check_databases(&databases)?;
    let logging = builder.logging(schema.logging)?;
    let dbs = databases.into_iter().map(|database| builder.entry(database)).collect::<Result<Vec<_>>>()?;
    warnings.extend(dbs.iter().filter_map(|entry| builder.blind_pattern(entry)));
    let origins = builder.origins(&schema.dbs, &dbs);
    let plugin_dirs = schema.plugin_dir.0.iter().filter(|dir| !dir.is_empty());
    let plugin_dirs =
        plugin_dirs.map(|dir| request.environment.expand_path(dir)).collect::<std::result::Result<_, _>>()?;
    let text = |text: Option<super::scalar::Text>| text.and_then(super::scalar::Text::non_empty);
    let config = Config {
        addr: text(schema.addr),
        mcp_addr: text(schema.mcp_addr),
        socket: SocketConfig {
            enabled: schema.socket.enabled.0,
            path: PathBuf::from(schema.socket.path.0),
            permissions: builder.number("socket.permissions", schema.socket.permissions.0, 0)?,
        },
        levels: schema.levels.iter().map(|level| level.interval.to_std()).collect(),
        snapshot,
        l0_retention: schema.l0_retention.positive(),
        l0_retention_check_interval: schema.l0_retention_check_interval.to_std(),
        verify_compaction: schema.verify_compaction.0,
        retention_enabled: schema.retention.enabled.0,
        validation_interval: schema.validation.interval.and_then(GoDuration::positive),
        heartbeat: text(schema.heartbeat_url)
            .map(|url| HeartbeatConfig { url, interval: schema.heartbeat_interval.to_std() }),
        exec: text(schema.exec),
        logging,
        shutdown_sync_timeout: schema.shutdown_sync_timeout.to_std(),
        shutdown_sync_interval: schema.shutdown_sync_interval.to_std(),
        plugin_dirs,
        max_open_databases: builder.number("max-open-databases", schema.max_open_databases.0, 1)?,
        memory_budget_bytes: builder.memory_budget(schema.memory_budget.0)?,
        upload_concurrency: builder.number("upload-concurrency", schema.upload_concurrency.0, 1)?,
        scan_interval: builder.scan_interval(schema.scan_interval)?,
        max_metric_databases: builder.max_metric_databases(schema.max_metric_databases.0)?,
        dbs,
        replica_defaults: builder.plugin_defaults(replica_defaults),
    };
    Ok(Built { config, origins, warnings })
}

impl Builder<'_> {
    fn invalid<T>(&self, key: &str, message: String) -> Result<T> {
        Err(ConfigError::invalid(message, self.origin(key)))
    }

    /// The place of a key at the top of the file.
    fn origin(&self, key: &str) -> Origin {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        self.layers.place(&self.layers.layer_of(key), &path)
    }

    /// The place of something inside `dbs`.
    fn origin_in_dbs(&self, path: &[String]) -> Origin {
        self.layers.place(&self.dbs_layer, path)
    }

    fn check(&self, key: &str, value: GoDuration, holds: bool, message: &str) -> Result<()> {
        if holds { Ok(()) } else { self.invalid(key, format!("{key}: {message} (got {value})")) }
    }

    /// The one snapshot setting of the process. What databases say counts if the top of the file says nothing.
    fn snapshot(
        &self,
        schema: &FileSchema,
        databases: &[Database],
        warnings: &mut Vec<Warning>,
    ) -> Result<SnapshotConfig> {
        let interval = database::agreed(databases, "intervals", |snapshot| snapshot.interval)?;
        let retention = database::agreed(databases, "retentions", |snapshot| snapshot.retention)?;
        let mut chosen = |name: &str, top: Option<GoDuration>, agreed: Option<(usize, GoDuration)>| {
            let key = format!("snapshot.{name}");
            let is_set = self.layers.layer_of(&key) != Origin::Default;
            let top = top.unwrap_or_default();
            match agreed {
                Some((_, hoisted)) if !is_set => hoisted,
                Some((index, hoisted)) if hoisted != top => {
                    let path = ["dbs".to_owned(), index.to_string(), "snapshot".to_owned(), name.to_owned()];
                    let message = format!("{:?} has no effect here: {key:?} at the top says {top}", key_text(&path));
                    warnings.push(Warning { origin: self.origin_in_dbs(&path).to_string(), message });
                    top
                }
                _ => top,
            }
        };
        let interval = chosen("interval", schema.snapshot.interval, interval);
        let retention = chosen("retention", schema.snapshot.retention, retention);
        let zero = GoDuration::default();
        let (key, message) = ("snapshot.interval", "snapshot interval must be greater than 0");
        self.check(key, interval, interval > zero, message)?;
        let (key, message) = ("snapshot.retention", "snapshot retention must be greater than 0");
        self.check(key, retention, retention > zero, message)?;
        Ok(SnapshotConfig { interval: interval.to_std(), retention: retention.to_std() })
    }

    fn check_times(&self, schema: &FileSchema) -> Result<()> {
        let zero = GoDuration::default();
        let value = schema.l0_retention;
        self.check("l0-retention", value, value >= zero, "l0 retention must not be negative")?;
        let value = schema.l0_retention_check_interval;
        let message = "l0 retention check interval must be greater than 0";
        self.check("l0-retention-check-interval", value, value > zero, message)?;
        let value = schema.shutdown_sync_timeout;
        self.check("shutdown-sync-timeout", value, value >= zero, "shutdown-sync-timeout must be >= 0")?;
        let value = schema.shutdown_sync_interval;
        let message = "shutdown sync interval must be greater than 0";
        self.check("shutdown-sync-interval", value, value > zero, message)
    }

    fn check_heartbeat(&self, schema: &FileSchema) -> Result<()> {
        let url = schema.heartbeat_url.as_ref().map_or("", |url| url.0.as_str());
        if !url.is_empty() && !url.starts_with("http://") && !url.starts_with("https://") {
            let shown = super::replica::without_secrets(url);
            let message = format!("heartbeat-url: heartbeat URL must be a valid HTTP or HTTPS URL (got {shown})");
            return self.invalid("heartbeat-url", message);
        }
        let minute = GoDuration::from_nanoseconds(60_000_000_000);
        let value = schema.heartbeat_interval;
        self.check("heartbeat-interval", value, value >= minute, "heartbeat interval must be at least 1 minute")
    }

    fn check_levels(&self, schema: &FileSchema) -> Result<()> {
        for (index, level) in schema.levels.iter().enumerate() {
            if level.interval <= GoDuration::default() {
                let got = level.interval;
                let path = ["levels".to_owned(), index.to_string(), "interval".to_owned()];
                let origin = self.layers.place(&self.layers.layer_of("levels"), &path);
                let message =
                    format!("levels[{index}].interval: compaction interval must be greater than 0 (got {got})");
                return Err(ConfigError::invalid(message, origin));
            }
        }
        if schema.levels.len() > 8 {
            return self.invalid("levels", "cannot open store: compaction level cannot exceed 8".to_owned());
        }
        Ok(())
    }

    fn logging(&self, schema: LoggingSchema) -> Result<LoggingConfig> {
        let format = match schema.r#type.0.as_str() {
            "text" | "" => LogFormat::Text,
            "json" => LogFormat::Json,
            "pretty" => LogFormat::Pretty,
            other => {
                let message = format!("logging.type: unknown log format {other:?} (expected text, json or pretty)");
                return self.invalid("logging.type", message);
            }
        };
        let is_set = self.layers.layer_of("logging.level") != Origin::Default;
        Ok(LoggingConfig {
            level: LogLevel::from_text(&schema.level.0),
            level_text: if is_set { schema.level.0 } else { String::new() },
            format,
            stderr: schema.stderr.0,
            source: schema.source.0,
        })
    }

    /// A number that fits `T` and is not below `least`.
    fn number<T: TryFrom<i64>>(&self, key: &str, value: i64, least: i64) -> Result<T> {
        match T::try_from(value) {
            Ok(number) if value >= least => Ok(number),
            _ if value < least => self.invalid(key, format!("{key}: must be at least {least} (got {value})")),
            _ => self.invalid(key, format!("{key}: too large (got {value})")),
        }
    }

    /// A budget below two parts of a large upload would stop it for ever.
    fn memory_budget(&self, bytes: u64) -> Result<u64> {
        if bytes < 16 << 20 {
            return self.invalid("memory-budget", format!("memory-budget: must be at least 16MiB (got {bytes} bytes)"));
        }
        Ok(bytes)
    }

    fn scan_interval(&self, value: GoDuration) -> Result<std::time::Duration> {
        self.check("scan-interval", value, value > GoDuration::default(), "scan interval must be greater than 0")?;
        Ok(value.to_std())
    }

    /// -1: no limit.
    fn max_metric_databases(&self, value: i64) -> Result<Option<usize>> {
        let number = self.number::<i64>("max-metric-databases", value, -1)?;
        Ok(usize::try_from(number).ok())
    }

    /// The values plugins may claim for all replicas. An empty one is an absent one.
    fn plugin_defaults(&self, entries: &[&Entry]) -> BTreeMap<String, Given> {
        let set = entries.iter().map(|entry| (entry, entry.value.to_value())).filter(|(_, value)| !is_unset(value));
        let given = set.map(|(entry, value)| {
            let origin = self.layers.in_file(std::slice::from_ref(&entry.key)).to_string();
            (entry.key.clone(), Given::new(to_json(&value), origin))
        });
        given.collect()
    }

    /// Where every key has its value from; keys with built-in values are left out.
    fn origins(&self, trees: &[Dict], entries: &[DbEntry]) -> Origins {
        let mut origins = Origins::default();
        for key in keys_of(Place::Global) {
            match self.origin(key.name) {
                Origin::Default => {}
                origin => origins.set(key.name.to_owned(), origin),
            }
        }
        for (index, database) in trees.iter().enumerate() {
            self.origins_inside(&mut vec!["dbs".to_owned(), index.to_string()], database, &mut origins);
        }
        for name in self.replica_defaults.keys() {
            let origin = self.layers.in_file(std::slice::from_ref(name));
            for entry in entries {
                let key = format!("{}.{name}", entry.replica.place);
                if origins.of(&key) == Origin::Default {
                    origins.set(key, origin.clone());
                }
            }
        }
        origins
    }

    fn origins_inside(&self, path: &mut Vec<String>, table: &Dict, origins: &mut Origins) {
        for (key, value) in table {
            path.push(key.clone());
            match value {
                Value::Dict(_, inside) => self.origins_inside(path, inside, origins),
                value => {
                    origins.set(key_text(path), self.origin_in_dbs(path));
                    for (index, value) in value.as_array().into_iter().flatten().enumerate() {
                        if let Value::Dict(_, inside) = value {
                            path.push(index.to_string());
                            self.origins_inside(path, inside, origins);
                            path.pop();
                        }
                    }
                }
            }
            path.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_value_can_be_read() {
        for place in [Place::Global, Place::Database, Place::Replica] {
            assert!(!defaults(place).is_empty());
        }
    }
}
