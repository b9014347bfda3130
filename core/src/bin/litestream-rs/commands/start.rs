//! `start`: has a running daemon take up a stopped database again.

use super::{JSON, stop};
use crate::args::{Args, Command, Example};
use crate::control::{SOCKET, TIMEOUT};
use crate::exit_code::Exit;

/// `start DB_PATH`.
pub const COMMAND: Command = Command {
    name: "start",
    deprecated_alias: None,
    summary: "start replication for a database",
    about: "Start replication for a database.",
    synopsis: &["[arguments] DB_PATH"],
    flags: &[&TIMEOUT, &SOCKET, &JSON],
    notes: "Also ends a state of conflict, in which a database rests because another program\n\
            wrote to its replica.",
    examples: &[
        Example { what: "Start replication for a database on the running daemon", line: "start /path/to/db" },
        Example { what: "Emit a JSON confirmation", line: "start -json /path/to/db" },
    ],
    run,
};

fn run(args: &Args) -> anyhow::Result<Exit> {
    stop::set(args, "start", "running")
}
