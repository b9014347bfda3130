//! What most commands begin with: the configuration, the log, the plugins.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use litestream_core::config::{self, Config, Environment, LoadRequest, Loaded, Source};
use litestream_core::plugin::{Registry, SearchPath};

use crate::args::{Args, Flag, Kind};

/// Where the configuration is.
pub const CONFIG: Flag = Flag::value(
    "config",
    Kind::Text,
    "PATH",
    "Specifies the configuration file (YAML, or TOML if its name ends in .toml).\n\
     Defaults to LITESTREAM_CONFIG, else /etc/litestream.yml.",
);

/// Takes the configuration's text as it stands.
pub const NO_EXPAND_ENV: Flag =
    Flag::switch("no-expand-env", "Disables environment variable expansion in configuration file.");

/// Unknown keys warn.
pub const LENIENT: Flag =
    Flag::switch("lenient", "Warns about unknown keys in the configuration file instead of refusing them.");

/// Where plugins are.
pub const PLUGIN_DIR: Flag = Flag::value(
    "plugin-dir",
    Kind::Path,
    "DIR",
    "Looks for storage plugins in this directory first, then in those of\n\
     LITESTREAM_PLUGIN_DIR, then beside the executable and in its\n\
     ../lib/litestream-rs/plugins.",
)
.repeatable();

/// A request as the common flags say it, for the file that `-config` or the environment names.
pub fn load_request(args: &Args, environment: Environment) -> LoadRequest {
    let source = match args.text(&CONFIG).filter(|path| !path.is_empty()) {
        Some(path) => Source::File(path.to_owned()),
        None => Source::Default,
    };
    let mut request = LoadRequest::new(source, environment);
    request.expand_env = !args.switch(&NO_EXPAND_ENV);
    request.lenient = args.switch(&LENIENT);
    request
}

/// Loads the configuration for a command that reports and ends: what is doubtful about it goes to stderr.
pub fn load_for_report(args: &Args, environment: &Environment) -> anyhow::Result<Loaded> {
    let loaded = config::load(&load_request(args, environment.clone()))?;
    warn_on_stderr(&loaded.warnings);
    Ok(loaded)
}

/// Says what is doubtful beside a command's own output.
pub fn warn_on_stderr<T: Display>(warnings: &[T]) {
    for warning in warnings {
        eprintln!("Warning: {warning}");
    }
}

/// The flags by which a command that is typed elsewhere finds the configuration that was read from `path`.
pub fn flags_to_config(args: &Args, path: Option<&Path>) -> Vec<String> {
    let mut flags = Vec::new();
    if let Some(path) = path.filter(|path| *path != Path::new(config::DEFAULT_CONFIG_PATH)) {
        flags.extend(["-config".to_owned(), path.display().to_string()]);
    }
    let switches = [&NO_EXPAND_ENV, &LENIENT].into_iter().filter(|flag| args.switch(flag));
    flags.extend(switches.map(|flag| format!("-{}", flag.name)));
    flags
}

/// The flags by which it finds the plugins.
pub fn flags_to_plugins(args: &Args) -> Vec<String> {
    let absolute = |dir: PathBuf| std::path::absolute(&dir).unwrap_or(dir).display().to_string();
    args.paths(&PLUGIN_DIR).into_iter().flat_map(|dir| ["-plugin-dir".to_owned(), absolute(dir)]).collect()
}

/// Finds the plugins. Loads none.
pub fn plugins(args: &Args, config: Option<&Config>, environment: &Environment) -> Registry {
    let mut dirs: Vec<PathBuf> = args.paths(&PLUGIN_DIR);
    dirs.extend(config.into_iter().flat_map(|config| config.plugin_dirs.clone()));
    let from_environment = environment.get("LITESTREAM_PLUGIN_DIR").map(AsRef::as_ref);
    Registry::discover(&SearchPath::of_this_program(&dirs, from_environment))
}
