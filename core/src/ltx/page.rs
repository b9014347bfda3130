//! One page frame: a small header and a compressed page. All fields big-endian.
//!
//! | offset | size | field | |
//! |---|---|---|---|
//! | 0 | 4 | pgno | 0 together with flags 0 is the end marker |
//! | 4 | 2 | flags | `0x0001`: size and raw LZ4 block follow; 0: one whole LZ4 frame follows (Litestream up to 0.5.15) |
//! | 6 | 4 | data_size | only with flag `0x0001`: bytes of the block |
//! | | | payload | must inflate to exactly one page |
//!
//! There is no stored form: a page that does not shrink is a block longer than itself.

use std::io::Read;

use lz4_flex::block::{CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size};
use lz4_flex::frame::FrameDecoder;

use super::{LtxError, PageSize, Pgno};

/// Bytes of pgno and flags.
pub(super) const PAGE_HEADER_LEN: usize = 6;
/// Bytes of the length before a block.
pub(super) const DATA_SIZE_LEN: usize = 4;
/// Ends the pages.
pub(super) const END_MARKER: [u8; PAGE_HEADER_LEN] = [0; PAGE_HEADER_LEN];
/// The payload is a block with its size before it.
pub(super) const FLAG_BLOCK: u16 = 0x0001;

/// Longest block LZ4 can make of a page; a longer one is damage, and is refused before memory is taken for it.
pub(super) const fn payload_bound(page_size: PageSize) -> usize {
    let bytes = page_size.bytes();
    bytes + bytes / 255 + 16
}

/// Makes frames of pages, reusing its tables.
pub(super) struct FrameWriter {
    table: CompressTable,
    frame: Vec<u8>,
}

impl FrameWriter {
    pub(super) fn new(page_size: PageSize) -> FrameWriter {
        let capacity = HEAD_LEN + get_maximum_output_size(page_size.bytes());
        FrameWriter { table: CompressTable::default(), frame: vec![0; capacity] }
    }

    /// The whole frame of a page; its first [`HEAD_LEN`] bytes enter the file checksum as they are.
    pub(super) fn frame(&mut self, pgno: Pgno, page: &[u8]) -> Result<&[u8], LtxError> {
        let (head, block) = self.frame.split_at_mut(HEAD_LEN);
        let size = compress_into_with_table(page, block, &mut self.table)
            .map_err(|error| LtxError::Lz4 { pgno, reason: error.to_string() })?;
        let stored_size = u32::try_from(size).expect("a block is never longer than the bound, which fits 32 bits");
        head.copy_from_slice(&block_head(pgno, stored_size));
        Ok(&self.frame[..HEAD_LEN + size])
    }
}

/// Bytes before the payload of a frame in block form.
pub(super) const HEAD_LEN: usize = PAGE_HEADER_LEN + DATA_SIZE_LEN;

/// The bytes before a block.
pub(super) fn block_head(pgno: Pgno, size: u32) -> [u8; HEAD_LEN] {
    let mut head = [0; HEAD_LEN];
    head[..4].copy_from_slice(&pgno.0.to_be_bytes());
    head[4..6].copy_from_slice(&FLAG_BLOCK.to_be_bytes());
    head[6..].copy_from_slice(&size.to_be_bytes());
    head
}

/// Inflates a raw block into exactly one page.
pub(super) fn inflate_block(pgno: Pgno, block: &[u8], page: &mut [u8], page_size: PageSize) -> Result<(), LtxError> {
    match decompress_into(block, page) {
        Ok(actual) if actual == page_size.bytes() => Ok(()),
        Ok(actual) => Err(LtxError::PageLength { pgno, actual, page_size }),
        Err(error) => Err(LtxError::Lz4 { pgno, reason: error.to_string() }),
    }
}

/// Bytes from the magic to the block-size descriptor of an LZ4 frame.
const LZ4_FRAME_START: usize = 6;
const LZ4_FRAME_MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
/// Block-size class "64 KiB", the only one Litestream wrote and the largest a page needs. Larger ones would make the
/// library allocate megabytes for a page.
const LZ4_FRAME_64_KIB: u8 = 0x40;

