//! `version`: which program this is.

use std::env::consts::{ARCH, OS};

use crate::args::{Args, Command, Flag};
use crate::exit_code::Exit;
use crate::output;

/// The version in `Cargo.toml`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

const VERBOSE: Flag =
    Flag::switch("verbose", "Print detailed build metadata (Rust version, commit, build time, OS/arch).");

/// `version [-verbose]`.
pub const COMMAND: Command = Command {
    name: "version",
    deprecated_alias: None,
    summary: "prints the binary version",
    about: "Prints the version.",
    synopsis: &["[arguments]"],
    flags: &[&VERBOSE],
    notes: "",
    examples: &[],
    run,
};

fn run(args: &Args) -> anyhow::Result<Exit> {
    if !args.switch(&VERBOSE) {
        output::print(&format!("{VERSION}\n"))?;
        return Ok(Exit::Success);
    }
    // Go's name for the architecture, as in the reference: tools compare this line.
    let arch = match ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let rows = [
        ("Version:", VERSION.to_owned()),
        ("Rust Version:", env!("LITESTREAM_RUSTC").to_owned()),
        ("Git Commit:", option_env!("LITESTREAM_COMMIT").unwrap_or("unknown").to_owned()),
        ("Commit Time:", option_env!("LITESTREAM_COMMIT_TIME").unwrap_or("unknown").to_owned()),
        ("OS/Arch:", format!("{OS}/{arch}")),
    ];
    let lines: String = rows.iter().map(|(label, value)| format!("{label:<13} {value}\n")).collect();
    output::print(&lines)?;
    Ok(Exit::Success)
}
