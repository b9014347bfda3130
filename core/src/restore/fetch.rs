//! Brings the bytes of the planned files, in order, by several requests at once.
//!
//! Files are cut into pieces; a fixed number of pieces is on its way at any time, across the ends of files too, so that
//! one large file is read by many connections and hundreds of small ones do not wait for each other. Memory is pieces
//! in flight times [`PIECE_LEN`], whatever the files' sizes. No request outlives its piece, so none idles while the
//! writer is busy elsewhere.

use std::io::{self, Read};

use async_trait::async_trait;
use bytes::{Buf, Bytes};
use futures::StreamExt;
use futures::stream;
use litestream_sdk::{Body, StorageError};
use tokio::sync::mpsc;

use super::progress::Progress;

/// Large enough that the time to the first byte of a request does not count, small enough that eight are little memory.
const PIECE_LEN: u64 = 2 << 20;

/// The chunks of one piece.
pub(super) type Fetched = Result<Vec<Bytes>, StorageError>;

/// Runs `consume` on a blocking thread with the files' bytes, which are fetched meanwhile. It may stop reading early;
/// dropping the returned future makes its next read fail.
pub(super) async fn run<T: Send + 'static>(
    opener: &dyn Opener,
    parallelism: usize,
    progress: &dyn Progress,
    consume: impl FnOnce(&mut PieceReader) -> T + Send + 'static,
) -> T {
    // One piece waits here while the consumer works on another.
    let (sender, receiver) = mpsc::channel(1);
    let mut consumer = tokio::task::spawn_blocking(move || consume(&mut PieceReader::new(receiver)));
    let joined = tokio::select! {
        joined = &mut consumer => joined,
        () = feed(opener, parallelism, sender, progress) => consumer.await,
    };
    joined.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// Something that can open its numbered files.
#[async_trait]
pub(super) trait Opener: Send + Sync {
    /// Bytes of each file, in the order in which they are wanted.
    fn sizes(&self) -> Vec<u64>;

    /// As [`super::Source::open`].
    async fn open(&self, index: usize, offset: u64, len: u64) -> Result<Body, StorageError>;
}

/// Fetches the files one after the other into `sender`, until the receiving side is dropped or a request fails.
async fn feed(opener: &dyn Opener, parallelism: usize, sender: mpsc::Sender<Fetched>, progress: &dyn Progress) {
    // By value: borrowed sizes would make the future one that the compiler lets no other thread have.
    let pieces = opener.sizes().into_iter().enumerate().flat_map(|(index, size)| {
        let offsets = (0..size.div_ceil(PIECE_LEN)).map(|number| number * PIECE_LEN);
        offsets.map(move |offset| (index, offset, PIECE_LEN.min(size - offset)))
    });
    let mut fetched = stream::iter(pieces)
        .map(|(index, offset, len)| async move {
            let chunks = collect(opener.open(index, offset, len).await?, len).await?;
            progress.advance(len);
            Ok(chunks)
        })
        .buffered(parallelism.max(1));
    while let Some(piece) = fetched.next().await {
        let failed = piece.is_err();
        if sender.send(piece).await.is_err() || failed {
            return;
        }
    }
}

/// The whole of a body that should be `len` bytes long, as it came.
pub(super) async fn collect(mut body: Body, len: u64) -> Fetched {
    let mut chunks = Vec::new();
    let mut missing = len;
    while let Some(chunk) = body.next().await? {
        missing = missing.checked_sub(chunk.len() as u64).ok_or_else(|| broken(len, "more"))?;
        chunks.push(chunk);
    }
    if missing > 0 { Err(broken(len, "less")) } else { Ok(chunks) }
}

fn broken(len: u64, relation: &str) -> StorageError {
    StorageError::transient(format!("the storage gave {relation} than the {len} bytes that were asked for"))
}

/// The blocking end: one byte stream, cut into files by their listed sizes. Errors of the storage come out of it as the
/// inner error of an `io::Error`.
pub(super) struct PieceReader {
    pieces: mpsc::Receiver<Fetched>,
    chunks: std::vec::IntoIter<Bytes>,
    chunk: Bytes,
    /// Bytes left of the current file.
    remaining: u64,
}

impl PieceReader {
    fn new(pieces: mpsc::Receiver<Fetched>) -> PieceReader {
        PieceReader { pieces, chunks: Vec::new().into_iter(), chunk: Bytes::new(), remaining: 0 }
    }

    /// Lets the next file begin; the one before has been read to its end.
    pub(super) fn start_file(&mut self, size: u64) {
        self.remaining = size;
    }

    /// True when the current file has been read to its listed size.
    pub(super) fn at_end(&self) -> bool {
        self.remaining == 0
    }

    fn fill(&mut self) -> io::Result<()> {
        while self.chunk.is_empty() {
            if let Some(chunk) = self.chunks.next() {
                self.chunk = chunk;
                continue;
            }
            match self.pieces.blocking_recv() {
                Some(Ok(chunks)) => self.chunks = chunks.into_iter(),
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Err(io::Error::other("the restore was cancelled")),
            }
        }
        Ok(())
    }
}

impl Read for PieceReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.remaining == 0 || buf.is_empty() {
            return Ok(0);
        }
        self.fill()?;
        let wanted = buf.len().min(self.chunk.len()).min(usize::try_from(self.remaining).unwrap_or(usize::MAX));
        self.chunk.copy_to_slice(&mut buf[..wanted]);
        self.remaining -= wanted as u64;
        Ok(wanted)
    }
}
