//! The command line as scripts meet it: flags, exit codes, streams, and the texts that people grep for.

use crate::harness::*;

/// Runs the subject in an empty sandbox.
fn run(args: &[&str]) -> Finished {
    Program::subject().run(&Sandbox::new(), args)
}

#[test]
fn without_a_command_usage_goes_to_stdout_and_the_exit_code_is_1() {
    for args in [&[][..], &["-bogus"]] {
        let finished = run(args);
        assert_eq!(finished.code(), 1, "{finished}");
        assert!(finished.stdout.contains("Usage:") && finished.stdout.contains("replicate"), "{finished}");
        assert_eq!(finished.stderr, "", "{finished}");
    }
}

#[test]
fn help_is_not_an_error() {
    let commands = [
        "databases",
        "info",
        "list",
        "ltx",
        "register",
        "replicate",
        "reset",
        "restore",
        "start",
        "status",
        "stop",
        "sync",
        "unregister",
        "version",
    ];
    let mut lines: Vec<Vec<&str>> = vec![vec!["-h"], vec!["-help"], vec!["--help"], vec!["help"]];
    lines.extend(commands.iter().flat_map(|command| ["-h", "--help"].map(|flag| vec![*command, flag])));
    for args in lines {
        let finished = run(&args);
        assert_eq!(finished.code(), 0, "{finished}");
        assert!(finished.stdout.to_lowercase().contains("usage:"), "{finished}");
        assert_eq!(finished.stderr, "", "{finished}");
    }
}

#[test]
fn an_unknown_command_is_named() {
    let finished = run(&["bogus"]);
    finished.refused_with("bogus: unknown command");
    assert_eq!(finished.stdout, "", "{finished}");
}

#[test]
fn a_bad_flag_is_named_on_stderr_and_usage_follows_on_stdout() {
    for (args, text) in [
        (&["ltx", "-bogus"][..], "flag provided but not defined: -bogus"),
        (&["restore", "--bogus=1"], "flag provided but not defined: -bogus"),
        (&["ltx", "-level", "10", "x"], "invalid value \"10\" for flag -level: level must be between 0 and 9"),
        (&["restore", "-txid", "2", "-o", "x", "file:///x"], "invalid value \"2\" for flag -txid: invalid txid format"),
    ] {
        let finished = run(args);
        assert_eq!(finished.code(), 1, "{finished}");
        assert_eq!(finished.stderr, format!("{text}\nError: {text}\n"), "{finished}");
        assert!(finished.stdout.contains("Usage:"), "{finished}");
    }
}

#[test]
fn a_missing_argument_is_named_with_an_example_to_try() {
    for (args, text, example) in [
        (&["restore"][..], "database path or replica URL required", "restore -o /path/to/db s3://bucket/prefix"),
        (
            &["restore", "file:///x"],
            "-o is required when restoring from a replica URL",
            "restore -o /path/to/db file:///x",
        ),
        (&["ltx"], "database path or replica URL required", "ltx /path/to/db"),
        (&["register", "x"], "-replica is required", "register -replica s3://bucket/prefix /path/to/db"),
        (&["register"], "database path required", "register -replica s3://bucket/prefix /path/to/db"),
        (&["unregister"], "database path required", "unregister /path/to/db"),
        (&["start"], "database path required", "start /path/to/db"),
        (&["stop"], "database path required", "stop /path/to/db"),
        (&["sync"], "database path required", "sync /path/to/db"),
        (&["reset"], "database path required", "reset /path/to/db"),
    ] {
        let finished = run(args);
        assert_eq!(finished.code(), 1, "{finished}");
        let lines: Vec<&str> = finished.stderr.lines().collect();
        assert_eq!(lines[0], format!("Error: {text}"), "{finished}");
        assert!(lines[1].starts_with("Try: litestream") && lines[1].ends_with(example), "{finished}");
        assert_eq!(finished.stdout, "", "{finished}");
    }
}

