//! Configuration files: what is refused and in which words, what a value may look like, which layer wins, and that every
//! file below `config/` is a good one.

use std::path::{Path, PathBuf};

use crate::harness::*;

/// Runs `replicate -once` with a configuration and expects it to be refused with a text.
fn refused(config: &str, text: &str) {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    sandbox.database("app.db");
    sandbox.database("other.db");
    let finished = program.once(&sandbox, &sandbox.config(config));
    finished.refused_with(&text.replace("ROOT", sandbox.root().to_str().unwrap()));
    assert!(!sandbox.path("replica").exists(), "nothing starts: {finished}");
}

/// One database with a replica, and more lines in front of the list, in the entry, and in the replica.
fn config(global: &str, entry: &str, replica: &str) -> String {
    format!(
        "{global}\ndbs:\n  - path: ROOT/app.db\n    {entry}\n    replica:\n      path: ROOT/replica\n      {replica}\n"
    )
}

#[test]
fn a_missing_file_is_named_with_its_whole_path() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    let finished = program.run(&sandbox, &["replicate", "-config", "none.yml"]);
    finished.refused_with(&format!("config file not found: {}", sandbox.text("none.yml")));
    let mut command = program.command(&sandbox, &["databases"]);
    command.env("LITESTREAM_CONFIG", sandbox.path("elsewhere.yml"));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("elsewhere.yml"));
}

#[test]
fn text_that_is_no_yaml_is_refused() {
    for text in ["dbs: [", "dbs:\n\t- path: x\n", "dbs: {}: x"] {
        let (program, sandbox) = (Program::subject(), Sandbox::new());
        let finished = program.once(&sandbox, &sandbox.config(text));
        assert_eq!(finished.code(), 1, "{finished}");
        assert!(finished.stderr.starts_with("Error: "), "{finished}");
    }
}

#[test]
fn contradictory_entries_are_refused_by_number() {
    let replica = "    replica: { path: ROOT/replica }\n";
    for (entry, text) in [
        ("path: ROOT/app.db\n    dir: ROOT\n", "database config #1: cannot specify both 'path' and 'dir'"),
        ("monitor-interval: 1s\n", "database config #1: must specify either 'path' or 'dir'"),
        ("dir: ROOT\n", "database config #1: 'pattern' is required when using 'dir'"),
        ("path: ROOT/app.db\n    watch: true\n", "database config #1: 'watch' can only be enabled with a directory"),
        (
            "path: ROOT/app.db\n    meta-dir: ROOT/m\n",
            "database config #1: 'meta-dir' can only be used with a directory",
        ),
        (
            "dir: ROOT\n    pattern: '*.db'\n    meta-dir: ROOT/m\n    meta-path: ROOT/n\n",
            "database config #1: cannot specify both 'meta-path' and 'meta-dir'",
        ),
    ] {
        refused(&format!("dbs:\n  - {entry}{replica}"), text);
    }
    refused("dbs:\n  - path: ROOT/app.db\n", "must specify replica for database");
    let two = "    replicas:\n      - path: ROOT/replica\n      - path: ROOT/second\n";
    refused(
        &format!("dbs:\n  - path: ROOT/app.db\n{two}"),
        "multiple replicas on a single database are no longer supported",
    );
    let both = format!("{replica}    replicas:\n      - path: ROOT/replica\n");
    refused(&format!("dbs:\n  - path: ROOT/app.db\n{both}"), "cannot specify 'replica' and 'replicas' on a database");
}

#[test]
fn values_that_make_no_sense_are_refused() {
    for (global, text) in [
        ("snapshot: { interval: 0s }", "snapshot interval must be greater than 0"),
        ("snapshot: { retention: -1h }", "snapshot retention must be greater than 0"),
        ("l0-retention: -5ms", "l0 retention must not be negative"),
        (
            "levels: [{ interval: 1s }, { interval: 0s }]",
            "levels[1].interval: compaction interval must be greater than 0 (got 0s)",
        ),
        ("heartbeat-interval: 30s", "heartbeat interval must be at least 1 minute (got 30s)"),
    ] {
        refused(&config(global, "monitor-interval: 1s", "sync-interval: 1s"), text);
    }
    refused(&config("", "monitor-interval: 1s", "sync-interval: 0s"), "sync interval must be greater than 0 (got 0s)");
    refused(&config("", "monitor-interval: 1d", "sync-interval: 1s"), "1d");
    let hour = config("", "snapshot: { interval: 1h }", "sync-interval: 1s");
    let second = "  - path: ROOT/other.db\n    snapshot: { interval: 2h }\n    replica: { path: ROOT/other }\n";
    refused(&format!("{hour}{second}"), "conflicting database snapshot intervals");
}

