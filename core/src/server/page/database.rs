//! `/database?path=`: one database, and the points it can be restored to, on a line of time.

use std::path::Path;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::clock;
use crate::fleet::Explanation;
use crate::ltx::{LtxInfo, Txid};
use crate::restore::{Target, plan};
use crate::server::{RestoreCommand, Watched, request};

use super::html::{duration, escape, link, size, time};
use super::overview::badge;
use super::page;

/// Points that are shown, the newest. Each is a plan made.
const POINTS: usize = 200;

/// A moment that can be restored.
struct Point {
    txid: Txid,
    at_millis: i64,
    bytes: u64,
}

pub(in crate::server) async fn database(State(watched): State<Arc<Watched>>, RawQuery(query): RawQuery) -> Response {
    let path = request::query_value(query.as_deref(), "path").unwrap_or_default();
    let wanted = request::query_value(query.as_deref(), "txid").and_then(|txid| txid.parse::<Txid>().ok());
    let Some(explained) = watched.fleet.explain(Path::new(&path)) else {
        let text =
            format!("<p>No database of this daemon: {}</p><p><a href=\"/\">All databases</a></p>", escape(&path));
        return page(StatusCode::NOT_FOUND, "litestream-rs", None, &text);
    };
    let points = match points(&watched, Path::new(&path)).await {
        Ok(points) => timeline(&watched.restore_command, Path::new(&path), &points, wanted),
        Err(error) => format!("<p class=\"bad\">The replica cannot be listed: {}</p>\n", escape(&error)),
    };
    let body = format!(
        "<p><a href=\"/\">← All databases</a></p>\n<h1>{}</h1>\n{}<h2>Restore points</h2>\n{points}",
        heading(&path),
        state(&explained)
    );
    // What a person is about to copy must not move away; one who only looks sees what is new.
    page(StatusCode::OK, &path, wanted.is_none().then_some(30), &body)
}

/// The directory small, so that the name stands out.
fn heading(path: &str) -> String {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    format!("<small>{}/</small>{}", escape(directory), escape(name))
}

fn state(explained: &Explanation) -> String {
    let row = &explained.row;
    let line = |label: &str, value: &str| format!("<tr><th>{label}</th><td>{}</td></tr>", escape(value));
    let now = i64::try_from(clock::unix_time().as_secs()).unwrap_or(i64::MAX);
    let synced = row.last_sync.map_or_else(
        || "not since the start of the daemon".to_owned(),
        |at| format!("{} ago, {}", duration(now - i64::from(at)), time(i64::from(at) * 1000)),
    );
    let mut lines = vec![
        format!("<tr><th>state</th><td>{}</td></tr>", badge(row)),
        line("position here", &row.txid.to_string()),
        line("on the replica", &format!("{} ({})", row.replica_txid, row.replica_type)),
        line("last upload", &synced),
    ];
    for work in &explained.work {
        if let Some(error) = &work.error {
            lines.push(line(work.name, error));
        }
    }
    format!("<table class=\"facts\">{}</table>\n", lines.concat())
}

async fn points(watched: &Watched, path: &Path) -> Result<Vec<Point>, String> {
    let Some(replica) = watched.fleet.replica(path).await else { return Err("the database is gone".to_owned()) };
    let replica = replica.map_err(|error| error.to_string())?;
    let files = replica.list_all().await.map_err(|error| error.to_string())?;
    tokio::task::spawn_blocking(move || restorable(&files)).await.map_err(|error| error.to_string())
}

/// The ends of files that a plan reaches, newest first.
fn restorable(files: &[LtxInfo]) -> Vec<Point> {
    let mut ends: Vec<Txid> = files.iter().map(|file| file.max_txid).collect();
    ends.sort_unstable();
    ends.dedup();
    let point = |txid: Txid| {
        let plan = plan(files, Target::Txid(txid)).ok()?;
        let at_millis = plan.files().last()?.created_at;
        Some(Point { txid, at_millis, bytes: plan.bytes() })
    };
    ends.into_iter().rev().take(POINTS).filter_map(point).collect()
}

