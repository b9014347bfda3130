//! Compaction, snapshots, retention and validation, as configured.

use std::collections::BTreeSet;
use std::fs;

use super::*;

const QUICK: &str = "levels:\n  - interval: 1s\n  - interval: 2s\nsnapshot:\n  interval: 1s\n  retention: 1s\n\
                     l0-retention: 1s\nl0-retention-check-interval: 1s";

/// Every file that was ever seen on the replica, collected while applications write.
fn watch_until(scene: &Scene, daemon: &mut Daemon, what: &str, done: impl Fn() -> bool) -> BTreeSet<PathBuf> {
    let mut seen = BTreeSet::new();
    daemon.wait_until(what, |_| {
        scene.add_rows(1);
        seen.extend(present(scene));
        done()
    });
    seen
}

fn present(scene: &Scene) -> BTreeSet<PathBuf> {
    let names = files_below(&scene.sandbox.path("replica/ltx")).into_keys();
    names.filter(|name| name.extension().is_some_and(|end| end == "ltx")).collect()
}

#[test]
fn retention_keeps_what_every_level_needs_and_deletes_the_rest() {
    let scene = Scene::new();
    let mut daemon = scene.daemon(&scene.config(QUICK, "", ""));
    let seen = watch_until(&scene, &mut daemon, "deletions at levels 0, 1 and 9", || {
        let first = |level| scene.replica.level(level).first().map_or(0, |file| file.1);
        first(0) > 2 && first(1) > 2 && first(9) > 2
    });
    assert!(seen.len() > present(&scene).len(), "something was deleted");
    scene.wait_restorable();
    daemon.stop();
    scene.assert_restores();
    // What a snapshot leads to is restorable exactly.
    for (_, max) in scene.replica.level(9) {
        let restored = ["-txid", &format!("{max:016x}")];
        Content::of(&scene.program.restore(&scene.sandbox, &scene.sandbox.url("replica"), &restored));
    }
}

/// Files climb to the highest level, many of them alone and so copied by the storage. The reference restores them as well.
#[test]
fn eight_levels_lead_where_level_0_led() {
    let scene = Scene::new();
    let levels = "  - interval: 1s\n".repeat(8);
    let retention = "snapshot:\n  interval: 1h\nl0-retention: 1s\nl0-retention-check-interval: 1s";
    let mut daemon = scene.daemon(&scene.config(&format!("levels:\n{levels}{retention}"), "", ""));
    watch_until(&scene, &mut daemon, "two files of level 8", || scene.replica.level(8).len() > 1);
    scene.wait_restorable();
    daemon.stop();
    scene.assert_restores();
    let reference = reference_or_skip!();
    let url = scene.sandbox.url("replica");
    assert_same(&scene.database, &reference.restore(&scene.sandbox, &url, &[]));
    for (_, max) in scene.replica.level(8) {
        let at = ["-txid", &format!("{max:016x}")];
        let ours = scene.program.restore(&scene.sandbox, &url, &at);
        assert_same(&ours, &reference.restore(&scene.sandbox, &url, &at));
    }
}

#[test]
fn h57_retention_disabled() {
    let scene = Scene::new();
    let mut daemon = scene.daemon(&scene.config(&format!("{QUICK}\nretention:\n  enabled: false"), "", ""));
    let seen = watch_until(&scene, &mut daemon, "snapshots to delete, and local files gone", || {
        let local = files_below(&scene.local()).len();
        scene.replica.level(9).len() > 2 && scene.replica.level(1).len() > 1 && local < scene.replica.level(0).len()
    });
    daemon.stop();
    let gone: Vec<PathBuf> = seen.difference(&present(&scene)).cloned().collect();
    assert!(gone.is_empty(), "deleted: {gone:?}");
    let files = scene.replica.level(0);
    assert_eq!((files[0].0, files.len() as u64), (1, files.last().unwrap().1), "all of level 0 is there");
    scene.assert_restores();
}

