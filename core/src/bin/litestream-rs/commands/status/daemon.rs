//! `status -socket`: how the databases of a running daemon fare, those that lag most first.

use litestream_core::config::GoDuration;
use litestream_core::server::answers::{Database, Status};

use super::super::JSON;
use super::{BEHIND, LIMIT};
use crate::args::Args;
use crate::control::{Daemon, SHORT_TIMEOUT};
use crate::exit_code::Exit;
use crate::failure::UsageError;
use crate::output;

/// Asks, prints, and judges.
///
/// # Errors
/// Nobody there, or something is not protected.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    if !args.positionals.is_empty() {
        return Err(UsageError::with_try("-socket asks for all databases", "why -socket PATH DB_PATH"));
    }
    let behind: GoDuration = args.text(&BEHIND).and_then(|text| text.parse().ok()).unwrap_or_default();
    let limit: i64 = args.text(&LIMIT).and_then(|text| text.parse().ok()).unwrap_or_default();
    let limit = if limit > 0 { format!("&limit={limit}") } else { String::new() };
    let seconds = behind.to_std().as_secs_f64();
    let status: Status = Daemon::of(args, &SHORT_TIMEOUT)?.get(&format!("status?behind={seconds}{limit}"))?;
    if args.switch(&JSON) {
        output::print_json(&status)?;
    } else {
        output::print(&text(&status))?;
    }
    let unprotected = status.totals.unprotected;
    anyhow::ensure!(unprotected == 0, "not protected: {unprotected}");
    Ok(Exit::Success)
}

fn text(status: &Status) -> String {
    let totals = &status.totals;
    let mut text = format!("databases: {}\n", totals.databases);
    let behind = format!("behind by more than {}s", totals.behind_seconds);
    for (name, count) in [
        ("replicating", totals.replicating),
        ("idle", totals.idle),
        (&behind, totals.behind),
        ("quarantined", totals.quarantined),
        ("starting", totals.starting),
        ("stopped", totals.stopped),
        ("without a file", totals.missing),
        ("leaving", totals.removing),
    ] {
        text.push_str(&format!("  {name}: {count}\n"));
    }
    text.push_str(&format!("found and not replicated: {}\n\n", totals.not_replicated));
    let cells: Vec<_> = status.databases.iter().map(cells).collect();
    text.push_str(&output::table(["database", "state", "lag", "txid", "replica txid", "error"], &cells));
    text.push_str(&more(totals.databases, cells.len()));
    for refused in &status.not_replicated {
        text.push_str(&format!("\n{} is not replicated: {}", refused.path, refused.reason));
    }
    if !status.not_replicated.is_empty() {
        text.push('\n');
    }
    text.push_str(&more(totals.not_replicated, status.not_replicated.len()));
    text
}

fn more(all: usize, shown: usize) -> String {
    match all.saturating_sub(shown) {
        0 => String::new(),
        more => format!("and {more} more (-limit 0 shows all)\n"),
    }
}

fn cells(database: &Database) -> [String; 6] {
    let lag = if database.lag_seconds > 0.0 { format!("{:.1}s", database.lag_seconds) } else { "-".to_owned() };
    let error = database.error.clone().unwrap_or_default();
    let Database { path, state, txid, replica_txid, .. } = database;
    [path.clone(), state.clone(), lag, txid.clone(), replica_txid.clone(), error]
}
