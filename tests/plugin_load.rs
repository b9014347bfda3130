//! Plugins as files: found, missing, of another ABI, damaged, or in the wrong hands. Every refusal says which file, why,
//! and what to do, and costs only those who need that plugin.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::harness::*;

/// The program without its plugins, one database, and an empty plugin directory.
struct Scene {
    program: Program,
    sandbox: Sandbox,
    database: PathBuf,
    plugins: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let program = Program::ours().without_plugins(&sandbox);
        let (database, plugins) = (sandbox.database("app.db"), sandbox.mkdir("plugins"));
        fs::set_permissions(&plugins, fs::Permissions::from_mode(0o755)).unwrap();
        Self { program, sandbox, database, plugins }
    }

    /// Puts a file into the plugin directory.
    fn plugin(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.plugins.join(plugin_file_name(name));
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        path
    }

    fn file_plugin(&self) -> Vec<u8> {
        fs::read(plugin_library("file")).unwrap()
    }

    /// Replicates once to a URL, with the plugin directory on the command line.
    fn replicate(&self, url: &str) -> Finished {
        let (plugins, database) = (self.plugins.to_str().unwrap(), self.database.to_str().unwrap());
        self.program.run(&self.sandbox, &["replicate", "-plugin-dir", plugins, "-once", database, url])
    }

    /// Expects a refusal of two lines: what is wrong, with all of these words, and what to do.
    fn refused(&self, url: &str, words: &[&str]) {
        let finished = self.replicate(url);
        assert_eq!(finished.code(), 1, "{finished}");
        for word in words {
            assert!(finished.stderr.contains(word), "{word:?}: {finished}");
        }
        assert!((2..=4).contains(&finished.stderr.lines().count()), "two lines, not a page: {finished}");
        assert!(!self.sandbox.path("replica").exists());
    }
}

