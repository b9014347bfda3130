//! Databases written by Litestream 0.3: read only, so that a replica from before an upgrade can still be restored.
//!
//! ```text
//! generations/<16 hex>/snapshots/<8 hex index>.snapshot.lz4                 the whole database file
//! generations/<16 hex>/wal/<8 hex index>_<8 to 16 hex offset>.wal.lz4       WAL bytes from that offset
//! ```
//!
//! Each object is one LZ4 frame. A generation's WAL files are numbered by the index; segment 0 of each starts with the
//! WAL header. They are put together again, one index at a time, and SQLite checkpoints them into the snapshot.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use async_trait::async_trait;
use litestream_sdk::{Body, StorageError};
use lz4_flex::frame::FrameDecoder;
use rusqlite::{Connection, OpenFlags};

use super::error::RestoreError;
use super::fetch::{self, Opener, PieceReader};
use super::output::{TempOutput, with_suffix};
use super::plan::Target;
use super::progress::Progress;
use crate::clock::UnixMillis;

/// One object of the old layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct V3Object {
    /// Its path below the replica's path, starting with `generations/`.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// The storage's time for it; the layout keeps no other.
    pub created_at: UnixMillis,
}

/// A replica in the old layout. Only `file` and `s3` ever held one.
#[async_trait]
pub trait V3Source: Send + Sync {
    /// Every object below `generations/`, in any order; empty if there is none.
    async fn list_v3(&self) -> Result<Vec<V3Object>, StorageError>;

    /// Exactly `len` bytes of an object, from `offset`.
    async fn open_v3(&self, object: &V3Object, offset: u64, len: u64) -> Result<Body, StorageError>;
}

/// A snapshot and the segments that follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct V3Plan {
    generation: String,
    snapshot: V3Object,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Segment {
    index: u32,
    offset: u64,
    object: V3Object,
}

impl V3Plan {
    /// Which generation.
    pub fn generation(&self) -> &str {
        &self.generation
    }

    /// In the order in which they are applied: the snapshot, then segments.
    pub fn objects(&self) -> impl Iterator<Item = &V3Object> {
        std::iter::once(&self.snapshot).chain(self.segments.iter().map(|segment| &segment.object))
    }

    /// Time of the newest object.
    pub fn newest(&self) -> UnixMillis {
        self.objects().map(|object| object.created_at).max().unwrap_or_default()
    }
}

enum Name<'a> {
    Snapshot { generation: &'a str, index: u32 },
    Segment { generation: &'a str, index: u32, offset: u64 },
}

fn parse(path: &str) -> Option<Name<'_>> {
    let (generation, rest) = path.strip_prefix("generations/")?.split_once('/')?;
    hex(generation, 16..=16)?;
    if let Some(name) = rest.strip_prefix("snapshots/") {
        let index = hex(name.strip_suffix(".snapshot.lz4")?, 8..=8)?;
        return Some(Name::Snapshot { generation, index: u32::try_from(index).ok()? });
    }
    let (index, offset) = rest.strip_prefix("wal/")?.strip_suffix(".wal.lz4")?.split_once('_')?;
    let index = u32::try_from(hex(index, 8..=8)?).ok()?;
    Some(Name::Segment { generation, index, offset: hex(offset, 8..=16)? })
}

