//! One database: WAL to LTX. Attach, judge, sync, hand-over, checkpoint, detach, by the rules of SAFETY.md.
//!
//! ```text
//! cold --sync--> open --judge--> attached <--> moving (hand-over)      attached <--> locked (checkpoint)
//!                  |                |
//!                  +-- refused      +--> cold (detach)     any --kill or error--> cold, position as last saved
//! ```
//!
//! Everything here blocks and belongs on a worker thread. A [`Db`] is owned by one worker at a time; while it is cold
//! it holds no descriptor and hardly any memory. Nothing is ever written into the database but the journal mode, once.
//!
//! | question | file |
//! |---|---|
//! | does the WAL continue our position? | `verdict.rs`, looked at in `attach.rs` |
//! | which frames are committed? | `wal_index.rs`, proved in `log.rs` |
//! | how are commits copied? | `copy.rs`; every page instead: `reread.rs`, `image.rs` |
//! | how does the WAL shrink? | `hand_over.rs`, `checkpoint.rs` |
//! | what is it doing now? | `phase.rs` |
//! | what is remembered? | `position.rs`, `page_checksums.rs`, `meta.rs` |

mod attach;
mod attachment;
mod batch;
mod checkpoint;
mod copy;
mod detach;
mod error;
mod file_object;
mod growth;
mod hand_over;
mod image;
mod l0;
mod log;
mod memory;
mod meta;
mod open;
mod owner;
mod page_checksums;
mod page_map;
mod phase;
mod position;
mod preflight;
mod report;
mod reread;
#[cfg(feature = "failpoints")]
#[doc(hidden)]
pub mod rules;
#[cfg(not(feature = "failpoints"))]
mod rules;
mod settings;
mod stamp;
#[cfg(feature = "failpoints")]
mod steps;
mod sync;
mod takeover;
mod verdict;
mod wal_index;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use self::attachment::Attachment;
use self::l0::L0Writer;
use self::owner::Owner;
use self::position::{L0Id, Position, WalPosition};
use self::rules::Step;
use crate::ltx::{Header, Txid};

pub use error::{DbError, DbErrorKind, Result};
pub use memory::configure_sqlite;
pub use meta::{LocalFile, MetaDir};
pub use phase::{Activity, Phase};
pub use report::{Checkpoint, CheckpointMode, Content, Reason, SyncReport, WrittenFile};
pub use settings::DbSettings;
pub use stamp::{ColdStamp, Identity, Stamp};

/// The two places that belong to a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DbFiles {
    /// The database file, symbolic links resolved.
    pub path: PathBuf,
    /// Its local state, the `-litestream` directory. Made when first needed.
    pub meta: PathBuf,
}

/// One database.
pub struct Db {
    files: DbFiles,
    settings: Arc<DbSettings>,
    meta: MetaDir,
    /// The newest local L0 file.
    newest: Option<L0Id>,
    /// What we know at the end of it. `None` if it was lost or lags behind.
    position: Option<Position>,
    /// What the state file says.
    saved: Option<(L0Id, Position)>,
    /// Which file the remembered page checksums describe, if there are any.
    remembered: Option<L0Id>,
    /// The replica is ahead of the local state: the next file is a full one, numbered above this.
    behind: Option<Txid>,
    attachment: Option<Attachment>,
    /// When the read mark was last free, or freeing it was last forced.
    last_rest: Option<Instant>,
    /// Where in the WAL the write lock was last tried.
    lock_above: WalPosition,
    /// Only between two steps of a test: a verdict that is not followed yet.
    #[cfg(feature = "failpoints")]
    judged: Option<(verdict::Verdict, wal_index::IndexHeader)>,
}

/// So many files later the remembered page checksums are brought forward; at each one they would cost as much as the file. At
/// a detach they are as well, so these files are never older than some minutes, and there.
const REMEMBERED_LATER: u64 = 8;

