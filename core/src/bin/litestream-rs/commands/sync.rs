//! `sync`: has a running daemon sync a database now.

use litestream_core::clock;
use litestream_core::server::answers::SyncAnswer;
use serde::Serialize;

use super::JSON;
use crate::args::{Args, Command, Example, Flag};
use crate::control::{self, Daemon, SOCKET, TIMEOUT};
use crate::exit_code::Exit;
use crate::output;

const WAIT: Flag = Flag::switch("wait", "Block until sync completes including remote replication.");

/// `sync [-wait] DB_PATH`.
pub const COMMAND: Command = Command {
    name: "sync",
    deprecated_alias: None,
    summary: "force an immediate sync for a database",
    about: "Force an immediate sync for a database.",
    synopsis: &["[arguments] DB_PATH"],
    flags: &[&WAIT, &TIMEOUT, &SOCKET, &JSON],
    notes: "A sync that takes longer than the timeout goes on in the daemon.",
    examples: &[
        Example { what: "Copy what was committed into local state", line: "sync /path/to/db" },
        Example { what: "And wait until it is on the replica", line: "sync -wait -timeout 120 /path/to/db" },
    ],
    run,
};

#[derive(Serialize)]
struct Request {
    path: String,
    wait: bool,
    timeout: i64,
}

#[derive(Serialize)]
struct Shown {
    db_path: String,
    txid: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    replica_txid: Option<u64>,
    duration_ms: u128,
}

fn run(args: &Args) -> anyhow::Result<Exit> {
    let path = control::database(args, "sync /path/to/db")?;
    let daemon = Daemon::of(args, &TIMEOUT)?;
    let (wait, started) = (args.switch(&WAIT), clock::monotonic());
    let request = Request { path: control::text(&path), wait, timeout: daemon.timeout };
    let answer: SyncAnswer = daemon.post("sync", &request)?;
    let shown = Shown {
        db_path: answer.path,
        txid: answer.txid,
        replica_txid: wait.then_some(answer.replicated_txid),
        duration_ms: started.elapsed().as_millis(),
    };
    if args.switch(&JSON) {
        output::print_json(&shown)?;
    } else {
        let on_replica = shown.replica_txid.map_or_else(String::new, |txid| format!("replica_txid: {txid}\n"));
        let Shown { db_path, txid, duration_ms, .. } = &shown;
        output::print(&format!("db_path: {db_path}\ntxid: {txid}\n{on_replica}duration_ms: {duration_ms}\n"))?;
    }
    Ok(Exit::Success)
}
