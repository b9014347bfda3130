//! Which pages of the result are already there, while files are applied newest first.
//!
//! One bit a page, in blocks that exist only where pages came: 32 KiB for each GiB of 4 KiB pages, and a damaged page
//! number costs one block, not what it claims.

use std::collections::HashMap;

use crate::ltx::{PageSize, Pgno};
use crate::sqlite::lock_page;

const BLOCK_PAGES: u32 = 1 << 15;
const WORD_BITS: u32 = u64::BITS;
type Block = [u64; (BLOCK_PAGES / WORD_BITS) as usize];

/// The set of pages taken.
pub(super) struct Coverage {
    commit: u32,
    lock_page: Pgno,
    blocks: HashMap<u32, Box<Block>>,
    count: u32,
}

impl Coverage {
    /// Of a database of `commit` pages, none taken yet.
    pub(super) fn new(commit: u32, page_size: PageSize) -> Coverage {
        Coverage { commit, lock_page: lock_page(page_size), blocks: HashMap::new(), count: 0 }
    }

    /// Takes a page if it belongs to the database and no newer file had it.
    pub(super) fn claim(&mut self, pgno: Pgno) -> bool {
        if pgno.0 == 0 || pgno.0 > self.commit {
            return false;
        }
        let block = self.blocks.entry(pgno.0 / BLOCK_PAGES).or_insert_with(|| Box::new([0; _]));
        let (word, bit) = position(pgno);
        let new = block[word] & bit == 0;
        block[word] |= bit;
        self.count += u32::from(new);
        new
    }

    /// True when every page is there; the lock page never comes.
    pub(super) fn is_complete(&self) -> bool {
        self.count == self.commit - u32::from(self.lock_page.0 <= self.commit)
    }

    /// The lowest page that is not there.
    pub(super) fn first_missing(&self) -> Option<Pgno> {
        (1..=self.commit).map(Pgno).find(|&pgno| pgno != self.lock_page && !self.has(pgno))
    }

    fn has(&self, pgno: Pgno) -> bool {
        let (word, bit) = position(pgno);
        self.blocks.get(&(pgno.0 / BLOCK_PAGES)).is_some_and(|block| block[word] & bit != 0)
    }
}

fn position(pgno: Pgno) -> (usize, u64) {
    let within = pgno.0 % BLOCK_PAGES;
    ((within / WORD_BITS) as usize, 1 << (within % WORD_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_claim_wins_and_pages_outside_belong_to_nobody() {
        let mut coverage = Coverage::new(70_000, PageSize::MIN);
        for pgno in [1, 63, 64, 32_767, 32_768, 70_000] {
            assert!(coverage.claim(Pgno(pgno)), "{pgno}");
            assert!(!coverage.claim(Pgno(pgno)), "{pgno} twice");
        }
        assert!(!coverage.claim(Pgno(0)));
        assert!(!coverage.claim(Pgno(70_001)));
        assert!(!coverage.claim(Pgno(u32::MAX)));
        assert_eq!(coverage.first_missing(), Some(Pgno(2)));
    }

    #[test]
    fn complete_is_every_page_but_the_lock_page() {
        let lock = 16_385;
        for commit in [1, lock - 1, lock, lock + 1] {
            let mut coverage = Coverage::new(commit, PageSize::MAX);
            for pgno in (1..=commit).rev().filter(|&pgno| pgno != lock) {
                assert!(!coverage.is_complete());
                assert_eq!(coverage.first_missing(), Some(Pgno(1)));
                coverage.claim(Pgno(pgno));
            }
            assert!(coverage.is_complete());
            assert_eq!(coverage.first_missing(), None);
        }
    }
}
