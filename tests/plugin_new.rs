//! `plugin new`: what it writes builds outside this workspace, loads, and keeps every promise.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::*;

/// Cargo as an author runs it, but without a network and with this clone's SDK in place of a released one. Everything
/// but the new crate is already built: the example plugin has the same dependencies, lock file and target directory.
fn cargo(task: &str, directory: &Path, target: &Path) {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk").canonicalize().unwrap();
    let patch = format!("patch.crates-io.litestream-sdk.path='{}'", sdk.display());
    let output = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args([task, "--offline", "--config", &patch])
        .current_dir(directory)
        .env("CARGO_TARGET_DIR", target)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {task}: {}{stderr}", String::from_utf8_lossy(&output.stdout));
    let own_warnings = stderr.lines().filter(|line| line.starts_with("warning: ") && line.contains("unused"));
    assert_eq!(own_warnings.count(), 0, "{stderr}");
}

#[test]
fn a_new_plugin_builds_loads_and_keeps_every_promise() {
    let Some(kv) = std::env::var_os("LITESTREAM_TEST_KV_PLUGIN").map(PathBuf::from) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "scripts/test.sh builds examples/plugin-kv first");
        eprintln!("SKIPPED: examples/plugin-kv is not built: run scripts/test.sh");
        return;
    };
    let debug = kv.parent().unwrap();
    let sandbox = Sandbox::new();
    let program = Program::ours();
    let finished = program.must(&sandbox, &["plugin", "new", "-o", "made/here", "ftp"]);
    assert!(finished.stdout.contains("plugin check -plugin-dir target/release ftp://store/path"), "{finished}");
    let made = sandbox.path("made/here");
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/plugin-kv/Cargo.lock");
    fs::copy(lock, made.join("Cargo.lock")).unwrap();

    let formatted = Command::new("cargo").args(["fmt", "--check"]).current_dir(&made).output().unwrap();
    assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stdout));
    cargo("test", &made, debug.parent().unwrap());
    cargo("build", &made, debug.parent().unwrap());
    let plugins = sandbox.mkdir("plugins");
    fs::copy(debug.join(plugin_file_name("ftp")), plugins.join(plugin_file_name("ftp"))).unwrap();
    let plugins = plugins.to_str().unwrap();
    let checked = program.must(&sandbox, &["plugin", "check", "-plugin-dir", plugins, "ftp://store/some/path"]);
    assert!(checked.stdout.starts_with("plugin ftp 0.1.0 "), "{checked}");
    assert!(checked.stdout.contains(" 0 failed, "), "{checked}");
    let listed = program.must(&sandbox, &["plugin", "list", "-v", "-plugin-dir", plugins]);
    assert!(listed.stdout.contains("Where databases go inside it."), "{listed}");
}

#[test]
fn nothing_that_exists_is_overwritten() {
    let sandbox = Sandbox::new();
    let kept = sandbox.write("litestream-plugin-ftp/src/lib.rs", "mine");
    let finished = Program::ours().run(&sandbox, &["plugin", "new", "ftp"]);
    finished.refused_with("cannot write litestream-plugin-ftp: ");
    assert_eq!(fs::read_to_string(kept).unwrap(), "mine");
    Program::ours().run(&sandbox, &["plugin", "new", "My Store"]).refused_with("not a name for a plugin: \"My Store\"");
    Program::ours().run(&sandbox, &["plugin", "new"]).refused_with("a name for the plugin is required");
}
