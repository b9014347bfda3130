//! Turns planned files into the database file, newest file first.
//!
//! The newest file says how large the database is; from each file those pages are taken that no newer one had. That is
//! the merge of `ltx::Merge` read from its other end, with three advantages: files are streamed one after the other
//! instead of all at once (storages drop connections that wait), files that newer ones replace entirely are not read at
//! all, and a change of page size needs no rule of its own: a file that holds every page ends the search.
//!
//! Every file that was used is verified to its last byte before [`apply`] returns; the caller shows the result only then.

use std::fs::File;
use std::io;
use std::path::Path;
use std::thread::available_parallelism;

use async_trait::async_trait;
use litestream_sdk::{Body, StorageError};

use super::coverage::Coverage;
use super::decode::{Batch, BatchError, Crew};
use super::error::RestoreError;
use super::fetch::{self, Opener, PieceReader};
use super::output::TempOutput;
use super::plan::Plan;
use super::progress::Progress;
use super::source::Source;
use crate::ltx::{FileName, FrameReader, HEADER_LEN, Header, LtxError, LtxInfo, Txid, is_contiguous};

/// More threads than this only wait for the one that reads frames.
const MAX_THREADS: usize = 8;

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Applied {
    /// Header of the newest file, with the first transaction of the oldest.
    pub header: Header,
    /// Files that were needed.
    pub files: usize,
}

/// Writes the database of `plan` into `output` and returns its file, not yet durable. On an error the content is
/// worthless, and the next attempt starts with an empty file again.
pub(super) async fn apply(
    source: &dyn Source,
    plan: &Plan,
    output: &mut TempOutput,
    parallelism: usize,
    progress: &dyn Progress,
) -> Result<(File, Applied), RestoreError> {
    let files: Vec<LtxInfo> = plan.files().iter().rev().cloned().collect();
    if let Some(file) = files.iter().find(|file| file.size < HEADER_LEN as u64) {
        return Err(RestoreError::TooShort { file: file.clone() });
    }
    progress.begin(plan.bytes());
    let threads = available_parallelism().map_or(1, usize::from).min(parallelism).min(MAX_THREADS);
    let (file, path) = (output.take_file()?, output.path().to_owned());
    let opener = NewestFirst { source, files: files.clone() };
    fetch::run(&opener, parallelism, progress, move |input| {
        let result = write_database(input, &files, &file, threads);
        result.map(|applied| (file, applied)).map_err(|failure| failure.explain(&files, &path))
    })
    .await
}

struct NewestFirst<'a> {
    source: &'a dyn Source,
    files: Vec<LtxInfo>,
}

#[async_trait]
impl Opener for NewestFirst<'_> {
    fn sizes(&self) -> Vec<u64> {
        self.files.iter().map(|file| file.size).collect()
    }

    async fn open(&self, index: usize, offset: u64, len: u64) -> Result<Body, StorageError> {
        self.source.open(&self.files[index], offset, Some(len)).await
    }
}

/// A failure, and the number of the file it met.
struct Failure {
    index: usize,
    cause: Cause,
}

enum Cause {
    Ltx(LtxError),
    Write(io::Error),
    Missing { pgno: u32, commit: u32 },
}

impl Failure {
    fn explain(self, files: &[LtxInfo], path: &Path) -> RestoreError {
        let file = files[self.index].clone();
        match self.cause {
            Cause::Write(error) => RestoreError::write(path, error),
            Cause::Missing { pgno, commit } => RestoreError::Incomplete { pgno, commit },
            Cause::Ltx(LtxError::Io(error)) => match error.downcast::<StorageError>() {
                Ok(source) => RestoreError::Read { file, source: source.into() },
                Err(error) => RestoreError::Damaged { file, source: error.into() },
            },
            Cause::Ltx(source) => RestoreError::Damaged { file, source },
        }
    }
}

