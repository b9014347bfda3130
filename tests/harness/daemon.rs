//! The program as a long-running process, with its log.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use super::program::spawn;
use super::{Program, Sandbox, eventually, until};

pub use rustix::process::Signal;

/// A running program. Killed when the test leaves it; its log is printed if the test fails.
pub struct Daemon {
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Daemon {
    /// `replicate -config CONFIG`.
    pub fn replicate(program: &Program, sandbox: &Sandbox, config: &Path) -> Self {
        Self::spawn(program, sandbox, &["replicate", "-config", config.to_str().unwrap()])
    }

    pub fn spawn<A: AsRef<OsStr>>(program: &Program, sandbox: &Sandbox, args: &[A]) -> Self {
        Self::start(program.command(sandbox, args), sandbox)
    }

    pub fn start(command: Command, sandbox: &Sandbox) -> Self {
        let (log, file) = Self::new_log(sandbox);
        Self::with_streams(command, log, file.try_clone().unwrap(), file)
    }

    /// With standard error elsewhere; the log has standard output.
    pub fn with_stderr(command: Command, sandbox: &Sandbox, stderr: impl Into<Stdio>) -> Self {
        let (log, file) = Self::new_log(sandbox);
        Self::with_streams(command, log, file, stderr)
    }

    fn new_log(sandbox: &Sandbox) -> (PathBuf, File) {
        let log = sandbox.fresh("daemon.log");
        let file = File::create(&log).unwrap();
        (log, file)
    }

    fn with_streams(mut command: Command, log: PathBuf, stdout: File, stderr: impl Into<Stdio>) -> Self {
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        Self { child: spawn(&mut command), log, ended: None }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has written so far, both streams. Empty once the sandbox is gone.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits for a text in the log; fails at once if the program ends without it.
    pub fn wait_for_log(&mut self, text: &str) {
        self.wait_until(&format!("{text:?} in the log"), |daemon| daemon.log().contains(text));
    }

    /// Waits for a condition; fails at once if the program ends before it holds.
    pub fn wait_until(&mut self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        until(what, || {
            let ended = self.child.try_wait().unwrap();
            let holds = condition(self);
            self.ended = ended;
            assert!(holds || ended.is_none(), "the program ended with {} before {what}", ended.unwrap());
            holds
        });
    }

    pub fn signal(&self, signal: Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the end of the program, but not longer than this. True if it ended.
    #[cfg(feature = "failpoints")]
    pub fn ends_within(&mut self, patience: std::time::Duration) -> bool {
        use litestream_core::clock;
        let end = clock::monotonic() + patience;
        while self.ended.is_none() && clock::monotonic() < end {
            clock::sleep(std::time::Duration::from_millis(5));
            self.ended = self.child.try_wait().unwrap();
        }
        self.ended.is_some()
    }

    /// Waits for the end of the program.
    pub fn wait(&mut self) -> ExitStatus {
        let status = eventually("the program to end", || self.child.try_wait().unwrap());
        self.ended = Some(status);
        status
    }

    /// SIGTERM, and the clean end that has to follow.
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert!(status.success(), "after SIGTERM: {status}");
    }

    /// SIGKILL: no last words.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.wait();
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.ended.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail = log.char_indices().rev().nth(6000).map_or(0, |(at, _)| at);
            eprintln!("--- end of the log of process {}\n{}", self.child.id(), &log[tail..]);
        }
    }
}
