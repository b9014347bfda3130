//! The name of an LTX file: the transactions it covers, `<min_txid>-<max_txid>.ltx`.

use std::fmt;
use std::str::FromStr;

use super::{Header, LtxError, Txid};

/// A parsed name. The parser does not compare the two: a reversed name is a file of ours that no plan can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName {
    /// First transaction.
    pub min_txid: Txid,
    /// Last transaction.
    pub max_txid: Txid,
}

impl FileName {
    /// The name of a file that covers `min_txid` to `max_txid`.
    pub fn new(min_txid: Txid, max_txid: Txid) -> FileName {
        FileName { min_txid, max_txid }
    }

    /// The name that `header` calls for.
    pub fn of(header: &Header) -> FileName {
        FileName::new(header.min_txid, header.max_txid)
    }

    /// Refuses a header that belongs to another name.
    pub fn check(self, header: &Header) -> Result<(), LtxError> {
        if FileName::of(header) == self {
            return Ok(());
        }
        Err(LtxError::NameMismatch { min_txid: header.min_txid, max_txid: header.max_txid, name: self })
    }
}

/// True when a file `min_txid..=max_txid` continues a history that reaches `previous_max`. Overlap is legal, a gap is
/// not, and neither is a file that brings nothing new.
pub fn is_contiguous(previous_max: Txid, min_txid: Txid, max_txid: Txid) -> bool {
    min_txid <= previous_max.next() && max_txid > previous_max
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}.ltx", self.min_txid, self.max_txid)
    }
}

/// A name that is not an LTX file's: somebody else's file, to be skipped silently in a listing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an ltx file name: {0:?}")]
pub struct ParseFileNameError(pub String);

impl FromStr for FileName {
    type Err = ParseFileNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (min, max) = text.strip_suffix(".ltx")?.split_once('-')?;
            // Only the form that is written: an upper-case name is another object on most storage.
            if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
                return None;
            }
            Some(FileName::new(min.parse().ok()?, max.parse().ok()?))
        };
        parse().ok_or_else(|| ParseFileNameError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_written_form_is_a_name() {
        let name: FileName = "0000000000000001-00000000000000ff.ltx".parse().expect("valid");
        assert_eq!(name, FileName::new(Txid(1), Txid(255)));
        assert_eq!(name.to_string(), "0000000000000001-00000000000000ff.ltx");
        for other in [
            "",
            ".ltx",
            "0000000000000001-00000000000000FF.ltx",
            "0000000000000001-00000000000000ff.LTX",
            "0000000000000001-00000000000000ff.ltx.tmp",
            "0000000000000001-0000000000000fff.ltx ",
            "1-2.ltx",
            "0000000000000001_00000000000000ff.ltx",
            "0000000000000001-+0000000000000ff.ltx",
        ] {
            assert!(other.parse::<FileName>().is_err(), "{other:?} was accepted");
        }
    }

    #[test]
    fn overlap_continues_a_history_and_a_gap_does_not() {
        assert!(is_contiguous(Txid(3), Txid(4), Txid(4)));
        assert!(is_contiguous(Txid(3), Txid(1), Txid(4)));
        assert!(is_contiguous(Txid(0), Txid(1), Txid(1)));
        assert!(!is_contiguous(Txid(3), Txid(5), Txid(6)));
        assert!(!is_contiguous(Txid(3), Txid(2), Txid(3)));
        assert!(!is_contiguous(Txid(u64::MAX), Txid(1), Txid(u64::MAX)));
    }
}
