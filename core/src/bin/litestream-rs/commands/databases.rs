//! `databases`: what is replicated, and where to.

mod below;

use litestream_core::config::Environment;
use litestream_core::plugin::Registry;
use serde::Serialize;

use super::JSON;
use crate::args::{Args, Command, Example};
use crate::exit_code::Exit;
use crate::inventory::{self, Listed};
use crate::setup::{self, CONFIG, LENIENT, NO_EXPAND_ENV, PLUGIN_DIR};
use crate::{commands, output};

/// `databases [-json] [REPLICA_URL|DIR]`.
pub const COMMAND: Command = Command {
    name: "databases",
    deprecated_alias: None,
    summary: "list databases specified in config file",
    about: "The databases command lists all databases in the configuration file.\n\
            Directories are searched, so the list holds what would be replicated now.\n\
            With a replica URL, or the directory of an entry, it lists the databases that the\n\
            replica holds: newest restore point, its age, and how much a restore reads.",
    synopsis: &["[arguments]", "[arguments] REPLICA_URL", "[arguments] DIR"],
    flags: &[&CONFIG, &JSON, &NO_EXPAND_ENV, &LENIENT, &PLUGIN_DIR],
    notes: "Files that a directory's pattern takes and that are not replicated are named on\n\
            stderr, with the reason.",
    examples: &[
        Example { what: "List what the default configuration replicates", line: "databases" },
        Example { what: "List what can be restored", line: "databases s3://mybucket/tenants" },
        Example {
            what: "As JSON, from another configuration",
            line: "databases -json -config /path/to/litestream.yml",
        },
    ],
    run,
};

#[derive(Serialize)]
struct Row {
    path: String,
    replica: String,
}

fn run(args: &Args) -> anyhow::Result<Exit> {
    match args.positionals.as_slice() {
        [] => {}
        [argument] => return below::run(args, argument),
        _ => commands::no_positionals(args)?,
    }
    let environment = Environment::of_process();
    let loaded = setup::load_for_report(args, &environment)?;
    let registry = setup::plugins(args, Some(&loaded.config), &environment);
    let inventory = inventory::take(&loaded.config);
    let rows: Vec<Row> = inventory.databases.iter().map(|listed| row(listed, &registry)).collect();
    if args.switch(&JSON) {
        output::print_json(&rows)?;
    } else {
        let cells: Vec<_> = rows.into_iter().map(|row| [row.path, row.replica]).collect();
        output::print(&output::table(["path", "replica"], &cells))?;
    }
    inventory.report()?;
    Ok(Exit::Success)
}

fn row(listed: &Listed<'_>, registry: &Registry) -> Row {
    Row {
        path: listed.path.to_string_lossy().into_owned(),
        replica: replica_type(registry, &listed.entry.replica.kind),
    }
}

/// The type's usual name (`gs` for `gcs`), if its plugin is here to tell.
fn replica_type(registry: &Registry, kind: &str) -> String {
    let mut records = registry.files().iter().filter_map(|file| file.record.as_ref().ok());
    let record = records.find(|record| record.claims().contains(&kind));
    record.map_or(kind, |record| record.replica_type()).to_owned()
}