fn timeline(command: &RestoreCommand, path: &Path, points: &[Point], wanted: Option<Txid>) -> String {
    let (Some(newest), Some(oldest)) = (points.first(), points.last()) else {
        return "<p class=\"bad\">Nothing can be restored yet.</p>\n".to_owned();
    };
    let chosen = points.iter().find(|point| Some(point.txid) == wanted).unwrap_or(newest);
    let span = (newest.at_millis - oldest.at_millis).max(1) as f64;
    let dot = |point: &Point| {
        // One point alone is the newest.
        let place = if points.len() == 1 { 100.0 } else { (point.at_millis - oldest.at_millis) as f64 * 100.0 / span };
        let (target, at, txid) = (href(path, point), time(point.at_millis), point.txid);
        let class = if point.txid == chosen.txid { " class=\"chosen\"" } else { "" };
        format!("<a{class} href=\"{target}\" style=\"left:{place:.1}%\" title=\"{at}, transaction {txid}\"></a>")
    };
    // Oldest first, as time goes: also for those who go from link to link by keyboard.
    let dots: String = points.iter().rev().map(dot).collect();
    let rows: String = points.iter().map(|point| row(path, point, point.txid == chosen.txid)).collect();
    format!(
        "<div class=\"line\">{dots}</div>\n<p class=\"ends soft\"><span>{}</span><span>{}</span></p>\n{}\
         <h2>All of them, newest first</h2>\n<table class=\"points\"><tr><th>time (UTC)</th><th>transaction</th><th>to read</th></tr>{rows}</table>\n",
        time(oldest.at_millis),
        if points.len() == 1 { String::new() } else { time(newest.at_millis) },
        copy(command, path, chosen)
    )
}

fn href(path: &Path, point: &Point) -> String {
    link(&path.to_string_lossy(), Some(&point.txid.to_string()))
}

fn row(path: &Path, point: &Point, is_chosen: bool) -> String {
    let (target, at, bytes) = (href(path, point), time(point.at_millis), size(point.bytes));
    let class = if is_chosen { " class=\"chosen\"" } else { "" };
    format!(
        "<tr{class}><td><a href=\"{target}\">{}</a></td><td><code>{}</code></td><td class=\"number\">{bytes}</td></tr>",
        at.trim_end_matches(" UTC"),
        point.txid
    )
}

/// By transaction: a time would have to be after the moment that is meant.
fn copy(command: &RestoreCommand, path: &Path, point: &Point) -> String {
    let line = command.line(path, point.txid);
    let note = if line.without_secrets {
        "<p class=\"soft\">The user, password and query of the replica's URL are not shown: add them.</p>\n"
    } else {
        ""
    };
    let at = time(point.at_millis);
    format!(
        "<p>This brings back the state of <b>{at}</b>, beside the database as it is now:</p>\n\
         <code class=\"copy\" id=\"command\">{}</code>\n{note}",
        escape(&line.text)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ltx::Level;

    fn file(level: u8, min: u64, max: u64) -> LtxInfo {
        let level = Level::new(level).unwrap();
        LtxInfo { level, min_txid: Txid(min), max_txid: Txid(max), size: 100, created_at: max as i64 * 1000 }
    }

    #[test]
    fn only_what_a_plan_reaches_is_offered() {
        // 7 stands behind a hole.
        let files = [file(9, 1, 3), file(0, 4, 4), file(0, 5, 5), file(1, 4, 5), file(0, 7, 7)];
        let txids: Vec<u64> = restorable(&files).into_iter().map(|point| point.txid.0).collect();
        assert_eq!(txids, [5, 4, 3]);
        assert!(restorable(&[]).is_empty());
    }

    #[test]
    fn the_command_is_that_of_the_chosen_point() {
        let points = restorable(&[file(9, 1, 3), file(0, 4, 4)]);
        let command = RestoreCommand::default();
        let of = |path: &str, points: &[Point], wanted| timeline(&command, Path::new(path), points, wanted);
        let text = of("/d/it's.db", &points, Some(Txid(3)));
        let quoted = "-o &#39;/d/it&#39;\\&#39;&#39;s.db.restored&#39; &#39;/d/it&#39;\\&#39;&#39;s.db&#39;";
        assert!(text.contains(&format!("litestream-rs restore -txid 0000000000000003 {quoted}")), "{text}");
        assert!(of("/a", &points, None).contains("-txid 0000000000000004 "));
        assert!(of("/a", &[], None).contains("Nothing can be restored yet"));
    }
}
