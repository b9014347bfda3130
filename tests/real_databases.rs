//! Databases that nobody here made, fetched by `tests/fetch-samples.sh` from packages of other projects, with writers at
//! work on their own tables.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::*;

/// The cache that `tests/fetch-samples.sh` fills. Missing samples skip loudly, and fail under `CI=true`.
fn samples() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let chosen = std::env::var_os("LITESTREAM_TEST_SAMPLES").map(PathBuf::from);
    let directory = chosen.or_else(|| Some(cache?.join("litestream-rs/samples")));
    let complete = |directory: &PathBuf| {
        ["proj.db", "latex.db", "mathwriter-ibus.db"].iter().all(|name| directory.join(name).is_file())
    };
    let found = directory.filter(complete);
    if found.is_none() {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "the sample databases are missing: run tests/fetch-samples.sh"
        );
        eprintln!("SKIPPED: the sample databases are missing: run tests/fetch-samples.sh");
    }
    found
}

fn config(name: &str) -> String {
    format!(
        "dbs:\n  - path: ROOT/{name}\n    monitor-interval: 50ms\n    replica:\n      path: ROOT/replica\n      sync-interval: 50ms\n"
    )
}

/// Tables an application may write: ordinary ones with rows.
fn writable_tables(database: &Path) -> Vec<String> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*' AND name NOT GLOB '_litestream_*' ORDER BY name";
    let names = sqlite_shell(database, sql);
    let has_rows = |name: &&str| !sqlite_shell(database, &format!("SELECT 1 FROM \"{name}\" LIMIT 1")).is_empty();
    names.lines().filter(has_rows).map(str::to_owned).collect()
}

/// Rounds of what a maintained database goes through: deletes, re-inserts, new indexes, a vacuum, each through another
/// application, with its triggers and foreign keys off, as its own build scripts have them.
fn edit(database: &Path, round: usize, tables: &[String]) {
    let table = &tables[round % tables.len()];
    let before = "PRAGMA busy_timeout = 30000; PRAGMA foreign_keys = off; PRAGMA recursive_triggers = off;";
    let statement = match round % 4 {
        0 => format!("CREATE TABLE \"kept {round}\" AS SELECT * FROM \"{table}\";"),
        1 => format!("CREATE INDEX \"every {round}\" ON \"{table}\" ((1)); DROP INDEX \"every {round}\";"),
        2 => format!(
            "CREATE TABLE \"half {round}\" AS SELECT * FROM \"{table}\" WHERE random() % 2; DROP TABLE IF EXISTS \"kept {}\";",
            round - 2
        ),
        _ => "VACUUM;".to_owned(),
    };
    sqlite_shell(database, &format!("{before} {statement}"));
}

fn survives_editing(name: &str) {
    let Some(samples) = samples() else { return };
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    let database = sandbox.path(name);
    fs::copy(samples.join(name), &database).unwrap();
    let original = Content::of(&database);
    let tables = writable_tables(&database);
    let replica = FileReplica::at(sandbox.path("replica"));
    let config = sandbox.config(&config(name));
    let mut daemon = Daemon::replicate(&program, &sandbox, &config);
    daemon.wait_until("the first file", |_| replica.max_txid() > 0);
    let load = Load::start(Engine::Python, &database, "a");
    for round in 0..8 {
        load.wait_for(round as i64 * 10);
        edit(&database, round, &tables);
    }
    let head = load.stop();
    daemon.stop();
    let restored = program.restore(&sandbox, &sandbox.url("replica"), &["-integrity-check", "full"]);
    assert_eq!(check_ledger(&restored, "a", head), head);
    assert_same(&database, &restored);
    // What was there first is restorable as it was.
    let first = program.restore(&sandbox, &sandbox.url("replica"), &["-txid", "0000000000000001"]);
    assert_eq!(Content::of(&first), original);
}

#[test]
fn the_coordinate_systems_of_proj() {
    survives_editing("proj.db");
}

#[test]
fn the_input_tables_of_ibus() {
    survives_editing("latex.db");
    survives_editing("mathwriter-ibus.db");
}

#[test]
fn a_directory_of_all_of_them() {
    let Some(samples) = samples() else { return };
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    let data = sandbox.mkdir("data");
    let mut names = BTreeSet::new();
    for file in fs::read_dir(samples).unwrap().map(Result::unwrap) {
        fs::copy(file.path(), data.join(file.file_name())).unwrap();
        names.insert(file.file_name().into_string().unwrap());
    }
    let config =
        sandbox.config("dbs:\n  - dir: ROOT/data\n    pattern: '*.db'\n    replica:\n      path: ROOT/replica\n");
    assert_eq!(program.once(&sandbox, &config).code(), 0);
    for name in names {
        let restored =
            program.restore(&sandbox, &sandbox.url(format!("replica/{name}")), &["-integrity-check", "full"]);
        assert_same(&data.join(&name), &restored);
    }
}
