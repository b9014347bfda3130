//! Commits that were copied out of the WAL and wait to be written: kept in memory only while a read mark is moved or a write
//! lock is held, so that neither waits for the disk. Always small.

use std::collections::BTreeMap;

use super::position::WalPosition;
use crate::ltx::Pgno;

/// More than this is written out at once instead of waiting.
pub(super) const LIMIT_BYTES: u64 = 4 << 20;

/// The same while the write lock is held, where nothing can be written out: as much as an application without a pause
/// commits until the lock is had, and no more than is read in some milliseconds.
pub(super) const LOCKED_LIMIT_BYTES: u64 = 8 << 20;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::{Salt, WalChecksum};

    fn at(frames: u32) -> WalPosition {
        WalPosition { salt: Salt { salt1: 1, salt2: 2 }, frames, checksum: WalChecksum { s0: frames, s1: 0 } }
    }

    fn batch(from: u32, to: u32, commit: u32, pages: &[(u32, u8)]) -> Batch {
        let mut batch = Batch::starting_at(at(from));
        for &(pgno, byte) in pages {
            batch.put(Pgno(pgno), &[byte; 4]);
        }
        Batch { end: at(to), commit, ..batch }
    }

    #[test]
    fn the_newer_stretch_wins_and_pages_beyond_the_size_are_left_out() {
        let older = batch(0, 3, 4, &[(1, 10), (2, 10), (4, 10)]);
        let newer = batch(3, 5, 3, &[(2, 20), (3, 20)]);
        let both = older.followed_by(newer);
        assert_eq!((both.start, both.end, both.commit), (at(0), at(5), 3));
        let pages: Vec<(u32, u8)> = both.pages().map(|(pgno, page)| (pgno.0, page[0])).collect();
        assert_eq!(pages, [(1, 10), (2, 20), (3, 20)]);
    }

    #[test]
    fn a_page_that_comes_back_within_the_size_is_the_last_one_written() {
        let shrunk = batch(0, 3, 2, &[(1, 10), (5, 10)]);
        let grown = batch(3, 4, 6, &[(1, 20), (6, 20)]);
        let pages: Vec<(u32, u8)> = shrunk.followed_by(grown).pages().map(|(pgno, page)| (pgno.0, page[0])).collect();
        assert_eq!(pages, [(1, 20), (5, 10), (6, 20)]);
    }
}
