//! A checksum of every page as we last wrote it, on disk: what turns "the WAL is gone" into a file of the pages that differ.
//!
//! 8 bytes a page, in place; 0 means "not known". All entries together describe the database at the end of one L0 file, which
//! the header names. They are brought forward by decoding the L0 files written since, and doing that twice is harmless: a
//! kill in between needs no repair. Losing the file costs one full file, so errors here never stop a sync.
//!
//! Entries are not flushed at every sync. After a crash of the machine only the flushed name in the header counts, and the
//! L0 files since then are applied again; whether there was a crash is told by the boot id of the kernel.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 8 | magic `LSRSPGC1` |
//! | 8 | 4 | page size, big-endian as everything here |
//! | 12 | 4 | 0 |
//! | 16 | 28 | the L0 file described: TXID, checksum, size, pages in the database |
//! | 44 | 28 | the L0 file described by what was flushed |
//! | 72 | 16 | boot id, or zeros |
//! | 88 | 8 | CRC-64 of the above |
//! | 96 | | entries, from page 1 |

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::LazyLock;

use super::l0;
use super::meta::MetaDir;
use super::owner::Owner;
use super::position::L0Id;
use crate::failpoint;
use crate::ltx::{FileChecksum, LtxError, PageSize, Pgno, Txid, page_checksum};

const MAGIC: &[u8; 8] = b"LSRSPGC1";
const HEADER_LEN: usize = 96;
const ENTRY_LEN: u64 = 8;
/// Entries that are written in one call.
const RUN_LEN: usize = 4096;

/// What the entries describe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    l0: L0Id,
    commit: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    page_size: PageSize,
    current: State,
    flushed: State,
    boot_id: [u8; 16],
}

/// Writes the checksums of a whole database, beside the old ones until [`Builder::publish`]. Dropped before that, it leaves
/// nothing behind.
pub(super) struct Builder {
    writer: Option<BufWriter<File>>,
    temporary: PathBuf,
    target: PathBuf,
    page_size: PageSize,
    next: Pgno,
}

impl Builder {
    /// Starts a new file.
    pub(super) fn create(meta: &MetaDir, owner: &Owner<'_>, page_size: PageSize) -> io::Result<Builder> {
        let (target, temporary) = (meta.page_checksums_path(), meta.unfinished_page_checksums_path());
        owner.create_dir_all(meta.root())?;
        let mut writer = BufWriter::with_capacity(64 * 1024, owner.create_file(&temporary)?);
        writer.write_all(&[0; HEADER_LEN])?;
        Ok(Builder { writer: Some(writer), temporary, target, page_size, next: Pgno::FIRST })
    }

    /// The checksum of a page; pages ascend, one left out is not known.
    pub(super) fn push(&mut self, pgno: Pgno, checksum: u64) -> io::Result<()> {
        let writer = self.writer.as_mut().expect("present until published");
        while self.next < pgno {
            writer.write_all(&0u64.to_be_bytes())?;
            self.next = self.next.next();
        }
        self.next = pgno.next();
        writer.write_all(&checksum.to_be_bytes())
    }

