//! The page SQLite never stores data in, because its locks lie on its bytes.

use crate::ltx::{PageSize, Pgno};

/// File offset of SQLite's lock bytes.
pub const PENDING_BYTE: u32 = 0x4000_0000;

/// The page that holds [`PENDING_BYTE`]. It is never written to a WAL or an LTX file, and reads as zeros.
pub const fn lock_page(page_size: PageSize) -> Pgno {
    Pgno(PENDING_BYTE / page_size.get() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lies_at_one_gibibyte_for_every_page_size() {
        for (size, page) in [(512, 2_097_153), (4096, 262_145), (65536, 16_385)] {
            let page_size = PageSize::new(size).expect("legal");
            assert_eq!(lock_page(page_size), Pgno(page));
            assert_eq!(lock_page(page_size).offset(page_size), u64::from(PENDING_BYTE));
        }
    }
}
