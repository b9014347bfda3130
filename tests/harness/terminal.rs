//! A person at a terminal: what a program writes to it, and what then stands on the screen.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::retry_on_intr;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Somebody looks at it all the time, until it is closed or no program has it any more.
pub struct Terminal {
    seen: Arc<Mutex<Seen>>,
    /// Its end makes the one who looks go away.
    close: Option<OwnedFd>,
    reader: Option<JoinHandle<()>>,
}

struct Seen {
    parser: vt100::Parser,
    /// After each piece of output.
    screens: Vec<String>,
}

impl Terminal {
    /// A terminal of this size, and the device that a program is to write to.
    pub fn open(rows: u16, columns: u16) -> (Self, OwnedFd) {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&controller, size).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let device = rustix::fs::open(&name, flags, Mode::empty()).unwrap();
        let parser = vt100::Parser::new(rows, columns, 0);
        let seen = Arc::new(Mutex::new(Seen { parser, screens: Vec::new() }));
        let (closed, close) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let looking = Arc::clone(&seen);
        let reader = thread::spawn(move || watch(File::from(controller), closed.as_fd(), &looking));
        (Self { seen, close: Some(close), reader: Some(reader) }, device)
    }

    /// What stands there now.
    pub fn screen(&self) -> String {
        self.seen.lock().unwrap().parser.screen().contents()
    }

    /// Waits until no program has the terminal any more. Everything that stood there at any time, the last screen last.
    pub fn screens(mut self) -> Vec<String> {
        self.reader.take().unwrap().join().unwrap();
        let mut seen = self.seen.lock().unwrap();
        std::mem::take(&mut seen.screens)
    }

    /// The window is closed, and programs write to nobody.
    pub fn close(mut self) {
        drop(self.close.take());
        self.reader.take().unwrap().join().unwrap();
    }
}

fn watch(mut controller: File, closed: BorrowedFd<'_>, seen: &Mutex<Seen>) {
    let mut bytes = [0; 4096];
    loop {
        let mut events = [PollFd::new(&controller, PollFlags::IN), PollFd::from_borrowed_fd(closed, PollFlags::IN)];
        retry_on_intr(|| poll(&mut events, None)).unwrap();
        if !events[1].revents().is_empty() {
            return;
        }
        // An error is the end: no program has the device.
        let Ok(read @ 1..) = controller.read(&mut bytes) else { return };
        let mut seen = seen.lock().unwrap();
        seen.parser.process(&bytes[..read]);
        let screen = seen.parser.screen().contents();
        seen.screens.push(screen);
    }
}
