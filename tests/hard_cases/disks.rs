//! Disks that are full, read-only or out of descriptors, clocks that jump, and local files that were damaged or killed
//! between two steps.

use std::fs;
use std::process::Command;

use super::*;

/// A file where the directory of the replica belongs: every upload fails until it is gone.
struct Obstacle<'a>(&'a Scene);

impl<'a> Obstacle<'a> {
    fn put(scene: &'a Scene) -> Self {
        scene.sandbox.write("replica", "in the way");
        Self(scene)
    }

    fn clear(self) {
        fs::remove_file(self.0.sandbox.path("replica")).unwrap();
    }
}

#[test]
fn h15_kill_9_between_rename_and_upload() {
    let scene = Scene::new();
    let obstacle = Obstacle::put(&scene);
    let mut daemon = scene.daemon(&scene.config("", "", ""));
    daemon.wait_until("a local file", |_| !files_below(&scene.local()).is_empty());
    scene.add_rows(3);
    daemon.wait_until("another", |_| files_below(&scene.local()).len() > 1);
    daemon.kill();
    obstacle.clear();
    let waiting = files_below(&scene.local());
    scene.once();
    let uploaded = files_below(&scene.replica.level_dir(0));
    for (name, size) in waiting.iter().filter(|(name, _)| name.extension().is_some_and(|end| end == "ltx")) {
        assert_eq!(uploaded.get(name), Some(size), "{} was not uploaded", name.display());
    }
    scene.assert_restores();
}

/// The reference never recovers, not even with `auto-recover`.
#[test]
fn h16_a_truncated_last_local_file_is_refused_and_recovered_from_when_allowed() {
    let scene = Scene::new();
    ours_only!(scene.program, "it never recovers (engine.md H16)");
    scene.once();
    scene.add_rows(3);
    scene.once();
    let newest = scene.replica.max_txid();
    let file = scene.local().join(format!("{newest:016x}-{newest:016x}.ltx"));
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    scene.add_rows(3);
    let finished = scene.program.once(&scene.sandbox, &scene.config("", "", ""));
    finished.refused_with("litestream-rs reset");
    assert_eq!(scene.replica.max_txid(), newest);
    let mut daemon = scene.daemon(&scene.config("", "", "      auto-recover: true"));
    daemon.wait_until("a file above everything", |_| scene.replica.max_txid() > newest);
    daemon.stop();
    scene.assert_restores();
}

/// The disk with the local state answers EIO to every fsync for a while.
#[test]
fn an_input_output_error_of_the_local_disk_is_said_and_waited_out() {
    let scene = Scene::new();
    ours_only!(scene.program, "it is a static program: its fsync cannot be replaced");
    let (library, broken) = (scene.sandbox.path("eio.so"), scene.sandbox.path("broken"));
    let source = scene.sandbox.write("eio.c", include_str!("eio.c"));
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let built = Command::new(compiler).args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).status();
    assert!(built.expect("a C compiler, which SQLite needs, too").success());
    let other = scene.sandbox.database("other.db");
    let entry = "  - path: ROOT/other.db\n    monitor-interval: 20ms\n    meta-path: ROOT/elsewhere
    replica: { path: ROOT/other, sync-interval: 20ms }";
    let config = scene.config("", "", entry);
    let mut command = scene.program.command(&scene.sandbox, &["replicate", "-config", config.to_str().unwrap()]);
    command.env("LD_PRELOAD", &library).env("LITESTREAM_TEST_EIO", &broken);
    command.env("LITESTREAM_TEST_EIO_BELOW", scene.sandbox.path(".app.db-litestream"));
    let mut daemon = Daemon::start(command, &scene.sandbox);
    daemon.wait_until("the first file", |_| scene.replica.max_txid() > 0);
    let before = scene.replica.max_txid();
    fs::write(&broken, "").unwrap();
    scene.add_rows(3);
    daemon.wait_for_log("Input/output error");
    let others = FileReplica::at(scene.sandbox.path("other"));
    let present = others.max_txid();
    scene.sandbox.add_rows("other.db", 1);
    daemon.wait_until("the other database", |_| others.max_txid() > present);
    scene.add_rows(3);
    assert_eq!(scene.replica.max_txid(), before, "nothing that is not safe on the disk goes to the replica");
    fs::remove_file(&broken).unwrap();
    scene.wait_restorable();
    daemon.stop();
    scene.assert_restores();
    assert_same(&other, &scene.program.restore(&scene.sandbox, &scene.sandbox.url("other"), &[]));
    let files = scene.replica.level(0);
    assert!(files.windows(2).all(|pair| pair[1].0 == pair[0].1 + 1), "no hole: {files:?}");
}

#[test]
fn h38_enospc_on_replica() {
    let scene = Scene::new();
    let Some(mount) = Mount::new(scene.sandbox.path("replica"), "size=256k") else { return };
    let mut daemon = scene.daemon(&scene.config("", "", ""));
    daemon.wait_until("the first file", |_| scene.replica.max_txid() > 0);
    sqlite_shell(
        &scene.database,
        "PRAGMA busy_timeout = 20000; INSERT INTO item (data) SELECT randomblob(3000) FROM item, item LIMIT 200",
    );
    daemon.wait_for_log("No space left on device");
    let present = scene.replica.max_txid();
    scene.add_rows(2);
    daemon.wait_until("files that wait", |_| files_below(&scene.local()).len() as u64 > present);
    mount.change("size=16m");
    scene.wait_restorable();
    daemon.stop();
    scene.assert_restores();
    let litter: Vec<PathBuf> = files_below(&scene.sandbox.path("replica")).into_keys().collect();
    assert!(litter.iter().all(|name| name.extension().is_some_and(|end| end == "ltx")), "{litter:?}");
    let files = scene.replica.level(0);
    assert!(files.windows(2).all(|pair| pair[1].0 == pair[0].1 + 1), "no hole: {files:?}");
}

