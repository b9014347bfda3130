//! The ledger: what is kept of every database between two runs of the program, in one SQLite file.
//!
//! A cache. A row counts only as far as the database, its replica and its local files bear it out ([`SavedState`]); without
//! it the start is only more careful. So nothing is synced on purpose, what is damaged is made anew, and where it cannot be
//! written the program runs without.
//!
//! Rows wait in memory and are written together by one thread, which sleeps while nothing waits. Several daemons of one user
//! may share the file: rows are named by path, and each is written in one step.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use crate::clock;
use crate::failpoint;
use crate::ltx::FileChecksum;

use super::saved_state::SavedState;

/// Directory and file below the directory for state. Scans of databases pass by directories of such a name, whatever their
/// pattern: a ledger that replicated itself would never come to rest.
const PLACE: &str = "fleet-litestream/ledger.sqlite";

/// Raised when the meaning of a column changes: a file of another version is made anew.
const VERSION: i64 = 1;

/// Databases come to rest together, after a first sync by the thousand: one transaction for many.
const GATHER: Duration = Duration::from_millis(500);

/// Another daemon's transaction takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was saved so long ago, of a file that is not there, is forgotten. Long enough for a volume that is away for a while.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30 * 24 * 3600);

/// See the module.
pub struct Ledger {
    /// `None`: without.
    file: Option<PathBuf>,
    /// `None` where the file cannot be used.
    connection: Mutex<Option<Connection>>,
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

/// Rows that are not written yet; each path once, so there are never more than databases.
#[derive(Default)]
struct Waiting {
    rows: BTreeMap<PathBuf, SavedState>,
    closed: bool,
}

impl Ledger {
    /// Opens the ledger below a directory for state, or makes it. Blocks. What hinders is logged, and the program goes on
    /// without.
    pub fn open(state_directory: &Path) -> Ledger {
        let file = file_below(state_directory);
        let connection = match open_or_renew(&file) {
            Ok(connection) => Some(connection),
            Err(error) => {
                tracing::warn!(path = %file.display(), %error,
                    "no ledger: each start looks at every database and lists its replica (STATE_DIRECTORY or \
                     XDG_STATE_HOME names a directory that can be written)");
                None
            }
        };
        Ledger { file: Some(file), connection: Mutex::new(connection), ..Ledger::none() }
    }

    /// One that keeps nothing.
    pub fn none() -> Ledger {
        Ledger { file: None, connection: Mutex::default(), waiting: Mutex::default(), changed: Condvar::new() }
    }

    /// What was kept of a database. Blocks.
    pub fn load(&self, path: &Path) -> Option<SavedState> {
        let mut connection = locked(&self.connection);
        let row = connection.as_ref().map(|connection| load(connection, path))?;
        row.unwrap_or_else(|error| {
            self.failed(&mut connection, &error);
            None
        })
    }

    /// Keeps the state of a database from now on. Blocks for no longer than a lock is held in memory.
    pub fn save(&self, path: &Path, saved: SavedState) {
        if self.file.is_none() {
            return;
        }
        let mut waiting = locked(&self.waiting);
        waiting.rows.insert(path.to_owned(), saved);
        if waiting.rows.len() == 1 {
            self.changed.notify_one();
        }
    }

