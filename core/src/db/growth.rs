//! Pages by which a database grew without writing them: allocated and freed in one transaction, say. A restore drops
//! whatever lay beyond an earlier, smaller size, so a file that grows the database must carry every page of the growth.

use std::io;

use super::file_object::FileObject;
use super::log::{Log, Stretch, WalkError};
use super::page_map::PageMap;
use super::position::WalPosition;
use crate::ltx::{PageSize, Pgno};
use crate::sqlite::{ByteOrder, lock_page};

/// The pages missing from a stretch of the WAL, ascending, and the earlier frame that holds each, if one does.
#[derive(Debug, Default)]
pub(super) struct Growth {
    pages: Vec<(Pgno, Option<u32>)>,
}

/// Pages in (`old_commit`, `commit`] that `is_there` does not know, without the lock page.
pub(super) fn missing(old_commit: u32, commit: u32, page_size: PageSize, is_there: impl Fn(Pgno) -> bool) -> Vec<Pgno> {
    let lock_page = lock_page(page_size);
    let grown = (old_commit.saturating_add(1)..=commit).map(Pgno);
    grown.filter(|&pgno| pgno != lock_page && !is_there(pgno)).collect()
}

impl Growth {
    /// Looks for the missing pages in the part of this generation that lies before `start`: a database that shrank and grows
    /// again may have left them there.
    pub(super) fn find(
        log: &Log<'_>,
        start: WalPosition,
        order: ByteOrder,
        missing: Vec<Pgno>,
    ) -> Result<Growth, WalkError> {
        let mut map = PageMap::default();
        if !missing.is_empty() && start.frames > 0 {
            let earlier = Stretch { from: WalPosition::start_of(start.salt), to: start, order, limit_bytes: None };
            log.walk(&earlier, |number, frame, _| {
                if missing.binary_search(&frame.pgno).is_ok() {
                    map.insert(frame.pgno, number);
                }
            })?;
        }
        let map = map.finish(u32::MAX);
        Ok(Growth { pages: missing.into_iter().map(|pgno| (pgno, map.get(pgno))).collect() })
    }

    /// The missing pages, ascending.
    pub(super) fn pages(&self) -> &[(Pgno, Option<u32>)] {
        &self.pages
    }
}

/// Reads one page of a growth: from its earlier frame, or from the database file, where nobody writes a page that no frame
/// up to our read mark holds.
pub(super) fn read(
    log: &Log<'_>,
    database: &FileObject<'_>,
    (pgno, frame): (Pgno, Option<u32>),
    page: &mut [u8],
) -> io::Result<()> {
    match frame {
        Some(frame) => log.read_page(frame, page),
        None => database.read_at(page, pgno.offset(log.page_size)).map(|_| ()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_pages_are_those_of_the_growth_that_nobody_wrote() {
        let there = |pgno: Pgno| pgno == Pgno(5);
        assert_eq!(missing(3, 6, PageSize::MIN, there), [Pgno(4), Pgno(6)]);
        assert!(missing(6, 6, PageSize::MIN, there).is_empty());
        assert!(missing(6, 3, PageSize::MIN, there).is_empty());
    }

    #[test]
    fn the_lock_page_is_never_missing() {
        let lock = lock_page(PageSize::MAX);
        let found = missing(lock.0 - 2, lock.0 + 1, PageSize::MAX, |_| false);
        assert_eq!(found, [Pgno(lock.0 - 1), Pgno(lock.0 + 1)]);
    }
}
