//! `/`: sums, what lags, what is not protected and why, and a search.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::clock;
use crate::fleet::{DatabaseStatus, StatusRow};
use crate::server::Watched;

use super::html::{duration, escape, link, size};
use super::page;

/// Rows of each list. Who has more than these to look at needs the metrics.
const ROWS: usize = 50;

/// How often the page asks for itself again, in seconds.
const REFRESH: u32 = 5;

pub(in crate::server) async fn overview(State(watched): State<Arc<Watched>>, RawQuery(query): RawQuery) -> Response {
    let wanted = query.as_deref().and_then(|query| {
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.find(|(name, _)| name == "q").map(|(_, value)| value.into_owned())
    });
    let wanted = wanted.filter(|text| !text.is_empty());
    let made = tokio::task::spawn_blocking(move || body(&watched, wanted.as_deref())).await;
    match made {
        Ok(body) => page(StatusCode::OK, "litestream-rs", Some(REFRESH), &body),
        Err(_) => page(StatusCode::INTERNAL_SERVER_ERROR, "litestream-rs", None, "<p>The page could not be made.</p>"),
    }
}

fn body(watched: &Watched, wanted: Option<&str>) -> String {
    let (rows, refused) = (watched.fleet.snapshot(), watched.fleet.refused());
    let sections = [
        sums(watched, &rows, refused.len()),
        search(&rows, wanted),
        lagging(&rows),
        unprotected(&rows, &refused),
        "<p class=\"soft\"><a href=\"/metrics\">metrics</a></p>\n".to_owned(),
    ];
    sections.concat()
}

fn sums(watched: &Watched, rows: &[StatusRow], refused: usize) -> String {
    let reading = watched.reading();
    let state = |status| rows.iter().filter(|row| row.status == status).count();
    let bad = |count: usize| if count > 0 { " class=\"bad\"" } else { "" };
    let cell = |class: &str, value: &str, what: &str| format!("<div{class}><b>{value}</b>{what}</div>");
    let protected = rows.iter().filter(|row| is_protected(row)).count();
    let [failing, conflict, missing, stopped] =
        [DatabaseStatus::Failing, DatabaseStatus::Conflict, DatabaseStatus::Missing, DatabaseStatus::Stopped]
            .map(state);
    let budget = format!("{} of {}", size(reading.budget_used_bytes), size(reading.budget_bytes));
    let cells = [
        cell("", &rows.len().to_string(), "databases"),
        cell(" class=\"good\"", &protected.to_string(), "on their replica"),
        cell("", &rows.iter().filter(|row| is_lagging(row)).count().to_string(), "lag"),
        cell(bad(failing), &failing.to_string(), "failing"),
        cell(bad(conflict), &conflict.to_string(), "in conflict"),
        cell(bad(refused), &refused.to_string(), "refused"),
        cell("", &missing.to_string(), "without a file"),
        cell("", &stopped.to_string(), "stopped"),
        cell("", &format!("{} of {}", reading.open, reading.open_limit), "open"),
        cell("", &budget, "memory in use"),
    ];
    format!("<h1>litestream-rs</h1>\n<div class=\"sums\">{}</div>\n", cells.concat())
}

fn search(rows: &[StatusRow], wanted: Option<&str>) -> String {
    let text = wanted.unwrap_or_default();
    let form = format!(
        "<h2>Find a database</h2>\n<form action=\"/\"><input name=\"q\" value=\"{}\" aria-label=\"part of its path\"> \
         <button>Find</button></form>\n",
        escape(text)
    );
    // A few databases need no search.
    if wanted.is_none() && rows.len() > ROWS {
        return form;
    }
    let mut found: Vec<&StatusRow> = rows.iter().filter(|row| row.path.to_string_lossy().contains(text)).collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    let lines = found.iter().map(|row| {
        let state =
            if is_protected(row) { "<td class=\"good\">on its replica</td>".to_owned() } else { state_cell(row) };
        format!("<tr><td>{}</td>{state}</tr>", name(row))
    });
    form + &table(found.len(), lines)
}

fn lagging(rows: &[StatusRow]) -> String {
    let mut lagging: Vec<&StatusRow> = rows.iter().filter(|row| is_lagging(row)).collect();
    if lagging.is_empty() {
        return "<h2>What lags</h2>\n<p class=\"good\">Nothing.</p>\n".to_owned();
    }
    // Those whose last upload is longest ago, or never was, first.
    lagging.sort_by_key(|row| row.last_sync.unwrap_or(0));
    let now = i64::try_from(clock::unix_time().as_secs()).unwrap_or(i64::MAX);
    let lines = lagging.iter().map(|row| {
        let behind = row.txid.0.saturating_sub(row.replica_txid.0);
        let last = row
            .last_sync
            .map_or_else(|| "never by this process".to_owned(), |at| format!("{} ago", duration(now - i64::from(at))));
        format!("<tr><td>{}</td><td>{behind} transactions</td><td>last upload {last}</td></tr>", name(row))
    });
    format!("<h2>What lags</h2>\n{}", table(lagging.len(), lines))
}

fn unprotected(rows: &[StatusRow], refused: &[(std::path::PathBuf, String)]) -> String {
    let mut bad: Vec<&StatusRow> = rows
        .iter()
        .filter(|row| !matches!(row.status, DatabaseStatus::Replicating | DatabaseStatus::Starting))
        .collect();
    let count = bad.len() + refused.len();
    if count == 0 {
        return "<h2>What is not protected</h2>\n<p class=\"good\">Nothing that was found.</p>\n".to_owned();
    }
    bad.sort_by(|a, b| a.path.cmp(&b.path));
    let known = bad.iter().map(|row| {
        let reason = escape(row.error.as_deref().unwrap_or_default());
        format!("<tr><td>{}</td>{}<td>{reason}</td></tr>", name(row), state_cell(row))
    });
    let others = refused.iter().map(|(path, reason)| {
        format!(
            "<tr><td>{}</td><td class=\"bad\">refused</td><td>{}</td></tr>",
            escape(&path.to_string_lossy()),
            escape(reason)
        )
    });
    format!("<h2>What is not protected</h2>\n{}", table(count, known.chain(others)))
}

fn table(count: usize, lines: impl Iterator<Item = String>) -> String {
    let shown: String = lines.take(ROWS).collect();
    let more = match count.saturating_sub(ROWS) {
        0 => String::new(),
        more => format!("<p class=\"soft\">and {more} more</p>\n"),
    };
    format!("<table>{shown}</table>\n{more}")
}

fn name(row: &StatusRow) -> String {
    let path = row.path.to_string_lossy();
    format!("<a href=\"{}\">{}</a>", link(&path, None), escape(&path))
}

fn state_cell(row: &StatusRow) -> String {
    let class = match row.status {
        DatabaseStatus::Failing | DatabaseStatus::Conflict => "bad",
        _ => "soft",
    };
    format!("<td class=\"{class}\">{}</td>", row.status.as_str())
}

fn is_protected(row: &StatusRow) -> bool {
    row.status == DatabaseStatus::Replicating && row.uploaded
}

fn is_lagging(row: &StatusRow) -> bool {
    !row.uploaded && !matches!(row.status, DatabaseStatus::Missing | DatabaseStatus::Stopped)
}
