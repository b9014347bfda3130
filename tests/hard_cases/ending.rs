//! Signals, at every stage.

use std::fs;

use super::*;

/// A daemon whose replica has just become unreachable, with a commit that is not on it.
fn stuck(scene: &Scene) -> Daemon {
    let mut daemon = scene.daemon(&scene.config("shutdown-sync-timeout: 1h\nshutdown-sync-interval: 50ms", "", ""));
    daemon.wait_until("the first file", |_| scene.replica.max_txid() > 0);
    fs::rename(scene.sandbox.path("replica"), scene.sandbox.path("unreachable")).unwrap();
    scene.sandbox.write("replica", "in the way");
    let present = files_below(&scene.local()).len();
    scene.add_rows(5);
    daemon.wait_until("a file that waits", |_| files_below(&scene.local()).len() > present);
    daemon.signal(Signal::INT);
    daemon.wait_for_log("shutdown sync failed, retrying (press Ctrl+C again to skip)");
    daemon
}

fn make_reachable(scene: &Scene) {
    fs::remove_file(scene.sandbox.path("replica")).unwrap();
    fs::rename(scene.sandbox.path("unreachable"), scene.sandbox.path("replica")).unwrap();
}

#[test]
fn h85_second_sigint_during_retry() {
    let scene = Scene::new();
    let mut daemon = stuck(&scene);
    daemon.signal(Signal::INT);
    daemon.wait();
    ours_only!(scene.program, "its last words differ");
    assert!(daemon.log().contains("shutdown sync skipped, interrupted by signal"), "{}", daemon.log());
    let mut application = Application::open(Engine::Bundled, &scene.database);
    assert!(application.query("PRAGMA wal_checkpoint(TRUNCATE)").starts_with("0|"), "no lock of ours is left");
    application.close();
    make_reachable(&scene);
    scene.once();
    scene.assert_restores();
}

#[test]
fn a_shutdown_is_tried_again_until_the_replica_is_back() {
    let scene = Scene::new();
    let mut daemon = stuck(&scene);
    make_reachable(&scene);
    assert_eq!(daemon.wait().code(), Some(0));
    scene.assert_restores();
}

/// The reference ignores the signal until it has scanned everything.
#[test]
fn h86_sigterm_during_startup_scan() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    ours_only!(program, "it ignores the signal (engine.md H86)");
    for directory in 0..4000 {
        sandbox.mkdir(format!("data/{}/{directory}", directory % 40));
    }
    let config = "dbs:\n  - dir: ROOT/data\n    pattern: '*.db'\n    recursive: true\n    watch: true\n    replica: { path: ROOT/replica }\n";
    let mut daemon = Daemon::replicate(&program, &sandbox, &sandbox.config(config));
    let status = format!("/proc/{}/status", daemon.pid());
    daemon.wait_until("its signal handler", |_| {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0").trim();
        u64::from_str_radix(caught, 16).is_ok_and(|mask| mask & (1 << 14) != 0)
    });
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait().code(), Some(0));
    assert!(daemon.log().contains("litestream shut down"), "{}", daemon.log());
}
