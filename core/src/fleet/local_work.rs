//! The blocking side of the local lane: opens, syncs and detaches one database at a time on a worker thread.
//!
//! It decides nothing about when; the scheduler does. What it learns goes back as a [`LocalDone`].

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::db::{Checkpoint, CheckpointMode, ColdStamp, Content, Db, DbError, DbErrorKind, DbFiles, Stamp, SyncReport};
use crate::ltx::Txid;
use crate::metrics::{self, DatabaseMetrics};

use super::entry::Entry;
use super::hot_set::HotDb;
use super::record::Identity;
use super::scheduler::{LocalAction, LocalDone, LocalFailure, LocalReport};

impl HotDb for Db {
    fn has_news(&self) -> bool {
        Db::has_news(self)
    }
}

/// One database, as a worker sees it.
pub struct Subject<'a> {
    /// Its name: what state and replica paths are made of.
    pub path: &'a Path,
    /// What it shares.
    pub entry: &'a Entry,
    /// Where its numbers go.
    pub metrics: &'a DatabaseMetrics,
    /// The path is a symbolic link.
    pub link: bool,
}

/// What is left of a database after work on it.
type Outcome = (Option<Db>, Result<LocalReport, LocalFailure>);

impl Subject<'_> {
    /// Does what the scheduler asked for. Never panics: a panic below is a failure of this database.
    pub fn run(&self, action: LocalAction<Db>) -> LocalDone<Db> {
        let file = self.file();
        // The database's own state may be half changed after a panic, but it is dropped then, and read from disk again.
        let work = std::panic::AssertUnwindSafe(|| self.act(action, &file));
        let ((db, result), stamp) = std::panic::catch_unwind(work).unwrap_or_else(|_| {
            let message = "internal error: the work on this database panicked; please report it".to_owned();
            ((None, Err(LocalFailure { message, until_change: false })), ColdLook::default())
        });
        // What is attached is the file that it was, whatever stands at the path by now.
        let attached = db.as_ref().and_then(Db::attached_to).map(|file| Identity { dev: file.dev, ino: file.ino });
        let identity = attached.or_else(|| identity_of(&file));
        LocalDone { db, result, stamp: stamp.hash, settled: stamp.settled, identity }
    }

    /// The file itself: SQLite keeps the WAL beside it, not beside a link to it.
    fn file(&self) -> PathBuf {
        let target = self.link.then(|| std::fs::canonicalize(self.path).ok()).flatten();
        target.unwrap_or_else(|| self.path.to_owned())
    }

    fn act(&self, action: LocalAction<Db>, file: &Path) -> (Outcome, ColdLook) {
        match action {
            LocalAction::Sync { db, full_above, known, stamp } => {
                let before = ColdStamp::of(file);
                if db.is_none() && stamp != 0 && stamp == stamp_hash(&before) {
                    return ((None, Ok(LocalReport::Unchanged)), ColdLook { hash: stamp, settled: true });
                }
                let outcome = self.sync(db, full_above, known, file);
                // The stamp of before: what changes while the sync runs is for the next one. Unless our own checkpoint is what
                // changed the file, and the lock proves that nobody else did.
                let hash = match &outcome.0 {
                    Some(db) => hash_files(&[db.rest_stamp().or(before.database)]),
                    None => stamp_hash(&before),
                };
                let settled = outcome.1.is_err();
                (outcome, ColdLook { hash, settled })
            }
            LocalAction::Detach { db } => self.detach(db, file),
            LocalAction::Finish { db, known } => {
                let (db, result) = self.sync(db, None, known, file);
                match db {
                    Some(db) => {
                        let (outcome, look) = self.detach(db, file);
                        ((None, result.and(outcome.1)), look)
                    }
                    None => ((None, result), ColdLook::default()),
                }
            }
        }
    }

    /// Gives the descriptors back, and judges whether a later look at the file alone can prove that nothing happened.
    fn detach(&self, mut db: Db, file: &Path) -> (Outcome, ColdLook) {
        let before = ColdStamp::of(file);
        let done = db.detach();
        let after = ColdStamp::of(file);
        let wrote = done.as_ref().map_or(true, |report| !report.files.is_empty());
        let look = ColdLook { hash: stamp_hash(&after), settled: !wrote && proves(&before, &after) };
        let result = match done {
            Ok(report) => Ok(self.report(&report, Duration::ZERO, true)),
            Err(error) => Err(failure(&error)),
        };
        ((None, result), look)
    }

    fn sync(&self, db: Option<Db>, full_above: Option<Txid>, known: Txid, file: &Path) -> Outcome {
        let started = clock::monotonic();
        match self.sync_steps(db, full_above, known, file) {
            Ok((db, report, full_wanted)) => {
                let took = started.elapsed();
                self.metrics.sync_succeeded(took);
                self.metrics.set_disk_full(false);
                let mut report = self.report(&report, took, false);
                if let LocalReport::Synced { full, .. } = &mut report
                    && !full_wanted
                {
                    *full = None;
                }
                (db.is_attached().then_some(db), Ok(report))
            }
            // It may be there again by now: the next look will tell.
            Err(error) if error.kind() == DbErrorKind::Missing && error.path() == file => {
                (None, Ok(LocalReport::Missing))
            }
            Err(error) => {
                self.metrics.sync_failed(started.elapsed());
                self.metrics.set_disk_full(error.kind() == DbErrorKind::DiskFull);
                self.recover(&error);
                (None, Err(failure(&error)))
            }
        }
    }

    /// Also tells whether the next file had to be a full one.
    fn sync_steps(
        &self,
        db: Option<Db>,
        full_above: Option<Txid>,
        known: Txid,
        file: &Path,
    ) -> Result<(Db, SyncReport, bool), DbError> {
        let mut db = match db {
            Some(mut db) => {
                db.set_settings(Arc::clone(&self.entry.settings));
                db
            }
            None => self.open(file)?,
        };
        // Local state that was lost (auto-recovery, an operator) must not begin to count again below what is uploaded.
        let lost = !db.is_attached() && db.txid() < known;
        let full_above = full_above.max(lost.then_some(known));
        if let Some(above) = full_above {
            if above <= db.txid() {
                // The replica can use nothing of this history: it starts again, above all that was ever numbered.
                let above = above.max(db.txid());
                db.detach()?;
                let meta = db.meta().clone();
                meta.reset().map_err(|error| DbError::io("remove local ltx files", meta.root(), error))?;
                db = self.open(file)?;
                db.continue_after(above);
            } else {
                db.continue_after(above);
            }
        }
        let report = db.sync()?;
        Ok((db, report, full_above.is_some()))
    }

    fn open(&self, file: &Path) -> Result<Db, DbError> {
        let files = DbFiles { path: file.to_owned(), meta: self.entry.meta_path(self.path) };
        Db::open(files, Arc::clone(&self.entry.settings))
    }

    /// `auto-recover`: damaged local state is thrown away. Never for an error that may pass.
    fn recover(&self, error: &DbError) {
        if !self.entry.auto_recover || error.kind() != DbErrorKind::CorruptState {
            return;
        }
        let meta = crate::db::MetaDir::new(self.entry.meta_path(self.path));
        let path = self.path.display();
        match meta.reset() {
            Ok(()) => tracing::warn!(path = %path, %error, "auto-recovery: local state removed, a full file follows"),
            Err(failed) => tracing::error!(path = %path, %error, %failed, "auto-recovery failed"),
        }
    }

    /// Counts and logs what a sync did.
    fn report(&self, report: &SyncReport, took: Duration, detached: bool) -> LocalReport {
        let path = self.path.display();
        for file in &report.files {
            let reason = match file.content {
                Content::Commits => "",
                Content::Full(reason) | Content::Difference(reason) => reason.as_str(),
            };
            let snap = matches!(file.content, Content::Full(_));
            let elapsed_ms = took.as_millis() as u64;
            tracing::debug!(path = %path, txid = %file.txid, pages = file.pages, size = file.size_bytes, snap, reason,
                elapsed_ms, "sync");
        }
        for checkpoint in &report.checkpoints {
            self.count_checkpoint(checkpoint);
        }
        if !report.write_lock_held.is_zero() {
            metrics::global().fleet().held_write_lock(report.write_lock_held);
        }
        if report.converted_to_wal {
            tracing::info!(path = %path, "journal mode changed to wal");
        }
        self.metrics.set_txid(report.txid);
        self.metrics.add_wal_bytes(report.copied_wal_bytes);
        if !detached {
            self.metrics.set_db_size(report.database_bytes);
            self.metrics.set_wal_size(report.wal_bytes);
        }
        let full = report.files.iter().rev().find(|file| matches!(file.content, Content::Full(_)));
        LocalReport::Synced {
            txid: report.txid,
            wrote: !report.files.is_empty(),
            full: full.map(|file| file.txid),
            more: report.more,
            unsettled: report.unsettled && !detached,
        }
    }

    fn count_checkpoint(&self, checkpoint: &Checkpoint) {
        let mode = match checkpoint.mode {
            CheckpointMode::Passive => metrics::CheckpointMode::Passive,
            CheckpointMode::Truncate => metrics::CheckpointMode::Truncate,
        };
        self.metrics.checkpoint_succeeded(mode, checkpoint.duration);
        let (mode, complete) = (checkpoint.mode.as_str(), checkpoint.complete);
        tracing::debug!(path = %self.path.display(), mode, complete, "checkpoint");
    }
}

