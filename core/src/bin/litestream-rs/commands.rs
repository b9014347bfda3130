//! The commands, one file each: its texts and flags as data, and what it does.

mod completions;
mod config_check;
mod config_explain;
mod databases;
mod info;
mod list;
mod ltx;
mod man;
mod plugin_check;
mod plugin_list;
mod plugin_new;
mod register;
mod replicate;
mod reset;
mod restore;
mod start;
mod status;
mod stop;
mod sync;
mod unregister;
mod version;
mod why;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use litestream_core::config::Environment;

use crate::args::{Args, Command, Flag};
use crate::failure::UsageError;

/// Every command, in the order of the usage text.
pub const ALL: &[&Command] = &[
    &completions::COMMAND,
    &config_check::COMMAND,
    &config_explain::COMMAND,
    &databases::COMMAND,
    &info::COMMAND,
    &list::COMMAND,
    &ltx::COMMAND,
    &man::COMMAND,
    &plugin_check::COMMAND,
    &plugin_list::COMMAND,
    &plugin_new::COMMAND,
    &register::COMMAND,
    &replicate::COMMAND,
    &reset::COMMAND,
    &restore::COMMAND,
    &start::COMMAND,
    &status::COMMAND,
    &stop::COMMAND,
    &sync::COMMAND,
    &unregister::COMMAND,
    &version::COMMAND,
    &why::COMMAND,
];

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
pub fn one_positional(args: &Args, required: &str, example: &str) -> anyhow::Result<OsString> {
    match args.positionals.as_slice() {
        [one] if !one.is_empty() => Ok(one.clone()),
        [] | [_] => Err(UsageError::with_try(required, example)),
        [_, ..] => Err(too_many_arguments(args)),
    }
}

/// For commands that take none.
fn no_positionals(args: &Args) -> anyhow::Result<()> {
    if args.positionals.is_empty() { Ok(()) } else { Err(too_many_arguments(args)) }
}

/// More arguments than a command takes. Most often that is a flag behind the path, where Go's rules make it an argument.
fn too_many_arguments(args: &Args) -> anyhow::Error {
    let flag = args.positionals.iter().filter_map(|argument| argument.to_str()).find(|text| text.starts_with('-'));
    let note = flag.map(|flag| format!("{flag} counts as an argument here: flags stand before all arguments"));
    UsageError::with_note("too many arguments", note)
}

/// Makes a path argument absolute as the configuration does with paths; one that is not UTF-8 has no `~` or `sqlite://` in it.
pub fn expand_path(environment: &Environment, argument: &OsStr) -> anyhow::Result<PathBuf> {
    match argument.to_str() {
        Some(text) => Ok(environment.expand_path(text)?),
        None => Ok(environment.directory().join(argument)),
    }
}
