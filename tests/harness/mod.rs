//! What every end-to-end test stands on. A test makes a [`Sandbox`], applications write databases in it from
//! processes of their own ([`Application`], [`Load`]), the program runs as a [`Daemon`] or a single command, and
//! [`Content`] compares what came back.

mod application;
mod browser;
mod content;
mod daemon;
mod http;
mod installation;
mod ledger;
mod poll;
mod program;
mod reference;
mod replica;
mod sandbox;
mod terminal;
mod writer_child;

pub use application::{Application, Engine, sqlite_shell};
pub use browser::Browser;
pub use content::{Content, assert_same};
pub use daemon::{Daemon, Signal};
pub use http::{exchange, exchange_with};
pub use installation::{installation, plugin_file_name, plugin_library};
pub use ledger::{Load, check_ledger, ledger_head};
pub use poll::{deadline, eventually, until};
pub use program::{Finished, Kind, Program};
pub use reference::find as find_reference;
pub use replica::{FileReplica, files_below};
pub use sandbox::Sandbox;
pub use terminal::Terminal;

/// Leaves the test when the subject is the reference, saying which promise of ours it does not make.
macro_rules! ours_only {
    ($program:expr, $why:expr) => {
        if $program.kind() == crate::harness::Kind::Reference {
            eprintln!("skipped against the reference: {}", $why);
            return;
        }
    };
}

/// The reference program, or leaves the test loudly where it is not installed (and fails under `CI=true`).
macro_rules! reference_or_skip {
    () => {
        match crate::harness::find_reference() {
            Some(program) => program,
            None => return,
        }
    };
}

pub(crate) use {ours_only, reference_or_skip};