fn failure(error: &DbError) -> LocalFailure {
    let message = match error.hint() {
        Some(hint) => format!("{error} ({hint})"),
        None => error.to_string(),
    };
    LocalFailure { message, until_change: error.kind() == DbErrorKind::NotADatabase }
}

/// What a look at a cold file is worth.
#[derive(Clone, Copy, Debug, Default)]
struct ColdLook {
    hash: u64,
    settled: bool,
}

/// True if no commit can have slipped in around a detach without showing in a later stamp.
///
/// The stamp of after the close may already contain a commit that we did not see. It cannot if the database file is as
/// it was, old enough for any write to show, and the WAL is the old one or was removed by our close: a commit lies in a
/// WAL, or was moved from there into the database file. An empty WAL needs no age: a commit would make it longer.
fn proves(before: &ColdStamp, after: &ColdStamp) -> bool {
    let wal_settled = before.wal.is_none_or(|wal| wal.size == 0 || wal.is_settled());
    let wal_same = after.wal.is_none() || after.wal == before.wal;
    before.database == after.database
        && before.database.is_some_and(|file| file.is_settled())
        && wal_settled
        && wal_same
}

/// A stamp in eight bytes; never 0.
pub fn stamp_hash(stamp: &ColdStamp) -> u64 {
    hash_files(&[stamp.database, stamp.wal])
}

