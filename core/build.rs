//! Tells the program which compiler built it, for `version -verbose`.
//!
//! The commit comes from the environment of a release build instead (`LITESTREAM_COMMIT`, `LITESTREAM_COMMIT_TIME`): asking git
//! here would rebuild the crate at every commit, or be wrong.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(compiler).arg("--version").output().ok();
    let version = output.and_then(|output| String::from_utf8(output.stdout).ok());
    // `rustc 1.95.0 (...)`: the number is what a report needs.
    let number = version.as_deref().and_then(|text| text.split_whitespace().nth(1)).unwrap_or("unknown");
    println!("cargo::rustc-env=LITESTREAM_RUSTC={number}");
}
