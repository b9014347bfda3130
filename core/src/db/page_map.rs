//! Which frame holds the newest version of each page of a stretch of the WAL. Frame numbers only, 8 bytes a page: the pages
//! themselves stay in the WAL.

use crate::ltx::Pgno;

/// Page numbers with their newest frame, ascending once [`PageMap::finish`] is called.
#[derive(Debug, Default)]
pub(super) struct PageMap {
    entries: Vec<(u32, u32)>,
    /// How many entries were left after the last tidying: the list may double before the next.
    tidy: usize,
}

impl PageMap {
    /// Frame `frame` holds a newer version of `pgno` than any before.
    pub(super) fn insert(&mut self, pgno: Pgno, frame: u32) {
        if self.entries.len() >= 4096 && self.entries.len() >= 2 * self.tidy {
            self.tidy_up();
        }
        self.entries.push((pgno.0, frame));
    }

    /// Forgets frames behind `last_frame` and pages beyond `commit`, and sorts.
    ///
    /// Forgetting frames is right only for a map that was never tidied past them, so walks that may stop early insert only
    /// what is committed.
    pub(super) fn finish(mut self, commit: u32) -> PageMap {
        self.tidy_up();
        self.entries.retain(|&(pgno, _)| pgno <= commit);
        self.entries.shrink_to_fit();
        self
    }

    /// Newest frame of a page. Only after [`PageMap::finish`].
    pub(super) fn get(&self, pgno: Pgno) -> Option<u32> {
        let index = self.entries.binary_search_by_key(&pgno.0, |&(pgno, _)| pgno).ok()?;
        Some(self.entries[index].1)
    }

    /// All pages with their frame, ascending. Only after [`PageMap::finish`].
    pub(super) fn iter(&self) -> impl Iterator<Item = (Pgno, u32)> + '_ {
        self.entries.iter().map(|&(pgno, frame)| (Pgno(pgno), frame))
    }

    /// Number of pages. Only after [`PageMap::finish`].
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Keeps the newest frame of each page.
    fn tidy_up(&mut self) {
        self.entries.sort_unstable_by_key(|&(pgno, frame)| (pgno, std::cmp::Reverse(frame)));
        self.entries.dedup_by_key(|&mut (pgno, _)| pgno);
        self.tidy = self.entries.len();
    }
}
