//! Reads an LTX stream frame by frame, without inflating current pages: the part of decoding that must go in order.
//!
//! It enforces everything about structure: lengths, flags, page order, the index and the trailer's place. Inflating and
//! the checksum are for whoever holds the pages: [`super::Decoder`] does it at once, a restore on several threads.

use std::io::{BufRead, BufReader, Read};
use std::ops::Range;

use super::checksum::ContentDigest;
use super::header::HEADER_LEN;
use super::page::{self, END_MARKER, FLAG_BLOCK, HEAD_LEN, PAGE_HEADER_LEN};
use super::page_index::{INDEX_SIZE_LEN, IndexDigest};
use super::page_order::PageOrder;
use super::trailer::TRAILER_LEN;
use super::{Header, LtxError, PageSize, Pgno, Trailer, varint};

/// Small, because a merge holds one for each of its inputs; large enough that a block is two system calls at most.
const BUFFER_LEN: usize = 32 << 10;

/// A frame whose payload, or page, lies in the arena it was read into.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// The page.
    pub pgno: Pgno,
    head: [u8; HEAD_LEN],
    form: Form,
    data: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A raw block to be inflated.
    Block,
    /// Came as an LZ4 frame, whose length only inflating finds: the arena holds the page itself.
    Page,
}

impl Frame {
    /// Puts the page into `page`, which is one page long, and the frame into `digest`.
    pub(crate) fn inflate(
        &self,
        arena: &[u8],
        page: &mut [u8],
        page_size: PageSize,
        digest: &mut ContentDigest,
    ) -> Result<(), LtxError> {
        let data = &arena[self.data.clone()];
        match self.form {
            Form::Block => {
                page::inflate_block(self.pgno, data, page, page_size)?;
                digest.update(&self.head);
            }
            Form::Page => {
                page.copy_from_slice(data);
                digest.update(&self.head[..PAGE_HEADER_LEN]);
            }
        }
        digest.update_page(self.pgno, page);
        Ok(())
    }
}

/// The reading half of a decoder.
pub(crate) struct FrameReader<R> {
    reader: BufReader<R>,
    header: Header,
    raw_header: [u8; HEADER_LEN],
    /// Of the next frame's first byte.
    offset: u64,
    order: PageOrder,
    /// Only in strict mode: what the index must be.
    expected_index: Option<IndexDigest>,
    ended: bool,
}

impl<R: Read> FrameReader<R> {
    /// Reads and validates the header. `strict` adds the rules Litestream's own restore does not insist on.
    pub(crate) fn new(reader: R, strict: bool) -> Result<Self, LtxError> {
        let mut reader = BufReader::with_capacity(BUFFER_LEN, reader);
        let mut raw_header = [0; HEADER_LEN];
        reader.read_exact(&mut raw_header).map_err(LtxError::reading("header"))?;
        let header = Header::parse(&raw_header)?;
        let order = PageOrder::new(&header);
        Ok(FrameReader {
            reader,
            order: if strict { order.bounded() } else { order },
            header,
            raw_header,
            offset: HEADER_LEN as u64,
            expected_index: strict.then(IndexDigest::new),
            ended: false,
        })
    }

    /// The validated header.
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The digest of the file up to its first page. The header enters as it stands in the file, reserved bytes too.
    pub(crate) fn digest(&self) -> ContentDigest {
        let mut digest = self.part_digest();
        digest.update(&self.raw_header);
        digest
    }

    /// An empty digest, for pages that are inflated apart.
    pub(crate) fn part_digest(&self) -> ContentDigest {
        ContentDigest::new(self.header.is_snapshot() && !self.header.no_checksum)
    }

    /// Demands every page, whatever the file's first transaction.
    pub(crate) fn require_complete(&mut self) {
        self.order.require_complete();
    }

