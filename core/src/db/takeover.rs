//! A position without a saved one: the state file is lost, lags behind, or the newest L0 file was written by the reference.
//!
//! The LTX header says which range of the WAL the file was copied from. It is believed only if every frame of that range is
//! still there, chained from its predecessor, with the file's salts and the file's pages.

use std::path::Path;

use super::attachment::{Attachment, optional};
use super::error::{DbError, DbErrorKind, Result};
use super::l0;
use super::log::{Log, Stretch, WalkError};
use super::page_map::PageMap;
use super::position::{Position, WalPosition};
use super::wal_index::IndexHeader;
use crate::ltx::{Header, LtxError};
use crate::sqlite::{FrameHeader, Salt, WAL_HEADER_LEN, frame_len};

/// The position at the end of the L0 file at `l0_path`, or `None` if that cannot be shown.
pub(super) fn verify(
    attachment: &Attachment,
    published: &IndexHeader,
    l0_path: &Path,
    path: &Path,
) -> Result<Option<Position>> {
    let unreadable = |error: LtxError| match error {
        LtxError::Io(error) => DbError::io("read newest ltx file", l0_path, error),
        other => DbError::new(DbErrorKind::CorruptState, "read newest ltx file", l0_path).because(other),
    };
    let mut decoder = l0::open(l0_path).map_err(unreadable)?;
    let header = decoder.header().clone();
    let Some((from, to)) = frames_of(&header, published, attachment) else { return Ok(None) };
    let log = attachment.log()?;
    let Some((map, end)) = optional(walk(&log, published, from, to, header.commit), path)? else { return Ok(None) };
    let (mut ours, mut theirs) = (vec![0; log.page_size.bytes()], vec![0; log.page_size.bytes()]);
    let mut equal = 0;
    while let Some(pgno) = decoder.next_page(&mut ours).map_err(unreadable)? {
        let Some(frame) = map.get(pgno) else { continue };
        log.read_page(frame, &mut theirs).map_err(|error| DbError::io("read wal", path, error))?;
        if ours != theirs {
            return Ok(None);
        }
        equal += 1;
    }
    decoder.finish().map_err(unreadable)?;
    // The WAL must not have been restarted while its pages were compared.
    if equal < map.len() || attachment.header()?.salt != published.salt {
        return Ok(None);
    }
    let (identity, page_size) = (attachment.identity, attachment.page_size);
    Ok(Some(Position { wal: end, identity, folded: None, page_size, commit: header.commit }))
}

/// First (exclusive) and last frame of the copied range, if the header describes one that the WAL can still hold.
fn frames_of(header: &Header, published: &IndexHeader, attachment: &Attachment) -> Option<(u32, u32)> {
    let salt = Salt { salt1: header.wal_salt1, salt2: header.wal_salt2 };
    if header.page_size != attachment.page_size || salt != published.salt || salt == Salt::default() {
        return None;
    }
    let frames_before = |offset: u64| {
        let bytes = offset.checked_sub(WAL_HEADER_LEN as u64)?;
        let aligned = bytes % frame_len(attachment.page_size) == 0;
        aligned.then(|| u32::try_from(bytes / frame_len(attachment.page_size)).ok()).flatten()
    };
    let (from, to) = (frames_before(header.wal_offset)?, frames_before(header.wal_end())?);
    // An empty range proves nothing.
    (from < to && to <= published.frames).then_some((from, to))
}

/// Proves the range, and maps its pages.
fn walk(
    log: &Log<'_>,
    published: &IndexHeader,
    from: u32,
    to: u32,
    commit: u32,
) -> std::result::Result<(PageMap, WalPosition), WalkError> {
    let at = |frame: u32| -> std::result::Result<FrameHeader, WalkError> {
        log.frame_header(frame)?.filter(|header| header.salt == published.salt).ok_or(WalkError::Broken)
    };
    let position = |frames, header: &FrameHeader| WalPosition { salt: header.salt, frames, checksum: header.checksum };
    let start = if from == 0 { WalPosition::start_of(published.salt) } else { position(from, &at(from)?) };
    let last = at(to)?;
    let end = position(to, &last);
    if last.commit != commit {
        return Err(WalkError::Broken);
    }
    let mut map = PageMap::default();
    let stretch = Stretch { from: start, to: end, order: published.order, limit_bytes: None };
    log.walk(&stretch, |number, frame, _| map.insert(frame.pgno, number))?;
    Ok((map.finish(commit), end))
}
