//! `register`: gives a running daemon another database.

use litestream_core::server::answers::RegisterAnswer;
use serde::Serialize;

use super::JSON;
use crate::args::{Args, Command, Example, Flag, Kind};
use crate::control::{self, Daemon, SOCKET, TIMEOUT};
use crate::exit_code::Exit;
use crate::failure::UsageError;
use crate::output;

const EXAMPLE: &str = "register -replica s3://bucket/prefix /path/to/db";

const REPLICA: Flag = Flag::value(
    "replica",
    Kind::Text,
    "URL",
    "Replica destination URL (e.g., s3://bucket/prefix, file:///backup/path).\nRequired.",
);

/// `register -replica URL DB_PATH`.
pub const COMMAND: Command = Command {
    name: "register",
    deprecated_alias: None,
    summary: "register a database for replication",
    about: "Register a database for replication.",
    synopsis: &["[arguments] -replica URL DB_PATH"],
    flags: &[&REPLICA, &TIMEOUT, &SOCKET, &JSON],
    notes: "A file that does not exist yet is waited for. The registration outlives restarts of the\n\
            daemon and changes of its configuration, until `unregister`.",
    examples: &[
        Example {
            what: "Register a database with an S3 replica",
            line: "register -replica s3://mybucket/db /path/to/db",
        },
        Example {
            what: "Register a database with a file replica",
            line: "register -replica file:///backup/path /path/to/db",
        },
    ],
    run,
};

#[derive(Serialize)]
struct Request {
    path: String,
    replica_url: String,
}

#[derive(Serialize)]
struct Shown {
    status: String,
    db_path: String,
    replica: String,
    socket: String,
}

fn run(args: &Args) -> anyhow::Result<Exit> {
    let path = control::database(args, EXAMPLE)?;
    let replica = args.text(&REPLICA).filter(|url| !url.is_empty());
    let replica = replica.ok_or_else(|| UsageError::with_try("-replica is required", EXAMPLE))?.to_owned();
    let daemon = Daemon::of(args, &TIMEOUT)?;
    let request = Request { path: control::text(&path), replica_url: replica.clone() };
    let answer: RegisterAnswer = daemon.post("register", &request)?;
    let shown = Shown { status: answer.status, db_path: answer.path, replica, socket: daemon.socket };
    if args.switch(&JSON) {
        output::print_json(&shown)?;
    } else {
        let Shown { status, db_path, replica, socket } = &shown;
        let status = status.replace('_', " ");
        output::print(&format!("status: {status}\ndb_path: {db_path}\nreplica: {replica}\nsocket: {socket}\n"))?;
    }
    Ok(Exit::Success)
}
