//! `watch: true`: databases that come, go, move and are replaced while the daemon runs.

use std::fs;
use std::path::Path;

use crate::harness::*;

const WATCHED: &str = "
dbs:
  - dir: ROOT/data
    pattern: '*.db'
    recursive: true
    watch: true
    monitor-interval: 50ms
    replica:
      path: ROOT/replica
      sync-interval: 50ms
";

struct Scene {
    program: Program,
    // Before the sandbox: what is dropped first still finds its log.
    daemon: Daemon,
    sandbox: Sandbox,
}

impl Scene {
    /// A watched directory that holds `first.db`, already replicated.
    fn new() -> Self {
        Self::with(WATCHED)
    }

    fn with(config: &str) -> Self {
        let (program, sandbox) = (Program::subject(), Sandbox::new());
        sandbox.database("data/first.db");
        let daemon = Daemon::replicate(&program, &sandbox, &sandbox.config(config));
        let mut scene = Self { program, daemon, sandbox };
        scene.wait_replicated("first.db");
        scene
    }

    fn max_txid(&self, relative: &str) -> u64 {
        FileReplica::at(self.sandbox.path("replica").join(relative)).max_txid()
    }

    fn wait_replicated(&mut self, relative: &str) {
        let replica = FileReplica::at(self.sandbox.path("replica").join(relative));
        self.daemon.wait_until(&format!("a replica of {relative}"), |_| replica.max_txid() > 0);
    }

    fn wait_removed(&mut self, relative: &str) {
        let path = self.sandbox.text(Path::new("data").join(relative));
        self.daemon.wait_until(&format!("the removal of {relative}"), |daemon| {
            let log = daemon.log();
            log.lines().any(|line| line.contains("removed database from replication") && line.contains(&path))
        });
    }

    fn remove(&self, relative: &str) {
        let path = self.sandbox.path(Path::new("data").join(relative));
        for side in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{side}", path.display()));
        }
    }

    /// Ends the daemon and compares.
    fn finish(mut self, relatives: &[&str]) {
        self.daemon.stop();
        for relative in relatives {
            let restored =
                self.program.restore(&self.sandbox, &self.sandbox.url(Path::new("replica").join(relative)), &[]);
            assert_same(&self.sandbox.path(Path::new("data").join(relative)), &restored);
        }
    }
}

#[test]
fn a_new_database_is_found() {
    let mut scene = Scene::new();
    scene.sandbox.database("data/new.db");
    scene.wait_replicated("new.db");
    scene.daemon.wait_for_log("added database to replication");
    scene.sandbox.add_rows("data/new.db", 5);
    scene.finish(&["first.db", "new.db"]);
}

#[test]
fn h71_databases_in_new_directories_are_found_however_deep() {
    let mut scene = Scene::new();
    scene.sandbox.database("data/a/b/c/deep.db");
    scene.wait_replicated("a/b/c/deep.db");
    scene.sandbox.database("data/a/b/later.db");
    scene.wait_replicated("a/b/later.db");
    let staged = scene.sandbox.database("staged/moved/in.db");
    fs::rename(staged.parent().unwrap(), scene.sandbox.path("data/moved")).unwrap();
    scene.wait_replicated("moved/in.db");
    scene.finish(&["a/b/c/deep.db", "a/b/later.db", "moved/in.db"]);
}

#[test]
fn new_directories_are_left_alone_without_recursive() {
    let mut scene = Scene::with(&WATCHED.replace("    recursive: true\n", ""));
    scene.sandbox.database("data/sub/not.db");
    scene.sandbox.database("data/flat.db");
    scene.wait_replicated("flat.db");
    assert!(!scene.sandbox.path("replica/sub").exists());
    scene.finish(&["flat.db"]);
}

#[test]
fn what_does_not_match_or_is_no_database_is_not_added() {
    let mut scene = Scene::new();
    scene.sandbox.write("data/text.db", "this is text, and it stays text however long one looks at it");
    scene.sandbox.database("data/other.sqlite");
    scene.sandbox.database("data/new.db");
    scene.wait_replicated("new.db");
    assert!(!scene.sandbox.path("replica/text.db").exists());
    assert!(!scene.sandbox.path("replica/other.sqlite").exists());
    scene.finish(&["new.db"]);
}

