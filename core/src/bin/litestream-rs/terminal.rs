//! The terminal, where progress bars and log lines meet: bars step aside while a line is written.

use std::io::{self, Write};
use std::sync::LazyLock;

use indicatif::MultiProgress;

static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// All bars of this process, on stderr.
pub fn bars() -> &'static MultiProgress {
    &BARS
}

/// Writes to a terminal on which there may be bars.
pub struct BesideBars<W>(pub W);

impl<W: Write> Write for BesideBars<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        BARS.suspend(|| self.0.write_all(bytes).and_then(|()| self.0.flush())).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
