//! `restore`: what it refuses to overwrite, what it can aim at, what it prints, and what it does with a damaged replica.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::harness::*;

/// A replica of four states: state `n` (TXID `n`) holds `20 + n - 1` items and was written at `TIMES + n` seconds.
struct Scene {
    program: Program,
    sandbox: Sandbox,
    database: PathBuf,
    config: PathBuf,
    replica: FileReplica,
    url: String,
}

/// 2024-01-01T00:00:00Z, in seconds.
const TIMES: u64 = 1_704_067_200;
const STATES: u64 = 4;

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let database = sandbox.database("app.db");
        let config = sandbox.config("dbs:\n  - path: ROOT/app.db\n    replica:\n      path: ROOT/replica\n");
        let (replica, url) = (FileReplica::at(sandbox.path("replica")), sandbox.url("replica"));
        let scene = Self { program: Program::subject(), sandbox, database, config, replica, url };
        for state in 1..=STATES {
            if state > 1 {
                scene.sandbox.add_rows("app.db", 1);
            }
            let finished = scene.program.once(&scene.sandbox, &scene.config);
            assert_eq!(finished.code(), 0, "{finished}");
            assert_eq!(scene.replica.max_txid(), state);
            // The file backend keeps a file's time in its modification time.
            let file = fs::File::open(scene.file(state)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(TIMES + state)).unwrap();
        }
        scene
    }

    fn file(&self, txid: u64) -> PathBuf {
        self.replica.level_dir(0).join(format!("{txid:016x}-{txid:016x}.ltx"))
    }

    /// `restore -o OUTPUT MORE.. URL`.
    fn restore(&self, output: &str, more: &[&str]) -> Finished {
        let mut args = vec!["restore", "-o", output];
        args.extend(more);
        args.push(&self.url);
        self.program.run(&self.sandbox, &args)
    }

    fn items(&self, output: &str) -> u64 {
        Content::of(&self.sandbox.path(output)).rows("item")
    }

    fn names(&self, directory: &str) -> Vec<PathBuf> {
        files_below(&self.sandbox.path(directory)).into_keys().collect()
    }
}

#[test]
fn the_newest_state_is_the_default_and_silence_means_success() {
    let scene = Scene::new();
    let finished = scene.restore("new/deep/out.db", &[]);
    assert_eq!((finished.code(), finished.text().as_str()), (0, ""), "{finished}");
    assert_same(&scene.database, &scene.sandbox.path("new/deep/out.db"));
    let mode = |name: &str| fs::metadata(scene.sandbox.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("new"), mode("new/deep")), (0o700, 0o700));
}

#[test]
fn a_txid_gives_the_state_of_that_moment() {
    let scene = Scene::new();
    for state in 1..=STATES {
        let output = format!("state-{state}.db");
        let finished = scene.restore(&output, &["-txid", &format!("{state:016x}")]);
        assert_eq!(finished.code(), 0, "{finished}");
        assert_eq!(scene.items(&output), 20 + state - 1);
    }
    scene.restore("none.db", &["-txid", "0000000000000009"]).refused_with("no matching backup files available");
    assert!(!scene.sandbox.path("none.db").exists());
}

#[test]
fn h61_a_timestamp_gives_the_last_state_strictly_before_it() {
    let scene = Scene::new();
    for (timestamp, state) in [
        ("2024-01-01T00:00:02Z", 1),
        ("2024-01-01T00:00:02.5Z", 2),
        ("2024-01-01T02:00:03.001+02:00", 3),
        ("2024-01-01T00:00:04Z", 3),
    ] {
        let output = format!("{state}-{}.db", timestamp.len());
        let finished = scene.restore(&output, &["-timestamp", timestamp]);
        assert_eq!(finished.code(), 0, "{finished}");
        assert_eq!(scene.items(&output), 20 + state - 1, "{timestamp}");
    }
    scene.restore("none.db", &["-timestamp", "2023-12-31T23:59:59Z"]).refused_with("timestamp does not exist");
    scene.restore("none.db", &["-timestamp", "yesterday"]).refused_with("invalid -timestamp, must specify in ISO 8601");
    assert!(!scene.sandbox.path("none.db").exists());
}