#[test]
fn h20_h83_an_empty_file_that_becomes_a_database_is_added_then() {
    let mut scene = Scene::new();
    scene.sandbox.write("data/grows.db", "");
    scene.sandbox.database("data/after.db");
    scene.wait_replicated("after.db");
    scene.sandbox.database("data/grows.db");
    scene.wait_replicated("grows.db");
    scene.finish(&["grows.db"]);
}

#[test]
fn a_removed_database_is_let_go_and_its_replica_stays() {
    let mut scene = Scene::new();
    ours_only!(scene.program, "its removal ends in an I/O error (behaviour.md 2.10)");
    let before = Content::of(&scene.sandbox.path("data/first.db"));
    scene.remove("first.db");
    scene.wait_removed("first.db");
    let restored = scene.program.restore(&scene.sandbox, &scene.sandbox.url("replica/first.db"), &[]);
    assert_eq!(Content::of(&restored), before);
    scene.finish(&[]);
}

#[test]
fn h69_a_database_removed_and_made_again_is_replicated_again() {
    let mut scene = Scene::new();
    ours_only!(scene.program, "the path may stay stuck until a restart (behaviour.md 2.10)");
    for round in 1..=3 {
        let before = scene.max_txid("first.db");
        scene.remove("first.db");
        scene.daemon.wait_until("the removal", |daemon| {
            daemon.log().matches("removed database from replication").count() >= round
        });
        scene.sandbox.database("data/first.db");
        let replica = FileReplica::at(scene.sandbox.path("replica/first.db"));
        scene.daemon.wait_until("the new database", |_| replica.max_txid() > before);
    }
    scene.finish(&["first.db"]);
}

#[test]
fn h71_a_renamed_database_is_replicated_under_its_new_name() {
    let mut scene = Scene::new();
    for side in ["", "-wal", "-shm"] {
        let from = scene.sandbox.path(format!("data/first.db{side}"));
        let _ = fs::rename(from, scene.sandbox.path(format!("data/second.db{side}")));
    }
    if scene.program.kind() == Kind::Ours {
        scene.wait_removed("first.db");
    }
    scene.wait_replicated("second.db");
    scene.sandbox.add_rows("data/second.db", 2);
    assert!(scene.max_txid("first.db") > 0, "the replica of the old name stays");
    scene.finish(&["second.db"]);
}

#[test]
fn a_database_replaced_by_rename_is_replicated_anew() {
    let mut scene = Scene::new();
    ours_only!(scene.program, "it goes on with the unlinked file");
    let before = scene.max_txid("first.db");
    let new = scene.sandbox.database("staged.db");
    sqlite_shell(&new, "CREATE TABLE only_here (x); INSERT INTO only_here VALUES (1)");
    for side in ["-wal", "-shm"] {
        let _ = fs::remove_file(scene.sandbox.path(format!("data/first.db{side}")));
    }
    fs::rename(&new, scene.sandbox.path("data/first.db")).unwrap();
    let replica = FileReplica::at(scene.sandbox.path("replica/first.db"));
    scene.daemon.wait_until("the new content", |_| replica.max_txid() > before);
    scene.sandbox.add_rows("data/first.db", 2);
    scene.finish(&["first.db"]);
}

#[test]
fn h71_a_removed_subtree_and_its_return() {
    let mut scene = Scene::new();
    ours_only!(scene.program, "removed paths may stay stuck (behaviour.md 2.10)");
    for name in ["data/sub/a.db", "data/sub/deep/b.db"] {
        scene.sandbox.database(name);
    }
    scene.wait_replicated("sub/a.db");
    scene.wait_replicated("sub/deep/b.db");
    fs::remove_dir_all(scene.sandbox.path("data/sub")).unwrap();
    scene.wait_removed("sub/a.db");
    scene.wait_removed("sub/deep/b.db");
    let before = scene.max_txid("sub/a.db");
    scene.sandbox.database("data/sub/a.db");
    let replica = FileReplica::at(scene.sandbox.path("replica/sub/a.db"));
    scene.daemon.wait_until("its return", |_| replica.max_txid() > before);
    scene.finish(&["first.db", "sub/a.db"]);
}

