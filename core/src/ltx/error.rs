//! What can be wrong with an LTX file, or with what somebody asks to be written into one.
//!
//! The texts keep the reference's words where it has some, so that an operator's search finds both programs' answers.
//! They name the rule and the values; the caller that knows the file's name adds it once.

use std::io;

use super::{PageSize, Pgno, Txid};

/// A broken rule of the format, or a failed read or write below it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LtxError {
    /// The stream below failed; says nothing about the file itself.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The stream ended inside the named part.
    #[error("truncated ltx file: ends inside the {0}")]
    Truncated(&'static str),
    /// The header breaks a rule of its own.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A page frame with a flag nobody has defined.
    #[error("invalid page header flags: {0:#06x}")]
    PageFlags(u16),
    /// A page frame without a page number that is not the end marker either.
    #[error("page number required")]
    PageNumberRequired,
    /// Page numbers must ascend.
    #[error("out of order page numbers: {previous},{pgno}")]
    PageOrder {
        /// The page before, 0 for none.
        previous: Pgno,
        /// The page that came.
        pgno: Pgno,
    },
    /// A file that must hold every page has a hole, or starts after page 1.
    #[error("nonsequential page numbers in snapshot transaction: {previous},{pgno}")]
    PageHole {
        /// The page before, 0 for none.
        previous: Pgno,
        /// The page that came.
        pgno: Pgno,
    },
    /// A file that must hold every page ends too early.
    #[error("snapshot ends at page {last}, but the database has {commit} pages")]
    SnapshotIncomplete {
        /// The last page present, 0 for none.
        last: Pgno,
        /// Pages the header promises.
        commit: u32,
    },
    /// The page SQLite keeps for its locks is never stored.
    #[error("cannot hold the lock page: {0}")]
    LockPage(Pgno),
    /// A page beyond the size of the database.
    #[error("page number {pgno} out-of-bounds for commit size {commit}")]
    PageBeyondCommit {
        /// The page.
        pgno: Pgno,
        /// Pages in the database.
        commit: u32,
    },
    /// A payload announced as longer than any legal one.
    #[error("page {pgno}: compressed size {size} exceeds the bound of {bound} bytes")]
    PayloadTooLong {
        /// The page.
        pgno: Pgno,
        /// Announced size in bytes.
        size: u32,
        /// LZ4's worst case for this page size.
        bound: usize,
    },
    /// A payload LZ4 cannot read.
    #[error("page {pgno}: lz4: {reason}")]
    Lz4 {
        /// The page.
        pgno: Pgno,
        /// The library's reason.
        reason: String,
    },
    /// A payload that inflates to something else than one page.
    #[error("page {pgno} inflates to {actual} bytes, not to the page size of {page_size}")]
    PageLength {
        /// The page.
        pgno: Pgno,
        /// Bytes it gave; one more than the page size stands for "more".
        actual: usize,
        /// Bytes it should give.
        page_size: PageSize,
    },
    /// A number in the page index longer than 64 bits or 10 bytes.
    #[error("read page index: varint overflows a 64-bit integer")]
    IndexVarint,
    /// The page index says something else than the frames.
    #[error("page index disagrees with the page frames")]
    IndexMismatch,
    /// The index length before the trailer is wrong.
    #[error("page index size is {stored}, but the index has {actual} bytes")]
    IndexSize {
        /// What the file says.
        stored: u64,
        /// What was read.
        actual: u64,
    },
    /// The contents do not give the stored checksum.
    #[error("file checksum mismatch: stored {stored:016x}, computed {computed:016x}")]
    FileChecksum {
        /// What the file says.
        stored: u64,
        /// What its contents give.
        computed: u64,
    },
    /// The stream goes on behind the trailer.
    #[error("file checksum mismatch: bytes after the trailer")]
    TrailingBytes,
    /// A post-apply checksum in a file that says it has none.
    #[error("post-apply checksum not allowed")]
    PostApplyNotAllowed,
    /// The database checksum of a file that carries one is absent or wrong.
    #[error("post-apply checksum mismatch: stored {stored:016x}, computed {computed:016x}")]
    PostApplyMismatch {
        /// What the file says.
        stored: u64,
        /// What its pages give.
        computed: u64,
    },
    /// The header's transaction ids differ from the file's name.
    #[error("header covers transactions {min_txid}-{max_txid}, but the file is named {name}")]
    NameMismatch {
        /// First transaction of the header.
        min_txid: Txid,
        /// Last transaction of the header.
        max_txid: Txid,
        /// The file's name.
        name: super::FileName,
    },
    /// Two neighbours in a merge leave a hole, or go backwards.
    #[error(
        "non-contiguous transaction ids in input files: ({previous_min},{previous_max}) -> ({min_txid},{max_txid})"
    )]
    NotContiguous {
        /// First transaction of the older input.
        previous_min: Txid,
        /// Last transaction of the older input.
        previous_max: Txid,
        /// First transaction of the newer input.
        min_txid: Txid,
        /// Last transaction of the newer input.
        max_txid: Txid,
    },
    /// Inputs of different page sizes, where the newer ones do not hold the whole database.
    #[error("input files have mismatched page sizes: {older} != {newer}, and those of {newer} do not hold every page")]
    PageSizeChanged {
        /// Page size of the older input.
        older: PageSize,
        /// Page size of the newer input.
        newer: PageSize,
    },
    /// A merge of nothing.
    #[error("at least one input file required")]
    NoInputs,
    /// A caller's page is not one page long.
    #[error("page buffer is {actual} bytes, page size is {page_size}")]
    BufferLength {
        /// What was given.
        actual: usize,
        /// What is needed.
        page_size: PageSize,
    },
    /// The pages were not read to their end before the file was closed.
    #[error("cannot close, expected page")]
    PagesLeft,
}

