//! One round: two databases, writers that never stop, a program that dies up to three times, and what is left at the end.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use fastrand::Rng;
use litestream_core::failpoint;

use super::disk;
use crate::harness::*;

/// Levels work at intervals of whole seconds: these are the shortest. The last sync may take as long as a busy machine needs.
const CONFIG: &str = "
shutdown-sync-timeout: 15m
levels:
  - interval: 1s
  - interval: 2s
snapshot:
  interval: 2s
  retention: 2s
l0-retention: 1s
l0-retention-check-interval: 1s
dbs:
  - path: ROOT/one.db
    monitor-interval: 20ms
    min-checkpoint-page-count: 30
    replica:
      path: ROOT/replica/one
      sync-interval: 20ms
      auto-recover: RECOVER
  - dir: ROOT/data
    pattern: '*.db'
    watch: true
    monitor-interval: 20ms
    max-sync-wal-bytes: 40000
    replica:
      path: ROOT/replica
      sync-interval: 20ms
      auto-recover: RECOVER
";
const WRITER: &str = "w";

/// How the program came to its end.
#[derive(Clone, PartialEq, Eq)]
pub enum Death {
    /// At a named place.
    At(&'static str),
    /// SIGKILL at some moment, because that was drawn, or because the place was not reached.
    AtRandom,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Death::At(name) => f.write_str(name),
            Death::AtRandom => f.write_str("some moment"),
        }
    }
}

struct Database {
    path: PathBuf,
    url: String,
    replica: FileReplica,
    meta: PathBuf,
    load: Option<Load>,
    /// Commits that SQLite acknowledged.
    acknowledged: i64,
    /// The newest commit that was ever restored.
    restored: i64,
}

/// See the module.
pub struct Round {
    seed: u64,
    random: Rng,
    sandbox: Sandbox,
    program: Program,
    config: PathBuf,
    /// A damaged newest L0 file is an error for an operator, unless the configuration says otherwise.
    auto_recover: bool,
    databases: Vec<Database>,
}

impl Round {
    pub fn new(seed: u64) -> Round {
        let mut random = Rng::with_seed(seed);
        let sandbox = Sandbox::new();
        let auto_recover = random.bool();
        let text = CONFIG.replace("RECOVER", if auto_recover { "true" } else { "false" });
        let config = sandbox.config(&text);
        sandbox.mkdir("data");
        let mut round =
            Round { seed, random, sandbox, program: Program::ours(), config, auto_recover, databases: Vec::new() };
        round.add("one.db", "replica/one");
        round.sandbox.database("data/seldom.db");
        round
    }

    fn add(&mut self, name: &str, replica: &str) {
        let path = self.sandbox.database(name);
        let file_name = path.file_name().unwrap().to_str().unwrap();
        let meta = path.with_file_name(format!(".{file_name}-litestream"));
        let replica_path = self.sandbox.path(replica);
        self.databases.push(Database {
            path,
            url: self.sandbox.url(replica),
            replica: FileReplica::at(replica_path),
            meta,
            load: None,
            acknowledged: 0,
            restored: 0,
        });
    }

    /// How the program died, each time.
    pub fn run(mut self) -> Vec<Death> {
        let mut deaths = Vec::new();
        for life in 0..self.random.usize(1..=3) {
            let daemon = self.start_life();
            self.start_writers();
            if life == 0 {
                // The second database appears while the program runs.
                self.add("data/two.db", "replica/two.db");
                self.start_writers();
            }
            deaths.push(self.end_life(daemon));
            self.between_lives();
        }
        self.settle();
        deaths
    }

    /// The program, with or without a place at which it will die.
    fn start_life(&mut self) -> (Daemon, Option<&'static str>) {
        let name = failpoint::NAMES[self.random.usize(..failpoint::NAMES.len())];
        let name = (self.random.u8(..4) > 0).then_some(name);
        let mut command = self.program.command(&self.sandbox, &["replicate", "-config", self.config.to_str().unwrap()]);
        if let Some(name) = name {
            // Mostly early, sometimes late; at the place, or on the way to the next one.
            let late = self.random.u32(..6);
            let hit = 1 + self.random.u32(..1 << late);
            let delay_us = [0, 0, 300, 3000][self.random.usize(..4)];
            command.env("LITESTREAM_CRASH", format!("{name}:{hit}:{delay_us}"));
        }
        (Daemon::start(command, &self.sandbox), name)
    }

    fn start_writers(&mut self) {
        for database in &mut self.databases {
            if database.load.is_none() {
                let seed = self.random.u64(..);
                database.load = Some(match self.random.u8(..5) {
                    0 => Load::start(Engine::Python, &database.path, WRITER),
                    _ => Load::start_restless(&database.path, WRITER, seed),
                });
            }
        }
    }

