//! What a replica must hold: noted when a file is written locally, and compared with what lies on the store.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use fastrand::Rng;

use super::application::{Fingerprint, fingerprint};
use crate::db::MetaDir;
use crate::ltx::{Level, LtxInfo, Txid};
use crate::plugin::Store;
use crate::replica::{Layout, ReplicaClient, local_trailer};
use crate::restore::{self, Output, OutputRules, RestoreOptions, Target};
use litestream_sdk::ReplicaPath;

/// Of one database.
pub struct Oracle {
    /// The replica, without faults.
    client: ReplicaClient,
    /// The newest local file: its transaction and its trailer.
    newest: Option<(Txid, Vec<u8>)>,
    /// What the database held when the local file of a transaction was written.
    local: BTreeMap<Txid, Fingerprint>,
    /// The same of transactions that are on the store: final.
    remote: BTreeMap<Txid, Fingerprint>,
    /// The newest state that could be restored.
    reached: Txid,
    /// Somebody deleted files: until the end, only what is restored is compared.
    damaged: bool,
}

impl Oracle {
    pub fn new(store: Arc<Store>, place: &str) -> Oracle {
        let client = ReplicaClient::new(store, ReplicaPath::parse(place).unwrap(), Layout::Ltx);
        let (local, remote) = Default::default();
        Oracle { client, newest: None, local, remote, reached: Txid::NONE, damaged: false }
    }

    /// After local work: a new file holds what the database holds now. Its transaction, if there is one.
    pub fn note_local(&mut self, meta: &MetaDir, now: impl FnOnce() -> Fingerprint) -> Option<Txid> {
        let newest = meta.list_l0().unwrap().last().map(|file| file.max_txid);
        let newest = newest.and_then(|txid| Some((txid, local_trailer(&meta.l0_path(txid)).ok()?)));
        let is_new = newest != self.newest;
        self.newest = newest;
        let (txid, _) = self.newest.as_ref().filter(|_| is_new)?;
        self.local.insert(*txid, now());
        Some(*txid)
    }

    /// After a write of `name` to the store.
    pub fn note_written(&mut self, name: &str) {
        let Some(max) = name.strip_suffix(".ltx").and_then(|stem| stem.rsplit('-').next()) else { return };
        let max: Txid = max.parse().unwrap();
        if let Some(state) = self.local.get(&max) {
            self.remote.entry(max).or_insert(*state);
        }
    }

    /// Deletes something behind everybody's back. Its name, if there is something.
    pub async fn damage(&mut self, random: &mut Rng) -> Option<String> {
        let files = self.files().await;
        let victim = files.get(random.usize(..files.len().max(1)))?;
        self.client.delete([(victim.level, victim.file_name())]).await.unwrap();
        self.damaged = true;
        // Where nothing else ends, and local state was lost, too, nobody can know that the number was given before.
        self.remote.remove(&victim.max_txid);
        Some(format!("{}/ltx/{}/{}", self.client.path(), victim.level, victim.file_name()))
    }

    pub async fn files(&self) -> Vec<LtxInfo> {
        self.client.list_all().await.unwrap()
    }

    /// Everything that can be said without reading a file.
    pub async fn check_plans(&mut self) {
        let files = self.files().await;
        if self.damaged {
            return;
        }
        let reached = restore::plan(&files, Target::Latest).map(|plan| plan.max_txid());
        match reached {
            Ok(reached) => {
                assert!(reached >= self.reached, "restorable was {}, now {reached}: {}", self.reached, show(&files));
                self.reached = reached;
            }
            Err(error) => assert!(!self.reached.is_some(), "{error}: {}", show(&files)),
        }
        for point in points(&files) {
            if let Err(error) = restore::plan(&files, Target::Txid(point)) {
                panic!("{point} cannot be restored ({error}): {}", show(&files));
            }
        }
    }

    /// Restores, the newest state or some other one, and compares. True if there was something to compare.
    pub async fn check_restore(&mut self, random: &mut Rng, directory: &Path) -> bool {
        let files = self.files().await;
        let points = points(&files);
        let target = match random.bool() && !points.is_empty() {
            true => Target::Txid(points[random.usize(..points.len())]),
            false => Target::Latest,
        };
        let Ok(plan) = restore::plan(&files, target) else { return false };
        let txid = plan.max_txid();
        let found = self.restored(target, plan, directory).await;
        let Some(expected) = self.remote.get(&txid) else { return false };
        assert_eq!(found, *expected, "transaction {txid} is restored to another state: {}", show(&files));
        true
    }

    /// The end: the newest state on the store is `expected`.
    pub async fn check_end(&self, directory: &Path, expected: Fingerprint) {
        let files = self.files().await;
        let plan = restore::plan(&files, Target::Latest);
        let plan = plan.unwrap_or_else(|error| panic!("nothing to restore at the end ({error}): {}", show(&files)));
        let found = self.restored(Target::Latest, plan, directory).await;
        assert_eq!(found, expected, "the end is not on the store: {}", show(&files));
    }

    async fn restored(&self, target: Target, plan: restore::Plan, directory: &Path) -> Fingerprint {
        let path = directory.join("restored.sqlite");
        let output = Output::check(&path, OutputRules { force: true, skip_existing: false }).unwrap().unwrap();
        let options = RestoreOptions { parallelism: 1, ..RestoreOptions::default() };
        restore::restore(&self.client, target, plan, &output, options, &()).await.unwrap();
        let connection = rusqlite::Connection::open(&path).unwrap();
        let sound: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
        fingerprint(&connection)
    }
}

/// Transactions that must be reachable: ends of files behind the oldest snapshot; of level 0, whose front is deleted file by
/// file, only those that no other level holds yet.
fn points(files: &[LtxInfo]) -> Vec<Txid> {
    let snapshots = files.iter().filter(|file| file.level == Level::SNAPSHOT).map(|file| file.max_txid);
    let base = snapshots.min().unwrap_or(Txid::FIRST);
    let compacted = files.iter().filter(|file| file.level != Level::RAW).map(|file| file.max_txid).max();
    let reachable = |file: &&LtxInfo| match file.level {
        Level::RAW => Some(file.max_txid) > compacted,
        _ => file.max_txid >= base,
    };
    files.iter().filter(reachable).map(|file| file.max_txid).collect()
}

fn show(files: &[LtxInfo]) -> String {
    let one = |file: &LtxInfo| format!("{}:{}-{}", file.level, file.min_txid.0, file.max_txid.0);
    files.iter().map(one).collect::<Vec<_>>().join(" ")
}
