//! One upload run of one database: look at the replica if that was not done yet, then send local files in order.

use std::path::Path;
use std::time::Duration;

use litestream_sdk::{ErrorKind, StorageError};

use crate::clock;
use crate::db::{LocalFile, MetaDir};
use crate::ltx::{FileName, Level, LtxInfo, Txid};
use crate::metrics;
use crate::plugin::Urgency;
use crate::replica::{Layout, Remote, ReplicaClient, Verdict, contiguous, judge, local_trailer};

use super::entry::Entry;
use super::local_file::{self, LocalLtx};
use super::record::Levels;
use super::scheduler::{UploadEnd, UploadWork};
use super::snapshot;

/// Hears at once of what becomes known of the replica.
pub trait Arrivals: Sync {
    /// The replica was listed.
    fn listed(&self, levels: Levels);

    /// A file of this level, up to this TXID, is on the replica.
    fn arrived(&self, level: Level, txid: Txid, bytes: u64);
}

/// Why a run ended early.
pub enum Stop {
    /// See [`UploadEnd`].
    End(UploadEnd),
    /// The store failed.
    Store(StorageError),
}

impl From<StorageError> for Stop {
    fn from(error: StorageError) -> Stop {
        Stop::Store(error)
    }
}

/// Runs it.
pub async fn run(work: &UploadWork, entry: &Entry, arrivals: &dyn Arrivals) -> UploadEnd {
    match steps(work, entry, arrivals).await {
        Ok(()) => UploadEnd::Done,
        Err(Stop::End(end)) => end,
        Err(Stop::Store(error)) => {
            UploadEnd::Failed { message: format!("replica {}: {error}", entry.destination.kind()), store: true }
        }
    }
}

async fn steps(work: &UploadWork, entry: &Entry, arrivals: &dyn Arrivals) -> Result<(), Stop> {
    let meta = MetaDir::new(entry.meta_path(&work.path));
    let mut levels = work.levels;
    let mut needs_snapshot = work.needs_snapshot;
    let client = if work.contacted {
        client(entry, &work.path, levels.layout).await?
    } else {
        let client = detect(entry, &work.path).await?;
        let remote = Remote::of(&client.list_all().await?);
        // What was learned is kept whatever the verdict: the next run starts from it.
        levels = learned(&remote, client.layout(), work.levels);
        arrivals.listed(levels);
        check_continuity(&client, &remote, &meta, work).await?;
        needs_snapshot |= remote.restorable != remote.position();
        client
    };
    let mut from = levels.position().next();
    if let Some(full) = work.full_from.filter(|full| *full > from) {
        // What lies between is another history, or lost; nothing leads up to the full file.
        (from, needs_snapshot) = (full, true);
    }
    let batch = Batch { work, client, meta, needs_snapshot, arrivals };
    batch.send(from, entry.max_sync_ltx_files.unwrap_or(u64::MAX)).await
}

/// The replica of a database, with the layout that is known already.
///
/// # Errors
/// The store cannot be opened, or the database has no place in it.
pub async fn client(entry: &Entry, path: &Path, layout: Layout) -> Result<ReplicaClient, StorageError> {
    let place = entry.replica_path(path)?;
    Ok(ReplicaClient::new(entry.destination.store().await?, place, layout))
}

async fn detect(entry: &Entry, path: &Path) -> Result<ReplicaClient, StorageError> {
    let place = entry.replica_path(path)?;
    let store = entry.destination.store().await?;
    let hex_known = entry.destination.hex_layout();
    ReplicaClient::detect(store, place, entry.layout, hex_known, Urgency::Background).await
}

/// A listing as the record keeps it. What is planned stays planned.
fn learned(remote: &Remote, layout: Layout, known: Levels) -> Levels {
    Levels { max: remote.max, raw_floor: remote.raw_floor, snapshots: remote.snapshots, layout, due: known.due }
}

/// Decides whether the local files continue what the replica holds.
async fn check_continuity(
    client: &ReplicaClient,
    remote: &Remote,
    meta: &MetaDir,
    work: &UploadWork,
) -> Result<(), Stop> {
    let local = local_files(meta).await?;
    let position = remote.position();
    let above = position.max(work.local);
    if let Some(full) = work.full_from.filter(|full| *full > position)
        && contiguous(&local, full)
    {
        return Ok(());
    }
    let full = |above, snapshot| Err(Stop::End(UploadEnd::NeedsFullFile { above, snapshot }));
    match judge(remote, &local) {
        Verdict::Fresh => Ok(()),
        Verdict::Ahead => {
            tracing::info!(path = %work.path.display(), replica_txid = %position, local_txid = %work.local,
                "detected database behind replica");
            full(position, remote.restorable != position)
        }
        Verdict::Broken(reason) => {
            tracing::warn!(path = %work.path.display(), reason, replica_txid = %position,
                "replica cannot be continued, starting again with a full file and a snapshot");
            full(above, true)
        }
        Verdict::ContinueIfSame(txid) => {
            if is_same(client, meta, &local, txid).await? {
                return Ok(());
            }
            tracing::warn!(path = %work.path.display(), txid = %txid,
                "replica holds another history of this name, continuing above it with a full file and a snapshot");
            full(above, true)
        }
    }
}

