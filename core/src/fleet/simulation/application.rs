//! An application with one connection, in this process: SQLite keeps the locks of its own connections apart.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fastrand::Rng;
use rusqlite::{Connection, params};

/// What a database holds, in eight bytes.
pub type Fingerprint = u64;

/// See the module.
pub struct Application {
    path: PathBuf,
    connection: Option<Connection>,
    /// A copy of an earlier state that an operator may put back.
    backup: PathBuf,
}

impl Application {
    /// Makes a database.
    pub fn make(path: &Path, random: &mut Rng) -> Application {
        let connection = Connection::open(path).unwrap();
        let page_size = [512, 1024, 4096][random.usize(..3)];
        let vacuum = ["NONE", "NONE", "FULL"][random.usize(..3)];
        connection
            .execute_batch(&format!(
                "PRAGMA page_size = {page_size}; PRAGMA auto_vacuum = {vacuum}; PRAGMA journal_mode = wal;
                 CREATE TABLE t(id INTEGER PRIMARY KEY, x BLOB)"
            ))
            .unwrap();
        let backup = path.with_extension("backup");
        let application = Application { path: path.to_owned(), connection: Some(connection), backup };
        application.prepare();
        application
    }

    fn prepare(&self) {
        let connection = self.connection.as_ref().expect("open");
        connection.busy_timeout(Duration::ZERO).unwrap();
        connection.execute_batch("PRAGMA synchronous = OFF").unwrap();
    }

    fn open(&mut self) -> &Connection {
        if self.connection.is_none() {
            self.connection = Some(Connection::open(&self.path).unwrap());
            self.prepare();
        }
        self.connection.as_ref().expect("open")
    }

    /// What a reader sees now.
    pub fn fingerprint(&mut self) -> Fingerprint {
        fingerprint(self.open())
    }

    /// Does something; in words.
    pub fn act(&mut self, random: &mut Rng) -> String {
        let did = match random.u8(..20) {
            0 => return self.toggle(),
            1 => self.checkpoint(random),
            2 => "VACUUM".to_owned(),
            3 => "DELETE FROM t WHERE id % 3 = 1".to_owned(),
            4 => return self.back_up(),
            5 if self.backup.exists() => return self.put_back(),
            _ => return self.change(random),
        };
        let outcome = self.open().query_row(&did, [], |_| Ok(()));
        match outcome {
            Ok(()) | Err(rusqlite::Error::QueryReturnedNoRows) => did,
            Err(error) => format!("{did}: {error}"),
        }
    }

    fn toggle(&mut self) -> String {
        if self.connection.take().is_some() {
            return "close".to_owned();
        }
        self.open();
        "open".to_owned()
    }

    fn checkpoint(&mut self, random: &mut Rng) -> String {
        let mode = ["PASSIVE", "FULL", "RESTART", "TRUNCATE"][random.usize(..4)];
        format!("PRAGMA wal_checkpoint({mode})")
    }

    fn change(&mut self, random: &mut Rng) -> String {
        if random.u8(..12) == 0 {
            return self.transaction(random, "ROLLBACK");
        }
        self.commit(random)
    }

    /// One commit.
    pub fn commit(&mut self, random: &mut Rng) -> String {
        self.transaction(random, "COMMIT")
    }

    fn transaction(&mut self, random: &mut Rng, end: &str) -> String {
        let (id, rows) = (random.i64(0..60), if random.u8(..10) == 0 { 40 } else { 1 });
        let len = [10, 300, 900, 3000][random.usize(..4)];
        let connection = self.open();
        connection.execute_batch("BEGIN").unwrap();
        for id in id..id + rows {
            let content = vec![random.u8(..); len];
            connection.execute("REPLACE INTO t VALUES (?1, ?2)", params![id, content]).unwrap();
        }
        connection.execute_batch(end).unwrap();
        format!("{end} of {rows} rows from {id}")
    }

    fn back_up(&mut self) -> String {
        let _ = std::fs::remove_file(&self.backup);
        let backup = self.backup.to_str().unwrap().to_owned();
        self.open().execute("VACUUM INTO ?1", [backup]).unwrap();
        "back up".to_owned()
    }

    /// As an operator does it: nobody has it open, and the new file takes the name of the old one. Never by plain writes: they
    /// would drop this process's locks.
    fn put_back(&mut self) -> String {
        self.connection = None;
        let new = self.path.with_extension("new");
        std::fs::copy(&self.backup, &new).unwrap();
        for side in ["-wal", "-shm"] {
            let mut name = self.path.as_os_str().to_owned();
            name.push(side);
            let _ = std::fs::remove_file(name);
        }
        std::fs::rename(&new, &self.path).unwrap();
        "put back the backup".to_owned()
    }
}

/// What a connection sees.
pub fn fingerprint(connection: &Connection) -> Fingerprint {
    let mut statement = connection.prepare("SELECT id, x FROM t ORDER BY id").unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut hasher = DefaultHasher::new();
    while let Some(row) = rows.next().unwrap() {
        row.get::<_, i64>(0).unwrap().hash(&mut hasher);
        row.get::<_, Vec<u8>>(1).unwrap().hash(&mut hasher);
    }
    hasher.finish()
}
