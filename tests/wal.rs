//! What applications do to a WAL, with the program beside them and while it is away. Each case ends with a restore that
//! equals the database: a checkpoint, a vacuum or a replaced file never costs a commit.

use std::fs;
use std::path::PathBuf;

use crate::harness::*;

struct Scene {
    program: Program,
    sandbox: Sandbox,
    database: PathBuf,
    config: PathBuf,
    replica: FileReplica,
}

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let database = sandbox.database("app.db");
        let config = "dbs:\n  - path: ROOT/app.db\n    monitor-interval: 50ms\n    replica:\n      path: ROOT/replica\n      sync-interval: 50ms\n";
        let config = sandbox.config(config);
        let replica = FileReplica::at(sandbox.path("replica"));
        Self { program: Program::subject(), sandbox, database, config, replica }
    }

    fn once(&self) {
        let finished = self.program.once(&self.sandbox, &self.config);
        assert_eq!(finished.code(), 0, "{finished}");
    }

    fn assert_restores(&self) {
        assert_same(&self.database, &self.program.restore(&self.sandbox, &self.sandbox.url("replica"), &[]));
    }

    /// Runs it once, lets the application change the database meanwhile, runs it again and compares.
    fn while_away(&self, change: impl FnOnce()) {
        self.once();
        change();
        self.once();
        self.assert_restores();
    }

    /// Lets the application change the database while the daemon runs, and compares after its end.
    fn while_running(&self, change: impl FnOnce(&mut Daemon)) {
        let mut daemon = Daemon::replicate(&self.program, &self.sandbox, &self.config);
        daemon.wait_until("the first file", |_| self.replica.max_txid() > 0);
        change(&mut daemon);
        daemon.stop();
        self.assert_restores();
    }
}

#[test]
fn h01_an_application_truncates_the_wal_while_we_are_away() {
    let scene = Scene::new();
    scene.while_away(|| {
        let mut application = Application::open(Engine::Python, &scene.database);
        application.exec("INSERT INTO item (name) VALUES ('before')");
        application.exec("PRAGMA wal_checkpoint(TRUNCATE)");
        application.exec("INSERT INTO item (name) VALUES ('after')");
        application.kill();
    });
}

#[test]
fn h02_applications_open_write_and_close_while_we_are_away() {
    let scene = Scene::new();
    scene.while_away(|| {
        for row in 0..5 {
            sqlite_shell(&scene.database, &format!("INSERT INTO item (name) VALUES ('shell {row}')"));
        }
    });
}

#[test]
fn h05_h06_a_wal_restarted_while_we_are_away_hides_no_commit() {
    let scene = Scene::new();
    ours_only!(scene.program, "commits beyond the last sync are lost when the WAL restarts once (engine.md H05)");
    for restarts in 1..4 {
        scene.while_away(|| {
            let mut application = Application::open(Engine::Python, &scene.database);
            application.exec("PRAGMA wal_autocheckpoint = 0");
            for restart in 0..restarts {
                application.exec(&format!("INSERT INTO item (name) VALUES ('before {restart}')"));
                application.exec("PRAGMA wal_checkpoint(RESTART)");
            }
            application.exec("UPDATE item SET name = name || '.' WHERE id % 3 = 0");
            application.kill();
        });
    }
}

#[test]
fn h07_checkpoints_of_the_application_beside_us_lose_nothing() {
    let scene = Scene::new();
    scene.while_running(|_| {
        let mut application = Application::open(Engine::Bundled, &scene.database);
        application.exec("PRAGMA busy_timeout = 200");
        for mode in ["PASSIVE", "FULL", "RESTART", "TRUNCATE"].repeat(3) {
            application.exec(&format!("INSERT INTO item (name) VALUES ('{mode}')"));
            application.exec(&format!("PRAGMA wal_checkpoint({mode})"));
        }
        application.close();
    });
}

#[test]
fn applications_that_open_write_and_close_beside_us_lose_nothing() {
    let scene = Scene::new();
    scene.while_running(|_| {
        for row in 0..40 {
            sqlite_shell(
                &scene.database,
                &format!("PRAGMA busy_timeout = 20000; INSERT INTO item (name) VALUES ('shell {row}')"),
            );
        }
    });
}

