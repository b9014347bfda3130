//! Seeded rounds of crashes at named places: every fsync, rename, removal and storage call, and every step of the engine.
//!
//! | variable | meaning |
//! |---|---|
//! | `CRASH_ROUNDS` | how many rounds; 12 if not said |
//! | `CRASH_SEED` | the first seed; the others follow |
//!
//! A failing round prints the command that repeats it. `LITESTREAM_TEST_KEEP=1` keeps its files.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::round::{Death, Round};

/// A round mostly waits for the program.
const AT_ONCE: usize = 4;

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn a_crash_at_any_named_place_costs_no_acknowledged_commit() {
    let (first, count) = (variable("CRASH_SEED", 1), variable("CRASH_ROUNDS", 12));
    let (next, failed) = (AtomicU64::new(first), AtomicBool::new(false));
    let deaths: Mutex<BTreeMap<String, u64>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while !failed.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    match catch_unwind(AssertUnwindSafe(|| Round::new(seed).run())) {
                        Ok(died) => {
                            let mut deaths = deaths.lock().unwrap();
                            died.into_iter().for_each(|death| *deaths.entry(death.to_string()).or_default() += 1);
                        }
                        Err(_) => {
                            failed.store(true, Ordering::Relaxed);
                            eprintln!(
                                "round {seed} failed; repeat it with\n  CRASH_SEED={seed} CRASH_ROUNDS=1 cargo test -p \
                                 litestream-core --features failpoints --test integration crash::rounds"
                            );
                        }
                    }
                }
            });
        }
    });
    let deaths = deaths.into_inner().unwrap();
    for (death, times) in &deaths {
        println!("{times:6} {death}");
    }
    assert!(!failed.into_inner(), "a round failed; its seed is above");
    let named: u64 = deaths.iter().filter(|(death, _)| *death != &Death::AtRandom.to_string()).map(|(_, n)| n).sum();
    // A few rounds may miss their places.
    assert!(
        count < 10 || named * 3 >= count,
        "{named} crashes at named places in {count} rounds: is this a build with failpoints?"
    );
}
