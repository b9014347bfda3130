//! SIGHUP: a configuration that is changed while the daemon runs.

use std::fs;
use std::path::PathBuf;

use crate::harness::*;

const CONFIG: &str = "
dbs:
  - dir: ROOT/stays
    pattern: '*.db'
    watch: true
    monitor-interval: 50ms
    replica: {path: ROOT/replica/stays, sync-interval: 50ms}
";

const SECOND: &str = "
  - dir: ROOT/second
    pattern: '*.db'
    watch: true
    monitor-interval: 50ms
    replica: {path: ROOT/replica/second, sync-interval: 50ms}
";

struct Scene {
    program: Program,
    daemon: Daemon,
    sandbox: Sandbox,
    config: PathBuf,
    reloads: usize,
}

impl Scene {
    /// A daemon over the directory `stays`; `second` has a database, too. `None` against the reference, which dies.
    fn new(config: &str) -> Option<Self> {
        let (program, sandbox) = (Program::subject(), Sandbox::new());
        if program.kind() == Kind::Reference {
            eprintln!("skipped against the reference: SIGHUP kills it");
            return None;
        }
        sandbox.database("stays/first.db");
        sandbox.database("second/other.db");
        let config = sandbox.config(config);
        let daemon = Daemon::replicate(&program, &sandbox, &config);
        let mut scene = Self { program, daemon, sandbox, config, reloads: 0 };
        scene.wait_replicated("stays/first.db", 1);
        Some(scene)
    }

    fn replica(&self, relative: &str) -> FileReplica {
        FileReplica::at(self.sandbox.path("replica").join(relative))
    }

    fn wait_replicated(&mut self, relative: &str, txid: u64) {
        let replica = self.replica(relative);
        self.daemon.wait_until(&format!("{relative} at {txid}"), |_| replica.max_txid() >= txid);
    }

    fn write(&self, config: &str) {
        fs::write(&self.config, config.replace("ROOT", self.sandbox.root().to_str().unwrap())).unwrap();
    }

    /// Writes the configuration, signals, and waits for the answer. Gives the log line of it.
    fn reload(&mut self, config: &str) -> String {
        self.write(config);
        self.reloads += 1;
        self.daemon.signal(Signal::HUP);
        let wanted = self.reloads;
        let answers = |daemon: &Daemon| -> Vec<String> {
            let is_answer =
                |line: &&str| line.contains("configuration reloaded") || line.contains("configuration not reloaded");
            daemon.log().lines().filter(is_answer).map(str::to_owned).collect()
        };
        self.daemon.wait_until("the answer to SIGHUP", |daemon| answers(daemon).len() >= wanted);
        answers(&self.daemon).pop().unwrap()
    }

    fn restored(&self, relative: &str) -> PathBuf {
        self.program.restore(&self.sandbox, &self.sandbox.url(format!("replica/{relative}")), &[])
    }

    /// Ends the daemon, and compares databases with their replicas.
    fn finish(mut self, pairs: &[(&str, &str)]) {
        self.daemon.stop();
        for (database, replica) in pairs {
            assert_same(&self.sandbox.path(database), &self.restored(replica));
        }
    }
}

#[test]
fn a_directory_that_is_added_is_replicated_and_one_that_is_removed_is_let_go() {
    let Some(mut scene) = Scene::new(CONFIG) else { return };
    let answer = scene.reload(&format!("{CONFIG}{SECOND}"));
    assert!(answer.contains("unchanged=1") && answer.contains("added=1") && answer.contains("removed=0"), "{answer}");
    scene.wait_replicated("second/other.db", 1);
    scene.sandbox.database("second/new.db");
    scene.wait_replicated("second/new.db", 1);

    // The last commit before it leaves is on its replica.
    let mut application = Application::open(Engine::Bundled, &scene.sandbox.path("second/other.db"));
    application.exec("INSERT INTO item (name) VALUES ('the last one')");
    let answer = scene.reload(CONFIG);
    assert!(answer.contains("unchanged=1") && answer.contains("removed=1"), "{answer}");
    let restored =
        scene.program.restore_until(&scene.sandbox, &scene.sandbox.url("replica/second/other.db"), "the last row", {
            let database = scene.sandbox.path("second/other.db");
            move |restored| Content::of(restored) == Content::of(&database)
        });
    application.exec("INSERT INTO item (name) VALUES ('one more')");
    application.close();
    scene.sandbox.add_rows("stays/first.db", 3);
    scene.wait_replicated("stays/first.db", 2);
    let log = scene.daemon.log();
    let touched = log.lines().filter(|line| line.contains("first.db") && line.contains("database t")).count();
    assert_eq!(touched, 0, "what stays was neither added nor removed");
    let before = Content::of(&restored);
    assert_eq!(Content::of(&scene.restored("second/other.db")), before, "nobody replicates it any more");
    scene.finish(&[("stays/first.db", "stays/first.db")]);
}

