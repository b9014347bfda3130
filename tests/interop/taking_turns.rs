//! The two programs take over from each other: same configuration, same databases, same local state, same replica.

use std::fs;

use crate::harness::*;

/// Keys that both programs know, with one watched directory.
const CONFIG: &str = "
dbs:
  - dir: ROOT/data
    pattern: '*.db'
    recursive: true
    watch: true
    monitor-interval: 20ms
    min-checkpoint-page-count: 50
    replica:
      path: ROOT/replica
      sync-interval: 20ms
";
const DATABASES: [&str; 3] = ["a.db", "team/b.db", "team/deep/c.db"];

fn replica(sandbox: &Sandbox, database: &str) -> FileReplica {
    FileReplica::at(sandbox.path("replica").join(database))
}

/// Both programs restore every database to what the source is.
fn assert_both_restore(sandbox: &Sandbox, programs: &[&Program]) {
    for database in DATABASES {
        for program in programs {
            let url = sandbox.url(format!("replica/{database}"));
            let restored = program.restore(sandbox, &url, &["-integrity-check", "quick"]);
            assert_same(&sandbox.path(format!("data/{database}")), &restored);
        }
    }
}

/// One turn of a program: writers at work beside it, then a clean or a hard end.
fn turn(program: &Program, sandbox: &Sandbox, round: usize) {
    let before = DATABASES.map(|database| replica(sandbox, database).max_txid());
    let mut daemon = Daemon::replicate(program, sandbox, &sandbox.config(CONFIG));
    let path = |database: &str| sandbox.path(format!("data/{database}"));
    let engines = [Engine::Bundled, Engine::Python];
    let load = Load::start(engines[round % 2], &path(DATABASES[0]), "turns");
    let start = ledger_head(&path(DATABASES[0]), "turns");
    load.wait_for(start + 30);
    sqlite_shell(
        &path(DATABASES[1]),
        &format!("PRAGMA busy_timeout = 30000; INSERT INTO item (name) VALUES ('round {round}')"),
    );
    sqlite_shell(&path(DATABASES[2]), "PRAGMA busy_timeout = 30000; UPDATE item SET data = randomblob(300); VACUUM");
    daemon.wait_until("a new file of every database", |_| {
        DATABASES.iter().zip(before).all(|(database, before)| replica(sandbox, database).max_txid() > before)
    });
    let head = load.stop();
    if round % 3 == 2 {
        daemon.kill();
    } else {
        daemon.stop();
        let restored = program.restore(sandbox, &sandbox.url("replica/a.db"), &[]);
        assert_eq!(check_ledger(&restored, "turns", head), head);
    }
}

/// What applications do while nobody replicates. The reference must lose nothing of it, so only what it notices.
fn meanwhile(sandbox: &Sandbox, round: usize) {
    let path = sandbox.path(format!("data/{}", DATABASES[round % DATABASES.len()]));
    match round % 4 {
        0 => {}
        1 => drop(sqlite_shell(
            &path,
            "INSERT INTO item (name) VALUES ('while away, closed'); DELETE FROM item WHERE id % 7 = 0",
        )),
        2 => {
            drop(sqlite_shell(&path, "INSERT INTO item (name) VALUES ('while away'); PRAGMA wal_checkpoint(TRUNCATE)"))
        }
        _ => {
            let mut application = Application::open(Engine::Python, &path);
            application.exec("INSERT INTO item (name) VALUES ('while away, killed')");
            application.kill();
        }
    }
}

fn take_turns(programs: [&Program; 2], rounds: usize) {
    let sandbox = Sandbox::new();
    for database in DATABASES {
        sandbox.database(format!("data/{database}"));
    }
    for round in 0..rounds {
        let program = programs[round % 2];
        turn(program, &sandbox, round);
        meanwhile(&sandbox, round);
        // The next one picks up whatever is left, also after a hard end.
        let next = programs[(round + 1) % 2];
        let finished = next.once(&sandbox, &sandbox.config(CONFIG));
        assert_eq!(finished.code(), 0, "round {round}: {finished}");
        assert_both_restore(&sandbox, &programs);
    }
    for database in DATABASES {
        let files = replica(&sandbox, database).level(0);
        let contiguous = files.windows(2).all(|pair| pair[1].0 == pair[0].1 + 1);
        assert!(contiguous, "{database}: TXIDs go on without a hole: {files:?}");
    }
}

#[test]
fn the_two_take_turns() {
    let reference = reference_or_skip!();
    take_turns([&Program::ours(), &reference], 6);
}

/// The same road with one program only: what fails here is the test's fault, not that of interoperation.
#[test]
fn one_program_takes_turns_with_itself() {
    let subject = Program::subject();
    take_turns([&subject, &subject], 4);
}

#[test]
fn we_continue_a_replica_whose_local_state_was_lost() {
    let reference = reference_or_skip!();
    for programs in [[&reference, &Program::ours()], [&Program::ours(), &reference]] {
        let sandbox = Sandbox::new();
        for database in DATABASES {
            sandbox.database(format!("data/{database}"));
        }
        for (turn_of, program) in programs.iter().enumerate() {
            turn(program, &sandbox, turn_of);
            let newest = replica(&sandbox, "a.db").max_txid();
            fs::remove_dir_all(sandbox.path("data/.a.db-litestream")).unwrap();
            sandbox.add_rows("data/a.db", 2);
            let next = programs[(turn_of + 1) % 2];
            assert_eq!(next.once(&sandbox, &sandbox.config(CONFIG)).code(), 0);
            assert!(replica(&sandbox, "a.db").max_txid() > newest, "history goes on above what the replica holds");
            assert_both_restore(&sandbox, &programs);
        }
    }
}

#[test]
fn a_database_that_carries_the_tables_of_the_reference_keeps_them_untouched() {
    let reference = reference_or_skip!();
    let sandbox = Sandbox::new();
    for database in DATABASES {
        sandbox.database(format!("data/{database}"));
    }
    assert_eq!(reference.once(&sandbox, &sandbox.config(CONFIG)).code(), 0);
    let tables = "SELECT group_concat(sql) FROM sqlite_schema WHERE name GLOB '_litestream_*'";
    let rows = "SELECT id, seq FROM _litestream_seq";
    let path = sandbox.path("data/a.db");
    let before = (sqlite_shell(&path, tables), sqlite_shell(&path, rows));
    assert!(before.0.contains("_litestream_seq"), "{before:?}");
    turn(&Program::ours(), &sandbox, 0);
    assert_eq!((sqlite_shell(&path, tables), sqlite_shell(&path, rows)), before);
    let restored = reference.restore(&sandbox, &sandbox.url("replica/a.db"), &[]);
    assert_eq!((sqlite_shell(&restored, tables), sqlite_shell(&restored, rows)), before);
}
