//! Finding Litestream 0.5.17 itself. `.ci/run` installs it; elsewhere its absence skips tests loudly.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::{Kind, Program};

const VERSION: &str = "0.5.17";

/// The reference, looked for in `LITESTREAM_REFERENCE`, the cache that `.ci/run` fills, and `PATH`.
pub fn find() -> Option<Program> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let path = FOUND.get_or_init(locate);
    if path.is_none() {
        let text = format!("litestream {VERSION} is not installed (set LITESTREAM_REFERENCE, or run .ci/run)");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{text}");
        // Not by `eprintln!`: the test runner keeps that to itself when a test passes.
        let _ = writeln!(std::io::stderr(), "\nSKIPPED: {text}");
    }
    path.as_ref().map(|path| Program::new(path, Kind::Reference))
}

fn locate() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("LITESTREAM_REFERENCE") {
        let path = PathBuf::from(path);
        let version = version_of(&path);
        assert!(version.as_deref() == Some(VERSION), "LITESTREAM_REFERENCE={}: {version:?}", path.display());
        return Some(path);
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let cached = cache.map(|dir| dir.join("litestream-rs/venv/bin/litestream"));
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let candidates = cached.into_iter().chain(std::env::split_paths(&on_path).map(|dir| dir.join("litestream")));
    candidates.filter(|path| path.is_file()).find(|path| version_of(path).as_deref() == Some(VERSION))
}

fn version_of(path: &Path) -> Option<String> {
    let output = Command::new(path).arg("version").output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
