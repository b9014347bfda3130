//! One element of `dbs`: what it must and must not say, and what it becomes.

use std::path::PathBuf;
use std::sync::Arc;

use figment::value::Dict;

use super::{Builder, Result};
use crate::config::duration::GoDuration;
use crate::config::error::{ConfigError, Warning};
use crate::config::keys::Place;
use crate::config::layers::{defaults, key_text};
use crate::config::origin::Origin;
use crate::config::scalar::Text;
use crate::config::schema::{DatabaseSchema, SnapshotSchema};
use crate::config::{DbEntry, Target};
use crate::db::DbSettings;
use crate::discovery::{DirSpec, MetaLocation, Pattern};

/// An element of `dbs` with its replicas, read and not yet judged.
pub(super) struct Database {
    /// Counted from 0.
    index: usize,
    schema: DatabaseSchema,
    /// `path`, absolute.
    path: Option<PathBuf>,
    /// `dir`, absolute.
    dir: Option<PathBuf>,
    /// `replica`, or the elements of `replicas`, each with its sync interval.
    replicas: Vec<super::replica::Replica>,
}

impl Database {
    /// As written, for messages that the reference words so.
    fn written(&self) -> &str {
        let text = |text: &Option<Text>| text.as_ref().map(|text| text.0.clone()).filter(|text| !text.is_empty());
        match (text(&self.schema.path), text(&self.schema.dir)) {
            (Some(_), _) => self.schema.path.as_ref().map_or("", |text| &text.0),
            _ => self.schema.dir.as_ref().map_or("", |text| &text.0),
        }
    }

    fn steps(&self, rest: &[&str]) -> Vec<String> {
        let start = ["dbs".to_owned(), self.index.to_string()];
        start.into_iter().chain(rest.iter().map(|step| (*step).to_owned())).collect()
    }
}

/// The value all databases agree on, and the first that has it.
///
/// # Errors
/// Two have different ones.
pub(super) fn agreed(
    databases: &[Database],
    plural: &str,
    of: impl Fn(&SnapshotSchema) -> Option<GoDuration>,
) -> Result<Option<(usize, GoDuration)>> {
    let mut first: Option<(&Database, GoDuration)> = None;
    for database in databases {
        match (first, of(&database.schema.snapshot)) {
            (None, Some(value)) => first = Some((database, value)),
            (Some((other, before)), Some(value)) if before != value => {
                let (one, two) = (other.written(), database.written());
                let message = format!("conflicting database snapshot {plural}: {one} has {before}, {two} has {value}");
                return Err(ConfigError::invalid(message, Origin::Default));
            }
            _ => {}
        }
    }
    Ok(first.map(|(database, value)| (database.index, value)))
}

