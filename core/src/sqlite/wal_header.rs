//! The 32 bytes at the start of a WAL file. All fields big-endian.
//!
//! | offset | size | field | |
//! |---|---|---|---|
//! | 0 | 4 | magic | `377f0682`: checksum words little-endian; `377f0683`: big-endian |
//! | 4 | 4 | version | 3007000 |
//! | 8 | 4 | page size | |
//! | 12 | 4 | checkpoint sequence | |
//! | 16 | 8 | salts | the first counts up at each restart, the second is random |
//! | 24 | 8 | checksum | over bytes 0 to 23, from (0,0) |

use std::fmt;

use super::wal_checksum::{ByteOrder, WalChecksum};
use crate::ltx::PageSize;

/// Bytes of a WAL header; frames follow at once.
pub const WAL_HEADER_LEN: usize = 32;

const MAGIC: u32 = 0x377f_0682;
const VERSION: u32 = 3_007_000;

/// The two salts that name one generation of a WAL: a frame with other salts is left over from an earlier one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Salt {
    /// Counts up by one at each restart of the WAL.
    pub salt1: u32,
    /// Drawn anew at each restart.
    pub salt2: u32,
}

impl Salt {
    /// From the 8 bytes in which a WAL header, a frame header and the wal-index hold it.
    pub fn from_be_bytes([a, b, c, d, e, f, g, h]: [u8; 8]) -> Salt {
        Salt { salt1: u32::from_be_bytes([a, b, c, d]), salt2: u32::from_be_bytes([e, f, g, h]) }
    }

    /// As a WAL holds it.
    pub fn to_be_bytes(self) -> [u8; 8] {
        let ([a, b, c, d], [e, f, g, h]) = (self.salt1.to_be_bytes(), self.salt2.to_be_bytes());
        [a, b, c, d, e, f, g, h]
    }
}

impl fmt::Display for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}/{:08x}", self.salt1, self.salt2)
    }
}

/// A valid WAL header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalHeader {
    /// Byte order of the checksummed words.
    pub order: ByteOrder,
    /// Page size of the database.
    pub page_size: PageSize,
    /// Counts checkpoints; nothing may be concluded from it.
    pub checkpoint_sequence: u32,
    /// Names this generation.
    pub salt: Salt,
    /// Where the first frame's checksum starts from.
    pub checksum: WalChecksum,
}

/// Why 32 bytes are no WAL header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalHeaderError {
    /// Half written, or not written yet: SQLite treats such a WAL as empty, and so must every reader.
    #[error("wal header checksum mismatch")]
    Checksum,
    /// Not a WAL file.
    #[error("invalid wal magic: {0:08x}")]
    Magic(u32),
    /// A WAL of a format this program does not know.
    #[error("unsupported wal version: {0}")]
    Version(u32),
    /// A page size no database can have.
    #[error("invalid wal page size: {0}")]
    PageSize(u32),
}

impl WalHeader {
    /// Decodes and verifies. [`WalHeaderError::Checksum`] means "an empty WAL"; the other errors are errors.
    pub fn parse(bytes: &[u8; WAL_HEADER_LEN]) -> Result<WalHeader, WalHeaderError> {
        let magic = be_u32(bytes, 0);
        let order = match magic ^ MAGIC {
            0 => ByteOrder::Little,
            1 => ByteOrder::Big,
            _ => return Err(WalHeaderError::Magic(magic)),
        };
        let stored = WalChecksum::from_be_bytes(eight(bytes, 24));
        if WalChecksum::default().updated(order, &bytes[..24]) != stored {
            return Err(WalHeaderError::Checksum);
        }
        let (version, page_size) = (be_u32(bytes, 4), be_u32(bytes, 8));
        if version != VERSION {
            return Err(WalHeaderError::Version(version));
        }
        Ok(WalHeader {
            order,
            page_size: PageSize::new(page_size).ok_or(WalHeaderError::PageSize(page_size))?,
            checkpoint_sequence: be_u32(bytes, 12),
            salt: Salt::from_be_bytes(eight(bytes, 16)),
            checksum: stored,
        })
    }

    /// Encodes, with the checksum computed anew.
    pub fn to_bytes(&self) -> [u8; WAL_HEADER_LEN] {
        let mut bytes = [0; WAL_HEADER_LEN];
        let magic = MAGIC | u32::from(self.order == ByteOrder::Big);
        bytes[..4].copy_from_slice(&magic.to_be_bytes());
        bytes[4..8].copy_from_slice(&VERSION.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.page_size.get().to_be_bytes());
        bytes[12..16].copy_from_slice(&self.checkpoint_sequence.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.salt.to_be_bytes());
        let checksum = WalChecksum::default().updated(self.order, &bytes[..24]);
        bytes[24..].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }
}

fn be_u32(bytes: &[u8; WAL_HEADER_LEN], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn eight(bytes: &[u8; WAL_HEADER_LEN], at: usize) -> [u8; 8] {
    bytes[at..at + 8].try_into().expect("a slice of 8 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(order: ByteOrder) -> WalHeader {
        let salt = Salt { salt1: 0xa539_dfa0, salt2: 0xd2d7_e4ee };
        let mut header = WalHeader {
            order,
            page_size: PageSize::MAX,
            checkpoint_sequence: 3,
            salt,
            checksum: WalChecksum::default(),
        };
        header.checksum = WalChecksum::from_be_bytes(eight(&header.to_bytes(), 24));
        header
    }

    #[test]
    fn what_is_written_is_read_back_in_both_byte_orders() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            assert_eq!(WalHeader::parse(&header(order).to_bytes()), Ok(header(order)));
        }
    }

    #[test]
    fn half_a_header_is_an_empty_wal_and_a_foreign_file_is_an_error() {
        let mut bytes = header(ByteOrder::Little).to_bytes();
        bytes[20] ^= 1;
        assert_eq!(WalHeader::parse(&bytes), Err(WalHeaderError::Checksum));
        assert_eq!(WalHeader::parse(&[0; 32]), Err(WalHeaderError::Magic(0)));

        let sealed = |at: usize, value: u32| {
            let mut bytes = header(ByteOrder::Little).to_bytes();
            bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
            let checksum = WalChecksum::default().updated(ByteOrder::Little, &bytes[..24]);
            bytes[24..].copy_from_slice(&checksum.to_be_bytes());
            WalHeader::parse(&bytes)
        };
        assert_eq!(sealed(4, 3_007_001), Err(WalHeaderError::Version(3_007_001)));
        assert_eq!(sealed(8, 513), Err(WalHeaderError::PageSize(513)));
    }
}
