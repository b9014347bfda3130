//! Everybody is killed again and again, at moments drawn from a seed: the program, the writers, or both. Whatever a
//! replica holds restores to an exact prefix of what was committed, and in the end nothing acknowledged is missing.

use crate::harness::*;

#[cfg(feature = "failpoints")]
mod disk;
#[cfg(feature = "failpoints")]
mod round;
#[cfg(feature = "failpoints")]
mod rounds;

const DATABASES: [&str; 3] = ["a.db", "b.db", "deep/c.db"];
/// Two that only commit, and one that does everything else, too.
const ENGINES: [Option<Engine>; 3] = [Some(Engine::Bundled), Some(Engine::Python), None];
const CONFIG: &str = "
levels:
  - interval: 300ms
snapshot:
  interval: 700ms
dbs:
  - dir: ROOT/data
    pattern: '*.db'
    recursive: true
    watch: true
    monitor-interval: 20ms
    min-checkpoint-page-count: 30
    replica:
      path: ROOT/replica
      sync-interval: 20ms
";
const ROUNDS: i64 = 10;

/// `LITESTREAM_TEST_SEED` repeats a run.
fn seed() -> u64 {
    let seed = std::env::var("LITESTREAM_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("LITESTREAM_TEST_SEED={seed}");
    seed
}

#[test]
fn kill_9_of_anybody_at_any_moment_costs_no_acknowledged_commit() {
    let mut random = fastrand::Rng::with_seed(seed());
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    for database in DATABASES {
        sandbox.database(format!("data/{database}"));
    }
    let path = |database: &str| sandbox.path(format!("data/{database}"));
    let url = |database: &str| sandbox.url(format!("replica/{database}"));
    let config = sandbox.config(CONFIG);
    let mut acknowledged = [0; 3];
    for _ in 0..ROUNDS {
        let mut daemon = Daemon::replicate(&program, &sandbox, &config);
        let loads = [0, 1, 2].map(|at| match ENGINES[at] {
            Some(engine) => Load::start(engine, &path(DATABASES[at]), "w"),
            None => Load::start_restless(&path(DATABASES[at]), "w", random.u64(..)),
        });
        let watched = random.usize(..3);
        let commits = acknowledged[watched] + random.i64(1..60);
        daemon.wait_until("commits", |_| loads[watched].acknowledged() >= commits);
        let daemon_first = random.bool();
        if daemon_first {
            daemon.kill();
        }
        for (at, load) in loads.into_iter().enumerate() {
            let newest = if random.bool() { load.kill() } else { load.stop() };
            acknowledged[at] = newest.max(acknowledged[at]);
        }
        if !daemon_first {
            daemon.kill();
        }
        // Between two lives: whatever the replica holds is some committed state.
        for (database, newest) in DATABASES.iter().zip(acknowledged) {
            let output = sandbox.fresh("restored.db");
            let finished = program.run(&sandbox, &["restore", "-o", output.to_str().unwrap(), &url(database)]);
            if finished.status.success() {
                let head = check_ledger(&output, "w", 0);
                assert!(head <= newest + 1, "{database}: commit {head} is restored, {newest} was the last");
            } else {
                assert!(finished.stderr.contains("no matching backup files available"), "{database}: {finished}");
            }
        }
    }
    let finished = program.once(&sandbox, &config);
    assert_eq!(finished.code(), 0, "{finished}");
    for (database, newest) in DATABASES.iter().zip(acknowledged) {
        let restored = program.restore(&sandbox, &url(database), &["-integrity-check", "full"]);
        check_ledger(&restored, "w", newest);
        assert_same(&path(database), &restored);
    }
}