#[test]
fn a_timestamp_after_the_last_file_is_the_newest_state() {
    let scene = Scene::new();
    let late = ["-timestamp", "2030-01-01T00:00:00Z"];
    let config = scene.config.to_str().unwrap();
    let by_path = scene.sandbox.text("by-path.db");
    let args = ["restore", "-config", config, "-o", &by_path, late[0], late[1], scene.database.to_str().unwrap()];
    scene.program.must(&scene.sandbox, &args);
    assert_eq!(scene.items("by-path.db"), 20 + STATES - 1);
    ours_only!(scene.program, "by URL it refuses what it accepts by path");
    assert_eq!(scene.restore("by-url.db", &late).code(), 0);
    assert_eq!(scene.items("by-url.db"), 20 + STATES - 1);
}

#[test]
fn flags_that_contradict_each_other_are_refused() {
    let scene = Scene::new();
    let (txid, time) = ("0000000000000002", "2024-01-01T00:00:02Z");
    for (flags, text) in [
        (&["-txid", txid, "-timestamp", time][..], "cannot specify index & timestamp to restore"),
        (&["-f", "-txid", txid], "cannot use follow mode with -txid"),
        (&["-f", "-timestamp", time], "cannot use follow mode with -timestamp"),
        (&["-f", "-dry-run"], "cannot use -dry-run with -f"),
        (&["-integrity-check", "perhaps"], "invalid -integrity-check value: perhaps"),
        (&["-config", "litestream.yml"], "cannot specify a replica URL and the -config flag"),
    ] {
        scene.restore("out.db", flags).refused_with(text);
        assert!(!scene.sandbox.path("out.db").exists());
    }
}

#[test]
fn nothing_that_exists_is_overwritten_without_force() {
    let scene = Scene::new();
    scene.sandbox.mkdir("directory");
    scene.restore("directory", &[]).refused_with("cannot restore, output path is a directory: ");
    scene.sandbox.write("full.db", "not empty");
    scene.restore("full.db", &[]).refused_with("cannot restore, output path already exists and is not empty: ");
    assert_eq!(fs::read(scene.sandbox.path("full.db")).unwrap(), b"not empty");
    scene.sandbox.write("empty.db", "");
    assert_eq!(scene.restore("empty.db", &[]).code(), 0, "an empty file is replaced");
    assert_eq!(scene.items("empty.db"), 20 + STATES - 1);
    for side in ["-wal", "-shm", "-journal"] {
        let output = format!("beside{side}/x.db");
        scene.sandbox.write(&output, "");
        scene.sandbox.write(format!("{output}{side}"), "left over");
        scene.restore(&output, &[]).refused_with("cannot restore, SQLite sidecar path already exists: ");
        assert_eq!(scene.restore(&output, &["-force"]).code(), 0);
        assert!(!scene.sandbox.path(format!("{output}{side}")).exists());
        assert_eq!(scene.items(&output), 20 + STATES - 1);
    }
    assert_eq!(scene.restore("full.db", &["-force"]).code(), 0);
    assert_eq!(scene.items("full.db"), 20 + STATES - 1);
}

#[test]
fn h46_a_left_over_wal_without_its_database_is_refused_too() {
    let scene = Scene::new();
    ours_only!(scene.program, "it replays the WAL into the restored file (engine.md H46)");
    scene.sandbox.write("gone.db-wal", "left over");
    scene.restore("gone.db", &[]).refused_with("cannot restore, SQLite sidecar path already exists: ");
    assert_eq!(fs::read(scene.sandbox.path("gone.db-wal")).unwrap(), b"left over");
    assert_eq!(scene.restore("gone.db", &["-force"]).code(), 0);
    assert_eq!(scene.items("gone.db"), 20 + STATES - 1);
}

#[test]
fn conditions_turn_a_restore_into_a_successful_nothing() {
    let scene = Scene::new();
    scene.sandbox.write("there.db", "whatever");
    let finished = scene.restore("there.db", &["-if-db-not-exists"]);
    assert_eq!(finished.code(), 0, "{finished}");
    assert!(finished.text().contains("database already exists, skipping"), "{finished}");
    let none = scene.sandbox.url("no-replica");
    let restore = |more: &[&str]| {
        let args = [&["restore", "-o", "out.db"][..], more, &[&none]].concat();
        scene.program.run(&scene.sandbox, &args)
    };
    restore(&[]).refused_with("no matching backup files available");
    let finished = restore(&["-if-replica-exists"]);
    assert_eq!(finished.code(), 0, "{finished}");
    assert!(finished.text().contains("no matching backups found"), "{finished}");
}

