//! Files that are replaced, lost or damaged: the database's, and the engine's own.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use litestream_core::db::{Content, Db, DbErrorKind, DbFiles, DbSettings, Reason};
use litestream_core::ltx::Txid;

use crate::application::Application;
use crate::database::{Database, contents};

const REPLACED: [Content; 1] = [Content::Full(Reason::Replaced)];

fn make_another(path: &Path, text: &str) {
    let mut application = Application::with_open(path);
    application.run("w", "PRAGMA journal_mode = wal");
    application.run("w", "CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
    application.run("w", &format!("INSERT INTO t VALUES (1, '{text}')"));
    application.close("w");
}

fn remove_side_files(database: &Database) {
    let _ = fs::remove_file(database.wal());
    let _ = fs::remove_file(database.path().with_extension("db-shm"));
}

#[test]
fn h14_kill_9_during_l0_write() {
    let (database, mut application) = Database::with_application();
    database.engine().sync().expect("sync");
    let left_over = database.meta().join("ltx/0/0000000000000002-0000000000000002.ltx.tmp");
    fs::write(&left_over, b"half a file").expect("write");
    let mut engine = database.engine();
    assert!(!left_over.exists());
    application.run("w", "INSERT INTO t VALUES (2, 'x')");
    assert_eq!(engine.sync().expect("sync").txid, Txid(2), "the number is used again");
    database.assert_replicated(&mut application);
}

/// The reference fails this: it never recovers.
#[test]
fn h16_truncated_last_local_l0() {
    let (database, mut application) = Database::with_application();
    let mut engine = database.engine();
    engine.sync().expect("sync");
    drop(engine);
    let newest = database.meta().join("ltx/0/0000000000000001-0000000000000001.ltx");
    let bytes = fs::read(&newest).expect("read");
    for damaged in [&bytes[..bytes.len() - 40], &bytes[..10], &[]] {
        fs::write(&newest, damaged).expect("write");
        let files = DbFiles { path: database.path(), meta: database.meta() };
        let error = Db::open(files, DbSettings::default().into()).err().expect("refused");
        assert_eq!(error.kind(), DbErrorKind::CorruptState, "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("reset")));
    }
    litestream_core::db::MetaDir::new(database.meta()).reset().expect("reset");
    let mut engine = database.engine();
    engine.continue_after(Txid(40));
    let report = engine.sync().expect("sync");
    assert_eq!((report.txid, contents(&report)), (Txid(41), vec![Content::Full(Reason::BehindReplica)]));
    database.assert_replicated(&mut application);
}

/// The reference fails this: it loses the new database.
#[test]
fn h42_db_deleted_and_recreated_same_path() {
    let (database, application) = Database::with_application();
    let mut engine = database.engine();
    engine.sync().expect("sync");
    drop(application);
    fs::remove_file(database.path()).expect("remove");
    remove_side_files(&database);
    let error = engine.sync().expect_err("gone");
    assert_eq!(error.kind(), DbErrorKind::Missing);
    assert!(!engine.is_attached(), "nothing is held of a file that is gone");
    make_another(&database.path(), "second life");
    let report = engine.sync().expect("sync");
    assert_eq!((report.txid, contents(&report)), (Txid(2), REPLACED.to_vec()));
    let mut application = Application::with_open(&database.path());
    database.assert_replicated(&mut application);
}

/// The reference fails this: it loses the new database.
#[test]
fn h42_recreated_while_cold_even_with_the_same_inode() {
    let (database, application) = Database::with_application();
    let mut engine = database.engine();
    engine.sync().expect("sync");
    engine.detach().expect("detach");
    drop(application);
    for round in 0..4 {
        fs::remove_file(database.path()).expect("remove");
        remove_side_files(&database);
        make_another(&database.path(), &format!("life {round}"));
        assert_eq!(contents(&database.engine().sync().expect("sync")), REPLACED);
        assert_eq!(database.replica().query("SELECT b FROM t"), [format!("Text(\"life {round}\")")]);
    }
}

/// The reference fails this: it goes on with the unlinked file.
#[test]
fn h43_db_replaced_by_rename_over() {
    let (database, mut application) = Database::with_application();
    let mut engine = database.engine();
    engine.sync().expect("sync");
    application.close("w");
    let other = database.path().with_extension("new");
    make_another(&other, "renamed over");
    remove_side_files(&database);
    fs::rename(&other, database.path()).expect("rename");
    let report = engine.sync().expect("sync");
    assert_eq!((report.txid, contents(&report)), (Txid(2), REPLACED.to_vec()));
    application.open("w", &database.path());
    application.run("w", "INSERT INTO t VALUES (2, 'and on')");
    assert_eq!(contents(&engine.sync().expect("sync")), [Content::Commits]);
    database.assert_replicated(&mut application);
}

#[test]
fn h44_db_replaced_by_cp_in_place_while_down() {
    let (database, mut application) = Database::with_application();
    let mut engine = database.engine();
    engine.sync().expect("sync");
    engine.detach().expect("detach");
    application.close("w");
    let other = database.path().with_extension("new");
    make_another(&other, "copied in");
    fs::copy(&other, database.path()).expect("copy");
    let report = database.engine().sync().expect("sync");
    assert!(matches!(contents(&report)[..], [Content::Difference(_)]), "{report:?}");
    application.open("w", &database.path());
    database.assert_replicated(&mut application);
}

#[test]
fn h44_db_replaced_by_cp_in_place_while_running() {
    let (database, mut application) = Database::with_application();
    let other = database.path().with_extension("new");
    make_another(&other, "copied in");
    let mut engine = database.engine();
    engine.sync().expect("sync");
    application.close("w");
    // Another process copies: this one would lose its locks by opening the file.
    let done = std::process::Command::new("cp").arg(&other).arg(database.path()).status().expect("cp");
    assert!(done.success());
    assert!(!engine.has_news(), "the WAL knows nothing of it");
    let report = engine.sync().expect("sync");
    assert_eq!(contents(&report), [Content::Difference(Reason::ChangedInPlace)]);
    assert_eq!(database.replica().query("SELECT b FROM t"), ["Text(\"copied in\")"]);
    assert_eq!(engine.sync().expect("sync").files, []);
}

#[test]
fn h47_db_older_than_replica() {
    let (database, mut application) = Database::with_application();
    let mut engine = database.engine();
    engine.sync().expect("sync");
    application.run("w", "INSERT INTO t VALUES (2, 'x')");
    engine.sync().expect("sync");
    drop(engine);
    let mut engine = database.engine();
    engine.continue_after(Txid(2));
    assert_eq!(engine.sync().expect("sync").files, [], "the replica is where we are");
    engine.continue_after(Txid(9));
    let report = engine.sync().expect("sync");
    assert_eq!((report.txid, contents(&report)), (Txid(10), vec![Content::Full(Reason::BehindReplica)]));
    let local: Vec<Txid> = engine.meta().list_l0().expect("list").iter().map(|file| file.min_txid).collect();
    assert_eq!(local, [Txid(10)], "files of the abandoned history could be taken for the replica's");
    application.run("w", "INSERT INTO t VALUES (3, 'x')");
    assert_eq!(contents(&engine.sync().expect("sync")), [Content::Commits]);
    database.assert_replicated(&mut application);
}

/// A program that runs as the application's user must be able to go on where one of root's ended, and nobody else read it.
#[test]
fn local_state_takes_mode_and_owner_of_the_database() {
    let (database, _application) = Database::with_application();
    fs::set_permissions(database.path(), fs::Permissions::from_mode(0o604)).expect("chmod");
    // Only root may give a file away; for others the mode alone is judged.
    let _ = chown(database.path(), Some(4321), Some(4322));
    database.engine().sync().expect("sync");
    let access = |path: &Path| {
        let metadata = fs::metadata(path).expect("stat");
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o777)
    };
    let (path, meta) = (database.path(), database.meta());
    for file in ["ltx/0/0000000000000001-0000000000000001.ltx", "litestream-rs.pages", "litestream-rs.position"] {
        assert_eq!(access(&meta.join(file)), access(&path), "{file}");
    }
    for directory in ["", "ltx", "ltx/0"] {
        assert_eq!(access(&meta.join(directory)), access(path.parent().expect("parent")), "{directory:?}");
    }
}

/// A directory with no room, made of a small tmpfs; skipped where mounting is not allowed.
#[test]
fn h37_enospc_in_staging() {
    let (database, mut application) = Database::with_application();
    fs::create_dir(database.meta()).expect("mkdir");
    let mount = |arguments: &[&str]| {
        let mut command = std::process::Command::new("mount");
        command.args(arguments).arg(database.meta()).stderr(std::process::Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !mount(&["-t", "tmpfs", "-o", "size=128k", "none"]) {
        eprintln!("SKIPPED: no permission to mount a small file system");
        return;
    }
    let mut engine = database.engine();
    engine.sync().expect("sync");
    application.fill(300, "randomblob(1000)");
    let failed = (0..3).map(|_| engine.sync().expect_err("full").kind()).collect::<Vec<_>>();
    let left = fs::read_dir(database.meta().join("ltx/0")).expect("list").count();
    let freed = mount(&["-o", "remount,size=8m"]);
    let report = engine.sync();
    drop(engine);
    let rows = database.replica().query("SELECT count(*) FROM t");
    std::process::Command::new("umount").arg(database.meta()).status().expect("umount");
    assert_eq!(failed, [DbErrorKind::DiskFull; 3]);
    assert_eq!(left, 1, "no partial file is left");
    assert!(freed);
    assert_eq!(report.expect("sync after space was freed").txid, Txid(2), "no gap");
    assert_eq!(rows, ["Integer(301)"]);
}
