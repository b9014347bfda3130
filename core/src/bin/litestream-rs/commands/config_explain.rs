//! `config explain`: every value in force, and where it was written.

mod values;

use std::path::Path;
use std::sync::Arc;

use litestream_core::config::{Config, DbEntry, Environment, Loaded, Place, ResolveRequest, Target, keys_of};
use litestream_core::fleet::{Destination, PluginDestination};
use litestream_core::plugin::{ByteBudget, Registry, Stores};
use serde::Serialize;

use super::JSON;
use crate::args::{Args, Command, Example};
use crate::exit_code::Exit;
use crate::failure::UsageError;
use crate::inventory::{self, Listed};
use crate::setup::{self, CONFIG, LENIENT, NO_EXPAND_ENV, PLUGIN_DIR};
use crate::{commands, output};

/// `config explain [-json] [DB_PATH]`.
pub const COMMAND: Command = Command {
    name: "config explain",
    deprecated_alias: None,
    summary: "show every setting in force and where it comes from",
    about: "The config explain command shows every setting in force, and where it comes from:\n\
            a line of the configuration file, the environment, a flag, or the default.",
    synopsis: &["[arguments]", "[arguments] DB_PATH"],
    flags: &[&CONFIG, &NO_EXPAND_ENV, &LENIENT, &PLUGIN_DIR, &JSON],
    notes: "With a database path, only what concerns that database is shown, with the place\n\
            of its local state and of its replica. Secrets are never shown.",
    examples: &[
        Example { what: "Everything", line: "config explain" },
        Example { what: "Where one database of a directory goes", line: "config explain /path/to/tenant1.db" },
    ],
    run,
};

/// One setting.
#[derive(Debug, Serialize)]
struct Setting {
    key: String,
    value: String,
    from: String,
}

/// The settings of one entry.
#[derive(Serialize)]
struct EntryReport {
    place: String,
    title: String,
    settings: Vec<Setting>,
}

#[derive(Serialize)]
struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    settings: Vec<Setting>,
    dbs: Vec<EntryReport>,
}

fn run(args: &Args) -> anyhow::Result<Exit> {
    let environment = Environment::of_process();
    let mut loaded = setup::load_for_report(args, &environment)?;
    let registry = setup::plugins(args, Some(&loaded.config), &environment);
    let request = ResolveRequest { environment: &environment, lenient: args.switch(&LENIENT) };
    match loaded.config.resolve_replicas(&registry, request) {
        Ok(warnings) => setup::warn_on_stderr(&warnings),
        // What is wrong with one replica must not hide the other settings.
        Err(error) => eprintln!("Warning: {error}"),
    }
    let report = match args.positionals.as_slice() {
        [] => everything(&loaded, &registry),
        [argument] => {
            let path = commands::expand_path(&environment, argument)?;
            let Some(listed) = inventory::find(&loaded.config, &path) else {
                anyhow::bail!("database not found in config: {}", path.display());
            };
            let entry = entry_report(&loaded, &registry, listed.entry, Some(&listed));
            Report { config: config_path(&loaded), settings: Vec::new(), dbs: vec![entry] }
        }
        [_, ..] => return Err(UsageError::new("too many arguments")),
    };
    if args.switch(&JSON) {
        output::print_json(&report)?
    } else {
        output::print(&text(&report))?
    }
    Ok(Exit::Success)
}

fn config_path(loaded: &Loaded) -> Option<String> {
    loaded.path.as_ref().map(|path| path.display().to_string())
}

fn everything(loaded: &Loaded, registry: &Registry) -> Report {
    let own = keys_of(Place::Global).filter_map(|key| Some((key.name, values::global(&loaded.config, key.name)?)));
    let settings =
        own.map(|(key, value)| Setting { key: key.to_owned(), value, from: loaded.origins.of(key).to_string() });
    Report {
        config: config_path(loaded),
        settings: settings.collect(),
        dbs: loaded.config.dbs.iter().map(|entry| entry_report(loaded, registry, entry, None)).collect(),
    }
}

fn entry_report(loaded: &Loaded, registry: &Registry, entry: &DbEntry, listed: Option<&Listed<'_>>) -> EntryReport {
    let mut settings = Vec::new();
    for (place, prefix) in [(Place::Database, entry.place.clone()), (Place::Replica, entry.replica.place.clone())] {
        for key in keys_of(place) {
            let Some(value) = values::of_entry(entry, place, key.name) else { continue };
            let from = loaded.origins.of(&format!("{prefix}.{}", key.name)).to_string();
            let key = if place == Place::Replica { format!("replica.{}", key.name) } else { key.name.to_owned() };
            settings.push(Setting { key, value, from });
        }
    }
    settings.extend(replica_settings(registry, entry, listed));
    EntryReport { place: entry.place.clone(), title: title(&loaded.config, entry, listed), settings }
}

/// What the plugin makes of the replica, and where it puts the database.
fn replica_settings(registry: &Registry, entry: &DbEntry, listed: Option<&Listed<'_>>) -> Vec<Setting> {
    let derived = |key: &str, value: String| Setting { key: key.to_owned(), value, from: "derived".to_owned() };
    let mut settings = Vec::new();
    // Nothing is opened: the stores stay empty.
    let stores = Arc::new(Stores::new(ByteBudget::new(0), None));
    let destination = match PluginDestination::of(&entry.replica, registry, &stores) {
        Ok(destination) => destination,
        Err(error) => {
            eprintln!("Warning: {error}");
            return settings;
        }
    };
    settings.extend(destination.explained().map(|(key, value, from)| Setting {
        key: format!("replica.{key}"),
        value,
        from: from.to_owned(),
    }));
    if let Some(listed) = listed {
        settings.push(derived("local state", listed.meta_path().display().to_string()));
    }
    if let Some(listed) = listed {
        let path = match destination.resolve(&listed.relative.clone().unwrap_or_default()) {
            Ok(path) => path.to_string(),
            Err(error) => format!("none: {error}"),
        };
        settings.push(derived("replica path", path));
    }
    settings
}

fn title(config: &Config, entry: &DbEntry, listed: Option<&Listed<'_>>) -> String {
    match (&entry.target, listed) {
        (_, Some(listed)) => format!("database {}", listed.path.display()),
        (Target::Path(path), None) => format!("database {}", path.display()),
        (Target::Dir(spec), None) => {
            let below = |path: &Path| path.starts_with(&spec.dir);
            let own = inventory::take(config).databases.iter().filter(|listed| below(&listed.path)).count();
            format!("directory {} ({own} databases now)", spec.dir.display())
        }
    }
}

fn text(report: &Report) -> String {
    let table = |settings: &[Setting]| {
        let shown = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        let rows = settings.iter().map(|setting| [setting.key.clone(), shown(&setting.value), setting.from.clone()]);
        output::table(["key", "value", "from"], &rows.collect::<Vec<_>>())
    };
    let mut text = String::new();
    if let Some(config) = &report.config {
        text.push_str(&format!("Configuration: {config}\n\n"));
    }
    if !report.settings.is_empty() {
        text.push_str(&table(&report.settings));
    }
    for entry in &report.dbs {
        let gap = if text.ends_with("\n\n") || text.is_empty() { "" } else { "\n" };
        text.push_str(&format!("{gap}{}: {}\n\n{}", entry.place, entry.title, table(&entry.settings)));
    }
    text
}
