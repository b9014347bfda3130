//! `replicate`: single runs, the daemon, what it does with commits at every moment, and how it ends.

use crate::harness::*;

const ONE: &str = "
dbs:
  - path: ROOT/app.db
    monitor-interval: 50ms
    replica:
      path: ROOT/replica
      sync-interval: 50ms
";

#[test]
fn once_replicates_and_ends() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    let database = sandbox.database("app.db");
    let config = sandbox.config(ONE);
    let finished = program.once(&sandbox, &config);
    assert_eq!(finished.code(), 0, "{finished}");
    assert_same(&database, &program.restore(&sandbox, &sandbox.url("replica"), &[]));
}

#[test]
fn commits_are_replicated_while_the_daemon_runs() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    let database = sandbox.database("app.db");
    let config = sandbox.config(ONE);
    let mut daemon = Daemon::replicate(&program, &sandbox, &config);
    let replica = FileReplica::at(sandbox.path("replica"));
    daemon.wait_until("the first file", |_| replica.max_txid() > 0);
    for engine in [Engine::Bundled, Engine::Python] {
        let load = Load::start(engine, &database, "a");
        load.wait_for(ledger_head(&database, "a") + 50);
        let acknowledged = load.stop();
        program.restore_until(&sandbox, &sandbox.url("replica"), "every acknowledged commit", |restored| {
            ledger_head(restored, "a") >= acknowledged
        });
    }
    daemon.stop();
    let restored = program.restore(&sandbox, &sandbox.url("replica"), &[]);
    check_ledger(&restored, "a", 100);
    assert_same(&database, &restored);
}
