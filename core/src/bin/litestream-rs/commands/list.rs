//! `list`: what a running daemon replicates.

use litestream_core::server::answers::{List, Listed};

use super::JSON;
use crate::args::{Args, Command, Example};
use crate::control::{Daemon, SHORT_TIMEOUT, SOCKET};
use crate::exit_code::Exit;
use crate::{commands, output};

/// `list [-json]`.
pub const COMMAND: Command = Command {
    name: "list",
    deprecated_alias: None,
    summary: "list databases managed by a running daemon",
    about: "List all managed databases from a running daemon.",
    synopsis: &["[arguments]"],
    flags: &[&JSON, &SOCKET, &SHORT_TIMEOUT],
    notes: "Each database is replicating, open (nothing of it is on its replica yet) or stopped.\n\
            What fails is said behind it.",
    examples: &[
        Example { what: "Every database of the daemon at the usual place", line: "list" },
        Example { what: "Of another one, as JSON", line: "list -json -socket /tmp/litestream.sock" },
    ],
    run,
};

fn run(args: &Args) -> anyhow::Result<Exit> {
    commands::no_positionals(args)?;
    let list: List = Daemon::of(args, &SHORT_TIMEOUT)?.get("list")?;
    if args.switch(&JSON) {
        output::print_json(&list)?;
    } else if list.databases.is_empty() {
        output::print("No databases configured\n")?;
    } else {
        output::print(&list.databases.iter().map(line).collect::<String>())?;
    }
    Ok(Exit::Success)
}

fn line(listed: &Listed) -> String {
    let last = listed.last_sync_at.as_deref().map_or_else(|| "never".to_owned(), output::without_fraction);
    let error = listed.error.as_ref().map_or_else(String::new, |error| format!(" (error: {error})"));
    format!("{} [{}] (last sync: {last}){error}\n", listed.path, listed.status)
}
