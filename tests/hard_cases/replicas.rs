//! Replicas that lost files, moved, or belong to somebody else too.

use std::fs;

use super::*;

/// The reference starts again at 1: its restores fail, or mix two histories.
#[test]
fn h48_remote_l0_empty_but_snapshot_exists() {
    let scene = Scene::new();
    ours_only!(scene.program, "it numbers from 1 again (engine.md H48)");
    for _ in 0..3 {
        scene.add_rows(1);
        let config = scene.config("", "", "");
        let args = ["replicate", "-once", "-force-snapshot", "-config", config.to_str().unwrap()];
        scene.program.must(&scene.sandbox, &args);
    }
    let newest = scene.replica.max_txid();
    fs::remove_dir_all(scene.replica.level_dir(0)).unwrap();
    fs::remove_dir_all(scene.sandbox.path(".app.db-litestream")).unwrap();
    scene.add_rows(1);
    scene.once();
    assert_eq!(scene.replica.level(0), [(newest + 1, newest + 1)]);
    scene.assert_restores();
}

/// The reference looks for the first file for ever.
#[test]
fn h49_new_replica_path_with_pruned_local_l0() {
    let scene = Scene::new();
    ours_only!(scene.program, "it is stuck (engine.md H49)");
    for _ in 0..3 {
        scene.add_rows(1);
        scene.once();
    }
    fs::remove_file(scene.local().join(format!("{:016x}-{:016x}.ltx", 1, 1))).unwrap();
    fs::rename(scene.sandbox.path("replica"), scene.sandbox.path("old")).unwrap();
    scene.once();
    let base = scene.replica.max_txid();
    assert_eq!((scene.replica.level(9), scene.replica.level(0)), (vec![(1, base)], vec![(base, base)]));
    scene.assert_restores();
    scene.add_rows(1);
    scene.once();
    assert_eq!(scene.replica.max_txid(), base + 1);
    scene.assert_restores();
}

#[test]
fn h50_remote_file_deleted_out_of_band_is_named_and_healed() {
    let scene = Scene::new();
    for _ in 0..4 {
        scene.add_rows(1);
        scene.once();
    }
    fs::remove_file(scene.replica.level_dir(0).join(format!("{:016x}-{:016x}.ltx", 2, 2))).unwrap();
    let output = scene.sandbox.text("out.db");
    let finished = scene.program.run(&scene.sandbox, &["restore", "-o", &output, &scene.sandbox.url("replica")]);
    finished.refused_with("have up to 0000000000000001 but next file starts at 0000000000000003");
    ours_only!(scene.program, "it does not notice the hole");
    scene.add_rows(1);
    scene.once();
    scene.assert_restores();
}

/// Two programs that replicate different databases to one path. The reference lets them overwrite each other.
#[test]
fn h51_two_daemons_one_replica() {
    let scene = Scene::new();
    ours_only!(scene.program, "they mix their files (engine.md H51)");
    let other = scene.sandbox.database("elsewhere/app.db");
    sqlite_shell(&other, "INSERT INTO item (name) VALUES ('of the other program')");
    let mut first = scene.daemon(&scene.config("", "", ""));
    first.wait_until("the first file", |_| scene.replica.max_txid() > 0);
    let config = "dbs:\n  - path: ROOT/elsewhere/app.db\n    monitor-interval: 20ms\n    replica: { path: ROOT/replica, sync-interval: 20ms }\n";
    let mut second = Daemon::replicate(&scene.program, &scene.sandbox, &scene.sandbox.config(config));
    let stopped = |daemon: &Daemon| daemon.log().contains("another program writes to this replica");
    first.wait_until("one of them to stop", |first| {
        scene.add_rows(1);
        scene.sandbox.add_rows("elsewhere/app.db", 2);
        stopped(first) || stopped(&second)
    });
    let survivor = if stopped(&first) { &other } else { &scene.database };
    let content = Content::of(survivor);
    let url = scene.sandbox.url("replica");
    let what = "the rows of one program alone";
    // The other one's rows may be there for a moment, and as many.
    scene.program.restore_until(&scene.sandbox, &url, what, |output| Content::of(output) == content);
    for daemon in [&mut first, &mut second] {
        daemon.kill();
    }
}

#[test]
fn h80_equal_names_of_tenants_have_metrics_and_log_lines_of_their_own() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    let tenants = ["data/one/tenant.db", "data/two/tenant.db"];
    tenants.iter().for_each(|name| drop(sandbox.database(name)));
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = sandbox.config(&format!(
        "addr: 127.0.0.1:{port}\nlogging: {{ level: debug }}\ndbs:\n  - dir: ROOT/data\n    pattern: '*.db'\n    recursive: true
    monitor-interval: 20ms\n    replica: {{ path: ROOT/replica, sync-interval: 20ms }}\n"
    ));
    let mut daemon = Daemon::replicate(&program, &sandbox, &config);
    daemon.wait_for_log("serving metrics on");
    for tenant in tenants {
        let replica = FileReplica::at(sandbox.path(tenant.replace("data", "replica")));
        daemon.wait_until(tenant, |_| replica.max_txid() > 0);
    }
    sandbox.add_rows(tenants[1], 1);
    let two = FileReplica::at(sandbox.path("replica/two/tenant.db"));
    daemon.wait_until("the second one's next file", |_| two.max_txid() > 1);
    daemon.wait_until("their positions", |_| {
        let text = metrics(port);
        [(tenants[0], 1), (tenants[1], 2)]
            .iter()
            .all(|(name, txid)| text.contains(&format!("litestream_txid{{db=\"{}\"}} {txid}", sandbox.text(name))))
    });
    for tenant in tenants {
        let path = format!("path={}", sandbox.text(tenant));
        assert!(daemon.log().lines().any(|line| line.contains("sync") && line.contains(&path)), "{path}");
    }
    daemon.stop();
}

fn metrics(port: u16) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}
