//! How long a failing database waits, and how often it may speak.
//!
//! One rule for all lanes: the lane's own interval, doubled with each failure in a row, at most five minutes.

use std::time::Duration;

use super::due::Tick;

/// The longest pause between two tries.
pub const LONGEST: Duration = Duration::from_secs(5 * 60);

/// One log line for each failing database and lane in this time.
pub const LOG_EVERY: Duration = Duration::from_secs(30);

/// The shortest pause: an interval of zero must not become a busy loop.
const SHORTEST: Duration = Duration::from_millis(10);

/// The pause after `failures` failures in a row (1 = the first).
pub fn pause(interval: Duration, failures: u32) -> Duration {
    let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    interval.max(SHORTEST).saturating_mul(factor).min(LONGEST)
}

/// Why a lane of a database fails. Exists only while it does.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What failed, and what to do about it; for a person.
    pub message: String,
    /// Failures in a row.
    pub count: u32,
    last_logged: Option<Tick>,
}

impl Failure {
    /// Starts a row of failures; [`Failure::again`] counts the first one too.
    pub fn new() -> Failure {
        Failure { message: String::new(), count: 0, last_logged: None }
    }

    /// Counts one more failure. True if it should be logged now.
    pub fn again(&mut self, message: String, now: Tick) -> bool {
        self.message = message;
        self.count = self.count.saturating_add(1);
        let due = self.last_logged.is_none_or(|last| now.since(last) >= LOG_EVERY);
        if due {
            self.last_logged = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_minutes() {
        let second = Duration::from_secs(1);
        let pauses: Vec<u64> = (1..=11).map(|n| pause(second, n).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(pause(second, u32::MAX), LONGEST);
        assert_eq!(pause(Duration::ZERO, 1), SHORTEST);
    }

    #[test]
    fn a_failing_database_speaks_at_most_each_half_minute() {
        let mut failure = Failure::new();
        let spoken: Vec<u64> = (0..100).filter(|s| failure.again("down".into(), Tick(s * 1000))).collect();
        assert_eq!(spoken, [0, 30, 60, 90]);
        assert_eq!(failure.count, 100);
    }
}
