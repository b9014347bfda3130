//! Waiting for a condition. Nothing here, and nothing in the tests, waits for an amount of time.

use std::time::Duration;

use litestream_core::clock;

/// Longer than anything takes on a busy machine: it is reached only by a test that fails.
/// `LITESTREAM_TEST_DEADLINE` (in seconds) makes it another.
pub fn deadline() -> Duration {
    let chosen = std::env::var("LITESTREAM_TEST_DEADLINE").ok();
    Duration::from_secs(chosen.map_or(90, |seconds| seconds.parse().expect("LITESTREAM_TEST_DEADLINE is in seconds")))
}

const STEP: Duration = Duration::from_millis(20);

/// Asks again and again until there is an answer.
pub fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let patience = deadline();
    let end = clock::monotonic() + patience;
    loop {
        if let Some(answer) = attempt() {
            return answer;
        }
        assert!(clock::monotonic() < end, "gave up after {patience:?} waiting for {what}");
        clock::sleep(STEP);
    }
}

/// Asks again and again until the condition holds.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    eventually(what, || condition().then_some(()));
}