#[test]
fn more_arguments_than_a_command_takes_are_refused() {
    for args in [["restore", "a", "b"], ["ltx", "a", "b"], ["reset", "a", "b"], ["sync", "a", "b"], ["stop", "a", "b"]]
    {
        run(&args).refused_with("too many arguments");
    }
}

#[test]
fn flags_end_at_the_first_argument() {
    run(&["ltx", "file:///nowhere", "-json"]).refused_with("too many arguments");
    let text = "flag \"-once\" must be positioned before DB_PATH and REPLICA_URL arguments";
    run(&["replicate", "x", "file:///nowhere", "-once"]).refused_with(text);
}

#[test]
fn one_dash_two_dashes_and_an_equals_sign_mean_the_same() {
    let sandbox = Sandbox::new();
    let url = sandbox.url("none");
    for args in [
        &["ltx", "-json", "-level", "1", &url][..],
        &["ltx", "--json", "--level=1", &url],
        &["ltx", "-json=true", &url],
    ] {
        let finished = Program::subject().must(&sandbox, args);
        assert_eq!(finished.stdout, "[]\n", "{finished}");
    }
    let table = Program::subject().must(&sandbox, &["ltx", "-json=false", "--", &url]);
    assert_eq!(table.stdout, "level  min_txid  max_txid  size  created\n", "{table}");
}

#[test]
fn the_old_name_of_ltx_still_works_and_says_so() {
    let sandbox = Sandbox::new();
    let finished = Program::subject().must(&sandbox, &["wal", &sandbox.url("none")]);
    assert_eq!(finished.stderr, "Warning: 'wal' command is deprecated, please use 'ltx' instead\n", "{finished}");
}

#[test]
fn version_is_bare_or_labelled() {
    let bare = run(&["version"]);
    assert_eq!(bare.code(), 0);
    assert_eq!(bare.stdout.lines().count(), 1, "{bare}");
    let verbose = run(&["version", "-verbose"]);
    for label in ["Version:     ", "OS/Arch:     "] {
        assert!(verbose.stdout.lines().any(|line| line.starts_with(label)), "{verbose}");
    }
    assert!(verbose.stdout.contains(bare.stdout.trim()), "{verbose}");
}

#[test]
fn replicate_refuses_arguments_that_contradict_each_other() {
    let sandbox = Sandbox::new();
    let config = sandbox.config("dbs: []\n");
    let config = config.to_str().unwrap();
    for (args, text) in [
        (&["replicate", "x"][..], "must specify at least one replica URL for x"),
        (&["replicate", "-config", config, "x", "file:///y"], "cannot specify a replica URL and the -config flag"),
        (&["replicate", "-config", config, "-once", "-exec", "true"], "cannot specify -once flag with -exec"),
        (&["replicate", "-config", config, "-force-snapshot"], "cannot specify -force-snapshot flag without -once"),
        (
            &["replicate", "-config", config, "-enforce-retention"],
            "cannot specify -enforce-retention flag without -once",
        ),
        (&["replicate", "-config", "none.yml"], "config file not found: "),
    ] {
        Program::subject().run(&sandbox, args).refused_with(text);
    }
}

#[test]
fn control_commands_say_which_socket_they_could_not_reach() {
    let sandbox = Sandbox::new();
    let socket = sandbox.text("none.sock");
    for command in [&["info"][..], &["list"], &["sync", "/x.db"], &["stop", "/x.db"], &["start", "/x.db"]] {
        let mut args = vec![command[0], "-socket", &socket];
        args.extend(&command[1..]);
        let finished = Program::subject().run(&sandbox, &args);
        finished.refused_with("failed to connect to control socket: ");
        assert!(finished.stderr.contains(&socket), "{finished}");
    }
    for args in [&["info", "-timeout", "0"][..], &["list", "-timeout", "0"], &["sync", "-timeout", "-1", "/x.db"]] {
        Program::subject().run(&sandbox, args).refused_with("timeout must be greater than 0");
    }
}

