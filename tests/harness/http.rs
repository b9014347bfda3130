//! One plain HTTP request, over any connection: what the tests ask the program, and a browser's driver.

use std::io::{Read, Write};
use std::net::TcpStream;

/// Sends a request (`GET /target`) and reads the answer; status line and body. The answer ends where it says, or with the
/// connection: not everybody who says `Connection: close` does that.
pub fn exchange(mut stream: impl Read + Write, request: &str, body: &str) -> (String, String) {
    let length = body.len();
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let (mut answer, mut piece) = (Vec::new(), [0; 16384]);
    while !is_whole(&answer) {
        let read = stream.read(&mut piece).unwrap();
        if read == 0 {
            break;
        }
        answer.extend_from_slice(&piece[..read]);
    }
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let lines = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
    let length = lines.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    length.is_some_and(|length| answer.len() >= head + 4 + length)
}

/// The same to a port of the loopback address.
pub fn exchange_with(port: u16, request: &str, body: &str) -> (String, String) {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(super::deadline())).unwrap();
    exchange(stream, request, body)
}
