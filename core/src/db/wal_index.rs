//! The wal-index header: the only place that says which frames are committed.
//!
//! SQLite writes frames, commit mark included, then flushes them, and only then publishes them here. A reader that trusts
//! the WAL file alone copies commits that never happen. One look costs nanoseconds and no system call.
//!
//! First region of SQLite's own mapping of `-shm`, native byte order unless noted; copy A at 0, copy B at 48:
//!
//! | offset | field | | offset | field |
//! |---|---|---|---|---|
//! | 12 | initialised, u8 | | 24 | running checksum of frame mxFrame, 2 x u32 |
//! | 13 | WAL checksums are big-endian, u8 | | 32 | salts, 8 bytes as in the WAL |
//! | 14 | page size, u16 | | 40 | checksum over bytes 0 to 39 |
//! | 16 | mxFrame, u32 | | 96 | nBackfill, u32 |
//! | 20 | database pages, u32 | | | |

#![allow(unsafe_code, reason = "the wal-index is memory shared with other processes, mapped by SQLite")]

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering, fence};

use rusqlite::ffi;

use super::open::Connection;
use crate::ltx::PageSize;
use crate::sqlite::{ByteOrder, Salt, WalChecksum};

/// Words that are read: two copies of 12, and nBackfill behind them.
const WORDS: usize = 25;
/// What SQLite calls WALINDEX_PGSZ, the size of one region.
const REGION_BYTES: i32 = 32 * 1024;
/// A writer needs nanoseconds between the two copies. Still different after so many looks, it died in between.
const LOOKS: usize = 2000;

/// SQLite's mapping of the wal-index. Must not outlive the connection it was taken from; see [`WalIndex::of`].
pub(super) struct WalIndex {
    words: NonNull<u32>,
}

// SAFETY: the mapping belongs to the process, not to a thread, and is only read, atomically. The owner of the connection
// moves both together.
unsafe impl Send for WalIndex {}

/// One consistent copy of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IndexHeader {
    /// Names the generation; zero while there is no WAL file.
    pub salt: Salt,
    /// Committed frames (mxFrame).
    pub frames: u32,
    /// Running checksum after the last of them.
    pub checksum: WalChecksum,
    /// Pages in the database after the last of them. Means nothing while `frames` is 0.
    pub pages: u32,
    /// `None` while there is no WAL file.
    pub page_size: Option<PageSize>,
    /// How the WAL's checksums are stored.
    pub order: ByteOrder,
    /// Frames that are in the database file (nBackfill), read after everything above.
    pub backfilled: u32,
}

impl IndexHeader {
    /// Everything in the WAL is in the database file: the file alone is the database.
    pub(super) fn is_folded(&self) -> bool {
        self.backfilled == self.frames
    }
}

impl WalIndex {
    /// Asks SQLite for its mapping. The connection must hold a read transaction of a database in WAL mode, so that the
    /// mapping exists, and must be closed after the result is dropped.
    pub(super) fn of(connection: &Connection) -> rusqlite::Result<WalIndex> {
        let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
        let mut region: *mut std::ffi::c_void = ptr::null_mut();
        // SAFETY: the handle is open and used by this thread only. FILE_POINTER answers with the connection's own file
        // object; its xShmMap, called without "extend", returns the region that SQLite has mapped already.
        let code = unsafe {
            let handle = connection.sqlite.handle();
            ffi::sqlite3_file_control(handle, c"main".as_ptr(), ffi::SQLITE_FCNTL_FILE_POINTER, (&raw mut file).cast());
            let methods = file.as_ref().and_then(|file| file.pMethods.as_ref());
            match methods.and_then(|methods| methods.xShmMap) {
                Some(map) => map(file, 0, REGION_BYTES, 0, &raw mut region),
                None => ffi::SQLITE_IOERR_SHMMAP,
            }
        };
        match NonNull::new(region.cast::<u32>()) {
            Some(words) if code == ffi::SQLITE_OK => Ok(WalIndex { words }),
            _ if code == ffi::SQLITE_OK => Err(failure(ffi::SQLITE_IOERR_SHMMAP)),
            _ => Err(failure(code)),
        }
    }

    /// A stable copy: both halves equal, and the checksum right. `None` if a writer died while publishing; the next reader
    /// that begins a transaction repairs it.
    pub(super) fn header(&self) -> Option<IndexHeader> {
        for _ in 0..LOOKS {
            if let Some(header) = parse(&self.look()) {
                return Some(header);
            }
            std::hint::spin_loop();
        }
        None
    }

