//! `config check`: judges a configuration as the start of the daemon would, without starting anything.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use litestream_core::config::{Config, Environment, Loaded, LoggingConfig, ResolveRequest};
use litestream_core::fleet::{Destination, PluginDestination};
use litestream_core::plugin::{ByteBudget, Registry, Stores};

use crate::args::{Args, Command, Example};
use crate::exit_code::Exit;
use crate::inventory::{self, Inventory};
use crate::setup::{self, CONFIG, LENIENT, NO_EXPAND_ENV, PLUGIN_DIR};
use crate::{commands, logging, output};

/// `config check`.
pub const COMMAND: Command = Command {
    name: "config check",
    deprecated_alias: None,
    summary: "check a config file, its plugins and its directories",
    about: "The config check command judges a configuration without starting anything: keys\n\
            and values, the replica settings by their plugins, the directories, and whether\n\
            two databases would share a replica path or local state.",
    synopsis: &["[arguments]"],
    flags: &[&CONFIG, &NO_EXPAND_ENV, &LENIENT, &PLUGIN_DIR],
    notes: "No storage is contacted. The exit code is 0 if the daemon would start.",
    examples: &[Example { what: "Before a restart", line: "config check -config /etc/litestream.yml" }],
    run,
};

fn run(args: &Args) -> anyhow::Result<Exit> {
    commands::no_positionals(args)?;
    let environment = Environment::of_process();
    let mut loaded = setup::load_for_report(args, &environment)?;
    logging::start(&LoggingConfig { stderr: true, ..loaded.config.logging.clone() });
    let registry = setup::plugins(args, Some(&loaded.config), &environment);
    let request = ResolveRequest { environment: &environment, lenient: args.switch(&LENIENT) };
    let mut problems = Vec::new();
    let resolved = loaded.config.resolve_replicas(&registry, request);
    let inventory = inventory::take(&loaded.config);
    problems.extend(inventory.failures.clone());
    match resolved {
        Ok(warnings) => {
            setup::warn_on_stderr(&warnings);
            problems.extend(judge_places(&loaded.config, &registry, &inventory));
        }
        Err(error) => problems.push(error.to_string()),
    }
    for note in &inventory.notes {
        eprintln!("Note: {note}");
    }
    if problems.is_empty() {
        output::print(&summary(&loaded, &inventory))?;
        return Ok(Exit::Success);
    }
    problems.iter().for_each(|problem| eprintln!("Error: {problem}"));
    Ok(Exit::Failure)
}

fn summary(loaded: &Loaded, inventory: &Inventory<'_>) -> String {
    let file = loaded.path.as_ref().map_or_else(|| "The configuration".to_owned(), |path| path.display().to_string());
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let (entries, databases) = (count(loaded.config.dbs.len(), "entry"), count(inventory.databases.len(), "database"));
    format!("{file} is valid: {}, {databases}\n", entries.replace("entrys", "entries"))
}

/// What is wrong with where databases and their state would go.
fn judge_places(config: &Config, registry: &Registry, inventory: &Inventory<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut judged = HashMap::new();
    // Nothing is opened: the stores stay empty.
    let stores = Arc::new(Stores::new(ByteBudget::new(config.memory_budget_bytes), None));
    for entry in &config.dbs {
        match PluginDestination::of(&entry.replica, registry, &stores) {
            Ok(destination) => drop(judged.insert(entry.place.as_str(), destination)),
            Err(error) => problems.push(error.to_string()),
        }
    }
    let mut replicas = HashMap::new();
    let mut states: HashMap<PathBuf, PathBuf> = HashMap::new();
    for listed in &inventory.databases {
        let shown = listed.path.display();
        if let Some(first) = states.insert(listed.meta_path(), listed.path.clone()) {
            let (first, meta) = (first.display(), listed.meta_path());
            problems.push(format!("meta-path collision: {first} and {shown} would share {}", meta.display()));
        }
        let Some(destination) = judged.get(listed.entry.place.as_str()) else { continue };
        let path = match destination.resolve(&listed.relative.clone().unwrap_or_default()) {
            Ok(path) => path,
            Err(error) => {
                problems.push(format!("{shown} cannot be replicated: {error}"));
                continue;
            }
        };
        let pool = destination.pool().to_owned();
        if let Some(first) = replicas.insert((pool, path.clone()), listed.path.clone()) {
            problems.push(format!("{} and {shown} would share the replica path {path}", first.display()));
        }
    }
    problems
}
