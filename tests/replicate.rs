//! `replicate`: single runs, the daemon, `-exec`, and how it ends.

use std::fs;

use crate::harness::*;

const ONE: &str = "
dbs:
  - path: ROOT/app.db
    monitor-interval: 50ms
    replica:
      path: ROOT/replica
      sync-interval: 50ms
";

/// The scene of most tests: one database, one file replica, one configuration.
struct Scene {
    program: Program,
    sandbox: Sandbox,
    database: std::path::PathBuf,
    config: std::path::PathBuf,
    replica: FileReplica,
}

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let (database, config) = (sandbox.database("app.db"), sandbox.config(ONE));
        let replica = FileReplica::at(sandbox.path("replica"));
        Self { program: Program::subject(), sandbox, database, config, replica }
    }

    fn once(&self) {
        let finished = self.program.once(&self.sandbox, &self.config);
        assert_eq!(finished.code(), 0, "{finished}");
    }

    /// The daemon, after its first upload.
    fn daemon(&self) -> Daemon {
        let mut daemon = Daemon::replicate(&self.program, &self.sandbox, &self.config);
        daemon.wait_until("the first file", |_| self.replica.max_txid() > 0);
        daemon
    }

    fn restored(&self) -> std::path::PathBuf {
        self.program.restore(&self.sandbox, &self.sandbox.url("replica"), &[])
    }

    fn assert_restores(&self) {
        assert_same(&self.database, &self.restored());
    }
}

#[test]
fn once_replicates_and_ends() {
    let scene = Scene::new();
    scene.once();
    scene.assert_restores();
}

#[test]
fn h03_once_without_news_writes_nothing() {
    let scene = Scene::new();
    scene.once();
    let before = files_below(&scene.sandbox.path("replica"));
    scene.once();
    assert_eq!(files_below(&scene.sandbox.path("replica")), before);
}

#[test]
fn a_database_and_a_url_need_no_configuration() {
    let scene = Scene::new();
    let url = scene.sandbox.url("replica");
    scene.program.must(&scene.sandbox, &["replicate", "-once", scene.database.to_str().unwrap(), &url]);
    scene.assert_restores();
}

#[test]
fn once_with_a_missing_database_fails_and_names_it() {
    let scene = Scene::new();
    let config = scene.sandbox.config("dbs:\n  - path: ROOT/none.db\n    replica:\n      path: ROOT/replica\n");
    let finished = scene.program.once(&scene.sandbox, &config);
    finished.refused_with("none.db");
    assert!(finished.stderr.contains("no position, waiting for data"), "{finished}");
}

#[test]
fn h89_once_carries_on_past_a_bad_database() {
    let scene = Scene::new();
    ours_only!(scene.program, "the first bad database starves all later ones");
    scene.sandbox.write("bad.db", "SQLite format 3\0 but nothing more than that".repeat(10));
    let bad = "  - path: ROOT/bad.db\n    replica:\n      path: ROOT/bad-replica\n";
    let config = scene.sandbox.config(&ONE.replace("dbs:\n", &format!("dbs:\n{bad}")));
    let finished = scene.program.once(&scene.sandbox, &config);
    finished.refused_with("bad.db");
    scene.assert_restores();
}

#[test]
fn commits_are_replicated_while_the_daemon_runs() {
    let scene = Scene::new();
    let mut daemon = scene.daemon();
    for engine in [Engine::Bundled, Engine::Python] {
        let load = Load::start(engine, &scene.database, "a");
        load.wait_for(ledger_head(&scene.database, "a") + 50);
        let acknowledged = load.stop();
        let url = scene.sandbox.url("replica");
        scene.program.restore_until(&scene.sandbox, &url, "every acknowledged commit", |restored| {
            ledger_head(restored, "a") >= acknowledged
        });
    }
    daemon.stop();
    check_ledger(&scene.restored(), "a", 100);
    scene.assert_restores();
}

