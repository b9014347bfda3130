//! Inflates frames into the output file, on several threads.
//!
//! The frames of a file are read in order by one thread and handed over in batches. A batch is inflated, digested and
//! written by whichever thread is free; the digests of a file's batches, joined in order, are the digest of its pages.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::Scope;

use crate::ltx::{ContentDigest, Frame, LtxError, PageSize};

/// Pages of a batch, in bytes: enough that handing over costs nothing, and that neighbours are written at once.
const BATCH_BYTES: usize = 1 << 20;

/// Frames of one file that follow each other.
pub(super) struct Batch {
    page_size: PageSize,
    frames: Vec<Placed>,
    /// What [`Frame`] points into.
    arena: Vec<u8>,
    digest: ContentDigest,
}

struct Placed {
    frame: Frame,
    /// The page belongs into the output; else a newer file had it, and it only counts for the checksum.
    wanted: bool,
}

/// Why a batch failed.
#[derive(Debug)]
pub(super) enum BatchError {
    /// The file it came from is damaged.
    Ltx(LtxError),
    /// The output could not be written.
    Write(io::Error),
}

impl Batch {
    /// `digest` is an empty one of the file.
    pub(super) fn new(page_size: PageSize, digest: ContentDigest) -> Batch {
        Batch { page_size, frames: Vec::new(), arena: Vec::with_capacity(BATCH_BYTES), digest }
    }

    /// Where the next frame's data goes.
    pub(super) fn arena(&mut self) -> &mut Vec<u8> {
        &mut self.arena
    }

    pub(super) fn push(&mut self, frame: Frame, wanted: bool) {
        self.frames.push(Placed { frame, wanted });
    }

    pub(super) fn is_full(&self) -> bool {
        self.frames.len() * self.page_size.bytes() >= BATCH_BYTES
    }

    /// Inflates and digests every frame, and writes the wanted pages. `pages` is scratch.
    fn apply(mut self, output: &File, pages: &mut Vec<u8>) -> Result<ContentDigest, BatchError> {
        let page_len = self.page_size.bytes();
        pages.resize(self.frames.len() * page_len, 0);
        for (placed, page) in self.frames.iter().zip(pages.chunks_exact_mut(page_len)) {
            placed.frame.inflate(&self.arena, page, self.page_size, &mut self.digest).map_err(BatchError::Ltx)?;
        }
        let mut start = 0;
        for run in self.frames.chunk_by(|a, b| a.wanted == b.wanted && a.frame.pgno.next() == b.frame.pgno) {
            let end = start + run.len() * page_len;
            if run[0].wanted {
                let offset = run[0].frame.pgno.offset(self.page_size);
                output.write_all_at(&pages[start..end], offset).map_err(BatchError::Write)?;
            }
            start = end;
        }
        Ok(self.digest)
    }
}

type Outcome = (usize, Result<ContentDigest, BatchError>);

/// The threads that apply batches, and the batches of the current file that are out.
pub(super) struct Crew<'env> {
    output: &'env File,
    /// `None` if there is no other thread: batches are applied at once.
    jobs: Option<SyncSender<(usize, Batch)>>,
    outcomes: Receiver<Outcome>,
    submitted: usize,
    done: Vec<(usize, ContentDigest)>,
    pages: Vec<u8>,
}

impl<'env> Crew<'env> {
    /// Starts `threads` threads that end with the scope. With one or none, the caller's thread does the work.
    pub(super) fn start<'scope>(scope: &'scope Scope<'scope, 'env>, threads: usize, output: &'env File) -> Crew<'env> {
        let (outcome_sender, outcomes) = channel();
        let jobs = (threads > 1).then(|| {
            let (jobs, waiting) = sync_channel(threads);
            let waiting = std::sync::Arc::new(Mutex::new(waiting));
            for _ in 0..threads {
                let (waiting, outcomes) = (waiting.clone(), outcome_sender.clone());
                scope.spawn(move || work(&waiting, &outcomes, output));
            }
            jobs
        });
        Crew { output, jobs, outcomes, submitted: 0, done: Vec::new(), pages: Vec::new() }
    }

    /// Hands a batch over. An error may be that of an earlier batch.
    pub(super) fn submit(&mut self, batch: Batch) -> Result<(), BatchError> {
        let number = self.submitted;
        self.submitted += 1;
        match &self.jobs {
            None => {
                let digest = batch.apply(self.output, &mut self.pages)?;
                self.done.push((number, digest));
            }
            Some(jobs) => {
                jobs.send((number, batch)).map_err(|_| BatchError::Write(io::Error::other("a worker thread ended")))?;
                while let Ok(outcome) = self.outcomes.try_recv() {
                    self.note(outcome)?;
                }
            }
        }
        Ok(())
    }

    /// Applies the last batch of a file, waits for all others, and appends their digests in order.
    pub(super) fn finish_file(&mut self, last: Batch, digest: &mut ContentDigest) -> Result<(), BatchError> {
        let last = last.apply(self.output, &mut self.pages)?;
        while self.done.len() < self.submitted {
            let outcome =
                self.outcomes.recv().map_err(|_| BatchError::Write(io::Error::other("worker threads ended")))?;
            self.note(outcome)?;
        }
        self.done.sort_by_key(|&(number, _)| number);
        self.done.drain(..).for_each(|(_, part)| digest.append(&part));
        self.submitted = 0;
        digest.append(&last);
        Ok(())
    }

    fn note(&mut self, (number, outcome): Outcome) -> Result<(), BatchError> {
        self.done.push((number, outcome?));
        Ok(())
    }
}

fn work(jobs: &Mutex<Receiver<(usize, Batch)>>, outcomes: &Sender<Outcome>, output: &File) {
    let mut pages = Vec::new();
    loop {
        // Held while waiting: the others queue behind it, which is as good as waiting themselves.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((number, batch)) = job else { return };
        if outcomes.send((number, batch.apply(output, &mut pages))).is_err() {
            return;
        }
    }
}
