//! One program takes over from the other while a writer runs, with compactions and retention every second: neither loses
//! what was committed around the change, and both read every level that the two have left.

use super::two_ways::same_answer;
use crate::harness::*;

const CONFIG: &str = "
levels:
  - interval: 1s
  - interval: 2s
snapshot:
  interval: 3s
  retention: 4s
l0-retention: 2s
l0-retention-check-interval: 1s
dbs:
  - path: ROOT/app.db
    monitor-interval: 20ms
    min-checkpoint-page-count: 50
    replica:
      path: ROOT/replica
      sync-interval: 20ms
";

/// One turn of a program beside the writer. What was acknowledged when it began must be restorable by both.
fn turn(program: &Program, programs: &[&Program; 2], sandbox: &Sandbox, load: &Load, hard: bool) {
    let replica = FileReplica::at(sandbox.path("replica"));
    let (before, acknowledged) = (replica.max_txid(), load.acknowledged());
    let mut daemon = Daemon::replicate(program, sandbox, &sandbox.config(CONFIG));
    daemon.wait_until("new files at level 1, and level 2", |_| {
        let level1 = replica.level(1).last().map_or(0, |file| file.1);
        level1 > before && !replica.level(2).is_empty() && load.acknowledged() > acknowledged + 40
    });
    for reader in programs {
        let restored = reader.restore_until(sandbox, &sandbox.url("replica"), "what was acknowledged", |output| {
            ledger_head(output, "w") > acknowledged
        });
        check_ledger(&restored, "w", acknowledged);
    }
    if hard { daemon.kill() } else { daemon.stop() }
}

fn hand_over(programs: [&Program; 2], turns: usize) {
    let sandbox = Sandbox::new();
    let database = sandbox.database("app.db");
    // Slow enough that no two generations of the WAL pass while nobody looks: the reference loses the first then.
    let load = Load::paced(&database, "w", 8);
    load.wait_for(5);
    for number in 0..turns {
        turn(programs[number % 2], &programs, &sandbox, &load, number % 3 == 1);
    }
    let head = load.stop();
    let finished = programs[turns % 2].once(&sandbox, &sandbox.config(CONFIG));
    assert_eq!(finished.code(), 0, "{finished}");
    let url = sandbox.url("replica");
    for program in programs {
        let restored = program.restore(&sandbox, &url, &["-integrity-check", "full"]);
        assert_eq!(check_ledger(&restored, "w", head), head);
        assert_same(&database, &restored);
    }
    let listed = programs[0].must(&sandbox, &["ltx", "-json", "-level", "all", &url]).json();
    for level in [0, 1, 2, 9] {
        let of_level: Vec<_> = listed.as_array().unwrap().iter().filter(|file| file["level"] == level).collect();
        assert!(!of_level.is_empty(), "level {level}: {listed}");
        // The oldest that is left of the level, and the newest.
        for file in [of_level[0], of_level[of_level.len() - 1]] {
            same_answer(&sandbox, programs, ["-txid", file["max_txid"].as_str().unwrap()], "w");
            same_answer(&sandbox, programs, ["-timestamp", file["timestamp"].as_str().unwrap()], "w");
        }
    }
}

#[test]
fn the_two_hand_over_while_a_writer_runs() {
    let reference = reference_or_skip!();
    hand_over([&Program::ours(), &reference], 5);
}

/// The same road with one program on both sides: what fails here is the test's fault, not that of interoperation.
#[test]
fn one_program_hands_over_to_itself_while_a_writer_runs() {
    let subject = Program::subject();
    hand_over([&subject, &subject], 2);
}
