//! `reset`: forgets the local state of a database, so that the next sync is a full one.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use litestream_core::config::{self, Environment, Source};
use litestream_core::db::MetaDir;
use litestream_core::discovery::MetaLocation;

use crate::args::{Args, Command, Example, Flag};
use crate::exit_code::Exit;
use crate::inventory;
use crate::setup::{self, CONFIG, LENIENT, NO_EXPAND_ENV, PLUGIN_DIR};
use crate::{commands, logging, output};

const DRY_RUN: Flag = Flag::switch("dry-run", "Print the local LTX files that would be removed without deleting them.");

/// `reset [-dry-run] DB_PATH`.
pub const COMMAND: Command = Command {
    name: "reset",
    deprecated_alias: None,
    summary: "reset local state for a database",
    about: "The reset command clears local Litestream state for a database.\n\
            \n\
            This is useful for recovering from corrupted or missing LTX files. The reset\n\
            removes local LTX files from the metadata directory, forcing a fresh snapshot\n\
            on the next sync. The database file itself is not modified.",
    synopsis: &["[arguments] DB_PATH"],
    flags: &[&CONFIG, &NO_EXPAND_ENV, &LENIENT, &PLUGIN_DIR, &DRY_RUN],
    notes: "The configuration is read only if -config is given; without it, local state is\n\
            looked for beside the database.",
    examples: &[
        Example { what: "Reset local state for a specific database", line: "reset /path/to/database.db" },
        Example { what: "Preview local files that would be removed", line: "reset -dry-run /path/to/database.db" },
        Example {
            what: "Use the metadata directory of a configuration file",
            line: "reset -config /etc/litestream.yml /path/to/database.db",
        },
    ],
    run,
};

fn run(args: &Args) -> anyhow::Result<Exit> {
    let environment = Environment::of_process();
    let argument = commands::one_positional(args, "database path required", "reset /path/to/db")?;
    let database = commands::expand_path(&environment, &argument)?;
    let mut request = setup::load_request(args, environment);
    if !args.is_given(&CONFIG) {
        request.source = Source::None;
    }
    let loaded = config::load(&request).context("cannot read config")?;
    setup::warn_on_stderr(&loaded.warnings);
    let meta = MetaDir::new(match inventory::find(&loaded.config, &database) {
        Some(listed) => listed.meta_path(),
        None => MetaLocation::Beside.meta_path(&database, None),
    });
    anyhow::ensure!(database.exists(), "database does not exist: {}", database.display());
    if !meta.root().exists() {
        output::print(&format!(
            "No local state to reset for {}\nMeta directory does not exist: {}\n",
            database.display(),
            meta.root().display()
        ))?;
    } else if args.switch(&DRY_RUN) {
        output::print(&preview(&database, &meta)?)?;
    } else {
        logging::start(&loaded.config.logging);
        remove(&database, &meta)?;
    }
    Ok(Exit::Success)
}

fn preview(database: &Path, meta: &MetaDir) -> anyhow::Result<String> {
    let ltx = meta.root().join("ltx");
    let mut text = format!(
        "Dry run: local Litestream state would be reset for: {}\nWould remove: {}\n",
        database.display(),
        ltx.display()
    );
    let mut files = Vec::new();
    files_below(&ltx, &mut files).with_context(|| format!("cannot list {}", ltx.display()))?;
    files.sort();
    if files.is_empty() {
        text.push_str("No local LTX files would be removed.\n");
    } else {
        text.push_str("Files that would be removed:\n");
        text.extend(files.iter().map(|file| format!("  {}\n", file.display())));
    }
    text.push_str("No files were removed.\n");
    Ok(text)
}

fn remove(database: &Path, meta: &MetaDir) -> anyhow::Result<()> {
    let ltx = meta.root().join("ltx");
    let (shown, name) = (database.display(), database.file_name().unwrap_or(OsStr::new("")).to_string_lossy());
    output::print(&format!("Resetting local Litestream state for: {shown}\nRemoving: {}\n", ltx.display()))?;
    let (meta_path, ltx_dir) = (meta.root().display(), ltx.display());
    tracing::info!(db = %name, path = %shown, %meta_path, %ltx_dir, "resetting local litestream state");
    meta.reset().with_context(|| format!("cannot remove {}", ltx.display()))?;
    tracing::info!(db = %name, path = %shown, "local state reset complete, next sync will create fresh snapshot");
    output::print("Reset complete. Next replication sync will create a fresh snapshot.\n")?;
    Ok(())
}

/// Every file below a directory; an absent one has none.
fn files_below(directory: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files_below(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}
