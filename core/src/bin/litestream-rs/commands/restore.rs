//! `restore`: brings a database back from its replica.

mod directory;
mod directory_bar;
mod directory_report;
mod options;
mod progress_bar;
mod report;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use litestream_core::clock;
use litestream_core::config::LoggingConfig;
use litestream_core::ltx::Txid;
use litestream_core::replica::layout_segment;
use litestream_core::restore::{self, FollowError, FollowOptions, Output, OutputRules, RestoreError, RestoreOptions};

use super::JSON;
use crate::args::{Args, Command, Example, Flag, Kind};
use crate::exit_code::Exit;
use crate::failure::UsageError;
use crate::replica::{self, OpenReplica};
use crate::setup::{CONFIG, LENIENT, NO_EXPAND_ENV, PLUGIN_DIR};
use crate::signals::Signals;
use crate::{failure, logging, output, runtime};
use options::Options;
use progress_bar::ProgressBar;

const OUTPUT: Flag =
    Flag::value("o", Kind::Path, "PATH", "Output path of the restored database.\nDefaults to original DB path.");
const TXID: Flag = Flag::value(
    "txid",
    Kind::Txid,
    "TXID",
    "Restore up to a specific hex-encoded transaction ID (inclusive).\n\
     Defaults to use the highest available transaction.",
);
const TIMESTAMP: Flag = Flag::value(
    "timestamp",
    Kind::Text,
    "TIMESTAMP",
    "Restore to a specific point-in-time.\nDefaults to use the latest available backup.",
);
const PARALLELISM: Flag =
    Flag::value("parallelism", Kind::Integer, "NUM", "Determines the number of files downloaded in parallel.")
        .default("8");
const IF_DB_NOT_EXISTS: Flag =
    Flag::switch("if-db-not-exists", "Returns exit code of 0 if the database already exists.");
const IF_REPLICA_EXISTS: Flag = Flag::switch("if-replica-exists", "Returns exit code of 0 if no backups found.");
const DRY_RUN: Flag = Flag::switch("dry-run", "Print the restore plan and exit without writing a database.");
const FORCE: Flag = Flag::switch("force", "Overwrite an existing output database and SQLite sidecar files.");
const FOLLOW: Flag = Flag::switch(
    "f",
    "Follow mode. After restoring, continuously poll for and apply\n\
     new changes. Similar to tail -f. The restored database should\n\
     only be opened in read-only mode by consumers.\n\
     Cannot be used with -txid or -timestamp.",
);
const FOLLOW_INTERVAL: Flag =
    Flag::value("follow-interval", Kind::Duration, "DURATION", "Polling interval for follow mode.").default("1s");
const INTEGRITY_CHECK: Flag = Flag::value(
    "integrity-check",
    Kind::Choice(&["none", "quick", "full"]),
    "MODE",
    "Check the database before it appears at the output path.\nMODE is one of: none, quick, full.",
)
.default("none");

const DIRECTORY: Flag = Flag::switch(
    "dir",
    "Restore every database below a replica URL, or of a directory in the\n\
     configuration. Interrupted, it goes on when it is run again.",
);
const INCLUDE: Flag = Flag::value(
    "include",
    Kind::Text,
    "PATTERN",
    "With -dir: only these databases. A pattern without a slash is compared\n\
     with the file name, one with a slash with the path below the directory.",
)
.repeatable();
const EXCLUDE: Flag = Flag::value("exclude", Kind::Text, "PATTERN", "With -dir: all but these databases.").repeatable();

/// `restore [flags] DB_PATH|REPLICA_URL`.
pub const COMMAND: Command = Command {
    name: "restore",
    deprecated_alias: None,
    summary: "recovers database backup from a replica",
    about: "The restore command recovers a database from a previous snapshot and WAL.",
    synopsis: &["[arguments] DB_PATH", "[arguments] REPLICA_URL", "-dir [arguments] DIR|REPLICA_URL"],
    flags: &[
        &CONFIG,
        &NO_EXPAND_ENV,
        &LENIENT,
        &PLUGIN_DIR,
        &TXID,
        &TIMESTAMP,
        &OUTPUT,
        &IF_DB_NOT_EXISTS,
        &IF_REPLICA_EXISTS,
        &DRY_RUN,
        &FORCE,
        &JSON,
        &FOLLOW,
        &FOLLOW_INTERVAL,
        &PARALLELISM,
        &INTEGRITY_CHECK,
        &DIRECTORY,
        &INCLUDE,
        &EXCLUDE,
    ],
    notes: "A database of a directory replica is restored by its own path, or by the URL of\n\
            the replica with the path below the directory added.\n\
            \n\
            With -dir, -o names a directory, -timestamp is the same moment for every database\n\
            (one that did not exist then is left out), and -parallelism is the number of\n\
            databases restored at the same time, 32 by default. What could not be restored is\n\
            reported at the end, with exit code 1. The same command goes on where a run ended:\n\
            finished databases are not done again, nothing half written has a final name.",
    examples: &[
        Example { what: "Restore latest replica for database to original location", line: "restore /path/to/db" },
        Example {
            what: "Restore replica for database to a given point in time",
            line: "restore -timestamp 2020-01-01T00:00:00Z /path/to/db",
        },
        Example { what: "Restore database from S3 replica URL", line: "restore -o /tmp/db s3://mybucket/db" },
        Example {
            what: "Restore one database of a replicated directory",
            line: "restore -o /tmp/tenant1.db s3://mybucket/tenants/tenant1.db",
        },
        Example {
            what: "Restore every database of a replicated directory",
            line: "restore -dir -o /var/lib/tenants s3://mybucket/tenants",
        },
        Example {
            what: "Preview restore plan without writing a database",
            line: "restore -dry-run -o /tmp/db s3://mybucket/db",
        },
        Example {
            what: "Continuously restore (follow) a database from a replica",
            line: "restore -f -o /tmp/read-replica.db s3://mybucket/db",
        },
    ],
    run,
};