#[test]
fn replicas_are_judged_before_anything_starts() {
    for (replica, text) in [
        ("type: bogus", "bogus"),
        ("url: file://ROOT/other", "cannot specify url & path for file replica"),
        ("age: { recipients: ['x'] }", "age encryption is not currently supported"),
    ] {
        refused(&config("", "monitor-interval: 1s", replica), text);
    }
    refused("dbs:\n  - path: ROOT/app.db\n    replica: { path: 's3://bucket/x' }\n", "replica path cannot be a url");
    refused("dbs:\n  - path: ROOT/app.db\n    replica: { type: file }\n", "file replica path required");
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_known_one() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    ours_only!(program, "it ignores unknown keys silently");
    sandbox.database("app.db");
    for (text, line, key, nearest) in [
        (config("snapshots:\n  interval: 1h", "busy-timeout: 1s", "sync-interval: 1s"), 1, "snapshots", "snapshot"),
        (config("", "monitor-intervall: 1s", "sync-interval: 1s"), 4, "monitor-intervall", "monitor-interval"),
        (config("", "busy-timeout: 1s", "sync-intervel: 1s"), 7, "sync-intervel", "sync-interval"),
    ] {
        let path = sandbox.config(&text);
        let finished = program.once(&sandbox, &path);
        finished.refused_with(key);
        assert!(finished.stderr.contains(&format!("{}:{line}", path.display())), "the line: {finished}");
        assert!(
            finished.stderr.contains(&format!("`{nearest}`")) || finished.stderr.contains(&format!("\"{nearest}\"")),
            "{finished}"
        );
        let lenient = program.run(&sandbox, &["replicate", "-lenient", "-once", "-config", path.to_str().unwrap()]);
        assert_eq!(lenient.code(), 0, "{lenient}");
        assert!(lenient.text().contains(key) && lenient.text().contains("WARN"), "{lenient}");
    }
}

#[test]
fn keys_of_older_days_are_warned_about() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    ours_only!(program, "it ignores them silently");
    sandbox.database("app.db");
    let finished = program.once(&sandbox, &sandbox.config(&config("", "busy-timeout: 1s", "retention: 72h")));
    assert_eq!(finished.code(), 0, "{finished}");
    assert!(finished.text().contains("retention") && finished.text().contains("snapshot.retention"), "{finished}");
}

#[test]
fn variables_are_expanded_unless_told_otherwise() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    let database = sandbox.database("app.db");
    let path = sandbox.config("dbs:\n  - path: $WHERE/app.db\n    replica:\n      path: ${WHERE}/replica$UNSET\n");
    let listed = |flag: &[&str]| {
        let args = [&["databases", "-json"][..], flag, &["-config", path.to_str().unwrap()]].concat();
        let mut command = program.command(&sandbox, &args);
        let output = command.env("WHERE", sandbox.root()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        json[0]["path"].as_str().unwrap().to_owned()
    };
    assert_eq!(listed(&[]), database.to_str().unwrap());
    assert_eq!(listed(&["-no-expand-env"]), sandbox.text("$WHERE/app.db"));
}

#[test]
fn paths_may_be_relative_to_home_or_carry_a_sqlite_scheme() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    let listed = |written: &str| {
        let path = sandbox.config(&format!("dbs:\n  - path: {written}\n    replica: {{ path: ROOT/replica }}\n"));
        let listed = program.must(&sandbox, &["databases", "-json", "-config", path.to_str().unwrap()]).json();
        listed[0]["path"].as_str().unwrap().to_owned()
    };
    for written in ["sqlite://ROOT/app.db", "sqlite3://ROOT/x/../app.db", "app.db", "./x/..//app.db"] {
        assert_eq!(listed(written), sandbox.text("app.db"), "{written}");
    }
    let home = listed("~/app.db");
    assert!(home.starts_with('/') && home.ends_with("/app.db") && !home.contains('~'), "{home}");
}

#[test]
fn numbers_durations_and_switches_are_read_as_go_reads_them() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    let database = sandbox.database("app.db");
    let global = "verify-compaction: yes\nretention: { enabled: off }\nl0-retention: 0\nsnapshot: { interval: 1h30m, retention: 36h0.5s }\nsocket: { permissions: 0640 }";
    let entry = "monitor-interval: 50000000\n    truncate-page-n: -1\n    max-sync-wal-bytes: 0";
    let path = sandbox.config(&config(global, entry, "sync-interval: 250ms"));
    let finished = program.once(&sandbox, &path);
    assert_eq!(finished.code(), 0, "{finished}");
    assert_same(&database, &program.restore(&sandbox, &sandbox.url("replica"), &[]));
}

#[test]
fn toml_says_the_same_as_yaml() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    ours_only!(program, "it reads YAML only");
    let database = sandbox.database("app.db");
    let text = "
[snapshot]
interval = '1h'

