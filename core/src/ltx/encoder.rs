//! Writes an LTX file to a byte stream, in one pass.
//!
//! Always the current form: LZ4 blocks with their size, no database checksums. Nothing is buffered but the compact page
//! index (see [`super::page_index`]); the caller wraps the stream in a `BufWriter` if it is unbuffered, and makes the
//! file visible only after [`Encoder::finish`].

use std::io::Write;

use super::checksum::FileChecksum;
use super::error::HeaderError;
use super::header::HEADER_LEN;
use super::page::{END_MARKER, FrameWriter, HEAD_LEN};
use super::page_index::IndexWriter;
use super::page_order::PageOrder;
use super::{Header, LtxError, PageSize, Pgno, Trailer};

/// Encodes one file.
pub struct Encoder<W: Write> {
    writer: W,
    checksum: FileChecksum,
    frames: FrameWriter,
    index: IndexWriter,
    order: PageOrder,
    page_size: PageSize,
    written: u64,
}

impl<W: Write> Encoder<W> {
    /// Validates and writes the header. So commit and WAL range must be known before the first page.
    pub fn new(mut writer: W, header: &Header) -> Result<Self, LtxError> {
        header.validate()?;
        if header.commit == 0 {
            return Err(HeaderError::CommitRequired.into());
        }
        if !header.no_checksum {
            return Err(HeaderError::ChecksumsUnsupported.into());
        }
        let bytes = header.to_bytes();
        writer.write_all(&bytes)?;
        let mut checksum = FileChecksum::new();
        checksum.update(&bytes);
        Ok(Encoder {
            writer,
            checksum,
            frames: FrameWriter::new(header.page_size),
            index: IndexWriter::new(),
            order: PageOrder::new(header).bounded(),
            page_size: header.page_size,
            written: HEADER_LEN as u64,
        })
    }

    /// Adds a page. Numbers ascend, lie within the commit size and leave out the lock page; a file that starts at
    /// transaction 1 takes every page.
    pub fn encode_page(&mut self, pgno: Pgno, page: &[u8]) -> Result<(), LtxError> {
        if page.len() != self.page_size.bytes() {
            return Err(LtxError::BufferLength { actual: page.len(), page_size: self.page_size });
        }
        self.order.next(pgno)?;
        let frame = self.frames.frame(pgno, page)?;
        self.writer.write_all(frame)?;
        self.checksum.update(&frame[..HEAD_LEN]);
        self.checksum.update(page);
        self.index.push(pgno, frame.len() as u64);
        self.written += frame.len() as u64;
        Ok(())
    }

    /// Writes what follows the pages and flushes the stream. Durability is the caller's: fsync before rename.
    pub fn finish(mut self) -> Result<(W, Trailer), LtxError> {
        self.order.finish()?;
        self.writer.write_all(&END_MARKER)?;
        self.checksum.update(&END_MARKER);
        self.index.write(HEADER_LEN as u64, |piece| {
            self.checksum.update(piece);
            self.writer.write_all(piece)
        })?;
        let mut trailer = Trailer { post_apply_checksum: 0, file_checksum: 0 };
        self.checksum.update(&trailer.post_apply_checksum.to_be_bytes());
        trailer.file_checksum = self.checksum.value();
        self.writer.write_all(&trailer.to_bytes())?;
        self.writer.flush()?;
        Ok((self.writer, trailer))
    }

    /// Bytes written so far: header and frames.
    pub fn written(&self) -> u64 {
        self.written
    }
}