fn run(args: &Args) -> anyhow::Result<Exit> {
    if args.switch(&DIRECTORY) {
        return directory::run(args);
    }
    if let Some(flag) = [&INCLUDE, &EXCLUDE].into_iter().find(|flag| args.is_given(flag)) {
        return Err(UsageError::new(format!("-{} needs -dir", flag.name)));
    }
    let options = Options::read(args)?;
    let chosen = replica::choose(args, &options.argument)?;
    let configured = &chosen.config().logging;
    logging::start(&LoggingConfig { stderr: options.json || configured.stderr, ..configured.clone() });
    let Some(path) = options.output.clone().or_else(|| chosen.database.clone()) else {
        let argument = options.argument.to_string_lossy();
        let example = format!("restore -o /path/to/db {argument}");
        return Err(UsageError::with_try("-o is required when restoring from a replica URL", example));
    };
    options.check_follow()?;
    if options.skip_existing && !options.follow && path.exists() {
        tracing::info!("database already exists, skipping");
        return Ok(Exit::Success);
    }
    let name = chosen.name.clone();
    runtime::block_on(async move {
        let replica = chosen.open(args).await?;
        let result = if options.dry_run {
            options.check_target()?;
            plan(&replica, &options, &name, &path).await
        } else if options.follow {
            follow(&replica, &options, &path).await
        } else {
            restore_to(&replica, &options, &path).await
        };
        match result {
            Err(error) if options.forgive_nothing && !options.dry_run && is_nothing(&error) => {
                tracing::info!("no matching backups found");
                Ok(Exit::Success)
            }
            Err(error) => Err(explain(error, &replica).await),
            Ok(()) => Ok(Exit::Success),
        }
    })
}

async fn plan(replica: &OpenReplica, options: &Options, name: &str, path: &Path) -> anyhow::Result<()> {
    let choice = replica.choose(options.target).await?;
    let plan = report::PlanReport::new(&choice, name, path, &replica.kind);
    if options.json {
        output::print_json(&plan)?
    } else {
        output::print(&plan.to_text())?
    }
    Ok(())
}

async fn restore_to(replica: &OpenReplica, options: &Options, path: &Path) -> anyhow::Result<()> {
    let started = clock::monotonic();
    let rules = OutputRules { force: options.force, skip_existing: false };
    let Some(output) = Output::check(path, rules).map_err(RestoreError::from)? else { return Ok(()) };
    options.check_target()?;
    let how = RestoreOptions { parallelism: options.parallelism, integrity: options.integrity };
    let bar = ProgressBar::new(path);
    let restored = replica.restore(options.target, &output, how, &bar).await?;
    report(replica, options, path, restored.txid, started)
}

/// Restores or resumes, and follows the replica until a signal comes.
async fn follow(replica: &OpenReplica, options: &Options, path: &Path) -> anyhow::Result<()> {
    let started = clock::monotonic();
    let mut signals = Signals::install()?;
    let how = FollowOptions {
        interval: options.follow_interval,
        force: options.force,
        restore: RestoreOptions { parallelism: options.parallelism, integrity: options.integrity },
    };
    let bar = ProgressBar::new(path);
    let stop = async {
        signals.next().await;
    };
    let txid = restore::follow(Arc::new(replica.client.clone()), path, how, &bar, stop).await?;
    report(replica, options, path, txid, started)
}

/// What was restored, for `-json`; without it, success is silent.
fn report(replica: &OpenReplica, options: &Options, path: &Path, txid: Txid, started: Instant) -> anyhow::Result<()> {
    if options.json {
        output::print_json(&report::RestoreReport {
            db_path: path.to_string_lossy().into_owned(),
            replica: replica.kind.clone(),
            txid: txid.to_string(),
            duration_ms: clock::monotonic().saturating_duration_since(started).as_millis(),
            integrity_check: options.integrity.as_str(),
        })?;
    }
    Ok(())
}

fn is_nothing(error: &anyhow::Error) -> bool {
    let restoring = error.downcast_ref::<RestoreError>().or_else(|| match error.downcast_ref::<FollowError>() {
        Some(FollowError::Restore(error)) => Some(error),
        _ => None,
    });
    restoring.is_some_and(RestoreError::is_nothing_to_restore)
}

/// Nothing to restore is most often a wrong path, so the error says what is at the path.
async fn explain(error: anyhow::Error, replica: &OpenReplica) -> anyhow::Error {
    if !is_nothing(&error) {
        return error;
    }
    let names = replica.names_below().await.unwrap_or_default();
    let own = |name: &String| layout_segment(name.as_bytes());
    let place = format!("{} in the {} replica", replica.client.path(), replica.kind);
    let note = if names.iter().any(own) {
        return error;
    } else if names.is_empty() {
        format!("there is nothing at {place}")
    } else {
        format!("{place} belongs to no database; below it are {}", names.join(", "))
    };
    UsageError::with_note(failure::chain(&error), Some(note))
}