impl Builder<'_> {
    /// Reads all elements of `dbs`.
    pub(super) fn databases(&self, dbs: &[Dict]) -> Result<Vec<Database>> {
        let weakest = defaults(Place::Database);
        let read = |(index, tree): (usize, &Dict)| {
            let place = ["dbs".to_owned(), index.to_string()];
            let schema: DatabaseSchema = self.layers.extract_table(&place, weakest.clone(), [tree.clone()])?;
            let expanded = |text: &Option<Text>| match text {
                Some(Text(text)) if !text.is_empty() => self.request.environment.expand_path(text).map(Some),
                _ => Ok(None),
            };
            let (path, dir) = (expanded(&schema.path)?, expanded(&schema.dir)?);
            let mut replicas = Vec::new();
            if let Some(table) = &schema.replica {
                replicas.push(self.replica(vec!["dbs".into(), index.to_string(), "replica".into()], table)?);
            }
            for (number, table) in schema.replicas.iter().enumerate() {
                let place = vec!["dbs".into(), index.to_string(), "replicas".into(), number.to_string()];
                replicas.push(self.replica(place, table)?);
            }
            Ok(Database { index, schema, path, dir, replicas })
        };
        dbs.iter().enumerate().map(read).collect()
    }

    /// Judges all of them, in the reference's order and words.
    pub(super) fn check_databases(&self, databases: &[Database]) -> Result<()> {
        for (position, database) in databases.iter().enumerate() {
            self.check_target(database, &databases[..position])?;
            let shown = database.path.as_ref().or(database.dir.as_ref()).map(|path| path.display().to_string());
            let shown = shown.unwrap_or_default();
            let check = |key: &[&str], value: GoDuration, message: &str| {
                if value > GoDuration::default() {
                    return Ok(());
                }
                let steps = database.steps(key);
                let field = key_text(&steps[2..]);
                let message = format!("dbs[{shown}].{field}: {message} must be greater than 0 (got {value})");
                Err(ConfigError::invalid(message, self.origin_in_dbs(&steps)))
            };
            let SnapshotSchema { interval, retention } = database.schema.snapshot;
            if let Some(value) = interval {
                check(&["snapshot", "interval"], value, "snapshot interval")?;
            }
            if let Some(value) = retention {
                check(&["snapshot", "retention"], value, "snapshot retention")?;
            }
            for replica in &database.replicas {
                let key: Vec<&str> = replica.place[2..].iter().map(String::as_str).chain(["sync-interval"]).collect();
                if let Some(value) = replica.schema.sync_interval {
                    check(&key, value, "sync interval")?;
                }
            }
        }
        Ok(())
    }

    fn check_target(&self, database: &Database, before: &[Database]) -> Result<()> {
        let Database { schema, path, dir, .. } = database;
        let number = database.index + 1;
        let is_set = |text: &Option<Text>| text.as_ref().is_some_and(|text| !text.0.is_empty());
        let fail = |key: &str, message: String| {
            let origin = self.origin_in_dbs(&database.steps(&[key]));
            Err(ConfigError::invalid(format!("database config #{number}: {message}"), origin))
        };
        if path.is_some() && dir.is_some() {
            return fail("dir", "cannot specify both 'path' and 'dir'".to_owned());
        }
        if path.is_none() && dir.is_none() {
            return fail("path", "must specify either 'path' or 'dir'".to_owned());
        }
        if let Some(path) = path
            && let Some(first) = before.iter().find(|other| other.path.as_ref() == Some(path))
        {
            let (shown, first) = (path.display().to_string(), first.index + 1);
            let message = format!(
                "duplicate path {shown:?} (already used by database config #{first}); each database can be listed only once"
            );
            return fail("path", message);
        }
        if dir.is_some() && !is_set(&schema.pattern) {
            return fail("pattern", "'pattern' is required when using 'dir'".to_owned());
        }
        if dir.is_none() && schema.watch.0 {
            return fail("watch", "'watch' can only be enabled with a directory".to_owned());
        }
        if dir.is_none() && is_set(&schema.meta_dir) {
            return fail("meta-dir", "'meta-dir' can only be used with a directory".to_owned());
        }
        if is_set(&schema.meta_dir) && is_set(&schema.meta_path) {
            return fail("meta-dir", "cannot specify both 'meta-path' and 'meta-dir'".to_owned());
        }
        Ok(())
    }

    /// What the rest of the program sees.
    pub(super) fn entry(&self, mut database: Database) -> Result<DbEntry> {
        let steps = database.steps(&[]);
        let origin = self.origin_in_dbs(&steps);
        let invalid = |message: &str| Err(ConfigError::invalid(message, origin.clone()));
        if database.schema.replica.is_some() && !database.schema.replicas.is_empty() {
            return invalid("cannot specify 'replica' and 'replicas' on a database");
        }
        if database.replicas.len() > 1 {
            return invalid("multiple replicas on a single database are no longer supported");
        }
        let Some(replica) = database.replicas.pop() else { return invalid("must specify replica for database") };
        let replica = self.replica_config(replica)?;
        let settings = Arc::new(self.settings(&database)?);
        let meta = self.meta(&database)?;
        let restore_if_db_not_exists = database.schema.restore_if_db_not_exists.0 && database.path.is_some();
        Ok(DbEntry {
            monitor_interval: database.schema.monitor_interval.positive(),
            target: self.target(database)?,
            settings,
            replica,
            meta,
            restore_if_db_not_exists,
            place: key_text(&steps),
            origin,
        })
    }

    fn target(&self, database: Database) -> Result<Target> {
        let steps = |key: &str| database.steps(&[key]);
        let dir = match (&database.path, &database.dir) {
            (_, Some(dir)) => dir.clone(),
            (path, None) => return Ok(Target::Path(path.clone().unwrap_or_default())),
        };
        let text = |text: &Option<Text>| text.as_ref().map(|text| text.0.clone()).unwrap_or_default();
        let pattern = Pattern::parse(&text(&database.schema.pattern)).map_err(|error| {
            let message = format!("failed to scan directory {}: {error}", dir.display());
            ConfigError::invalid(message, self.origin_in_dbs(&steps("pattern")))
        })?;
        let exclude = database.schema.exclude.0.iter().map(|text| {
            Pattern::parse(text).map_err(|error| {
                let message = format!("{}: {error} {text:?}", key_text(&steps("exclude")));
                ConfigError::invalid(message, self.origin_in_dbs(&steps("exclude")))
            })
        });
        Ok(Target::Dir(DirSpec {
            dir: dir.clone(),
            written: text(&database.schema.dir),
            pattern,
            exclude: exclude.collect::<Result<_>>()?,
            recursive: database.schema.recursive.0,
            watch: database.schema.watch.0,
        }))
    }

    /// A pattern for paths below subdirectories that are not entered.
    pub(super) fn blind_pattern(&self, entry: &DbEntry) -> Option<Warning> {
        let Target::Dir(spec) = &entry.target else { return None };
        let message = format!(
            "\"{}.pattern\": {:?} looks into subdirectories, which are only entered with `recursive: true`",
            entry.place,
            spec.pattern.to_string()
        );
        let blind = spec.pattern.is_path_pattern() && !spec.recursive;
        blind.then(|| Warning { origin: entry.origin.to_string(), message })
    }

    fn settings(&self, database: &Database) -> Result<DbSettings> {
        let schema = &database.schema;
        let pages = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        if schema.min_checkpoint_page_count.0 <= 0 {
            let origin = self.origin_in_dbs(&database.steps(&["min-checkpoint-page-count"]));
            let message = "cannot open store: minimum checkpoint page count required";
            return Err(ConfigError::invalid(message, origin));
        }
        let built_in = DbSettings::default();
        Ok(DbSettings {
            busy_timeout: schema.busy_timeout.to_std(),
            checkpoint_interval: schema.checkpoint_interval.positive(),
            min_checkpoint_page_count: pages(schema.min_checkpoint_page_count.0),
            truncate_page_n: match schema.truncate_page_n.0 {
                0 => built_in.truncate_page_n,
                number if number < 0 => None,
                number => Some(pages(number)),
            },
            max_sync_wal_bytes: u64::try_from(schema.max_sync_wal_bytes.0).ok().filter(|bytes| *bytes > 0),
            page_checksum_limit_bytes: schema.page_checksum_limit.0,
            small_database_bytes: built_in.small_database_bytes,
            allow_network_file_system: schema.allow_network_file_system.0,
        })
    }

    fn meta(&self, database: &Database) -> Result<MetaLocation> {
        let expanded = |text: &Option<Text>| match text {
            Some(Text(text)) if !text.is_empty() => self.request.environment.expand_path(text).map(Some),
            _ => Ok(None),
        };
        let (path, dir) = (expanded(&database.schema.meta_path)?, expanded(&database.schema.meta_dir)?);
        Ok(match (path, dir) {
            (Some(path), _) => MetaLocation::MetaPath(path),
            (None, Some(dir)) => MetaLocation::MetaDir(dir),
            (None, None) => MetaLocation::Beside,
        })
    }
}
