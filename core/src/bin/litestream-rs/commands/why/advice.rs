//! The sentences of `why`.

use litestream_core::clock;
use litestream_core::server::answers::{Why, Work};

use crate::output;

/// What stands between the database and its replica.
pub fn waits_for(known: &Why) -> String {
    match known.state.as_str() {
        "stopped" | "conflict" => return "an operator".to_owned(),
        "missing" => return "a file at its path".to_owned(),
        _ => {}
    }
    let running: Vec<&str> = known.work.iter().filter(|work| work.running).map(|work| work.name.as_str()).collect();
    if !running.is_empty() {
        return format!("{}, under way now", running.join(" and "));
    }
    let failing = known.work.iter().filter(|work| work.failures > 0);
    let next = failing.filter_map(|work| Some((work.due_in_seconds?, &work.name))).min_by(|a, b| a.0.total_cmp(&b.0));
    match next {
        Some((seconds, name)) => format!("the next try of its {name}, in {seconds:.0}s"),
        None if known.uploaded => "nothing".to_owned(),
        None => "its turn to upload".to_owned(),
    }
}

/// `, 3 transactions behind`.
pub fn behind(known: &Why) -> String {
    let number = |text: &str| u64::from_str_radix(text, 16).unwrap_or(0);
    match number(&known.txid).saturating_sub(number(&known.replica_txid)) {
        0 if known.uploaded => String::new(),
        0 => ", of another history: a full file is due".to_owned(),
        1 => ", 1 transaction behind".to_owned(),
        more => format!(", {more} transactions behind"),
    }
}

/// The last error of one kind of work.
pub fn error_of(work: &Work) -> Option<String> {
    let error = work.error.as_deref()?;
    let times = if work.failures > 1 { format!(" ({} times in a row)", work.failures) } else { String::new() };
    Some(format!("{}: {error}{times}", work.name))
}

/// `2026-11-23T19:00:00Z (5s ago)`
pub fn with_age(time: &str) -> String {
    let shown = output::without_fraction(time);
    match millis(time) {
        Some(at) => format!("{shown} ({} ago)", output::human_age((now() - at) / 1000)),
        None => shown,
    }
}

/// `in 5s (2026-11-23T19:00:00Z)`
pub fn until(time: &str) -> String {
    let shown = output::without_fraction(time);
    match millis(time) {
        Some(at) if at > now() => format!("in {} ({shown})", output::human_age((at - now()) / 1000)),
        _ => format!("due since {shown}"),
    }
}

/// The next step of a person, if there is one.
pub fn what_to_do(known: &Why) -> String {
    let path = &known.path;
    match known.state.as_str() {
        "stopped" => format!("litestream-rs start {path}"),
        "conflict" => format!("make sure that nothing else writes to its replica, then: litestream-rs start {path}"),
        "missing" => {
            format!("if the file is lost: litestream-rs restore {path}; if it is not wanted: unregister {path}")
        }
        "removing" => "nothing: it leaves after its last sync".to_owned(),
        "failing" => {
            format!(
                "remove the cause of the last error; it is tried again by itself, or now: litestream-rs sync -wait {path}"
            )
        }
        "starting" => "nothing: its first sync is under way".to_owned(),
        _ if known.uploaded => "nothing: every transaction up to this position is on its replica".to_owned(),
        _ => format!("nothing; to wait for it: litestream-rs sync -wait {path}"),
    }
}

fn now() -> i64 {
    i64::try_from(clock::unix_time().as_millis()).unwrap_or(i64::MAX)
}

fn millis(time: &str) -> Option<i64> {
    time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}
