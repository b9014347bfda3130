//! Waiting for a condition. Nothing here, and nothing in the tests, waits for an amount of time.

use std::time::Duration;

use litestream_core::clock;

/// Longer than anything takes on a busy machine: it is reached only by a test that fails.
pub const DEADLINE: Duration = Duration::from_secs(90);
const STEP: Duration = Duration::from_millis(20);

/// Asks again and again until there is an answer.
pub fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = clock::monotonic() + DEADLINE;
    loop {
        if let Some(answer) = attempt() {
            return answer;
        }
        assert!(clock::monotonic() < deadline, "gave up after {DEADLINE:?} waiting for {what}");
        clock::sleep(STEP);
    }
}

/// Asks again and again until the condition holds.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    eventually(what, || condition().then_some(()));
}
