//! Errors that end a command, and how they read: `Error: ...`, and where there is one, the thing to try next.

use std::fmt;

use crate::args::PROGRAM;

/// A mistake in what was typed. Shown as `Error: <text>`, then a line that helps: `Try: ...` or `Note: ...`.
#[derive(Debug)]
pub struct UsageError {
    message: String,
    help: Option<String>,
}

impl UsageError {
    /// A mistake without an obvious remedy, as the error that commands return.
    #[allow(clippy::new_ret_no_self, reason = "nobody wants the bare value: it is made to be returned with `?`")]
    pub fn new(message: impl Into<String>) -> anyhow::Error {
        UsageError { message: message.into(), help: None }.into()
    }

    /// A mistake, and the arguments that would have been right.
    pub fn with_try(message: impl Into<String>, arguments: impl fmt::Display) -> anyhow::Error {
        UsageError { message: message.into(), help: Some(format!("Try: {PROGRAM} {arguments}")) }.into()
    }

    /// A mistake, and perhaps what led to it.
    pub fn with_note(message: impl Into<String>, note: Option<String>) -> anyhow::Error {
        UsageError { message: message.into(), help: note.map(|note| format!("Note: {note}")) }.into()
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for UsageError {}

/// What goes to stderr for an error that ends the process, whole lines.
pub fn report(error: &anyhow::Error) -> String {
    let mut text = format!("Error: {}\n", chain(error));
    if let Some(line) = error.downcast_ref::<UsageError>().and_then(|usage| usage.help.as_deref()) {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// An error with its causes, `outer: inner`. A cause that the outer text already spells out is not said twice, not even in
/// the words that the reference has for an error of the system.
pub fn chain(error: &anyhow::Error) -> String {
    let core = |text: &str| text.split(" (os error ").next().unwrap_or_default().to_lowercase();
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.to_lowercase().contains(&core(&cause)) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_named_once() {
        let error = anyhow::anyhow!("disk is full").context("write /r/a: disk is full").context("cannot restore");
        assert_eq!(report(&error), "Error: cannot restore: write /r/a: disk is full\n");
        let missing = std::io::Error::from_raw_os_error(2);
        let error = anyhow::Error::new(missing).context("lstat /d: no such file or directory");
        assert_eq!(report(&error), "Error: lstat /d: no such file or directory\n");
    }

    #[test]
    fn usage_errors_say_what_to_try() {
        let error = UsageError::with_try("database path required", "reset /path/to/db");
        assert_eq!(report(&error), "Error: database path required\nTry: litestream-rs reset /path/to/db\n");
    }
}
