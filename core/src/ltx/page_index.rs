//! The index behind the pages: where each frame lies. Restore and compaction never use it; a reader of single pages does.
//!
//! ```text
//! for each frame, ascending: varint pgno | varint offset of its first byte | varint length of the whole frame
//! varint 0 | u64, big-endian: bytes of the varints, the 0 included
//! ```
//!
//! Frames lie back to back, so an entry follows from the one before and the frame's length. The writer keeps only what
//! does not: about 3 bytes a page, 768 KiB for each GiB of 4 KiB pages. The reader keeps only a digest.

use super::checksum::FileChecksum;
use super::{Pgno, varint};

/// Bytes of the length behind the index.
pub(super) const INDEX_SIZE_LEN: usize = 8;

/// Collects frames while they are written, and spells the index out at the end.
pub(super) struct IndexWriter {
    /// Distance in page numbers, then length: two varints a frame.
    compact: Vec<u8>,
    last: Pgno,
}

impl IndexWriter {
    pub(super) fn new() -> IndexWriter {
        IndexWriter { compact: Vec::new(), last: Pgno(0) }
    }

    /// Notes the next frame. Page numbers ascend: the encoder has seen to it.
    pub(super) fn push(&mut self, pgno: Pgno, frame_len: u64) {
        varint::put(&mut self.compact, u64::from(pgno.0.wrapping_sub(self.last.0)));
        varint::put(&mut self.compact, frame_len);
        self.last = pgno;
    }

    /// Gives the index and its size field in pieces of about 64 KiB. `first_offset` is where the first frame lies.
    pub(super) fn write<E>(&self, first_offset: u64, mut out: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        const PIECE: usize = 64 << 10;
        let mut piece = Vec::with_capacity(PIECE + 3 * varint::MAX_LEN + INDEX_SIZE_LEN);
        let (mut pgno, mut offset, mut written) = (0, first_offset, 0);
        let mut numbers = self.numbers();
        while let (Some(gap), Some(frame_len)) = (numbers.next(), numbers.next()) {
            pgno += gap;
            put_entry(&mut piece, pgno, offset, frame_len);
            offset += frame_len;
            if piece.len() >= PIECE {
                written += piece.len() as u64;
                out(&piece)?;
                piece.clear();
            }
        }
        piece.push(0);
        written += piece.len() as u64;
        piece.extend_from_slice(&written.to_be_bytes());
        out(&piece)
    }

    fn numbers(&self) -> impl Iterator<Item = u64> {
        let mut bytes = self.compact.iter();
        std::iter::from_fn(move || {
            let mut reader = varint::Reader::default();
            bytes.by_ref().find_map(|&byte| reader.take(byte).ok().flatten())
        })
    }
}

/// What the index of the frames read so far must be, without keeping them: its checksum and length.
pub(super) struct IndexDigest {
    checksum: FileChecksum,
    len: u64,
    entry: Vec<u8>,
}

impl IndexDigest {
    pub(super) fn new() -> IndexDigest {
        IndexDigest { checksum: FileChecksum::new(), len: 0, entry: Vec::with_capacity(3 * varint::MAX_LEN) }
    }

    /// Notes a frame that was read.
    pub(super) fn push(&mut self, pgno: Pgno, offset: u64, frame_len: u64) {
        self.entry.clear();
        put_entry(&mut self.entry, pgno.0.into(), offset, frame_len);
        self.take_entry();
    }

    /// Notes the closing zero.
    pub(super) fn close(&mut self) {
        self.entry.clear();
        self.entry.push(0);
        self.take_entry();
    }

    fn take_entry(&mut self) {
        self.checksum.update(&self.entry);
        self.len += self.entry.len() as u64;
    }

    /// Notes bytes of a stored index.
    pub(super) fn push_raw(&mut self, bytes: &[u8]) {
        self.checksum.update(bytes);
        self.len += bytes.len() as u64;
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// True when both describe the same bytes.
    pub(super) fn matches(&self, other: &IndexDigest) -> bool {
        self.len == other.len && self.checksum.value() == other.checksum.value()
    }
}

fn put_entry(out: &mut Vec<u8>, pgno: u64, offset: u64, frame_len: u64) {
    varint::put(out, pgno);
    varint::put(out, offset);
    varint::put(out, frame_len);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(index: &IndexWriter) -> Vec<u8> {
        let mut bytes = Vec::new();
        let result: Result<(), ()> = index.write(100, |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        });
        result.expect("nothing fails");
        bytes
    }

    #[test]
    fn equals_the_worked_example_of_the_format() {
        let mut index = IndexWriter::new();
        for (pgno, len) in [(1, 317), (2, 56), (3, 56), (4, 56)] {
            index.push(Pgno(pgno), len);
        }
        let expected = [
            1, 0x64, 0xbd, 2, 2, 0xa1, 3, 0x38, 3, 0xd9, 3, 0x38, 4, 0x91, 4, 0x38, 0, // 17 bytes
            0, 0, 0, 0, 0, 0, 0, 17,
        ];
        assert_eq!(written(&index), expected);
    }

    #[test]
    fn a_digest_of_frames_equals_the_digest_of_the_index_they_give() {
        let frames: Vec<(u32, u64)> = (0..50_000).map(|i| (i * 3 + 1, 11 + u64::from(i % 5000))).collect();
        let (mut index, mut frames_digest, mut offset) = (IndexWriter::new(), IndexDigest::new(), 100);
        for &(pgno, len) in &frames {
            index.push(Pgno(pgno), len);
            frames_digest.push(Pgno(pgno), offset, len);
            offset += len;
        }
        frames_digest.close();
        let bytes = written(&index);
        let (stored, size) = bytes.split_at(bytes.len() - INDEX_SIZE_LEN);
        assert_eq!(size, (stored.len() as u64).to_be_bytes());
        let mut stored_digest = IndexDigest::new();
        stored.chunks(1000).for_each(|chunk| stored_digest.push_raw(chunk));
        assert!(stored_digest.matches(&frames_digest));
        assert_eq!(stored_digest.len(), stored.len() as u64);

        stored_digest.push_raw(&[0]);
        assert!(!stored_digest.matches(&frames_digest));
    }
}