[[dbs]]
path = 'ROOT/app.db'
monitor-interval = '50ms'
[dbs.replica]
type = 'file'
path = '${ROOT_OF_TEST}/replica'
";
    let path = sandbox.write("litestream.toml", text.replace("ROOT/app", &sandbox.text("app")));
    let mut command = program.command(&sandbox, &["replicate", "-once", "-config", path.to_str().unwrap()]);
    let output = command.env("ROOT_OF_TEST", sandbox.root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_same(&database, &program.restore(&sandbox, &sandbox.url("replica"), &[]));
    let broken = sandbox.write("broken.toml", "[[dbs]]\npath = 'x'\nrecusive = true\n");
    let finished = program.once(&sandbox, &broken);
    finished.refused_with("recusive");
    assert!(finished.stderr.contains("broken.toml:3"), "{finished}");
}

#[test]
fn the_environment_beats_the_file_and_a_flag_beats_both() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    ours_only!(program, "it has no such variables");
    sandbox.database("app.db");
    let path = sandbox.config(&config("logging:\n  level: error", "busy-timeout: 1s", "sync-interval: 1s"));
    let logged = |variable: Option<&str>, flag: &[&str]| {
        let args = [&["replicate", "-once"][..], flag, &["-config", path.to_str().unwrap()]].concat();
        let mut command = program.command(&sandbox, &args);
        command.envs(variable.map(|value| ("LITESTREAM_LOGGING__LEVEL", value)));
        let output = command.output().unwrap();
        String::from_utf8(output.stdout).unwrap().contains("level=INFO")
    };
    assert!(!logged(None, &[]), "the file says error");
    assert!(logged(Some("info"), &[]), "the environment says info");
    assert!(!logged(Some("info"), &["-log-level", "error"]), "the flag says error");
}

#[test]
fn explain_says_where_each_value_came_from() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    ours_only!(program, "it has no such command");
    sandbox.database("app.db");
    let path = sandbox.config(&config("", "monitor-interval: 7s", "sync-interval: 3s"));
    let text = program.must(&sandbox, &["config", "explain", "-config", path.to_str().unwrap()]).stdout;
    let line_of = |key: &str| {
        let line = text.lines().find(|line| line.split_whitespace().next() == Some(key));
        line.unwrap_or_else(|| panic!("{key}: {text}")).to_owned()
    };
    assert!(line_of("monitor-interval").contains("7s") && line_of("monitor-interval").contains(".yml:4"), "{text}");
    assert!(
        line_of("replica.sync-interval").contains("3s") && line_of("replica.sync-interval").contains(".yml:7"),
        "{text}"
    );
    assert!(line_of("busy-timeout").contains("1s") && line_of("busy-timeout").contains("default"), "{text}");
}

#[test]
fn logging_goes_where_and_how_it_is_told() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    sandbox.database("app.db");
    let once = |logging: &str| {
        program.once(&sandbox, &sandbox.config(&config(logging, "busy-timeout: 1s", "sync-interval: 1s")))
    };
    let text = once("logging: { level: info }");
    assert!(text.stdout.lines().all(|line| line.starts_with("time=") && line.contains(" level=")), "{text}");
    let json = once("logging: { type: json, stderr: true }");
    assert_eq!(json.stdout, "", "{json}");
    for line in json.stderr.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(entry["time"].is_string() && entry["msg"].is_string() && line.contains("\"level\":\"INFO\""), "{line}");
    }
    let silent = once("logging: { level: error }");
    assert_eq!(silent.text(), "");
    ours_only!(program, "an unknown type ends it with a panic");
    once("logging: { type: xml }").refused_with("xml");
}

#[test]
fn every_packaged_configuration_is_valid() {
    let (program, sandbox) = (Program::ours(), Sandbox::new());
    let directory =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../config").canonicalize().expect("the directory config/");
    let is_config = |path: &PathBuf| matches!(path.extension().and_then(|e| e.to_str()), Some("yml" | "yaml" | "toml"));
    let entries = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> = entries.filter(is_config).collect();
    assert!(files.len() >= 2, "{} holds {files:?}", directory.display());
    sandbox.database("var/lib/tenants/acme.db");
    sandbox.database("var/lib/app/main.db");
    for file in files {
        // The directories of the examples, inside the sandbox.
        let name = file.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&file)
            .unwrap()
            .replace("/var/lib/", &format!("{}/var/lib/", sandbox.root().display()));
        let finished =
            program.run(&sandbox, &["config", "check", "-config", sandbox.write(name, text).to_str().unwrap()]);
        if finished.text().contains("no plugin for the replica type") {
            eprintln!("skipped: {name} needs a plugin that is not built here");
            continue;
        }
        assert_eq!(finished.code(), 0, "{finished}");
        assert!(!finished.text().contains("WARN"), "{finished}");
    }
}
