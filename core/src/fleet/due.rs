//! When what is due: ticks, the queue of due times, and the phase that spreads periodic work.
//!
//! Holds no database. An idle database has no entry here; a moved due time leaves a stale entry behind, which whoever
//! pops it recognises by comparing with the record and drops.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::record::{DbId, Lane};

/// Monotonic milliseconds since the fleet started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(pub u64);

impl Tick {
    /// Later than every other tick: "not planned".
    pub const NEVER: Tick = Tick(u64::MAX);

    /// This tick moved by `delay`; `NEVER` stays `NEVER`.
    #[must_use]
    pub fn after(self, delay: Duration) -> Tick {
        Tick(self.0.saturating_add(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The time from `earlier` to this tick; zero if `earlier` is later.
    pub fn since(self, earlier: Tick) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Due times of all lanes of all databases, earliest first.
#[derive(Debug, Default)]
pub struct DueQueue {
    heap: BinaryHeap<Reverse<(Tick, DbId, Lane)>>,
}

impl DueQueue {
    /// Adds an entry; entries are never removed before their time.
    pub fn push(&mut self, at: Tick, id: DbId, lane: Lane) {
        self.heap.push(Reverse((at, id, lane)));
    }

    /// The earliest entry, if its time has come.
    pub fn pop(&mut self, now: Tick) -> Option<(Tick, DbId, Lane)> {
        let Reverse((at, ..)) = self.heap.peek()?;
        if *at > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// The time of the earliest entry.
    pub fn next(&self) -> Option<Tick> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }
}

/// A fixed delay below `period`, different for each `key`, so that periodic work of many databases spreads evenly.
pub fn phase(key: u64, period: Duration) -> Duration {
    let millis = u64::try_from(period.as_millis()).unwrap_or(u64::MAX).max(1);
    // The upper half of the product is an even share of `millis`, without the bias of a modulus.
    let share = (u128::from(spread(key)) * u128::from(millis)) >> 64;
    Duration::from_millis(share as u64)
}

/// Neighbouring keys become unrelated ones (the finaliser of SplitMix64).
fn spread(key: u64) -> u64 {
    let mut value = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_out_in_order_and_not_before_their_time() {
        let mut queue = DueQueue::default();
        queue.push(Tick(30), DbId::first_of(3), Lane::Local);
        queue.push(Tick(10), DbId::first_of(1), Lane::Upload);
        queue.push(Tick(20), DbId::first_of(2), Lane::Levels);
        assert_eq!(queue.next(), Some(Tick(10)));
        assert_eq!(queue.pop(Tick(9)), None);
        assert_eq!(queue.pop(Tick(25)), Some((Tick(10), DbId::first_of(1), Lane::Upload)));
        assert_eq!(queue.pop(Tick(25)), Some((Tick(20), DbId::first_of(2), Lane::Levels)));
        assert_eq!(queue.pop(Tick(25)), None);
    }

    #[test]
    fn phases_spread_evenly_over_the_period() {
        let period = Duration::from_secs(10);
        let mut buckets = [0_u32; 10];
        for key in 0..10_000 {
            let phase = phase(key, period);
            assert!(phase < period);
            buckets[phase.as_secs() as usize] += 1;
        }
        assert!(buckets.iter().all(|n| (900..1_100).contains(n)), "{buckets:?}");
    }

    #[test]
    fn never_stays_never() {
        assert_eq!(Tick::NEVER.after(Duration::from_secs(1)), Tick::NEVER);
        assert_eq!(Tick(5).since(Tick(9)), Duration::ZERO);
    }
}
