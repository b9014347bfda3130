//! One database under test: a directory, the engine on it, and the comparison with what the engine wrote.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use litestream_core::db::{Content, Db, DbFiles, DbSettings, SyncReport};

use crate::application::Application;
use crate::replica::{Replica, scratch};

/// The directory of one test.
pub struct Database {
    directory: tempfile::TempDir,
    name: PathBuf,
}

impl Database {
    /// An empty directory; the database does not exist yet.
    pub fn nowhere(name: impl AsRef<Path>) -> Database {
        let directory = tempfile::tempdir_in(scratch()).expect("temporary directory");
        Database { directory, name: name.as_ref().to_owned() }
    }

    /// A database in WAL mode with one table, and an application that has it open.
    pub fn with_application() -> (Database, Application) {
        let database = Database::nowhere("a.db");
        let mut application = Application::with_open(&database.path());
        application.run("w", "PRAGMA journal_mode = wal");
        application.run("w", "CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
        application.run("w", "INSERT INTO t VALUES (1, 'first')");
        (database, application)
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join(&self.name)
    }

    pub fn wal(&self) -> PathBuf {
        let mut name = self.path().into_os_string();
        name.push("-wal");
        name.into()
    }

    pub fn meta(&self) -> PathBuf {
        self.directory.path().join("meta")
    }

    /// The engine, as after a start of the program.
    pub fn engine(&self) -> Db {
        self.engine_with(DbSettings::default())
    }

    pub fn engine_with(&self, settings: DbSettings) -> Db {
        Db::open(DbFiles { path: self.path(), meta: self.meta() }, Arc::new(settings)).expect("open engine")
    }

    /// The engine with its local state elsewhere.
    pub fn engine_at(&self, meta: &Path) -> Db {
        Db::open(DbFiles { path: self.path(), meta: meta.to_owned() }, Arc::default()).expect("open engine")
    }

    /// What a restore gives.
    pub fn replica(&self) -> Replica {
        Replica::of(&self.meta())
    }

    /// Compares the rows of the table that the tests use with those of the application.
    pub fn assert_replicated(&self, application: &mut Application) {
        let sql = "SELECT count(*) || ',' || coalesce(group_concat(a || '=' || quote(b)), '') FROM (SELECT * FROM t ORDER BY a)";
        let theirs = application.run("w", sql);
        let ours = self.replica().query(sql);
        assert_eq!(ours, [format!("Text({:?})", theirs[0])]);
    }

    /// Compares with the database file, after the application checkpointed everything into it.
    pub fn assert_equals_file(&self) {
        let file = std::fs::read(self.path()).expect("read database");
        let replica = self.replica();
        assert_eq!(replica.image().len(), file.len(), "size of the restored file");
        assert!(replica.image() == file, "restored file differs at byte {:?}", differs_at(replica.image(), &file));
    }
}

fn differs_at(a: &[u8], b: &[u8]) -> Option<usize> {
    a.iter().zip(b).position(|(a, b)| a != b)
}

/// The contents of the files that a sync wrote.
pub fn contents(report: &SyncReport) -> Vec<Content> {
    report.files.iter().map(|file| file.content).collect()
}

/// Makes every time stamp of the file old enough to be a proof, by waiting; needed only where "folded" is what is tested.
pub fn let_time_stamps_settle(path: &Path) {
    let deadline = litestream_core::clock::monotonic() + std::time::Duration::from_secs(10);
    while !Db::cold_stamp(path).is_settled() {
        assert!(litestream_core::clock::monotonic() < deadline, "time stamps never settle");
        litestream_core::clock::sleep(std::time::Duration::from_millis(20));
    }
}