    /// The thread of the ledger: writes what waits, until it is closed and nothing waits.
    pub fn keep(&self) {
        self.forget_the_gone();
        loop {
            let mut waiting = locked(&self.waiting);
            while waiting.rows.is_empty() && !waiting.closed {
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            if waiting.rows.is_empty() {
                return;
            }
            let more = self.changed.wait_timeout_while(waiting, GATHER, |waiting| !waiting.closed);
            drop(more.unwrap_or_else(PoisonError::into_inner));
            self.flush();
        }
    }

    /// Nothing is saved any more: the thread ends when it has written what waits.
    pub fn close(&self) {
        locked(&self.waiting).closed = true;
        self.changed.notify_all();
    }

    /// Writes what waits. What cannot be written is given up: then the next start is more careful. Blocks.
    pub fn flush(&self) {
        let rows = std::mem::take(&mut locked(&self.waiting).rows);
        let mut connection = locked(&self.connection);
        let Some(open) = connection.as_mut().filter(|_| !rows.is_empty()) else { return };
        if let Err(error) = write(open, &rows) {
            self.failed(&mut connection, &error);
        }
    }

    /// Rows of files that are long gone.
    fn forget_the_gone(&self) {
        let before = clock::unix_time().saturating_sub(FORGOTTEN_AFTER);
        let mut connection = locked(&self.connection);
        let Some(open) = connection.as_ref() else { return };
        let old = match saved_before(open, before) {
            Ok(old) => old,
            Err(error) => return self.failed(&mut connection, &error),
        };
        drop(connection);
        let is_gone =
            |path: &PathBuf| path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
        let gone: Vec<PathBuf> = old.into_iter().filter(is_gone).collect();
        let mut connection = locked(&self.connection);
        let Some(open) = connection.as_mut().filter(|_| !gone.is_empty()) else { return };
        if let Err(error) = forget(open, &gone, before) {
            self.failed(&mut connection, &error);
        }
    }

    /// A damaged file is made anew; anything else costs what was asked for.
    fn failed(&self, connection: &mut Option<Connection>, error: &rusqlite::Error) {
        let Some(file) = &self.file else { return };
        if !is_damage(error) {
            tracing::warn!(path = %file.display(), %error,
                "ledger cannot be used: the next start looks at databases that came to rest meanwhile");
            return;
        }
        *connection = None;
        tracing::warn!(path = %file.display(), %error, "ledger is damaged, making it anew");
        *connection = open_or_renew(file).inspect_err(|error| tracing::warn!(%error, "no ledger")).ok();
    }
}

/// Where the ledger is, below a directory for state.
pub fn file_below(state_directory: &Path) -> PathBuf {
    state_directory.join(PLACE)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn open_or_renew(file: &Path) -> anyhow::Result<Connection> {
    if let Some(directory) = file.parent() {
        // Registrations lie in the same place, and may hold passwords: it is its owner's alone, whoever makes it first.
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    match open(file) {
        Ok(Some(connection)) => return Ok(connection),
        Ok(None) => tracing::info!(path = %file.display(), "ledger of another version, making it anew"),
        Err(error) if is_damage(&error) => {
            tracing::warn!(path = %file.display(), %error, "ledger is damaged, making it anew");
        }
        Err(error) => return Err(error.into()),
    }
    for suffix in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    open(file)?.ok_or_else(|| anyhow::anyhow!("a new ledger has another version"))
}

/// `None` if the file is of another version.
fn open(file: &Path) -> rusqlite::Result<Option<Connection>> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(PATIENCE)?;
    // A power cut may cost the last rows, never the file.
    connection.execute_batch("PRAGMA journal_mode = wal; PRAGMA synchronous = normal; PRAGMA cache_size = -512")?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if (version, tables) == (0, 0) {
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE;
             CREATE TABLE IF NOT EXISTS database(
                 path BLOB PRIMARY KEY, saved_at INTEGER NOT NULL, checksum INTEGER NOT NULL, state TEXT NOT NULL
             ) WITHOUT ROWID;
             PRAGMA user_version = {VERSION};
             COMMIT"
        ))?;
        return Ok(Some(connection));
    }
    Ok((version == VERSION).then_some(connection))
}

/// SQLite notices damage to its structure, not to what it holds; a wrong number here could pass for a file that is on the
/// replica.
fn checksum(path: &[u8], state: &[u8]) -> i64 {
    let mut checksum = FileChecksum::new();
    checksum.update(path);
    checksum.update(state);
    checksum.value().cast_signed()
}

fn load(connection: &Connection, path: &Path) -> rusqlite::Result<Option<SavedState>> {
    let path = path.as_os_str().as_bytes();
    let mut statement = connection.prepare_cached("SELECT checksum, state FROM database WHERE path = ?1")?;
    let row: Option<(i64, String)> = statement.query_row([path], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let whole = row.filter(|(sum, state)| *sum == checksum(path, state.as_bytes()));
    Ok(whole.and_then(|(_, state)| serde_json::from_str(&state).ok()))
}

fn write(connection: &mut Connection, rows: &BTreeMap<PathBuf, SavedState>) -> rusqlite::Result<()> {
    let now = clock::unix_time().as_secs().cast_signed();
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    {
        let mut insert = transaction.prepare_cached("INSERT OR REPLACE INTO database VALUES (?1, ?2, ?3, ?4)")?;
        for (path, saved) in rows {
            // Numbers, and nothing else: it cannot fail.
            let Ok(state) = serde_json::to_string(saved) else { continue };
            let path = path.as_os_str().as_bytes();
            insert.execute(params![path, now, checksum(path, state.as_bytes()), state])?;
        }
    }
    failpoint::around("ledger-commit", || transaction.commit())
}

fn saved_before(connection: &Connection, time: Duration) -> rusqlite::Result<Vec<PathBuf>> {
    let mut statement = connection.prepare("SELECT path FROM database WHERE saved_at < ?1")?;
    let path = |row: &rusqlite::Row<'_>| Ok(PathBuf::from(std::ffi::OsString::from_vec(row.get(0)?)));
    statement.query_map([time.as_secs().cast_signed()], path)?.collect()
}

fn forget(connection: &mut Connection, gone: &[PathBuf], saved_before: Duration) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    {
        let mut delete = transaction.prepare("DELETE FROM database WHERE path = ?1 AND saved_at < ?2")?;
        for path in gone {
            delete.execute(params![path.as_os_str().as_bytes(), saved_before.as_secs().cast_signed()])?;
        }
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::record::{DirId, EntryId, Record};
    use crate::ltx::Txid;

    fn saved(local: u64) -> SavedState {
        let mut record = Record::new(EntryId(0), DirId(0), std::ffi::OsStr::new("a.db").into(), None);
        record.local = Txid(local);
        SavedState::of(&record)
    }

    /// With the rows 1 to 3, written and closed.
    fn filled(state: &Path) {
        let ledger = Ledger::open(state);
        (1..=3).for_each(|n| ledger.save(&PathBuf::from(format!("/d/{n}.db")), saved(n)));
        ledger.flush();
    }

    fn known(ledger: &Ledger) -> usize {
        (1..=3).filter(|n| ledger.load(&PathBuf::from(format!("/d/{n}.db"))) == Some(saved(*n))).count()
    }

    #[test]
    fn rows_come_back_in_the_next_run_newest_wins() {
        let state = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&state.path().join("made/deep"));
        let odd = Path::new(std::ffi::OsStr::from_bytes(b"/d/\xff'.db"));
        ledger.save(odd, saved(1));
        ledger.save(odd, saved(2));
        assert_eq!(ledger.load(odd), None, "nothing is written before its time");
        ledger.flush();
        ledger.save(odd, saved(3));
        ledger.flush();
        drop(ledger);
        assert_eq!(Ledger::open(&state.path().join("made/deep")).load(odd), Some(saved(3)));
    }

    #[test]
    fn the_place_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let state = tempfile::tempdir().unwrap();
        Ledger::open(&state.path().join("made"));
        for made in ["made", "made/fleet-litestream"] {
            let mode = std::fs::metadata(state.path().join(made)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{made}");
        }
    }

    #[test]
    fn the_thread_writes_what_waits_before_it_ends() {
        let state = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(state.path());
        std::thread::scope(|scope| {
            scope.spawn(|| ledger.keep());
            ledger.save(Path::new("/d/1.db"), saved(1));
            ledger.close();
        });
        assert_eq!(known(&ledger), 1);
    }

    #[test]
    fn damage_anywhere_costs_rows_and_never_changes_one() {
        let state = tempfile::tempdir().unwrap();
        filled(state.path());
        let good = std::fs::read(file_below(state.path())).unwrap();
        let damaged = |bytes: &[u8]| {
            for suffix in ["-wal", "-shm"] {
                let _ = std::fs::remove_file(format!("{}{suffix}", file_below(state.path()).display()));
            }
            std::fs::write(file_below(state.path()), bytes).unwrap();
            let ledger = Ledger::open(state.path());
            for n in 1..=3 {
                let row = ledger.load(&PathBuf::from(format!("/d/{n}.db")));
                assert!(row.is_none_or(|row| row == saved(n)));
            }
            // Whatever it was, it is of use again.
            ledger.save(Path::new("/d/1.db"), saved(1));
            ledger.flush();
            assert!(ledger.load(Path::new("/d/1.db")).is_none_or(|row| row == saved(1)));
        };
        damaged(b"");
        damaged(
            b"not a database, but long enough to look like one for a while: 100 bytes and more, and more, and more",
        );
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..100 {
            let mut bytes = good.clone();
            let at = random.usize(..bytes.len());
            bytes[at] ^= 1 << random.u8(..8);
            damaged(&bytes);
            damaged(&good[..at]);
        }
    }

    #[test]
    fn another_version_is_made_anew() {
        let state = tempfile::tempdir().unwrap();
        filled(state.path());
        assert_eq!(known(&Ledger::open(state.path())), 3);
        Connection::open(file_below(state.path())).unwrap().execute_batch("PRAGMA user_version = 9").unwrap();
        assert_eq!(known(&Ledger::open(state.path())), 0);
        filled(state.path());
        assert_eq!(known(&Ledger::open(state.path())), 3);
    }

    #[test]
    fn damage_while_it_is_open_is_noticed_and_repaired() {
        let state = tempfile::tempdir().unwrap();
        filled(state.path());
        let ledger = Ledger::open(state.path());
        // Pages of the file are gone behind SQLite's back, and nothing of it is in memory yet.
        std::fs::File::options().write(true).open(file_below(state.path())).unwrap().set_len(100).unwrap();
        known(&ledger);
        ledger.save(Path::new("/d/2.db"), saved(2));
        ledger.flush();
        ledger.save(Path::new("/d/1.db"), saved(1));
        ledger.flush();
        assert_eq!(ledger.load(Path::new("/d/1.db")), Some(saved(1)));
    }

    #[test]
    fn where_nothing_can_be_written_there_is_none() {
        let state = tempfile::tempdir().unwrap();
        let in_the_way = state.path().join("file");
        std::fs::write(&in_the_way, b"").unwrap();
        for ledger in [Ledger::open(&in_the_way), Ledger::none()] {
            ledger.save(Path::new("/d/1.db"), saved(1));
            ledger.flush();
            ledger.forget_the_gone();
            assert_eq!(ledger.load(Path::new("/d/1.db")), None);
        }
    }

    #[test]
    fn two_daemons_share_it() {
        let state = tempfile::tempdir().unwrap();
        let (one, two) = (Ledger::open(state.path()), Ledger::open(state.path()));
        one.save(Path::new("/d/1.db"), saved(1));
        two.save(Path::new("/d/2.db"), saved(2));
        two.flush();
        one.flush();
        assert_eq!((known(&one), known(&two)), (2, 2));
    }

    #[test]
    fn what_is_long_gone_is_forgotten_and_what_is_away_for_a_while_is_not() {
        let state = tempfile::tempdir().unwrap();
        let there = state.path().join("there.db");
        std::fs::write(&there, b"").unwrap();
        let ledger = Ledger::open(state.path());
        let (old, away) = (Path::new("/gone/old.db"), Path::new("/gone/new.db"));
        [there.as_path(), old, away].into_iter().for_each(|path| ledger.save(path, saved(1)));
        ledger.flush();
        let long_ago = "UPDATE database SET saved_at = 1 WHERE path <> CAST('/gone/new.db' AS BLOB)";
        Connection::open(file_below(state.path())).unwrap().execute_batch(long_ago).unwrap();
        ledger.forget_the_gone();
        let kept = [there.as_path(), old, away].map(|path| ledger.load(path).is_some());
        assert_eq!(kept, [true, false, true]);
    }
}
