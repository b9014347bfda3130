//! Completion for zsh.

use std::fmt::Write;

use super::{Offer, first_words, groups, second_words, summary};
use crate::args::{Command, Flag, PROGRAM};

/// The script, to be put as `_litestream-rs` into a directory of `fpath`.
pub fn script(commands: &[&Command]) -> String {
    let mut out = format!("#compdef {PROGRAM}\n\nlocal -a commands\ncommands=(\n");
    for (word, about) in first_words(commands) {
        push(&mut out, format_args!("    {}\n", quoted(&format!("{word}:{}", about.replace(':', "\\:")))));
    }
    out.push_str(
        ")\nif (( CURRENT == 2 )); then\n    _describe command commands\n    return\nfi\nlocal command=$words[2]\nshift words\n\
         (( CURRENT-- ))\ncase $command in\n",
    );
    for group in groups(commands) {
        let words = second_words(commands, group).join(" ");
        push(
            &mut out,
            format_args!(
                "    {group})\n        if (( CURRENT == 2 )); then\n            compadd {words}\n            return\n        fi\n        \
             command=\"$command $words[2]\"\n        shift words\n        (( CURRENT-- ))\n        ;;\n"
            ),
        );
    }
    out.push_str("esac\ncase $command in\n");
    for command in commands {
        push(&mut out, format_args!("    {})\n        _arguments", quoted(command.name)));
        for flag in command.flags {
            push(&mut out, format_args!(" \\\n            {}", quoted(&argument(flag))));
        }
        out.push_str(" \\\n            '*:file:_files'\n        ;;\n");
    }
    out.push_str("esac\n");
    out
}

/// One line for `_arguments`.
fn argument(flag: &Flag) -> String {
    let about: String =
        summary(flag).chars().map(|c| if "[]:".contains(c) { format!("\\{c}") } else { c.to_string() }).collect();
    let value = flag.value_name.to_lowercase();
    let value = match Offer::of(flag) {
        Offer::Nothing => String::new(),
        Offer::Words(words) => format!(":{value}:({})", words.join(" ")),
        Offer::Files => format!(":{value}:_files"),
        Offer::Unknown => format!(":{value}: "),
    };
    let again = if flag.repeatable { "*" } else { "" };
    format!("{again}-{}[{about}]{value}", flag.name)
}

/// In single quotes; one inside is written outside of them.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a String cannot fail");
}