#[test]
fn several_writers_and_checkpointers_at_once() {
    let scene = Scene::new();
    let mut heads = Vec::new();
    scene.while_running(|_| {
        let loads = [(Engine::Bundled, "a"), (Engine::Python, "b")]
            .map(|(engine, name)| (Load::start(engine, &scene.database, name), name));
        let mut checkpointer = Application::open(Engine::Python, &scene.database);
        checkpointer.exec("PRAGMA busy_timeout = 100");
        for round in 1..=10 {
            loads[0].0.wait_for(round * 20);
            // A busy answer is a row, not an error.
            let _ = checkpointer.attempt("PRAGMA wal_checkpoint(TRUNCATE)");
        }
        heads = loads.into_iter().map(|(load, name)| (name, load.stop())).collect();
    });
    let restored = scene.program.restore(&scene.sandbox, &scene.sandbox.url("replica"), &[]);
    for (name, head) in heads {
        assert_eq!(check_ledger(&restored, name, head), head);
    }
}

#[test]
fn h21_vacuum_shrinks_the_restored_file_too() {
    let scene = Scene::new();
    sqlite_shell(&scene.database, "INSERT INTO item (data) SELECT randomblob(3000) FROM item, item LIMIT 300");
    scene.while_running(|daemon| {
        let before = scene.replica.max_txid();
        sqlite_shell(&scene.database, "PRAGMA busy_timeout = 20000; DELETE FROM item WHERE id > 10; VACUUM");
        daemon.wait_until("the vacuum", |_| scene.replica.max_txid() > before);
    });
    sqlite_shell(&scene.database, "PRAGMA wal_checkpoint(TRUNCATE)");
    let restored = scene.program.restore(&scene.sandbox, &scene.sandbox.url("replica"), &[]);
    assert_eq!(fs::metadata(restored).unwrap().len(), fs::metadata(&scene.database).unwrap().len());
}

#[test]
fn h23_h30_every_page_size_and_kind_of_table() {
    for (page_size, encoding) in [(512, "UTF-8"), (4096, "UTF-16le"), (65536, "UTF-16be")] {
        let scene = Scene::new();
        fs::remove_file(&scene.database).unwrap();
        let pragmas = format!(
            "PRAGMA page_size = {page_size}; PRAGMA encoding = '{encoding}'; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = wal"
        );
        sqlite_shell(&scene.database, &pragmas);
        scene.while_running(|_| {
            sqlite_shell(
                &scene.database,
                "PRAGMA busy_timeout = 20000;
                 CREATE TABLE pair (k TEXT PRIMARY KEY, v REAL) WITHOUT ROWID;
                 CREATE VIRTUAL TABLE words USING fts5(body);
                 CREATE TABLE blobs (id INTEGER PRIMARY KEY, data BLOB UNIQUE);
                 CREATE VIEW heavy AS SELECT id FROM blobs WHERE length(data) > 1000;
                 CREATE TRIGGER t AFTER INSERT ON pair BEGIN INSERT INTO words VALUES (new.k || ' ünïcode'); END;
                 INSERT INTO pair SELECT 'k' || value, value / 3.0 FROM generate_series(1, 300);
                 INSERT INTO blobs (data) SELECT randomblob(value * 40) FROM generate_series(1, 200);",
            );
            sqlite_shell(
                &scene.database,
                "PRAGMA busy_timeout = 20000; DELETE FROM blobs WHERE id % 2; PRAGMA incremental_vacuum(20); DROP TABLE pair;
                 CREATE TABLE pair (k, v, w); INSERT INTO pair VALUES (1, NULL, x'00ff'), ('', -0.0, 9e999);
                 PRAGMA user_version = 7; PRAGMA application_id = 4242;",
            );
        });
    }
}

#[test]
fn h12_a_rolled_back_spill_leaves_no_trace() {
    let scene = Scene::new();
    scene.while_running(|_| {
        let mut application = Application::open(Engine::Bundled, &scene.database);
        application.exec("PRAGMA cache_size = 5");
        application.exec("BEGIN");
        application.exec("INSERT INTO item (data) SELECT randomblob(4000) FROM item, item LIMIT 300");
        application.exec("ROLLBACK");
        application.exec("INSERT INTO item (name) VALUES ('kept')");
        application.exec("BEGIN");
        application.exec("INSERT INTO item (data) SELECT randomblob(4000) FROM item, item LIMIT 300");
        application.kill();
    });
}