impl LtxError {
    /// True when the file is damaged or breaks the format: reading it again gives the same answer, another file may
    /// serve instead. False for failures of the stream below, which say nothing about the file.
    pub fn is_corrupt(&self) -> bool {
        !matches!(self, LtxError::Io(_) | LtxError::NoInputs | LtxError::BufferLength { .. } | LtxError::PagesLeft)
    }

    /// A short read inside `part` becomes [`LtxError::Truncated`]; anything else stays what it is.
    pub(super) fn reading(part: &'static str) -> impl FnOnce(io::Error) -> LtxError {
        move |error| match error.kind() {
            io::ErrorKind::UnexpectedEof => LtxError::Truncated(part),
            _ => LtxError::Io(error),
        }
    }
}

/// A rule of the 100-byte header, in the order in which they are tested.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Not an LTX file at all.
    #[error("invalid LTX file")]
    Magic,
    /// A flag nobody has defined.
    #[error("invalid flags: {0:#010x}")]
    Flags(u32),
    /// Not a page size SQLite knows.
    #[error("invalid page size: {0}")]
    PageSize(u32),
    /// `min_txid` is 0.
    #[error("minimum transaction id required")]
    MinTxidRequired,
    /// `max_txid` is 0.
    #[error("maximum transaction id required")]
    MaxTxidRequired,
    /// The first transaction lies behind the last.
    #[error("transaction ids out of order: ({min_txid},{max_txid})")]
    TxidOrder {
        /// First transaction.
        min_txid: Txid,
        /// Last transaction.
        max_txid: Txid,
    },
    /// Negative on disk.
    #[error("wal offset cannot be negative: {0}")]
    NegativeWalOffset(i64),
    /// Negative on disk.
    #[error("wal size cannot be negative: {0}")]
    NegativeWalSize(i64),
    /// Salts of a WAL that was not read.
    #[error("wal offset required if salt exists")]
    SaltWithoutWalOffset,
    /// A length in a WAL that was not read.
    #[error("wal offset required if wal size exists")]
    SizeWithoutWalOffset,
    /// A pre-apply checksum where there is nothing before, or none is kept.
    #[error("pre-apply checksum not allowed")]
    PreApplyNotAllowed,
    /// A file that keeps checksums must say what it applies to.
    #[error("pre-apply checksum required on non-snapshot files")]
    PreApplyRequired,
    /// Checksums always have their top bit set.
    #[error("invalid pre-apply checksum format: {0:016x}")]
    PreApplyFormat(u64),
    /// Refused when writing: an empty database cannot be described without checksums.
    #[error("cannot write an empty database (commit 0)")]
    CommitRequired,
    /// Refused when writing: this program writes no database checksums.
    #[error("cannot write a file that carries database checksums")]
    ChecksumsUnsupported,
}
