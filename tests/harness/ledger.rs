//! Free-running writers and the ledger by which a restore is judged: commit `n` of a writer inserts row `n` and sets
//! the writer's head to `n`, so a lost, torn or reordered commit shows as a hole, a wrong head or a wrong payload.

use std::io::BufReader;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;

use rusqlite::{Connection, params};

use super::application::{LOAD, PACE, RESTLESS, command, next_line};
use super::{Engine, until};

pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS ledger(writer TEXT, seq INTEGER, payload BLOB, PRIMARY KEY(writer, seq));
    CREATE TABLE IF NOT EXISTS ledger_head(writer TEXT PRIMARY KEY, seq INTEGER);
    CREATE TABLE IF NOT EXISTS ledger_bulk(seq INTEGER, payload BLOB);";

/// Commit number `seq` of `writer`.
pub(super) fn commit(connection: &Connection, writer: &str, seq: i64) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    connection.execute("INSERT INTO ledger VALUES (?1, ?2, ?3)", params![writer, seq, payload(seq)])?;
    connection.execute("INSERT OR REPLACE INTO ledger_head VALUES (?1, ?2)", params![writer, seq])?;
    connection.execute_batch("COMMIT")
}

/// The writer's newest commit in this database; 0 without any.
pub(super) fn head(connection: &Connection, writer: &str) -> i64 {
    let sql = "SELECT seq FROM ledger_head WHERE writer = ?1";
    connection.query_row(sql, [writer], |row| row.get(0)).unwrap_or(0)
}

/// The same of a database file.
pub fn ledger_head(database: &Path, writer: &str) -> i64 {
    head(&Connection::open(database).unwrap(), writer)
}

fn payload(seq: i64) -> Vec<u8> {
    (0..40 + seq % 900).map(|i| ((seq * 31 + i) % 251) as u8).collect()
}

/// A process that commits as fast as it can.
pub struct Load {
    child: Child,
    acknowledged: Arc<AtomicI64>,
    reader: Option<JoinHandle<()>>,
}

impl Load {
    /// Starts a writer, which continues where a writer of that name stopped.
    pub fn start(engine: Engine, database: &Path, writer: &str) -> Self {
        Self::spawn(command(engine, database).env(LOAD, writer))
    }

    /// The same, on the bundled SQLite, with so many milliseconds of rest after each commit.
    pub fn paced(database: &Path, writer: &str, pause_ms: u64) -> Self {
        Self::spawn(command(Engine::Bundled, database).env(LOAD, writer).env(PACE, pause_ms.to_string()))
    }

    /// The same, on the bundled SQLite, with whatever else applications do between two commits: every kind of checkpoint,
    /// VACUUM, rollbacks, closing the last connection. `seed` says what when.
    pub fn start_restless(database: &Path, writer: &str, seed: u64) -> Self {
        Self::spawn(command(Engine::Bundled, database).env(LOAD, writer).env(RESTLESS, seed.to_string()))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let acknowledged = Arc::new(AtomicI64::new(0));
        let newest = Arc::clone(&acknowledged);
        let reader = std::thread::spawn(move || {
            // After a SIGKILL the last line may be cut: only whole numbers with their line end count.
            while let Some(seq) = next_line(&mut answers).and_then(|line| line.parse().ok()) {
                newest.store(seq, Ordering::SeqCst);
            }
        });
        Self { child, acknowledged, reader: Some(reader) }
    }

    /// The newest commit that SQLite has acknowledged to the writer.
    pub fn acknowledged(&self) -> i64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    pub fn wait_for(&self, commits: i64) {
        until(&format!("{commits} commits"), || self.acknowledged() >= commits);
    }

    /// Lets it finish its transaction and close; the newest commit.
    pub fn stop(mut self) -> i64 {
        drop(self.child.stdin.take());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the writer ended with {status}");
        self.finish()
    }

    /// SIGKILL; the newest acknowledged commit (one more may be in the database).
    pub fn kill(mut self) -> i64 {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.finish()
    }

    fn finish(&mut self) -> i64 {
        self.reader.take().unwrap().join().unwrap();
        self.acknowledged()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Fails unless the database holds an exact prefix of the writer's commits, at least up to `at_least`. Returns its head.
pub fn check_ledger(database: &Path, writer: &str, at_least: i64) -> i64 {
    let connection = Connection::open(database).unwrap();
    let head = head(&connection, writer);
    assert!(head >= at_least, "{}: {writer} stands at {head}, acknowledged was {at_least}", database.display());
    if head == 0 {
        return 0; // A state from before the first commit, perhaps from before the tables.
    }
    let mut statement = connection.prepare("SELECT seq, payload FROM ledger WHERE writer = ?1 ORDER BY seq").unwrap();
    let rows = statement.query_map([writer], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let mut expected = 0;
    for row in rows {
        let (seq, found): (i64, Vec<u8>) = row.unwrap();
        expected += 1;
        assert_eq!(seq, expected, "{}: a commit of {writer} is missing", database.display());
        assert!(found == payload(seq), "{}: commit {seq} of {writer} is damaged", database.display());
    }
    assert_eq!(expected, head, "{}: a commit of {writer} is torn", database.display());
    head
}
