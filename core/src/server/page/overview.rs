//! `/`: sums, what lags, what is not protected and why, and a search.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::clock;
use crate::fleet::{DatabaseStatus, StatusRow};
use crate::server::{Watched, request};

use super::html::{count, duration, escape, link, size, time};
use super::page;

/// Rows of each list. Who has more than these to look at needs the metrics.
const ROWS: usize = 50;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How often the page asks for itself again, in seconds.
const REFRESH: u32 = 5;

pub(in crate::server) async fn overview(State(watched): State<Arc<Watched>>, RawQuery(query): RawQuery) -> Response {
    let wanted = request::query_value(query.as_deref(), "q").filter(|text| !text.is_empty());
    let made = tokio::task::spawn_blocking(move || body(&watched, wanted.as_deref())).await;
    match made {
        Ok(body) => page(StatusCode::OK, "litestream-rs", Some(REFRESH), &body),
        Err(_) => page(StatusCode::INTERNAL_SERVER_ERROR, "litestream-rs", None, "<p>The page could not be made.</p>"),
    }
}

fn body(watched: &Watched, wanted: Option<&str>) -> String {
    let (rows, refused) = (watched.fleet.snapshot(), watched.fleet.refused());
    let now = time(i64::try_from(clock::unix_time().as_millis()).unwrap_or(i64::MAX));
    let sections = [
        format!("<header><h1>litestream-rs</h1><span class=\"soft\">{VERSION}, as of {now}</span></header>\n"),
        verdict(&rows, refused.len()),
        sums(watched, &rows, refused.len()),
        unprotected(&rows, &refused),
        lagging(&rows),
        search(&rows, wanted),
        "<p class=\"soft\">This page shows and changes nothing. The same as numbers: <a href=\"/metrics\">metrics</a></p>\n"
            .to_owned(),
    ];
    sections.concat()
}

/// The answer to the first question, in a sentence.
fn verdict(rows: &[StatusRow], refused: usize) -> String {
    let all = rows.len() + refused;
    let bad = refused + rows.iter().filter(|row| is_unprotected(row)).count();
    let behind = rows.iter().filter(|row| is_lagging(row) && !is_unprotected(row)).count();
    let (class, text) = match (all, bad, behind) {
        (0, ..) => ("warn", "There is no database to protect.".to_owned()),
        (1, 0, 0) => ("good", "The database is on its replica.".to_owned()),
        (_, 0, 0) => ("good", format!("All {} databases are on their replica.", count(all))),
        (_, 0, _) => ("warn", format!("{} of {} databases have news that is on its way.", count(behind), count(all))),
        _ => ("bad", format!("{} of {} databases are not protected.", count(bad), count(all))),
    };
    format!("<p class=\"verdict {class}\">{text}</p>\n")
}

fn sums(watched: &Watched, rows: &[StatusRow], refused: usize) -> String {
    let reading = watched.reading();
    let state = |status| rows.iter().filter(|row| row.status == status).count();
    let cell = |class: &str, value: &str, what: &str| format!("<div class=\"{class}\"><b>{value}</b>{what}</div>");
    let number =
        |class: &str, number: usize, what: &str| cell(if number == 0 { "zero" } else { class }, &count(number), what);
    let memory = format!("{} of {} memory in use", size(reading.budget_used_bytes), size(reading.budget_bytes));
    let used = reading.budget_used_bytes.saturating_mul(100) / reading.budget_bytes.max(1);
    let cells = [
        number("", rows.len(), "databases"),
        number("good", rows.iter().filter(|row| is_protected(row)).count(), "on their replica"),
        number("", rows.iter().filter(|row| is_lagging(row)).count(), "lagging"),
        number("bad", state(DatabaseStatus::Failing), "failing"),
        number("bad", state(DatabaseStatus::Conflict), "in conflict"),
        number("bad", refused, "refused"),
        number("", state(DatabaseStatus::Missing), "without a file"),
        number("", state(DatabaseStatus::Stopped), "stopped"),
        cell("", &count(reading.open), &format!("open of at most {}", count(reading.open_limit))),
        cell("", &format!("{used} %"), &memory),
    ];
    format!("<div class=\"sums\">{}</div>\n", cells.concat())
}

