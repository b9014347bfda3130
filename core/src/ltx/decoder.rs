//! Reads an LTX file from a byte stream, in one pass, page by page.
//!
//! Works on any `Read`, holds one compressed page, never allocates by what the file says, and never panics whatever it
//! is given. Nothing it returned may be trusted before [`Decoder::finish`] has compared the checksum.

use std::io::Read;

use super::checksum::ContentDigest;
use super::frame_reader::FrameReader;
use super::{FileName, Header, LtxError, PageSize, Pgno, Trailer};

/// Decodes one file.
pub struct Decoder<R: Read> {
    frames: FrameReader<R>,
    digest: ContentDigest,
    payload: Vec<u8>,
}

impl<R: Read> Decoder<R> {
    /// Reads the header. Accepts whatever Litestream's restore accepts, except what would make the result depend on
    /// luck (a page of the wrong length, pages out of order, the lock page).
    pub fn new(reader: R) -> Result<Self, LtxError> {
        Ok(Self::with_frames(FrameReader::new(reader, false)?))
    }

    /// As [`Decoder::new`], and insists on what only a wrong writer gets wrong: pages within the commit size, an index
    /// that agrees with the pages, no post-apply checksum where none is kept.
    pub fn strict(reader: R) -> Result<Self, LtxError> {
        Ok(Self::with_frames(FrameReader::new(reader, true)?))
    }

    fn with_frames(frames: FrameReader<R>) -> Self {
        Decoder { digest: frames.digest(), frames, payload: Vec::new() }
    }

    /// The validated header.
    pub fn header(&self) -> &Header {
        self.frames.header()
    }

    /// Page size of the database.
    pub fn page_size(&self) -> PageSize {
        self.header().page_size
    }

    /// Demands every page up to the commit size, as a file that starts at the first transaction must have anyway.
    pub fn require_complete(&mut self) {
        self.frames.require_complete();
    }

    /// Reads the next page into `page`, which is exactly one page long; `None` behind the last.
    pub fn next_page(&mut self, page: &mut [u8]) -> Result<Option<Pgno>, LtxError> {
        if page.len() != self.page_size().bytes() {
            return Err(LtxError::BufferLength { actual: page.len(), page_size: self.page_size() });
        }
        self.payload.clear();
        let Some(frame) = self.frames.next_frame(&mut self.payload)? else { return Ok(None) };
        let page_size = self.page_size();
        frame.inflate(&self.payload, page, page_size, &mut self.digest)?;
        Ok(Some(frame.pgno))
    }

    /// Reads what follows the last page and compares the checksums. Every page must have been read.
    pub fn finish(self) -> Result<Trailer, LtxError> {
        self.frames.finish(self.digest)
    }
}

/// What [`verify`] found in a good file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Its header.
    pub header: Header,
    /// Its trailer.
    pub trailer: Trailer,
    /// Pages it holds.
    pub page_count: u64,
}

/// Reads a whole file by the strict rules; `name` adds that the header must cover what the name says.
pub fn verify(reader: impl Read, name: Option<FileName>) -> Result<Verified, LtxError> {
    let mut decoder = Decoder::strict(reader)?;
    if let Some(name) = name {
        name.check(decoder.header())?;
    }
    let mut page = vec![0; decoder.page_size().bytes()];
    let mut page_count = 0;
    while decoder.next_page(&mut page)?.is_some() {
        page_count += 1;
    }
    let header = decoder.header().clone();
    Ok(Verified { header, trailer: decoder.finish()?, page_count })
}
