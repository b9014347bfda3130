//! Holds back warnings and errors that repeat: a line, then silence for a while, then a line that counts what was held back.
//!
//! Two events are the same if they come from one place in the code with the same fields. Numbers that change make another
//! line of it: whoever counts by himself is not held back.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use tracing::Metadata;

use super::fields::Fields;

/// One line in this time.
const QUIET: Duration = Duration::from_secs(30);

/// Lines remembered. With more at once, some are written too often.
const REMEMBERED_MAX: usize = 4096;

/// Names what an event says.
pub fn key(metadata: &Metadata<'_>, fields: &Fields) -> u64 {
    let mut hasher = DefaultHasher::new();
    (metadata.callsite(), fields.message.as_str()).hash(&mut hasher);
    for field in &fields.list {
        (field.name, format!("{:?}", field.value)).hash(&mut hasher);
    }
    hasher.finish()
}

/// What was written lately.
#[derive(Default)]
pub struct Repeats {
    written: HashMap<u64, Written>,
}

struct Written {
    at: Instant,
    held_back: u64,
}

impl Repeats {
    /// `None` if a line with this key is to be held back; else how many like it were since it was written last.
    pub fn admit(&mut self, key: u64, now: Instant) -> Option<u64> {
        if let Some(last) = self.written.get_mut(&key)
            && now.saturating_duration_since(last.at) < QUIET
        {
            last.held_back += 1;
            return None;
        }
        if self.written.len() >= REMEMBERED_MAX {
            self.written.retain(|_, last| now.saturating_duration_since(last.at) < QUIET);
        }
        let held_back = self.written.get(&key).map_or(0, |last| last.held_back);
        if self.written.len() < REMEMBERED_MAX || self.written.contains_key(&key) {
            self.written.insert(key, Written { at: now, held_back: 0 });
        }
        Some(held_back)
    }
}

#[cfg(test)]
mod tests {
    use litestream_core::clock;

    use super::*;

    #[test]
    fn one_line_in_a_while_with_the_number_of_those_between() {
        let (mut repeats, start) = (Repeats::default(), clock::monotonic());
        let mut at = |key, seconds| repeats.admit(key, start + Duration::from_secs(seconds));
        assert_eq!([at(1, 0), at(1, 1), at(2, 2), at(1, 29)], [Some(0), None, Some(0), None]);
        assert_eq!([at(1, 30), at(1, 59), at(1, 60), at(1, 200)], [Some(2), None, Some(1), Some(0)]);
    }

    #[test]
    fn memory_is_bounded_and_nothing_is_lost_for_it() {
        let (mut repeats, start) = (Repeats::default(), clock::monotonic());
        for key in 0..3 * REMEMBERED_MAX as u64 {
            assert_eq!(repeats.admit(key, start), Some(0));
        }
        assert_eq!(repeats.written.len(), REMEMBERED_MAX);
        assert_eq!(repeats.admit(u64::MAX, start + QUIET), Some(0));
        assert_eq!(repeats.written.len(), 1);
    }
}
