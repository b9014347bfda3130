//! The exit codes of the program, all of them. Scripts of the reference know 0 and 1 and nothing else, so there is nothing else.

use std::process::{ExitCode, Termination};

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What was asked for was done.
    Success = 0,
    /// It was not; what went wrong is on stderr.
    Failure = 1,
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}
