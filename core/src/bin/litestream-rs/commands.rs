//! The commands, one file each: its texts and flags as data, and what it does.

mod version;

use std::ffi::OsString;
use std::path::PathBuf;

use crate::args::{Args, Command, Flag, Kind};
use crate::failure::UsageError;

/// Every command, in the order of the usage text.
pub const ALL: &[&Command] = &[&version::COMMAND];

/// Where the configuration is.
pub const CONFIG: Flag = Flag::value(
    "config",
    Kind::Path,
    "PATH",
    "Specifies the configuration file (YAML, or TOML if it ends in .toml).\nDefaults to LITESTREAM_CONFIG, else /etc/litestream.yml.",
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
    "Looks for storage plugins here first, then in LITESTREAM_PLUGIN_DIR,\nthen beside the executable and in its lib/litestream-rs/plugins.",
)
.repeatable();

/// JSON on stdout.
pub const JSON: Flag = Flag::switch("json", "Output raw JSON instead of human-readable text.");

/// Finds the command that the first argument, or the first two, name; the rest are its own arguments.
pub fn find(arguments: &[OsString]) -> Option<(&'static Command, &[OsString])> {
    let (first, rest) = arguments.split_first()?;
    let one = ALL.iter().find(|c| first == c.name || c.deprecated_alias.is_some_and(|alias| first == alias));
    if let Some(command) = one {
        return Some((command, rest));
    }
    let (second, rest) = rest.split_first()?;
    let both = format!("{} {}", first.to_str()?, second.to_str()?);
    ALL.iter().find(|command| command.name == both).map(|command| (*command, rest))
}

/// The one positional argument a command wants. `required` is the complaint when it is missing, `example` the arguments to try.
fn one_positional(args: &Args, required: &str, example: &str) -> anyhow::Result<OsString> {
    match args.positionals.as_slice() {
        [] => Err(UsageError::with_try(required, example)),
        [one] if one.is_empty() => Err(UsageError::with_try(required, example)),
        [one] => Ok(one.clone()),
        [_, ..] => Err(too_many_arguments(args)),
    }
}

/// More arguments than a command takes. Most often that is a flag behind the path, where Go's rules make it an argument.
fn too_many_arguments(args: &Args) -> anyhow::Error {
    let flag = args.positionals.iter().filter_map(|argument| argument.to_str()).find(|text| text.starts_with('-'));
    match flag {
        Some(flag) => UsageError::new(format!(
            "too many arguments\nNote: {flag} must stand before the first argument that is no flag"
        )),
        None => UsageError::new("too many arguments"),
    }
}

/// As [`one_positional`], for a path.
fn one_path(args: &Args, required: &str, example: &str) -> anyhow::Result<PathBuf> {
    one_positional(args, required, example).map(PathBuf::from)
}
