//! Follow mode: a restored database that keeps up with its replica, for readers.
//!
//! ```text
//! restore, or resume at <output>-txid -> poll -> next files -> spool, verify -> change the database in place -> <output>-txid
//! ```
//!
//! A file is applied whole or not at all, also when the machine stops in between (see `in_place`): readers see committed states
//! only. `<output>-txid` is written after the database; a file that was applied just before a stop is applied again, which
//! changes nothing.

mod in_place;
mod journal;

use std::fs::{self, File};
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use litestream_sdk::StorageError;
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};

use super::error::RestoreError;
use super::file_reader::FileReader;
use super::output::{Output, OutputRules, with_suffix};
use super::plan::{Target, plan};
use super::progress::Progress;
use super::source::Source;
use super::{RestoreOptions, list, restore};
use crate::clock;
use crate::ltx::{Level, LtxInfo, Txid};
use in_place::Outcome;

pub use in_place::InPlaceError;

/// Bytes fetched at once while following.
const PIECE_LEN: u64 = 256 << 10;

/// An error that stays is logged this often.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// How to follow.
#[derive(Clone, Copy, Debug)]
pub struct FollowOptions {
    /// How often the replica is asked for news.
    pub interval: Duration,
    /// The first restore replaces what stands at the output, instead of resuming there.
    pub force: bool,
    /// How the first restore is done.
    pub restore: RestoreOptions,
}

/// Why following does not begin, or cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// The first restore failed.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// There is a database, and nothing says which state it is in.
    #[error(
        "cannot resume follow mode: database exists but no -txid file found; delete the database to re-restore: {}",
        .0.display()
    )]
    NoPosition(PathBuf),
    /// The file beside the database does not hold a transaction id.
    #[error("cannot resume follow mode: {} holds no transaction id; delete it and the database to re-restore", .0.display())]
    BadPosition(PathBuf),
    /// The database is of another replica, or of an older life of this one.
    #[error(
        "cannot resume follow mode: {} is at transaction {at}, but the replica reaches only {tip}; delete the database to re-restore",
        .path.display()
    )]
    Ahead {
        /// The database.
        path: PathBuf,
        /// Its transaction.
        at: Txid,
        /// The replica's newest.
        tip: Txid,
    },
    /// The file beside the database cannot be read or written.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Position {
        /// What was tried.
        doing: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The replica does not answer.
    #[error("replica: {0}")]
    Storage(#[from] StorageError),
    /// Files that would bring the next transaction are gone.
    #[error("no file of the replica continues transaction {0}")]
    Gap(Txid),
    /// A file could not be applied; the database is as it was.
    #[error("{file}: {source}")]
    Apply {
        /// Which file.
        file: LtxInfo,
        /// What is wrong.
        source: InPlaceError,
    },
}

/// Restores or resumes, then follows until `stop`. Gives the transaction the database stands at then.
///
/// While it follows, errors are logged and tried again for ever: the replica may come back.
///
/// # Errors
/// Following does not begin.
pub async fn follow(
    source: Arc<dyn Source>,
    path: &Path,
    options: FollowOptions,
    progress: &dyn Progress,
    stop: impl Future<Output = ()>,
) -> Result<Txid, FollowError> {
    tokio::pin!(stop);
    let beginning = begin(&source, path, options, progress);
    let txid = tokio::select! {
        begun = beginning => begun?,
        () = &mut stop => return Ok(Txid::NONE),
    };
    let mut follower = Follower { source, path: path.to_owned(), txid, failures: 0, logged: None, applying: None };
    tracing::info!(output = %path.display(), %txid, interval = ?options.interval, "entering follow mode");
    let keep_up = async {
        loop {
            follower.step().await;
            tokio::time::sleep(options.interval).await;
        }
    };
    tokio::select! {
        () = &mut stop => {}
        () = keep_up => {}
    }
    follower.come_to_rest().await;
    tracing::info!(output = %path.display(), txid = %follower.txid, "follow mode stopped");
    Ok(follower.txid)
}

async fn begin(
    source: &Arc<dyn Source>,
    path: &Path,
    options: FollowOptions,
    progress: &dyn Progress,
) -> Result<Txid, FollowError> {
    let exists = fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0);
    if exists && !options.force {
        return resume(source, path).await;
    }
    let rules = OutputRules { force: options.force, skip_existing: false };
    let output = Output::check(path, rules).map_err(RestoreError::from)?;
    let Some(output) = output else { return Err(FollowError::NoPosition(path.to_owned())) };
    let files = list(source.as_ref(), Target::Latest).await?;
    let plan = plan(&files, Target::Latest).map_err(RestoreError::from)?;
    // A position of before must not be taken for that of the database that comes.
    remove_position(path)?;
    let restored = restore(source.as_ref(), Target::Latest, plan, &output, options.restore, progress).await?;
    save_position(path, restored.txid)?;
    Ok(restored.txid)
}

async fn resume(source: &Arc<dyn Source>, path: &Path) -> Result<Txid, FollowError> {
    let at = load_position(path)?;
    let files = list(source.as_ref(), Target::Latest).await?;
    let tip = files.iter().map(|file| file.max_txid).max().unwrap_or(Txid::NONE);
    if at > tip {
        return Err(FollowError::Ahead { path: path.to_owned(), at, tip });
    }
    Ok(at)
}

