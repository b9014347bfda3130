//! The size of a database page, and the number of one: the two quantities every codec here is measured in.

use std::fmt;

/// A page number, counted from 1. No legal page frame carries 0; LTX and WAL use 0 as "none".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pgno(pub u32);

impl Pgno {
    /// The page that holds the database header.
    pub const FIRST: Pgno = Pgno(1);

    /// The page number that follows. Saturates; SQLite's own limit lies below that.
    #[must_use]
    pub fn next(self) -> Pgno {
        Pgno(self.0.saturating_add(1))
    }

    /// Byte offset of this page in a database file. Page 0 does not exist and counts as page 1.
    pub fn offset(self, page_size: PageSize) -> u64 {
        u64::from(self.0.saturating_sub(1)) * u64::from(page_size.get())
    }
}

impl fmt::Display for Pgno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A legal SQLite page size: a power of two from 512 to 65536.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageSize(u32);

impl PageSize {
    /// Smallest page SQLite allows.
    pub const MIN: PageSize = PageSize(512);
    /// Largest page SQLite allows.
    pub const MAX: PageSize = PageSize(65536);

    /// `None` unless `bytes` is a power of two from 512 to 65536.
    pub const fn new(bytes: u32) -> Option<PageSize> {
        if bytes.is_power_of_two() && bytes >= Self::MIN.0 && bytes <= Self::MAX.0 {
            Some(PageSize(bytes))
        } else {
            None
        }
    }

    /// From the 16-bit field of the database header and the wal-index, where 1 stands for 65536.
    pub const fn from_u16(field: u16) -> Option<PageSize> {
        Self::new(if field == 1 { Self::MAX.0 } else { field as u32 })
    }

    /// Bytes in a page.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Bytes in a page, for slices.
    pub const fn bytes(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for PageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_powers_of_two_from_512_to_65536_are_page_sizes() {
        let legal: Vec<u32> = (0..=70_000).filter(|&n| PageSize::new(n).is_some()).collect();
        assert_eq!(legal, [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536]);
        assert_eq!(PageSize::from_u16(1), Some(PageSize::MAX));
        assert_eq!(PageSize::from_u16(0), None);
    }

    #[test]
    fn pages_start_at_one_and_large_offsets_do_not_wrap() {
        assert_eq!(Pgno(1).offset(PageSize::MAX), 0);
        assert_eq!(Pgno(u32::MAX).offset(PageSize::MAX), (u64::from(u32::MAX) - 1) * 65536);
    }
}