#[test]
fn every_stop_signal_ends_with_a_last_sync_and_exit_code_0() {
    for (signal, name) in [(Signal::TERM, "terminated"), (Signal::INT, "interrupt")] {
        let scene = Scene::new();
        let mut daemon = scene.daemon();
        let mut application = Application::open(Engine::Bundled, &scene.database);
        application.exec("INSERT INTO item (name) VALUES ('the last words')");
        daemon.signal(signal);
        assert_eq!(daemon.wait().code(), Some(0));
        let log = daemon.log();
        assert!(log.contains("signal received, litestream shutting down") && log.contains(name), "{log}");
        assert!(log.contains("litestream shut down"), "{log}");
        scene.assert_restores();
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9_of_everybody() {
    let scene = Scene::new();
    let mut acknowledged = 0;
    for _ in 0..3 {
        let mut daemon = Daemon::replicate(&scene.program, &scene.sandbox, &scene.config);
        let load = Load::start(Engine::Bundled, &scene.database, "a");
        load.wait_for(acknowledged + 40);
        daemon.kill();
        load.wait_for(acknowledged + 60);
        acknowledged = load.kill();
    }
    scene.once();
    check_ledger(&scene.restored(), "a", acknowledged);
    scene.assert_restores();
}

#[test]
fn h19_a_database_that_appears_later_is_replicated() {
    let scene = Scene::new();
    let config = scene.sandbox.config(&ONE.replace("app.db", "later.db"));
    let mut daemon = Daemon::replicate(&scene.program, &scene.sandbox, &config);
    daemon.wait_for_log("replicating to");
    let database = scene.sandbox.database("later.db");
    daemon.wait_until("the first file", |_| scene.replica.max_txid() > 0);
    daemon.stop();
    assert_same(&database, &scene.restored());
}

#[test]
fn h17_a_rollback_journal_database_is_converted_and_replicated() {
    let scene = Scene::new();
    sqlite_shell(&scene.database, "PRAGMA journal_mode = delete; INSERT INTO item (name) VALUES ('journal')");
    let mut daemon = scene.daemon();
    scene.sandbox.add_rows("app.db", 2);
    daemon.stop();
    if scene.program.kind() == Kind::Ours {
        assert_eq!(daemon.log().matches("journal mode changed to wal").count(), 1, "{}", daemon.log());
    }
    assert_eq!(sqlite_shell(&scene.database, "PRAGMA journal_mode").trim(), "wal");
    scene.assert_restores();
}

#[test]
fn without_databases_it_says_so_and_runs_on() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    let mut daemon = Daemon::replicate(&program, &sandbox, &sandbox.config("dbs: []\n"));
    daemon.wait_for_log("no databases specified in configuration");
    assert!(daemon.is_running());
    daemon.stop();
}

#[test]
fn the_schema_of_the_application_is_left_alone() {
    let scene = Scene::new();
    ours_only!(scene.program, "it creates two tables of its own");
    let before = sqlite_shell(&scene.database, "SELECT group_concat(name) FROM sqlite_schema");
    let mut daemon = scene.daemon();
    scene.sandbox.add_rows("app.db", 10);
    daemon.stop();
    assert_eq!(sqlite_shell(&scene.database, "SELECT group_concat(name) FROM sqlite_schema"), before);
    assert_eq!(sqlite_shell(&scene.restored(), "SELECT group_concat(name) FROM sqlite_schema"), before);
}

#[test]
fn h52_two_databases_on_one_replica_path_are_refused_at_start() {
    let scene = Scene::new();
    ours_only!(scene.program, "they overwrite each other");
    let second = "  - path: ROOT/second.db\n    replica:\n      path: ROOT/replica/\n";
    let config = scene.sandbox.config(&format!("{ONE}{second}"));
    scene.sandbox.database("second.db");
    let finished = scene.program.once(&scene.sandbox, &config);
    assert_eq!(finished.code(), 1, "{finished}");
    assert!(finished.stderr.contains("app.db") && finished.stderr.contains("second.db"), "both are named: {finished}");
    assert!(!scene.replica.exists(), "nothing starts before the conflict is solved");
}

#[test]
fn exec_runs_the_child_and_ends_with_it() {
    for (script, code, text) in [("exit 0", 0, ""), ("exit 7", 1, "exit status 7"), ("kill -9 $$", 1, "signal: killed")]
    {
        let scene = Scene::new();
        let script = scene.sandbox.write(
            "child.sh",
            format!("sqlite3 \"$1\" \"INSERT INTO item (name) VALUES ('of the child')\" && {script}"),
        );
        let command = format!("sh '{}' {}", script.display(), scene.database.display());
        let finished = scene
            .program
            .run(&scene.sandbox, &["replicate", "-config", scene.config.to_str().unwrap(), "-exec", &command]);
        assert_eq!(finished.code(), code, "{finished}");
        assert!(finished.stderr.contains(text), "{finished}");
        // The reference opens databases at its first tick: a short child is over before that.
        if scene.program.kind() == Kind::Ours {
            scene.assert_restores();
        }
    }
}

#[test]
fn exec_that_cannot_start_is_an_error() {
    let scene = Scene::new();
    let config = scene.config.to_str().unwrap();
    let run = |exec: &str| scene.program.run(&scene.sandbox, &["replicate", "-config", config, "-exec", exec]);
    run("/nowhere/child").refused_with("cannot start exec command: ");
    run("sh -c 'unclosed").refused_with("cannot parse exec command: ");
}

#[test]
fn h87_exec_child_gets_the_signal_and_its_failure_does_not_cost_the_last_sync() {
    let scene = Scene::new();
    ours_only!(scene.program, "a child that ends with an error skips the final sync");
    let script = "trap 'sqlite3 \"$1\" \"INSERT INTO item (name) VALUES (1)\"; exit 3' TERM; touch \"$1.up\"; while :; do sleep 0.05; done";
    let script = scene.sandbox.write("child.sh", script);
    let command = format!("sh '{}' {}", script.display(), scene.database.display());
    let mut daemon = Daemon::spawn(
        &scene.program,
        &scene.sandbox,
        &["replicate", "-config", scene.config.to_str().unwrap(), "-exec", &command],
    );
    let up = scene.sandbox.path("app.db.up");
    daemon.wait_until("the child", |_| up.exists() && scene.replica.max_txid() > 0);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait().code(), Some(1));
    assert_eq!(Content::of(&scene.database).rows("item"), 21, "the child wrote before it ended");
    scene.assert_restores();
}

