//! How far a restore is, for a person who watches.

use std::path::Path;
use std::time::Duration;

use indicatif::ProgressBar as Bar;
use litestream_core::restore::Progress;

use crate::terminal;

/// The bar of one restore. Goes away when the database is there, at the latest when dropped.
pub struct ProgressBar {
    bar: Bar,
}

impl ProgressBar {
    /// Shows nothing until the first bytes are expected.
    pub fn new(output: &Path) -> ProgressBar {
        let name = output.file_name().unwrap_or_default().to_string_lossy();
        let template = "{prefix} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}";
        ProgressBar { bar: terminal::bar(template).with_prefix(name.escape_debug().to_string()) }
    }
}

impl Progress for ProgressBar {
    fn begin(&self, bytes: u64) {
        self.bar.set_length(bytes);
        self.bar.reset();
        self.bar.enable_steady_tick(Duration::from_millis(200));
    }

    fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for ProgressBar {
    fn drop(&mut self) {
        self.finish();
    }
}