fn write_database(
    input: &mut PieceReader,
    files: &[LtxInfo],
    output: &File,
    threads: usize,
) -> Result<Applied, Failure> {
    std::thread::scope(|scope| {
        let mut image = Image { crew: Crew::start(scope, threads, output), coverage: None, headers: Vec::new() };
        for (index, file) in files.iter().enumerate() {
            input.start_file(file.size);
            image.apply_file(input, files, index)?;
            if image.is_complete() {
                break;
            }
        }
        image.finish(output, files.len() - 1)
    })
}

/// The database while it is written.
struct Image<'env> {
    crew: Crew<'env>,
    /// Set by the newest file.
    coverage: Option<Coverage>,
    /// Of the files applied, newest first: each is compared with its neighbour.
    headers: Vec<Header>,
}

impl Image<'_> {
    fn apply_file(&mut self, input: &mut PieceReader, files: &[LtxInfo], index: usize) -> Result<(), Failure> {
        let failed = |cause| Failure { index, cause };
        let ltx = |error| failed(Cause::Ltx(error));
        let batch = |error| match error {
            BatchError::Ltx(error) => failed(Cause::Ltx(error)),
            BatchError::Write(error) => failed(Cause::Write(error)),
        };
        let mut frames = FrameReader::new(input, false).map_err(ltx)?;
        let header = frames.header().clone();
        self.check_neighbour(&header, files, index)?;
        let coverage = self.coverage.get_or_insert_with(|| Coverage::new(header.commit, header.page_size));
        let mut digest = frames.digest();
        let mut current = Batch::new(header.page_size, frames.part_digest());
        while let Some(frame) = frames.next_frame(current.arena()).map_err(ltx)? {
            let wanted = coverage.claim(frame.pgno);
            current.push(frame, wanted);
            if current.is_full() {
                let next = Batch::new(header.page_size, frames.part_digest());
                self.crew.submit(std::mem::replace(&mut current, next)).map_err(batch)?;
            }
        }
        self.crew.finish_file(current, &mut digest).map_err(batch)?;
        frames.finish(digest).map_err(ltx)?;
        self.headers.push(header);
        Ok(())
    }

    /// Headers decide, not names: a name is only a promise.
    fn check_neighbour(&self, older: &Header, files: &[LtxInfo], index: usize) -> Result<(), Failure> {
        let Some(newer) = self.headers.last() else { return Ok(()) };
        if !is_contiguous(older.max_txid, newer.min_txid, newer.max_txid) {
            let misnamed = |header: &Header, index: usize| FileName::of(header) != files[index].file_name();
            let blamed = if misnamed(newer, index - 1) && !misnamed(older, index) { index - 1 } else { index };
            let cause = Cause::Ltx(LtxError::NotContiguous {
                previous_min: older.min_txid,
                previous_max: older.max_txid,
                min_txid: newer.min_txid,
                max_txid: newer.max_txid,
            });
            return Err(Failure { index: blamed, cause });
        }
        if older.page_size != newer.page_size {
            let cause = Cause::Ltx(LtxError::PageSizeChanged { older: older.page_size, newer: newer.page_size });
            return Err(Failure { index, cause });
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.coverage.as_ref().is_some_and(Coverage::is_complete)
    }

    /// Gives the file its length, which also makes the lock page if it is the last or nothing was written behind it.
    fn finish(self, output: &File, last: usize) -> Result<Applied, Failure> {
        let failed = |cause| Failure { index: last, cause };
        let (Some(coverage), Some(newest), Some(oldest)) = (self.coverage, self.headers.first(), self.headers.last())
        else {
            return Err(failed(Cause::Ltx(LtxError::NoInputs)));
        };
        if !coverage.is_complete() {
            let pgno = coverage.first_missing().map_or(0, |pgno| pgno.0);
            return Err(failed(Cause::Missing { pgno, commit: newest.commit }));
        }
        let length = u64::from(newest.commit) * u64::from(newest.page_size.get());
        output.set_len(length).map_err(|error| failed(Cause::Write(error)))?;
        let header = Header { min_txid: Txid::min(newest.min_txid, oldest.min_txid), ..newest.clone() };
        Ok(Applied { header, files: self.headers.len() })
    }
}