#[test]
fn a_missing_database_is_restored_first_when_asked() {
    let scene = Scene::new();
    scene.once();
    let last = scene.replica.max_txid();
    let before = Content::of(&scene.database);
    for name in ["app.db", "app.db-wal", "app.db-shm"] {
        let _ = fs::remove_file(scene.sandbox.path(name));
    }
    let _ = fs::remove_dir_all(scene.sandbox.path(".app.db-litestream"));
    let config = scene.config.to_str().unwrap();
    let args = ["replicate", "-config", config, "-restore-if-db-not-exists"];
    let mut daemon = Daemon::spawn(&scene.program, &scene.sandbox, &args);
    daemon.wait_until("the restored database", |_| scene.database.exists());
    daemon.wait_for_log("restore completed");
    scene.sandbox.add_rows("app.db", 1);
    daemon.wait_until("the next file", |_| scene.replica.max_txid() > last);
    daemon.stop();
    assert_eq!(Content::of(&scene.database).rows("item"), before.rows("item") + 1);
    scene.assert_restores();

    let mut again = Daemon::spawn(&scene.program, &scene.sandbox, &args);
    again.wait_for_log("database exists, skipping restore");
    again.stop();
}

#[test]
fn nothing_to_restore_first_is_a_fresh_start() {
    let scene = Scene::new();
    fs::remove_file(&scene.database).unwrap();
    let config = scene.config.to_str().unwrap();
    let args = ["replicate", "-config", config, "-restore-if-db-not-exists"];
    let mut daemon = Daemon::spawn(&scene.program, &scene.sandbox, &args);
    daemon.wait_for_log("no backup found, starting fresh");
    scene.sandbox.database("app.db");
    daemon.wait_until("the first file", |_| scene.replica.max_txid() > 0);
    daemon.stop();
    scene.assert_restores();
}
