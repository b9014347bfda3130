//! An application for the load benchmarks: commits to one database after another at a steady rate, each through a connection
//! of its own that stays open for a while, and writes down what was acknowledged and when.
//!
//! `writer LEDGER BEGIN INTERVAL HOLD`: times in nanoseconds, `BEGIN` since the epoch. Standard input has a line for each
//! commit, `INDEX PATH`; the ledger gets `INDEX` and the row's id (32 bits each) and the time (64 bits, since the epoch), in
//! little-endian order. In Rust because on two cores what the load itself costs is missing to the program under test.

#![allow(clippy::disallowed_methods, reason = "an application has a clock of its own")]

use std::collections::VecDeque;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OpenFlags};

const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [ledger, begin, interval, hold] = &arguments[..] else {
        return Err("usage: writer LEDGER BEGIN INTERVAL HOLD".into());
    };
    let (mut ledger, hold) = (File::create(ledger)?, Duration::from_nanos(hold.parse()?));
    let (mut due, interval) = (Duration::from_nanos(begin.parse()?), Duration::from_nanos(interval.parse()?));
    let mut held: VecDeque<(Instant, Connection)> = VecDeque::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (index, path) = line.split_once(' ').ok_or("a line is an index and a path")?;
        std::thread::sleep(due.saturating_sub(now()?));
        due += interval;
        // An existing file only: a writer must not bring one back.
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.busy_timeout(PATIENCE)?;
        connection.pragma_update(None, "synchronous", "normal")?;
        connection.execute("INSERT INTO item (life, data) VALUES ('template', randomblob(100))", [])?;
        // What is not acknowledged here is not asked for later.
        let (row, at) = (u32::try_from(connection.last_insert_rowid())?, i64::try_from(now()?.as_nanos())?);
        let index: u32 = index.parse()?;
        ledger.write_all(&[&index.to_le_bytes()[..], &row.to_le_bytes(), &at.to_le_bytes()].concat())?;
        held.push_back((Instant::now() + hold, connection));
        while held.front().is_some_and(|(until, _)| *until <= Instant::now()) {
            held.pop_front();
        }
    }
    Ok(())
}

fn now() -> Result<Duration, Box<dyn Error>> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}