fn hex(text: &str, len: std::ops::RangeInclusive<usize>) -> Option<u64> {
    let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (len.contains(&text.len()) && text.bytes().all(lower_hex)).then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

/// The newest snapshot of all generations and what follows it; with a time, both not later than that. `None` if there is
/// no snapshot, or a transaction id is wanted, which the old layout does not know.
pub fn plan_v3(objects: &[V3Object], target: Target) -> Result<Option<V3Plan>, RestoreError> {
    let latest = match target {
        Target::Latest => UnixMillis::MAX,
        Target::Timestamp(time) => time,
        Target::Txid(_) => return Ok(None),
    };
    let snapshots = objects.iter().filter_map(|object| match parse(&object.path)? {
        Name::Snapshot { generation, index } if object.created_at <= latest => Some((generation, index, object)),
        _ => None,
    });
    let newest = snapshots.max_by_key(|&(generation, index, object)| (object.created_at, generation, index));
    let Some((generation, first_index, snapshot)) = newest else { return Ok(None) };
    let mut segments: Vec<Segment> = objects
        .iter()
        .filter_map(|object| match parse(&object.path)? {
            Name::Segment { generation: same, index, offset } if same == generation && index >= first_index => {
                Some(Segment { index, offset, object: object.clone() })
            }
            _ => None,
        })
        .collect();
    segments.sort_by_key(|segment| (segment.index, segment.offset));
    let wanted = segments.iter().take_while(|segment| segment.object.created_at <= latest).count();
    segments.truncate(wanted);
    check_indexes(first_index, &segments)?;
    Ok(Some(V3Plan { generation: generation.to_owned(), snapshot: snapshot.clone(), segments }))
}

/// The WAL files must step by one from the snapshot's, and each must start at its beginning.
fn check_indexes(first_index: u32, segments: &[Segment]) -> Result<(), RestoreError> {
    for (number, group) in segments.chunk_by(|a, b| a.index == b.index).enumerate() {
        let expected = u64::from(first_index) + number as u64;
        if u64::from(group[0].index) != expected {
            return Err(refused(&group[0].object, format!("missing WAL index {expected:08x} before it")));
        }
        if group[0].offset != 0 {
            return Err(refused(&group[0].object, "the start of its WAL is missing".to_owned()));
        }
    }
    Ok(())
}

fn refused(object: &V3Object, reason: String) -> RestoreError {
    RestoreError::V3 { path: object.path.clone(), reason }
}

/// Rebuilds the database of `plan` in `output` and returns its file, not yet durable.
pub(super) async fn apply_v3(
    source: &dyn V3Source,
    plan: &V3Plan,
    output: &mut TempOutput,
    parallelism: usize,
    progress: &dyn Progress,
) -> Result<File, RestoreError> {
    progress.begin(plan.objects().map(|object| object.size).sum());
    let opener = InOrder { source, objects: plan.objects().collect() };
    let (file, path, plan) = (output.take_file()?, output.path().to_owned(), plan.clone());
    fetch::run(&opener, parallelism, progress, move |input| rebuild(input, &plan, &path, &file).map(|()| file)).await
}

struct InOrder<'a> {
    source: &'a dyn V3Source,
    objects: Vec<&'a V3Object>,
}

#[async_trait]
impl Opener for InOrder<'_> {
    fn sizes(&self) -> Vec<u64> {
        self.objects.iter().map(|object| object.size).collect()
    }

    async fn open(&self, index: usize, offset: u64, len: u64) -> Result<Body, StorageError> {
        self.source.open_v3(self.objects[index], offset, len).await
    }
}

fn rebuild(input: &mut PieceReader, plan: &V3Plan, path: &Path, file: &File) -> Result<(), RestoreError> {
    inflate(input, &plan.snapshot, file, path)?;
    let wal_path = with_suffix(path, "-wal");
    for group in plan.segments.chunk_by(|a, b| a.index == b.index) {
        let wal = File::create(&wal_path).map_err(|error| RestoreError::write(&wal_path, error))?;
        let mut end = 0;
        for segment in group {
            if segment.offset != end {
                let reason =
                    format!("starts at WAL offset {:x}, but the segment before it ends at {end:x}", segment.offset);
                return Err(refused(&segment.object, reason));
            }
            end += inflate(input, &segment.object, &wal, &wal_path)?;
        }
        checkpoint(path).map_err(|error| refused(&group[0].object, format!("cannot checkpoint its WAL: {error}")))?;
    }
    Ok(())
}

/// Appends the object's content to `out` and says how long it was.
fn inflate(input: &mut PieceReader, object: &V3Object, mut out: &File, path: &Path) -> Result<u64, RestoreError> {
    // The library takes a cut frame for a complete one. It reads this byte only if it misses the end mark.
    const BEHIND: &[u8] = b"!";
    input.start_file(object.size);
    let mut frame = FrameDecoder::new(input.by_ref().chain(BEHIND));
    let mut buffer = vec![0; 64 << 10];
    let mut len = 0;
    loop {
        match frame.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                out.write_all(&buffer[..read]).map_err(|error| RestoreError::write(path, error))?;
                len += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(refused(object, error.to_string())),
        }
    }
    let (_, behind) = frame.into_inner().into_inner();
    match (behind == BEHIND, input.at_end()) {
        (false, _) => Err(refused(object, "truncated".to_owned())),
        (true, false) => Err(refused(object, "has bytes behind its end".to_owned())),
        (true, true) => Ok(len),
    }
}

/// Lets SQLite recover the WAL and copy it into the database.
fn checkpoint(path: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        return Err(rusqlite::Error::SqliteFailure(code, Some("somebody else has opened it".to_owned())));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
