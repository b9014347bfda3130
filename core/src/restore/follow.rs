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

use litestream_sdk::{ErrorKind, StorageError};
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};

use super::error::RestoreError;
use super::file_reader::FileReader;
use super::output::{self, Output, OutputError, OutputRules, with_suffix};
use super::plan::{Target, plan};
use super::progress::Progress;
use super::source::Source;
use super::{RestoreOptions, list, log_check, restore_and};
use crate::clock;
use crate::ltx::{Level, LtxError, LtxInfo, Txid};
pub use in_place::InPlaceError;

/// Bytes fetched at once while following.
const PIECE_LEN: u64 = 256 << 10;

/// An empty level 0 most often means that nothing happens: the levels above are then listed once in so many polls.
const POLLS_PER_PROBE: u32 = 10;

/// The longest pause after failures, unless the interval is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// An error that stays is logged this often.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// How to follow.
#[derive(Clone, Copy, Debug)]
pub struct FollowOptions {
    /// How often the replica is asked for news.
    pub interval: Duration,
    /// The first restore replaces what stands at the output, unless a follower left it there.
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
        "cannot follow: {} is at transaction {at}, but the replica reaches only {tip}: it is another one, or began anew; \
         delete the database and its -txid file to re-restore",
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
    /// Files that would bring the next transaction are gone, or not there yet.
    #[error(
        "no file of the replica continues transaction {0}; if this stays, delete the database and its -txid file to re-restore"
    )]
    Gap(Txid),
    /// What stands at the output cannot be opened.
    #[error("cannot resume follow mode: {}: {source}; delete it and its -txid file to re-restore", .path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What is wrong with it.
        source: InPlaceError,
    },
    /// A file could not be applied; the database is as it was.
    #[error("{file}: {source}")]
    Apply {
        /// Which file.
        file: LtxInfo,
        /// What is wrong.
        source: InPlaceError,
    },
}

impl FollowError {
    /// Trying again cannot help.
    fn is_final(&self) -> bool {
        use InPlaceError::{PageSize, TwoFollowers};
        matches!(self, FollowError::Apply { source: PageSize { .. } | TwoFollowers(_), .. })
    }

    /// The file itself is the reason: it is damaged, or gone.
    fn blames_file(&self) -> bool {
        match self {
            FollowError::Apply { source: InPlaceError::Ltx(LtxError::Io(error)), .. } => {
                let storage = error.get_ref().and_then(|inner| inner.downcast_ref::<StorageError>());
                storage.is_some_and(|error| [ErrorKind::NOT_FOUND, ErrorKind::CORRUPT].contains(&error.kind))
            }
            FollowError::Apply { source: InPlaceError::Ltx(_), .. } => true,
            _ => false,
        }
    }
}

/// Restores or resumes, then follows until `stop`. Gives the transaction the database stands at then.
///
/// While it follows, errors are logged and tried again for ever: the replica may come back.
///
/// # Errors
/// Following does not begin; or cannot go on: the page size changed, or there are two followers.
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
    let mut follower = Follower::new(source, path, txid);
    tracing::info!(output = %path.display(), %txid, interval = ?options.interval, "entering follow mode");
    let keep_up = async {
        loop {
            if let Err(error) = follower.step().await {
                break error;
            }
            tokio::time::sleep(follower.pause(options.interval)).await;
        }
    };
    tokio::select! {
        () = &mut stop => {}
        error = keep_up => return Err(error),
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
    if exists && (!options.force || position_path(path).exists()) {
        return resume(source, path).await;
    }
    let rules = OutputRules { force: options.force, skip_existing: false };
    let checked = Output::check(path, rules).map_err(RestoreError::from)?;
    let Some(output) = checked else { return Err(FollowError::NoPosition(path.to_owned())) };
    let files = list(source.as_ref(), Target::Latest).await?;
    let plan = plan(&files, Target::Latest).map_err(RestoreError::from)?;
    // A position of before must not be taken for that of the database that comes.
    remove_position(path)?;
    let prepare = {
        let path = path.to_owned();
        move |file: &File, txid: Txid| {
            in_place::leave_wal_mode(file).map_err(output::io_error("write", &path))?;
            // Where nothing stood before, no stop can leave a database without its position.
            if exists { Ok(()) } else { save_position(&path, txid) }
        }
    };
    let (target, how) = (Target::Latest, options.restore);
    let restored = restore_and(source.as_ref(), target, plan, &output, how, progress, prepare).await?;
    log_check(how.integrity);
    if exists {
        save_position(path, restored.txid).map_err(RestoreError::from)?;
    }
    Ok(restored.txid)
}

async fn resume(source: &Arc<dyn Source>, path: &Path) -> Result<Txid, FollowError> {
    let at = load_position(path)?;
    let database = path.to_owned();
    joined(tokio::task::spawn_blocking(move || in_place::settle(&database)).await)
        .map_err(|source| FollowError::Database { path: path.to_owned(), source })?;
    let files = list(source.as_ref(), Target::Latest).await?;
    match tip(&files) {
        tip if tip == at || continuing(&files, at).is_some() => Ok(at),
        tip if tip < at => Err(FollowError::Ahead { path: path.to_owned(), at, tip }),
        _ => Err(FollowError::Gap(at)),
    }
}

/// The database while it is followed.
struct Follower {
    source: Arc<dyn Source>,
    path: PathBuf,
    txid: Txid,
    failures: u32,
    logged: Option<Instant>,
    /// Polls in a row that found level 0 empty.
    quiet_polls: u32,
    /// Damaged or vanished files, to be gone around as long as others lead on.
    avoided: Vec<LtxInfo>,
    /// A change of the database that is going on.
    applying: Option<JoinHandle<Result<(), InPlaceError>>>,
}

