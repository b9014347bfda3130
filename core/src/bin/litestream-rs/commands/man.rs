//! `man`: the manual page.

use super::version::VERSION;
use crate::args::{Args, Command, Example};
use crate::exit_code::Exit;
use crate::{generate, output};

/// `man`.
pub const COMMAND: Command = Command {
    name: "man",
    deprecated_alias: None,
    summary: "print the manual page",
    about: "Print the manual page of this program.",
    synopsis: &[""],
    flags: &[],
    notes: "",
    examples: &[Example { what: "Install it", line: "man > /usr/share/man/man1/litestream-rs.1" }],
    run,
};

fn run(args: &Args) -> anyhow::Result<Exit> {
    super::no_positionals(args)?;
    output::print(&generate::man::page(super::ALL, VERSION))?;
    Ok(Exit::Success)
}
