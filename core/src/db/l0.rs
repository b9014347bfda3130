//! Local L0 files: written beside their final name, flushed, renamed, so that a file under its name is always complete; and
//! verified before the newest one is trusted as a position.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::error::{DbError, DbErrorKind, Result};
use super::meta::MetaDir;
use super::owner::Owner;
use super::phase::{self, Phase};
use super::position::L0Id;
use crate::failpoint;
use crate::ltx::{self, Encoder, FileName, Header, LtxError, PageSize, Pgno, TRAILER_LEN, Trailer, Txid};

/// Buffer between the encoder and the file.
const BUFFER_BYTES: usize = 64 * 1024;

/// An L0 file being written. Dropped before [`L0Writer::publish`], it leaves nothing behind.
pub(super) struct L0Writer {
    encoder: Option<Encoder<BufWriter<File>>>,
    temporary: PathBuf,
    target: PathBuf,
    txid: Txid,
    pages: u32,
    placed: bool,
}

impl L0Writer {
    /// Starts the file of `header.max_txid`; makes the directory if needed.
    pub(super) fn create(meta: &MetaDir, owner: &Owner<'_>, header: &Header) -> Result<L0Writer> {
        let directory = meta.l0_dir();
        owner
            .create_dir_all(&directory)
            .map_err(|error| DbError::io("make local state directory", &directory, error))?;
        let target = meta.l0_path(header.max_txid);
        let temporary = target.with_extension("ltx.tmp");
        let file = owner.create_file(&temporary).map_err(|error| DbError::io("stage ltx file", &temporary, error))?;
        let mut writer = L0Writer { encoder: None, temporary, target, txid: header.max_txid, pages: 0, placed: false };
        let buffered = BufWriter::with_capacity(BUFFER_BYTES, file);
        writer.encoder = Some(Encoder::new(buffered, header).map_err(|error| writer.failed(error))?);
        Ok(writer)
    }

    /// Adds a page; numbers ascend.
    pub(super) fn put(&mut self, pgno: Pgno, page: &[u8]) -> Result<()> {
        let encoder = self.encoder.as_mut().expect("present until published");
        encoder.encode_page(pgno, page).map_err(|error| staging_error(&self.temporary, error))?;
        self.pages += 1;
        Ok(())
    }

    /// Pages so far.
    pub(super) fn pages(&self) -> u32 {
        self.pages
    }

    /// Flushes the file, gives it its name and flushes the directory: from here on the commits in it are safe on this disk.
    pub(super) fn publish(mut self) -> Result<L0Id> {
        phase::enter(Phase::CloseLtx);
        let encoder = self.encoder.take().expect("published once");
        let (buffered, trailer) = encoder.finish().map_err(|error| self.failed(error))?;
        let file = buffered.into_inner().map_err(|error| self.failed(error.into_error().into()))?;
        phase::enter(Phase::FsyncLtx);
        failpoint::around("l0-sync", || file.sync_all()).map_err(|error| self.failed(error.into()))?;
        let size = file.metadata().map_err(|error| self.failed(error.into()))?.len();
        drop(file);
        phase::enter(Phase::RenameLtx);
        failpoint::around("l0-rename", || fs::rename(&self.temporary, &self.target))
            .map_err(|error| DbError::io("rename ltx file", &self.target, error))?;
        self.placed = true;
        sync_parent(&self.target).map_err(|error| {
            // Not certainly there after a crash, so it must not be there now: its number is used again.
            let _ = fs::remove_file(&self.target);
            DbError::io("flush directory of ltx file", &self.target, error)
        })?;
        Ok(L0Id { txid: self.txid, checksum: trailer.file_checksum, size })
    }

    fn failed(&self, error: LtxError) -> DbError {
        staging_error(&self.temporary, error)
    }
}

impl Drop for L0Writer {
    fn drop(&mut self) {
        drop(self.encoder.take());
        if !self.placed {
            // One that cannot be removed goes at the next open.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

fn staging_error(path: &Path, error: LtxError) -> DbError {
    match error {
        LtxError::Io(error) => DbError::io("stage ltx file", path, error),
        other => DbError::new(DbErrorKind::Io, "encode ltx file", path).because(other),
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    failpoint::around("l0-directory-sync", || path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all()))
}

/// The newest local file, verified. `vouched` is what the saved position says about it: a file that still has that size and
/// trailer was verified before and is not read again.
pub(super) fn newest(meta: &MetaDir, vouched: Option<L0Id>) -> Result<Option<L0Id>> {
    let directory = meta.l0_dir();
    let newest = meta.newest_l0().map_err(|error| DbError::io("list local ltx files", &directory, error))?;
    let Some(newest) = newest else { return Ok(None) };
    let path = directory.join(FileName::new(newest.min_txid, newest.max_txid).to_string());
    if let Some(vouched) = vouched.filter(|l0| l0.txid == newest.max_txid && l0.size == newest.size)
        && read_trailer(&path).is_ok_and(|trailer| trailer.file_checksum == vouched.checksum)
    {
        return Ok(Some(vouched));
    }
    let damaged = |error: LtxError| match error {
        LtxError::Io(error) => DbError::io("read newest ltx file", &path, error),
        other => DbError::new(DbErrorKind::CorruptState, "verify newest ltx file", &path).because(other),
    };
    let file = File::open(&path).map_err(|error| damaged(error.into()))?;
    let name = FileName::new(newest.min_txid, newest.max_txid);
    let verified = ltx::verify(BufReader::with_capacity(BUFFER_BYTES, file), Some(name)).map_err(damaged)?;
    Ok(Some(L0Id { txid: newest.max_txid, checksum: verified.trailer.file_checksum, size: newest.size }))
}

/// The id of the file of one transaction, from its size and trailer.
pub(super) fn id_of(meta: &MetaDir, txid: Txid) -> io::Result<L0Id> {
    let path = meta.l0_path(txid);
    let size = fs::metadata(&path)?.len();
    Ok(L0Id { txid, checksum: read_trailer(&path)?.file_checksum, size })
}

/// Opens a local file for decoding.
pub(super) fn open(path: &Path) -> std::result::Result<ltx::Decoder<BufReader<File>>, LtxError> {
    ltx::Decoder::new(BufReader::with_capacity(BUFFER_BYTES, File::open(path)?))
}

fn read_trailer(path: &Path) -> io::Result<Trailer> {
    let mut file = File::open(path)?;
    let mut bytes = [0; TRAILER_LEN];
    file.seek(SeekFrom::End(-(TRAILER_LEN as i64)))?;
    file.read_exact(&mut bytes)?;
    Ok(Trailer::parse(&bytes))
}

/// The header of an L0 file of one transaction, with the WAL range it was copied from.
pub(super) fn header(
    page_size: PageSize,
    commit: u32,
    txid: Txid,
    wal: std::ops::Range<super::position::WalPosition>,
) -> Header {
    let offset = crate::sqlite::frame_offset(wal.start.frames, page_size);
    let end = crate::sqlite::frame_offset(wal.end.frames, page_size);
    Header {
        wal_offset: offset,
        wal_size: end.saturating_sub(offset),
        wal_salt1: wal.end.salt.salt1,
        wal_salt2: wal.end.salt.salt2,
        ..Header::new(page_size, commit, txid, txid, crate::clock::unix_millis())
    }
}
