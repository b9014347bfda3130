//! `info`: which daemon is running.

use litestream_core::server::answers::Info;

use super::JSON;
use crate::args::{Args, Command, Example};
use crate::control::{Daemon, SHORT_TIMEOUT, SOCKET};
use crate::exit_code::Exit;
use crate::{commands, output};

/// `info [-json]`.
pub const COMMAND: Command = Command {
    name: "info",
    deprecated_alias: None,
    summary: "show daemon information",
    about: "Show daemon information from a running Litestream instance.",
    synopsis: &["[arguments]"],
    flags: &[&JSON, &SOCKET, &SHORT_TIMEOUT],
    notes: "",
    examples: &[
        Example { what: "The daemon at the usual place", line: "info" },
        Example { what: "Another one, as JSON", line: "info -json -socket /tmp/litestream.sock" },
    ],
    run,
};

fn run(args: &Args) -> anyhow::Result<Exit> {
    commands::no_positionals(args)?;
    let info: Info = Daemon::of(args, &SHORT_TIMEOUT)?.get("info")?;
    if args.switch(&JSON) {
        output::print_json(&info)?;
    } else {
        let Info { version, pid, database_count, .. } = &info;
        let (uptime, started) = (uptime(info.uptime_seconds), output::without_fraction(&info.started_at));
        output::print(&format!(
            "Litestream {version}\n  PID:        {pid}\n  Uptime:     {uptime}\n  Started at: {started}\n  \
             Databases:  {database_count}\n"
        ))?;
    }
    Ok(Exit::Success)
}

/// `3s`, `2m3s`, `1h0m3s`: Go's way to write a duration.
fn uptime(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptimes_read_as_go_durations() {
        assert_eq!([0, 59, 60, 3723, 360_000].map(uptime), ["0s", "59s", "1m0s", "1h2m3s", "100h0m0s"]);
    }
}
