//! The child's side of [`super::Application`] and [`super::Load`] on the bundled SQLite: this test binary, started
//! again with the one "test" below. It obeys the line protocol that `writer.py` speaks as well.

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::{Connection, types::ValueRef};
use serde_json::{Value, json};

use super::application::{DATABASE, LOAD, MARK};
use super::ledger;

/// The name by which the test runner finds the entry point.
pub const NAME: &str = "harness::writer_child::entry_point";

#[test]
#[ignore = "not a test: the other tests start it as an application process"]
fn entry_point() {
    let Some(database) = std::env::var_os(DATABASE).map(PathBuf::from) else { return };
    let connection = Connection::open(database).unwrap();
    connection.busy_timeout(Duration::from_secs(30)).unwrap();
    match std::env::var(LOAD) {
        Ok(writer) => run_load(&connection, &writer),
        Err(_) => serve(&connection),
    }
    connection.close().map_err(|(_, error)| error).unwrap();
}

fn serve(connection: &Connection) {
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let answer = match run(connection, request["sql"].as_str().unwrap()) {
            Ok(rows) => json!({ "rows": rows }),
            Err(error) => json!({ "error": error.to_string() }),
        };
        say(&answer.to_string());
    }
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<String> {
    let mut statement = connection.prepare(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next()? {
        let cells: Vec<String> = (0..columns).map(|column| row.get_ref(column).map(show)).collect::<Result<_, _>>()?;
        lines.push(cells.join("|"));
    }
    Ok(lines.join("\n"))
}

fn show(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// Commits as fast as it can and says each commit's number once SQLite has acknowledged it, until standard input ends.
fn run_load(connection: &Connection, writer: &str) {
    let stop = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&stop);
    std::thread::spawn(move || {
        std::io::stdin().lock().lines().for_each(drop);
        ended.store(true, Ordering::Relaxed);
    });
    connection.execute_batch(ledger::SCHEMA).unwrap();
    let mut seq = ledger::head(connection, writer);
    while !stop.load(Ordering::Relaxed) {
        seq += 1;
        ledger::commit(connection, writer, seq).unwrap();
        say(&seq.to_string());
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{MARK}{line}").unwrap();
    out.flush().unwrap();
}
