//! A file is attached, or its header is read, and never both at once: who closes a plain descriptor of a file drops every lock
//! that this process has on it, also SQLite's. An application's last connection would then remove the WAL under us.
//!
//! The table knows what may be attached: a reader asks it and is noted in one step, and who attaches enters the file in the
//! table first and then waits for those who read it already.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::record::Identity;

/// The files whose headers are being read.
#[derive(Default)]
pub struct Readers {
    /// A file that two read is there twice.
    reading: Mutex<Vec<Identity>>,
    ended: Condvar,
}

/// A read that is under way.
pub struct Reading<'a> {
    readers: &'a Readers,
    identity: Identity,
}

impl Readers {
    /// Notes a read until the answer is dropped.
    pub fn begin(&self, identity: Identity) -> Reading<'_> {
        self.lock().push(identity);
        Reading { readers: self, identity }
    }

    /// Waits until nobody reads this file. Blocks, usually not at all, and else for as long as 100 bytes take.
    pub fn wait_for(&self, identity: Identity) {
        let reading = self.lock();
        let ended = self.ended.wait_while(reading, |reading| reading.contains(&identity));
        drop(ended.unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Identity>> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut reading = self.readers.lock();
        if let Some(at) = reading.iter().position(|one| *one == self.identity) {
            reading.swap_remove(at);
        }
        drop(reading);
        self.readers.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    #[test]
    fn who_attaches_waits_for_all_who_read_that_file() {
        let readers = Readers::default();
        let (file, other) = (Identity { dev: 1, ino: 7 }, Identity { dev: 1, ino: 8 });
        let (first, second, _other) = (readers.begin(file), readers.begin(file), readers.begin(other));
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            let attaching = scope.spawn(|| {
                readers.wait_for(file);
                assert!(ended.load(Ordering::SeqCst));
            });
            drop(first);
            thread::yield_now();
            ended.store(true, Ordering::SeqCst);
            drop(second);
            attaching.join().unwrap();
        });
    }
}