#[test]
fn h72_the_root_may_go_and_come_back() {
    let mut scene = Scene::new();
    ours_only!(scene.program, "its watch dies silently");
    fs::rename(scene.sandbox.path("data"), scene.sandbox.path("gone")).unwrap();
    scene.sandbox.database("data/back.db");
    scene.wait_replicated("back.db");
    scene.sandbox.database("data/later.db");
    scene.wait_replicated("later.db");
    scene.finish(&["back.db", "later.db"]);
}

#[test]
fn h70_a_renamed_subdirectory_does_not_make_it_watch_its_working_directory() {
    let mut scene = Scene::new();
    ours_only!(scene.program, "it then scans its working directory");
    // The working directory of the daemon is the sandbox, above the watched root.
    scene.sandbox.database("data/sub/a.db");
    scene.wait_replicated("sub/a.db");
    fs::rename(scene.sandbox.path("data/sub"), scene.sandbox.path("data/renamed")).unwrap();
    scene.wait_replicated("renamed/a.db");
    scene.sandbox.database("outside.db");
    scene.sandbox.database("data/inside.db");
    scene.wait_replicated("inside.db");
    assert!(!scene.daemon.log().contains("outside.db"), "{}", scene.daemon.log());
    scene.finish(&["renamed/a.db", "inside.db"]);
}

/// Found by the soak: the new names were refused as second names of files whose old names were about to go, for good.
#[test]
fn h71_databases_in_use_are_replicated_under_their_new_names_when_their_directory_is_renamed() {
    let mut scene = Scene::new();
    ours_only!(scene.program, "it goes on under the old names");
    let names: Vec<String> = (0..20).map(|number| format!("{number}.db")).collect();
    for name in &names {
        scene.sandbox.database(format!("data/sub/{name}"));
    }
    for name in &names {
        scene.wait_replicated(&format!("sub/{name}"));
    }
    for (from, to) in [("sub", "one"), ("one", "two"), ("two", "three")] {
        fs::rename(scene.sandbox.path(format!("data/{from}")), scene.sandbox.path(format!("data/{to}"))).unwrap();
        for name in &names {
            scene.wait_replicated(&format!("{to}/{name}"));
        }
    }
    scene.finish(&["three/0.db", "three/7.db", "three/19.db"]);
}

#[test]
fn h68_a_database_that_cannot_be_uploaded_does_not_hold_up_the_others() {
    let mut scene = Scene::new();
    ours_only!(scene.program, "removing it blocks discovery for thirty seconds");
    // Where its replica belongs lies a file: no directory can be made there.
    scene.sandbox.write("replica/stuck.db", "in the way");
    scene.sandbox.database("data/stuck.db");
    scene.sandbox.database("data/second.db");
    scene.wait_replicated("second.db");
    scene.remove("stuck.db");
    scene.sandbox.database("data/third.db");
    scene.wait_replicated("third.db");
    assert!(scene.daemon.log().contains("stuck.db"), "the failure is reported");
    scene.finish(&["first.db", "second.db", "third.db"]);
}

#[test]
fn h73_a_burst_of_new_databases_is_found_completely() {
    let mut scene = Scene::new();
    let template = scene.sandbox.database("template.db");
    let names: Vec<String> = (0..150).map(|number| format!("burst/{}/{number}.db", number % 7)).collect();
    for name in &names {
        let path = scene.sandbox.path(Path::new("data").join(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(&template, path).unwrap();
    }
    for name in &names {
        scene.wait_replicated(name);
    }
    scene.finish(&["burst/3/87.db", "burst/6/146.db"]);
}