    /// Puts the file in place: it describes the database after `l0`, which is in place already.
    pub(super) fn publish(mut self, l0: L0Id, commit: u32) -> io::Result<()> {
        let writer = self.writer.take().expect("published once");
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        let state = State { l0, commit };
        let header = Header { page_size: self.page_size, current: state, flushed: state, boot_id: boot_id() };
        file.write_all_at(&header.to_bytes(), 0)?;
        failpoint::around("pages-sync", || file.sync_data())?;
        failpoint::around("pages-rename", || fs::rename(&self.temporary, &self.target))
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        // After the rename nothing stands there any more; a file that cannot be removed goes at the next open.
        drop(self.writer.take());
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Reads the remembered checksums in page order.
pub(super) struct Remembered {
    reader: BufReader<File>,
    next: Pgno,
    commit: u32,
}

impl Remembered {
    /// Pages in the database they describe.
    pub(super) fn commit(&self) -> u32 {
        self.commit
    }

    /// The checksum of a page, or `None` if it is not known; pages ascend.
    pub(super) fn get(&mut self, pgno: Pgno) -> io::Result<Option<u64>> {
        if pgno.0 > self.commit {
            return Ok(None);
        }
        let mut bytes = [0; 8];
        while self.next <= pgno {
            match self.reader.read_exact(&mut bytes) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                read => read?,
            }
            self.next = self.next.next();
        }
        Ok(Some(u64::from_be_bytes(bytes)).filter(|&checksum| checksum != 0))
    }
}

/// Opens the checksums that describe the database after `newest`, brought forward if they lag. `None`: there are none, or
/// what is there cannot be brought forward.
pub(super) fn load(meta: &MetaDir, newest: L0Id, page_size: PageSize) -> Option<Remembered> {
    advance(meta, None, newest, false).inspect_err(|error| forget(meta, error)).ok()?.then_some(())?;
    let mut file = File::open(meta.page_checksums_path()).ok()?;
    let header = read_header(&file).ok()?;
    if header.page_size != page_size || header.current.l0 != newest {
        return None;
    }
    file.seek(SeekFrom::Start(HEADER_LEN as u64)).ok()?;
    let reader = BufReader::with_capacity(64 * 1024, file);
    Some(Remembered { reader, next: Pgno::FIRST, commit: header.current.commit })
}

/// Brings the checksums forward after an L0 file was written; `flush` also makes them safe against a crash of the machine.
/// `previous` is the file before `newest`, if the caller knows it.
pub(super) fn bring_forward(meta: &MetaDir, previous: Option<L0Id>, newest: L0Id, flush: bool) {
    if let Err(error) = advance(meta, previous, newest, flush) {
        forget(meta, &error);
    }
}

/// Removes them: the next difference is a full file.
pub(super) fn remove(meta: &MetaDir) {
    let _ = fs::remove_file(meta.page_checksums_path());
}

fn forget(meta: &MetaDir, error: &LtxError) {
    tracing::debug!(meta = %meta.root().display(), %error, "page checksums are of no use any more");
    remove(meta);
}

/// `Ok(false)`: there are none.
fn advance(meta: &MetaDir, previous: Option<L0Id>, newest: L0Id, flush: bool) -> Result<bool, LtxError> {
    let file = match OpenOptions::new().read(true).write(true).open(meta.page_checksums_path()) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let mut header = read_header(&file)?;
    let boot_id = boot_id();
    let trusted = boot_id != [0; 16] && header.boot_id == boot_id;
    let mut state = if trusted { header.current } else { header.flushed };
    if state.l0.txid != newest.txid && previous != Some(state.l0) && l0::id_of(meta, state.l0.txid)? != state.l0 {
        return Err(unusable("they describe another history"));
    }
    while state.l0.txid < newest.txid {
        let txid = state.l0.txid.next();
        state.commit = apply(&file, meta, txid, header.page_size)?;
        state.l0 = if txid == newest.txid { newest } else { l0::id_of(meta, txid)? };
    }
    if state.l0 != newest {
        return Err(unusable("they describe another history"));
    }
    if flush && header.flushed != state {
        failpoint::around("pages-sync", || file.sync_data())?;
        // The new name may reach the disk later than this; the old one is then brought forward again.
        header.flushed = state;
    }
    let updated = Header { current: state, boot_id, ..header };
    if updated != header || flush {
        file.write_all_at(&updated.to_bytes(), 0)?;
    }
    Ok(true)
}

/// Enters the pages of one L0 file; returns its commit size.
fn apply(file: &File, meta: &MetaDir, txid: Txid, page_size: PageSize) -> Result<u32, LtxError> {
    let mut decoder = l0::open(&meta.l0_path(txid))?;
    if decoder.page_size() != page_size {
        return Err(unusable("the page size changed"));
    }
    let commit = decoder.header().commit;
    let mut page = vec![0; page_size.bytes()];
    let (mut run, mut first) = (Vec::new(), Pgno::FIRST);
    while let Some(pgno) = decoder.next_page(&mut page)? {
        let continues = pgno.0 == first.0 + (run.len() / 8) as u32;
        if !continues || run.len() >= RUN_LEN * 8 {
            file.write_all_at(&run, entry_offset(first))?;
            run.clear();
            first = pgno;
        }
        run.extend_from_slice(&page_checksum(pgno, &page).to_be_bytes());
    }
    file.write_all_at(&run, entry_offset(first))?;
    decoder.finish()?;
    Ok(commit)
}

fn entry_offset(pgno: Pgno) -> u64 {
    HEADER_LEN as u64 + u64::from(pgno.0.saturating_sub(1)) * ENTRY_LEN
}

fn unusable(reason: &'static str) -> LtxError {
    LtxError::Io(io::Error::new(io::ErrorKind::InvalidData, reason))
}

fn read_header(file: &File) -> io::Result<Header> {
    let mut bytes = [0; HEADER_LEN];
    file.read_exact_at(&mut bytes, 0)?;
    Header::parse(&bytes).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "damaged header"))
}

/// Identifies this run of the kernel; zeros where that is not known. No process outlives it.
fn boot_id() -> [u8; 16] {
    static BOOT_ID: LazyLock<[u8; 16]> = LazyLock::new(|| {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
        u128::from_str_radix(&digits, 16).map_or([0; 16], u128::to_be_bytes)
    });
    *BOOT_ID
}

impl State {
    fn to_bytes(self) -> [u8; 28] {
        let mut bytes = [0; 28];
        bytes[..8].copy_from_slice(&self.l0.txid.0.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.l0.checksum.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.l0.size.to_be_bytes());
        bytes[24..].copy_from_slice(&self.commit.to_be_bytes());
        bytes
    }

    fn parse(bytes: &[u8; 28]) -> State {
        let word = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("a slice of 8 bytes"));
        let commit = u32::from_be_bytes(bytes[24..].try_into().expect("a slice of 4 bytes"));
        State { l0: L0Id { txid: Txid(word(0)), checksum: word(8), size: word(16) }, commit }
    }
}

impl Header {
    fn to_bytes(self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&self.page_size.get().to_be_bytes());
        bytes[16..44].copy_from_slice(&self.current.to_bytes());
        bytes[44..72].copy_from_slice(&self.flushed.to_bytes());
        bytes[72..88].copy_from_slice(&self.boot_id);
        let checksum = crc(&bytes[..88]);
        bytes[88..].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    fn parse(bytes: &[u8; HEADER_LEN]) -> Option<Header> {
        if &bytes[..8] != MAGIC || crc(&bytes[..88]).to_be_bytes() != bytes[88..] {
            return None;
        }
        let page_size = u32::from_be_bytes(bytes[8..12].try_into().ok()?);
        Some(Header {
            page_size: PageSize::new(page_size)?,
            current: State::parse(bytes[16..44].try_into().ok()?),
            flushed: State::parse(bytes[44..72].try_into().ok()?),
            boot_id: bytes[72..88].try_into().ok()?,
        })
    }
}

fn crc(bytes: &[u8]) -> u64 {
    let mut checksum = FileChecksum::new();
    checksum.update(bytes);
    checksum.value()
}

#[cfg(test)]
mod tests;
