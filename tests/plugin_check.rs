//! `plugin check`: the conformance suite through the real program and real plugin libraries, and what it says when it
//! cannot even begin.

use std::fs;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::*;

/// What only a test of a plugin can show: it needs a second client, a proxy, or a wrong configuration.
const OF_PLUGIN_TESTS: [&str; 6] = ["R4", "L6", "L7", "D2", "E1", "E2"];

fn check(sandbox: &Sandbox, args: &[&str]) -> Finished {
    Program::ours().run(sandbox, &[&["plugin", "check"], args].concat())
}

/// The objects of `-json`: the title, the checks, the summary.
fn lines(finished: &Finished) -> (Value, Vec<Value>, Value) {
    let mut lines: Vec<Value> = finished.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = lines.pop().unwrap();
    (lines.remove(0), lines, summary)
}

fn ids<'a>(checks: &'a [Value], outcome: &str) -> Vec<&'a str> {
    checks.iter().filter(|check| check["outcome"] == outcome).map(|check| check["id"].as_str().unwrap()).collect()
}

#[test]
fn a_directory_is_checked_and_left_as_it_was() {
    let sandbox = Sandbox::new();
    let kept = sandbox.write("replicas/app.db/ltx/0/kept", "kept");
    let finished = check(&sandbox, &["-json", &sandbox.url("replicas")]);
    assert_eq!(finished.code(), 0, "{finished}");
    let (title, checks, summary) = lines(&finished);
    assert_eq!((&title["plugin"], &title["abi"]), (&Value::from("file"), &Value::from(1)), "{finished}");
    assert!(title["claims"].as_array().unwrap().contains(&"IF_ABSENT".into()), "{finished}");
    let expected: Vec<&str> = [&OF_PLUGIN_TESTS[..], &["P1"]].concat();
    assert_eq!(ids(&checks, "skip"), expected, "{finished}");
    assert!(ids(&checks, "ok").contains(&"P2"), "a loaded library can be made to panic: {finished}");
    assert_eq!(ids(&checks, "ok").len() + expected.len(), checks.len(), "{finished}");
    assert_eq!(summary["failed"], 0);
    assert!(summary["removed"].as_u64().unwrap() > 1000, "{finished}");
    let left = files_below(&sandbox.path("replicas"));
    assert!(kept.is_file() && left.len() == 1, "{left:?}");
}

#[test]
fn the_table_names_promises_and_the_directory_of_a_configuration_is_a_place() {
    let sandbox = Sandbox::new();
    sandbox.mkdir("databases");
    let config = sandbox.config(
        "dbs:\n  - dir: ROOT/databases\n    pattern: \"*.db\"\n    watch: true\n    replica:\n      type: file\n      path: ROOT/backups\n",
    );
    let (config, directory) = (config.to_str().unwrap(), sandbox.text("databases"));
    let finished = check(&sandbox, &["-config", config, "-only", "W6,l5", "-only", "O1", &directory]);
    assert_eq!(finished.code(), 0, "{finished}");
    let table: Vec<&str> = finished.stdout.lines().collect();
    assert!(table[0].starts_with("plugin file ") && table[0].ends_with(&directory), "{finished}");
    for (line, id, promise) in [
        (table[2], "  W6  ok ", "a replace is atomic for readers"),
        (table[3], "  L5  ok ", "more than one page"),
        (table[4], "  O1  ok ", "all problems come at once, and secrets in no text"),
    ] {
        assert!(line.starts_with(id) && line.ends_with(promise), "{finished}");
    }
    assert!(table[5].starts_with("3 ok, 0 failed, 0 skipped; removed "), "{finished}");
    assert!(table[5].contains(&sandbox.text("backups/check-")), "{finished}");
}

#[test]
fn a_broken_promise_is_an_exit_code_and_says_what_it_means() {
    let sandbox = Sandbox::new();
    // So deep that the system takes short names there, and not the long ones of W1: 4,096 bytes are one path.
    let deep = |length: usize| {
        let mut deep = sandbox.path("deep");
        while deep.as_os_str().len() < length {
            deep.push("d".repeat(200.min(length - 1 - deep.as_os_str().len())));
        }
        check(&sandbox, &["-only", "W1", &format!("file://{}", deep.display())])
    };
    let finished = (4020..4070).step_by(2).map(deep).find(|finished| finished.code() != 0).unwrap();
    assert_eq!(finished.code(), 1, "{finished}");
    let told: Vec<&str> = finished.stdout.lines().skip(2).collect();
    assert!(told[0].starts_with("  W1  FAIL "), "{finished}");
    assert!(told[1].starts_with("        seen:  "), "{finished}");
    assert_eq!(told[2], "        means: backups are damaged the moment they are made", "{finished}");
    assert!(told[3].starts_with("0 ok, 1 failed, 0 skipped; "), "{finished}");
}