impl Db {
    /// Reads the local state: loads the saved position, verifies the newest L0 file, removes what was left half written (all
    /// of it where no position was saved; else L0 files and page checksums, the rest is overwritten in its turn). Opens no
    /// SQLite, and needs no database to be there.
    pub fn open(files: DbFiles, settings: Arc<DbSettings>) -> Result<Db> {
        let absolute =
            |path: &Path| std::path::absolute(path).map_err(|error| DbError::io("open database", path, error));
        let files = DbFiles { path: absolute(&files.path)?, meta: absolute(&files.meta)? };
        let meta = MetaDir::new(files.meta.clone());
        let saved = Position::load(&meta);
        let saved = saved.map_err(|error| DbError::io("read saved position", &meta.position_path(), error))?;
        match saved {
            None => preflight::clean(&meta)?,
            Some(_) => {
                let removed = meta.remove_unfinished_page_checksums();
                removed.map_err(|error| DbError::io("clean local state", meta.root(), error))?;
            }
        }
        let newest = l0::newest(&meta, saved.as_ref().map(|(l0, _)| *l0))?;
        let position = saved.as_ref().filter(|(l0, _)| Some(*l0) == newest).map(|(_, position)| position.clone());
        Ok(Db {
            files,
            settings,
            meta,
            newest,
            position,
            saved,
            remembered: newest,
            behind: None,
            attachment: None,
            last_rest: None,
            lock_above: WalPosition::start_of(crate::sqlite::Salt::default()),
            #[cfg(feature = "failpoints")]
            judged: None,
        })
    }

    /// Where the database and its local state are; both absolute.
    pub fn files(&self) -> &DbFiles {
        &self.files
    }

    /// The limits this database works under.
    pub fn settings(&self) -> &DbSettings {
        &self.settings
    }

    /// Other limits and habits from now on.
    pub fn set_settings(&mut self, settings: Arc<DbSettings>) {
        self.settings = settings;
    }

    /// The local state, for the uploader and for retention.
    pub fn meta(&self) -> &MetaDir {
        &self.meta
    }

    /// The newest local L0 file; [`Txid::NONE`] if there is none.
    pub fn txid(&self) -> Txid {
        self.newest.map_or(Txid::NONE, |l0| l0.txid)
    }

    /// Tells the newest transaction that the replica holds at any level. If it is ahead of the local state (the database
    /// was restored, or the state was lost), the next sync drops the local L0 files and writes a full file numbered
    /// above it.
    pub fn continue_after(&mut self, replica_max: Txid) {
        if replica_max > self.txid() {
            tracing::info!(
                path = %self.files.path.display(),
                local = %self.txid(),
                replica = %replica_max,
                "detected database behind replica"
            );
            self.behind = Some(replica_max);
        }
    }

    /// One bounded pass: attach if needed, judge, copy what is committed, move the read mark, checkpoint when due.
    ///
    /// After an error the database is detached and the saved position holds; the next call judges anew.
    pub fn sync(&mut self) -> Result<SyncReport> {
        let mut report = SyncReport::default();
        self.sync_pass(&mut report).inspect_err(|_| self.abandon())?;
        self.complete(&mut report);
        Ok(report)
    }

    /// Whether something was committed since the last sync: compares the wal-index header with our position, without a
    /// system call. False while cold. Does not see a file that was replaced or overwritten: call [`Db::sync`] for that when
    /// the file's own `stat` changed.
    pub fn has_news(&self) -> bool {
        let (Some(attachment), Some(position)) = (&self.attachment, &self.position) else { return false };
        attachment.peek().is_none_or(|header| {
            let emptied = header.frames == 0 && header.salt != position.wal.salt;
            !emptied && !header.wal_position().is_same_as(&position.wal)
        })
    }

    /// The stamp of the database file when it alone equalled what was copied: until a commit is moved there, by us or by
    /// others, nobody has a reason to change it. `None` while cold, and while something is only in the WAL.
    pub fn rest_stamp(&self) -> Option<Stamp> {
        self.attachment.as_ref()?.rest
    }

    /// The file that SQLite has open for us.
    pub fn attached_to(&self) -> Option<Identity> {
        self.attachment.as_ref().map(|attachment| attachment.identity)
    }

    /// Whether SQLite has the file open for us.
    pub fn is_attached(&self) -> bool {
        self.attachment.is_some()
    }

