//! `status`: how far each database has been copied into local state. Asks no daemon and no storage, except with `-socket`
//! (see [`daemon`]).

mod daemon;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use litestream_core::config::Environment;
use litestream_core::db::MetaDir;
use litestream_core::ltx::Txid;
use serde::Serialize;

use super::JSON;
use crate::args::{Args, Command, Example, Flag, Kind};
use crate::control::{SHORT_TIMEOUT, SOCKET};
use crate::exit_code::Exit;
use crate::inventory::{self, Listed};
use crate::output;
use crate::setup::{self, CONFIG, LENIENT, NO_EXPAND_ENV, PLUGIN_DIR};

/// With `-socket`: what counts as behind.
const BEHIND: Flag =
    Flag::value("behind", Kind::Duration, "DURATION", "With -socket: how far a replica may be behind.").default("10s");

/// With `-socket`: how much is listed.
const LIMIT: Flag =
    Flag::value("limit", Kind::Integer, "NUMBER", "With -socket: databases to list; 0 lists all.").default("50");

/// `status [-json] [DB_PATH]`, `status -socket PATH [-json]`.
pub const COMMAND: Command = Command {
    name: "status",
    deprecated_alias: None,
    summary: "display replication status for databases",
    about: "The status command displays the replication status of databases.",
    synopsis: &["[arguments] [DB_PATH]", "[arguments] -socket PATH"],
    flags: &[&CONFIG, &JSON, &NO_EXPAND_ENV, &LENIENT, &PLUGIN_DIR, &SOCKET, &SHORT_TIMEOUT, &BEHIND, &LIMIT],
    notes: "If a database path is provided, only that database's status is shown.\n\
            Otherwise, all configured databases are displayed; directories are searched.\n\
            \n\
            Output columns:\n  \
            database      Path to the SQLite database\n  \
            status        Current status (ok, not initialized, no database, error)\n  \
            local txid    Latest local transaction ID\n  \
            wal size      Current WAL file size\n\
            \n\
            Note: what has reached the replica is listed by the ltx command.\n\
            \n\
            With -socket the daemon there is asked: totals over all its databases, then the databases,\n\
            those whose replicas lag most first, and what was found and is not replicated. The exit\n\
            code is 1 unless every one of them is on its replica, or no further behind than -behind.",
    examples: &[
        Example { what: "Every database", line: "status" },
        Example { what: "One of them, as JSON", line: "status -json /path/to/db" },
        Example { what: "Whether a daemon protects everything", line: "status -socket /var/run/litestream.sock" },
    ],
    run,
};

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Row {
    database: String,
    status: &'static str,
    local_txid: String,
    wal_size: String,
}

fn run(args: &Args) -> anyhow::Result<Exit> {
    if args.is_given(&SOCKET) {
        return daemon::run(args);
    }
    let environment = Environment::of_process();
    let loaded = setup::load_for_report(args, &environment)?;
    let wanted = args.positionals.first().map(PathBuf::from);
    // One database is looked up by the rules, not by a scan: it may be the one that is lost.
    let inventory = match &wanted {
        None => inventory::take(&loaded.config),
        Some(path) => inventory::only(&loaded.config, path),
    };
    let rows: Vec<Row> = inventory.databases.iter().map(row).collect();
    let none_matched = rows.is_empty();
    if args.switch(&JSON) {
        output::print_json(&rows)?;
    } else {
        let cells: Vec<_> =
            rows.into_iter().map(|row| [row.database, row.status.to_owned(), row.local_txid, row.wal_size]).collect();
        output::print(&output::table(["database", "status", "local txid", "wal size"], &cells))?;
    }
    match wanted {
        None => inventory.report()?,
        Some(path) if none_matched => {
            eprintln!("Note: {} is not among the databases of the configuration; absolute paths match", path.display());
        }
        Some(_) => {}
    }
    Ok(Exit::Success)
}

fn row(listed: &Listed<'_>) -> Row {
    let (status, txid, wal_size) = judge(&listed.path, &listed.meta_path());
    Row {
        database: listed.path.to_string_lossy().into_owned(),
        status,
        local_txid: txid.map_or_else(|| "-".to_owned(), |txid| txid.to_string()),
        wal_size: wal_size.map_or_else(|| "-".to_owned(), output::human_size),
    }
}

fn judge(database: &Path, meta: &Path) -> (&'static str, Option<Txid>, Option<u64>) {
    match fs::metadata(database) {
        Ok(metadata) if metadata.is_file() => {}
        Err(error) if error.kind() != ErrorKind::NotFound => return ("error", None, None),
        _ => return ("no database", None, None),
    }
    let mut wal = database.as_os_str().to_owned();
    wal.push("-wal");
    let wal_size = fs::metadata(wal).map_or(0, |metadata| metadata.len());
    match MetaDir::new(meta).list_l0() {
        Err(_) => ("error", None, Some(wal_size)),
        Ok(files) => match files.last() {
            None => ("not initialized", None, Some(wal_size)),
            Some(newest) => ("ok", Some(newest.max_txid), Some(wal_size)),
        },
    }
}
