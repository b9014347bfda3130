//! `completions`: scripts with which a shell completes this program's commands and flags.

use super::one_positional;
use crate::args::{Args, Command, Example};
use crate::exit_code::Exit;
use crate::failure::UsageError;
use crate::generate::{bash, fish, zsh};
use crate::output;

/// `completions bash|zsh|fish`.
pub const COMMAND: Command = Command {
    name: "completions",
    deprecated_alias: None,
    summary: "print a completion script for a shell",
    about: "Print a script with which a shell completes commands and flags.",
    synopsis: &["bash|zsh|fish"],
    flags: &[],
    notes: "",
    examples: &[
        Example {
            what: "For every user of bash",
            line: "completions bash > /usr/share/bash-completion/completions/litestream-rs",
        },
        Example { what: "For zsh", line: "completions zsh > /usr/share/zsh/site-functions/_litestream-rs" },
        Example { what: "For fish", line: "completions fish > ~/.config/fish/completions/litestream-rs.fish" },
    ],
    run,
};

fn run(args: &Args) -> anyhow::Result<Exit> {
    let shell = one_positional(args, "shell required: bash, zsh or fish", "completions bash")?;
    let script = match shell.to_str() {
        Some("bash") => bash::script(super::ALL),
        Some("zsh") => zsh::script(super::ALL),
        Some("fish") => fish::script(super::ALL),
        _ => {
            let message = format!("no completions for {}: bash, zsh and fish are known", shell.to_string_lossy());
            return Err(UsageError::with_try(message, "completions bash"));
        }
    };
    output::print(&script)?;
    Ok(Exit::Success)
}
