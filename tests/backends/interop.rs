//! With the reference through a real server: each restores the other's replica and goes on with it.

use std::path::{Path, PathBuf};

use super::Backend;
use crate::harness::*;

/// One database at `ROOT/app.db`; old states stay restorable. `extra` are further lines of the replica.
fn config(backend: &Backend, sandbox: &Sandbox, place: &str, extra: &str) -> PathBuf {
    let levels = "levels:\n  - interval: 1s\n  - interval: 3s\nsnapshot:\n  interval: 2s\n";
    let database = "dbs:\n  - path: ROOT/app.db\n    monitor-interval: 20ms\n    min-checkpoint-page-count: 20\n";
    let extra: String = extra.lines().map(|line| format!("      {line}\n")).collect();
    sandbox.config(&format!("{levels}{database}    replica:\n{}{extra}", backend.replica_at(place, 6)))
}

/// Replicates two applications until levels 1 and 9 hold files, and ends; gives the newest commit of the writer.
fn write(sandbox: &Sandbox, writer: &Program, config: &Path) -> i64 {
    let database = sandbox.path("app.db");
    let mut daemon = Daemon::replicate(writer, sandbox, config);
    let start = ledger_head(&database, "a");
    let load = Load::start(Engine::Bundled, &database, "a");
    load.wait_for(start + 30);
    sqlite_shell(&database, "PRAGMA busy_timeout = 30000; INSERT INTO item (name) VALUES ('shell'); VACUUM;");
    let path = database.to_str().unwrap();
    daemon.wait_until("a compacted file and a snapshot", |_| {
        let args = ["ltx", "-json", "-level", "all", "-config", config.to_str().unwrap(), path];
        let listed = writer.run(sandbox, &args);
        let levels = |wanted: u64| {
            listed.json().as_array().unwrap().iter().filter(|file| file["level"].as_u64() == Some(wanted)).count()
        };
        listed.status.success() && levels(1) > 1 && levels(9) > 1
    });
    let head = load.stop();
    // The reference may end before it has read the last commits, when it was started a moment ago.
    daemon.wait_until("the last commit on the replica", |_| {
        let output = sandbox.fresh("restored.db");
        let args = ["restore", "-o", output.to_str().unwrap(), "-config", config.to_str().unwrap(), path];
        writer.run(sandbox, &args).status.success() && ledger_head(&output, "a") == head
    });
    daemon.stop();
    head
}

/// A restore by configuration gives the last state, and one by a time in between a state that was.
fn restores(sandbox: &Sandbox, reader: &Program, config: &Path, head: i64) {
    let database = sandbox.path("app.db");
    let restore = |more: &[&str]| {
        let output = sandbox.fresh("restored.db");
        let ends = ["-config", config.to_str().unwrap(), database.to_str().unwrap()];
        let args = [&["restore", "-o", output.to_str().unwrap()], more, &ends].concat();
        reader.must(sandbox, &args);
        output
    };
    let restored = restore(&["-integrity-check", "full"]);
    assert_eq!(check_ledger(&restored, "a", head), head);
    assert_same(&database, &restored);
    let args = ["ltx", "-json", "-level", "all", "-config", config.to_str().unwrap(), database.to_str().unwrap()];
    let listed = reader.must(sandbox, &args).json();
    let files = listed.as_array().unwrap();
    let middle = &files[files.len() / 2];
    check_ledger(&restore(&["-txid", middle["max_txid"].as_str().unwrap()]), "a", 0);
}

/// `first` makes a replica, `second` restores it and continues it, and `first` restores that. `extra` are lines of the
/// replica that only our program understands.
fn take_turns(backend: &Backend, first: &Program, second: &Program, extra: &str) {
    let sandbox = Sandbox::new();
    sandbox.database("app.db");
    let [first, second] = [first, second].map(|program| backend.equip(program.clone()));
    let config_of = |program: &Program| {
        config(backend, &sandbox, "interop/app.db", if program.kind() == Kind::Ours { extra } else { "" })
    };
    let head = write(&sandbox, &first, &config_of(&first));
    restores(&sandbox, &second, &config_of(&second), head);
    let head = write(&sandbox, &second, &config_of(&second));
    restores(&sandbox, &first, &config_of(&first), head);
}

/// The reference restores what we wrote, continues it, and we restore that.
pub fn the_reference_restores_and_continues_ours(backend: &Backend, extra: &str) {
    take_turns(backend, &Program::ours(), &reference_or_skip!(), extra);
}

/// We restore what the reference wrote, continue it, and it restores that.
pub fn we_restore_and_continue_the_references(backend: &Backend) {
    take_turns(backend, &reference_or_skip!(), &Program::ours(), "");
}
