//! The child's side of [`super::Application`] and [`super::Load`] on the bundled SQLite: this test binary, started
//! again with the one "test" below. It obeys the line protocol that `writer.py` speaks as well.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastrand::Rng;
use litestream_core::clock;
use rusqlite::{Connection, types::ValueRef};
use serde_json::{Value, json};

use super::application::{DATABASE, LOAD, MARK, PACE, RESTLESS};
use super::ledger;

/// The name by which the test runner finds the entry point.
pub const NAME: &str = "harness::writer_child::entry_point";

#[test]
#[ignore = "not a test: the other tests start it as an application process"]
fn entry_point() {
    let Some(database) = std::env::var_os(DATABASE).map(PathBuf::from) else { return };
    let restless = std::env::var(RESTLESS).ok().map(|seed| Rng::with_seed(seed.parse().unwrap()));
    let connection = open(&database);
    let connection = match (std::env::var(LOAD), restless) {
        (Ok(writer), Some(random)) => run_restless(connection, &database, &writer, random),
        (Ok(writer), None) => {
            run_load(&connection, &writer);
            connection
        }
        (Err(_), _) => {
            serve(&connection);
            connection
        }
    };
    close(connection);
}

fn open(database: &Path) -> Connection {
    let connection = Connection::open(database).unwrap();
    connection.busy_timeout(Duration::from_secs(30)).unwrap();
    connection
}

fn close(connection: Connection) {
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
    let stop = end_of_input();
    connection.execute_batch(ledger::SCHEMA).unwrap();
    let pause = std::env::var(PACE).ok().and_then(|text| text.parse().ok()).map(Duration::from_millis);
    let mut seq = ledger::head(connection, writer);
    while !stop.load(Ordering::Relaxed) {
        seq += 1;
        ledger::commit(connection, writer, seq).unwrap();
        say(&seq.to_string());
        pause.into_iter().for_each(clock::sleep);
    }
}

/// The same, and between commits what [`Load::start_restless`](super::Load::start_restless) says.
fn run_restless(mut connection: Connection, database: &Path, writer: &str, mut random: Rng) -> Connection {
    let stop = end_of_input();
    connection.execute_batch(ledger::SCHEMA).unwrap();
    let mut seq = ledger::head(&connection, writer);
    while !stop.load(Ordering::Relaxed) {
        if random.u8(..100) < 15 {
            connection = interlude(connection, database, seq, &mut random);
        }
        seq += 1;
        ledger::commit(&connection, writer, seq).unwrap();
        say(&seq.to_string());
        // Sometimes a burst, sometimes a rest long enough for the program to catch up.
        clock::sleep(Duration::from_micros([0, 0, 500, 3_000, 20_000][random.usize(..5)]));
    }
    connection
}

fn interlude(connection: Connection, database: &Path, seq: i64, random: &mut Rng) -> Connection {
    match random.u8(..12) {
        0..=3 => {
            // Others may hold marks: an answer of "busy" is as good as any, and nobody waits for it.
            let mode = ["PASSIVE", "FULL", "RESTART", "TRUNCATE"][random.usize(..4)];
            connection.busy_timeout(Duration::from_millis(50)).unwrap();
            let _ = connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()));
            connection.busy_timeout(Duration::from_secs(30)).unwrap();
        }
        4 => connection.execute_batch("VACUUM").unwrap(),
        5..=6 => {
            let rows = random.i64(1..80);
            let sql = format!(
                "INSERT INTO ledger_bulk WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
                 SELECT {seq}, randomblob(3000) FROM n"
            );
            connection.execute_batch(&sql).unwrap();
        }
        7 => connection.execute_batch("DELETE FROM ledger_bulk").unwrap(),
        8 => {
            connection.execute_batch("BEGIN IMMEDIATE; DELETE FROM ledger; DELETE FROM ledger_head; ROLLBACK").unwrap()
        }
        _ => {
            close(connection);
            return open(database);
        }
    }
    connection
}

/// Becomes true when standard input ends.
fn end_of_input() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&stop);
    std::thread::spawn(move || {
        std::io::stdin().lock().lines().for_each(drop);
        ended.store(true, Ordering::Relaxed);
    });
    stop
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{MARK}{line}").unwrap();
    out.flush().unwrap();
}