/// The same without the WAL.
fn file_hash(stamp: &ColdStamp) -> u64 {
    hash_files(&[stamp.database])
}

fn hash_files(files: &[Option<Stamp>]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in files {
        file.map(|file| (file.dev, file.ino, file.size, file.mtime_ns, file.ctime_ns)).hash(&mut hasher);
    }
    hasher.finish().max(1)
}

/// Which file stands at a path, links followed.
pub fn identity_of(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some(Identity { dev: metadata.dev(), ino: metadata.ino() })
}

/// What `stat` says of a database, without opening anything.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Which file; `None`: none.
    pub identity: Option<Identity>,
    /// Stamp of file and WAL.
    pub stamp: u64,
    /// Stamp of the file alone.
    pub file: u64,
}

/// Looks at a database. Blocks.
pub fn look(path: &Path, link: bool) -> Look {
    let target = link.then(|| std::fs::canonicalize(path).ok()).flatten();
    let stamp = ColdStamp::of(target.as_deref().unwrap_or(path));
    let identity = stamp.database.map(|file| Identity { dev: file.dev, ino: file.ino });
    Look { identity, stamp: stamp_hash(&stamp), file: file_hash(&stamp) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(size: u64, age_s: i64) -> Option<Stamp> {
        let time = clock::unix_millis() * 1_000_000 - age_s * 1_000_000_000;
        Some(Stamp { dev: 1, ino: 2, size, mtime_ns: time, ctime_ns: time })
    }

    #[test]
    fn only_old_untouched_files_prove_that_nothing_happened() {
        let old = stamp(4096, 10);
        let wal = stamp(8192, 10);
        let at = |database, wal| ColdStamp { database, wal };
        assert!(proves(&at(old, wal), &at(old, wal)));
        assert!(proves(&at(old, wal), &at(old, None)), "our close removed the wal");
        assert!(proves(&at(old, stamp(0, 0)), &at(old, None)), "an empty wal that we made ourselves");
        assert!(!proves(&at(old, stamp(8192, 0)), &at(old, None)), "a young wal");
        assert!(!proves(&at(stamp(4096, 0), None), &at(stamp(4096, 0), None)), "a young database");
        assert!(!proves(&at(old, None), &at(old, wal)), "a new wal");
        assert!(!proves(&at(old, wal), &at(stamp(4096, 9), None)), "a changed database");
        assert!(!proves(&at(None, None), &at(None, None)), "no database");
    }

    #[test]
    fn different_stamps_have_different_hashes() {
        let (a, b) = (stamp(4096, 10), stamp(8192, 10));
        let hashes = [
            stamp_hash(&ColdStamp { database: a, wal: None }),
            stamp_hash(&ColdStamp { database: b, wal: None }),
            stamp_hash(&ColdStamp { database: None, wal: a }),
            stamp_hash(&ColdStamp { database: a, wal: a }),
        ];
        assert!((0..4).all(|i| (0..i).all(|j| hashes[i] != hashes[j])) && !hashes.contains(&0));
    }
}