    /// Syncs, moves what it can into the database file, saves the position and closes SQLite. Best called at least 2 s
    /// after the last change: only then can an untouched file be recognised later without reading it.
    ///
    /// Closed in any case; after an error the saved position holds. Does nothing while cold.
    pub fn detach(&mut self) -> Result<SyncReport> {
        let mut report = SyncReport::default();
        if self.attachment.is_some() {
            let outcome = self.detach_steps(&mut report);
            self.complete(&mut report);
            phase::enter(Phase::Detach);
            self.abandon();
            outcome?;
        }
        report.txid = self.txid();
        Ok(report)
    }

    /// Two `stat` calls; see [`ColdStamp`].
    pub fn cold_stamp(path: &Path) -> ColdStamp {
        ColdStamp::of(path)
    }
}

/// What the steps in the other files share.
impl Db {
    /// The open side. Only for steps that run while attached.
    fn attached(&self) -> &Attachment {
        self.attachment.as_ref().expect("steps run only while attached")
    }

    fn attached_mut(&mut self) -> &mut Attachment {
        self.attachment.as_mut().expect("steps run only while attached")
    }

    /// Closes SQLite as it is. What waited in memory is still to be had: the saved position does not contain it.
    fn abandon(&mut self) {
        self.attachment = None;
    }

    fn owner(&self) -> Result<Owner<'_>> {
        Owner::of_database(&self.files.path).map_err(|error| DbError::io("look at database", &self.files.path, error))
    }

    fn next_txid(&self) -> Txid {
        self.txid().max(self.behind.unwrap_or(Txid::NONE)).next()
    }

    /// Drops local files that belong to a history which the replica has left behind: a compaction must never take them for
    /// the replica's own.
    fn drop_older_history(&mut self) -> Result<()> {
        if self.behind.is_some() && self.newest.is_some() {
            self.meta.reset().map_err(|error| DbError::io("remove local ltx files", self.meta.root(), error))?;
            (self.newest, self.position, self.saved, self.remembered) = (None, None, None, None);
        }
        Ok(())
    }

    /// Puts a finished L0 file in place and moves the position to its end.
    fn publish(
        &mut self,
        writer: L0Writer,
        header: &Header,
        end: WalPosition,
        content: Content,
        report: &mut SyncReport,
    ) -> Result<L0Id> {
        let pages = writer.pages();
        let l0 = writer.publish()?;
        rules::passed(Step::Written);
        self.newest = Some(l0);
        self.behind = None;
        self.set_position(end, header.commit);
        let size_bytes = l0.size;
        report.files.push(WrittenFile { txid: l0.txid, content, size_bytes, pages, created_at: header.timestamp });
        self.save_position()?;
        if content == Content::Commits && self.remembered.is_none_or(|old| l0.txid.0 - old.txid.0 >= REMEMBERED_LATER) {
            self.bring_checksums_forward(l0, false);
        }
        Ok(l0)
    }

    /// Makes the remembered page checksums describe the newest file.
    fn bring_checksums_forward(&mut self, newest: L0Id, flush: bool) {
        let before = self.remembered.replace(newest);
        page_checksums::bring_forward(&self.meta, before, newest, flush);
    }

    fn set_position(&mut self, wal: WalPosition, commit: u32) {
        let attachment = self.attached();
        let (identity, page_size) = (attachment.identity, attachment.page_size);
        self.position = Some(Position { wal, identity, folded: None, page_size, commit });
    }

    /// Saves the position, unless it is saved already.
    fn save_position(&mut self) -> Result<()> {
        let (Some(position), Some(l0)) = (&self.position, self.newest) else { return Ok(()) };
        if self.saved.as_ref().is_some_and(|(saved_l0, saved)| *saved_l0 == l0 && saved == position) {
            return Ok(());
        }
        let failed = |error| DbError::io("save position", &self.meta.position_path(), error);
        position.save(&self.meta, l0, self.owner().ok().as_ref()).map_err(failed)?;
        self.saved = Some((l0, position.clone()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_can_be_handed_from_worker_to_worker() {
        fn is_send<T: Send>() {}
        is_send::<Db>();
    }
}
