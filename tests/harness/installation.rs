//! Our program as an installation has it: the binary and its plugin libraries in one directory that only its owner may
//! write, and nothing else there.
//!
//! `cargo test` leaves a cdylib in `target/<profile>/deps`, among libraries that are no plugins; `cargo build` also in
//! `target/<profile>`. The newer copy is taken.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const PLUGIN: &str = "liblitestream_plugin_";

/// `target/tmp/installation` (of its own for a build with failpoints), brought up to date once in a test process.
pub fn installation() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(if cfg!(feature = "failpoints") {
            "installation-failpoints"
        } else {
            "installation"
        });
        fs::create_dir_all(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        let test_binary = std::env::current_exe().unwrap();
        let deps = test_binary.parent().unwrap();
        for library in [deps, deps.parent().unwrap()].into_iter().flat_map(plugins_in) {
            install(&library, &directory);
        }
        install(Path::new(env!("CARGO_BIN_EXE_litestream-rs")), &directory);
        directory
    })
}

/// The library of one of our plugins.
pub fn plugin_library(name: &str) -> PathBuf {
    let path = installation().join(plugin_file_name(name));
    assert!(path.is_file(), "{} was not built", path.display());
    path
}

/// `liblitestream_plugin_NAME.so`.
pub fn plugin_file_name(name: &str) -> String {
    format!("{PLUGIN}{name}.so")
}

fn plugins_in(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let is_plugin = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(PLUGIN) && name.ends_with(".so")
    };
    entries.filter(is_plugin).collect()
}

/// Copies unless an equally new copy is there. By rename: another test process may be running the old one.
fn install(file: &Path, directory: &Path) {
    let target = directory.join(file.file_name().unwrap());
    let modified = fs::metadata(file).unwrap().modified().unwrap();
    if fs::metadata(&target).is_ok_and(|there| there.modified().unwrap() >= modified) {
        return;
    }
    let copy = tempfile::Builder::new().prefix(".copy").tempfile_in(directory).unwrap().into_temp_path();
    fs::copy(file, &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    fs::File::open(&copy).unwrap().set_modified(modified).unwrap();
    copy.persist(&target).unwrap();
}
