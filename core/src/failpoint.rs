//! Named places at which a crash test kills the program: every fsync, rename and removal of its own, every storage call, and
//! every step of the engine.
//!
//! Exists only with the `failpoints` feature, which no release has; otherwise the calls here are nothing. The one variable it
//! looks at is a switch of that build and no configuration:
//!
//! ```text
//! LITESTREAM_CRASH=NAME:N          SIGKILL of this process at the N-th hit of NAME
//! LITESTREAM_CRASH=NAME:N:MICROS   so much later: somewhere between this place and the next
//! ```
//!
//! A call around which there are two hits (before and after) is killed before it with an odd N and after it with an even one.

/// Every name. A hit of another one is a mistake.
#[cfg(feature = "failpoints")]
pub const NAMES: [&str; 27] = [
    // The engine's steps.
    "judged",
    "looking",
    "proved",
    "held",
    "locked",
    "copied",
    "unread",
    "passive",
    "read",
    "released",
    "written",
    // Local state.
    "l0-sync",
    "l0-rename",
    "l0-directory-sync",
    "l0-remove",
    "position-rename",
    "pages-sync",
    "pages-rename",
    "local-state-reset",
    "ledger-commit",
    // The store. Chunks and their end are seen from our side: a delay reaches the plugin's own fsync and rename.
    "storage-list",
    "storage-stat",
    "storage-read",
    "storage-write",
    "storage-write-chunk",
    "storage-delete",
    "storage-copy",
];

/// Does something that a crash may precede or follow.
pub(crate) fn around<T>(name: &'static str, work: impl FnOnce() -> T) -> T {
    hit(name);
    let result = work();
    hit(name);
    result
}

/// The program is at this place.
#[cfg(not(feature = "failpoints"))]
pub(crate) const fn hit(_name: &'static str) {}

#[cfg(feature = "failpoints")]
pub(crate) use armed::hit;

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use crate::clock;

    /// What the variable asks for.
    struct Crash {
        name: String,
        left: AtomicU32,
        delay: Duration,
    }

    static CRASH: LazyLock<Option<Crash>> = LazyLock::new(|| parse(&std::env::var("LITESTREAM_CRASH").ok()?));

    fn parse(text: &str) -> Option<Crash> {
        let mut parts = text.split(':');
        let (name, count) = (parts.next()?.to_owned(), parts.next()?.parse().ok()?);
        let delay = Duration::from_micros(parts.next().map_or(Some(0), |text| text.parse().ok())?);
        Some(Crash { name, left: AtomicU32::new(count), delay })
    }

    /// The program is at this place.
    pub(crate) fn hit(name: &'static str) {
        debug_assert!(super::NAMES.contains(&name), "{name} is not listed");
        let Some(crash) = CRASH.as_ref().filter(|crash| crash.name == name) else { return };
        if crash.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) != Ok(1) {
            return;
        }
        if crash.delay.is_zero() {
            die();
        }
        std::thread::spawn(move || {
            clock::sleep(crash.delay);
            die();
        });
    }

    fn die() -> ! {
        let this = rustix::process::getpid();
        loop {
            // No last words, no unwinding, nothing flushed.
            let _ = rustix::process::kill_process(this, rustix::process::Signal::KILL);
        }
    }
}
