//! The terminal, where progress bars and log lines meet: bars step aside while a line is written.

use std::io::{self, Write};
use std::sync::LazyLock;

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

/// How often a person sees a change, at most.
const DRAWS_PER_SECOND: u8 = 20;

/// All bars of this process, on stderr. They show nothing where that is no terminal, or one that cannot move its
/// cursor.
static BARS: LazyLock<MultiProgress> = LazyLock::new(|| {
    let stderr = Term::buffered_stderr();
    MultiProgress::with_draw_target(if stderr.is_term() && !console::is_dumb() {
        ProgressDrawTarget::term_like_with_hz(Box::new(Screen(stderr)), DRAWS_PER_SECOND)
    } else {
        ProgressDrawTarget::hidden()
    })
});

/// Whether bars are shown.
pub fn shows_bars() -> bool {
    !BARS.is_hidden()
}

/// A bar that is shown from its first change on.
pub fn bar(template: &str) -> ProgressBar {
    let bar = BARS.add(ProgressBar::no_length());
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
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

/// Where bars are drawn. Nothing that goes wrong there matters: a terminal may be closed at any time, and `suspend`
/// panics at an error.
#[derive(Debug)]
struct Screen(Term);

impl TermLike for Screen {
    fn width(&self) -> u16 {
        self.0.size().1
    }

    fn height(&self) -> u16 {
        self.0.size().0
    }

    fn move_cursor_up(&self, lines: usize) -> io::Result<()> {
        self.0.move_cursor_up(lines).or(Ok(()))
    }

    fn move_cursor_down(&self, lines: usize) -> io::Result<()> {
        self.0.move_cursor_down(lines).or(Ok(()))
    }

    fn move_cursor_right(&self, columns: usize) -> io::Result<()> {
        self.0.move_cursor_right(columns).or(Ok(()))
    }

    fn move_cursor_left(&self, columns: usize) -> io::Result<()> {
        self.0.move_cursor_left(columns).or(Ok(()))
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.0.write_line(text).or(Ok(()))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.write_str(text).or(Ok(()))
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line().or(Ok(()))
    }

    fn flush(&self) -> io::Result<()> {
        self.0.flush().or(Ok(()))
    }
}
