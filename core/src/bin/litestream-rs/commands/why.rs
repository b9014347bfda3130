//! `why`: in one screen, what state a database is in and what to do about it.

mod advice;

use std::path::{Path, PathBuf};

use litestream_core::config::{Config, Environment};
use litestream_core::db::MetaDir;
use litestream_core::ltx::Txid;
use litestream_core::server::answers::Why;
use serde::Serialize;

use super::JSON;
use crate::args::{Args, Command, Example};
use crate::control::{self, Daemon, SHORT_TIMEOUT, SOCKET};
use crate::exit_code::Exit;
use crate::inventory;
use crate::output;
use crate::setup::{self, CONFIG, LENIENT, NO_EXPAND_ENV};

/// `why DB_PATH`.
pub const COMMAND: Command = Command {
    name: "why",
    deprecated_alias: None,
    summary: "explain the state of a database",
    about: "Explain in one screen what state a database is in, what it waits for and what to do.",
    synopsis: &["[arguments] DB_PATH"],
    flags: &[&CONFIG, &NO_EXPAND_ENV, &LENIENT, &SOCKET, &SHORT_TIMEOUT, &JSON],
    notes: "Asks the running daemon. Without one, or for a file that it does not know, the\n\
            configuration and the local state tell what can be told.",
    examples: &[
        Example { what: "Why is this database not on its replica?", line: "why /path/to/db" },
        Example { what: "For a script", line: "why -json /path/to/db" },
    ],
    run,
};

/// What there is to say of a database that no daemon answers for.
#[derive(Debug, Serialize)]
struct Unknown {
    path: String,
    state: &'static str,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    txid: Option<String>,
    advice: String,
}

fn run(args: &Args) -> anyhow::Result<Exit> {
    let path = control::database(args, "why /path/to/db")?;
    let daemon = Daemon::of(args, &SHORT_TIMEOUT)?;
    let answer = daemon.get_of::<Why>("why", &path);
    if let Ok(Ok(known)) = &answer {
        if args.switch(&JSON) {
            output::print_json(known)?;
        } else {
            output::print(&text_of(known))?;
        }
        return Ok(Exit::Success);
    }
    let config = setup::load_for_report(args, &Environment::of_process()).map(|loaded| loaded.config);
    let unknown = match answer {
        Ok(Err(reason)) => unknown_to_daemon(&path, reason, config.as_ref().ok()),
        Err(error) => without_daemon(&path, &error, config.as_ref().ok()),
        Ok(Ok(_)) => return Ok(Exit::Success),
    };
    if args.switch(&JSON) {
        output::print_json(&unknown)?;
    } else {
        output::print(&unknown.to_text())?;
    }
    Ok(Exit::Failure)
}

fn text_of(known: &Why) -> String {
    let mut lines = vec![("state", known.state.clone()), ("waits for", advice::waits_for(known))];
    let last = known.last_sync_at.as_deref().map_or_else(|| "never by this daemon".to_owned(), advice::with_age);
    lines.push(("last sync", last));
    lines.push(("position here", known.txid.clone()));
    lines.push(("on the replica", format!("{} ({}){}", known.replica_txid, known.replica, advice::behind(known))));
    let next = known.next_job.as_ref().map(|job| format!("{}, {}", job.name, advice::until(&job.due_at)));
    lines.push(("next due work", next.unwrap_or_else(|| "none is planned".to_owned())));
    let errors: Vec<String> = known.work.iter().filter_map(advice::error_of).collect();
    lines.push(("last error", if errors.is_empty() { "none".to_owned() } else { errors.join("; ") }));
    lines.push(("what to do", advice::what_to_do(known)));
    screen(&known.path, &lines)
}

fn screen(path: &str, lines: &[(&str, String)]) -> String {
    let body = lines.iter().map(|(label, text)| format!("  {:<16}{text}\n", format!("{label}:")));
    std::iter::once(format!("{path}\n")).chain(body).collect()
}

impl Unknown {
    fn to_text(&self) -> String {
        let txid = self.txid.clone().unwrap_or_else(|| "nothing was copied yet".to_owned());
        let lines = [
            ("state", format!("{}: {}", self.state, self.reason)),
            ("position here", txid),
            ("what to do", self.advice.clone()),
        ];
        screen(&self.path, &lines)
    }
}

fn unknown_to_daemon(path: &Path, refused: Option<String>, config: Option<&Config>) -> Unknown {
    let (reason, advice) = match (refused, config) {
        (Some(reason), _) => (reason, "remove the reason; the daemon looks again by itself".to_owned()),
        (None, Some(config)) if inventory::find(config, path).is_none() => (
            inventory::why_not(config, path).unwrap_or_else(|| "no entry of the configuration covers it".to_owned()),
            format!("add an entry to the configuration, or: register -replica URL {}", path.display()),
        ),
        (None, Some(config)) => match inventory::why_not(config, path) {
            Some(reason) => (reason, "remove the reason; the daemon looks again by itself".to_owned()),
            None if path.exists() => (
                "the configuration covers it, and the running daemon does not know it".to_owned(),
                "restart the daemon if its configuration is older; without `watch` it looks at start only".to_owned(),
            ),
            None => ("there is no such file".to_owned(), format!("restore it: restore {}", path.display())),
        },
        (None, None) => {
            ("the daemon does not know it".to_owned(), "give its configuration with -config to see why".to_owned())
        }
    };
    Unknown { path: control::text(path), state: "not replicated", reason, txid: local(path, config), advice }
}

fn without_daemon(path: &Path, error: &anyhow::Error, config: Option<&Config>) -> Unknown {
    Unknown {
        path: control::text(path),
        state: "unknown",
        reason: format!("no daemon answers: {error}"),
        txid: local(path, config),
        advice: "start the daemon (replicate) with `socket.enabled: true`, or name its socket with -socket".to_owned(),
    }
}

/// The newest transaction that was copied locally.
fn local(path: &Path, config: Option<&Config>) -> Option<String> {
    let meta: PathBuf = inventory::find(config?, path)?.meta_path();
    let newest: Txid = MetaDir::new(&meta).list_l0().ok()?.last()?.max_txid;
    Some(newest.to_string())
}
