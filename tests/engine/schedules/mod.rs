//! Does the engine ever lose or invent a commit? Random application steps between the steps of the engine, on real SQLite
//! and in separate processes, checked after every file it writes.
//!
//! Applications are also killed, or get EIO, inside the fsync of a commit (`ghosts.rs`).
//!
//! Every L0 file must lead to some committed state, never an older one than the file before; a finished sync must have
//! reached everything that was committed when it began. Seeded: a failing schedule prints its last steps and repeats with
//!
//! ```text
//! ENGINE_SEED=N ENGINE_SCHEDULES=1 cargo test -p litestream-core --features failpoints --test engine schedules::random
//! ```
//!
//! `ENGINE_OFF=rule` leaves a rule out (names in `follower.rs`); the tester must then find a loss.

mod actors;
mod engine;
mod ghosts;
mod lock;
mod schedule;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::replica::scratch;
use actors::Applications;
use schedule::{Outcome, Schedule, Setup};

/// What a run of many schedules found.
struct Found {
    schedules: u64,
    failure: Option<(u64, String)>,
    counts: BTreeMap<String, u64>,
}

/// Runs seeds `first..first + count` on all cores, until one fails.
fn run(first: u64, count: u64, rules_off: &str) -> Found {
    let setup = Setup { rules_off: rules_off.to_owned(), racy_ms: racy_window_ms() };
    let (next, stop) = (AtomicU64::new(first), AtomicBool::new(false));
    let found = Mutex::new(Found { schedules: 0, failure: None, counts: BTreeMap::new() });
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let mut applications = Applications::start();
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        break;
                    }
                    let Outcome { failure, counts } = Schedule::new(seed, &setup, &mut applications).run();
                    let mut found = found.lock().expect("no panic while held");
                    found.schedules += 1;
                    for (name, number) in counts {
                        *found.counts.entry(name).or_default() += number;
                    }
                    if let Some(failure) = failure {
                        stop.store(true, Ordering::Relaxed);
                        if found.failure.as_ref().is_none_or(|(other, _)| seed < *other) {
                            found.failure = Some((seed, failure));
                        }
                    }
                }
            });
        }
    });
    found.into_inner().expect("no panic while held")
}

/// The age at which a later write is certain to show in the time stamps here: nothing where the kernel stamps finely.
fn racy_window_ms() -> u64 {
    let path = tempfile::NamedTempFile::new_in(scratch()).expect("temporary file").into_temp_path();
    let stamp = |content: u32| {
        std::fs::write(&path, content.to_string()).expect("write");
        litestream_core::db::Db::cold_stamp(&path).database.expect("there").mtime_ns
    };
    let stamps: Vec<i64> = (0..200).map(stamp).collect();
    if stamps.windows(2).all(|pair| pair[0] != pair[1]) { 0 } else { 20 }
}

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn random_schedules_lose_nothing_and_invent_nothing() {
    let (seed, count) = (variable("ENGINE_SEED", 1), variable("ENGINE_SCHEDULES", 300));
    let found = run(seed, count, &std::env::var("ENGINE_OFF").unwrap_or_default());
    println!("{} schedules", found.schedules);
    for (name, number) in &found.counts {
        println!("{number:9} {name}");
    }
    if let Some((seed, failure)) = found.failure {
        panic!("seed {seed}: {failure}");
    }
}

/// A tester that cannot fail proves nothing. Rules that take longer to miss are in `ENGINE_OFF` runs.
#[test]
fn leaving_out_a_rule_is_noticed() {
    for rule in ["lock", "hold", "gap", "folded"] {
        let found = run(1, 3000, rule);
        assert!(found.failure.is_some(), "nothing noticed without rule {rule} in {} schedules", found.schedules);
    }
}
