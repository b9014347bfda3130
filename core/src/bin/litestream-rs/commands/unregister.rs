//! `unregister`: has a running daemon forget a database, after a last sync.

use litestream_core::server::answers::Done;
use serde::Serialize;

use super::JSON;
use crate::args::{Args, Command, Example, Flag};
use crate::control::{self, Daemon, SOCKET, TIMEOUT};
use crate::exit_code::Exit;
use crate::output;

const DRY_RUN: Flag = Flag::switch("dry-run", "Preview what would be unregistered without changing the daemon.");

/// `unregister [-dry-run] DB_PATH`.
pub const COMMAND: Command = Command {
    name: "unregister",
    deprecated_alias: None,
    summary: "unregister a database from replication",
    about: "Unregister a database from replication.",
    synopsis: &["[arguments] DB_PATH"],
    flags: &[&TIMEOUT, &SOCKET, &DRY_RUN, &JSON],
    notes: "The database leaves after the timeout even if the final sync failed, which is an error\n\
            then. What it was not able to upload is kept and continued if it is registered again.",
    examples: &[
        Example { what: "Unregister a database from the running daemon", line: "unregister /path/to/db" },
        Example { what: "Preview an unregister request", line: "unregister -dry-run /path/to/db" },
    ],
    run,
};

#[derive(Serialize)]
struct Request {
    path: String,
    timeout: i64,
}

#[derive(Serialize)]
struct Shown {
    status: String,
    db_path: String,
    final_txid: u64,
    socket: String,
}

fn run(args: &Args) -> anyhow::Result<Exit> {
    let path = control::database(args, "unregister /path/to/db")?;
    let daemon = Daemon::of(args, &TIMEOUT)?;
    if args.switch(&DRY_RUN) {
        let (database, socket, timeout) = (path.display(), &daemon.socket, daemon.timeout);
        output::print(&format!(
            "Dry run: unregister request preview\n  database: {database}\n  socket: {socket}\n  \
             replicas: daemon-managed replica for this database\n  \
             final sync: daemon close will sync the database and replica before the command completes\n  \
             timeout: {timeout}s\nNo unregister request was sent.\n"
        ))?;
        return Ok(Exit::Success);
    }
    let request = Request { path: control::text(&path), timeout: daemon.timeout };
    let answer: Done = daemon.post("unregister", &request)?;
    let shown = Shown { status: answer.status, db_path: answer.path, final_txid: answer.txid, socket: daemon.socket };
    if args.switch(&JSON) {
        output::print_json(&shown)?;
    } else {
        let Shown { status, db_path, final_txid, socket } = &shown;
        output::print(&format!("status: {status}\ndb_path: {db_path}\nfinal_txid: {final_txid}\nsocket: {socket}\n"))?;
    }
    Ok(Exit::Success)
}