impl Follower {
    fn new(source: Arc<dyn Source>, path: &Path, txid: Txid) -> Follower {
        let (path, avoided) = (path.to_owned(), Vec::new());
        Follower { source, path, txid, failures: 0, logged: None, quiet_polls: 0, avoided, applying: None }
    }

    /// Applies what has come, and says what is in the way. The error is one that stays.
    async fn step(&mut self) -> Result<(), FollowError> {
        match self.catch_up().await {
            Ok(()) if self.failures > 0 => {
                tracing::info!(output = %self.path.display(), previous_errors = self.failures, "follow recovered");
                self.failures = 0;
            }
            Ok(()) => {}
            Err(error) if error.is_final() => return Err(error),
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                let now = clock::monotonic();
                if self.logged.is_none_or(|last| now.saturating_duration_since(last) >= LOG_INTERVAL) {
                    self.logged = Some(now);
                    let (output, failures) = (self.path.display(), self.failures);
                    tracing::error!(%output, %error, failures, txid = %self.txid, "follow error");
                }
            }
        }
        Ok(())
    }

    /// Doubles with every failure.
    fn pause(&self, interval: Duration) -> Duration {
        interval.saturating_mul(1 << self.failures.min(16)).min(LONGEST_PAUSE.max(interval))
    }

    async fn catch_up(&mut self) -> Result<(), FollowError> {
        let mut is_first = true;
        loop {
            let raw = self.source.list(Level::RAW).await?;
            while let Some(file) = self.usable(&raw) {
                self.apply_or_avoid(file).await?;
            }
            if tip(&raw) == self.txid || (is_first && self.rests(&raw)) {
                return Ok(());
            }
            is_first = false;
            // Level 0 has a hole, or is empty because retention was quicker: a merged file leads over it.
            if !self.apply_merged(tip(&raw)).await? {
                return Ok(());
            }
        }
    }

    fn rests(&mut self, raw: &[LtxInfo]) -> bool {
        self.quiet_polls = if raw.is_empty() { self.quiet_polls.wrapping_add(1) } else { 0 };
        !self.quiet_polls.is_multiple_of(POLLS_PER_PROBE)
    }

    /// Applies a file of a higher level, if one continues; the lowest level has the smallest. False if the replica has
    /// nothing newer at all, where level 0 reaches `tip_of_raw`.
    async fn apply_merged(&mut self, tip_of_raw: Txid) -> Result<bool, FollowError> {
        let mut newest = tip_of_raw;
        for level in Level::all().skip(1) {
            let files = self.source.list(level).await?;
            if let Some(file) = self.usable(&files) {
                self.apply_or_avoid(file).await?;
                return Ok(true);
            }
            newest = newest.max(tip(&files));
        }
        // There is no way around: perhaps the next poll can read them.
        self.avoided.clear();
        match newest {
            newest if newest == self.txid => Ok(false),
            newest if newest < self.txid => {
                Err(FollowError::Ahead { path: self.path.clone(), at: self.txid, tip: newest })
            }
            _ => Err(FollowError::Gap(self.txid)),
        }
    }

    /// The file that leads on furthest and is not known to be bad.
    fn usable(&self, files: &[LtxInfo]) -> Option<LtxInfo> {
        let name = |file: &LtxInfo| (file.level, file.file_name());
        let is_avoided = |file: &LtxInfo| self.avoided.iter().any(|bad| name(bad) == name(file));
        let usable: Vec<LtxInfo> = files.iter().filter(|file| !is_avoided(file)).cloned().collect();
        continuing(&usable, self.txid).cloned()
    }

    async fn apply_or_avoid(&mut self, file: LtxInfo) -> Result<(), FollowError> {
        match self.apply(file.clone()).await {
            Err(error) if error.blames_file() => {
                tracing::warn!(%error, "ltx file cannot be used, looking for others");
                self.avoided.push(file);
                Ok(())
            }
            applied => applied,
        }
    }

    async fn apply(&mut self, file: LtxInfo) -> Result<(), FollowError> {
        let reader = FileReader::new(Arc::clone(&self.source), file.clone(), Handle::current(), PIECE_LEN);
        let (path, name) = (self.path.clone(), file.file_name());
        let fetched = joined(tokio::task::spawn_blocking(move || in_place::fetch(reader, name, &path)).await);
        let spool = fetched.map_err(|source| FollowError::Apply { file: file.clone(), source })?;
        let (path, at) = (self.path.clone(), self.txid);
        let change = move || in_place::apply(spool, &path, || load_position(&path).is_ok_and(|saved| saved == at));
        let applying = self.applying.insert(tokio::task::spawn_blocking(change));
        let applied = joined(applying.await);
        self.applying = None;
        applied.map_err(|source| FollowError::Apply { file: file.clone(), source })?;
        tracing::debug!(output = %self.path.display(), txid = %file.max_txid, "applied");
        save_position(&self.path, file.max_txid).map_err(RestoreError::from)?;
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
}

/// The result of a blocking task; its panic is ours.
fn joined<T>(result: Result<T, JoinError>) -> T {
    result.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// The newest transaction of some files.
fn tip(files: &[LtxInfo]) -> Txid {
    files.iter().map(|file| file.max_txid).max().unwrap_or(Txid::NONE)
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

fn save_position(database: &Path, txid: Txid) -> Result<(), OutputError> {
    let path = position_path(database);
    let new = with_suffix(&path, ".tmp");
    let write = || -> io::Result<()> {
        fs::write(&new, format!("{txid}\n"))?;
        File::open(&new)?.sync_all()?;
        fs::rename(&new, &path)
    };
    write().map_err(output::io_error("write", &path))?;
    output::sync_directory(output::directory_of(&path))
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