#[test]
fn a_dry_run_prints_the_plan_and_writes_nothing() {
    let scene = Scene::new();
    let before = scene.names("");
    let text = scene.restore("out.db", &["-dry-run", "-txid", "0000000000000002"]);
    let mut expected = format!(
        "Restore plan:\n  source: {}\n  target: out.db\n  replica: file\n  txid range: 0000000000000001 - 0000000000000002\n\n\
         Files to fetch:\nlevel  file                                   min_txid          max_txid          size  timestamp\n",
        scene.url
    );
    for txid in 1..=2 {
        let size = fs::metadata(scene.file(txid)).unwrap().len();
        expected += &format!(
            "0      {txid:016x}-{txid:016x}.ltx  {txid:016x}  {txid:016x}  {size:<4}  2024-01-01T00:00:0{txid}Z\n"
        );
    }
    assert_eq!(text.stdout, expected, "{text}");
    let json = scene.restore("out.db", &["-dry-run", "-json"]).json();
    assert_eq!(json["target_path"], "out.db");
    assert_eq!((&json["min_txid"], &json["max_txid"]), (&"0000000000000001".into(), &"0000000000000004".into()));
    let files = json["files"].as_array().unwrap();
    assert_eq!(files.len(), 4);
    assert_eq!(files[3]["name"], "0000000000000004-0000000000000004.ltx");
    assert_eq!(files[3]["level"], 0);
    let output_of_this_test = |path: &&PathBuf| !path.starts_with(".out");
    let after = scene.names("");
    assert_eq!(after.iter().filter(output_of_this_test).count(), before.iter().filter(output_of_this_test).count());
}

#[test]
fn json_output_is_alone_on_stdout() {
    let scene = Scene::new();
    let finished = scene.restore("out.db", &["-json", "-integrity-check", "quick"]);
    let json = finished.json();
    assert_eq!(json["db_path"], "out.db");
    assert_eq!(json["replica"], "file");
    assert_eq!(json["txid"], "0000000000000004");
    assert_eq!(json["integrity_check"], "quick");
    assert!(json["duration_ms"].is_u64());
    assert!(finished.stdout.starts_with("{\n  \"db_path\"") && finished.stdout.ends_with("\n}\n"), "{finished}");
}

#[test]
fn an_integrity_check_removes_a_database_that_fails_it() {
    let scene = Scene::new();
    let finished = scene.restore("good.db", &["-integrity-check", "full"]);
    assert_eq!(finished.code(), 0, "{finished}");
    assert!(finished.text().contains("post-restore integrity check passed"), "{finished}");
    // An index that misses rows: the file is intact, the database is not.
    sqlite_shell(&scene.database, "CREATE INDEX by_name ON item (name)");
    sqlite_shell(
        &scene.database,
        "PRAGMA writable_schema = on; CREATE TEMP TABLE kept AS SELECT * FROM sqlite_schema WHERE name = 'by_name';
         DELETE FROM sqlite_schema WHERE name = 'by_name'; PRAGMA writable_schema = reset;
         INSERT INTO item (name) VALUES ('not in the index');
         PRAGMA writable_schema = on; INSERT INTO sqlite_schema SELECT * FROM kept; PRAGMA writable_schema = reset;",
    );
    assert_eq!(scene.program.once(&scene.sandbox, &scene.config).code(), 0);
    scene.restore("checked/bad.db", &["-integrity-check", "full"]).refused_with("post-restore integrity check: ");
    assert_eq!(scene.names("checked"), Vec::<PathBuf>::new(), "nothing is left of it");
    assert_eq!(scene.restore("unchecked.db", &[]).code(), 0);
}

#[test]
fn a_damaged_file_is_refused_and_leaves_nothing_behind() {
    let scene = Scene::new();
    let path = scene.file(2);
    let intact = fs::read(&path).unwrap();
    let mut flipped = intact.clone();
    flipped[130] ^= 1;
    for (what, bytes) in [
        ("a bit of a page", &flipped[..]),
        ("a cut end", &intact[..intact.len() - 1]),
        ("an empty file", &[]),
        ("half a header", &intact[..50]),
    ] {
        fs::write(&path, bytes).unwrap();
        let finished = scene.restore("damaged/out.db", &[]);
        assert_eq!(finished.code(), 1, "{what}: {finished}");
        assert!(finished.stderr.starts_with("Error: "), "{what}: {finished}");
        assert_eq!(scene.names("damaged"), Vec::<PathBuf>::new(), "{what}");
    }
    assert_eq!(
        scene.restore("damaged/out.db", &["-txid", "0000000000000001"]).code(),
        0,
        "what is intact is restorable"
    );
}

