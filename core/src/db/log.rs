//! Reading frames of the WAL, proved: a stretch counts only if its checksums chain from what we know to the commit that the
//! wal-index published. That proves every byte, whatever happened meanwhile.

use std::io;

use super::file_object::FileObject;
use super::position::WalPosition;
use super::wal_index::IndexHeader;
use crate::ltx::PageSize;
use crate::sqlite::{
    ByteOrder, FRAME_HEADER_LEN, FrameHeader, Salt, WAL_HEADER_LEN, WalChecksum, WalHeader, frame_len, frame_offset,
};

/// Bytes read from the WAL in one call.
const READ_BYTES: u64 = 256 * 1024;

/// The WAL of an attached database.
pub(super) struct Log<'connection> {
    pub(super) file: FileObject<'connection>,
    pub(super) page_size: PageSize,
}

/// Why a stretch was not proved.
#[derive(Debug)]
pub(super) enum WalkError {
    /// Another generation, or a broken chain: what was expected is not there (any more).
    Broken,
    /// The WAL could not be read.
    Io(io::Error),
}

impl From<io::Error> for WalkError {
    fn from(error: io::Error) -> Self {
        WalkError::Io(error)
    }
}

/// The stretch to walk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    /// Starts behind this frame.
    pub from: WalPosition,
    /// Ends at this published commit.
    pub to: WalPosition,
    /// How the checksums are stored.
    pub order: ByteOrder,
    /// Stops at the first commit at or past so many bytes.
    pub limit_bytes: Option<u64>,
}

impl Stretch {
    /// From frame `from` of the published generation to its newest commit.
    pub(super) fn up_to(header: &IndexHeader, from: WalPosition) -> Stretch {
        Stretch { from, to: header.wal_position(), order: header.order, limit_bytes: None }
    }

    /// Size in the WAL.
    pub(super) fn bytes(&self, page_size: PageSize) -> u64 {
        u64::from(self.to.frames.saturating_sub(self.from.frames)) * frame_len(page_size)
    }
}

impl WalPosition {
    /// Before the first frame of a generation.
    pub(super) fn start_of(salt: Salt) -> WalPosition {
        WalPosition { salt, frames: 0, checksum: WalChecksum::default() }
    }
}

impl IndexHeader {
    /// The published commit, as a position.
    pub(super) fn wal_position(&self) -> WalPosition {
        WalPosition { salt: self.salt, frames: self.frames, checksum: self.checksum }
    }
}

/// Where a walk ended: always at a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Walked {
    /// The last frame taken.
    pub end: WalPosition,
    /// Pages in the database after it.
    pub commit: u32,
}

impl Log<'_> {
    /// Reads and proves a stretch, and shows each frame (number, header, page) to `visit`, in order. On an error the frames
    /// shown so far are worth nothing; with a limit, the frames behind the returned end are worth nothing.
    ///
    /// A chained prefix that ends at a commit is as real as the whole: every frame up to mxFrame was written before mxFrame
    /// was published.
    pub(super) fn walk(
        &self,
        stretch: &Stretch,
        mut visit: impl FnMut(u32, &FrameHeader, &[u8]),
    ) -> Result<Walked, WalkError> {
        let (mut sum, order) = self.seed(stretch)?;
        let frame_bytes = frame_len(self.page_size);
        let frames_a_read = u32::try_from((READ_BYTES / frame_bytes).max(1)).unwrap_or(1);
        let mut buffer = Vec::new();
        let mut walked = None;
        let mut next = stretch.from.frames;
        while next < stretch.to.frames {
            let count = frames_a_read.min(stretch.to.frames - next);
            buffer.resize(usize::try_from(u64::from(count) * frame_bytes).unwrap_or(usize::MAX), 0);
            if !self.file.read_at(&mut buffer, frame_offset(next, self.page_size))? {
                return Err(WalkError::Broken);
            }
            for bytes in buffer.chunks_exact(FRAME_HEADER_LEN + self.page_size.bytes()) {
                let (head, page) = bytes.split_at(FRAME_HEADER_LEN);
                let frame = FrameHeader::parse(head.try_into().expect("split at the header length"));
                if !frame.follows(order, stretch.to.salt, sum, page) {
                    return Err(WalkError::Broken);
                }
                sum = frame.checksum;
                next += 1;
                visit(next, &frame, page);
                if frame.is_commit() {
                    let end = WalPosition { salt: stretch.to.salt, frames: next, checksum: sum };
                    walked = Some(Walked { end, commit: frame.commit });
                    if stretch.limit_bytes.is_some_and(|limit| {
                        u64::from(next - stretch.from.frames) * frame_bytes >= limit && next < stretch.to.frames
                    }) {
                        return walked.ok_or(WalkError::Broken);
                    }
                }
            }
        }
        // Ends at another checksum, or not at a commit: these are not the frames that were published.
        walked.filter(|walked| walked.end == stretch.to).ok_or(WalkError::Broken)
    }

    /// Where the chain starts: our own checksum, or the WAL header's for a first frame.
    fn seed(&self, stretch: &Stretch) -> Result<(WalChecksum, ByteOrder), WalkError> {
        if stretch.from.frames > 0 {
            return Ok((stretch.from.checksum, stretch.order));
        }
        let mut bytes = [0; WAL_HEADER_LEN];
        if !self.file.read_at(&mut bytes, 0)? {
            return Err(WalkError::Broken);
        }
        let header = WalHeader::parse(&bytes).map_err(|_| WalkError::Broken)?;
        // A writer that rolled back may have restarted the wal-index only: then the file still has the old header.
        let expected = header.salt == stretch.to.salt && header.page_size == self.page_size;
        expected.then_some((header.checksum, header.order)).ok_or(WalkError::Broken)
    }

    /// Header of one frame as it stands in the file, proved by nothing; `None` behind the end of the file.
    pub(super) fn frame_header(&self, frame: u32) -> io::Result<Option<FrameHeader>> {
        let Some(before) = frame.checked_sub(1) else { return Ok(None) };
        let mut bytes = [0; FRAME_HEADER_LEN];
        let complete = self.file.read_at(&mut bytes, frame_offset(before, self.page_size))?;
        Ok(complete.then(|| FrameHeader::parse(&bytes)))
    }

    /// Page of one frame.
    pub(super) fn read_page(&self, frame: u32, page: &mut [u8]) -> io::Result<()> {
        let offset = frame_offset(frame.saturating_sub(1), self.page_size) + FRAME_HEADER_LEN as u64;
        if self.file.read_at(page, offset)? { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}