fn search(rows: &[StatusRow], wanted: Option<&str>) -> String {
    let text = wanted.unwrap_or_default();
    let form = format!(
        "<h2>Find a database</h2>\n<form action=\"/\"><input name=\"q\" value=\"{}\" placeholder=\"part of its path\" \
         aria-label=\"part of its path\"> <button>Find</button></form>\n",
        escape(text)
    );
    // A few databases need no search.
    if wanted.is_none() && rows.len() > ROWS {
        return form;
    }
    let mut found: Vec<&StatusRow> = rows.iter().filter(|row| row.path.to_string_lossy().contains(text)).collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    if found.is_empty() && wanted.is_some() {
        return form + "<p class=\"soft\">None has this in its path.</p>\n";
    }
    let lines = found.iter().map(|row| format!("<tr><td>{}</td><td>{}</td></tr>", name(row), badge(row)));
    form + &table(found.len(), lines)
}

fn lagging(rows: &[StatusRow]) -> String {
    let mut lagging: Vec<&StatusRow> = rows.iter().filter(|row| is_lagging(row)).collect();
    if lagging.is_empty() {
        return "<h2>What lags</h2>\n<p class=\"soft\">Nothing: every commit that was seen is on a replica.</p>\n"
            .to_owned();
    }
    // Those whose last upload is longest ago, or never was, first.
    lagging.sort_by_key(|row| row.last_sync.unwrap_or(0));
    let now = i64::try_from(clock::unix_time().as_secs()).unwrap_or(i64::MAX);
    let lines = lagging.iter().map(|row| {
        let behind = row.txid.0.saturating_sub(row.replica_txid.0);
        let last = row.last_sync.map_or_else(
            || "no upload yet".to_owned(),
            |at| format!("last upload {} ago", duration(now - i64::from(at))),
        );
        let behind = match behind {
            1 => "1 transaction".to_owned(),
            more => format!("{} transactions", count(usize::try_from(more).unwrap_or(usize::MAX))),
        };
        format!("<tr><td>{}</td><td>{behind} behind</td><td>{last}</td></tr>", name(row))
    });
    format!("<h2>What lags</h2>\n{}", table(lagging.len(), lines))
}

fn unprotected(rows: &[StatusRow], refused: &[(PathBuf, String)]) -> String {
    let mut bad: Vec<&StatusRow> = rows.iter().filter(|row| is_unprotected(row)).collect();
    let number = bad.len() + refused.len();
    if number == 0 {
        return "<h2>What is not protected</h2>\n<p class=\"soft\">Nothing that was found.</p>\n".to_owned();
    }
    bad.sort_by(|a, b| a.path.cmp(&b.path));
    let known = bad.iter().map(|row| {
        let reason = match (&row.error, row.status) {
            (Some(error), _) => escape(error),
            (None, DatabaseStatus::Missing) => "There is no file at this path.".to_owned(),
            (None, DatabaseStatus::Stopped) => "Stopped by an operator.".to_owned(),
            (None, _) => String::new(),
        };
        format!("<tr><td>{}</td><td>{}</td><td>{reason}</td></tr>", name(row), badge(row))
    });
    let others = refused.iter().map(|(path, reason)| {
        let (path, reason) = (escape(&path.to_string_lossy()), escape(reason));
        format!("<tr><td>{path}</td><td><span class=\"badge bad\">refused</span></td><td>{reason}</td></tr>")
    });
    format!("<h2>What is not protected</h2>\n{}", table(number, known.chain(others)))
}

fn table(number: usize, lines: impl Iterator<Item = String>) -> String {
    let shown: String = lines.take(ROWS).collect();
    let more = match number.saturating_sub(ROWS) {
        0 => String::new(),
        more => format!("<p class=\"soft\">and {} more</p>\n", count(more)),
    };
    format!("<table class=\"rows\">{shown}</table>\n{more}")
}

fn name(row: &StatusRow) -> String {
    let path = row.path.to_string_lossy();
    format!("<a href=\"{}\">{}</a>", link(&path, None), escape(&path))
}

pub(super) fn badge(row: &StatusRow) -> String {
    let (class, text) = match row.status {
        _ if is_protected(row) => ("good", "on its replica"),
        DatabaseStatus::Failing | DatabaseStatus::Conflict => ("bad", row.status.as_str()),
        DatabaseStatus::Replicating | DatabaseStatus::Starting => ("warn", "on its way"),
        _ => ("", row.status.as_str()),
    };
    format!("<span class=\"badge {class}\">{text}</span>")
}

fn is_unprotected(row: &StatusRow) -> bool {
    !matches!(row.status, DatabaseStatus::Replicating | DatabaseStatus::Starting)
}

fn is_protected(row: &StatusRow) -> bool {
    row.status == DatabaseStatus::Replicating && row.uploaded
}

fn is_lagging(row: &StatusRow) -> bool {
    !row.uploaded && !matches!(row.status, DatabaseStatus::Missing | DatabaseStatus::Stopped)
}