#[test]
fn ltx_lists_the_files_of_a_replica() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    sandbox.database("app.db");
    let config = sandbox.config("dbs:\n  - path: ROOT/app.db\n    replica:\n      path: ROOT/replica\n");
    for _ in 0..2 {
        assert_eq!(program.once(&sandbox, &config).code(), 0);
        sandbox.add_rows("app.db", 5);
    }
    let files = FileReplica::at(sandbox.path("replica")).level(0);
    assert!(files.len() >= 2, "{files:?}");
    let config = config.to_str().unwrap();
    for source in [
        vec!["ltx", "-json", &sandbox.url("replica")],
        vec!["ltx", "-json", "-config", config, &sandbox.text("app.db")],
    ] {
        let listed = program.must(&sandbox, &source).json();
        let listed = listed.as_array().unwrap();
        assert_eq!(listed.len(), files.len());
        for (entry, (min, max)) in listed.iter().zip(&files) {
            assert_eq!(entry["level"], 0);
            assert_eq!(entry["min_txid"], format!("{min:016x}"));
            assert_eq!(entry["max_txid"], format!("{max:016x}"));
            assert!(entry["size"].as_u64().unwrap() > 100);
            assert!(entry["timestamp"].as_str().unwrap().ends_with('Z'));
        }
    }
    let table = program.must(&sandbox, &["ltx", "-level", "all", &sandbox.url("replica")]).stdout;
    assert!(table.starts_with("level  min_txid          max_txid          size"), "{table}");
    assert!(table.contains("\n0      0000000000000001  0000000000000001  "), "{table}");
}

#[test]
fn databases_and_status_read_the_configuration_alone() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    let database = sandbox.database("app.db");
    let config = sandbox.config("dbs:\n  - path: ROOT/app.db\n    replica:\n      path: ROOT/replica\n  - path: ROOT/none.db\n    replica:\n      path: ROOT/other\n");
    let config_path = config.to_str().unwrap();
    let listed = program.must(&sandbox, &["databases", "-json", "-config", config_path]).json();
    assert_eq!(listed[0], serde_json::json!({ "path": database.to_str().unwrap(), "replica": "file" }));
    let statuses = |program: &Program| program.must(&sandbox, &["status", "-json", "-config", config_path]).json();
    assert_eq!(statuses(&program)[0]["status"], "not initialized");
    assert_eq!(statuses(&program)[1]["status"], "no database");
    program.once(&sandbox, &config);
    let after = statuses(&program);
    assert_eq!(after[0]["status"], "ok", "{after}");
    assert_eq!(after[0]["local_txid"].as_str().unwrap().len(), 16, "{after}");
    let table = program.must(&sandbox, &["status", "-config", config_path]).stdout;
    assert!(table.lines().next().unwrap().starts_with("database"), "{table}");
    assert_eq!(table.lines().count(), 3, "{table}");
}

#[test]
fn reset_removes_local_state_and_nothing_else() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    let database = sandbox.database("app.db");
    let path = database.to_str().unwrap();
    program.run(&sandbox, &["reset", "none.db"]).refused_with("database does not exist: ");
    assert!(program.must(&sandbox, &["reset", path]).stdout.contains("No local state to reset for "));
    let config = sandbox.config("dbs:\n  - path: ROOT/app.db\n    replica:\n      path: ROOT/replica\n");
    program.once(&sandbox, &config);
    let before = Content::of(&database);
    let state = sandbox.path(".app.db-litestream/ltx");
    assert!(program.must(&sandbox, &["reset", "-dry-run", path]).stdout.contains("No files were removed."));
    assert!(state.is_dir(), "a dry run removes nothing");
    let finished = program.must(&sandbox, &["reset", path]);
    assert!(
        finished.stdout.contains("Reset complete. Next replication sync will create a fresh snapshot."),
        "{finished}"
    );
    assert!(!state.exists());
    assert_eq!(Content::of(&database), before);
    sandbox.add_rows("app.db", 3);
    program.once(&sandbox, &config);
    assert_same(&database, &program.restore(&sandbox, &sandbox.url("replica"), &[]));
}
