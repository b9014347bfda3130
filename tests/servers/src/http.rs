//! The few plain HTTP requests that tell whether a server is ready, or make a bucket.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Sends one request on a connection of its own; gives the status, or `None` where no answer comes.
pub(crate) fn status(port: u16, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    stream.write_all(&[head.as_bytes(), body].concat()).ok()?;
    let mut answer = Vec::new();
    // An answer that breaks off after its first line has said enough.
    let _ = stream.read_to_end(&mut answer);
    let first = String::from_utf8_lossy(answer.split(|byte| *byte == b'\r').next()?).into_owned();
    first.split(' ').nth(1)?.parse().ok()
}

/// Whether that request succeeds.
pub(crate) fn succeeds(port: u16, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> bool {
    status(port, method, target, headers, body).is_some_and(|status| (200..300).contains(&status))
}
