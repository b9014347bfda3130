//! Reads one file of a source from blocking code, a piece for each request.
//!
//! For whoever reads many files side by side (a compaction of files that are no longer here): no request outlives its
//! piece, so none idles while the merge is busy with other files, and memory is files times piece length.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use tokio::runtime::Handle;

use super::fetch;
use super::source::Source;
use crate::ltx::LtxInfo;

/// A file as a `Read`. Use it on a thread that may block, never inside a future.
pub struct FileReader {
    source: Arc<dyn Source>,
    file: LtxInfo,
    runtime: Handle,
    piece_len: u64,
    /// Of the next piece.
    offset: u64,
    chunks: std::vec::IntoIter<Bytes>,
    chunk: Bytes,
}

impl FileReader {
    /// Reads `file` up to its listed size by requests of `piece_len` bytes; 256 KiB suits hundreds of files at once.
    pub fn new(source: Arc<dyn Source>, file: LtxInfo, runtime: Handle, piece_len: u64) -> FileReader {
        let (chunks, chunk) = (Vec::new().into_iter(), Bytes::new());
        FileReader { source, file, runtime, piece_len: piece_len.max(1), offset: 0, chunks, chunk }
    }

    /// Which file.
    pub fn file(&self) -> &LtxInfo {
        &self.file
    }

    async fn fetch(&self, len: u64) -> fetch::Fetched {
        fetch::collect(self.source.open(&self.file, self.offset, Some(len)).await?, len).await
    }
}

impl Read for FileReader {
    /// Errors of the storage are the inner error of the `io::Error`.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            if let Some(chunk) = self.chunks.next() {
                self.chunk = chunk;
                continue;
            }
            let len = self.piece_len.min(self.file.size.saturating_sub(self.offset));
            if len == 0 {
                return Ok(0);
            }
            self.chunks = self.runtime.block_on(self.fetch(len)).map_err(io::Error::other)?.into_iter();
            self.offset += len;
        }
        let wanted = buf.len().min(self.chunk.len());
        self.chunk.copy_to_slice(&mut buf[..wanted]);
        Ok(wanted)
    }
}
