//! CRC-64/GO-ISO, the one checksum of the format: over a whole file's logical content, and over single pages.
//!
//! It is Go's `hash/crc64` ISO table (reflected polynomial `0xD800000000000000`, initial and final xor all ones), not
//! ECMA and not NVMe. The stored form always has bit 63 set, so that 0 can mean "none".

use crc_fast::{CrcAlgorithm, Digest};

use super::Pgno;

/// Set in every stored checksum; carries no information of its own.
pub const CHECKSUM_FLAG: u64 = 1 << 63;

/// A running file checksum. What goes in, in order: header, then for each frame its header bytes and its *uncompressed*
/// page, the end marker, the index with its size, the post-apply checksum.
#[derive(Clone)]
pub struct FileChecksum(Digest);

impl FileChecksum {
    /// Of nothing yet.
    pub fn new() -> FileChecksum {
        FileChecksum(Digest::new(CrcAlgorithm::Crc64GoIso))
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Appends what another running checksum took: parts may be computed apart and joined in order.
    pub fn append(&mut self, following: &FileChecksum) {
        self.0.combine(&following.0);
    }

    /// The stored form.
    pub fn value(&self) -> u64 {
        self.0.finalize() | CHECKSUM_FLAG
    }
}

impl Default for FileChecksum {
    fn default() -> Self {
        FileChecksum::new()
    }
}

/// Checksum of one page: its number, big-endian, then its bytes.
pub fn page_checksum(pgno: Pgno, page: &[u8]) -> u64 {
    let mut digest = Digest::new(CrcAlgorithm::Crc64GoIso);
    digest.update(&pgno.0.to_be_bytes());
    digest.update(page);
    digest.finalize() | CHECKSUM_FLAG
}

/// Checksum of a whole database: the xor of its pages' checksums, lock page left out. Order does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatabaseChecksum(u64);

impl DatabaseChecksum {
    /// Puts a page in, or takes an equal one out again.
    pub fn toggle(&mut self, page_checksum: u64) {
        self.0 ^= page_checksum;
    }

    /// The stored form; an empty database has only the flag.
    pub fn value(self) -> u64 {
        self.0 | CHECKSUM_FLAG
    }
}

/// Everything that is summed up over the pages of a file while they go by. Parts may be summed apart and joined in order.
#[derive(Clone)]
pub(crate) struct ContentDigest {
    file: FileChecksum,
    /// Only where the file carries one that can be compared without the database.
    database: Option<DatabaseChecksum>,
}

impl ContentDigest {
    /// Of nothing yet.
    pub(crate) fn new(with_database: bool) -> ContentDigest {
        ContentDigest { file: FileChecksum::new(), database: with_database.then(DatabaseChecksum::default) }
    }

    /// Takes bytes that are no page.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.file.update(bytes);
    }

    /// Takes a page.
    pub(super) fn update_page(&mut self, pgno: Pgno, page: &[u8]) {
        self.file.update(page);
        if let Some(database) = &mut self.database {
            database.toggle(page_checksum(pgno, page));
        }
    }

    /// Appends the digest of what follows.
    pub(crate) fn append(&mut self, following: &ContentDigest) {
        self.file.append(&following.file);
        if let (Some(database), Some(part)) = (&mut self.database, following.database) {
            database.0 ^= part.0;
        }
    }

    /// The two sums so far.
    pub(super) fn values(&self) -> (u64, Option<u64>) {
        (self.file.value(), self.database.map(DatabaseChecksum::value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> u64 {
        let mut checksum = FileChecksum::new();
        checksum.update(bytes);
        checksum.value()
    }

    /// The definition, a bit at a time: what Go's `crc64.MakeTable(crc64.ISO)` computes.
    fn by_definition(bytes: &[u8]) -> u64 {
        let step = |crc: u64, _| (crc >> 1) ^ if crc & 1 == 1 { 0xD800_0000_0000_0000 } else { 0 };
        !bytes.iter().fold(!0u64, |crc, &byte| (0..8).fold(crc ^ u64::from(byte), step))
    }

    #[test]
    fn check_value_of_go_iso() {
        assert_eq!(of(b"123456789"), 0xb909_56c7_75a4_1001);
        assert_eq!(of(b""), CHECKSUM_FLAG);
    }

    #[test]
    fn equals_the_definition_at_every_length() {
        let bytes: Vec<u8> = (0..5000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for len in (0..300).chain([4095, 4096, 4097, 5000]) {
            assert_eq!(of(&bytes[..len]), by_definition(&bytes[..len]) | CHECKSUM_FLAG, "length {len}");
        }
    }

    #[test]
    fn parts_computed_apart_join_to_the_whole() {
        let bytes: Vec<u8> = (0..20_000u32).map(|i| ((i * i) >> 7) as u8).collect();
        for cut in [0, 1, 15, 100, 4096, 19_999, 20_000] {
            let mut first = FileChecksum::new();
            let mut second = FileChecksum::new();
            first.update(&bytes[..cut]);
            bytes[cut..].chunks(777).for_each(|chunk| second.update(chunk));
            first.append(&second);
            assert_eq!(first.value(), of(&bytes), "cut at {cut}");
            first.update(b"more");
            assert_eq!(first.value(), of(&[&bytes[..], b"more"].concat()));
        }
    }

    #[test]
    fn a_database_checksum_forgets_a_page_that_is_toggled_twice() {
        let mut checksum = DatabaseChecksum::default();
        assert_eq!(checksum.value(), CHECKSUM_FLAG);
        let (one, two) = (page_checksum(Pgno(1), &[7; 512]), page_checksum(Pgno(2), &[7; 512]));
        assert_ne!(one, two);
        checksum.toggle(one);
        checksum.toggle(two);
        checksum.toggle(one);
        assert_eq!(checksum.value(), two);
    }
}