    /// Copy A, then copy B, then nBackfill, in this order: SQLite writes B before A, so equal copies are one state.
    fn look(&self) -> [u32; WORDS] {
        let mut words = [0; WORDS];
        for (index, word) in words.iter_mut().enumerate() {
            if index == 12 || index == 24 {
                fence(Ordering::SeqCst);
            }
            // SAFETY: `WORDS` words lie well inside the mapped region, which lives as long as the connection; SQLite's
            // processes write them as aligned words.
            *word = unsafe { AtomicU32::from_ptr(self.words.as_ptr().add(index)) }.load(Ordering::Acquire);
        }
        words
    }
}

fn failure(code: i32) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some("wal-index cannot be mapped".to_owned()))
}

fn parse(words: &[u32; WORDS]) -> Option<IndexHeader> {
    let mut bytes = [0; 48];
    for (chunk, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *chunk = word.to_ne_bytes();
    }
    let stored = WalChecksum { s0: words[10], s1: words[11] };
    let valid = words[..12] == words[12..24]
        && bytes[12] != 0
        && WalChecksum::default().updated(ByteOrder::NATIVE, &bytes[..40]) == stored;
    valid.then(|| IndexHeader {
        salt: Salt::from_be_bytes(bytes[32..40].try_into().expect("a slice of 8 bytes")),
        frames: words[4],
        checksum: WalChecksum { s0: words[6], s1: words[7] },
        pages: words[5],
        page_size: PageSize::from_u16(u16::from_ne_bytes([bytes[14], bytes[15]])),
        order: if bytes[13] == 0 { ByteOrder::Little } else { ByteOrder::Big },
        backfilled: words[24],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header as SQLite publishes it.
    fn words() -> [u32; WORDS] {
        let mut bytes = [0u8; 48];
        let field = |bytes: &mut [u8; 48], at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        field(&mut bytes, 0, &3_007_000u32.to_ne_bytes());
        field(&mut bytes, 8, &9u32.to_ne_bytes());
        field(&mut bytes, 12, &[1, 0]);
        field(&mut bytes, 14, &1u16.to_ne_bytes());
        field(&mut bytes, 16, &7u32.to_ne_bytes());
        field(&mut bytes, 20, &11u32.to_ne_bytes());
        field(&mut bytes, 24, &21u32.to_ne_bytes());
        field(&mut bytes, 28, &22u32.to_ne_bytes());
        field(&mut bytes, 32, &[0xa5, 0x39, 0xdf, 0xa0, 0xd2, 0xd7, 0xe4, 0xee]);
        seal(bytes)
    }

    fn seal(mut bytes: [u8; 48]) -> [u32; WORDS] {
        let sum = WalChecksum::default().updated(ByteOrder::NATIVE, &bytes[..40]);
        bytes[40..44].copy_from_slice(&sum.s0.to_ne_bytes());
        bytes[44..].copy_from_slice(&sum.s1.to_ne_bytes());
        let mut words = [0; WORDS];
        for (at, word) in bytes.chunks_exact(4).enumerate() {
            words[at] = u32::from_ne_bytes(word.try_into().expect("4 bytes"));
            words[12 + at] = words[at];
        }
        words[24] = 5;
        words
    }

    #[test]
    fn reads_what_sqlite_publishes() {
        let header = parse(&words()).expect("valid");
        assert_eq!(header.salt, Salt { salt1: 0xa539_dfa0, salt2: 0xd2d7_e4ee });
        assert_eq!((header.frames, header.pages, header.backfilled), (7, 11, 5));
        assert_eq!(header.checksum, WalChecksum { s0: 21, s1: 22 });
        assert_eq!((header.page_size, header.order), (Some(PageSize::MAX), ByteOrder::Little));
        assert!(!header.is_folded());
    }

    #[test]
    fn a_header_that_is_being_written_is_never_taken() {
        for at in 0..24 {
            let mut torn = words();
            torn[at] ^= 1;
            assert_eq!(parse(&torn), None, "word {at}: the two copies differ");
        }
        for at in 0..12 {
            let mut wrong = words();
            wrong[at] ^= 1;
            wrong[12 + at] ^= 1;
            assert_eq!(parse(&wrong), None, "word {at}: the checksum is wrong");
        }
        assert_eq!(parse(&[0; WORDS]), None, "a fresh mapping");
    }
}
