//! Where plugins are looked for, and which file names are plugins.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

/// The directories to search, in order, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchPath {
    dirs: Vec<PathBuf>,
}

impl SearchPath {
    /// `--plugin-dir` (and the configuration's `plugin-dirs`) first, then the directories of `LITESTREAM_PLUGIN_DIR`
    /// (separated as in `PATH`), then the program's own directory, then `../lib/litestream-rs/plugins` beside it.
    pub fn new(plugin_dirs: &[PathBuf], environment: Option<&OsStr>, program: Option<&Path>) -> SearchPath {
        let mut dirs = plugin_dirs.to_vec();
        dirs.extend(environment.into_iter().flat_map(env::split_paths).filter(|dir| !dir.as_os_str().is_empty()));
        if let Some(beside) = program.and_then(Path::parent) {
            dirs.push(beside.to_owned());
            dirs.extend(beside.parent().map(|prefix| prefix.join("lib/litestream-rs/plugins")));
        }
        let mut path = SearchPath::default();
        for dir in dirs {
            // Relative names would reach the dynamic loader, which has a search path of its own.
            let dir = fs::canonicalize(&dir).or_else(|_| std::path::absolute(&dir)).unwrap_or(dir);
            if !path.dirs.contains(&dir) {
                path.dirs.push(dir);
            }
        }
        path
    }

    /// As [`SearchPath::new`], for this process's executable.
    pub fn of_this_program(plugin_dirs: &[PathBuf], environment: Option<&OsStr>) -> SearchPath {
        let program = env::current_exe().and_then(fs::canonicalize).ok();
        SearchPath::new(plugin_dirs, environment, program.as_deref())
    }

    /// The directories, absolute. Some may not exist.
    pub fn dirs(&self) -> &[PathBuf] {
        &self.dirs
    }
}

/// The files of a directory whose names say "plugin", sorted. A directory that is absent or unreadable has none.
pub(super) fn plugin_files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut files: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| name_of(path).is_some()).collect();
    files.sort();
    files
}

/// `kv` of `liblitestream_plugin_kv.so`.
pub(super) fn name_of(path: &Path) -> Option<&str> {
    path.file_name()?
        .to_str()?
        .strip_prefix(env::consts::DLL_PREFIX)?
        .strip_prefix("litestream_plugin_")?
        .strip_suffix(env::consts::DLL_SUFFIX)
        .filter(|name| !name.is_empty())
}

/// The file that would serve `kind`.
pub(super) fn file_name(kind: &str) -> OsString {
    format!("{}litestream_plugin_{kind}{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_come_before_the_environment_and_the_programs_own_places() {
        let flags = [PathBuf::from("/flag/a"), PathBuf::from("/flag/b")];
        let path =
            SearchPath::new(&flags, Some(OsStr::new("/env/a::/flag/a")), Some(Path::new("/usr/bin/litestream-rs")));
        let shown: Vec<_> = path.dirs().iter().map(|dir| dir.to_str().unwrap()).collect();
        assert_eq!(shown, ["/flag/a", "/flag/b", "/env/a", "/usr/bin", "/usr/lib/litestream-rs/plugins"]);
    }

    #[test]
    fn a_relative_directory_is_made_absolute() {
        let path = SearchPath::new(&[PathBuf::from("no/such/plugins")], None, None);
        assert!(path.dirs()[0].is_absolute());
    }

    #[test]
    fn only_the_agreed_file_name_is_a_plugin() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "liblitestream_plugin_kv.so",
            "liblitestream_plugin_.so",
            "libserde_derive-1f.so",
            "litestream_plugin_kv.so",
        ] {
            fs::write(dir.path().join(name), b"").unwrap();
        }
        fs::write(dir.path().join("liblitestream_plugin_kv.so.bak"), b"").unwrap();
        let found = plugin_files(dir.path());
        assert_eq!(found.len(), 1);
        assert_eq!(name_of(&found[0]), Some("kv"));
        assert_eq!(found[0].file_name(), Some(file_name("kv").as_os_str()));
        assert!(plugin_files(Path::new("/no/such/place")).is_empty());
    }
}
