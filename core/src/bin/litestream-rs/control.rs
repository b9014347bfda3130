//! The client of the control socket, for the commands that ask a running daemon.
//!
//! One request, one connection. HTTP/1.0, so that the answer is what comes until the connection ends, from our daemon and
//! from the reference's alike.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use litestream_core::config::Environment;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::args::{Args, Flag, Kind};
use crate::{commands, runtime};

/// Where the daemon listens.
pub const SOCKET: Flag =
    Flag::value("socket", Kind::Text, "PATH", "Path to control socket.").default("/var/run/litestream.sock");

/// For commands that change something.
pub const TIMEOUT: Flag =
    Flag::value("timeout", Kind::Integer, "SECONDS", "Maximum time to wait in seconds.").default("30");

/// For commands that only look.
pub const SHORT_TIMEOUT: Flag =
    Flag::value("timeout", Kind::Integer, "SECONDS", "Maximum time to wait in seconds.").default("10");

/// The daemon gets this much longer than it is asked to take: what it says of a time limit tells more than silence.
const GRACE: Duration = Duration::from_secs(5);

/// Which daemon, and how long to wait for it.
pub struct Daemon {
    /// As written, for output.
    pub socket: String,
    /// Seconds, for requests. Zero and less: the daemon's own limit.
    pub timeout: i64,
}

/// `{"error": ...}` of a daemon.
#[derive(serde::Deserialize)]
struct Refused {
    error: String,
    details: Option<Json>,
}

impl Daemon {
    /// Reads the flags. `timeout` is the one the command has.
    ///
    /// # Errors
    /// No time at all, which a request cannot be done in.
    pub fn of(args: &Args, timeout: &Flag) -> anyhow::Result<Daemon> {
        let daemon = Daemon::with_any_timeout(args, timeout);
        anyhow::ensure!(daemon.timeout > 0, "timeout must be greater than 0");
        Ok(daemon)
    }

    /// The same for `start` and `stop`, which in the reference do not look at the time limit.
    pub fn with_any_timeout(args: &Args, timeout: &Flag) -> Daemon {
        let seconds = args.text(timeout).and_then(|text| text.parse().ok()).unwrap_or_default();
        Daemon { socket: args.text(&SOCKET).unwrap_or_default().to_owned(), timeout: seconds }
    }

    /// Asks for `/name`.
    ///
    /// # Errors
    /// Nobody there, no answer in time, or a refusal.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> anyhow::Result<T> {
        self.exchange("Get", name, None)
    }

    /// Asks for `/name?path=PATH`. `Ok(Err(reason))`: the daemon does not know the database, and perhaps why.
    ///
    /// # Errors
    /// As [`Daemon::get`].
    pub fn get_of<T: DeserializeOwned>(&self, name: &str, path: &Path) -> anyhow::Result<Result<T, Option<String>>> {
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("path", &text(path)).finish();
        let (status, body) = self.ask("Get", &format!("{name}?{query}"), None)?;
        let refused = serde_json::from_slice::<Refused>(&body);
        match refused {
            Ok(Refused { details, .. }) if status == 404 => {
                Ok(Err(details.and_then(|details| details.as_str().map(str::to_owned))))
            }
            _ => read(name, status, &body).map(Ok),
        }
    }

    /// Posts a request to `/name`.
    ///
    /// # Errors
    /// As [`Daemon::get`].
    pub fn post<T: DeserializeOwned>(&self, name: &str, request: &impl Serialize) -> anyhow::Result<T> {
        self.exchange("Post", name, Some(serde_json::to_vec(request)?))
    }

    fn exchange<T: DeserializeOwned>(&self, verb: &str, name: &str, body: Option<Vec<u8>>) -> anyhow::Result<T> {
        let (status, body) = self.ask(verb, name, body)?;
        read(name, status, &body)
    }

    /// Status and body of the answer.
    fn ask(&self, verb: &str, name: &str, body: Option<Vec<u8>>) -> anyhow::Result<(u16, Vec<u8>)> {
        let failed = |reason: String| {
            anyhow::anyhow!("failed to connect to control socket: {verb} \"http://localhost/{name}\": {reason}")
        };
        let request = message(verb, name, body.as_deref());
        let limit = u64::try_from(self.timeout).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs);
        let answer = runtime::block_on(async {
            let talk = talk(&self.socket, &request);
            let talked = match limit {
                Some(limit) => tokio::time::timeout(limit + GRACE, talk).await,
                None => Ok(talk.await),
            };
            talked.map_err(|_| failed(format!("no answer within {}s", self.timeout)))?.map_err(failed)
        })?;
        let (status, body) = split(&answer).ok_or_else(|| failed("the answer is not HTTP".to_owned()))?;
        Ok((status, body.to_vec()))
    }
}

/// What was asked for, or the refusal.
fn read<T: DeserializeOwned>(name: &str, status: u16, body: &[u8]) -> anyhow::Result<T> {
    if status != 200 {
        let text = String::from_utf8_lossy(body).trim().to_owned();
        let refused = serde_json::from_slice::<Refused>(body);
        let reason = refused.unwrap_or(Refused { error: format!("{status} {text}"), details: None });
        let details = reason.details.map_or_else(String::new, |details| format!(": {details}"));
        anyhow::bail!("{name} failed: {}{details}", reason.error);
    }
    serde_json::from_slice(body).map_err(|error| anyhow::anyhow!("failed to parse response: {error}"))
}

/// The database a command is about, absolute: the daemon has another working directory.
///
/// # Errors
/// None or more than one.
pub fn database(args: &Args, example: &str) -> anyhow::Result<PathBuf> {
    let argument = commands::one_positional(args, "database path required", example)?;
    commands::expand_path(&Environment::of_process(), &argument)
}

/// A path as JSON has it.
pub fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn message(verb: &str, name: &str, body: Option<&[u8]>) -> Vec<u8> {
    let (verb, length) = (verb.to_uppercase(), body.map_or(0, <[u8]>::len));
    let head = format!(
        "{verb} /{name} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body.unwrap_or_default()].concat()
}

async fn talk(socket: &str, request: &[u8]) -> Result<Vec<u8>, String> {
    let connected = UnixStream::connect(socket).await;
    let mut stream = connected.map_err(|error| format!("dial unix {socket}: connect: {}", in_go_words(&error)))?;
    let mut answer = Vec::new();
    let exchanged = async {
        stream.write_all(request).await?;
        stream.read_to_end(&mut answer).await
    };
    exchanged.await.map_err(|error| in_go_words(&error))?;
    Ok(answer)
}

/// `no such file or directory`, without Rust's capital and number.
fn in_go_words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// Status code and body.
fn split(answer: &[u8]) -> Option<(u16, &[u8])> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let mut words = head.lines().next()?.split(' ');
    let status = words.next().filter(|version| version.starts_with("HTTP/")).and_then(|_| words.next())?;
    Some((status.parse().ok()?, &answer[end + 4..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_apart() {
        assert_eq!(split(b"HTTP/1.0 409 Conflict\r\nA: b\r\n\r\n{}\n"), Some((409, &b"{}\n"[..])));
        for broken in ["", "HTTP/1.0 200 OK\r\n", "SSH-2.0 200 x\r\n\r\n", "HTTP/1.0 x\r\n\r\n"] {
            assert_eq!(split(broken.as_bytes()), None, "{broken:?}");
        }
    }

    #[test]
    fn system_errors_read_as_the_references() {
        assert_eq!(in_go_words(&io::Error::from_raw_os_error(2)), "no such file or directory");
        assert_eq!(in_go_words(&io::Error::from_raw_os_error(111)), "connection refused");
    }
}