/// A library with a text replaced by another of equal length, wherever it stands: in the record, and in the description
/// that has to agree with it.
fn patched(library: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let starts = |at: &usize| library[*at..].starts_with(from.as_bytes());
    let places: Vec<usize> = (0..library.len()).filter(starts).collect();
    assert!(!places.is_empty(), "the library does not hold {from}");
    let mut library = library.to_vec();
    for at in places {
        library[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    library
}

#[test]
fn a_plugin_is_found_by_flag_by_variable_and_beside_the_program() {
    let scene = Scene::new();
    let url = scene.sandbox.url("replica");
    scene.plugin("file", scene.file_plugin());
    let finished = scene.replicate(&url);
    assert_eq!(finished.code(), 0, "{finished}");
    let restore = |program: &Program, variable: Option<&Path>| {
        let output = scene.sandbox.fresh("restored.db");
        let mut command = program.command(&scene.sandbox, &["restore", "-o", output.to_str().unwrap(), &url]);
        command.envs(variable.map(|directory| ("LITESTREAM_PLUGIN_DIR", directory)));
        assert!(command.output().unwrap().status.success());
        assert_same(&scene.database, &output);
    };
    restore(&scene.program, Some(&scene.plugins));
    restore(&Program::ours(), None);
}

#[test]
fn a_missing_plugin_is_reported_with_its_file_name_and_the_places_searched() {
    let scene = Scene::new();
    let plugins = scene.plugins.to_str().unwrap().to_owned();
    let url = scene.sandbox.url("replica");
    scene.refused(&url, &["\"file\"", &plugin_file_name("file"), &plugins, "--plugin-dir"]);
    scene.plugin("file", scene.file_plugin());
    scene.refused("fiel:///x", &["\"fiel\"", "did you mean \"file\"?"]);
}

#[test]
fn a_plugin_of_another_abi_is_refused_with_both_versions() {
    let scene = Scene::new();
    let path = scene.plugin("file", patched(&scene.file_plugin(), "\"abi\":1", "\"abi\":7"));
    scene.refused(
        &scene.sandbox.url("replica"),
        &[path.to_str().unwrap(), "speaks ABI 7", "this program speaks ABI 1", "SDK"],
    );
}

#[test]
fn what_is_no_plugin_is_named() {
    let scene = Scene::new();
    let url = scene.sandbox.url("replica");
    let program = fs::read("/bin/sh").unwrap();
    let whole = scene.file_plugin();
    for (bytes, words) in [
        (b"just text\n".to_vec(), &["is not a litestream-rs plugin"][..]),
        (Vec::new(), &["is not a litestream-rs plugin"]),
        (program, &["is not a litestream-rs plugin"]),
        // A copy that was interrupted. The dynamic loader maps it and dies at the first touch of what is not there.
        (whole[..whole.len() / 2].to_vec(), &["cut short"]),
        (whole[..whole.len() / 12].to_vec(), &["cut short"]),
    ] {
        let path = scene.plugin("file", bytes);
        let words = [words, &[path.to_str().unwrap()]].concat();
        scene.refused(&url, &words);
    }
}

#[test]
fn what_others_may_write_is_not_loaded() {
    let scene = Scene::new();
    let url = scene.sandbox.url("replica");
    let path = scene.plugin("file", scene.file_plugin());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    scene.refused(&url, &[path.to_str().unwrap(), "can be written by everybody", "chmod go-w"]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    for mode in [0o777, 0o775] {
        fs::set_permissions(&scene.plugins, fs::Permissions::from_mode(mode)).unwrap();
        scene.refused(&url, &[scene.plugins.to_str().unwrap(), "can be written by", "chmod go-w"]);
    }
    fs::set_permissions(&scene.plugins, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(scene.replicate(&url).code(), 0);
}

#[test]
fn two_plugins_for_one_scheme_are_refused_with_both_names() {
    let scene = Scene::new();
    let first = scene.plugin("file", scene.file_plugin());
    let second = scene.plugin("other", scene.file_plugin());
    let words = [first.to_str().unwrap(), second.to_str().unwrap(), "both claim"];
    scene.refused(&scene.sandbox.url("replica"), &words);
}

#[test]
fn a_bad_plugin_stops_nobody_who_does_not_need_it() {
    let scene = Scene::new();
    scene.plugin("file", scene.file_plugin());
    scene.plugin("broken", "not a library");
    let finished = scene.replicate(&scene.sandbox.url("replica"));
    assert_eq!(finished.code(), 0, "{finished}");
}

#[test]
fn the_list_of_plugins_loads_nothing_and_shows_the_refused_ones() {
    let scene = Scene::new();
    scene.plugin("file", scene.file_plugin());
    scene.plugin("broken", "not a library");
    let plugins = scene.plugins.to_str().unwrap();
    let listed = scene.program.must(&scene.sandbox, &["plugin", "list", "-plugin-dir", plugins]);
    assert!(listed.stdout.contains("file"), "{listed}");
    assert!(listed.text().contains("broken") && listed.text().contains("not a litestream-rs plugin"), "{listed}");
}

#[test]
fn a_plugin_built_outside_this_workspace_is_loaded() {
    let Some(library) = std::env::var_os("LITESTREAM_TEST_KV_PLUGIN") else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "scripts/test.sh builds examples/plugin-kv first");
        eprintln!("SKIPPED: examples/plugin-kv is not built: run scripts/test.sh");
        return;
    };
    let scene = Scene::new();
    scene.plugin("kv", fs::read(library).unwrap());
    let url = format!("kv://{}?prefix=some/where", scene.sandbox.text("replicas.redb"));
    let plugins = scene.plugins.to_str().unwrap();
    let mut states = Vec::new();
    for _ in 0..3 {
        let finished = scene.replicate(&url);
        assert_eq!(finished.code(), 0, "{finished}");
        states.push(Content::of(&scene.database));
        scene.sandbox.add_rows("app.db", 4);
    }
    let listed = scene.program.must(&scene.sandbox, &["ltx", "-json", "-plugin-dir", plugins, &url]).json();
    for (file, state) in listed.as_array().unwrap().iter().zip(&states) {
        let txid = file["max_txid"].as_str().unwrap();
        let restored = scene.program.restore(&scene.sandbox, &url, &["-plugin-dir", plugins, "-txid", txid]);
        assert_eq!(&Content::of(&restored), state, "{txid}");
    }
    assert_eq!(listed.as_array().unwrap().len(), states.len());
}