/// The database while it is followed.
struct Follower {
    source: Arc<dyn Source>,
    path: PathBuf,
    txid: Txid,
    failures: u32,
    logged: Option<Instant>,
    /// A change of the database that is going on.
    applying: Option<JoinHandle<Result<Outcome, InPlaceError>>>,
}

impl Follower {
    /// Applies what has come, and says what is in the way.
    async fn step(&mut self) {
        match self.catch_up().await {
            Ok(()) if self.failures > 0 => {
                tracing::info!(output = %self.path.display(), previous_errors = self.failures, "follow recovered");
                (self.failures, self.logged) = (0, None);
            }
            Ok(()) => {}
            Err(error) => {
                self.failures += 1;
                let now = clock::monotonic();
                if self.logged.is_none_or(|last| now.saturating_duration_since(last) >= LOG_INTERVAL) {
                    self.logged = Some(now);
                    let (output, failures) = (self.path.display(), self.failures);
                    tracing::error!(%output, %error, failures, txid = %self.txid, "follow error");
                }
            }
        }
    }

    async fn catch_up(&mut self) -> Result<(), FollowError> {
        loop {
            let raw = self.source.list(Level::RAW).await?;
            let before = self.txid;
            while let Some(file) = continuing(&raw, self.txid) {
                self.apply(file.clone()).await?;
            }
            let is_behind = raw.iter().any(|file| file.max_txid > self.txid);
            if !is_behind && !raw.is_empty() {
                return Ok(());
            }
            // Level 0 has a hole, or is empty because retention was quicker: a merged file leads over it.
            if !self.apply_merged().await? {
                return if is_behind && self.txid == before { Err(FollowError::Gap(self.txid)) } else { Ok(()) };
            }
        }
    }

    /// Applies a file of a higher level, if one continues; the lowest level has the smallest.
    async fn apply_merged(&mut self) -> Result<bool, FollowError> {
        for level in Level::all().skip(1) {
            let files = self.source.list(level).await?;
            if let Some(file) = continuing(&files, self.txid) {
                self.apply(file.clone()).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn apply(&mut self, file: LtxInfo) -> Result<(), FollowError> {
        let reader = FileReader::new(Arc::clone(&self.source), file.clone(), Handle::current(), PIECE_LEN);
        let (path, name) = (self.path.clone(), file.file_name());
        let fetched = joined(tokio::task::spawn_blocking(move || in_place::fetch(reader, name, &path)).await);
        let spool = fetched.map_err(|source| FollowError::Apply { file: file.clone(), source })?;
        let path = self.path.clone();
        let applying = self.applying.insert(tokio::task::spawn_blocking(move || in_place::apply(spool, &path)));
        let applied = joined(applying.await);
        self.applying = None;
        match applied {
            Ok(Outcome::Applied) => {}
            Ok(Outcome::OtherPageSize) => return self.replace().await,
            Err(source) => return Err(FollowError::Apply { file, source }),
        }
        tracing::debug!(output = %self.path.display(), txid = %file.max_txid, "applied");
        save_position(&self.path, file.max_txid)?;
        self.txid = file.max_txid;
        Ok(())
    }

    /// Waits for a change that was going on when following was stopped: cut short it would be undone, but by the readers.
    async fn come_to_rest(&mut self) {
        if let Some(applying) = self.applying.take() {
            // Its position was not saved: the next follower applies the file again, which changes nothing.
            let _ = applying.await;
        }
    }

    /// A database with another page size cannot be made out of this one. Readers have to open the new one.
    async fn replace(&mut self) -> Result<(), FollowError> {
        tracing::warn!(output = %self.path.display(), "page size changed: the database is replaced, open it again");
        let options = FollowOptions { interval: Duration::ZERO, force: true, restore: RestoreOptions::default() };
        self.txid = begin(&self.source, &self.path, options, &()).await?;
        Ok(())
    }
}

/// The result of a blocking task; its panic is ours.
fn joined<T>(result: Result<T, JoinError>) -> T {
    result.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// Of the files that continue a state, the one that leads furthest.
fn continuing(files: &[LtxInfo], txid: Txid) -> Option<&LtxInfo> {
    let next = txid.next();
    files.iter().filter(|file| file.min_txid <= next && file.max_txid >= next).max_by_key(|file| file.max_txid)
}

fn position_path(database: &Path) -> PathBuf {
    with_suffix(database, "-txid")
}

fn position_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FollowError {
    let path = path.to_owned();
    move |source| FollowError::Position { doing, path, source }
}

fn load_position(database: &Path) -> Result<Txid, FollowError> {
    let path = position_path(database);
    match fs::read_to_string(&path) {
        Ok(text) => text.trim_end().parse().map_err(|_| FollowError::BadPosition(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(FollowError::NoPosition(database.to_owned())),
        Err(error) => Err(position_error("read", &path)(error)),
    }
}

fn save_position(database: &Path, txid: Txid) -> Result<(), FollowError> {
    let path = position_path(database);
    let new = with_suffix(&path, ".tmp");
    let write = || -> io::Result<()> {
        fs::write(&new, format!("{txid}\n"))?;
        File::open(&new)?.sync_all()?;
        fs::rename(&new, &path)
    };
    write().map_err(position_error("write", &path))
}

fn remove_position(database: &Path) -> Result<(), FollowError> {
    let path = position_path(database);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(position_error("remove", &path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
