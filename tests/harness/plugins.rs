//! Our plugin libraries in a directory that the loader accepts.
//!
//! `cargo test` leaves a cdylib in `target/<profile>/deps`, among libraries that are no plugins; `cargo build` also in
//! `target/<profile>`. The newer copy is taken, to `target/tmp/plugins`, with the modes an installation would have.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const PREFIX: &str = "liblitestream_plugin_";

/// Where Cargo put the libraries: `target/<profile>/deps`, beside this test binary.
pub fn library_dir() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_owned()
}

/// A directory, mode 0755, that holds every plugin of this build.
pub fn plugin_directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins");
        fs::create_dir_all(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        let deps = library_dir();
        for library in [deps.as_path(), deps.parent().unwrap()].into_iter().flat_map(libraries_in) {
            install(&library, &directory);
        }
        directory
    })
}

/// The library of one of our plugins.
pub fn plugin_library(name: &str) -> PathBuf {
    let path = plugin_directory().join(format!("{PREFIX}{name}.so"));
    assert!(path.is_file(), "{} was not built", path.display());
    path
}

fn libraries_in(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let is_plugin = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(PREFIX) && name.ends_with(".so")
    };
    entries.filter(is_plugin).collect()
}

/// Copies unless an equally new copy is there. By rename: another test process may be loading the old one.
fn install(library: &Path, directory: &Path) {
    let target = directory.join(library.file_name().unwrap());
    let modified = fs::metadata(library).unwrap().modified().unwrap();
    if fs::metadata(&target).is_ok_and(|there| there.modified().unwrap() >= modified) {
        return;
    }
    let copy = tempfile::Builder::new().prefix(".copy").tempfile_in(directory).unwrap();
    fs::copy(library, copy.path()).unwrap();
    fs::set_permissions(copy.path(), fs::Permissions::from_mode(0o644)).unwrap();
    copy.as_file().set_modified(modified).unwrap();
    copy.persist(&target).unwrap();
}
