//! `dir:` entries, sentence by sentence as the guide on replicating directories promises them, and the files that a
//! directory may hold beside databases.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use crate::harness::*;

const FLAT: &str = "
dbs:
  - dir: ROOT/data
    pattern: '*.db'
    replica:
      path: ROOT/replica
";
const RECURSIVE: &str = "
dbs:
  - dir: ROOT/data
    pattern: '*.db'
    recursive: true
    replica:
      path: ROOT/replica
";

/// Runs once with a configuration and returns what it said; it has to succeed.
fn once(program: &Program, sandbox: &Sandbox, config: &str) -> Finished {
    let finished = program.once(sandbox, &sandbox.config(config));
    assert_eq!(finished.code(), 0, "{finished}");
    finished
}

/// Every directory below `replica` that holds an `ltx` directory, by relative path.
fn replicas(sandbox: &Sandbox) -> Vec<String> {
    let files = files_below(&sandbox.path("replica"));
    let owner = |path: &Path| {
        let text = path.to_string_lossy().into_owned();
        text.split_once("/ltx/").map(|(database, _)| database.to_owned())
    };
    let mut databases: Vec<String> = files.keys().filter_map(|path| owner(path)).collect();
    databases.dedup();
    databases
}

fn assert_restores(program: &Program, sandbox: &Sandbox, relative: &str) {
    let restored = program.restore(sandbox, &sandbox.url(Path::new("replica").join(relative)), &[]);
    assert_same(&sandbox.path(Path::new("data").join(relative)), &restored);
}

#[test]
fn every_matching_database_gets_its_own_replica_path() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    for name in ["tenant1.db", "tenant2.db", "other.sqlite", "team-a/db2.db"] {
        sandbox.database(Path::new("data").join(name));
    }
    let finished = once(&program, &sandbox, FLAT);
    assert!(finished.text().contains("found databases in directory"), "{finished}");
    assert!(finished.text().contains("count=2"), "{finished}");
    assert_eq!(replicas(&sandbox), ["tenant1.db", "tenant2.db"]);
    assert!(sandbox.path("replica/tenant1.db/ltx/0/0000000000000001-0000000000000001.ltx").is_file());
    assert_restores(&program, &sandbox, "tenant1.db");
    assert_restores(&program, &sandbox, "tenant2.db");
}

#[test]
fn recursive_scanning_preserves_the_structure() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    let databases = [
        "enterprise/acme.db",
        "enterprise/globex.db",
        "standard/initech.db",
        "standard/umbrella.db",
        "trial/newcorp.db",
    ];
    for name in databases {
        sandbox.database(Path::new("data").join(name));
    }
    once(&program, &sandbox, RECURSIVE);
    assert_eq!(replicas(&sandbox), databases);
    for name in databases {
        assert_restores(&program, &sandbox, name);
    }
}

#[test]
fn directories_and_single_databases_mix() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    let main = sandbox.database("app/main.db");
    sandbox.database("data/tenant.db");
    let config = "
dbs:
  - path: ROOT/app/main.db
    checkpoint-interval: 30s
    replica:
      url: file://ROOT/main
      sync-interval: 500ms
  - dir: ROOT/data
    pattern: '*.db'
    replica:
      url: file://ROOT/replica
";
    once(&program, &sandbox, config);
    assert_eq!(replicas(&sandbox), ["tenant.db"]);
    assert_restores(&program, &sandbox, "tenant.db");
    assert_same(&main, &program.restore(&sandbox, &sandbox.url("main"), &[]));
}