    fn end_life(&mut self, (mut daemon, name): (Daemon, Option<&'static str>)) -> Death {
        let patience_ms = if name.is_some() { 500..3500 } else { 50..2000 };
        let patience = Duration::from_millis(self.random.u64(patience_ms));
        let died = daemon.ends_within(patience);
        // Somebody else may die in the same moment, most likely inside the fsync of a commit.
        self.stop_some_writers();
        if !died && daemon.is_running() {
            daemon.kill();
            return Death::AtRandom;
        }
        let log = daemon.log();
        assert!(!log.contains("panicked"), "round {}: the program panicked:\n{log}", self.seed);
        Death::At(name.unwrap_or_else(|| panic!("round {}: the program ended by itself:\n{log}", self.seed)))
    }

    fn stop_some_writers(&mut self) {
        for database in &mut self.databases {
            let fate = self.random.u8(..4);
            let Some(load) = database.load.take_if(|_| fate < 2) else { continue };
            database.acknowledged = database.acknowledged.max(if fate == 0 { load.kill() } else { load.stop() });
        }
    }

    /// What a machine may do to files that were not made safe, and what a restore gives at this moment.
    fn between_lives(&mut self) {
        for at in 0..self.databases.len() {
            if self.random.u8(..2) == 0 {
                let (meta, ledger) = (&self.databases[at].meta, self.sandbox.ledger());
                disk::lose_something(&mut self.random, meta, &ledger, self.auto_recover);
            }
            if self.random.u8(..2) == 0 {
                self.check_restore(at);
            }
        }
    }

    /// Whatever the replica holds restores, and never to less than before.
    fn check_restore(&mut self, at: usize) {
        let database = &self.databases[at];
        let output = self.sandbox.fresh("restored.db");
        let args = ["restore", "-o", output.to_str().unwrap(), &database.url];
        let finished = self.program.run(&self.sandbox, &args);
        if finished.status.success() {
            let head = check_ledger(&output, WRITER, database.restored);
            self.databases[at].restored = head;
        } else {
            let nothing_yet = finished.stderr.contains("no matching backup files available") && database.restored == 0;
            assert!(nothing_yet, "round {}: {finished}", self.seed);
        }
    }

    /// A last life that ends well; then everything must be there.
    fn settle(&mut self) {
        let before: Vec<_> = self.databases.iter().map(|database| disk::newest_l0(&database.meta)).collect();
        self.start_writers();
        let mut daemon = Daemon::replicate(&self.program, &self.sandbox, &self.config);
        for database in &mut self.databases {
            let load = database.load.take().unwrap();
            let goal = load.acknowledged().max(database.acknowledged) + 3;
            load.wait_for(goal);
            database.acknowledged = load.stop();
        }
        // A signal that comes while it still looks for databases ends it at once, and rightly so.
        daemon.wait_until("every database on its replica", |_| {
            self.databases.iter().zip(&before).all(|(database, before)| {
                disk::newest_l0(&database.meta) != *before
                    && newest_local(&database.meta) <= database.replica.max_txid()
            })
        });
        daemon.stop();
        for at in 0..self.databases.len() {
            self.check_end(at);
        }
    }

    fn check_end(&mut self, at: usize) {
        let database = &self.databases[at];
        let restored = self.program.restore(&self.sandbox, &database.url, &["-integrity-check", "full"]);
        check_ledger(&restored, WRITER, database.acknowledged);
        assert_same(&database.path, &restored);
        let (local, remote) = (newest_local(&database.meta), database.replica.max_txid());
        assert_eq!(local, remote, "round {}: local state and replica end at different transactions", self.seed);
        assert_eq!(disk::temporary_files(&database.meta), Vec::<PathBuf>::new(), "round {}: left over", self.seed);
        disk::verify_all(&database.meta);
        disk::verify_all(&self.sandbox.path("replica"));
        self.check_points_in_time(at);
    }

    /// Every end of a file behind the oldest snapshot is a point that must be reachable; of level 0, whose front is deleted
    /// file by file, only those that no other level holds yet. Two of them are tried.
    fn check_points_in_time(&mut self, at: usize) {
        let database = &self.databases[at];
        let ends = |level| database.replica.level(level).into_iter().map(|(_, max)| max);
        let base = ends(9).min().unwrap_or(1);
        let compacted = (1..=9).flat_map(ends).max().unwrap_or(0);
        let raw = ends(0).filter(|max| *max > compacted);
        let mut ends: Vec<u64> = (1..=9).flat_map(ends).filter(|max| *max >= base).chain(raw).collect();
        self.random.shuffle(&mut ends);
        ends.truncate(2);
        ends.sort_unstable();
        let mut newest = 0;
        for txid in ends {
            let restored = self.program.restore(&self.sandbox, &database.url, &["-txid", &format!("{txid:016x}")]);
            newest = check_ledger(&restored, WRITER, newest);
            assert!(newest <= database.acknowledged);
        }
    }
}

fn newest_local(meta: &std::path::Path) -> u64 {
    // Local state has the layout of a replica, with level 0 only.
    FileReplica::at(meta).max_txid()
}
