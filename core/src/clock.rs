//! The only clock of the program: everything that asks for the time asks here, so that a test can own it.
//!
//! `clippy.toml` forbids the standard library's clocks elsewhere.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch, UTC: the unit of LTX headers.
pub type UnixMillis = i64;

/// Wall-clock time since the Unix epoch; zero if the machine's clock stands before it.
#[allow(clippy::disallowed_methods, reason = "this is the place the ban points to")]
pub fn unix_time() -> Duration {
    #[cfg(test)]
    if let Some(now) = simulated::unix_time() {
        return now;
    }
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Wall-clock milliseconds since the Unix epoch.
pub fn unix_millis() -> UnixMillis {
    i64::try_from(unix_time().as_millis()).unwrap_or(i64::MAX)
}

/// Monotonic time, for delays and deadlines.
#[allow(clippy::disallowed_methods, reason = "this is the place the ban points to")]
pub fn monotonic() -> Instant {
    #[cfg(test)]
    if simulated::unix_time().is_some() {
        return tokio::time::Instant::now().into_std();
    }
    Instant::now()
}

/// Blocks the calling thread. Only for threads that own their time (SQLite workers, tests), never inside a future.
#[allow(clippy::disallowed_methods, reason = "this is the place the ban points to")]
pub fn sleep(duration: Duration) {
    std::thread::sleep(duration);
}

/// A clock that a test owns: on its own thread, tokio's paused time instead of the machine's.
#[cfg(test)]
pub(crate) mod simulated {
    use std::cell::Cell;
    use std::time::Duration;

    use tokio::time::Instant;

    thread_local! {
        static BEGINNING: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
    }

    /// From now on it is `unix_time` on this thread, and time passes with the runtime whose context this is.
    pub(crate) fn begin(unix_time: Duration) {
        BEGINNING.set(Some((Instant::now(), unix_time)));
    }

    /// The machine's time again.
    pub(crate) fn end() {
        BEGINNING.set(None);
    }

    pub(super) fn unix_time() -> Option<Duration> {
        let (beginning, unix_time) = BEGINNING.get()?;
        Some(unix_time + Instant::now().saturating_duration_since(beginning))
    }
}