#[test]
fn patterns_match_base_names_the_way_go_does() {
    let names = ["a.db", "b.db", "ab.db", "a.sqlite", ".hidden.db", "sub/a.db", ".sub/c.db"];
    for (pattern, expected) in [
        ("*.db", &[".hidden.db", ".sub/c.db", "a.db", "ab.db", "b.db", "sub/a.db"][..]),
        ("*.sqlite", &["a.sqlite"]),
        ("?.db", &["a.db", "b.db", "sub/a.db", ".sub/c.db"]),
        ("[^a].db", &["b.db", ".sub/c.db"]),
        ("[a-b].*", &["a.db", "a.sqlite", "b.db", "sub/a.db"]),
        ("a\\.db", &["a.db", "sub/a.db"]),
    ] {
        let (program, sandbox) = (Program::subject(), Sandbox::new());
        for name in names {
            sandbox.database(Path::new("data").join(name));
        }
        once(&program, &sandbox, &RECURSIVE.replace("'*.db'", &format!("'{pattern}'")));
        let (mut found, mut expected) = (replicas(&sandbox), expected.to_vec());
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{pattern}");
    }
}

#[test]
fn a_pattern_that_matches_nothing_or_is_broken_is_refused() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    sandbox.database("data/sub/a.db");
    for (pattern, text) in [
        ("{a,b}.db", "no SQLite databases found in directory"),
        ("[!b].db", "no SQLite databases found in directory"),
        ("[a", "syntax error in pattern"),
    ] {
        let config = sandbox.config(&RECURSIVE.replace("'*.db'", &format!("'{pattern}'")));
        program.once(&sandbox, &config).refused_with(text);
    }
}

#[test]
fn a_pattern_with_a_slash_matches_the_path_below_the_directory() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    ours_only!(program, "such a pattern never matches there");
    for name in ["a.db", "sub/a.db", "sub/deep/a.db", "other/a.db"] {
        sandbox.database(Path::new("data").join(name));
    }
    once(&program, &sandbox, &RECURSIVE.replace("'*.db'", "'sub/**/*.db'"));
    assert_eq!(replicas(&sandbox), ["sub/a.db", "sub/deep/a.db"]);
}

#[test]
fn what_is_no_database_is_skipped() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    sandbox.database("data/real.db");
    sandbox.write("data/text.db", "not a database, whatever its name says");
    sandbox.write("data/empty.db", "");
    sandbox.write(
        "data/near.db",
        "SQLite format 4\0 and more text to make it longer than the header of a database ...............",
    );
    sandbox.mkdir("data/directory.db");
    let finished = once(&program, &sandbox, RECURSIVE);
    assert_eq!(replicas(&sandbox), ["real.db"]);
    assert_restores(&program, &sandbox, "real.db");
    ours_only!(program, "it does not say what it skips");
    for name in ["text.db", "near.db"] {
        assert!(finished.text().contains(name), "{name} is reported as not protected: {finished}");
    }
}

#[test]
fn h78_a_header_alone_is_no_database() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    ours_only!(program, "15 and 16 bytes pass its header check");
    sandbox.database("data/real.db");
    let magic = b"SQLite format 3\0";
    sandbox.write("data/fifteen.db", &magic[..15]);
    sandbox.write("data/sixteen.db", magic);
    sandbox.write("data/ninety-nine.db", [&magic[..], &[0; 83]].concat());
    sandbox.write("data/page-size.db", [&magic[..], &[0x03, 0xe8], &[1; 4000]].concat());
    let finished = once(&program, &sandbox, FLAT);
    assert_eq!(replicas(&sandbox), ["real.db"]);
    for name in ["fifteen.db", "sixteen.db", "ninety-nine.db", "page-size.db"] {
        assert!(finished.text().contains(name), "{name} is reported as not protected: {finished}");
    }
}

#[test]
fn h77_pipes_sockets_and_devices_do_not_block() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    ours_only!(program, "a FIFO blocks it for ever");
    sandbox.database("data/real.db");
    let fifo = Command::new("mkfifo").arg(sandbox.path("data/fifo.db")).status().unwrap();
    assert!(fifo.success());
    let _socket = std::os::unix::net::UnixListener::bind(sandbox.path("data/socket.db")).unwrap();
    symlink("/dev/zero", sandbox.path("data/device.db")).unwrap();
    symlink("nowhere", sandbox.path("data/dangling.db")).unwrap();
    once(&program, &sandbox, FLAT);
    assert_eq!(replicas(&sandbox), ["real.db"]);
}

