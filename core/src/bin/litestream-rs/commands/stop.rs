//! `stop`: has a running daemon leave a database alone. Also the form of the answer that `start` shares.

use litestream_core::server::answers::Done;
use serde::Serialize;

use super::JSON;
use crate::args::{Args, Command, Example};
use crate::control::{self, Daemon, SOCKET, TIMEOUT};
use crate::exit_code::Exit;
use crate::output;

/// `stop DB_PATH`.
pub const COMMAND: Command = Command {
    name: "stop",
    deprecated_alias: None,
    summary: "stop replication for a database",
    about: "Stop replication for a database.\nStop always waits for shutdown and final sync.",
    synopsis: &["[arguments] DB_PATH"],
    flags: &[&TIMEOUT, &SOCKET, &JSON],
    notes: "The daemon lets go of the database's files. It is stopped after the timeout even if the\n\
            final sync failed, which is an error then. A restart of the daemon starts it again.",
    examples: &[
        Example { what: "Stop replication for a database", line: "stop /path/to/db" },
        Example { what: "Wait up to 10 seconds for the final sync", line: "stop -timeout 10 /path/to/db" },
    ],
    run,
};

#[derive(Serialize)]
struct Request {
    path: String,
    timeout: i64,
}

#[derive(Serialize)]
struct Shown<'a> {
    status: String,
    db_path: String,
    state: &'a str,
    txid: u64,
    socket: String,
}

fn run(args: &Args) -> anyhow::Result<Exit> {
    set(args, "stop", "stopped")
}

/// Asks for `/name`, after which the database is in `state`.
pub fn set(args: &Args, name: &str, state: &str) -> anyhow::Result<Exit> {
    let path = control::database(args, &format!("{name} /path/to/db"))?;
    let daemon = Daemon::with_any_timeout(args, &TIMEOUT);
    let answer: Done = daemon.post(name, &Request { path: control::text(&path), timeout: daemon.timeout })?;
    let shown = Shown { status: answer.status, db_path: answer.path, state, txid: answer.txid, socket: daemon.socket };
    if args.switch(&JSON) {
        output::print_json(&shown)?;
    } else {
        let Shown { status, db_path, state, txid, socket } = &shown;
        output::print(&format!(
            "status: {status}\ndb_path: {db_path}\nstate: {state}\ntxid: {txid}\nsocket: {socket}\n"
        ))?;
    }
    Ok(Exit::Success)
}