    /// Reads the next frame, appending its data to `arena`; `None` at the end marker.
    pub(crate) fn next_frame(&mut self, arena: &mut Vec<u8>) -> Result<Option<Frame>, LtxError> {
        if self.ended {
            return Ok(None);
        }
        let mut head = [0; HEAD_LEN];
        self.reader.read_exact(&mut head[..PAGE_HEADER_LEN]).map_err(LtxError::reading("page frames"))?;
        let pgno = Pgno(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        let flags = u16::from_be_bytes([head[4], head[5]]);
        if head[..PAGE_HEADER_LEN] == END_MARKER {
            self.order.finish()?;
            self.ended = true;
            return Ok(None);
        }
        if flags & !FLAG_BLOCK != 0 {
            return Err(LtxError::PageFlags(flags));
        }
        self.order.next(pgno)?;
        let (form, data, payload_len) = match flags {
            0 => self.read_lz4_frame(pgno, arena)?,
            _ => self.read_block(pgno, &mut head, arena)?,
        };
        let frame_len = PAGE_HEADER_LEN as u64 + payload_len;
        if let Some(index) = &mut self.expected_index {
            index.push(pgno, self.offset, frame_len);
        }
        self.offset += frame_len;
        Ok(Some(Frame { pgno, head, form, data }))
    }

    fn read_block(
        &mut self,
        pgno: Pgno,
        head: &mut [u8; HEAD_LEN],
        arena: &mut Vec<u8>,
    ) -> Result<(Form, Range<usize>, u64), LtxError> {
        self.reader.read_exact(&mut head[PAGE_HEADER_LEN..]).map_err(LtxError::reading("compressed page"))?;
        let size = u32::from_be_bytes([head[6], head[7], head[8], head[9]]);
        let bound = page::payload_bound(self.header.page_size);
        let len = size as usize;
        if len > bound {
            return Err(LtxError::PayloadTooLong { pgno, size, bound });
        }
        let data = grown(arena, len);
        self.reader.read_exact(&mut arena[data.clone()]).map_err(LtxError::reading("compressed page"))?;
        Ok((Form::Block, data, (HEAD_LEN - PAGE_HEADER_LEN + len) as u64))
    }

    fn read_lz4_frame(&mut self, pgno: Pgno, arena: &mut Vec<u8>) -> Result<(Form, Range<usize>, u64), LtxError> {
        let page_size = self.header.page_size;
        let data = grown(arena, page_size.bytes());
        let mut counted = Counted { reader: &mut self.reader, count: 0 };
        page::inflate_frame(pgno, &mut counted, &mut arena[data.clone()], page_size)?;
        Ok((Form::Page, data, counted.count))
    }

    /// Reads everything behind the pages and compares it with `digest`, which must have taken header and pages. The
    /// stream must end with the trailer.
    pub(crate) fn finish(mut self, mut digest: ContentDigest) -> Result<Trailer, LtxError> {
        if !self.ended {
            return Err(LtxError::PagesLeft);
        }
        digest.update(&END_MARKER);
        let index = self.read_index(&mut digest)?;
        self.check_index(&index, &mut digest)?;
        let mut bytes = [0; TRAILER_LEN];
        self.reader.read_exact(&mut bytes).map_err(LtxError::reading("trailer"))?;
        if !self.reader.fill_buf()?.is_empty() {
            return Err(LtxError::TrailingBytes);
        }
        let trailer = Trailer::parse(&bytes);
        digest.update(&trailer.post_apply_checksum.to_be_bytes());
        self.check_trailer(&trailer, &digest)?;
        Ok(trailer)
    }

    fn check_trailer(&self, trailer: &Trailer, digest: &ContentDigest) -> Result<(), LtxError> {
        let (file, database) = digest.values();
        if trailer.file_checksum != file {
            return Err(LtxError::FileChecksum { stored: trailer.file_checksum, computed: file });
        }
        let stored = trailer.post_apply_checksum;
        match database {
            Some(computed) if computed != stored => Err(LtxError::PostApplyMismatch { stored, computed }),
            None if self.expected_index.is_some() && self.header.no_checksum && stored != 0 => {
                Err(LtxError::PostApplyNotAllowed)
            }
            _ => Ok(()),
        }
    }

    fn read_index(&mut self, digest: &mut ContentDigest) -> Result<IndexDigest, LtxError> {
        let mut index = IndexDigest::new();
        let mut raw = Vec::with_capacity(BUFFER_LEN);
        while self.read_varint(&mut raw)? != 0 {
            self.read_varint(&mut raw)?;
            self.read_varint(&mut raw)?;
            if raw.len() >= BUFFER_LEN - 3 * varint::MAX_LEN {
                index.push_raw(&raw);
                digest.update(&raw);
                raw.clear();
            }
        }
        index.push_raw(&raw);
        digest.update(&raw);
        Ok(index)
    }

    fn check_index(&mut self, index: &IndexDigest, digest: &mut ContentDigest) -> Result<(), LtxError> {
        let mut size = [0; INDEX_SIZE_LEN];
        self.reader.read_exact(&mut size).map_err(LtxError::reading("page index"))?;
        digest.update(&size);
        let Some(expected) = &mut self.expected_index else { return Ok(()) };
        expected.close();
        if !index.matches(expected) {
            return Err(LtxError::IndexMismatch);
        }
        let stored = u64::from_be_bytes(size);
        if stored != index.len() {
            return Err(LtxError::IndexSize { stored, actual: index.len() });
        }
        Ok(())
    }

    fn read_varint(&mut self, raw: &mut Vec<u8>) -> Result<u64, LtxError> {
        let mut number = varint::Reader::default();
        loop {
            let mut byte = [0];
            self.reader.read_exact(&mut byte).map_err(LtxError::reading("page index"))?;
            raw.push(byte[0]);
            if let Some(value) = number.take(byte[0]).map_err(|varint::Overflow| LtxError::IndexVarint)? {
                return Ok(value);
            }
        }
    }
}

/// Lengthens `arena` and says by which range.
fn grown(arena: &mut Vec<u8>, len: usize) -> Range<usize> {
    let start = arena.len();
    arena.resize(start + len, 0);
    start..start + len
}

/// Knows how many bytes went through.
struct Counted<'a, R> {
    reader: &'a mut R,
    count: u64,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(buf)?;
        self.count += read as u64;
        Ok(read)
    }
}
