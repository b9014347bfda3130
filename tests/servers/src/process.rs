//! One server process.

use std::fs;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The longest that a server may take to become ready: a busy machine with two cores.
const PATIENCE: Duration = Duration::from_secs(60);
/// Another process may take a port between our look and the server's start.
const ATTEMPTS: u32 = 3;

/// Runs the server, and waits for the end of its input: then it ends, with everything it started, and its directory
/// goes. So a server never outlives the process that started it, whatever happens to that one.
const GUARD: &str = r#""$@" </dev/null >server.log 2>&1 & server=$!; echo $server >server.pid
cat >/dev/null; kill -9 $server; wait $server; dir=$PWD; cd /; rm -rf "$dir"; kill -9 0"#;

/// A running server. Dropping it stops it and removes its files.
pub struct Server {
    guard: Child,
    dir: PathBuf,
    port: u16,
}

impl Server {
    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("server.log")).unwrap_or_default()
    }

    /// Starts what `prepare` makes for a fresh directory and a port, and waits until `ready`.
    pub(crate) fn start(prepare: impl Fn(&Path, u16) -> Command, ready: impl Fn(&Server) -> bool) -> Server {
        for attempt in 1.. {
            let dir = tempfile::Builder::new().prefix("litestream-rs-server-").tempdir();
            let dir = dir.expect("a temporary directory").keep();
            let port = crate::free_port();
            let server = Server { guard: guarded(&prepare(&dir, port), &dir), dir, port };
            match server.wait_until("became ready", || TcpStream::connect(server.address()).is_ok() && ready(&server)) {
                Ok(()) => return server,
                Err(failed) => assert!(attempt < ATTEMPTS && server.has_ended(), "{failed}"),
            }
        }
        unreachable!("the last attempt returns or fails")
    }

    /// Polls; fails with the server's log when it ended or too much time went by.
    fn wait_until(&self, what: &str, ready: impl Fn() -> bool) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while !ready() {
            let ended = self.has_ended();
            if ended || Instant::now() > deadline {
                let why = if ended { "it ended" } else { "it ran on" };
                return Err(format!("a server never {what}: {why}; its log:\n{}", self.log()));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Its guard does not look after it, so an ended server stays as a zombie.
    fn has_ended(&self) -> bool {
        let Ok(pid) = fs::read_to_string(self.dir.join("server.pid")) else { return false };
        let status = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        !pid.trim().is_empty() && status.rsplit(") ").next().is_none_or(|rest| rest.starts_with('Z') || rest.is_empty())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.guard.stdin.take()); // The guard sees the end, and cleans up.
        let _ = self.guard.wait();
    }
}

fn guarded(command: &Command, dir: &Path) -> Child {
    let mut guard = Command::new("sh");
    guard.arg("-c").arg(GUARD).arg("sh").arg(command.get_program()).args(command.get_args());
    guard.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    guard.current_dir(dir).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // A group of its own: an interrupt from the terminal is for the tests, and the guard can end all of it at once.
    guard.process_group(0);
    guard.spawn().expect("every system has a shell")
}
