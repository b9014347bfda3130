//! An application: another process with SQLite connections of its own, driven line by line over its standard input.
//!
//! It is this test binary again, started with a role. SIGKILL is a method.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

const ROLE: &str = "LITESTREAM_TEST_APPLICATION";
/// The test runner prints lines of its own; ours begin with this.
const MARK: &str = "> ";

/// The other process.
pub struct Application {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Application {
    /// Starts one.
    pub fn start() -> Application {
        Application::start_with(&[])
    }

    /// Starts one with more in its environment.
    pub fn start_with(environment: &[(&OsStr, &OsStr)]) -> Application {
        let mut child = Command::new(std::env::current_exe().expect("path of this test"))
            .envs(environment.iter().copied())
            .args(["application::process", "--exact", "--nocapture", "--quiet", "--test-threads=1"])
            .env(ROLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start application");
        let input = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Application { child, input, output }
    }

    /// One with a connection `w` open in WAL mode without automatic checkpoints.
    pub fn with_open(path: &Path) -> Application {
        let mut application = Application::start();
        application.open("w", path);
        application.run("w", "PRAGMA wal_autocheckpoint = 0");
        application
    }

    /// Opens a connection and gives it a name.
    pub fn open(&mut self, name: &str, path: &Path) {
        let path: String = path.as_os_str().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        self.ask(&format!("open {name} {path}")).expect("open database");
    }

    /// Closes a connection.
    pub fn close(&mut self, name: &str) {
        self.ask(&format!("close {name}")).expect("close database");
    }

    /// Runs one statement; rows as text, columns separated by `|`.
    pub fn sql(&mut self, name: &str, sql: &str) -> Result<Vec<String>, String> {
        assert!(!sql.contains('\n'), "one line");
        let answer = self.ask(&format!("sql {name} {sql}"))?;
        Ok(if answer.is_empty() { Vec::new() } else { answer.split('\t').map(str::to_owned).collect() })
    }

    /// As [`Application::sql`], and must work.
    pub fn run(&mut self, name: &str, sql: &str) -> Vec<String> {
        self.sql(name, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Adds `count` rows to table `t`, in one transaction.
    pub fn fill(&mut self, count: u32, value: &str) {
        self.run(
            "w",
            &format!(
                "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {count}) \
                 INSERT INTO t (b) SELECT {value} FROM s"
            ),
        );
    }

    /// Lets the connection commit on its own, `count` transactions without a pause.
    pub fn start_load(&mut self, name: &str, count: u32) {
        writeln!(self.input, "load {name} {count}").and_then(|()| self.input.flush()).expect("send");
    }

    /// Waits for the end of the load.
    pub fn finish_load(&mut self) {
        self.answer().expect("load");
    }

    /// `busy|log|checkpointed`.
    pub fn checkpoint(&mut self, mode: &str) -> String {
        self.run("w", &format!("PRAGMA wal_checkpoint({mode})")).remove(0)
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// Sends one line and reads the answer.
    pub fn ask(&mut self, line: &str) -> Result<String, String> {
        writeln!(self.input, "{line}").and_then(|()| self.input.flush()).map_err(|error| format!("died: {error}"))?;
        self.answer()
    }

    fn answer(&mut self) -> Result<String, String> {
        let mut answer = String::new();
        loop {
            answer.clear();
            if self.output.read_line(&mut answer).map_err(|error| error.to_string())? == 0 {
                return Err("died".to_owned());
            }
            // The runner may leave its own text in front of ours on the same line.
            if let Some((_, ours)) = answer.trim_end_matches('\n').split_once(MARK) {
                let (word, rest) = ours.split_once(' ').unwrap_or((ours, ""));
                return if word == "ok" { Ok(rest.to_owned()) } else { Err(rest.to_owned()) };
            }
        }
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The other side: does nothing unless it was started as an application.
#[test]
fn process() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let mut connections = HashMap::new();
    for line in std::io::stdin().lock().lines() {
        let answer = match serve(&mut connections, &line.expect("line")) {
            Ok(text) => format!("{MARK}ok {text}\n"),
            Err(error) => format!("{MARK}err {}\n", error.to_string().replace('\n', " ")),
        };
        let mut output = std::io::stdout().lock();
        output.write_all(answer.as_bytes()).and_then(|()| output.flush()).expect("answer");
    }
}

fn serve(connections: &mut HashMap<String, Connection>, line: &str) -> rusqlite::Result<String> {
    let mut words = line.splitn(3, ' ');
    let (verb, name, rest) = (words.next().unwrap_or(""), words.next().unwrap_or(""), words.next().unwrap_or(""));
    match verb {
        "open" => {
            let bytes = (0..rest.len() / 2).map(|at| u8::from_str_radix(&rest[2 * at..2 * at + 2], 16).expect("hex"));
            let path = PathBuf::from(std::ffi::OsString::from_vec(bytes.collect()));
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(std::time::Duration::ZERO)?;
            connections.insert(name.to_owned(), connection);
            Ok(String::new())
        }
        "close" => connections.remove(name).expect("open").close().map(|()| String::new()).map_err(|(_, error)| error),
        "load" => load(connections.get(name).expect("open"), rest.parse().expect("number")),
        _ => rows(connections.get(name).expect("open"), rest),
    }
}

/// Each transaction counts the rows after it, so that a torn or mixed image shows.
fn load(connection: &Connection, count: u32) -> rusqlite::Result<String> {
    let first: u32 = connection.query_row("SELECT n FROM counter", [], |row| row.get(0))?;
    for n in first..first + count {
        connection.busy_timeout(std::time::Duration::from_secs(60))?;
        let size = if n % 37 == 0 { 60_000 } else { 50 + n % 400 };
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; INSERT INTO rows (b) VALUES (zeroblob({size}));
             DELETE FROM rows WHERE a % 11 = {} AND a < (SELECT max(a) FROM rows) - 200;
             UPDATE counter SET n = (SELECT count(*) FROM rows); COMMIT",
            n % 11
        ))?;
        if n % 23 == 0 {
            let mode = ["PASSIVE", "FULL", "RESTART", "TRUNCATE"][(n / 23) as usize % 4];
            connection.busy_timeout(std::time::Duration::ZERO)?;
            connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()))?;
        }
    }
    Ok(String::new())
}

fn rows(connection: &Connection, sql: &str) -> rusqlite::Result<String> {
    let mut statement = connection.prepare(sql)?;
    let columns = statement.column_count();
    let mut found = statement.query([])?;
    let mut lines = Vec::new();
    while let Some(row) = found.next()? {
        let cells = (0..columns).map(|column| row.get_ref(column).map(cell));
        lines.push(cells.collect::<rusqlite::Result<Vec<_>>>()?.join("|"));
    }
    Ok(lines.join("\t"))
}

fn cell(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()),
    }
}
