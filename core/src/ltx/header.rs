//! The 100 bytes at the start of every LTX file. All fields big-endian.
//!
//! | offset | size | field | |
//! |---|---|---|---|
//! | 0 | 4 | magic | `LTX1`, for every version of the format |
//! | 4 | 4 | flags | `0x2` = no database checksums; every other bit is 0 |
//! | 8 | 4 | page_size | 65536 is stored as is |
//! | 12 | 4 | commit | pages in the database after this file |
//! | 16 | 8 | min_txid | |
//! | 24 | 8 | max_txid | |
//! | 32 | 8 | timestamp | signed milliseconds since the Unix epoch |
//! | 40 | 8 | pre_apply_checksum | 0 unless checksums are kept |
//! | 48 | 8 | wal_offset | signed, not negative |
//! | 56 | 8 | wal_size | signed, not negative |
//! | 64 | 4 | wal_salt1 | |
//! | 68 | 4 | wal_salt2 | |
//! | 72 | 8 | node_id | |
//! | 80 | 20 | reserved | written 0, read as anything, covered by the file checksum |

use super::checksum::CHECKSUM_FLAG;
use super::error::HeaderError;
use super::{PageSize, Txid};
use crate::clock::UnixMillis;

/// Bytes of an encoded header: also the least an LTX file can be.
pub const HEADER_LEN: usize = 100;

const MAGIC: [u8; 4] = *b"LTX1";
const FLAG_NO_CHECKSUM: u32 = 0x2;

/// What an LTX file says about itself before its pages. [`Header::parse`] gives only valid ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The file carries no pre- and post-apply checksums of the database. Litestream always writes it so, and so do we.
    pub no_checksum: bool,
    /// Page size of the database.
    pub page_size: PageSize,
    /// Pages in the database once this file is applied.
    pub commit: u32,
    /// First transaction in the file.
    pub min_txid: Txid,
    /// Last transaction in the file.
    pub max_txid: Txid,
    /// When the newest transaction was copied.
    pub timestamp: UnixMillis,
    /// Checksum of the database this file applies to; 0 where none is kept.
    pub pre_apply_checksum: u64,
    /// Where in the WAL the copied range starts; 0 when the pages come from no WAL.
    pub wal_offset: u64,
    /// Bytes of WAL that were copied.
    pub wal_size: u64,
    /// First salt of the WAL that was read.
    pub wal_salt1: u32,
    /// Second salt of the WAL that was read.
    pub wal_salt2: u32,
    /// LiteFS's node number; Litestream writes 0.
    pub node_id: u64,
}

impl Header {
    /// A header without database checksums, WAL range and node: what a compaction or a snapshot without WAL needs.
    pub fn new(page_size: PageSize, commit: u32, min_txid: Txid, max_txid: Txid, timestamp: UnixMillis) -> Header {
        Header {
            no_checksum: true,
            page_size,
            commit,
            min_txid,
            max_txid,
            timestamp,
            pre_apply_checksum: 0,
            wal_offset: 0,
            wal_size: 0,
            wal_salt1: 0,
            wal_salt2: 0,
            node_id: 0,
        }
    }

    /// Decodes and validates.
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Header, HeaderError> {
        if bytes[..4] != MAGIC {
            return Err(HeaderError::Magic);
        }
        let flags = be_u32(bytes, 4);
        if flags & !FLAG_NO_CHECKSUM != 0 {
            return Err(HeaderError::Flags(flags));
        }
        let page_size = be_u32(bytes, 8);
        let wal_offset = be_u64(bytes, 48).cast_signed();
        let wal_size = be_u64(bytes, 56).cast_signed();
        let header = Header {
            no_checksum: flags & FLAG_NO_CHECKSUM != 0,
            page_size: PageSize::new(page_size).ok_or(HeaderError::PageSize(page_size))?,
            commit: be_u32(bytes, 12),
            min_txid: Txid(be_u64(bytes, 16)),
            max_txid: Txid(be_u64(bytes, 24)),
            timestamp: be_u64(bytes, 32).cast_signed(),
            pre_apply_checksum: be_u64(bytes, 40),
            wal_offset: u64::try_from(wal_offset).map_err(|_| HeaderError::NegativeWalOffset(wal_offset))?,
            wal_size: u64::try_from(wal_size).map_err(|_| HeaderError::NegativeWalSize(wal_size))?,
            wal_salt1: be_u32(bytes, 64),
            wal_salt2: be_u32(bytes, 68),
            node_id: be_u64(bytes, 72),
        };
        header.validate()?;
        Ok(header)
    }

