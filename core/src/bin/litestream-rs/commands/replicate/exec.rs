//! `-exec`: the program that litestream-rs runs beside itself, and whose end is its own.

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};

use anyhow::Context;
use rustix::thread::disable_transparent_huge_pages;
use tokio::process::{Child, Command};

use crate::signals::Received;

/// The words of a command line: quotes and backslashes as in a shell, and nothing else of a shell.
///
/// # Errors
/// A quote is left open, or there is no word.
pub fn split(command_line: &str) -> anyhow::Result<Vec<String>> {
    let words = shell_words::split(command_line).ok().filter(|words| !words.is_empty());
    words.context("cannot parse exec command: invalid command line string")
}

/// The running program.
pub struct ExecChild {
    child: Child,
}

impl ExecChild {
    /// Starts it with our output and environment, and without input.
    ///
    /// # Errors
    /// There is no such program, or it cannot be run.
    pub fn start(words: &[String]) -> anyhow::Result<ExecChild> {
        let (program, arguments) =
            words.split_first().context("cannot parse exec command: invalid command line string")?;
        // What `main` said of huge pages would hold for the application as well.
        let _ = disable_transparent_huge_pages(false);
        let started = Command::new(program).args(arguments).stdin(Stdio::null()).spawn();
        let _ = disable_transparent_huge_pages(true);
        let child = started.with_context(|| format!("cannot start exec command: {program:?}"))?;
        Ok(ExecChild { child })
    }

    /// Waits for its end. May be dropped and called again.
    ///
    /// # Errors
    /// It did not exit with 0; the text is Go's: `exit status 7`, `signal: killed`.
    pub async fn wait(&mut self) -> anyhow::Result<()> {
        let status = self.child.wait().await.context("cannot wait for exec process")?;
        if status.success() { Ok(()) } else { Err(anyhow::Error::msg(describe(status))) }
    }

    /// Passes a signal on and waits, however long it takes. That it dies of the signal is what was asked for.
    ///
    /// # Errors
    /// It exited by itself, with another code than 0.
    pub async fn end(&mut self, signal: Received) -> anyhow::Result<()> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            tracing::info!("sending signal to exec process");
            // The only refusal is that it is gone already, which the wait finds out.
            let _ = rustix::process::kill_process(id, signal.to_system());
        }
        tracing::info!("waiting for exec process to close");
        let status = self.child.wait().await.context("cannot wait for exec process")?;
        if status.success() || status.signal().is_some() {
            return Ok(());
        }
        Err(anyhow::Error::msg(describe(status)).context("cannot wait for exec process"))
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, signal) => format!("signal: {}", signal_name(signal.unwrap_or_default())),
    }
}

/// Go's names.
fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        11 => "segmentation fault",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_split_without_a_shell() {
        assert_eq!(split(r#"sh -c "exit 7" a\ b '$X'"#).unwrap(), ["sh", "-c", "exit 7", "a b", "$X"]);
        for bad in [r#"a "b"#, "a 'b", "  "] {
            assert_eq!(split(bad).unwrap_err().to_string(), "cannot parse exec command: invalid command line string");
        }
    }

    #[tokio::test]
    async fn the_end_of_the_program_is_told_in_gos_words() {
        for (line, told) in
            [("exit 0", None), ("exit 7", Some("exit status 7")), ("kill -9 $$", Some("signal: killed"))]
        {
            let words = ["sh", "-c", line].map(str::to_owned);
            let ended = ExecChild::start(&words).unwrap().wait().await;
            assert_eq!(ended.err().map(|error| error.to_string()).as_deref(), told, "{line}");
        }
    }

    #[tokio::test]
    async fn dying_of_our_signal_is_a_success_and_an_own_code_is_not() {
        let sleeps = ["sleep", "60"].map(str::to_owned);
        assert!(ExecChild::start(&sleeps).unwrap().end(Received::Terminate).await.is_ok());
        let exits = ["sh", "-c", "exit 3"].map(str::to_owned);
        let error = ExecChild::start(&exits).unwrap().end(Received::Interrupt).await;
        // The signal may reach it before it exits by itself; both ends are legal for it, only the words are fixed.
        if let Err(error) = error {
            assert_eq!(format!("{error:#}"), "cannot wait for exec process: exit status 3");
        }
    }

    #[test]
    fn a_program_that_cannot_be_started_is_named() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let error = ExecChild::start(&["/no/such/program".to_owned()]).err().unwrap();
        assert_eq!(
            format!("{error:#}"),
            "cannot start exec command: \"/no/such/program\": No such file or directory (os error 2)"
        );
    }
}