async fn is_same(client: &ReplicaClient, meta: &MetaDir, local: &[LocalFile], txid: Txid) -> Result<bool, Stop> {
    let Some(file) = local.iter().find(|file| file.max_txid == txid) else { return Ok(false) };
    let (name, size) = (FileName::new(file.min_txid, file.max_txid), file.size);
    let Some(remote) = client.find(Level::RAW, name).await? else { return Ok(false) };
    Ok(remote.size == size && same_trailer(client, &remote, meta, txid).await?)
}

async fn same_trailer(client: &ReplicaClient, remote: &LtxInfo, meta: &MetaDir, txid: Txid) -> Result<bool, Stop> {
    let path = meta.l0_path(txid);
    let ours = local_file::blocking(move || local_trailer(&path)).await.map_err(|error| local_failure(&error))?;
    Ok(client.trailer(remote).await? == ours)
}

/// Files on their way to one replica.
struct Batch<'a> {
    work: &'a UploadWork,
    client: ReplicaClient,
    meta: MetaDir,
    needs_snapshot: bool,
    arrivals: &'a dyn Arrivals,
}

impl Batch<'_> {
    /// Sends local files, one at a time, at most `count`.
    async fn send(&self, from: Txid, count: u64) -> Result<(), Stop> {
        let last = self.work.local.0.min(from.0.saturating_add(count) - 1);
        for txid in (from.0..=last).map(Txid) {
            let file = self.local(txid).await?;
            // A restore that must not mix two page sizes (the reference's) begins with the snapshot.
            if (self.needs_snapshot && txid == from) || file.changes_page_size {
                self.send_with_snapshot(txid, &file).await?;
            } else {
                self.send_one(txid, &file).await?;
            }
            let now = i64::try_from(clock::unix_time().as_millis()).unwrap_or(i64::MAX);
            let lag_ms = u64::try_from(now.saturating_sub(file.header.timestamp)).unwrap_or(0);
            metrics::global().fleet().uploaded(Duration::from_millis(lag_ms));
            tracing::debug!(path = %self.work.path.display(), txid = %txid, size = file.size, "ltx file uploaded");
            self.arrivals.arrived(Level::RAW, txid, file.size);
        }
        Ok(())
    }

    /// A full file, and a snapshot of it before it, so that there is no moment at which the replica cannot be restored. Where
    /// another program has taken the place of the full file, nothing of this database may stay: a snapshot among another
    /// one's files would be restored together with them.
    async fn send_with_snapshot(&self, txid: Txid, file: &LocalLtx) -> Result<(), Stop> {
        let name = FileName::new(txid, txid);
        if self.client.find(Level::RAW, name).await?.is_some() {
            self.judge_conflict(txid, name, file).await?;
        }
        let bytes = snapshot::of_full_file(&self.client, &self.meta, file).await?;
        match self.send_one(txid, file).await {
            Err(Stop::End(end @ UploadEnd::Conflict(_))) => {
                self.client.delete([(Level::SNAPSHOT, FileName::new(Txid::FIRST, txid))]).await?;
                Err(Stop::End(end))
            }
            sent => {
                self.arrivals.arrived(Level::SNAPSHOT, txid, bytes);
                sent
            }
        }
    }

    async fn local(&self, txid: Txid) -> Result<LocalLtx, Stop> {
        match local_file::read(&self.meta, txid).await {
            Ok(file) => Ok(file),
            Err(local_file::Unreadable::Missing) => {
                tracing::warn!(path = %self.work.path.display(), txid = %txid,
                    "a local ltx file that was not uploaded is missing, writing a full file and a snapshot instead");
                Err(Stop::End(UploadEnd::NeedsFullFile { above: self.work.local, snapshot: true }))
            }
            Err(error) => Err(local_failure(&error)),
        }
    }

    async fn send_one(&self, txid: Txid, file: &LocalLtx) -> Result<(), Stop> {
        let name = FileName::new(txid, txid);
        // A store that cannot create conditionally would replace another program's file, and nobody would know.
        if !self.client.can_refuse_existing() && self.client.find(Level::RAW, name).await?.is_some() {
            return self.judge_conflict(txid, name, file).await;
        }
        match self.client.write_file(Level::RAW, name, file.header.timestamp, true, file).await {
            Err(error) if error.kind == ErrorKind::CONFLICT => self.judge_conflict(txid, name, file).await,
            other => Ok(other?),
        }
    }

    /// An object of this name is there already: ours, if an earlier try arrived after we gave up on it.
    async fn judge_conflict(&self, txid: Txid, name: FileName, file: &LocalLtx) -> Result<(), Stop> {
        if let Some(remote) = self.client.find(Level::RAW, name).await?
            && remote.size == file.size
            && same_trailer(&self.client, &remote, &self.meta, txid).await?
        {
            return Ok(());
        }
        let place = self.client.path();
        Err(Stop::End(UploadEnd::Conflict(format!(
            "another program writes to this replica: {name} at `{place}` was not written by us. Give each database one \
             replica path and one program, then restart (or run `start` for this database)"
        ))))
    }
}

async fn local_files(meta: &MetaDir) -> Result<Vec<LocalFile>, Stop> {
    let meta = meta.clone();
    local_file::blocking(move || meta.list_l0()).await.map_err(|error| local_failure(&error))
}

/// An error on this side: the store is not to blame.
pub fn local_failure(error: &dyn std::fmt::Display) -> Stop {
    Stop::End(UploadEnd::Failed { message: format!("local ltx files: {error}"), store: false })
}
