//! A replica in memory, filled from a fixture or by hand, that can lose files and fail on demand.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use litestream_sdk::{Body, ErrorKind, StorageError};
use sha2::{Digest, Sha256};

use super::Source;
use crate::clock::UnixMillis;
use crate::ltx::{Encoder, FileName, HEADER_LEN, Header, Level, LtxInfo, PageSize, Pgno, Txid};

pub(super) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/ltx")
}

pub(super) fn json(path: impl AsRef<Path>) -> serde_json::Value {
    let text = fs::read_to_string(fixtures().join(path)).expect("fixture");
    serde_json::from_str(&text).expect("JSON")
}

pub(super) fn sha256(path: &Path) -> String {
    Sha256::digest(fs::read(path).expect("output")).iter().map(|byte| format!("{byte:02x}")).collect()
}

type Key = (u8, FileName);

#[derive(Default)]
pub(super) struct MemorySource {
    files: Mutex<BTreeMap<Key, (UnixMillis, Bytes)>>,
    /// Ranges that were asked for: level, name, offset, length.
    pub(super) opened: Mutex<Vec<(u8, FileName, u64, u64)>>,
    /// Files that disappear when they are first opened, and what appears instead.
    pub(super) vanishing: Mutex<BTreeMap<Key, Vec<(u8, Bytes)>>>,
    /// Bodies break after their first chunk.
    pub(super) failing: Mutex<bool>,
    /// Chunks are this long.
    pub(super) chunk_len: usize,
}

impl MemorySource {
    pub(super) fn new() -> MemorySource {
        MemorySource { chunk_len: 100_000, ..MemorySource::default() }
    }

    /// Reads `<tree>/replica/ltx`, with each file's time from its header.
    pub(super) fn fixture(tree: &str) -> MemorySource {
        let source = MemorySource::new();
        for level in Level::all() {
            let directory = fixtures().join(tree).join("replica/ltx").join(level.to_string());
            for entry in fs::read_dir(directory).into_iter().flatten() {
                let entry = entry.expect("entry");
                let Ok(name) = entry.file_name().to_str().expect("text").parse() else { continue };
                source.put_named(level.number(), name, fs::read(entry.path()).expect("fixture").into());
            }
        }
        source
    }

    /// Adds a file under the name its header asks for.
    pub(super) fn put(&self, level: u8, bytes: impl Into<Bytes>) -> FileName {
        let bytes = bytes.into();
        let name = FileName::of(&parse_header(&bytes).expect("a header"));
        self.put_named(level, name, bytes);
        name
    }

    pub(super) fn put_named(&self, level: u8, name: FileName, bytes: Bytes) {
        let time = parse_header(&bytes).map_or(0, |header| header.timestamp);
        self.files.lock().expect("lock").insert((level, name), (time, bytes));
    }

    pub(super) fn remove(&self, level: u8, name: FileName) {
        self.files.lock().expect("lock").remove(&(level, name)).expect("was there");
    }

    /// Inverts a byte of a file.
    pub(super) fn damage(&self, level: u8, name: FileName, at: usize) {
        let mut files = self.files.lock().expect("lock");
        let (_, bytes) = files.get_mut(&(level, name)).expect("was there");
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 0xff;
        *bytes = damaged.into();
    }

    pub(super) fn bytes(&self, level: u8, name: FileName) -> Bytes {
        self.files.lock().expect("lock")[&(level, name)].1.clone()
    }
}

fn parse_header(bytes: &[u8]) -> Option<Header> {
    Header::parse(bytes.first_chunk::<HEADER_LEN>()?).ok()
}

#[async_trait]
impl Source for MemorySource {
    async fn list(&self, level: Level) -> Result<Vec<LtxInfo>, StorageError> {
        let files = self.files.lock().expect("lock");
        let here = files.iter().filter(|((number, _), _)| *number == level.number());
        let info = |(&(_, name), (time, bytes)): (&Key, &(UnixMillis, Bytes))| LtxInfo {
            level,
            min_txid: name.min_txid,
            max_txid: name.max_txid,
            size: bytes.len() as u64,
            created_at: *time + 1_000_000, // as a storage that only knows when it was uploaded
        };
        Ok(here.map(info).collect())
    }

    async fn open(&self, file: &LtxInfo, offset: u64, len: Option<u64>) -> Result<Body, StorageError> {
        let key = (file.level.number(), file.file_name());
        if let Some(instead) = self.vanishing.lock().expect("lock").remove(&key) {
            self.remove(key.0, key.1);
            instead.into_iter().for_each(|(level, bytes)| {
                self.put(level, bytes);
            });
        }
        let files = self.files.lock().expect("lock");
        let (_, bytes) = files.get(&key).ok_or_else(|| StorageError::not_found(key.1))?;
        let end = len.map_or(bytes.len() as u64, |len| offset + len);
        if end > bytes.len() as u64 {
            return Err(StorageError::new(ErrorKind::INVALID_INPUT, "range past the end"));
        }
        self.opened.lock().expect("lock").push((key.0, key.1, offset, end - offset));
        let range = bytes.slice(offset as usize..end as usize);
        let mut chunks: Vec<_> = range.chunks(self.chunk_len).map(|chunk| Ok(range.slice_ref(chunk))).collect();
        if *self.failing.lock().expect("lock") {
            chunks.truncate(chunks.len() - 1);
            chunks.push(Err(StorageError::transient("connection reset")));
        }
        Ok(Body::new(futures::stream::iter(chunks)))
    }

    async fn exact_time(&self, file: &LtxInfo) -> Result<UnixMillis, StorageError> {
        let key = (file.level.number(), file.file_name());
        let files = self.files.lock().expect("lock");
        files.get(&key).map(|(time, _)| *time).ok_or_else(|| StorageError::not_found(key.1))
    }
}

/// An LTX file of 512-byte pages, each filled with its own byte; time = last transaction.
pub(super) fn ltx(min: u64, max: u64, commit: u32, pages: &[(u32, u8)]) -> Bytes {
    ltx_of(PageSize::MIN, min, max, commit, pages)
}

pub(super) fn ltx_of(page_size: PageSize, min: u64, max: u64, commit: u32, pages: &[(u32, u8)]) -> Bytes {
    let header = Header::new(page_size, commit, Txid(min), Txid(max), max as i64);
    let mut encoder = Encoder::new(Vec::new(), &header).expect("valid header");
    for &(pgno, byte) in pages {
        encoder.encode_page(Pgno(pgno), &vec![byte; page_size.bytes()]).expect("valid page");
    }
    encoder.finish().expect("complete").0.into()
}

pub(super) fn name(min: u64, max: u64) -> FileName {
    FileName::new(Txid(min), Txid(max))
}
