//! One program writes a replica with every level filled; the other restores its newest state, its TXIDs and its times.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::harness::*;

/// Short intervals: a run of seconds leaves raw files, two compacted levels and snapshots. Nothing is deleted but by L0
/// retention, so old states stay restorable.
const CONFIG: &str = "
levels:
  - interval: 1s
  - interval: 3s
snapshot:
  interval: 2s
dbs:
  - path: ROOT/app.db
    monitor-interval: 20ms
    min-checkpoint-page-count: 20
    replica:
      path: ROOT/replica
      sync-interval: 20ms
";

/// Lets `writer` replicate two applications and a vacuum until every level holds files.
fn write(writer: &Program, sandbox: &Sandbox) -> (PathBuf, i64) {
    let database = sandbox.database("app.db");
    let replica = FileReplica::at(sandbox.path("replica"));
    let mut daemon = Daemon::replicate(writer, sandbox, &sandbox.config(CONFIG));
    let load = Load::start(Engine::Bundled, &database, "a");
    daemon.wait_until("raw files, two levels and a second snapshot", |_| {
        replica.level(0).len() > 20
            && !replica.level(1).is_empty()
            && !replica.level(2).is_empty()
            && replica.level(9).len() > 1
    });
    sqlite_shell(
        &database,
        "PRAGMA busy_timeout = 30000; CREATE TABLE shell AS SELECT * FROM item; DELETE FROM item WHERE id < 5;",
    );
    let head = load.stop();
    sqlite_shell(
        &database,
        "PRAGMA busy_timeout = 30000; VACUUM; INSERT INTO shell VALUES (1000, 'after the vacuum', NULL)",
    );
    daemon.stop();
    (database, head)
}

/// What both programs say about the replica has to be equal.
fn assert_equal_views(sandbox: &Sandbox, one: &Program, other: &Program) {
    let url = sandbox.url("replica");
    for command in
        [vec!["ltx", "-json", "-level", "all", &url], vec!["restore", "-dry-run", "-json", "-o", "x.db", &url]]
    {
        assert_eq!(one.must(sandbox, &command).json(), other.must(sandbox, &command).json(), "{command:?}");
    }
}

fn restores_what_the_other_wrote(writer: &Program, reader: &Program) {
    let sandbox = Sandbox::new();
    let (database, head) = write(writer, &sandbox);
    let url = sandbox.url("replica");
    let restored = reader.restore(&sandbox, &url, &["-integrity-check", "full"]);
    assert_eq!(check_ledger(&restored, "a", head), head);
    assert_same(&database, &restored);
    assert_equal_views(&sandbox, writer, reader);

    let listed = writer.must(&sandbox, &["ltx", "-json", "-level", "all", &url]).json();
    let mut points: BTreeMap<String, String> = BTreeMap::new();
    for file in listed.as_array().unwrap() {
        points.insert(file["max_txid"].as_str().unwrap().to_owned(), file["timestamp"].as_str().unwrap().to_owned());
    }
    let some = points.iter().step_by(points.len().div_ceil(6).max(1));
    for (txid, time) in some {
        same_answer(&sandbox, [writer, reader], ["-txid", txid], "a");
        same_answer(&sandbox, [writer, reader], ["-timestamp", time], "a");
    }
}

/// Both programs restore the same bytes, or both refuse.
pub(super) fn same_answer(sandbox: &Sandbox, programs: [&Program; 2], point: [&str; 2], ledger: &str) {
    let [one, other] = programs.map(|program| {
        let output = sandbox.fresh("restored.db");
        let args = ["restore", "-o", output.to_str().unwrap(), point[0], point[1], &sandbox.url("replica")];
        let finished = program.run(sandbox, &args);
        let content = finished.status.success().then(|| {
            let bytes = std::fs::read(&output).unwrap();
            check_ledger(&output, ledger, 0);
            bytes
        });
        (content, finished)
    });
    assert_eq!(one.0.is_some(), other.0.is_some(), "{point:?}: {}\n{}", one.1, other.1);
    assert!(one.0 == other.0, "{point:?}: the restored files differ");
}

#[test]
fn the_reference_restores_what_we_wrote() {
    let reference = reference_or_skip!();
    restores_what_the_other_wrote(&Program::ours(), &reference);
}

#[test]
fn we_restore_what_the_reference_wrote() {
    let reference = reference_or_skip!();
    restores_what_the_other_wrote(&reference, &Program::ours());
}

/// The same road with one program on both sides: what fails here is the test's fault, not that of interoperation.
#[test]
fn the_subject_restores_what_it_wrote() {
    restores_what_the_other_wrote(&Program::subject(), &Program::subject());
}
