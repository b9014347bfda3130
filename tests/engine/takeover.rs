//! Local state that passes between this engine and the reference, in both directions, without losing a commit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use litestream_core::db::Content;
use rusqlite::Connection;

use crate::application::Application;
use crate::database::{Database, contents};
use crate::reference;

/// What the harness's search answers with.
pub enum Kind {
    /// Litestream itself.
    Reference,
}

/// A program that was found.
pub struct Program(PathBuf);

impl Program {
    pub fn new(path: &Path, Kind::Reference: Kind) -> Program {
        Program(path.to_owned())
    }
}

/// The reference on one database, with a replica in a directory.
struct Reference {
    program: PathBuf,
    database: PathBuf,
    replica: PathBuf,
}

impl Reference {
    /// `None`, said aloud, where it is not installed.
    fn of(database: &Database) -> Option<Reference> {
        let Program(program) = reference::find()?;
        let replica = database.path().with_extension("replica");
        Some(Reference { program, database: database.path(), replica })
    }

    fn run(&self, arguments: &[&str]) {
        let output = Command::new(&self.program).args(arguments).output().expect("run the reference");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// One sync of database and replica.
    fn sync(&self) {
        let url = format!("file://{}", self.replica.display());
        self.run(&["replicate", "-once", self.database.to_str().expect("text"), &url]);
    }

    /// The rows of `t` in what it restores.
    fn restored_rows(&self) -> Vec<String> {
        let output = self.database.with_extension("restored");
        let _ = fs::remove_file(&output);
        let url = format!("file://{}", self.replica.display());
        self.run(&["restore", "-o", output.to_str().expect("text"), &url]);
        rows_of(&output)
    }
}

fn rows_of(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).expect("open");
    let sound: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("check");
    assert_eq!(sound, "ok");
    let mut statement = connection.prepare("SELECT a || '=' || quote(b) FROM t ORDER BY a").expect("prepare");
    statement.query_map([], |row| row.get(0)).expect("query").map(|row| row.expect("row")).collect()
}

fn rows(application: &mut Application) -> Vec<String> {
    application.run("w", "SELECT a || '=' || quote(b) FROM t ORDER BY a")
}

/// Where the reference keeps its local state unless told otherwise; the engine is pointed there.
fn beside(database: &Database) -> PathBuf {
    let name = database.path().file_name().expect("name").to_string_lossy().into_owned();
    database.path().with_file_name(format!(".{name}-litestream"))
}

/// Uploads by hand what the engine wrote: the uploader is another part.
fn upload(meta: &Path, replica: &Path) {
    let target = replica.join("ltx/0");
    fs::create_dir_all(&target).expect("mkdir");
    for entry in fs::read_dir(meta.join("ltx/0")).expect("list") {
        let entry = entry.expect("entry");
        fs::copy(entry.path(), target.join(entry.file_name())).expect("copy");
    }
}

#[test]
fn we_continue_where_the_reference_stopped() {
    let (database, mut application) = Database::with_application();
    let Some(reference) = Reference::of(&database) else { return };
    let meta = beside(&database);
    // A reader keeps the WAL from being restarted, so that nothing but the newest file is needed.
    application.open("r", &database.path());
    application.run("r", "BEGIN");
    application.run("r", "SELECT * FROM t");
    reference.sync();
    for n in 10..14 {
        application.run("w", &format!("INSERT INTO t VALUES ({n}, 'while nobody looked')"));
    }
    let mut engine = database.engine_at(&meta);
    let before = engine.txid();
    assert!(before.is_some());
    let report = engine.sync().expect("sync");
    assert_eq!(contents(&report), [Content::Commits], "no full file is needed");
    assert_eq!(report.txid, before.next());
    engine.detach().expect("detach");
    upload(&meta, &reference.replica);
    assert_eq!(reference.restored_rows(), rows(&mut application));
}

#[test]
fn we_settle_it_when_the_reference_left_no_trace_in_the_wal() {
    let (database, mut application) = Database::with_application();
    let Some(reference) = Reference::of(&database) else { return };
    let meta = beside(&database);
    reference.sync();
    application.run("w", "INSERT INTO t VALUES (20, 'appended')");
    application.checkpoint("RESTART");
    application.run("w", "INSERT INTO t VALUES (21, 'in the next generation')");
    let mut engine = database.engine_at(&meta);
    let report = engine.sync().expect("sync");
    assert!(matches!(contents(&report)[..], [Content::Full(_)]), "{report:?}");
    engine.detach().expect("detach");
    upload(&meta, &reference.replica);
    assert_eq!(reference.restored_rows(), rows(&mut application));
}

#[test]
fn the_reference_continues_where_we_stopped_and_so_on() {
    let (database, mut application) = Database::with_application();
    let Some(reference) = Reference::of(&database) else { return };
    let meta = beside(&database);
    let mut next = 100;
    for round in 0..4 {
        let mut engine = database.engine_at(&meta);
        for _ in 0..3 {
            engine.sync().expect("sync");
            application.run("w", &format!("INSERT INTO t VALUES ({next}, 'for ours, round {round}')"));
            next += 1;
        }
        engine.sync().expect("sync");
        engine.detach().expect("detach");
        drop(engine);
        upload(&meta, &reference.replica);
        assert_eq!(reference.restored_rows(), rows(&mut application), "ours, round {round}");

        for _ in 0..2 {
            application.run("w", &format!("INSERT INTO t VALUES ({next}, 'for the reference, round {round}')"));
            next += 1;
            reference.sync();
        }
        assert_eq!(reference.restored_rows(), rows(&mut application), "the reference, round {round}");
        application.run("w", &format!("INSERT INTO t VALUES ({next}, 'for nobody yet, round {round}')"));
        next += 1;
    }
}
