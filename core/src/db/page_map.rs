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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_frame_of_a_page_wins_however_many_there_are() {
        let mut map = PageMap::default();
        for frame in 1..=50_000u32 {
            map.insert(Pgno(1 + frame * 7 % 1000), frame);
        }
        let map = map.finish(900);
        assert_eq!(map.len(), 900);
        assert!(map.iter().is_sorted());
        for (pgno, frame) in map.iter() {
            assert_eq!(1 + frame * 7 % 1000, pgno.0);
            assert!(frame > 49_000, "page {pgno} has a newer frame than {frame}");
            assert_eq!(map.get(pgno), Some(frame));
        }
        assert_eq!(map.get(Pgno(901)), None, "beyond the size of the database");
    }

    #[test]
    fn memory_follows_the_pages_and_not_the_frames() {
        let mut map = PageMap::default();
        for frame in 1..=1_000_000u32 {
            map.insert(Pgno(1 + frame % 10), frame);
        }
        assert!(map.entries.capacity() <= 8192);
    }
}
