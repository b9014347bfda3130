//! Which page may come next in a file: the rules of order, bounds, lock page and completeness, for both directions.

use super::{Header, LtxError, Pgno};
use crate::sqlite::lock_page;

/// Watches the page numbers of one file go by.
pub(super) struct PageOrder {
    commit: u32,
    lock_page: Pgno,
    last: Pgno,
    /// Every page up to `commit` must come.
    complete: bool,
    /// No page beyond `commit` may come.
    bounded: bool,
}

impl PageOrder {
    /// A file that starts at the first transaction must be complete; others may hold any pages.
    pub(super) fn new(header: &Header) -> PageOrder {
        PageOrder {
            commit: header.commit,
            lock_page: lock_page(header.page_size),
            last: Pgno(0),
            complete: header.is_snapshot(),
            bounded: false,
        }
    }

    /// Refuses pages beyond the commit size. Litestream drops them silently, so only writers and `verify` insist.
    pub(super) fn bounded(self) -> PageOrder {
        PageOrder { bounded: true, ..self }
    }

    /// Demands every page, whatever the file's first transaction.
    pub(super) fn require_complete(&mut self) {
        self.complete = true;
    }

    /// Accepts or refuses the next page.
    pub(super) fn next(&mut self, pgno: Pgno) -> Result<(), LtxError> {
        let previous = self.last;
        if pgno.0 == 0 {
            return Err(LtxError::PageNumberRequired);
        }
        if pgno == self.lock_page {
            return Err(LtxError::LockPage(pgno));
        }
        if self.misses_pages() && pgno != self.successor() {
            return Err(LtxError::PageHole { previous, pgno });
        }
        if pgno <= previous {
            return Err(LtxError::PageOrder { previous, pgno });
        }
        if self.bounded && pgno.0 > self.commit {
            return Err(LtxError::PageBeyondCommit { pgno, commit: self.commit });
        }
        self.last = pgno;
        Ok(())
    }

    /// Accepts or refuses the end of the pages.
    pub(super) fn finish(&self) -> Result<(), LtxError> {
        if self.misses_pages() {
            return Err(LtxError::SnapshotIncomplete { last: self.last, commit: self.commit });
        }
        Ok(())
    }

    fn misses_pages(&self) -> bool {
        let last_needed = if self.commit == self.lock_page.0 { self.commit - 1 } else { self.commit };
        self.complete && self.last.0 < last_needed
    }

    fn successor(&self) -> Pgno {
        let next = self.last.next();
        if next == self.lock_page { next.next() } else { next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ltx::{PageSize, Txid};

    fn order(min_txid: u64, commit: u32) -> PageOrder {
        PageOrder::new(&Header::new(PageSize::MAX, commit, Txid(min_txid), Txid(9), 0))
    }

    fn accepts(mut order: PageOrder, pages: &[u32]) -> Result<(), LtxError> {
        pages.iter().try_for_each(|&pgno| order.next(Pgno(pgno)))?;
        order.finish()
    }

    #[test]
    fn pages_ascend_and_none_comes_twice() {
        assert!(accepts(order(2, 9), &[2, 5, 9]).is_ok());
        assert!(accepts(order(2, 9), &[]).is_ok());
        assert!(matches!(accepts(order(2, 9), &[5, 5]), Err(LtxError::PageOrder { .. })));
        assert!(matches!(accepts(order(2, 9), &[5, 4]), Err(LtxError::PageOrder { .. })));
        assert!(matches!(accepts(order(2, 9), &[0]), Err(LtxError::PageNumberRequired)));
    }

    #[test]
    fn a_first_file_has_neither_hole_nor_early_end() {
        assert!(accepts(order(1, 3), &[1, 2, 3]).is_ok());
        assert!(matches!(accepts(order(1, 3), &[1, 3]), Err(LtxError::PageHole { .. })));
        assert!(matches!(accepts(order(1, 3), &[2]), Err(LtxError::PageHole { .. })));
        assert!(matches!(accepts(order(1, 3), &[1, 2, 2]), Err(LtxError::PageHole { .. })));
        assert!(matches!(accepts(order(1, 3), &[1, 2]), Err(LtxError::SnapshotIncomplete { .. })));
        assert!(matches!(accepts(order(1, 3), &[]), Err(LtxError::SnapshotIncomplete { .. })));
        let mut later = order(2, 3);
        later.require_complete();
        assert!(accepts(later, &[1, 3]).is_err());
    }

    #[test]
    fn pages_beyond_the_commit_size_are_only_refused_on_demand() {
        assert!(accepts(order(2, 3), &[3, 30]).is_ok());
        assert!(accepts(order(1, 2), &[1, 2, 30]).is_ok());
        assert!(matches!(accepts(order(2, 3).bounded(), &[3, 30]), Err(LtxError::PageBeyondCommit { .. })));
    }

    #[test]
    fn the_lock_page_never_comes_and_is_never_missed() {
        let lock = 16_385;
        assert!(matches!(accepts(order(2, lock + 5), &[lock]), Err(LtxError::LockPage(_))));
        let without_lock: Vec<u32> = (1..=lock + 1).filter(|&pgno| pgno != lock).collect();
        assert!(accepts(order(1, lock + 1), &without_lock).is_ok());
        assert!(accepts(order(1, lock), &without_lock[..without_lock.len() - 1]).is_ok());
    }
}
