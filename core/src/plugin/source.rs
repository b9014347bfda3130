//! Where the bytes of a write come from: something that can begin again, because a write may be tried again.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::stream;
use litestream_sdk::{Body, ErrorKind, Result, StorageError};

/// Bytes in one chunk: small enough to hold several, large enough that the boundary costs nothing.
pub const CHUNK: usize = 1 << 20;

/// The content of one object to be written. Each try asks for a new body, from byte 0.
///
/// A source may read from the very store it is written to (a compaction) if that store takes at least two calls at
/// once (`Capability::max_in_flight`): the write holds one of them until it ends.
pub trait WriteSource: Send + Sync {
    /// Its length, when known before the end. A known length lets a small object take little memory.
    fn size(&self) -> Option<u64>;

    /// The bytes, from the first. The same ones at each call.
    ///
    /// # Errors
    ///
    /// Ends the write with this error; it is not tried again unless the kind is one that is.
    fn open(&self) -> Result<Body>;
}

/// Bytes in memory.
#[derive(Clone, Debug)]
pub struct BytesSource(pub Bytes);

impl WriteSource for BytesSource {
    fn size(&self) -> Option<u64> {
        Some(self.0.len() as u64)
    }

    fn open(&self) -> Result<Body> {
        Ok(Body::from_bytes(self.0.clone()))
    }
}

/// A local file that nobody changes. Read in chunks of 1 MiB on the runtime's blocking threads.
#[derive(Clone, Debug)]
pub struct FileSource {
    path: PathBuf,
    size: u64,
}

impl FileSource {
    /// The first `size` bytes of the file.
    pub fn new(path: impl Into<PathBuf>, size: u64) -> FileSource {
        FileSource { path: path.into(), size }
    }

    /// The whole file, as long as it is now.
    ///
    /// # Errors
    ///
    /// The file cannot be looked at.
    pub fn whole(path: impl Into<PathBuf>) -> io::Result<FileSource> {
        let path = path.into();
        let size = path.metadata()?.len();
        Ok(FileSource { path, size })
    }
}

impl WriteSource for FileSource {
    fn size(&self) -> Option<u64> {
        Some(self.size)
    }

    fn open(&self) -> Result<Body> {
        let state = Reading { path: self.path.clone(), file: None, left: self.size };
        let chunks = stream::try_unfold(state, |state| async move {
            if state.left == 0 {
                return Ok(None);
            }
            let read = tokio::task::spawn_blocking(move || state.next_chunk()).await;
            let (chunk, state) =
                read.map_err(|stopped| StorageError::new(ErrorKind::CANCELLED, stopped.to_string()))??;
            Ok(Some((chunk, state)))
        });
        Ok(Body::new(chunks).with_size_hint(self.size))
    }
}

struct Reading {
    path: PathBuf,
    file: Option<File>,
    left: u64,
}

impl Reading {
    fn next_chunk(mut self) -> Result<(Bytes, Reading)> {
        let len = self.left.min(CHUNK as u64) as usize;
        let mut chunk = vec![0; len];
        let read = (|| {
            let mut file = match self.file.take() {
                Some(file) => file,
                None => File::open(&self.path)?,
            };
            file.read_exact(&mut chunk)?;
            Ok(file)
        })();
        self.file = Some(read.map_err(|error| local(&self.path, &error))?);
        self.left -= len as u64;
        Ok((chunk.into(), self))
    }
}

/// An error of ours, not of the store: PERMANENT, so that a missing local file is never taken for a missing object.
fn local(path: &Path, error: &io::Error) -> StorageError {
    StorageError::permanent(format!("reading the local file {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_comes_in_chunks_and_can_begin_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let content: Vec<u8> = (0..CHUNK + 10).map(|i| i as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let source = FileSource::whole(&path).unwrap();
        assert_eq!(source.size(), Some(content.len() as u64));
        for _ in 0..2 {
            let mut body = source.open().unwrap();
            assert_eq!(body.next().await.unwrap().unwrap().len(), CHUNK);
            assert_eq!(body.next().await.unwrap().unwrap(), content[CHUNK..]);
            assert!(body.next().await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn a_file_that_is_gone_or_shorter_is_our_error_not_a_missing_object() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, b"abc").unwrap();
        for source in [FileSource::new(&path, 4), FileSource::new(dir.path().join("absent"), 4)] {
            let error = source.open().unwrap().next().await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::PERMANENT);
            assert!(error.message.contains("reading the local file"), "{error}");
        }
    }
}
