//! The first lines of an HTTP message, and how its body ends.

use std::io::{self, BufRead};

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Bytes(u64),
    Chunked,
    UntilClose,
}

pub(super) struct Head {
    /// Every line with its end, up to and with the empty one.
    pub text: String,
}

impl Head {
    /// Reads one; `None` where the input ends in front of it.
    pub fn read(from: &mut impl BufRead) -> io::Result<Option<Head>> {
        let mut text = String::new();
        loop {
            let mut line = Vec::new();
            if from.read_until(b'\n', &mut line)? == 0 {
                return if text.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
            let ends = line == b"\r\n";
            text.push_str(&String::from_utf8_lossy(&line));
            if ends {
                return Ok(Some(Head { text }));
            }
        }
    }

    /// The words of the first line.
    pub fn word(&self, number: usize) -> &str {
        self.text.lines().next().unwrap_or_default().split(' ').nth(number).unwrap_or_default()
    }

    pub fn status(&self) -> u16 {
        self.word(1).parse().unwrap_or(0)
    }

    fn header(&self, name: &str) -> Option<&str> {
        let fields = self.text.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut values = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
        values.next()
    }

    /// Of a request.
    pub fn request_length(&self) -> Length {
        self.length().unwrap_or(Length::Bytes(0))
    }

    /// Of the answer to a request of this method.
    pub fn answer_length(&self, method: &str) -> Length {
        match self.status() {
            _ if method == "HEAD" => Length::Bytes(0),
            204 | 304 => Length::Bytes(0),
            _ => self.length().unwrap_or(Length::UntilClose),
        }
    }

    fn length(&self) -> Option<Length> {
        match self.header("transfer-encoding") {
            Some(encoding) if encoding.to_ascii_lowercase().contains("chunked") => Some(Length::Chunked),
            _ => Some(Length::Bytes(self.header("content-length")?.parse().ok()?)),
        }
    }

    /// Takes a header out; says whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.text.len();
        let is_other = |line: &&str| !line.split_once(':').is_some_and(|(field, _)| field.eq_ignore_ascii_case(name));
        self.text = self.text.split_inclusive('\n').filter(is_other).collect();
        self.text.len() < before
    }

    pub fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_body_is_known_from_its_head() {
        for (text, method, length) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", "GET", Length::Bytes(7)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", "HEAD", Length::Bytes(0)),
            ("HTTP/1.1 204 No Content\r\n\r\n", "DELETE", Length::Bytes(0)),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n", "GET", Length::Chunked),
            ("HTTP/1.1 200 OK\r\n\r\n", "GET", Length::UntilClose),
        ] {
            let head = Head::read(&mut text.as_bytes()).unwrap().unwrap();
            assert_eq!(head.answer_length(method), length, "{method} {text}");
        }
    }

    #[test]
    fn a_header_is_taken_out_whole() {
        let text = "PUT /x HTTP/1.1\r\nExpect: 100-continue\r\nA: b\r\n\r\n";
        let mut head = Head::read(&mut text.as_bytes()).unwrap().unwrap();
        assert!(head.remove("expect"));
        assert!(!head.remove("expect"));
        assert_eq!(head.text, "PUT /x HTTP/1.1\r\nA: b\r\n\r\n");
        assert_eq!((head.word(0), head.word(1), head.request_length()), ("PUT", "/x", Length::Bytes(0)));
    }
}
