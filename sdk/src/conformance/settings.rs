//! How hard to look.

use std::time::Duration;

/// How hard to look.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Only the checks of these ids; all if empty.
    pub only: Vec<String>,
    /// Also what takes minutes: more keys, every buffer size, one large object.
    pub full: bool,
    /// Bytes of the large object of a full run.
    pub large_object: u64,
    /// A check that has not ended by then has failed; one that belongs to a full run gets thirty times as long.
    pub time_limit: Duration,
    /// How long a cancelled write is watched for things that appear late.
    pub settle: Duration,
    /// How long a writer may sit on all the bytes it was lent.
    pub stall: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            only: Vec::new(),
            full: false,
            large_object: 2 << 30,
            time_limit: Duration::from_secs(120),
            settle: Duration::from_millis(300),
            stall: Duration::from_secs(20),
        }
    }
}

impl Settings {
    /// Only these checks.
    pub fn with_only(mut self, ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.only = ids.into_iter().map(Into::into).collect();
        self
    }

    /// Also what takes minutes.
    pub fn with_full(mut self, full: bool) -> Self {
        self.full = full;
        self
    }

    /// Another size for the large object of a full run.
    pub fn with_large_object(mut self, bytes: u64) -> Self {
        self.large_object = bytes;
        self
    }

    /// Other waiting times, all shortened for tests of the checks themselves.
    pub fn with_waits(mut self, settle: Duration, stall: Duration) -> Self {
        (self.settle, self.stall) = (settle, stall);
        self
    }

    pub(super) fn chooses(&self, id: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only.eq_ignore_ascii_case(id))
    }
}
