//! Free-running applications: nobody waits for anybody, writers and checkpointers are killed in the middle of it.

use litestream_core::db::DbSettings;

use crate::application::Application;
use crate::database::Database;
use crate::replica::Replica;

/// Applies what was written, and looks at the image after every file.
fn check(replica: &mut Replica, database: &Database) {
    while replica.apply_next(&database.meta()) {
        let counted = replica.look(|image| {
            image.query_row("SELECT n - (SELECT count(*) FROM rows) FROM counter", [], |row| row.get::<_, i64>(0))
        });
        assert_eq!(counted, Ok(0), "torn, mixed or invented in file {}", replica.txid());
    }
}

fn create(database: &Database) {
    let mut application = Application::with_open(&database.path());
    for sql in [
        "PRAGMA journal_mode = wal",
        "CREATE TABLE rows (a INTEGER PRIMARY KEY, b)",
        "CREATE TABLE counter (n)",
        "INSERT INTO counter VALUES (0)",
    ] {
        application.run("w", sql);
    }
}

/// A program that commits and checkpoints when told to.
fn start_writer(database: &Database) -> Application {
    let mut writer = Application::with_open(&database.path());
    writer.run("w", "PRAGMA synchronous = off");
    writer
}

/// Two writers commit while the engine syncs; in every tenth round one of them is killed in the middle of it.
fn run(settings: DbSettings) {
    let database = Database::nowhere("a.db");
    create(&database);
    let mut writers = [start_writer(&database), start_writer(&database)];
    let mut engine = database.engine_with(settings.clone());
    let mut replica = Replica::default();
    for round in 1..=50 {
        for writer in &mut writers {
            writer.start_load("w", 20);
        }
        for _ in 0..3 {
            engine.sync().expect("sync");
            check(&mut replica, &database);
        }
        if round % 10 == 0 {
            std::mem::replace(&mut writers[round / 10 % 2], start_writer(&database)).kill();
            writers[1 - round / 10 % 2].finish_load();
            engine.detach().expect("detach");
            engine = database.engine_with(settings.clone());
        } else {
            writers.iter_mut().for_each(Application::finish_load);
        }
    }
    while engine.sync().expect("sync").more {}
    check(&mut replica, &database);
    let mut reader = Application::with_open(&database.path());
    let sql = "SELECT n || ',' || (SELECT group_concat(a || ':' || length(b)) FROM rows) FROM counter";
    assert_eq!(replica.query(sql), [format!("Text({:?})", reader.run("w", sql)[0])]);
}

#[test]
fn two_writers_without_a_pause() {
    run(DbSettings::default());
}

#[test]
fn two_writers_without_a_pause_and_every_limit_small() {
    run(DbSettings {
        min_checkpoint_page_count: 20,
        truncate_page_n: Some(60),
        max_sync_wal_bytes: Some(100_000),
        ..DbSettings::default()
    });
}
