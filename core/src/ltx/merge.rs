//! Merges LTX files into one: the last version of each page wins, pages beyond the newest commit size are dropped.
//!
//! One pass over all inputs at once, holding one page of each: memory depends on their number, not on the database.
//! Used by compaction. A restore reaches the same pages by another way, newest file first (`restore::apply`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{Read, Write};

use super::file_name::is_contiguous;
use super::{Decoder, Encoder, Header, LtxError, PageSize, Pgno, Trailer};

/// The pages of a merge, ascending.
pub struct Merge<R: Read> {
    header: Header,
    inputs: Vec<Input<R>>,
    /// Inputs that hold a page, lowest page number first, newest input first among equals.
    pending: BinaryHeap<(Reverse<Pgno>, usize)>,
    /// The input whose page was given out last, to be moved on before the next.
    lent: Option<usize>,
    /// The error for pages missing from the first input, where it follows a change of page size.
    page_size_change: Option<(PageSize, PageSize)>,
}

struct Input<R: Read> {
    decoder: Decoder<R>,
    page: Vec<u8>,
}

impl<R: Read> Merge<R> {
    /// Takes inputs oldest to newest. Refuses a hole between neighbours.
    ///
    /// Page sizes must be equal, with one exception: `VACUUM` can change the page size of a database, and the file that
    /// follows holds every page. So inputs before the last change of size are left out, and the first of the new size
    /// is held to be complete: if it is not, the merge fails when the missing page is noticed.
    pub fn new(decoders: Vec<Decoder<R>>) -> Result<Self, LtxError> {
        let header = merged_header(&decoders)?;
        let left_out = decoders.iter().rposition(|decoder| decoder.page_size() != header.page_size);
        let page_size_change = left_out.map(|last| (decoders[last].page_size(), header.page_size));
        let mut inputs: Vec<Input<R>> = decoders
            .into_iter()
            .skip(left_out.map_or(0, |last| last + 1))
            .map(|decoder| Input { page: vec![0; decoder.page_size().bytes()], decoder })
            .collect();
        if let (Some(_), Some(first)) = (left_out, inputs.first_mut()) {
            first.decoder.require_complete();
        }
        let pending = BinaryHeap::with_capacity(inputs.len());
        let mut merge = Merge { header, inputs, pending, lent: None, page_size_change };
        for index in 0..merge.inputs.len() {
            merge.advance(index)?;
        }
        Ok(merge)
    }

    /// What the merged file's header must be.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next page of the result; `None` behind the last.
    pub fn next_page(&mut self) -> Result<Option<(Pgno, &[u8])>, LtxError> {
        if let Some(index) = self.lent.take() {
            self.advance(index)?;
        }
        while let Some((Reverse(pgno), newest)) = self.pending.pop() {
            while let Some(&(Reverse(same), older)) = self.pending.peek()
                && same == pgno
            {
                self.pending.pop();
                self.advance(older)?;
            }
            if pgno.0 <= self.header.commit {
                self.lent = Some(newest);
                return Ok(Some((pgno, &self.inputs[newest].page)));
            }
            self.advance(newest)?;
        }
        Ok(None)
    }

    /// Closes every input, which compares its checksum. Nothing made of the pages may be kept if this fails.
    pub fn finish(self) -> Result<(), LtxError> {
        self.inputs.into_iter().try_for_each(|input| input.decoder.finish().map(drop))
    }

    fn advance(&mut self, index: usize) -> Result<(), LtxError> {
        let input = &mut self.inputs[index];
        match (input.decoder.next_page(&mut input.page), self.page_size_change) {
            (Ok(Some(pgno)), _) => self.pending.push((Reverse(pgno), index)),
            (Ok(None), _) => {}
            (Err(LtxError::PageHole { .. } | LtxError::SnapshotIncomplete { .. }), Some((older, newer))) => {
                return Err(LtxError::PageSizeChanged { older, newer });
            }
            (Err(error), _) => return Err(error),
        }
        Ok(())
    }
}

/// Merges files, oldest to newest, into one that is written to `writer`, and returns its header and trailer. On an error
/// what was written is worthless.
pub fn compact<R: Read, W: Write>(inputs: Vec<Decoder<R>>, writer: W) -> Result<(W, Header, Trailer), LtxError> {
    let mut merge = Merge::new(inputs)?;
    let header = merge.header().clone();
    let mut encoder = Encoder::new(writer, &header)?;
    while let Some((pgno, page)) = merge.next_page()? {
        encoder.encode_page(pgno, page)?;
    }
    merge.finish()?;
    let (writer, trailer) = encoder.finish()?;
    Ok((writer, header, trailer))
}

fn merged_header<R: Read>(decoders: &[Decoder<R>]) -> Result<Header, LtxError> {
    let (Some(first), Some(last)) = (decoders.first(), decoders.last()) else { return Err(LtxError::NoInputs) };
    for pair in decoders.windows(2) {
        let (older, newer) = (pair[0].header(), pair[1].header());
        if !is_contiguous(older.max_txid, newer.min_txid, newer.max_txid) {
            return Err(LtxError::NotContiguous {
                previous_min: older.min_txid,
                previous_max: older.max_txid,
                min_txid: newer.min_txid,
                max_txid: newer.max_txid,
            });
        }
    }
    let (first, last) = (first.header(), last.header());
    Ok(Header::new(last.page_size, last.commit, first.min_txid, last.max_txid, last.timestamp))
}