#[test]
fn h39_read_only_meta_dir() {
    let scene = Scene::new();
    let Some(mount) = Mount::new(scene.sandbox.path("state"), "ro") else { return };
    let other = scene.sandbox.database("other.db");
    let config = scene.config(
        "",
        "    meta-path: ROOT/state/app",
        "  - path: ROOT/other.db\n    monitor-interval: 20ms\n    replica: { path: ROOT/other, sync-interval: 20ms }",
    );
    let mut daemon = scene.daemon(&config);
    daemon.wait_for_log("Read-only file system");
    let others = FileReplica::at(scene.sandbox.path("other"));
    daemon.wait_until("the other database", |_| others.max_txid() > 0);
    mount.change("rw");
    daemon.wait_until("the first file", |_| scene.replica.max_txid() > 0);
    daemon.stop();
    scene.assert_restores();
    assert_same(&other, &scene.program.restore(&scene.sandbox, &scene.sandbox.url("other"), &[]));
}

/// Ages are all that the clock decides, so moving the times of the files is moving the clock.
#[test]
fn h40_clock_jumps_back_and_forward() {
    let scene = Scene::new();
    let config = scene.config(
        "levels:\n  - interval: 1s\nsnapshot:\n  interval: 2s\n  retention: 1h\nl0-retention: 1m\nl0-retention-check-interval: 1s",
        "",
        "",
    );
    let directories = [scene.sandbox.path("replica"), scene.local()];
    // From the future: as after a clock that was set back. From the past: as after one that was set forward.
    for distance in [2 * 86_400, -3 * 86_400] {
        directories.iter().for_each(|directory| set_times(directory, distance));
        let (before, merged) = (scene.replica.max_txid(), scene.replica.level(1).last().map_or(0, |file| file.1));
        let mut daemon = scene.daemon(&config);
        daemon.wait_until("a compaction of something new, and a snapshot", |_| {
            scene.add_rows(1);
            scene.replica.max_txid() > before + 2
                && scene.replica.level(1).last().is_some_and(|file| file.1 > merged)
                && !scene.replica.level(9).is_empty()
        });
        daemon.stop();
        let files = scene.replica.level(0);
        assert!(!files.is_empty());
        assert!(files.windows(2).all(|pair| pair[1].0 == pair[0].1 + 1), "no hole: {files:?}");
        scene.assert_restores();
    }
}

/// Fewer descriptors than databases need at once: nothing is thrown away, everything comes in its turn.
#[test]
fn h41_emfile() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    ours_only!(program, "it keeps five descriptors of every database");
    let names: Vec<String> = (0..40).map(|number| format!("{number}.db")).collect();
    let template = sandbox.database("template/0.db");
    sandbox.mkdir("data");
    for name in &names {
        fs::copy(&template, sandbox.path("data").join(name)).unwrap();
    }
    let config = sandbox.config(
        "dbs:\n  - dir: ROOT/data\n    pattern: '*.db'\n    monitor-interval: 20ms
    replica:\n      path: ROOT/replica\n      sync-interval: 20ms\n      auto-recover: true\n",
    );
    let plain = program.command(&sandbox, &["replicate", "-config", config.to_str().unwrap()]);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 44; exec \"$@\"", "sh"]).arg(plain.get_program()).args(plain.get_args());
    limited.current_dir(sandbox.root());
    let mut daemon = Daemon::start(limited, &sandbox);
    let applications: Vec<Application> =
        names[..12].iter().map(|name| Application::open(Engine::Bundled, &sandbox.path("data").join(name))).collect();
    for mut application in applications {
        application.exec("INSERT INTO item (name) VALUES ('with too few descriptors')");
    }
    for name in &names {
        let url = sandbox.url(format!("replica/{name}"));
        let rows = Content::of(&sandbox.path("data").join(name)).rows("item");
        daemon.wait_until(name, |_| FileReplica::at(sandbox.path("replica").join(name)).max_txid() > 0);
        program.restore_until(&sandbox, &url, "every row", |output| Content::of(output).rows("item") == rows);
    }
    assert!(!daemon.log().contains("auto-recovery"), "a passing shortage is no damage");
    daemon.stop();
}

#[test]
fn h45_restore_over_live_path_while_running() {
    let scene = Scene::new();
    ours_only!(scene.program, "it goes on with the unlinked file (engine.md H45)");
    let mut daemon = scene.daemon(&scene.config("", "", ""));
    daemon.wait_until("the first file", |_| scene.replica.max_txid() > 0);
    let old = scene.replica.max_txid();
    scene.add_rows(5);
    daemon.wait_until("the new rows", |_| scene.replica.max_txid() > old);
    let newest = scene.replica.max_txid();
    let path = scene.database.to_str().unwrap();
    let args = ["restore", "-force", "-o", path, "-txid", &format!("{old:016x}"), &scene.sandbox.url("replica")];
    scene.program.must(&scene.sandbox, &args);
    daemon.wait_until("a file of what was restored", |_| scene.replica.max_txid() > newest);
    scene.add_rows(1);
    daemon.stop();
    assert_eq!(Content::of(&scene.restored()).rows("item"), 21);
    scene.assert_restores();
}
