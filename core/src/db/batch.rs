//! Commits that were copied out of the WAL and wait to be written: kept in memory only while a read mark is moved or a write
//! lock is held, so that neither waits for the disk. Always small.

use std::collections::BTreeMap;

use super::position::WalPosition;
use crate::ltx::Pgno;

/// More than this is written out at once instead of waiting.
pub(super) const LIMIT_BYTES: u64 = 4 << 20;

/// A stretch of one generation, newest version of each page.
#[derive(Debug)]
pub(super) struct Batch {
    /// Starts behind this frame.
    pub start: WalPosition,
    /// Ends at this commit.
    pub end: WalPosition,
    /// Pages in the database at its end.
    pub commit: u32,
    /// The pages; those beyond `commit` are of no use any more.
    pages: BTreeMap<Pgno, Vec<u8>>,
}

impl Batch {
    /// Nothing yet, behind `start`.
    pub(super) fn starting_at(start: WalPosition) -> Batch {
        Batch { start, end: start, commit: 0, pages: BTreeMap::new() }
    }

    /// Both stretches as one; `newer` starts where this one ends.
    pub(super) fn followed_by(mut self, newer: Batch) -> Batch {
        debug_assert_eq!(self.end, newer.start, "a hole between two stretches");
        self.pages.extend(newer.pages);
        Batch { end: newer.end, commit: newer.commit, ..self }
    }

    /// A newer version of a page.
    pub(super) fn put(&mut self, pgno: Pgno, page: &[u8]) {
        let slot = self.pages.entry(pgno).or_default();
        slot.clear();
        slot.extend_from_slice(page);
    }

    /// Whether a version of the page is here.
    pub(super) fn contains(&self, pgno: Pgno) -> bool {
        self.pages.contains_key(&pgno)
    }

    /// The pages of the database at `end`, ascending.
    pub(super) fn pages(&self) -> impl Iterator<Item = (Pgno, &[u8])> {
        self.pages.range(..=Pgno(self.commit)).map(|(&pgno, page)| (pgno, page.as_slice()))
    }
}