#[test]
fn h79_an_unreadable_subdirectory_costs_only_itself() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    ours_only!(program, "one unreadable directory aborts its start");
    sandbox.database("data/a/real.db");
    sandbox.database("data/locked/real.db");
    sandbox.database("data/z/real.db");
    let config = sandbox.config(RECURSIVE);
    fs::set_permissions(sandbox.path("data/locked"), fs::Permissions::from_mode(0o000)).unwrap();
    let finished = run_unprivileged(&program, &sandbox, &["replicate", "-once", "-config", config.to_str().unwrap()]);
    fs::set_permissions(sandbox.path("data/locked"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(replicas(&sandbox), ["a/real.db", "z/real.db"], "{finished}");
    assert!(finished.text().contains("locked"), "it is reported: {finished}");
}

/// Runs a command as somebody whom permissions stop: root reads everything.
fn run_unprivileged(program: &Program, sandbox: &Sandbox, args: &[&str]) -> Finished {
    if !rustix::process::geteuid().is_root() {
        return program.run(sandbox, args);
    }
    let nobody = 65534;
    let owned = Command::new("chown").args(["-R", "65534:65534"]).arg(sandbox.root()).status().unwrap();
    assert!(owned.success());
    fs::set_permissions(sandbox.root(), fs::Permissions::from_mode(0o755)).unwrap();
    // The build may lie where nobody else may look: the program and its plugins come along.
    let bin = sandbox.mkdir("bin");
    let installed = program.install(&bin);
    for file in fs::read_dir(&bin).unwrap() {
        chown(file.unwrap().path(), Some(nobody), Some(nobody)).unwrap();
    }
    chown(&bin, Some(nobody), Some(nobody)).unwrap();
    installed.run_as(sandbox, args, nobody)
}

#[test]
fn a_directory_that_is_not_there_is_an_error() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    for watch in ["", "    watch: true\n"] {
        let config = sandbox.config(&FLAT.replace("    replica:", &format!("{watch}    replica:")));
        let finished = program.run(&sandbox, &["replicate", "-config", config.to_str().unwrap()]);
        finished.refused_with(&format!("failed to scan directory {}", sandbox.text("data")));
    }
}

#[test]
fn a_directory_without_databases_is_an_error_unless_watched() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    sandbox.mkdir("data");
    let text = format!("no SQLite databases found in directory {} with pattern *.db", sandbox.text("data"));
    program.once(&sandbox, &sandbox.config(FLAT)).refused_with(&text);
    let watched = FLAT.replace("    replica:", "    watch: true\n    replica:");
    let mut daemon = Daemon::replicate(&program, &sandbox, &sandbox.config(&watched));
    daemon.wait_for_log("count=0");
    assert!(daemon.is_running());
    daemon.stop();
}

#[test]
fn local_state_lies_where_it_is_configured() {
    for (key, expected) in [
        ("", "data/sub/.a.db-litestream"),
        ("    meta-dir: ROOT/state\n", "state/sub/a.db-litestream"),
        ("    meta-path: ROOT/state\n", "state/sub/.a.db-litestream"),
    ] {
        let (program, sandbox) = (Program::subject(), Sandbox::new());
        sandbox.database("data/sub/a.db");
        once(&program, &sandbox, &RECURSIVE.replace("    replica:", &format!("{key}    replica:")));
        assert!(sandbox.path(expected).join("ltx/0").is_dir(), "{expected}");
        assert_eq!(sandbox.path("data/sub/.a.db-litestream").exists(), key.is_empty());
        // A second run finds the state again, and none of its files is taken for a database.
        once(&program, &sandbox, &RECURSIVE.replace("    replica:", &format!("{key}    replica:")));
        assert_eq!(replicas(&sandbox), ["sub/a.db"]);
    }
}

#[test]
fn names_on_the_replica_follow_the_form_of_its_address() {
    let names = ["a b.db", "c%d.db", "ü.db"];
    for (address, stored) in
        [("path: ROOT/replica", names), ("url: file://ROOT/replica", ["a%20b.db", "c%25d.db", "%C3%BC.db"])]
    {
        let (program, sandbox) = (Program::subject(), Sandbox::new());
        for name in names {
            sandbox.database(Path::new("data").join(name));
        }
        once(&program, &sandbox, &FLAT.replace("path: ROOT/replica", address));
        let (mut found, mut stored) = (replicas(&sandbox), stored.to_vec());
        found.sort_unstable();
        stored.sort_unstable();
        assert_eq!(found, stored, "{address}");
    }
}

