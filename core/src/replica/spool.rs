//! A merged file before its upload: in memory while it is small, else in a file without a name.
//!
//! An upload may have to begin again, so its bytes must stay somewhere; and a process that is killed must leave nothing
//! behind, so the file has no name. Nothing here grows with the size of a database but that file.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use litestream_sdk::{Body, ErrorKind, Result, StorageError};

use crate::plugin::{CHUNK, WriteSource};

/// What stays in memory, at most.
const IN_MEMORY: usize = 256 << 10;

/// What the last write before the file may add: a compressed page with its header.
const MARGIN: usize = 72 << 10;

/// Takes the bytes of a file that is being made.
pub struct SpoolWriter {
    directory: PathBuf,
    memory: Vec<u8>,
    file: Option<File>,
    written: u64,
}

impl SpoolWriter {
    /// Large files go to a nameless file in `directory`.
    pub fn new(directory: &Path) -> SpoolWriter {
        SpoolWriter { directory: directory.to_owned(), memory: Vec::new(), file: None, written: 0 }
    }

    /// The same for about so many bytes: what stays in memory is had at once, and not by growing through every size.
    #[must_use]
    pub fn expecting(mut self, bytes: u64) -> SpoolWriter {
        self.memory.reserve_exact(usize::try_from(bytes).unwrap_or(IN_MEMORY).min(IN_MEMORY + MARGIN));
        self
    }

    /// The bytes, ready to be uploaded.
    ///
    /// # Errors
    /// Those of the local disk.
    pub fn finish(mut self) -> io::Result<Spool> {
        let content = match self.file.take() {
            None => Content::Memory(Bytes::from(self.memory)),
            Some(mut file) => {
                file.write_all(&self.memory)?;
                Content::File(Arc::new(file))
            }
        };
        Ok(Spool { content, size: self.written })
    }
}

impl Write for SpoolWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.memory.extend_from_slice(bytes);
        self.written += bytes.len() as u64;
        if self.memory.len() >= IN_MEMORY {
            let file = match &mut self.file {
                Some(file) => file,
                none => none.insert(tempfile::tempfile_in(&self.directory)?),
            };
            file.write_all(&self.memory)?;
            self.memory.clear();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A finished file without a name.
pub struct Spool {
    content: Content,
    size: u64,
}

#[derive(Clone)]
enum Content {
    Memory(Bytes),
    File(Arc<File>),
}

impl Spool {
    /// Bytes.
    pub fn len(&self) -> u64 {
        self.size
    }

    /// Its bytes, for a decoder.
    pub fn reader(&self) -> SpoolReader {
        SpoolReader { content: self.content.clone(), offset: 0 }
    }

    /// True if nothing was written.
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }
}

/// Reads a spool from its beginning. Blocks.
pub struct SpoolReader {
    content: Content,
    offset: u64,
}

impl Read for SpoolReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &self.content {
            Content::File(file) => file.read_at(buffer, self.offset)?,
            Content::Memory(bytes) => {
                let rest = bytes.get(self.offset as usize..).unwrap_or_default();
                let len = rest.len().min(buffer.len());
                buffer[..len].copy_from_slice(&rest[..len]);
                len
            }
        };
        self.offset += read as u64;
        Ok(read)
    }
}

impl WriteSource for Spool {
    fn size(&self) -> Option<u64> {
        Some(self.size)
    }

    fn open(&self) -> Result<Body> {
        let file = match &self.content {
            Content::Memory(bytes) => return Ok(Body::from_bytes(bytes.clone())),
            Content::File(file) => Arc::clone(file),
        };
        let size = self.size;
        let chunks = stream::try_unfold(0, move |offset| {
            let file = Arc::clone(&file);
            async move {
                let len = (size - offset).min(CHUNK as u64) as usize;
                if len == 0 {
                    return Ok(None);
                }
                let read = tokio::task::spawn_blocking(move || {
                    let mut chunk = vec![0; len];
                    file.read_exact_at(&mut chunk, offset).map(|()| Bytes::from(chunk))
                });
                let chunk = read.await.map_err(|end| StorageError::new(ErrorKind::CANCELLED, end.to_string()))?;
                let failed = |error| StorageError::permanent(format!("reading a local temporary file: {error}"));
                Ok(Some((chunk.map_err(failed)?, offset + len as u64)))
            }
        });
        Ok(Body::new(chunks).with_size_hint(size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn small_and_large_files_come_back_each_time() {
        let dir = tempfile::tempdir().unwrap();
        for size in [0, 10, IN_MEMORY - 1, IN_MEMORY, 3 * CHUNK + 5] {
            let content: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
            let mut writer = SpoolWriter::new(dir.path());
            content.chunks(70_000).for_each(|part| writer.write_all(part).unwrap());
            let spool = writer.finish().unwrap();
            assert_eq!(spool.len(), size as u64);
            for _ in 0..2 {
                assert!(spool.open().unwrap().collect(u64::MAX).await.unwrap() == content, "{size}");
            }
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing has a name");
    }
}