#[test]
fn h50_a_missing_file_in_the_middle_is_named() {
    let scene = Scene::new();
    fs::remove_file(scene.file(3)).unwrap();
    let finished = scene.restore("out.db", &[]);
    finished
        .refused_with("non-contiguous ltx files: have up to 0000000000000002 but next file starts at 0000000000000004");
    assert!(!scene.sandbox.path("out.db").exists());
}

#[test]
fn a_configured_path_restores_to_its_own_place() {
    let scene = Scene::new();
    let expected = Content::of(&scene.database);
    for name in ["app.db", "app.db-wal", "app.db-shm"] {
        let _ = fs::remove_file(scene.sandbox.path(name));
    }
    let config = scene.config.to_str().unwrap();
    scene.program.must(&scene.sandbox, &["restore", "-config", config, scene.database.to_str().unwrap()]);
    assert_eq!(Content::of(&scene.database), expected);
    let other = scene.sandbox.text("other.db");
    let finished = scene.program.run(&scene.sandbox, &["restore", "-config", config, &other]);
    finished.refused_with(&format!("database not found in config: {other}"));
}

#[test]
fn h56_h63_a_restore_beside_a_busy_daemon_is_always_some_committed_state() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    let database = sandbox.database("app.db");
    let config = sandbox.config(
        "levels:\n  - interval: 500ms\nsnapshot:\n  interval: 1s\nl0-retention: 200ms\nl0-retention-check-interval: 200ms
dbs:\n  - path: ROOT/app.db\n    monitor-interval: 20ms\n    replica:\n      path: ROOT/replica\n      sync-interval: 20ms\n",
    );
    let replica = FileReplica::at(sandbox.path("replica"));
    let mut daemon = Daemon::replicate(&program, &sandbox, &config);
    let load = Load::start(Engine::Bundled, &database, "a");
    daemon.wait_until("a compaction", |_| !replica.level(1).is_empty());
    let (mut newest, mut good) = (0, 0);
    until("ten restores", || {
        let output = sandbox.fresh("restored.db");
        let finished = program.run(&sandbox, &["restore", "-o", output.to_str().unwrap(), &sandbox.url("replica")]);
        // A file may be compacted away between the plan and its reading: an honest error, never a wrong database.
        if finished.status.success() {
            let head = check_ledger(&output, "a", newest);
            (newest, good) = (head, good + 1);
        }
        good == 10
    });
    let acknowledged = load.stop();
    daemon.stop();
    check_ledger(&program.restore(&sandbox, &sandbox.url("replica"), &[]), "a", acknowledged);
}

#[test]
fn a_follower_applies_what_comes_later_and_resumes() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    let database = sandbox.database("app.db");
    let config = sandbox.config("dbs:\n  - path: ROOT/app.db\n    monitor-interval: 50ms\n    replica:\n      path: ROOT/replica\n      sync-interval: 50ms\n");
    let replica = FileReplica::at(sandbox.path("replica"));
    let mut daemon = Daemon::replicate(&program, &sandbox, &config);
    daemon.wait_until("the first file", |_| replica.max_txid() > 0);
    let (output, url) = (sandbox.path("follower.db"), sandbox.url("replica"));
    let args = ["restore", "-f", "-follow-interval", "50ms", "-o", output.to_str().unwrap(), &url];
    for round in 1..=2 {
        let mut follower = Daemon::spawn(&program, &sandbox, &args);
        sandbox.add_rows("app.db", 5);
        let rows = 20 + round * 5;
        follower.wait_until("the new rows", |_| {
            output.exists() && {
                let count = "SELECT count(*) FROM item";
                let mode = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
                let reader = rusqlite::Connection::open_with_flags(&output, mode);
                reader
                    .and_then(|reader| reader.query_row(count, [], |row| row.get::<_, i64>(0)))
                    .is_ok_and(|n| n == rows)
            }
        });
        follower.signal(Signal::TERM);
        assert_eq!(follower.wait().code(), Some(0));
        let saved = fs::read_to_string(sandbox.path("follower.db-txid")).unwrap();
        assert_eq!(saved, format!("{:016x}\n", replica.max_txid()));
    }
    daemon.stop();
    assert_same(&database, &output);
    fs::remove_file(sandbox.path("follower.db-txid")).unwrap();
    program.run(&sandbox, &args).refused_with("cannot resume follow mode: database exists but no -txid file found");
}
