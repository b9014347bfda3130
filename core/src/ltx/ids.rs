//! The numbers that name a place in a database's history.

use std::fmt;
use std::str::FromStr;

/// A transaction id: counts LTX files of level 0, starting at 1. `Txid::NONE` (0) means "no position yet".
///
/// Its text is always 16 lower-case hex digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Txid(pub u64);

impl Txid {
    /// No transaction yet: legal as a position, never inside a file or a file name.
    pub const NONE: Txid = Txid(0);

    /// The id of the first file of a history.
    pub const FIRST: Txid = Txid(1);

    /// The id that follows. Saturates: 2^64 transactions are out of reach.
    #[must_use]
    pub fn next(self) -> Txid {
        Txid(self.0.saturating_add(1))
    }

    /// True for every id that may stand in a file.
    pub fn is_some(self) -> bool {
        self.0 != 0
    }
}

impl fmt::Display for Txid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Text that is not exactly 16 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid txid format: {0:?} (expected exactly 16 hex digits)")]
pub struct ParseTxidError(pub String);

impl FromStr for Txid {
    type Err = ParseTxidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let value = valid.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        value.map(Txid).ok_or_else(|| ParseTxidError(text.to_owned()))
    }
}

/// A compaction level: 0 raw, 1 to 8 compacted, 9 snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(u8);

impl Level {
    /// One file per sync.
    pub const RAW: Level = Level(0);
    /// Whole databases.
    pub const SNAPSHOT: Level = Level(9);

    /// `None` above 9.
    pub const fn new(number: u8) -> Option<Level> {
        if number <= 9 { Some(Level(number)) } else { None }
    }

    /// 0 to 9.
    pub fn number(self) -> u8 {
        self.0
    }

    /// All ten, lowest first.
    pub fn all() -> impl DoubleEndedIterator<Item = Level> {
        (0..=9).map(Level)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A position: a transaction id, and the database checksum after it (Litestream writes none, so it is 0).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pos {
    /// The last transaction contained.
    pub txid: Txid,
    /// Post-apply checksum of the database, 0 where none is kept.
    pub post_apply_checksum: u64,
}

impl fmt::Display for Pos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:016x}", self.txid, self.post_apply_checksum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn txid_text_is_exactly_sixteen_hex_digits() {
        assert_eq!(Txid(0x2b).to_string(), "000000000000002b");
        assert_eq!("000000000000002b".parse(), Ok(Txid(0x2b)));
        for bad in ["", "2b", "000000000000002g", "+00000000000002b", "0000000000000002b"] {
            assert!(bad.parse::<Txid>().is_err(), "{bad:?} was accepted");
        }
    }
}
