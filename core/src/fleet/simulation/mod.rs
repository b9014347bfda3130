//! The whole fleet in one thread, with invented time and a store that answers when and how a seed says: does any order of
//! syncs, uploads, compactions, snapshots, retention, failures and restarts lose or mix anything?
//!
//! Real: the scheduler and all lanes, SQLite and its WAL, local state, the layers around a store. Invented: time (tokio's
//! paused clock, and [`clock`](crate::clock) with it), the store, the application, crashes. Every call of the store waits until
//! the seed lets it go: with its effect, without, with its effect and a lost answer, or with half an answer. So the seed
//! chooses the order of everything that happens at once.
//!
//! After each step, from what lies on the store (`oracle.rs`):
//! - the newest state can be planned, and is never older than before;
//! - every end of a file behind the oldest snapshot can be planned (level 0: behind what is compacted);
//! - what is restored is exactly what the database was at that transaction;
//! - no name of level 0 was ever given two contents.
//!
//! At the end, with an honest store: everything is restored, and then no request is made.
//!
//! | variable | meaning |
//! |---|---|
//! | `SIM_SEED` | the first seed; 1 if not said |
//! | `SIM_SEEDS` | how many; 200 if not said |
//! | `SIM_LOG` | what happened in a seed that failed is always printed; with this, in every seed |

mod application;
mod oracle;
mod store;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use world::World;

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn no_order_of_events_loses_or_mixes_anything() {
    let (first, count) = (variable("SIM_SEED", 1), variable("SIM_SEEDS", 200));
    let (next, stop) = (AtomicU64::new(first), AtomicBool::new(false));
    let failures: Mutex<Vec<u64>> = Mutex::default();
    let totals: Mutex<world::Counts> = Mutex::default();
    crate::db::configure_sqlite();
    super::testing::log_if_wanted();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from).min(8) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let mut world = World::new(seed);
                    let ended = catch_unwind(AssertUnwindSafe(|| world.run()));
                    crate::clock::simulated::end();
                    if ended.is_err() || std::env::var_os("SIM_LOG").is_some() {
                        eprintln!("seed {seed}:\n    {}", world.log().join("\n    "));
                    }
                    for (name, number) in world.counts() {
                        *totals.lock().unwrap().entry(name).or_default() += number;
                    }
                    if ended.is_err() {
                        failures.lock().unwrap().push(seed);
                        stop.store(true, Ordering::Relaxed);
                        eprintln!(
                            "seed {seed} failed; repeat it with\n  SIM_SEED={seed} SIM_SEEDS=1 cargo test -p litestream-core \
                             --lib fleet::simulation"
                        );
                    }
                }
            });
        }
    });
    for (name, number) in totals.into_inner().unwrap() {
        println!("{number:9} {name}");
    }
    assert_eq!(failures.into_inner().unwrap(), Vec::<u64>::new(), "seeds that failed");
}
