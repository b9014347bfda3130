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
    let head_end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let body = answer.split_off(head_end + 4);
    let head = String::from_utf8(answer).unwrap();
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { joined(&body) } else { body };
    (head.lines().next().unwrap().to_owned(), String::from_utf8(body).unwrap())
}

/// The chunks of a body, without their sizes: one of these may stand in the middle of a line.
fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = chunks.windows(2).position(|window| window == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&chunks[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&chunks[end + 2..end + 2 + size]);
        chunks = &chunks[end + 2 + size + 2..];
    }
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
