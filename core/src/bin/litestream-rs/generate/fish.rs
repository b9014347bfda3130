//! Completion for fish.

use std::fmt::Write;

use super::{Offer, first_words, groups, second_words, summary};
use crate::args::{Command, PROGRAM};

/// The script, to be put into `fish/vendor_completions.d/litestream-rs.fish`.
pub fn script(commands: &[&Command]) -> String {
    let mut out = format!("# fish completion of {PROGRAM}\n");
    for (word, about) in first_words(commands) {
        let about = quoted(&about);
        push(&mut out, format_args!("complete -c {PROGRAM} -n __fish_use_subcommand -f -a {word} -d {about}\n"));
    }
    for group in groups(commands) {
        let words = second_words(commands, group).join(" ");
        let when = quoted(&format!("__fish_seen_subcommand_from {group}; and not __fish_seen_subcommand_from {words}"));
        push(&mut out, format_args!("complete -c {PROGRAM} -n {when} -f -a {}\n", quoted(&words)));
    }
    for command in commands {
        let conditions: Vec<String> =
            command.name.split(' ').map(|word| format!("__fish_seen_subcommand_from {word}")).collect();
        let when = quoted(&conditions.join("; and "));
        for flag in command.flags {
            let value = match Offer::of(flag) {
                Offer::Nothing => String::new(),
                Offer::Words(words) => format!(" -x -a {}", quoted(&words.join(" "))),
                Offer::Files => " -r -F".to_owned(),
                Offer::Unknown => " -x".to_owned(),
            };
            let (name, about) = (flag.name, quoted(summary(flag)));
            push(&mut out, format_args!("complete -c {PROGRAM} -n {when} -o {name}{value} -d {about}\n"));
        }
    }
    out
}

/// In single quotes, inside of which fish knows two escapes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a String cannot fail");
}
