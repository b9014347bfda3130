//! Whether a library file is all there. A copy that was interrupted may well load, and kills the process with a bus
//! error at the first touch of a page that the file does not have; no error handling helps then.
//!
//! Only 64-bit little-endian ELF files are judged: their section header table is what linkers write last, so a file that
//! ends before it was cut. Other formats are left to the dynamic loader.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// Bytes of an ELF header.
const HEADER_LEN: usize = 64;
/// Magic, 64-bit, little-endian.
const ELF64_LE: [u8; 6] = *b"\x7fELF\x02\x01";

/// How long the file has to be by what its header says; 0 if that is not known.
pub(super) fn claimed_len(file: &File) -> u64 {
    let mut header = [0; HEADER_LEN];
    if file.read_exact_at(&mut header, 0).is_err() || !header.starts_with(&ELF64_LE) {
        return 0;
    }
    let u16_at = |at: usize| u64::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let mut offset = [0; 8];
    offset.copy_from_slice(&header[40..48]);
    let (entry_len, entries) = (u16_at(58), u16_at(60));
    u64::from_le_bytes(offset).saturating_add(entry_len * entries)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn claimed(bytes: &[u8]) -> u64 {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        claimed_len(&file)
    }

    #[test]
    fn a_library_claims_its_own_length() {
        let library = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(claimed(&library), library.len() as u64, "this test binary is an ELF file, too");
        assert_eq!(claimed(&library[..HEADER_LEN]), library.len() as u64, "the header alone says it");
    }

    #[test]
    fn what_is_no_elf_file_claims_nothing() {
        let mut endless = [0xff; HEADER_LEN];
        endless[..6].copy_from_slice(&ELF64_LE);
        assert_eq!(claimed(&endless), u64::MAX, "no overflow");
        for bytes in [&b""[..], b"\x7fELF\x02\x01", &[b'L'; 200]] {
            assert_eq!(claimed(bytes), 0);
        }
    }
}
