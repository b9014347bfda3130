//! Restores many databases into one directory: in parallel, within a memory budget, to be interrupted and continued.
//!
//! ```text
//! members -> workers (plan, reserve memory, restore) -> <output>/<database>
//!               \-> journal: begun, finished            -> outcomes, in the order of the members
//! ```
//!
//! Each database is an ordinary restore: nothing stands at its final name before it is whole and verified. One that cannot be
//! restored is an outcome and stops nobody; a full disk stops all, because it would be an outcome of every one.

mod journal;
mod worker;

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::future::Future;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use tokio::task::JoinSet;

use super::error::RestoreError;
use super::integrity::IntegrityCheck;
use super::output::OutputRules;
use super::plan::Target;
use super::source::Source;
use super::v3::V3Source;
use super::{Choice, choose};
use crate::ltx::Txid;
use crate::plugin::ByteBudget;
use journal::Journal;
use worker::{Run, work};

/// One database of the directory.
#[derive(Clone)]
pub struct Member {
    /// Its path below the output directory.
    pub database: PathBuf,
    /// Its files.
    pub source: Arc<dyn Source>,
    /// Its files of Litestream 0.3, if there are any.
    pub old: Option<Arc<dyn V3Source>>,
}

/// What to restore, and how.
#[derive(Clone, Debug)]
pub struct DirectoryOptions {
    /// Where the databases go. Made if absent, for the owner alone.
    pub output: PathBuf,
    /// What the source is called: a run goes on only with what an earlier one began from the same.
    pub source: String,
    /// The state of each database. Not a transaction: these count per database.
    pub target: Target,
    /// What about databases that are there already and that no earlier run of this restore put there.
    pub rules: OutputRules,
    /// What SQLite is asked before a database appears.
    pub integrity: IntegrityCheck,
    /// Databases at the same time, if memory allows.
    pub parallelism: usize,
}

/// What became of one database.
#[derive(Debug)]
pub enum Outcome {
    /// It is there now.
    Restored {
        /// Its state; [`Txid::NONE`] from the 0.3 layout.
        txid: Txid,
        /// Bytes of the files it came from.
        bytes: u64,
    },
    /// It was there: an earlier run restored it, or the rules say to leave what exists.
    AlreadyThere,
    /// It did not exist at the wanted time, so it is no part of that state.
    NotYetThere,
    /// It is not there, and why.
    Failed(Failure),
    /// The run ended before it.
    Left,
}

/// Why one database is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Its restore failed.
    #[error(transparent)]
    Restore(#[from] Box<RestoreError>),
    /// Another database of the same restore is named like a file that belongs to this one.
    #[error("{} is a database of its own and would be in the way; restore one of the two without -dir", .0.display())]
    Names(PathBuf),
}

/// Why a directory restore did not begin, or had to end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// The output directory or the journal in it.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another run writes there.
    #[error("another restore is writing to {}: wait for its end, or choose another -o", .0.display())]
    Busy(PathBuf),
    /// The directory holds a part of something else.
    #[error(
        "an unfinished restore of {source_name} to {target} is in the way: run that again to finish it, choose another -o, or \
         delete {} to give it up", .journal.display()
    )]
    OtherRestore {
        /// Its journal.
        journal: PathBuf,
        /// What it restores.
        source_name: String,
        /// To which state.
        target: String,
    },
    /// A file that has the journal's name.
    #[error("{} is not the journal of a restore: move it away, or choose another -o", .0.display())]
    ForeignJournal(PathBuf),
    /// No space.
    #[error("no space left in {}: make room and run the same command again, finished databases are kept", .0.display())]
    Full(PathBuf),
}

/// How a run ended.
#[derive(Debug)]
pub struct DirectoryReport {
    /// Of each member, in their order.
    pub outcomes: Vec<Outcome>,
    /// Why it ended early, if not because it was told to.
    pub halted: Option<DirectoryError>,
}

/// Told how the run goes on. Called often and from async code: it must be quick and must not block.
pub trait DirectoryProgress: Send + Sync {
    /// Bytes have come.
    fn advance(&self, bytes: u64);
    /// A database has its outcome.
    fn ended(&self, outcome: &Outcome);
}

/// Restores every member, until `stop` ends.
///
/// # Errors
/// The output cannot be used. What goes wrong later is in the report.
pub async fn restore_directory(
    members: Vec<Member>,
    options: DirectoryOptions,
    budget: &ByteBudget,
    progress: Arc<dyn DirectoryProgress>,
    stop: impl Future<Output = ()>,
) -> Result<DirectoryReport, DirectoryError> {
    make_directory(&options.output)?;
    let (journal, earlier) = Journal::open(&options.output, &options.source, &options.target.to_string())?;
    let in_the_way = names_in_the_way(&members);
    let at_once = options.parallelism.clamp(1, members.len().max(1));
    let run = Arc::new(Run::new(members, options, journal, earlier, in_the_way, budget.clone(), progress));
    let mut workers: JoinSet<()> = (0..at_once).map(|_| work(Arc::clone(&run))).collect();
    let halted = tokio::select! {
        () = async { while workers.join_next().await.is_some_and(|ended| ended.is_ok()) {} } => None,
        error = run.halted() => Some(error),
        () = stop => None,
    };
    // A worker that is dropped takes its temporary file with it. A panic of one comes out here.
    workers.abort_all();
    while let Some(ended) = workers.join_next().await {
        if let Err(error) = ended
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
    run.report(halted)
}

/// What a restore of every member would read, in their order.
pub async fn plan_directory(
    members: &[Member],
    target: Target,
    parallelism: usize,
) -> Vec<Result<Choice, RestoreError>> {
    let plan = |member: Member| async move { choose(member.source.as_ref(), member.old.as_deref(), target).await };
    stream::iter(members.iter().cloned()).map(plan).buffered(parallelism.max(1)).collect().await
}

fn make_directory(path: &Path) -> Result<(), DirectoryError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| DirectoryError::Io { doing: "create directory", path: path.to_owned(), source })
}

/// For each member, another one whose name is that of a side file or of the temporary file of the first.
fn names_in_the_way(members: &[Member]) -> Vec<(usize, PathBuf)> {
    const SUFFIXES: [&str; 4] = [".tmp", "-wal", "-shm", "-journal"];
    let names: HashSet<&[u8]> = members.iter().map(|member| member.database.as_os_str().as_bytes()).collect();
    let blocked = members.iter().enumerate().flat_map(|(index, member)| {
        let beside = SUFFIXES.map(|suffix| [member.database.as_os_str().as_bytes(), suffix.as_bytes()].concat());
        let taken = beside.into_iter().find(|name| names.contains(name.as_slice()));
        taken.map(|name| (index, PathBuf::from(OsStr::from_bytes(&name))))
    });
    blocked.collect()
}

#[cfg(test)]
mod tests;
