//! Opening: what is a database, what is not yet one, and who may be in the way.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use litestream_core::db::{Content, Db, DbErrorKind, DbFiles, DbSettings, Reason};
use litestream_core::ltx::Txid;

use crate::application::Application;
use crate::database::{Database, contents};

fn kind(engine: &mut Db) -> DbErrorKind {
    let error = engine.sync().expect_err("must be refused");
    assert!(!engine.is_attached());
    error.kind()
}

#[test]
fn h17_rollback_journal_database() {
    let database = Database::nowhere("a.db");
    let mut application = Application::start();
    application.open("w", &database.path());
    application.run("w", "CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
    application.run("w", "INSERT INTO t VALUES (1, 'before')");
    let mut engine = database.engine();
    let report = engine.sync().expect("sync");
    assert!(report.converted_to_wal);
    assert_eq!(contents(&report), [Content::Full(Reason::First)]);
    application.run("w", "INSERT INTO t VALUES (2, 'after')");
    assert_eq!(application.run("w", "PRAGMA journal_mode"), ["wal"]);
    let report = engine.sync().expect("sync");
    assert!(!report.converted_to_wal);
    database.assert_replicated(&mut application);
    // The journal mode is the only thing that changed: no table of ours.
    assert_eq!(application.run("w", "SELECT name FROM sqlite_schema"), ["t"]);
}

#[test]
fn h17_application_leaves_wal_mode_while_we_are_away() {
    let (database, mut application) = Database::with_application();
    let mut engine = database.engine();
    engine.sync().expect("sync");
    assert!(application.sql("w", "PRAGMA journal_mode = delete").is_err(), "refused while we are attached");
    engine.detach().expect("detach");
    assert_eq!(application.run("w", "PRAGMA journal_mode = delete"), ["delete"]);
    application.run("w", "INSERT INTO t VALUES (2, 'in rollback mode')");
    let report = database.engine().sync().expect("sync");
    assert!(report.converted_to_wal);
    database.assert_replicated(&mut application);
}

#[test]
fn h18_database_locked_exclusively_at_start() {
    let database = Database::nowhere("a.db");
    let mut application = Application::start();
    application.open("w", &database.path());
    application.run("w", "PRAGMA locking_mode = exclusive");
    application.run("w", "PRAGMA journal_mode = wal");
    application.run("w", "CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
    let mut engine = database.engine();
    assert_eq!(kind(&mut engine), DbErrorKind::ExclusiveLock);
    let hint = engine.sync().expect_err("refused").hint().expect("a hint");
    assert!(hint.contains("opened exclusively by another program"), "{hint}");
    application.close("w");
    application.open("w", &database.path());
    engine.sync().expect("sync");
    database.assert_replicated(&mut application);
}

#[test]
fn h18_a_writer_in_rollback_mode_is_waited_for() {
    let database = Database::nowhere("a.db");
    let mut application = Application::start();
    application.open("w", &database.path());
    application.run("w", "CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
    application.run("w", "BEGIN EXCLUSIVE");
    let settings = DbSettings { busy_timeout: std::time::Duration::ZERO, ..DbSettings::default() };
    let mut engine = database.engine_with(settings);
    assert_eq!(kind(&mut engine), DbErrorKind::Busy);
    application.run("w", "INSERT INTO t VALUES (1, 'x')");
    application.run("w", "COMMIT");
    engine.sync().expect("sync");
    database.assert_replicated(&mut application);
}

#[test]
fn h19_database_missing_at_start_created_later() {
    let database = Database::nowhere("a.db");
    let mut engine = database.engine();
    assert_eq!(kind(&mut engine), DbErrorKind::Missing);
    assert!(!database.path().exists(), "opening creates nothing");
    let mut application = Application::with_open(&database.path());
    application.run("w", "CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
    assert_eq!(engine.sync().expect("sync").txid, Txid(1));
    database.assert_replicated(&mut application);
}

#[test]
fn h20_zero_byte_database_is_waited_for_and_left_alone() {
    let database = Database::nowhere("a.db");
    std::fs::write(database.path(), b"").expect("write");
    let mut engine = database.engine();
    assert_eq!(kind(&mut engine), DbErrorKind::NotADatabase);
    assert_eq!(std::fs::read_dir(database.path().parent().expect("parent")).expect("list").count(), 1);
    let mut application = Application::with_open(&database.path());
    application.run("w", "CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
    engine.sync().expect("sync");
    database.assert_replicated(&mut application);
}

#[test]
fn other_files_are_not_databases() {
    let database = Database::nowhere("a.db");
    std::fs::write(database.path(), [b'x'; 5000]).expect("write");
    assert_eq!(kind(&mut database.engine()), DbErrorKind::NotADatabase);
    std::fs::remove_file(database.path()).expect("remove");
    std::fs::create_dir(database.path()).expect("mkdir");
    assert_eq!(kind(&mut database.engine()), DbErrorKind::NotADatabase);
}

/// The reference fails this: it takes `?` and `#` for parts of a URI.
#[test]
fn h75_names_with_space_percent_hash_question_newline_and_bytes_that_are_no_text() {
    let names: [&[u8]; 6] = [
        b"e?f#g.db",
        b"100%41 a.db",
        b"file:x.db?mode=memory",
        b"new\nline.db",
        b"\xff\xfe.db",
        "\u{e4}\u{1f600}.db".as_bytes(),
    ];
    for name in names {
        let database = Database::nowhere(OsStr::from_bytes(name));
        let mut application = Application::with_open(&database.path());
        application.run("w", "PRAGMA journal_mode = wal");
        application.run("w", "CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
        let mut engine = database.engine();
        engine.sync().expect("sync");
        application.run("w", "INSERT INTO t VALUES (1, 'x')");
        engine.sync().expect("sync");
        database.assert_replicated(&mut application);
        let mut found: Vec<_> = std::fs::read_dir(database.path().parent().expect("parent"))
            .expect("list")
            .map(|entry| entry.expect("entry").file_name())
            .collect();
        found.sort();
        assert_eq!(found.len(), 4, "database, wal, shm and local state, and no stray file: {found:?}");
    }
}

#[test]
fn a_relative_path_is_a_path_and_never_a_uri() {
    let database = Database::nowhere("a.db");
    let relative = std::path::PathBuf::from("file:no-such-directory/a.db?mode=rwc");
    let mut engine =
        Db::open(DbFiles { path: relative, meta: database.meta() }, std::sync::Arc::new(DbSettings::default()))
            .expect("open");
    assert!(engine.files().path.is_absolute());
    assert_eq!(kind(&mut engine), DbErrorKind::Missing);
}

#[test]
fn tables_of_the_reference_stay_as_they_are() {
    let (database, mut application) = Database::with_application();
    application.run("w", "CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)");
    application.run("w", "INSERT INTO _litestream_seq VALUES (1, 41)");
    application.run("w", "CREATE TABLE _litestream_lock (id INTEGER)");
    let mut engine = database.engine();
    for n in 10..15 {
        application.run("w", &format!("INSERT INTO t VALUES ({n}, 'x')"));
        engine.sync().expect("sync");
    }
    engine.detach().expect("detach");
    let seen =
        database.replica().query("SELECT seq || ',' || (SELECT count(*) FROM _litestream_lock) FROM _litestream_seq");
    assert_eq!(seen, ["Text(\"41,0\")"]);
}
