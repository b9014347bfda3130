//! Memory that a busy time has left behind goes back to the system.
//!
//! Plugins allocate by the C library, the rest of the program and SQLite by an allocator of their own. Both keep what is
//! freed, in the arenas of threads, until somebody asks: a fleet that was busy once would keep its largest size for good.
//! The workers, which open and close the databases, have to ask for their own.

#![allow(unsafe_code, reason = "one call of each allocator that nothing wraps")]

/// Gives back what can be of the C library, of this thread and of threads that ended. Takes milliseconds after a busy time;
/// other threads that allocate may wait meanwhile.
pub fn give_back() {
    give_back_of_this_thread();
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes a number of bytes to keep, and may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The same without the C library, which one call serves for all threads.
pub fn give_back_of_this_thread() {
    // SAFETY: it may be called at any time from any thread, and in a program with another allocator it finds nothing.
    unsafe { libmimalloc_sys::mi_collect(true) };
}
