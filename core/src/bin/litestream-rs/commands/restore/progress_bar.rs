//! How far a restore is, for a person who watches: a bar on stderr, and nothing where that is no terminal.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar as Bar, ProgressStyle};
use litestream_core::restore::Progress;

use crate::terminal;

/// The bar of one restore.
pub struct ProgressBar {
    bar: Bar,
}

impl ProgressBar {
    /// Shows nothing until the first bytes are expected.
    pub fn new(output: &Path) -> ProgressBar {
        if !io::stderr().is_terminal() {
            return ProgressBar { bar: Bar::hidden() };
        }
        let style = ProgressStyle::with_template(
            "{prefix} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}",
        );
        let name = output.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bar = terminal::bars().add(Bar::no_length().with_prefix(name.escape_debug().to_string()));
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        ProgressBar { bar }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for ProgressBar {
    fn begin(&self, bytes: u64) {
        self.bar.set_length(bytes);
        self.bar.reset();
    }

    fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }
}
