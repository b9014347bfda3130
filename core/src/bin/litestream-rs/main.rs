//! The `litestream-rs` program: finds the command, runs it, reports how it ended.

mod args;
mod commands;
mod control;
mod exit_code;
mod failure;
mod generate;
mod go_quote;
mod inventory;
mod logging;
mod output;
mod replica;
mod runtime;
mod setup;
mod signals;
mod terminal;

use std::env;
use std::ffi::OsString;

use args::{Command, PROGRAM, ParseError};
use exit_code::Exit;
use failure::UsageError;

/// Gives memory back to the system after a burst of work. With the system's allocator, a fleet of 100,000 databases keeps
/// three times of what it needs for good once all of them were busy.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Exit {
    // The allocator asks for huge pages: 2 MiB of memory for a few bytes in use, three times of what is needed in all. A
    // kernel that cannot be told costs memory, nothing else.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    run(&arguments).unwrap_or_else(|error| {
        eprint!("{}", failure::report(&error));
        Exit::Failure
    })
}

fn run(arguments: &[OsString]) -> anyhow::Result<Exit> {
    let first = arguments.first().map(|argument| argument.to_string_lossy());
    match first.as_deref() {
        None => print_program_usage(Exit::Failure),
        Some("help" | "-h" | "-help" | "--help") => print_program_usage(Exit::Success),
        Some(flag) if flag.starts_with('-') => print_program_usage(Exit::Failure),
        Some(word) => {
            let (command, rest) = commands::find(arguments).ok_or_else(|| unknown_command(word, arguments))?;
            if command.deprecated_alias == Some(word) {
                eprintln!("Warning: '{word}' command is deprecated, please use '{}' instead", command.name);
            }
            run_command(command, rest)
        }
    }
}

fn run_command(command: &Command, rest: &[OsString]) -> anyhow::Result<Exit> {
    match args::parse(command, rest.iter().cloned()) {
        Ok(args) => (command.run)(&args),
        Err(ParseError::HelpWanted) => {
            output::print(&args::command_usage(command))?;
            Ok(Exit::Success)
        }
        // Twice on stderr with the usage on stdout between, as Go's flag package and the reference do together.
        Err(ParseError::Invalid { message, did_you_mean }) => {
            eprintln!("{message}");
            output::print(&args::command_usage(command))?;
            Err(match did_you_mean {
                Some(flag) => UsageError::with_try(message, format_args!("{} -{flag}", command.name)),
                None => UsageError::new(message),
            })
        }
    }
}

fn print_program_usage(exit: Exit) -> anyhow::Result<Exit> {
    output::print(&args::program_usage(commands::ALL))?;
    Ok(exit)
}

/// For a group (`plugin`) alone or with an unknown second word, the words it knows are the remedy.
fn unknown_command(word: &str, arguments: &[OsString]) -> anyhow::Error {
    let typed: Vec<_> = arguments.iter().take(2).map(|argument| argument.to_string_lossy()).collect();
    let group: Vec<_> =
        commands::ALL.iter().map(|c| c.name).filter(|name| name.starts_with(&format!("{word} "))).collect();
    if !group.is_empty() {
        let nearest = args::nearest(&typed.join(" "), group.iter().copied());
        let wanted = nearest.map_or_else(|| group.join(&format!("\n     {PROGRAM} ")), str::to_owned);
        let what = if typed.len() == 1 { "needs another word" } else { "unknown command" };
        return UsageError::with_try(format!("{PROGRAM} {}: {what}", typed.join(" ")), wanted);
    }
    let message = format!("{PROGRAM} {word}: unknown command");
    match args::nearest(word, commands::ALL.iter().map(|command| command.name)) {
        Some(name) => UsageError::with_try(message, name),
        None => UsageError::new(message),
    }
}
