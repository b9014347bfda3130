//! `ltx`: the files of a replica.

use litestream_core::config::LoggingConfig;
use litestream_core::ltx::{LtxInfo, Txid};
use serde::Serialize;

use super::JSON;
use crate::args::{self, Args, Command, Example, Flag, Kind};
use crate::exit_code::Exit;
use crate::replica;
use crate::setup::{CONFIG, LENIENT, NO_EXPAND_ENV, PLUGIN_DIR};
use crate::{commands, logging, output, runtime};

const LEVEL: Flag =
    Flag::value("level", Kind::LevelOrAll, "LEVEL", "Compaction level to list (0-9 or \"all\").").default("0");

/// `ltx [-level LEVEL] [-json] DB_PATH|REPLICA_URL`.
pub const COMMAND: Command = Command {
    name: "ltx",
    deprecated_alias: Some("wal"),
    summary: "list available LTX files for a database",
    about: "The ltx command lists all LTX files available for a database.",
    synopsis: &["[arguments] DB_PATH", "[arguments] REPLICA_URL"],
    flags: &[&CONFIG, &NO_EXPAND_ENV, &LENIENT, &PLUGIN_DIR, &LEVEL, &JSON],
    notes: "",
    examples: &[
        Example { what: "List all LTX files for a database", line: "ltx /path/to/db" },
        Example { what: "List all LTX files for replica URL", line: "ltx s3://mybkt/db" },
        Example { what: "List LTX files at snapshot level (level 9)", line: "ltx -level 9 /path/to/db" },
        Example { what: "List LTX files across all compaction levels", line: "ltx -level all /path/to/db" },
    ],
    run,
};

#[derive(Serialize)]
struct Row {
    level: u8,
    min_txid: String,
    max_txid: String,
    size: u64,
    timestamp: String,
}

fn run(args: &Args) -> anyhow::Result<Exit> {
    let argument = commands::one_positional(args, "database path or replica URL required", "ltx /path/to/db")?;
    let chosen = replica::choose(args, &argument)?;
    logging::start(&LoggingConfig { stderr: true, ..chosen.config().logging.clone() });
    let files = runtime::block_on(async {
        let replica = chosen.open(args).await?;
        anyhow::Ok(match args::parse_level(args.text(&LEVEL).unwrap_or("0")).map_err(anyhow::Error::msg)? {
            Some(level) => replica.client.list_level(level, Txid::NONE).await?,
            None => replica.client.list_all().await?,
        })
    })?;
    let rows: Vec<Row> = files.iter().map(row).collect();
    if args.switch(&JSON) {
        output::print_json(&rows)?;
    } else {
        let cells = rows
            .into_iter()
            .map(|row| [row.level.to_string(), row.min_txid, row.max_txid, row.size.to_string(), row.timestamp]);
        let header = ["level", "min_txid", "max_txid", "size", "created"];
        output::print(&output::table(header, &cells.collect::<Vec<_>>()))?;
    }
    Ok(Exit::Success)
}

fn row(file: &LtxInfo) -> Row {
    Row {
        level: file.level.number(),
        min_txid: file.min_txid.to_string(),
        max_txid: file.max_txid.to_string(),
        size: file.size,
        timestamp: output::utc_seconds(file.created_at),
    }
}
