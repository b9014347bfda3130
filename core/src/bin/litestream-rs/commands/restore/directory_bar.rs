//! One bar for a whole directory: databases done and left, their rate, and the bytes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::ProgressBar as Bar;
use litestream_core::clock;
use litestream_core::restore::{DirectoryProgress, Outcome};

use crate::{output, terminal};

/// The bar.
pub struct DirectoryBar {
    bar: Bar,
    started: Instant,
    bytes: AtomicU64,
    failed: AtomicU64,
}

impl DirectoryBar {
    /// Of so many databases.
    pub fn new(databases: usize) -> DirectoryBar {
        let bar = terminal::bar("{wide_bar} {human_pos}/{human_len} databases {per_sec} {msg} {eta}");
        bar.set_length(databases as u64);
        bar.enable_steady_tick(Duration::from_millis(200));
        DirectoryBar { bar, started: clock::monotonic(), bytes: AtomicU64::new(0), failed: AtomicU64::new(0) }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn tell(&self) {
        if self.bar.is_hidden() {
            return;
        }
        let bytes = self.bytes.load(Ordering::Relaxed);
        let seconds = clock::monotonic().saturating_duration_since(self.started).as_secs().max(1);
        let failed = match self.failed.load(Ordering::Relaxed) {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        self.bar.set_message(format!(
            "{}, {}/s{failed}",
            output::human_size(bytes),
            output::human_size(bytes / seconds)
        ));
    }
}

impl DirectoryProgress for DirectoryBar {
    fn advance(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.tell();
    }

    fn ended(&self, outcome: &Outcome) {
        if matches!(outcome, Outcome::Failed(_)) {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        self.bar.inc(1);
        self.tell();
    }
}