#[test]
fn h18_a_database_locked_exclusively_is_replicated_after_the_lock() {
    let scene = Scene::new();
    let other = scene.sandbox.database("other.db");
    let config = scene.sandbox.config(
        "dbs:
  - path: ROOT/app.db
    monitor-interval: 50ms
    busy-timeout: 50ms
    replica: { path: ROOT/replica, sync-interval: 50ms }
  - path: ROOT/other.db
    monitor-interval: 50ms
    replica: { path: ROOT/other, sync-interval: 50ms }
",
    );
    let mut application = Application::open(Engine::Bundled, &scene.database);
    application.exec("PRAGMA locking_mode = EXCLUSIVE");
    application.exec("INSERT INTO item (name) VALUES ('exclusive')");
    let mut daemon = Daemon::replicate(&scene.program, &scene.sandbox, &config);
    let others = FileReplica::at(scene.sandbox.path("other"));
    daemon.wait_until("the other database", |_| others.max_txid() > 0);
    application.close();
    daemon.wait_until("the unlocked database", |_| scene.replica.max_txid() > 0);
    daemon.stop();
    scene.assert_restores();
    assert_same(&other, &scene.program.restore(&scene.sandbox, &scene.sandbox.url("other"), &[]));
}

#[test]
fn h43_a_database_replaced_by_rename_is_noticed() {
    let scene = Scene::new();
    ours_only!(scene.program, "it goes on with the unlinked file (engine.md H43)");
    scene.while_running(|daemon| {
        let new = scene.sandbox.database("new.db");
        sqlite_shell(&new, "INSERT INTO item (name) VALUES ('of the new one')");
        for side in ["app.db-wal", "app.db-shm"] {
            let _ = fs::remove_file(scene.sandbox.path(side));
        }
        let before = scene.replica.max_txid();
        fs::rename(&new, &scene.database).unwrap();
        daemon.wait_until("a file of the new database", |_| scene.replica.max_txid() > before);
        sqlite_shell(&scene.database, "PRAGMA busy_timeout = 20000; INSERT INTO item (name) VALUES ('and later')");
    });
}

#[test]
fn h42_a_database_deleted_and_made_again_keeps_its_old_states_restorable() {
    let scene = Scene::new();
    ours_only!(scene.program, "the new database is not noticed (engine.md H42)");
    let before = Content::of(&scene.database);
    let mut old = 0;
    scene.while_running(|daemon| {
        old = scene.replica.max_txid();
        for name in ["app.db", "app.db-wal", "app.db-shm"] {
            let _ = fs::remove_file(scene.sandbox.path(name));
        }
        scene.sandbox.database("app.db");
        scene.sandbox.add_rows("app.db", 7);
        daemon.wait_until("a file of the new database", |_| scene.replica.max_txid() > old);
    });
    let restored =
        scene.program.restore(&scene.sandbox, &scene.sandbox.url("replica"), &["-txid", &format!("{old:016x}")]);
    assert_eq!(Content::of(&restored), before);
}

#[test]
fn h45_a_database_restored_over_the_live_path_while_we_are_away() {
    let scene = Scene::new();
    scene.once();
    let copy = scene.program.restore(&scene.sandbox, &scene.sandbox.url("replica"), &[]);
    scene.while_away(|| {
        sqlite_shell(&scene.database, "DELETE FROM item WHERE id % 2");
    });
    let newest = scene.replica.max_txid();
    for side in ["app.db-wal", "app.db-shm"] {
        let _ = fs::remove_file(scene.sandbox.path(side));
    }
    fs::rename(copy, &scene.database).unwrap();
    scene.once();
    assert!(scene.replica.max_txid() > newest, "history goes on above what the replica holds");
    scene.assert_restores();
}

#[test]
fn h47_local_state_that_was_lost_is_rebuilt_above_the_replica() {
    let scene = Scene::new();
    scene.while_away(|| sandbox_rows(&scene));
    let newest = scene.replica.max_txid();
    fs::remove_dir_all(scene.sandbox.path(".app.db-litestream")).unwrap();
    scene.while_away(|| sandbox_rows(&scene));
    assert!(scene.replica.max_txid() > newest);
}

fn sandbox_rows(scene: &Scene) {
    scene.sandbox.add_rows("app.db", 3);
}
