//! One follower at work: asks for news, applies what continues, goes around what is damaged, waits when nothing leads on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::error::FollowError;
use super::in_place;
use super::position::{load_position, save_position};
use super::{continuing, joined, tip};
use crate::clock;
use crate::ltx::{Level, LtxInfo, Txid};
use crate::restore::error::RestoreError;
use crate::restore::file_reader::FileReader;
use crate::restore::source::Source;

/// Bytes fetched at once while following.
const PIECE_LEN: u64 = 256 << 10;

/// Nothing new in level 0 most often means that nothing happens: the levels above are then listed once in so many polls.
const POLLS_PER_PROBE: u32 = 10;

/// The longest pause after failures, unless the interval is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// An error that stays is logged this often.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// The database while it is followed.
pub(super) struct Follower {
    source: Arc<dyn Source>,
    path: PathBuf,
    pub(super) txid: Txid,
    pub(super) failures: u32,
    logged: Option<Instant>,
    /// Polls in a row that found nothing new in level 0.
    quiet_polls: u32,
    /// Damaged or vanished files, to be gone around as long as others lead on.
    avoided: Vec<LtxInfo>,
    /// A change of the database, and of the position after it, that is going on.
    applying: Option<JoinHandle<Result<Txid, FollowError>>>,
}

impl Follower {
    pub(super) fn new(source: Arc<dyn Source>, path: &Path, txid: Txid) -> Follower {
        let (path, avoided) = (path.to_owned(), Vec::new());
        Follower { source, path, txid, failures: 0, logged: None, quiet_polls: 0, avoided, applying: None }
    }

    /// Applies what has come, and says what is in the way. The error is one that stays.
    pub(super) async fn step(&mut self) -> Result<(), FollowError> {
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
    pub(super) fn pause(&self, interval: Duration) -> Duration {
        interval.saturating_mul(1 << self.failures.min(16)).min(LONGEST_PAUSE.max(interval))
    }

    pub(super) async fn catch_up(&mut self) -> Result<(), FollowError> {
        let mut is_first = true;
        loop {
            let raw = self.source.list(Level::RAW).await?;
            while let Some(file) = self.usable(&raw) {
                self.apply_or_avoid(file).await?;
            }
            let is_done = if is_first { self.rests(&raw) } else { tip(&raw) == self.txid };
            if is_done {
                return Ok(());
            }
            is_first = false;
            // Level 0 has a hole, or lacks its newest files because retention was quicker: a merged file leads over it.
            if !self.apply_merged(tip(&raw)).await? {
                return Ok(());
            }
        }
    }

    fn rests(&mut self, raw: &[LtxInfo]) -> bool {
        let is_quiet = raw.is_empty() || tip(raw) == self.txid;
        self.quiet_polls = if is_quiet { self.quiet_polls.wrapping_add(1) } else { 0 };
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
        let change = move || {
            let is_ours = || load_position(&path).is_ok_and(|saved| saved == at);
            in_place::apply(spool, &path, is_ours)
                .map_err(|source| FollowError::Apply { file: file.clone(), source })?;
            tracing::debug!(output = %path.display(), txid = %file.max_txid, "applied");
            save_position(&path, file.max_txid).map_err(RestoreError::from)?;
            Ok(file.max_txid)
        };
        let applying = self.applying.insert(tokio::task::spawn_blocking(change));
        let applied = joined(applying.await);
        self.applying = None;
        self.txid = applied?;
        Ok(())
    }

    /// Waits for a change that was going on when following was stopped: cut short it would be undone, but by the readers.
    pub(super) async fn come_to_rest(&mut self) {
        if let Some(applying) = self.applying.take()
            && let Ok(Ok(txid)) = applying.await
        {
            self.txid = txid;
        }
    }
}
