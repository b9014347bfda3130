//! The engine's process, as the schedule sees it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// How to start it.
#[derive(Clone)]
pub struct Start {
    pub database: PathBuf,
    pub state: PathBuf,
    pub rules_off: String,
    pub racy_ms: u64,
    pub settings: String,
}

/// A running `wal-follower`.
pub struct Engine {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Engine {
    pub fn start(start: &Start) -> Engine {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wal-follower"))
            .args([&start.database, &start.state])
            .env("FOLLOWER_OFF", &start.rules_off)
            .env("FOLLOWER_RACY_MS", start.racy_ms.to_string())
            .env("FOLLOWER_SETTINGS", &start.settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start engine");
        let input = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Engine { child, input, output }
    }

    /// One line there, one line back.
    pub fn ask(&mut self, line: &str) -> String {
        let _ = writeln!(self.input, "{line}").and_then(|()| self.input.flush());
        let mut answer = String::new();
        match self.output.read_line(&mut answer) {
            Ok(length) if length > 0 => answer.trim_end().to_owned(),
            _ => "err died".to_owned(),
        }
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where the engine keeps its local state.
pub fn meta_of(state: &Path) -> PathBuf {
    let mut meta = state.as_os_str().to_owned();
    meta.push("-meta");
    meta.into()
}
