//! Usage texts, laid out as the reference lays out its own.

use std::fmt::Write;

use super::{Command, Flag, PROGRAM};

/// The list of commands.
pub fn program_usage(commands: &[&Command]) -> String {
    let width = commands.iter().map(|command| command.name.len()).max().unwrap_or(0);
    let lines: String = commands.iter().map(|c| format!("\t{:width$}    {}\n", c.name, c.summary)).collect();
    format!(
        "{PROGRAM} is a tool for replicating SQLite databases.\n\n\
         Usage:\n\n\t{PROGRAM} <command> [arguments]\n\n\
         The commands are:\n\n{lines}\n\
         Use \"{PROGRAM} <command> -h\" for the arguments of a command.\n"
    )
}

/// Everything about one command.
pub fn command_usage(command: &Command) -> String {
    let mut text = format!("{}\n\nUsage:\n", command.about.trim_end());
    for form in command.synopsis {
        push(&mut text, format_args!("\n\t{PROGRAM} {} {form}\n", command.name));
    }
    if !command.flags.is_empty() {
        text.push_str("\nArguments:\n");
        command.flags.iter().for_each(|flag| push_flag(&mut text, flag));
    }
    if !command.notes.is_empty() {
        push(&mut text, format_args!("\n{}\n", command.notes.trim_end()));
    }
    if !command.examples.is_empty() {
        text.push_str("\nExamples:\n");
        for example in command.examples {
            push(&mut text, format_args!("\n\t# {}.\n\t$ {PROGRAM} {}\n", example.what, example.line));
        }
    }
    text
}

fn push_flag(text: &mut String, flag: &Flag) {
    let gap = if flag.value_name.is_empty() { "" } else { " " };
    push(text, format_args!("\n\t-{}{gap}{}\n", flag.name, flag.value_name));
    for line in flag.help.lines() {
        push(text, format_args!("\t    {line}\n"));
    }
    if let Some(default) = flag.default {
        push(text, format_args!("\t    Defaults to {default}.\n"));
    }
    if flag.repeatable {
        text.push_str("\t    May be given more than once.\n");
    }
}

fn push(text: &mut String, piece: std::fmt::Arguments<'_>) {
    text.write_fmt(piece).expect("writing to a String cannot fail");
}
