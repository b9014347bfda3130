//! One LTX file as a listing shows it: everything a plan is made from, without opening the file.

use std::fmt;

use super::{FileName, Level, Txid};
use crate::clock::UnixMillis;

/// A listed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LtxInfo {
    /// The level it lies in.
    pub level: Level,
    /// First transaction, from the name.
    pub min_txid: Txid,
    /// Last transaction, from the name.
    pub max_txid: Txid,
    /// Bytes, from the listing.
    pub size: u64,
    /// When its newest transaction was copied, as exactly as the listing knows; see `restore::Source::exact_time`.
    pub created_at: UnixMillis,
}

impl LtxInfo {
    /// Its name within its level.
    pub fn file_name(&self) -> FileName {
        FileName::new(self.min_txid, self.max_txid)
    }
}

impl fmt::Display for LtxInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ltx file {} of level {}", self.file_name(), self.level)
    }
}
