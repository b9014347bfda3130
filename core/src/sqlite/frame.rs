//! A WAL frame: 24 bytes of header, then one page. All fields big-endian.
//!
//! | offset | size | field | |
//! |---|---|---|---|
//! | 0 | 4 | page number | |
//! | 4 | 4 | commit | database size in pages if this frame commits, else 0 |
//! | 8 | 8 | salts | those of the WAL header, or the frame is left over from an earlier generation |
//! | 16 | 8 | checksum | continues the frame before, over bytes 0 to 7 and the page |

use super::wal_checksum::{ByteOrder, WalChecksum};
use super::wal_header::{Salt, WAL_HEADER_LEN};
use crate::ltx::{PageSize, Pgno};

/// Bytes before the page of a frame.
pub const FRAME_HEADER_LEN: usize = 24;

/// Bytes of one frame.
pub const fn frame_len(page_size: PageSize) -> u64 {
    FRAME_HEADER_LEN as u64 + page_size.get() as u64
}

/// File offset behind the first `frames` frames, which is where frame number `frames + 1` starts (SQLite counts from 1).
pub const fn frame_offset(frames: u32, page_size: PageSize) -> u64 {
    WAL_HEADER_LEN as u64 + frames as u64 * frame_len(page_size)
}

/// A decoded frame header; whether it belongs to the WAL is for [`FrameHeader::follows`] to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// The page.
    pub pgno: Pgno,
    /// Pages in the database if this frame ends a transaction, else 0.
    pub commit: u32,
    /// Names the generation.
    pub salt: Salt,
    /// Running checksum after this frame.
    pub checksum: WalChecksum,
}

impl FrameHeader {
    /// Decodes.
    pub fn parse(bytes: &[u8; FRAME_HEADER_LEN]) -> FrameHeader {
        let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let pair = |at: usize| bytes[at..at + 8].try_into().expect("a slice of 8 bytes");
        FrameHeader {
            pgno: Pgno(word(0)),
            commit: word(4),
            salt: Salt::from_be_bytes(pair(8)),
            checksum: WalChecksum::from_be_bytes(pair(16)),
        }
    }

    /// Encodes as is.
    pub fn to_bytes(&self) -> [u8; FRAME_HEADER_LEN] {
        let mut bytes = [0; FRAME_HEADER_LEN];
        bytes[..4].copy_from_slice(&self.pgno.0.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.commit.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.salt.to_be_bytes());
        bytes[16..].copy_from_slice(&self.checksum.to_be_bytes());
        bytes
    }

    /// True when this frame ends a transaction.
    pub fn is_commit(&self) -> bool {
        self.commit != 0
    }

    /// The running checksum this frame should carry after `previous`.
    pub fn expected_checksum(&self, order: ByteOrder, previous: WalChecksum, page: &[u8]) -> WalChecksum {
        previous.updated(order, &self.to_bytes()[..8]).updated(order, page)
    }

    /// True when the frame is of generation `salt` and its checksum continues `previous`. The first frame for which
    /// this is false is the end of the WAL, silently: half written, or left over.
    pub fn follows(&self, order: ByteOrder, salt: Salt, previous: WalChecksum, page: &[u8]) -> bool {
        self.salt == salt && self.pgno.0 != 0 && self.expected_checksum(order, previous, page) == self.checksum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: Salt = Salt { salt1: 7, salt2: 8 };

    fn frame(order: ByteOrder, previous: WalChecksum, page: &[u8]) -> FrameHeader {
        let mut frame = FrameHeader { pgno: Pgno(5), commit: 9, salt: SALT, checksum: WalChecksum::default() };
        frame.checksum = frame.expected_checksum(order, previous, page);
        frame
    }

    #[test]
    fn a_frame_follows_only_its_predecessor_generation_and_page() {
        let (previous, page) = (WalChecksum { s0: 11, s1: 12 }, [3u8; 512]);
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let good = frame(order, previous, &page);
            assert_eq!(FrameHeader::parse(&good.to_bytes()), good);
            assert!(good.follows(order, SALT, previous, &page));
            assert!(!good.follows(order, Salt { salt1: 8, salt2: 8 }, previous, &page));
            assert!(!good.follows(order, SALT, WalChecksum::default(), &page));
            assert!(!good.follows(order, SALT, previous, &[4u8; 512]));
            assert!(!FrameHeader { commit: 10, ..good }.follows(order, SALT, previous, &page));
        }
    }

    #[test]
    fn frames_lie_back_to_back_behind_the_header() {
        let page_size = PageSize::new(4096).expect("legal");
        assert_eq!(frame_offset(0, page_size), 32);
        assert_eq!(frame_offset(7, page_size), 32 + 7 * 4120);
        assert_eq!(frame_offset(u32::MAX, PageSize::MAX), 32 + u64::from(u32::MAX) * 65560);
    }
}
