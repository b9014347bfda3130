//! The manual page, in roff.

use std::fmt::Write;

use crate::args::{Command, Flag, PROGRAM};

/// `litestream-rs.1`
pub fn page(commands: &[&Command], version: &str) -> String {
    let mut out = format!(
        ".TH LITESTREAM\\-RS 1 \"\" \"{PROGRAM} {version}\" \"User Commands\"\n.SH NAME\n{} \\- replicate directories of SQLite \
         databases to other storage\n.SH SYNOPSIS\n.B {}\n.I command\n[arguments]\n.SH DESCRIPTION\n{}\n.SH COMMANDS\n",
        escaped(PROGRAM),
        escaped(PROGRAM),
        escaped(
            "Copies SQLite databases to other storage as they change, whole directories of them in one process. Reads and \
             writes the replicas of Litestream 0.5, and takes its configuration and its command line."
        ),
    );
    commands.iter().for_each(|command| push_command(&mut out, command));
    out.push_str(END);
    out
}

/// What belongs to no command.
const END: &str = "\
.SH EXIT STATUS
.TP
.B 0
What was asked for was done; also for \\-h.
.TP
.B 1
It was not; what went wrong, and what to do, is on standard error. So ends a restore of a directory of which a single
database failed, and a daemon whose child process failed.
.SH FILES
.TP
.I /etc/litestream.yml
The configuration, unless \\-config or LITESTREAM_CONFIG names another file.
.TP
.I .NAME\\-litestream
Local state of a database, beside it.
.TP
.I /var/run/litestream.sock
The control socket.
.TP
.I .litestream\\-restore
In the output directory of restore \\-dir: what is done, until all is.
.SH ENVIRONMENT
.TP
.B LITESTREAM_CONFIG
The configuration file.
.TP
.B LITESTREAM_PLUGIN_DIR
Directories with storage plugins, divided by colons.
.TP
.B LITESTREAM_*
A key of the configuration each; two underscores stand for a dot.
.TP
.BR NOTIFY_SOCKET \", \" WATCHDOG_USEC \", \" STATE_DIRECTORY
Set by systemd: who is told that replication began and goes on, and where registrations and the ledger are kept.
.SH SEE ALSO
.BR sqlite3 (1)
";

fn push_command(out: &mut String, command: &Command) {
    push(out, format_args!(".SS {}\n", escaped(command.name)));
    for form in command.synopsis {
        push(out, format_args!(".B {}\n", escaped(&format!("{PROGRAM} {}", command.name))));
        if !form.is_empty() {
            push(out, format_args!("{}\n", escaped(form)));
        }
        out.push_str(".br\n");
    }
    push(out, format_args!(".PP\n{}\n", escaped(command.about.trim_end())));
    command.flags.iter().for_each(|flag| push_flag(out, flag));
    if !command.notes.is_empty() {
        push(out, format_args!(".PP\n{}\n", escaped(command.notes.trim_end())));
    }
    for example in command.examples {
        let line = escaped(&format!("{PROGRAM} {}", example.line));
        push(out, format_args!(".PP\n{}:\n.PP\n.RS\n{line}\n.RE\n", escaped(example.what)));
    }
}

fn push_flag(out: &mut String, flag: &Flag) {
    let value =
        if flag.value_name.is_empty() { String::new() } else { format!(" \\fI{}\\fR", escaped(flag.value_name)) };
    push(out, format_args!(".TP\n\\fB\\-{}\\fR{value}\n{}\n", escaped(flag.name), escaped(flag.help)));
    if let Some(default) = flag.default {
        push(out, format_args!("Defaults to {}.\n", escaped(default)));
    }
    if flag.repeatable {
        out.push_str("May be given more than once.\n");
    }
}

/// Text as roff reads it: a backslash is no escape, a hyphen no dash, and no line begins with a control character. Empty
/// lines divide paragraphs.
fn escaped(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.trim_end().replace('\\', "\\e").replace('-', "\\-").replace('\t', "    ");
        match line.trim_start() {
            "" => ".PP".to_owned(),
            _ if line.starts_with([' ']) => format!(".br\n{line}"),
            begin if begin.starts_with(['.', '\'']) => format!("\\&{line}"),
            _ => line,
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a String cannot fail");
}
