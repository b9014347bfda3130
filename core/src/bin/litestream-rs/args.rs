//! What the command line can say, as data: commands, their flags, their texts. Usage, the parser, and whatever is generated
//! later (completions, a manual page) read the same tables.
//!
//! The rules are those of Go's `flag` package, because scripts written for the reference depend on them: one dash or two,
//! `-flag value` or `-flag=value`, booleans take a value only with `=`, and the first argument that is no flag ends the flags.
//! No argument parser of the Rust world can be taught that without rewriting its input and all of its messages.

mod parse;
#[cfg(test)]
mod tests;
mod usage;
mod value;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

pub use parse::{ParseError, nearest, parse};
pub use usage::{command_usage, program_usage};
pub use value::parse_level;

use crate::exit_code::Exit;

/// The name this program calls itself by.
pub const PROGRAM: &str = "litestream-rs";

/// One command: its texts, its flags, and what runs it.
pub struct Command {
    /// One word, or a group and a word (`plugin list`).
    pub name: &'static str,
    /// A name of older days that still works, with a warning.
    pub deprecated_alias: Option<&'static str>,
    /// One line for the list of commands.
    pub summary: &'static str,
    /// What the command does: whole lines, shown before everything else.
    pub about: &'static str,
    /// The forms of its arguments, each written after the command's name.
    pub synopsis: &'static [&'static str],
    /// The flags it accepts, in the order in which usage shows them.
    pub flags: &'static [&'static Flag],
    /// Whole lines that follow the flags; may be empty.
    pub notes: &'static str,
    /// Worked examples.
    pub examples: &'static [Example],
    /// Does it. An error is printed as `Error: ...` and ends the process with [`Exit::Failure`].
    pub run: fn(&Args) -> anyhow::Result<Exit>,
}

/// One example of a command's use.
pub struct Example {
    /// What it achieves, without a full stop.
    pub what: &'static str,
    /// The line to type, without the program's name.
    pub line: &'static str,
}

/// One flag. The name is written without dashes.
pub struct Flag {
    /// As typed, without dashes.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// How usage calls the value (`PATH`); empty for switches.
    pub value_name: &'static str,
    /// The value when the flag is absent; `None` where absence means something of its own.
    pub default: Option<&'static str>,
    /// May be given more than once; without it the last one wins.
    pub repeatable: bool,
    /// Whole lines for usage.
    pub help: &'static str,
}

/// What a flag's value must look like. Checked while parsing, so that the first bad argument is the one reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `-flag` or `-flag=true`.
    Switch,
    /// Any text in UTF-8.
    Text,
    /// Text, one of these; the command judges it, at the place in its order of checks where the reference does.
    Choice(&'static [&'static str]),
    /// A path, bytes as the system has them.
    Path,
    /// A whole number.
    Integer,
    /// Go's duration syntax.
    Duration,
    /// Sixteen hex digits.
    Txid,
    /// A compaction level, or `all`.
    LevelOrAll,
}

impl Flag {
    /// A switch.
    pub const fn switch(name: &'static str, help: &'static str) -> Flag {
        Flag { name, kind: Kind::Switch, value_name: "", default: None, repeatable: false, help }
    }

    /// A flag with a value.
    pub const fn value(name: &'static str, kind: Kind, value_name: &'static str, help: &'static str) -> Flag {
        Flag { name, kind, value_name, default: None, repeatable: false, help }
    }

    /// The same flag with a default.
    pub const fn default(self, default: &'static str) -> Flag {
        Flag { default: Some(default), ..self }
    }

    /// The same flag, to be given as often as wanted.
    pub const fn repeatable(self) -> Flag {
        Flag { repeatable: true, ..self }
    }
}

/// What was typed, checked against a command's flags.
#[derive(Debug, Default)]
pub struct Args {
    /// In the order typed; switches hold `true` or `false`.
    values: Vec<(&'static str, OsString)>,
    /// Everything from the first argument that is no flag.
    pub positionals: Vec<OsString>,
}

impl Args {
    /// True if the flag was typed, whatever its value.
    pub fn is_given(&self, flag: &Flag) -> bool {
        self.last(flag).is_some()
    }

    /// The state of a switch.
    pub fn switch(&self, flag: &Flag) -> bool {
        self.last(flag).is_some_and(|value| value == "true")
    }

    /// The text of a flag, or its default. Paths are not texts: see [`Args::path`].
    pub fn text(&self, flag: &Flag) -> Option<&str> {
        self.last(flag).and_then(OsStr::to_str).or(flag.default)
    }

    /// The path a flag names. An empty value counts as absent, as in the reference.
    pub fn path(&self, flag: &Flag) -> Option<PathBuf> {
        self.last(flag).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// Every path given with a repeatable flag, in order.
    pub fn paths(&self, flag: &Flag) -> Vec<PathBuf> {
        self.values.iter().filter(|(name, _)| *name == flag.name).map(|(_, value)| PathBuf::from(value)).collect()
    }

    /// Every text given with a repeatable flag, in order.
    pub fn texts(&self, flag: &Flag) -> impl Iterator<Item = &str> {
        self.values.iter().filter(|(name, _)| *name == flag.name).filter_map(|(_, value)| value.to_str())
    }

    fn last(&self, flag: &Flag) -> Option<&OsStr> {
        self.values.iter().rev().find(|(name, _)| *name == flag.name).map(|(_, value)| value.as_os_str())
    }
}
