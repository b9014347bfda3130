//! Memory of databases that are not open any more goes back to the system.
//!
//! SQLite and the plugins allocate by the C library. What they free stays with the process, in the arena of each thread, until
//! the library is told otherwise: a fleet that was busy once would keep its largest size for good.

#![allow(unsafe_code, reason = "one call of the C library that nothing wraps")]

/// Gives back what can be. Takes milliseconds after a burst; other threads that allocate wait meanwhile.
#[cfg(target_env = "gnu")]
pub fn give_back() {
    // SAFETY: it takes a number of bytes to keep, and may be called at any time from any thread.
    let some = unsafe { libc::malloc_trim(0) };
    tracing::trace!(some, "memory given back");
}

/// Other C libraries give back by themselves.
#[cfg(not(target_env = "gnu"))]
pub fn give_back() {}