#[test]
fn h75_every_name_a_file_system_allows_is_replicated() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    ours_only!(program, "`?` and `#` open other files, and bytes that are not UTF-8 end the process");
    let names: [&[u8]; 9] = [
        b"question?.db",
        b"hash#tag.db",
        b"per%41cent.db",
        b"quo'te\".db",
        b"new\nline.db",
        b"[x]{y}.db",
        b"back\\slash.db",
        "日本.db".as_bytes(),
        b"raw-\xff\xfe.db",
    ];
    for name in names {
        sandbox.database(Path::new("data").join(std::ffi::OsStr::from_bytes(name)));
    }
    let before = files_below(&sandbox.path("data")).len();
    once(&program, &sandbox, FLAT);
    for name in names {
        let name = std::ffi::OsStr::from_bytes(name);
        let replica = FileReplica::at(sandbox.path("replica").join(name));
        assert_eq!(replica.max_txid(), 1, "{name:?}");
        let output = sandbox.fresh("restored.db");
        let config = sandbox.config(FLAT);
        let database = sandbox.path("data").join(name);
        let args = [
            "restore".as_ref(),
            "-config".as_ref(),
            config.as_os_str(),
            "-o".as_ref(),
            output.as_os_str(),
            database.as_os_str(),
        ];
        program.must(&sandbox, &args);
        assert_same(&database, &output);
    }
    let state = |path: &&std::path::PathBuf| !path.to_string_lossy().contains("-litestream/");
    let files = files_below(&sandbox.path("data"));
    let databases = files.keys().filter(state).filter(|path| path.as_os_str().as_bytes().ends_with(b".db")).count();
    assert_eq!(databases, before, "no stray file was made: {files:?}");
}

#[test]
fn h76_a_link_and_its_target_are_one_database() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    ours_only!(program, "a linked database fails for ever");
    sandbox.database("data/real.db");
    let outside = sandbox.database("outside/shared.db");
    symlink("real.db", sandbox.path("data/link.db")).unwrap();
    symlink(&outside, sandbox.path("data/shared.db")).unwrap();
    once(&program, &sandbox, FLAT);
    let found = replicas(&sandbox);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.contains(&"shared.db".to_owned()), "{found:?}");
    let shared = program.restore(&sandbox, &sandbox.url("replica/shared.db"), &[]);
    assert_same(&outside, &shared);
}

#[test]
fn a_linked_root_is_followed_once() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    ours_only!(program, "it finds nothing behind a linked root");
    sandbox.database("real/a.db");
    symlink("real", sandbox.path("data")).unwrap();
    symlink(".", sandbox.path("real/loop")).unwrap();
    once(&program, &sandbox, RECURSIVE);
    assert_eq!(replicas(&sandbox), ["a.db"]);
    assert_restores(&program, &sandbox, "a.db");
}

#[test]
fn h82_a_file_named_by_two_entries_is_replicated_by_the_explicit_one() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    ours_only!(program, "both entries fight over one local state");
    sandbox.database("data/tenant.db");
    sandbox.database("data/main.db");
    let config = format!("{FLAT}  - path: ROOT/data/main.db\n    replica:\n      path: ROOT/main\n");
    let finished = program.once(&sandbox, &sandbox.config(&config));
    assert!(finished.text().contains("main.db"), "the overlap is reported: {finished}");
    assert_eq!(finished.code(), 0, "{finished}");
    assert_eq!(replicas(&sandbox), ["tenant.db"]);
    assert_same(&sandbox.path("data/main.db"), &program.restore(&sandbox, &sandbox.url("main"), &[]));
}