#[test]
fn h58_l0_retention_zero_keeps_level_0_and_negative_is_refused() {
    let scene = Scene::new();
    let global = QUICK.replace("l0-retention: 1s", "l0-retention: 0s");
    let mut daemon = scene.daemon(&scene.config(&global, "", ""));
    watch_until(&scene, &mut daemon, "levels above", || {
        let first = |level| scene.replica.level(level).first().map_or(0, |file| file.1);
        first(9) > 2 && first(1) > 2
    });
    daemon.stop();
    let files = scene.replica.level(0);
    assert_eq!((files[0].0, files.len() as u64), (1, files.last().unwrap().1), "all of level 0 is there");
    let negative = QUICK.replace("l0-retention: 1s", "l0-retention: -1s");
    scene.program.once(&scene.sandbox, &scene.config(&negative, "", "")).refused_with("l0-retention");
}

/// A second database is the clock: what has happened to its files has had time to happen to the idle one's.
#[test]
fn h59_idle_db_past_retention() {
    let scene = Scene::new();
    scene.once();
    let busy = scene.sandbox.database("busy.db");
    let entry =
        "  - path: ROOT/busy.db\n    monitor-interval: 20ms\n    replica: { path: ROOT/busy, sync-interval: 20ms }";
    let config = scene.config(QUICK, "", entry);
    let mut daemon = scene.daemon(&config);
    daemon.wait_until("a snapshot of the idle one", |_| !scene.replica.level(9).is_empty());
    daemon.stop();
    let (idle, state) = (scene.sandbox.path("replica"), scene.local());
    [&idle, &state].into_iter().for_each(|directory| set_times(directory, -30 * 86_400));
    let before = files_below(&idle);
    let mut daemon = scene.daemon(&config);
    let others = FileReplica::at(scene.sandbox.path("busy"));
    daemon.wait_until("deletions at every level of the busy one", |_| {
        scene.sandbox.add_rows("busy.db", 1);
        [0, 1, 9].iter().all(|level| others.level(*level).first().is_some_and(|file| file.1 > 2))
    });
    daemon.stop();
    assert_eq!(files_below(&idle), before, "the last snapshot and the last file stay");
    scene.assert_restores();
    assert_same(&busy, &scene.program.restore(&scene.sandbox, &scene.sandbox.url("busy"), &[]));
}

#[test]
fn a_hole_is_found_by_validation_and_after_a_compaction() {
    let scene = Scene::new();
    let global =
        "levels:\n  - interval: 1s\nsnapshot:\n  interval: 1h\nvalidation:\n  interval: 2s\nverify-compaction: true";
    let mut daemon = scene.daemon(&scene.config(global, "", ""));
    watch_until(&scene, &mut daemon, "three files of level 1", || scene.replica.level(1).len() > 2);
    let clean = daemon.log();
    assert!(
        !clean.contains("validation error detected") && !clean.contains("compaction verification failed"),
        "{clean}"
    );
    let (min, max) = scene.replica.level(1)[1];
    fs::remove_file(scene.replica.level_dir(1).join(format!("{min:016x}-{max:016x}.ltx"))).unwrap();
    daemon.wait_until("both reports", |daemon| {
        scene.add_rows(1);
        let log = daemon.log();
        log.contains("validation error detected") && log.contains("compaction verification failed")
    });
    assert!(daemon.log().contains("gap"));
    daemon.stop();
    scene.assert_restores();
}

#[test]
fn a_single_run_takes_a_snapshot_and_enforces_retention_when_asked() {
    let scene = Scene::new();
    let config = scene.config(QUICK, "", "");
    let once = |more: &[&str]| {
        let args = [&["replicate", "-once", "-config", config.to_str().unwrap()], more].concat();
        scene.program.must(&scene.sandbox, &args);
    };
    for _ in 0..3 {
        scene.add_rows(1);
        once(&["-force-snapshot"]);
    }
    assert_eq!(scene.replica.level(9).len(), 3);
    once(&["-force-snapshot"]);
    assert_eq!(scene.replica.level(9).len(), 3, "of the same state it is the same file");
    once(&[]);
    assert_eq!(scene.replica.level(9).len(), 3, "nothing is deleted unasked");
    set_times(&scene.sandbox.path("replica"), -3600);
    once(&["-enforce-retention"]);
    let newest = scene.replica.max_txid();
    assert_eq!(scene.replica.level(9), [(1, newest)]);
    scene.assert_restores();
}
