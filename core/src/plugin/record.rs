//! The plugin record: what a library says of itself, read from its bytes.
//!
//! `export_plugin!` puts `LITESTREAM-RS PLUGIN RECORD 1\n`, one JSON object and a NUL into the library. Finding it by
//! searching the file means that listing plugins, settling claims and refusing a wrong version load nothing and run
//! nothing, on every object format alike.

use std::fs::File;
use std::io::{self, Read};

use litestream_sdk_abi::RECORD_MAGIC;
use memchr::memmem;
use serde::Deserialize;

/// Bytes searched at once.
const WINDOW: usize = 256 << 10;
/// The longest record that is believed.
const MAX_RECORD: usize = 16 << 10;

/// What a plugin says of itself, before it is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Record {
    /// The ABI it was built for.
    pub abi: u32,
    /// Its name, which is also a replica type.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// Version of the SDK it was built with.
    pub sdk: String,
    /// The URL schemes it serves. The first is the replica type shown in metrics.
    pub schemes: Vec<String>,
    /// The replica layouts it allows: `ltx`, and `hex` for S3 and OSS.
    #[serde(default = "ltx_only")]
    pub layouts: Vec<String>,
}

fn ltx_only() -> Vec<String> {
    vec!["ltx".to_owned()]
}

impl Record {
    /// The name of this kind of replica in metrics, logs and `status`: the first scheme, which for the types of
    /// Litestream is Litestream's word (`gs`, `abs`).
    pub fn replica_type(&self) -> &str {
        self.schemes.first().unwrap_or(&self.name)
    }

    /// Everything it claims: its name and its schemes, each once.
    pub fn claims(&self) -> Vec<&str> {
        let mut claims = vec![self.name.as_str()];
        for scheme in &self.schemes {
            if !claims.contains(&scheme.as_str()) {
                claims.push(scheme);
            }
        }
        claims
    }

    fn is_well_formed(&self) -> bool {
        !self.schemes.is_empty() && self.claims().into_iter().all(is_claimable)
    }
}

/// A scheme as URLs have it, in lower case.
fn is_claimable(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-._".contains(&b);
    text.len() <= 64 && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(legal)
}

/// Why no record could be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("it holds no plugin record")]
    Missing,
    #[error("its plugin record is damaged")]
    Damaged,
}

/// Finds the record in a library. Reads the file once, and holds one window of it.
pub(super) fn read(file: &mut File) -> Result<Record, RecordError> {
    let magic = memmem::Finder::new(RECORD_MAGIC.as_bytes());
    let mut window = Window { file, bytes: Vec::with_capacity(WINDOW + MAX_RECORD), ended: false };
    let mut damaged = false;
    loop {
        window.fill_to(WINDOW)?;
        match magic.find(&window.bytes) {
            Some(at) => {
                window.drop_front(at + RECORD_MAGIC.len());
                window.fill_to(MAX_RECORD)?;
                match parse(&window.bytes) {
                    Some(record) => return Ok(record),
                    // The marker alone stands in every program that can read records.
                    None => damaged |= window.bytes.first() == Some(&b'{'),
                }
            }
            None if window.ended => return Err(if damaged { RecordError::Damaged } else { RecordError::Missing }),
            // The marker may lie across the end of the window.
            None => window.drop_front(window.bytes.len().saturating_sub(RECORD_MAGIC.len() - 1)),
        }
    }
}

fn parse(bytes: &[u8]) -> Option<Record> {
    let end = bytes.iter().take(MAX_RECORD).position(|byte| *byte == 0)?;
    serde_json::from_slice::<Record>(&bytes[..end]).ok().filter(Record::is_well_formed)
}

/// A part of a file that moves forward.
struct Window<'a> {
    file: &'a mut File,
    bytes: Vec<u8>,
    ended: bool,
}

impl Window<'_> {
    fn fill_to(&mut self, len: usize) -> io::Result<()> {
        let missing = len.saturating_sub(self.bytes.len());
        if missing > 0 && !self.ended {
            let got = self.file.take(missing as u64).read_to_end(&mut self.bytes)?;
            self.ended = got < missing;
        }
        Ok(())
    }

    fn drop_front(&mut self, count: usize) {
        self.bytes.drain(..count);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    const JSON: &str = r#"{"abi":1,"name":"kv","version":"0.3.0","sdk":"1.0.0","schemes":["kv","kvs"],"new":7}"#;

    fn file_of(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    fn record_at(offset: usize, json: &str) -> Vec<u8> {
        let mut bytes = vec![b'L'; offset];
        bytes.extend_from_slice(RECORD_MAGIC.as_bytes());
        bytes.extend_from_slice(json.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(&[7; 100]);
        bytes
    }

    #[test]
    fn a_record_is_found_wherever_it_lies() {
        for offset in [0, 1, 4096, WINDOW - 40, WINDOW - 10, WINDOW, 3 * WINDOW - 29, 3 * WINDOW + 5] {
            let record = read(&mut file_of(&record_at(offset, JSON))).unwrap();
            assert_eq!((record.name.as_str(), record.abi), ("kv", 1), "at {offset}");
            assert_eq!(record.layouts, ["ltx"], "layouts have a default, unknown members are ignored");
            assert_eq!(record.claims(), ["kv", "kvs"]);
        }
    }

    #[test]
    fn the_bare_marker_of_the_reading_code_is_passed_over() {
        let mut bytes = record_at(10, "");
        bytes.extend(record_at(10, JSON));
        assert_eq!(read(&mut file_of(&bytes)).unwrap().version, "0.3.0");
    }

    #[test]
    fn files_without_a_usable_record_are_told_apart() {
        let missing = |bytes: &[u8]| read(&mut file_of(bytes)).unwrap_err().to_string();
        assert_eq!(missing(b""), "it holds no plugin record");
        assert_eq!(missing(&vec![b'L'; 2 * WINDOW]), "it holds no plugin record");
        assert_eq!(missing(&record_at(3, "{\"abi\":1")), "its plugin record is damaged");
        let endless = [RECORD_MAGIC.as_bytes(), &vec![b'{'; 2 * MAX_RECORD]].concat();
        assert_eq!(missing(&endless), "its plugin record is damaged");
        for json in [JSON.replace("\"kvs\"", "\"K V\""), JSON.replace("[\"kv\",\"kvs\"]", "[]")] {
            assert_eq!(missing(&record_at(3, &json)), "its plugin record is damaged");
        }
    }
}
