//! The workers of a directory restore: each takes the next database until none is left.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::journal::{Earlier, Journal};
use super::{DirectoryError, DirectoryOptions, DirectoryProgress, DirectoryReport, Failure, Member, Outcome};
use crate::ltx::Txid;
use crate::plugin::ByteBudget;
use crate::restore::output::{Output, OutputError};
use crate::restore::plan::PlanError;
use crate::restore::progress::Progress;
use crate::restore::{Choice, RestoreError, RestoreOptions, choose_boxed, restore_quietly, restore_v3_quietly};

/// Requests of one large database at once. Small ones need fewer.
const REQUESTS_MAX: u64 = 8;
/// As much as one request brings.
const PIECE_LEN: u64 = 2 << 20;
/// What inflating takes: the batches that are filled, waiting and written.
const BATCHES_MAX: u64 = 12 << 20;
/// Pages rarely inflate to more than this many times their size; only an estimate.
const INFLATION: u64 = 16;

/// What the workers of one run share.
pub(super) struct Run {
    members: Vec<Member>,
    options: DirectoryOptions,
    earlier: Earlier,
    in_the_way: HashMap<usize, PathBuf>,
    budget: ByteBudget,
    progress: Arc<dyn DirectoryProgress>,
    /// The next member nobody has taken.
    next: AtomicUsize,
    journal: Mutex<Journal>,
    outcomes: Mutex<Vec<Outcome>>,
    halt: Mutex<Option<DirectoryError>>,
    halting: Notify,
}

impl Run {
    pub(super) fn new(
        members: Vec<Member>,
        options: DirectoryOptions,
        journal: Journal,
        earlier: Earlier,
        in_the_way: Vec<(usize, PathBuf)>,
        budget: ByteBudget,
        progress: Arc<dyn DirectoryProgress>,
    ) -> Run {
        let outcomes = members.iter().map(|_| Outcome::Left).collect();
        Run {
            members,
            options,
            earlier,
            in_the_way: in_the_way.into_iter().collect(),
            budget,
            progress,
            next: AtomicUsize::new(0),
            journal: Mutex::new(journal),
            outcomes: Mutex::new(outcomes),
            halt: Mutex::new(None),
            halting: Notify::new(),
        }
    }

    /// Waits until something happens that ends the whole run.
    pub(super) async fn halted(&self) -> DirectoryError {
        loop {
            if let Some(error) = lock(&self.halt).take() {
                return error;
            }
            self.halting.notified().await;
        }
    }

    fn halt(&self, error: DirectoryError) {
        lock(&self.halt).get_or_insert(error);
        self.halting.notify_one();
    }

    /// Ends the run. The journal goes if there is nothing to go on with.
    pub(super) fn report(self: Arc<Run>, halted: Option<DirectoryError>) -> Result<DirectoryReport, DirectoryError> {
        let outcomes = std::mem::take(&mut *lock(&self.outcomes));
        let halted = halted.or_else(|| lock(&self.halt).take());
        let unfinished = |outcome: &Outcome| matches!(outcome, Outcome::Failed(_) | Outcome::Left);
        if halted.is_none() && !outcomes.iter().any(unfinished) {
            lock(&self.journal).remove()?;
        }
        Ok(DirectoryReport { outcomes, halted })
    }

    async fn restore(&self, index: usize) -> Result<Outcome, Box<RestoreError>> {
        let Member { database, source, old } = &self.members[index];
        let path = self.options.output.join(database);
        if self.earlier.done.contains(database) && path.exists() {
            return Ok(Outcome::AlreadyThere);
        }
        if let Some(other) = self.in_the_way.get(&index) {
            return Ok(Outcome::Failed(Failure::Names(other.clone())));
        }
        // Without `force` its place was free when it was begun, and what appears there is whole.
        let whole = std::fs::metadata(&path).is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0);
        if whole && self.earlier.begun.contains(database) && !self.options.rules.force {
            return Ok(Outcome::AlreadyThere);
        }
        let checked = Output::check(&path, self.options.rules).map_err(RestoreError::from)?;
        let Some(output) = checked else { return Ok(Outcome::AlreadyThere) };
        let target = self.options.target;
        let choice = match choose_boxed(source.as_ref(), old.as_deref(), target).await {
            Err(RestoreError::Plan(PlanError::BeforeFirst { .. })) => return Ok(Outcome::NotYetThere),
            other => other?,
        };
        let bytes = choice.bytes();
        let requests = bytes.div_ceil(PIECE_LEN).max(choice.files() as u64 / 4).clamp(1, REQUESTS_MAX);
        let reserved = self.budget.reserve(memory(bytes, 1), memory(bytes, requests)).await;
        let affordable = (1..=requests).rev().find(|requests| memory(bytes, *requests) <= reserved.bytes());
        self.note(|journal| journal.begin(database));
        let parallelism = affordable.unwrap_or(1) as usize;
        let how = RestoreOptions { parallelism, integrity: self.options.integrity };
        let share = Share(self.progress.as_ref());
        let txid = match (choice, old) {
            (Choice::Ltx(plan), _) => restore_quietly(source.as_ref(), target, plan, &output, how, &share).await?.txid,
            (Choice::V3(plan), Some(old)) => {
                restore_v3_quietly(old.as_ref(), &plan, &output, how, &share).await?;
                Txid::NONE
            }
            (Choice::V3(_), None) => Txid::NONE,
        };
        self.note(|journal| journal.finish(database));
        Ok(Outcome::Restored { txid, bytes })
    }

    fn note(&self, write: impl FnOnce(&mut Journal) -> Result<(), DirectoryError>) {
        if let Err(error) = write(&mut lock(&self.journal)) {
            self.halt(error);
        }
    }
}

/// Restores one database after the other.
pub(super) async fn work(run: Arc<Run>) {
    loop {
        let index = run.next.fetch_add(1, Ordering::Relaxed);
        if index >= run.members.len() {
            return;
        }
        let outcome = run.restore(index).await.unwrap_or_else(|error| Outcome::Failed(error.into()));
        if is_full(&outcome) {
            run.halt(DirectoryError::Full(run.options.output.clone()));
            return;
        }
        run.progress.ended(&outcome);
        lock(&run.outcomes)[index] = outcome;
    }
}

/// Memory for a database of this many bytes on the replica, read by so many requests.
fn memory(bytes: u64, parallelism: u64) -> u64 {
    let pieces = (parallelism + 2) * PIECE_LEN;
    bytes.min(pieces) + bytes.saturating_mul(INFLATION).min(BATCHES_MAX)
}

fn is_full(outcome: &Outcome) -> bool {
    let Outcome::Failed(Failure::Restore(error)) = outcome else { return false };
    let RestoreError::Output(OutputError::Io { source, .. }) = error.as_ref() else { return false };
    matches!(source.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

/// The part of one database in the progress of all. A second attempt is not counted back: the bytes did come.
struct Share<'a>(&'a dyn DirectoryProgress);

impl Progress for Share<'_> {
    fn begin(&self, _bytes: u64) {}

    fn advance(&self, bytes: u64) {
        self.0.advance(bytes);
    }

    fn finish(&self) {}
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
