//! The only clock of the program: everything that asks for the time asks here, so that a test can own it.
//!
//! `clippy.toml` forbids the standard library's clocks elsewhere.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch, UTC: the unit of LTX headers.
pub type UnixMillis = i64;

/// Wall-clock time since the Unix epoch; zero if the machine's clock stands before it.
#[allow(clippy::disallowed_methods, reason = "this is the place the ban points to")]
pub fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Wall-clock milliseconds since the Unix epoch.
pub fn unix_millis() -> UnixMillis {
    i64::try_from(unix_time().as_millis()).unwrap_or(i64::MAX)
}

/// Monotonic time, for delays and deadlines.
#[allow(clippy::disallowed_methods, reason = "this is the place the ban points to")]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// Blocks the calling thread. Only for threads that own their time (SQLite workers, tests), never inside a future.
#[allow(clippy::disallowed_methods, reason = "this is the place the ban points to")]
pub fn sleep(duration: Duration) {
    std::thread::sleep(duration);
}
