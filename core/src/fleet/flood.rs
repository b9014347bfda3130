//! Events that come faster than it pays to wake up for each. Most are many for one commit, and equal ones that nobody has
//! read yet the kernel keeps as one: a listener that lets them lie for a moment hears the same with a fraction of the
//! wake-ups.

use std::time::{Duration, Instant};

/// How long events are counted, and at least listened to between two pauses: enough to hear what a pause left lying.
const WINDOW: Duration = Duration::from_millis(1);

/// So many events in that time are a flood; one commit is fewer.
const MANY: u32 = 16;

/// How long a flood is left lying: well below what a commit takes to its replica.
const PAUSE: Duration = Duration::from_millis(3);

/// Counts events.
#[derive(Debug)]
pub struct Flood {
    since: Instant,
    count: u32,
}

impl Flood {
    /// Begins to count.
    pub fn new(now: Instant) -> Flood {
        Flood { since: now, count: 0 }
    }

    /// One more event; what to wait for after it was dealt with.
    pub fn heard(&mut self, now: Instant) -> Option<Duration> {
        self.count += 1;
        let counted = now.saturating_duration_since(self.since);
        if counted < WINDOW {
            return None;
        }
        // Events that a longer silence divides are no flood.
        let is_flood = self.count >= MANY && counted < 2 * WINDOW;
        *self = Flood::new(if is_flood { now + PAUSE } else { now });
        is_flood.then_some(PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    /// How many pauses a second has in which events lie so far apart, and how many events were heard.
    fn second_of(gap: Duration) -> (u32, u32) {
        let begin = clock::monotonic();
        let (mut flood, mut now, mut next) = (Flood::new(begin), begin, begin);
        let (mut pauses, mut heard) = (0, 0);
        while now < begin + Duration::from_secs(1) {
            // One that lies there already costs 4 microseconds.
            now = (now + Duration::from_micros(4)).max(next);
            next += gap;
            heard += 1;
            if let Some(pause) = flood.heard(now) {
                pauses += 1;
                now += pause;
            }
        }
        (pauses, heard)
    }

    #[test]
    fn a_flood_is_left_lying_now_and_then_and_heard_all_the_same() {
        let (pauses, heard) = second_of(Duration::from_micros(50));
        assert!((200..=260).contains(&pauses) && heard >= 19_900, "{pauses} pauses, {heard} events");
        let (_, heard) = second_of(Duration::from_micros(20));
        assert!(heard >= 49_500, "{heard} of 50,000: it falls behind");
    }

    #[test]
    fn commits_now_and_then_are_heard_at_once() {
        assert_eq!(second_of(Duration::from_micros(500)).0, 0);
        let begin = clock::monotonic();
        let mut flood = Flood::new(begin);
        // Twelve events together every 10 ms.
        let mut times =
            (0..600).map(|n| begin + Duration::from_millis(n / 12 * 10) + Duration::from_micros(n % 12 * 20));
        assert!(times.all(|now| flood.heard(now).is_none()));
    }
}
