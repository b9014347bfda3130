//! Checkpoints: the WAL shrinks, and the application never waits.

use std::time::Duration;

use litestream_core::db::{CheckpointMode, Content, DbSettings};

use crate::application::Application;
use crate::database::{Database, contents};

fn insert(application: &mut Application, rows: std::ops::Range<u32>) {
    for n in rows {
        application.run("w", &format!("INSERT INTO t VALUES ({n}, zeroblob(300))"));
    }
}

#[test]
fn the_wal_starts_over_after_a_sync() {
    let (database, mut application) = Database::with_application();
    let mut engine = database.engine();
    for round in 0..20 {
        insert(&mut application, 10 + round * 10..20 + round * 10);
        let report = engine.sync().expect("sync");
        assert!(!report.unsettled);
        assert!(report.wal_bytes < 60_000, "{} bytes in round {round}", report.wal_bytes);
        assert_eq!(report.write_lock_held, Duration::ZERO, "a hand-over needs no write lock");
    }
    assert!(std::fs::metadata(database.wal()).expect("wal").len() < 60_000);
    database.assert_replicated(&mut application);
}

#[test]
fn h31_passive_checkpoint_loop() {
    let (database, mut application) = Database::with_application();
    let settings =
        DbSettings { min_checkpoint_page_count: 1, checkpoint_interval: Some(Duration::ZERO), ..Default::default() };
    let mut engine = database.engine_with(settings);
    insert(&mut application, 10..30);
    engine.sync().expect("sync");
    let txid = engine.txid();
    for _ in 0..50 {
        assert!(!engine.has_news());
        let report = engine.sync().expect("sync");
        assert_eq!((report.files.len(), report.checkpoints.len()), (0, 0), "{report:?}");
    }
    assert_eq!(engine.txid(), txid);
}

/// The reference fails this: it starves the writer.
#[test]
fn h33_long_reader_blocks_checkpoint_but_no_writer() {
    let (database, mut application) = Database::with_application();
    application.open("r", &database.path());
    application.run("r", "BEGIN");
    application.run("r", "SELECT count(*) FROM t");
    let settings = DbSettings { min_checkpoint_page_count: 10, truncate_page_n: Some(50), ..Default::default() };
    let mut engine = database.engine_with(settings);
    let mut locked = 0;
    for round in 0..20 {
        // The busy timeout of the application is 0: one refused statement fails the test.
        insert(&mut application, 100 + round * 10..110 + round * 10);
        let report = engine.sync().expect("sync");
        assert!(report.unsettled, "the reader keeps the WAL");
        locked += u32::from(report.write_lock_held > Duration::ZERO);
        assert!(report.checkpoints.iter().all(|checkpoint| checkpoint.mode == CheckpointMode::Passive));
    }
    assert!(locked > 0, "the write lock was tried");
    database.assert_replicated(&mut application);
    application.run("r", "COMMIT");
    engine.sync().expect("sync");
    insert(&mut application, 1000..1001);
    let report = engine.sync().expect("sync");
    assert!(report.wal_bytes < 20_000, "the WAL starts over: {} bytes", report.wal_bytes);
    database.assert_replicated(&mut application);
}

#[test]
fn a_huge_wal_file_is_truncated_once_everything_is_in_the_database() {
    let (database, mut application) = Database::with_application();
    let settings = DbSettings { truncate_page_n: Some(100), ..Default::default() };
    let mut engine = database.engine_with(settings);
    engine.sync().expect("sync");
    application.fill(200, "zeroblob(3000)");
    let report = engine.sync().expect("sync");
    let last = report.checkpoints.last().expect("a checkpoint");
    assert_eq!((last.mode, last.complete), (CheckpointMode::Truncate, true), "{report:?}");
    assert_eq!(std::fs::metadata(database.wal()).expect("wal").len(), 0);
    assert_eq!(engine.sync().expect("sync").files, []);
    application.run("w", "INSERT INTO t VALUES (5000, 'next')");
    assert_eq!(contents(&engine.sync().expect("sync")), [Content::Commits]);
    database.assert_replicated(&mut application);
}

#[test]
fn h34_a_commit_before_the_truncation_is_kept() {
    let (database, mut application) = Database::with_application();
    let settings = DbSettings { truncate_page_n: Some(1), ..Default::default() };
    let mut engine = database.engine_with(settings);
    engine.sync().expect("sync");
    for n in 10..30 {
        insert(&mut application, n..n + 1);
        let report = engine.sync().expect("sync");
        assert_eq!(contents(&report), [Content::Commits]);
        database.assert_replicated(&mut application);
    }
}

#[test]
fn h32_time_checkpoint_only_after_changes() {
    let (database, mut application) = Database::with_application();
    // A reader that stays keeps hand-overs from finishing, so only the interval decides.
    application.open("r", &database.path());
    application.run("r", "BEGIN");
    application.run("r", "SELECT count(*) FROM t");
    let by_time = |interval| DbSettings { checkpoint_interval: interval, ..Default::default() };
    for (interval, expected) in [(Some(Duration::ZERO), true), (None, false), (Some(Duration::from_secs(3600)), false)]
    {
        let mut engine = database.engine_with(by_time(interval));
        engine.sync().expect("sync");
        application.run("w", "INSERT INTO t (b) VALUES ('x')");
        let report = engine.sync().expect("sync");
        assert_eq!(report.write_lock_held > Duration::ZERO, expected, "interval {interval:?}");
    }
}

#[test]
fn a_held_write_lock_is_not_waited_for() {
    let (database, mut application) = Database::with_application();
    let settings = DbSettings { min_checkpoint_page_count: 1, ..Default::default() };
    let mut engine = database.engine_with(settings);
    engine.sync().expect("sync");
    application.open("x", &database.path());
    insert(&mut application, 10..12);
    application.run("x", "BEGIN IMMEDIATE");
    let report = engine.sync().expect("sync");
    assert_eq!(report.write_lock_held, Duration::ZERO);
    assert_eq!(contents(&report), [Content::Commits]);
    application.run("x", "ROLLBACK");
    database.assert_replicated(&mut application);
}

#[test]
fn the_last_close_leaves_the_database_as_the_application_expects_it() {
    let (database, mut application) = Database::with_application();
    let mut engine = database.engine();
    insert(&mut application, 10..12);
    engine.sync().expect("sync");
    application.close("w");
    assert!(database.wal().exists(), "our read lock keeps the WAL in place");
    let before = std::fs::metadata(database.path()).expect("database").modified().expect("time");
    engine.detach().expect("detach");
    assert!(!database.wal().exists(), "no one needs it any more");
    assert_eq!(std::fs::metadata(database.path()).expect("database").modified().expect("time"), before);
    database.assert_equals_file();
}
