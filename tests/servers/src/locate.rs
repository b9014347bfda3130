//! Where the programs of the servers are.

use std::env;
use std::io::{Write, stderr};
use std::path::PathBuf;

/// Finds a program in `$LITESTREAM_TEST_SERVERS` or the cache that `scripts/install-test-servers.sh` fills, then on PATH.
/// Without it the test is to be left; this says so.
///
/// # Panics
/// With `CI=true`, if it is nowhere: there all tests run.
pub fn find(program: &str) -> Option<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    let installed = env::var_os("LITESTREAM_TEST_SERVERS").map(PathBuf::from);
    let installed = installed.or_else(|| Some(cache?.join("litestream-rs/servers")));
    let below = installed.iter().flat_map(|dir| [dir.join("bin"), dir.join("node_modules/.bin")]);
    let path = env::var_os("PATH").unwrap_or_default();
    let dirs = below.chain(env::split_paths(&path)).chain([PathBuf::from("/usr/sbin")]);
    let found = dirs.map(|dir| dir.join(program)).find(|file| file.is_file());
    if found.is_none() {
        let help = format!("{program} is not installed; scripts/install-test-servers.sh installs it");
        assert!(env::var("CI").as_deref() != Ok("true"), "{help}");
        // Not by `println!`: the test runner keeps that to itself when a test passes.
        let _ = writeln!(stderr(), "\nSKIPPED: {help}");
    }
    found
}