#[test]
fn a_large_object_passes_through_little_memory() {
    let sandbox = Sandbox::new();
    let finished = check(&sandbox, &["-full", "-large", "192MiB", "-only", "P1", &sandbox.url("replicas")]);
    assert_eq!(finished.code(), 0, "{finished}");
    assert!(finished.stdout.contains("  P1  ok "), "{finished}");
}

#[test]
fn an_interrupted_check_removes_what_it_wrote() {
    let sandbox = Sandbox::new();
    let place = sandbox.mkdir("replicas");
    let mut command = Program::ours().command(&sandbox, &["plugin", "check", "-full", &sandbox.url("replicas")]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the first object of the check", || !files_below(&place).is_empty());
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("Error: interrupt; ") && stderr.contains("were removed"), "{stderr}");
    let left = files_below(&place);
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_cannot_be_checked_is_said_before_anything_is_written() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("a-file", "x");
    for (args, words) in [
        (&[][..], &["replica URL or database path required", "Try: litestream-rs plugin check s3://"][..]),
        (&["nope://bucket"], &["unknown replica type", "\"nope\"", "--plugin-dir"]),
        (&["-only", "W1,W99", "file:///x"], &["unknown check: \"W99\"", "Note: the checks are W1 W2"]),
        (&["-large", "much", "file:///x"], &["-large much: "]),
        (&["file:///x?unknown=1"], &["replica.url: ", "`unknown`"]),
        (&["-config", "/nowhere.yml", "/x.db"], &["/nowhere.yml"]),
        (&[&format!("file://{}", file.display())], &["cannot use file://", "probe", "Not a directory"]),
    ] {
        let finished = check(&sandbox, args);
        assert_eq!((finished.code(), finished.stdout.as_str()), (1, ""), "{finished}");
        for word in words {
            assert!(finished.stderr.contains(word), "{word:?}: {finished}");
        }
    }
    assert_eq!(fs::read_to_string(file).unwrap(), "x");
}

#[test]
fn a_plugin_built_outside_this_workspace_keeps_every_promise() {
    let Some(library) = std::env::var_os("LITESTREAM_TEST_KV_PLUGIN") else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "scripts/test.sh builds examples/plugin-kv first");
        skipped("examples/plugin-kv is not built: run scripts/test.sh");
        return;
    };
    keeps_every_promise(&fs::read(library).unwrap());
}

/// What has been built once must load for ever: these libraries were, and are never built again (see
/// `tests/released/README.md`). If this fails, the program or the SDK has broken every plugin that users have.
#[test]
fn a_plugin_built_with_every_earlier_sdk_keeps_every_promise() {
    let released = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/released"));
    let kept: Vec<PathBuf> = fs::read_dir(released).unwrap().map(|entry| entry.unwrap().path()).collect();
    let kept: Vec<&PathBuf> = kept.iter().filter(|path| path.extension().is_some_and(|end| end == "xz")).collect();
    assert!(!kept.is_empty(), "{} holds no plugin", released.display());
    let here = format!(".{}-{}.so.xz", std::env::consts::ARCH, std::env::consts::OS);
    for path in kept {
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.ends_with(&here) {
            skipped(&format!("{name} was built for another machine than this, {here}"));
            continue;
        }
        println!("{name}");
        keeps_every_promise(&unpacked(path));
    }
}

/// Not by `println!`: the test runner keeps that to itself when a test passes.
fn skipped(why: &str) {
    let _ = writeln!(stderr(), "\nSKIPPED: {why}");
}

fn unpacked(path: &Path) -> Vec<u8> {
    let program = "import lzma, sys; sys.stdout.buffer.write(lzma.open(sys.argv[1]).read())";
    let output = Command::new("python3").args(["-c", program]).arg(path).output().expect("the tests need python3");
    assert!(output.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A build of `examples/plugin-kv`, whole.
fn keeps_every_promise(library: &[u8]) {
    let sandbox = Sandbox::new();
    let plugins = sandbox.mkdir("plugins");
    fs::write(plugins.join(plugin_file_name("kv")), library).unwrap();
    let url = format!("kv://{}?prefix=some/where", sandbox.text("replicas.redb"));
    let finished = check(&sandbox, &["-json", "-plugin-dir", plugins.to_str().unwrap(), &url]);
    assert_eq!(finished.code(), 0, "{finished}");
    let (title, checks, _) = lines(&finished);
    assert_eq!(title["plugin"], "kv");
    assert!(title["below"].as_str().unwrap().starts_with("some/where/check-"), "{finished}");
    let expected = [&["W11"], &OF_PLUGIN_TESTS[..], &["P1"]].concat();
    assert_eq!(ids(&checks, "skip"), expected, "copies are not claimed: {finished}");
}
