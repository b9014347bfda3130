//! Completion for bash.

use std::fmt::Write;

use super::{Offer, first_words, groups, second_words};
use crate::args::{Command, PROGRAM};

/// The script, to be put into `bash-completion/completions/litestream-rs` or to be sourced.
pub fn script(commands: &[&Command]) -> String {
    let words: Vec<&str> = first_words(commands).into_iter().map(|(word, _)| word).collect();
    let mut out = format!(
        "# bash completion of {PROGRAM}\n_litestream_rs() {{\n    \
         local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} command=${{COMP_WORDS[1]}} flags=\n    \
         COMPREPLY=()\n    if ((COMP_CWORD == 1)); then\n        \
         COMPREPLY=($(compgen -W \"{}\" -- \"$cur\"))\n        return\n    fi\n    case $command in\n",
        words.join(" ")
    );
    for group in groups(commands) {
        let second = second_words(commands, group).join(" ");
        push(
            &mut out,
            format_args!(
                "        {group})\n            if ((COMP_CWORD == 2)); then\n                \
             COMPREPLY=($(compgen -W \"{second}\" -- \"$cur\"))\n                return\n            fi\n            \
             command=\"$command ${{COMP_WORDS[2]}}\"\n            ;;\n"
            ),
        );
    }
    out.push_str("    esac\n    case \"$command ${prev/#--/-}\" in\n");
    for command in commands {
        for flag in command.flags {
            let case = format!("{} -{}", command.name, flag.name);
            match Offer::of(flag) {
                Offer::Nothing => {}
                Offer::Words(words) => push(
                    &mut out,
                    format_args!(
                        "        \"{case}\") COMPREPLY=($(compgen -W \"{}\" -- \"$cur\")); return ;;\n",
                        words.join(" ")
                    ),
                ),
                Offer::Files => push(
                    &mut out,
                    format_args!(
                        "        \"{case}\") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
                    ),
                ),
                Offer::Unknown => push(&mut out, format_args!("        \"{case}\") return ;;\n")),
            }
        }
    }
    out.push_str("    esac\n    case $command in\n");
    for command in commands {
        let flags: Vec<String> = command.flags.iter().map(|flag| format!("-{}", flag.name)).collect();
        push(&mut out, format_args!("        \"{}\") flags=\"{}\" ;;\n", command.name, flags.join(" ")));
    }
    out.push_str(
        "    esac\n    if [[ $cur == -* ]]; then\n        COMPREPLY=($(compgen -W \"$flags\" -- \"$cur\"))\n    else\n        \
         compopt -o filenames 2>/dev/null\n        COMPREPLY=($(compgen -f -- \"$cur\"))\n    fi\n}\n",
    );
    push(&mut out, format_args!("complete -F _litestream_rs {PROGRAM}\n"));
    out
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a String cannot fail");
}