#[test]
fn another_replica_path_and_another_interval_of_one_entry_are_carried_out() {
    let Some(mut scene) = Scene::new(&format!("{CONFIG}{SECOND}")) else { return };
    scene.wait_replicated("second/other.db", 1);
    let answer = scene.reload(&format!("{CONFIG}{}", SECOND.replace("replica/second", "replica/elsewhere")));
    assert!(answer.contains("unchanged=1") && answer.contains("added=1") && answer.contains("removed=1"), "{answer}");
    scene.wait_replicated("elsewhere/other.db", 1);
    scene.sandbox.add_rows("second/other.db", 3);
    scene.program.restore_until(&scene.sandbox, &scene.sandbox.url("replica/elsewhere/other.db"), "the new rows", {
        let database = scene.sandbox.path("second/other.db");
        move |restored| Content::of(restored) == Content::of(&database)
    });
    let faster = CONFIG.replace("sync-interval: 50ms", "sync-interval: 10ms");
    let answer = scene.reload(&format!("{faster}{}", SECOND.replace("replica/second", "replica/elsewhere")));
    assert!(answer.contains("unchanged=1") && answer.contains("changed=1") && answer.contains("added=0"), "{answer}");
    scene.sandbox.add_rows("stays/first.db", 3);
    scene.wait_replicated("stays/first.db", 2);
    scene.finish(&[("stays/first.db", "stays/first.db"), ("second/other.db", "elsewhere/other.db")]);
}

#[test]
fn a_configuration_that_is_refused_changes_nothing_and_is_explained() {
    let Some(mut scene) = Scene::new(CONFIG) else { return };
    let unknown_key = CONFIG.replace("watch: true", "wotch: true");
    let nowhere = format!("{CONFIG}{}", SECOND.replace("ROOT/second", "ROOT/nowhere"));
    let refused_by_plugin = CONFIG.replace("{path: ROOT/replica/stays", "{type: nonesuch, path: ROOT/replica/stays");
    for (config, explained) in [
        ("dbs:\n  - dir: [", "litestream.yml:"),
        (&unknown_key, "wotch"),
        (&nowhere, "nowhere"),
        (&refused_by_plugin, "nonesuch"),
        ("dbs: []\n", "no databases specified"),
        ("", "no databases specified"),
    ] {
        let answer = scene.reload(config);
        assert!(answer.contains("configuration not reloaded") && answer.contains(explained), "{answer}");
    }
    scene.sandbox.add_rows("stays/first.db", 3);
    scene.wait_replicated("stays/first.db", 2);
    let answer = scene.reload(&format!("scan-interval: 17s\n{CONFIG}"));
    assert!(answer.contains("unchanged=1"), "{answer}");
    let log = scene.daemon.log();
    assert!(log.contains("holds from the next start on") && log.contains("key=scan-interval"), "{log}");
    scene.finish(&[("stays/first.db", "stays/first.db")]);
}

#[test]
fn a_database_that_is_to_be_restored_first_is() {
    let Some(mut scene) = Scene::new(&format!("{CONFIG}{SECOND}")) else { return };
    scene.wait_replicated("second/other.db", 1);
    scene.reload(CONFIG);
    scene.daemon.wait_for_log("removed database from replication");
    let before = Content::of(&scene.sandbox.path("second/other.db"));
    fs::remove_dir_all(scene.sandbox.path("second")).unwrap();
    scene.sandbox.mkdir("second");
    let entry = "
  - path: ROOT/second/other.db
    restore-if-db-not-exists: true
    replica: {path: ROOT/replica/second/other.db, sync-interval: 50ms}
";
    let answer = scene.reload(&format!("{CONFIG}{entry}"));
    assert!(answer.contains("added=1"), "{answer}");
    assert_eq!(Content::of(&scene.sandbox.path("second/other.db")), before);
    scene.sandbox.add_rows("second/other.db", 3);
    scene.finish(&[("second/other.db", "second/other.db")]);
}

#[test]
fn what_was_registered_outlives_a_reload() {
    let socket = "socket: {enabled: true, path: ROOT/control.sock}\n";
    let Some(mut scene) = Scene::new(&format!("{socket}{CONFIG}")) else { return };
    scene.daemon.wait_for_log("control socket listening");
    let (database, url, socket_path) =
        (scene.sandbox.text("second/other.db"), scene.sandbox.url("replica/own"), scene.sandbox.text("control.sock"));
    scene.program.must(&scene.sandbox, &["register", "-socket", &socket_path, "-replica", &url, &database]);
    scene.wait_replicated("own", 1);
    let answer = scene.reload(&format!("{socket}{}", CONFIG.replace("stays", "second")));
    assert!(answer.contains("added=1") && answer.contains("removed=1"), "{answer}");
    scene.sandbox.add_rows("second/other.db", 3);
    scene.finish(&[("second/other.db", "own")]);
}
