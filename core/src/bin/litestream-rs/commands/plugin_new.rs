//! `plugin new`: writes a crate for a storage plugin that compiles, loads and keeps every promise, to be filled with a
//! real storage. The templates are in the folder of this file.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use litestream_sdk::export::SDK_VERSION;

use crate::args::{Args, Command, Example, Flag, Kind, PROGRAM};
use crate::exit_code::Exit;
use crate::failure::UsageError;
use crate::{commands, output};

const OUTPUT: Flag = Flag::value(
    "o",
    Kind::Path,
    "DIR",
    "Directory to write, which must not exist.\nDefaults to litestream-plugin-NAME.",
);

/// `plugin new [-o DIR] NAME`.
pub const COMMAND: Command = Command {
    name: "plugin new",
    deprecated_alias: None,
    summary: "write a crate for a new storage plugin",
    about: "The plugin new command writes a crate for a storage plugin: a store in memory\n\
            that compiles, loads and passes the conformance suite, ready to be edited.",
    synopsis: &["[arguments] NAME"],
    flags: &[&OUTPUT],
    notes: "NAME is the replica type and the URL scheme: lower-case letters and digits.",
    examples: &[Example { what: "Begin a plugin for ftp:// URLs", line: "plugin new ftp" }],
    run,
};

/// File below the crate, and its text with NAME, TYPE, UPPER, SDK and REPOSITORY to be filled in.
const TEMPLATES: [(&str, &str); 6] = [
    ("Cargo.toml", include_str!("plugin_new/Cargo.toml.in")),
    ("README.md", include_str!("plugin_new/README.md.in")),
    ("src/lib.rs", include_str!("plugin_new/lib.rs.in")),
    ("src/storage.rs", include_str!("plugin_new/storage.rs.in")),
    (".gitignore", include_str!("plugin_new/gitignore.in")),
    (".github/workflows/test.yml", include_str!("plugin_new/workflow.yml.in")),
];

/// Long enough for any scheme, and short enough for file and thread names.
const LONGEST_NAME: usize = 32;

fn run(args: &Args) -> anyhow::Result<Exit> {
    let name = commands::one_positional(args, "a name for the plugin is required", "plugin new ftp")?;
    let name = checked(&name.to_string_lossy())?;
    let dir = args.path(&OUTPUT).unwrap_or_else(|| PathBuf::from(format!("litestream-plugin-{name}")));
    write_crate(&dir, &name).with_context(|| format!("cannot write {}", dir.display()))?;
    output::print(&next_steps(&dir, &name))?;
    Ok(Exit::Success)
}

fn checked(name: &str) -> anyhow::Result<String> {
    let starts_well = name.starts_with(|first: char| first.is_ascii_lowercase());
    let is_word = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if starts_well && is_word && name.len() <= LONGEST_NAME {
        return Ok(name.to_owned());
    }
    let note = format!("a letter, then letters and digits, all lower case, {LONGEST_NAME} at most");
    Err(UsageError::with_note(format!("not a name for a plugin: {name:?}"), Some(note)))
}

fn write_crate(dir: &Path, name: &str) -> io::Result<()> {
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::create_dir(dir)?;
    for (file, template) in TEMPLATES {
        let path = dir.join(file);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        File::create_new(path)?.write_all(filled_in(template, name).as_bytes())?;
    }
    Ok(())
}

fn filled_in(template: &str, name: &str) -> String {
    let (first, rest) = name.split_at(1);
    let sdk = SDK_VERSION.split('.').next().unwrap_or(SDK_VERSION);
    template
        .replace("TYPE", &format!("{}{rest}", first.to_ascii_uppercase()))
        .replace("UPPER", &name.to_ascii_uppercase())
        .replace("REPOSITORY", env!("CARGO_PKG_REPOSITORY"))
        .replace("\"SDK\"", &format!("\"{sdk}\""))
        .replace("NAME", name)
}

fn next_steps(dir: &Path, name: &str) -> String {
    let files = TEMPLATES.map(|(file, _)| file).join(" ");
    let dir = dir.display();
    format!(
        "Wrote {dir}: {files}\n\
         \n\
         Next:\n  \
           cd {dir}\n  \
           cargo test\n  \
           cargo build --release\n  \
           {PROGRAM} plugin check -plugin-dir target/release {name}://store/path\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_file_names_schemes_and_types() {
        for name in ["ftp", "s3", "b2storage"] {
            assert_eq!(checked(name).unwrap(), name);
        }
        for name in ["", "3s", "My", "a-b", "a_b", "../x", "ü", &"a".repeat(33)] {
            assert!(checked(name).is_err(), "{name:?} was accepted");
        }
    }

    #[test]
    fn every_place_of_a_template_is_filled_in() {
        for (file, template) in TEMPLATES {
            let text = filled_in(template, "ftp");
            let left = ["NAME", "TYPE", "UPPER", "\"SDK\"", "REPOSITORY"].iter().find(|place| text.contains(**place));
            assert_eq!(left, None, "{file}");
        }
        assert!(filled_in("TYPEPlugin UPPER_KEY NAME://", "ftp") == "FtpPlugin FTP_KEY ftp://");
    }
}