#[test]
fn h82_two_directories_that_meet_on_one_replica_path_are_refused() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    ours_only!(program, "the two overwrite each other");
    sandbox.database("data/same.db");
    sandbox.database("more/same.db");
    let second = "  - dir: ROOT/more\n    pattern: '*.db'\n    replica:\n      path: ROOT/replica\n";
    let finished = program.once(&sandbox, &sandbox.config(&format!("{FLAT}{second}")));
    assert_eq!(finished.code(), 1, "{finished}");
    assert!(finished.stderr.contains("data/same.db") && finished.stderr.contains("more/same.db"), "{finished}");
}

#[test]
fn h80_equal_names_in_different_directories_stay_apart() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    for (tenant, rows) in [("a", 1), ("b", 2), ("c", 3)] {
        let name = format!("data/{tenant}/app.db");
        sandbox.database(&name);
        sandbox.add_rows(&name, rows);
    }
    once(&program, &sandbox, RECURSIVE);
    for tenant in ["a/app.db", "b/app.db", "c/app.db"] {
        assert_restores(&program, &sandbox, tenant);
    }
}

#[test]
fn excluded_names_are_left_out() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    ours_only!(program, "it has no such key");
    for name in ["a.db", "cache.db", "sub/cache.db", "scratch/b.db", "sub/c.db"] {
        sandbox.database(Path::new("data").join(name));
    }
    once(
        &program,
        &sandbox,
        &RECURSIVE.replace("    recursive", "    exclude: ['cache.db', 'scratch/**']\n    recursive"),
    );
    assert_eq!(replicas(&sandbox), ["a.db", "sub/c.db"]);
}

#[test]
fn commands_know_the_databases_of_a_directory() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    ours_only!(program, "they take the entry for a database at the working directory");
    sandbox.database("data/a.db");
    sandbox.database("data/sub/b.db");
    let config = sandbox.config(RECURSIVE);
    let config = config.to_str().unwrap();
    once(&program, &sandbox, RECURSIVE);
    let listed = program.must(&sandbox, &["databases", "-json", "-config", config]).json();
    let paths: Vec<&str> = listed.as_array().unwrap().iter().map(|entry| entry["path"].as_str().unwrap()).collect();
    assert_eq!(paths, [sandbox.text("data/a.db"), sandbox.text("data/sub/b.db")]);
    let status = program.must(&sandbox, &["status", "-json", "-config", config]).json();
    assert_eq!((&status[1]["database"], &status[1]["status"]), (&sandbox.text("data/sub/b.db").into(), &"ok".into()));
    for command in ["restore", "ltx"] {
        let output = sandbox.fresh("restored.db");
        let mut args = vec![command, "-config", config];
        if command == "restore" {
            args.extend(["-o", output.to_str().unwrap()]);
        }
        let database = sandbox.text("data/sub/b.db");
        args.push(&database);
        program.must(&sandbox, &args);
        if command == "restore" {
            assert_same(Path::new(&database), &output);
        }
    }
}

#[test]
fn h81_idle_databases_hold_no_descriptor() {
    let (program, sandbox) = (Program::subject(), Sandbox::new());
    ours_only!(program, "every database keeps five descriptors");
    let databases = 200;
    let template = sandbox.database("template.db");
    sandbox.mkdir("data");
    for number in 0..databases {
        fs::copy(&template, sandbox.path(format!("data/{number:03}.db"))).unwrap();
    }
    let config = format!("max-open-databases: 16\n{}", FLAT.replace("    replica:", "    watch: true\n    replica:"));
    let mut daemon = Daemon::replicate(&program, &sandbox, &sandbox.config(&config));
    daemon.wait_until("every database", |_| replicas(&sandbox).len() == databases);
    let descriptors = format!("/proc/{}/fd", daemon.pid());
    daemon.wait_until("closed descriptors", |_| fs::read_dir(&descriptors).unwrap().count() < 16 * 4 + 60);
    sandbox.add_rows("data/123.db", 3);
    let replica = FileReplica::at(sandbox.path("replica/123.db"));
    daemon.wait_until("a change of a cold database", |_| replica.max_txid() > 1);
    daemon.stop();
    assert_restores(&program, &sandbox, "123.db");
    assert_restores(&program, &sandbox, "007.db");
}
