//! The program under test: which binary it is, the environment it runs in, and one command run to its end.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use super::{Sandbox, eventually, find_reference, installation};

/// Who wrote the binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ours,
    Reference,
}

/// A Litestream-compatible binary.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    kind: Kind,
    env: Vec<(String, String)>,
}

impl Program {
    pub fn new(path: impl Into<PathBuf>, kind: Kind) -> Self {
        Self { path: path.into(), kind, env: Vec::new() }
    }

    /// The same program with a variable in the environment of every command.
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The binary of this build.
    pub fn ours() -> Self {
        Self::new(installation().join("litestream-rs"), Kind::Ours)
    }

    /// What the tests judge: our binary, or the reference when `LITESTREAM_SUBJECT=reference`.
    pub fn subject() -> Self {
        match std::env::var("LITESTREAM_SUBJECT").as_deref() {
            Ok("reference") => find_reference().expect("LITESTREAM_SUBJECT=reference needs the reference installed"),
            Ok(other) => panic!("LITESTREAM_SUBJECT={other}: only `reference` is known"),
            Err(_) => Self::ours(),
        }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// A command in a clean environment: no credentials or settings of the machine reach the program.
    pub fn command<A: AsRef<OsStr>>(&self, sandbox: &Sandbox, args: &[A]) -> Command {
        let mut command = Command::new(&self.path);
        command.args(args).current_dir(sandbox.root()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", sandbox.root()).env("TZ", "UTC").env("NO_PROXY", "127.0.0.1");
        if self.kind == Kind::Ours {
            command.env("RUST_BACKTRACE", "1");
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs one command to its end.
    pub fn run<A: AsRef<OsStr>>(&self, sandbox: &Sandbox, args: &[A]) -> Finished {
        finish(sandbox, self.command(sandbox, args))
    }

    /// Runs one command to its end as another user.
    pub fn run_as(&self, sandbox: &Sandbox, args: &[&str], user: u32) -> Finished {
        let mut command = self.command(sandbox, args);
        command.uid(user).gid(user);
        finish(sandbox, command)
    }

    /// The same program with all its plugins, copied to a directory.
    pub fn install(&self, directory: &Path) -> Program {
        for file in std::fs::read_dir(self.path.parent().unwrap()).unwrap().map(Result::unwrap) {
            std::fs::copy(file.path(), directory.join(file.file_name())).unwrap();
        }
        Program::new(directory.join(self.path.file_name().unwrap()), self.kind)
    }

    /// The same program without any plugin beside it.
    pub fn without_plugins(&self, sandbox: &Sandbox) -> Program {
        let path = sandbox.fresh("bin");
        std::fs::copy(&self.path, &path).unwrap();
        Program::new(path, self.kind)
    }

    /// Runs one command that has to succeed.
    pub fn must<A: AsRef<OsStr>>(&self, sandbox: &Sandbox, args: &[A]) -> Finished {
        let finished = self.run(sandbox, args);
        assert!(finished.status.success(), "{finished}");
        finished
    }

    /// Restores `source` (a URL) to a fresh path of the sandbox.
    pub fn restore(&self, sandbox: &Sandbox, source: &str, more: &[&str]) -> PathBuf {
        let output = sandbox.fresh("restored.db");
        let mut args = vec!["restore", "-o", output.to_str().unwrap()];
        args.extend(more);
        args.push(source);
        self.must(sandbox, &args);
        output
    }

    /// Restores `source` again and again, while a daemon works on it, until the result is the wanted one.
    pub fn restore_until(
        &self,
        sandbox: &Sandbox,
        source: &str,
        what: &str,
        wanted: impl Fn(&Path) -> bool,
    ) -> PathBuf {
        eventually(&format!("a restore of {source} with {what}"), || {
            let output = sandbox.fresh("restored.db");
            let finished = self.run(sandbox, &["restore", "-o", output.to_str().unwrap(), source]);
            (finished.status.success() && wanted(&output)).then_some(output)
        })
    }

    /// `replicate -once` with a configuration file.
    pub fn once(&self, sandbox: &Sandbox, config: &Path) -> Finished {
        self.run(sandbox, &["replicate", "-once", "-config", config.to_str().unwrap()])
    }
}

/// A command that ended.
#[derive(Debug)]
pub struct Finished {
    pub command: String,
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// The exit code; a death by signal fails the test.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("ended by a signal: {self}"))
    }

    /// Standard output and standard error together, for texts whose stream is not the promise.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Fails unless the command ended with exit code 1 and `text` stands on standard error.
    pub fn refused_with(&self, text: &str) {
        assert_eq!(self.code(), 1, "{self}");
        assert!(self.stderr.contains(text), "standard error should hold {text:?}: {self}");
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self}"))
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n{}\n--- stdout\n{}--- stderr\n{}", self.command, self.status, self.stdout, self.stderr)
    }
}

/// Starts a program. One that was just written here may still be open in a child that another test is about to start: the
/// system calls it busy until that child runs its own program.
pub fn spawn(command: &mut Command) -> Child {
    let text = format!("{command:?}");
    eventually(&text, || match command.spawn() {
        Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => None,
        started => Some(started.unwrap_or_else(|error| panic!("{text}: {error}"))),
    })
}

/// Runs a command to its end, or kills it at the deadline. Output goes through files: a pipe held open by a grandchild
/// would make us wait for that one too.
fn finish(sandbox: &Sandbox, mut command: Command) -> Finished {
    let (stdout, stderr) = (sandbox.fresh("stdout"), sandbox.fresh("stderr"));
    command.stdin(Stdio::null());
    command.stdout(std::fs::File::create(&stdout).unwrap()).stderr(std::fs::File::create(&stderr).unwrap());
    let text = format!("{command:?}");
    let mut child = KillOnDrop(spawn(&mut command));
    let status = eventually(&text, || child.0.try_wait().unwrap());
    let read = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    Finished { command: text, status, stdout: read(&stdout), stderr: read(&stderr) }
}

struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
