//! SQLite applications, each a process of its own, so that locks and crashes are real: this test binary started again
//! (the SQLite we ship), Python's (the machine's SQLite), or the `sqlite3` shell.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// Whose SQLite the application runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The copy that this workspace is built with.
    Bundled,
    /// The one behind `python3`.
    Python,
}

/// How a child knows what it is to do; see `writer_child.rs` and `writer.py`.
pub(super) const DATABASE: &str = "LITESTREAM_TEST_DATABASE";
pub(super) const LOAD: &str = "LITESTREAM_TEST_LOAD";
/// Milliseconds between two commits of a load.
pub(super) const PACE: &str = "LITESTREAM_TEST_PACE";
pub(super) const RESTLESS: &str = "LITESTREAM_TEST_RESTLESS";
/// Every line of the protocol on standard output begins with it; the test runner's own lines do not.
pub(super) const MARK: char = '@';

/// One application with one open connection, told what to do statement by statement.
pub struct Application {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Application {
    pub fn open(engine: Engine, database: &Path) -> Self {
        let mut child = command(engine, database).spawn().unwrap();
        let requests = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, requests, answers }
    }

    /// Runs statements that return nothing of interest.
    pub fn exec(&mut self, sql: &str) {
        self.query(sql);
    }

    /// Runs a statement; its rows as `a|b` lines, the way the `sqlite3` shell prints them.
    pub fn query(&mut self, sql: &str) -> String {
        self.attempt(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Runs a statement that may be refused, for example because the database is locked.
    pub fn attempt(&mut self, sql: &str) -> Result<String, String> {
        let request = json!({ "sql": sql });
        writeln!(self.requests.as_mut().unwrap(), "{request}").expect("the application ended early");
        let answer = next_line(&mut self.answers).expect("the application ended early");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["rows"].as_str().unwrap().to_owned()),
        }
    }

    /// Closes the connection and ends, as a well-behaved application does.
    pub fn close(mut self) {
        self.requests = None;
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the application ended with {status}");
    }

    /// SIGKILL: the connection is not closed, locks and WAL are left as they are.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process of an application, with pipes to it.
pub(super) fn command(engine: Engine, database: &Path) -> Command {
    let mut command = match engine {
        Engine::Bundled => {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", super::writer_child::NAME, "--ignored", "--nocapture"]);
            command
        }
        Engine::Python => {
            let mut command = Command::new("python3");
            command.args(["-c", include_str!("writer.py")]);
            command
        }
    };
    command.env(DATABASE, database).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// The next line of the protocol, without its mark; `None` at the end.
pub(super) fn next_line(answers: &mut impl BufRead) -> Option<String> {
    loop {
        let mut line = String::new();
        if answers.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        // The runner prints `test name ... ` without a line end in front of the first answer.
        if let Some((_, rest)) = line.split_once(MARK) {
            return Some(rest.trim_end().to_owned());
        }
    }
}

/// One run of the `sqlite3` shell: opens the database, runs the statements, closes it.
pub fn sqlite_shell(database: &Path, sql: &str) -> String {
    let output = Command::new("sqlite3").arg("-bail").arg(database).arg(sql).output();
    let output = output.expect("the tests need the sqlite3 shell; .ci/run installs it");
    assert!(output.status.success(), "sqlite3 {sql}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
