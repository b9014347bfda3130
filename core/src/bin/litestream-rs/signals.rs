//! SIGINT and SIGTERM, which mean the same: the first asks for a last sync and an orderly end, the second for an end.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals this process ends on. While this exists they no longer kill it.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

/// One that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Signals {
    /// Takes them over. Needs a tokio runtime.
    ///
    /// # Errors
    /// The system refuses a handler.
    pub fn install() -> io::Result<Signals> {
        Ok(Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one. May be dropped at any time without losing one.
    pub async fn next(&mut self) -> Received {
        tokio::select! {
            _ = self.interrupt.recv() => Received::Interrupt,
            _ = self.terminate.recv() => Received::Terminate,
        }
    }
}

impl Signals {
    /// The next one, if it comes within a while.
    pub async fn within(&mut self, patience: Duration) -> Option<Received> {
        tokio::time::timeout(patience, self.next()).await.ok()
    }
}

impl Received {
    /// The name in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Received::Interrupt => "interrupt",
            Received::Terminate => "terminated",
        }
    }

    /// For passing it on.
    pub fn to_system(self) -> rustix::process::Signal {
        match self {
            Received::Interrupt => rustix::process::Signal::INT,
            Received::Terminate => rustix::process::Signal::TERM,
        }
    }
}