    /// Encodes; the reserved bytes are 0.
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&if self.no_checksum { FLAG_NO_CHECKSUM } else { 0 }.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.page_size.get().to_be_bytes());
        bytes[12..16].copy_from_slice(&self.commit.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.min_txid.0.to_be_bytes());
        bytes[24..32].copy_from_slice(&self.max_txid.0.to_be_bytes());
        bytes[32..40].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[40..48].copy_from_slice(&self.pre_apply_checksum.to_be_bytes());
        bytes[48..56].copy_from_slice(&self.wal_offset.to_be_bytes());
        bytes[56..64].copy_from_slice(&self.wal_size.to_be_bytes());
        bytes[64..68].copy_from_slice(&self.wal_salt1.to_be_bytes());
        bytes[68..72].copy_from_slice(&self.wal_salt2.to_be_bytes());
        bytes[72..80].copy_from_slice(&self.node_id.to_be_bytes());
        bytes
    }

    /// The rules between fields.
    pub fn validate(&self) -> Result<(), HeaderError> {
        if !self.min_txid.is_some() {
            return Err(HeaderError::MinTxidRequired);
        }
        if !self.max_txid.is_some() {
            return Err(HeaderError::MaxTxidRequired);
        }
        if self.min_txid > self.max_txid {
            return Err(HeaderError::TxidOrder { min_txid: self.min_txid, max_txid: self.max_txid });
        }
        if let Err(offset) = i64::try_from(self.wal_offset).map_err(|_| self.wal_offset.cast_signed()) {
            return Err(HeaderError::NegativeWalOffset(offset));
        }
        if let Err(size) = i64::try_from(self.wal_size).map_err(|_| self.wal_size.cast_signed()) {
            return Err(HeaderError::NegativeWalSize(size));
        }
        if self.wal_offset == 0 && (self.wal_salt1 != 0 || self.wal_salt2 != 0) {
            return Err(HeaderError::SaltWithoutWalOffset);
        }
        if self.wal_offset == 0 && self.wal_size != 0 {
            return Err(HeaderError::SizeWithoutWalOffset);
        }
        self.validate_pre_apply()
    }

    fn validate_pre_apply(&self) -> Result<(), HeaderError> {
        let checksum = self.pre_apply_checksum;
        match (self.is_snapshot() || self.no_checksum, checksum) {
            (true, 0) => Ok(()),
            (true, _) => Err(HeaderError::PreApplyNotAllowed),
            (false, 0) => Err(HeaderError::PreApplyRequired),
            (false, _) if checksum & CHECKSUM_FLAG == 0 => Err(HeaderError::PreApplyFormat(checksum)),
            (false, _) => Ok(()),
        }
    }

    /// True when the file starts at the first transaction, and so must hold every page. Says nothing about its level.
    pub fn is_snapshot(&self) -> bool {
        self.min_txid == Txid::FIRST
    }

    /// End of the copied WAL range: the position from which the next file continues.
    pub fn wal_end(&self) -> u64 {
        self.wal_offset.saturating_add(self.wal_size)
    }
}

fn be_u32(bytes: &[u8; HEADER_LEN], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn be_u64(bytes: &[u8; HEADER_LEN], at: usize) -> u64 {
    (u64::from(be_u32(bytes, at)) << 32) | u64::from(be_u32(bytes, at + 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid() -> Header {
        let mut header = Header::new(PageSize::MAX, 9, Txid(2), Txid(7), -1);
        (header.wal_offset, header.wal_size, header.wal_salt1, header.wal_salt2) = (32, 4120, 5, 6);
        header
    }

    #[test]
    fn what_is_written_is_read_back() {
        let header = valid();
        assert_eq!(Header::parse(&header.to_bytes()), Ok(header));
    }

    #[test]
    fn reserved_bytes_and_node_id_may_be_anything() {
        let mut bytes = valid().to_bytes();
        bytes[72..].fill(0xff);
        let header = Header::parse(&bytes).expect("valid");
        assert_eq!(header.node_id, u64::MAX);
    }

    #[test]
    fn each_rule_refuses_what_breaks_it() {
        let with = |change: fn(&mut [u8; HEADER_LEN])| {
            let mut bytes = valid().to_bytes();
            change(&mut bytes);
            Header::parse(&bytes).unwrap_err()
        };
        assert_eq!(with(|b| b[3] = b'2'), HeaderError::Magic);
        assert_eq!(with(|b| b[7] = 3), HeaderError::Flags(3));
        assert_eq!(with(|b| b[8..12].fill(0)), HeaderError::PageSize(0));
        assert_eq!(with(|b| b[16..24].fill(0)), HeaderError::MinTxidRequired);
        assert_eq!(with(|b| b[24..32].fill(0)), HeaderError::MaxTxidRequired);
        assert_eq!(with(|b| b[23] = 8), HeaderError::TxidOrder { min_txid: Txid(8), max_txid: Txid(7) });
        assert_eq!(with(|b| b[48] = 0x80), HeaderError::NegativeWalOffset(i64::MIN + 32));
        assert_eq!(with(|b| b[56] = 0x80), HeaderError::NegativeWalSize(i64::MIN + 4120));
        assert_eq!(with(|b| b[48..56].fill(0)), HeaderError::SaltWithoutWalOffset);
        assert_eq!(
            with(|b| {
                b[48..56].fill(0);
                b[64..72].fill(0);
            }),
            HeaderError::SizeWithoutWalOffset
        );
        assert_eq!(with(|b| b[47] = 1), HeaderError::PreApplyNotAllowed);
        assert_eq!(with(|b| b[7] = 0), HeaderError::PreApplyRequired);
        assert_eq!(
            with(|b| {
                b[7] = 0;
                b[47] = 1;
            }),
            HeaderError::PreApplyFormat(1)
        );
    }

    #[test]
    fn a_first_file_with_checksums_has_nothing_before_it() {
        let mut header = Header { no_checksum: false, min_txid: Txid(1), ..valid() };
        assert_eq!(header.validate(), Ok(()));
        header.pre_apply_checksum = CHECKSUM_FLAG;
        assert_eq!(header.validate(), Err(HeaderError::PreApplyNotAllowed));
    }
}