/// Reads exactly one LZ4 frame, and not a byte further, into exactly one page.
pub(super) fn inflate_frame(
    pgno: Pgno,
    reader: &mut impl Read,
    page: &mut [u8],
    page_size: PageSize,
) -> Result<(), LtxError> {
    let mut start = [0; LZ4_FRAME_START];
    reader.read_exact(&mut start).map_err(LtxError::reading("compressed page"))?;
    let refuse = |reason: &str| Err(LtxError::Lz4 { pgno, reason: reason.to_owned() });
    if start[..4] != LZ4_FRAME_MAGIC {
        return refuse("bad magic number");
    }
    if start[5] & 0x70 != LZ4_FRAME_64_KIB {
        return refuse("unsupported block size in frame");
    }
    let mut frame = FrameDecoder::new(start.as_slice().chain(reader));
    let mut filled = 0;
    // One read goes past the last byte: it consumes the end mark and the content checksum. None may follow it, or the
    // library would take the next page header for a concatenated frame.
    loop {
        let rest = if filled < page.len() { &mut page[filled..] } else { &mut [0][..] };
        match frame.read(rest).map_err(|error| frame_error(pgno, error))? {
            0 if filled == page_size.bytes() => return Ok(()),
            0 => return Err(LtxError::PageLength { pgno, actual: filled, page_size }),
            read => filled += read,
        }
        if filled > page_size.bytes() {
            return Err(LtxError::PageLength { pgno, actual: filled, page_size });
        }
    }
}

/// The library reports damage as `io::Error` too; only errors that come from the stream stay ones.
fn frame_error(pgno: Pgno, error: std::io::Error) -> LtxError {
    match error.get_ref() {
        Some(inner) if inner.is::<lz4_flex::frame::Error>() => LtxError::Lz4 { pgno, reason: inner.to_string() },
        _ => LtxError::reading("compressed page")(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

    use super::*;

    const PAGE_SIZE: PageSize = PageSize::MIN;

    fn pages() -> Vec<Vec<u8>> {
        let random: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(PAGE_SIZE.bytes()).collect();
        vec![vec![0; PAGE_SIZE.bytes()], (0..PAGE_SIZE.bytes()).map(|i| (i % 7) as u8).collect(), random]
    }

    fn lz4_frame(bytes: &[u8], block_size: BlockSize) -> Vec<u8> {
        let info = FrameInfo::new().block_mode(BlockMode::Independent).block_size(block_size).content_checksum(true);
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    #[test]
    fn every_page_inflates_to_itself_in_both_forms() {
        for page in pages() {
            let mut writer = FrameWriter::new(PAGE_SIZE);
            let mut out = vec![9; PAGE_SIZE.bytes()];
            let frame = writer.frame(Pgno(3), &page).expect("compresses");
            assert_eq!(frame[..6], [0, 0, 0, 3, 0, 1]);
            inflate_block(Pgno(3), &frame[HEAD_LEN..], &mut out, PAGE_SIZE).expect("inflates");
            assert_eq!(out, page);

            out.fill(9);
            let legacy = [lz4_frame(&page, BlockSize::Max64KB), b"next".to_vec()].concat();
            let mut reader = legacy.as_slice();
            inflate_frame(Pgno(3), &mut reader, &mut out, PAGE_SIZE).expect("inflates");
            assert_eq!(out, page);
            assert_eq!(reader, b"next", "read past the frame");
        }
    }

    #[test]
    fn an_incompressible_page_stays_within_the_bound() {
        for bytes in [512, 4096, 65536] {
            let page_size = PageSize::new(bytes).expect("legal");
            let page: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(page_size.bytes()).collect();
            let size = FrameWriter::new(page_size).frame(Pgno(1), &page).expect("compresses").len() - HEAD_LEN;
            assert!((page_size.bytes()..=payload_bound(page_size)).contains(&size), "{size}");
        }
    }

    #[test]
    fn a_payload_of_another_length_is_refused() {
        for len in [0, 511, 513, 5000] {
            let mut out = vec![0; PAGE_SIZE.bytes()];
            let block = lz4_flex::block::compress(&vec![7; len]);
            assert!(inflate_block(Pgno(1), &block, &mut out, PAGE_SIZE).is_err(), "block of {len}");
            let frame = lz4_frame(&vec![7; len], BlockSize::Max64KB);
            let error = inflate_frame(Pgno(1), &mut frame.as_slice(), &mut out, PAGE_SIZE).unwrap_err();
            assert!(matches!(error, LtxError::PageLength { .. }), "frame of {len}: {error}");
        }
    }

    #[test]
    fn a_frame_that_would_cost_megabytes_or_is_cut_is_refused() {
        let mut out = vec![0; PAGE_SIZE.bytes()];
        let large = lz4_frame(&out, BlockSize::Max4MB);
        assert!(matches!(
            inflate_frame(Pgno(1), &mut large.as_slice(), &mut out, PAGE_SIZE),
            Err(LtxError::Lz4 { .. })
        ));
        let whole = lz4_frame(&pages()[2], BlockSize::Max64KB);
        for len in 0..whole.len() - 8 {
            assert!(inflate_frame(Pgno(1), &mut &whole[..len], &mut out, PAGE_SIZE).is_err(), "cut at {len}");
        }
    }
}
