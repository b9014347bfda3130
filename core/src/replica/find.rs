//! Finds the databases below a prefix: for a restore of a whole directory, and for a list of what is there.
//!
//! Where the storage can roll up, a thousand databases come with each request, at any depth; elsewhere each directory is
//! listed once. Neither looks into a level: which files a database has is asked when they are needed.

use std::collections::{BTreeMap, VecDeque};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use litestream_sdk::{Capability, DbPath, Entry, ErrorKind, ListMode, ListRequest, ReplicaPath, StorageError};

use crate::ltx::{FileName, Level};
use crate::plugin::{Store, Urgency};

use super::layout::Layout;

type Result<T> = std::result::Result<T, StorageError>;

/// Directories listed at the same time where a storage cannot roll up; the store's own limit applies besides.
const DIRECTORIES_AT_ONCE: usize = 32;

/// The directory of the `ltx` layout.
const LTX: &[u8] = b"ltx";
/// The directory of the 0.3 layout.
const GENERATIONS: &[u8] = b"generations";

/// The replica of one database, found by its directories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundReplica {
    /// Its path below the prefix, as the storage names it; empty if the prefix itself is the replica of a database.
    pub below: DbPath,
    /// The layout of its LTX files; `ltx` if it has none.
    pub layout: Layout,
    /// Whether Litestream 0.3 left files there.
    pub has_generations: bool,
}

/// What was seen below one path.
#[derive(Clone, Copy, Default)]
struct Seen {
    ltx: bool,
    hex: bool,
    generations: bool,
}

/// Every replica below `base`, sorted by path. `hex_known`: the plugin names the hex layout, too.
///
/// # Errors
/// Those of listing.
pub async fn find_replicas(
    store: &Store,
    base: &ReplicaPath,
    hex_known: bool,
    urgency: Urgency,
) -> Result<Vec<FoundReplica>> {
    let mut search = Search { base: base.clone(), hex_known, found: BTreeMap::new() };
    let rolled_up = match store.capability().has(Capability::ROLL_UP) {
        true => search.roll_up(store, urgency).await,
        false => Err(StorageError::unsupported("roll-up")),
    };
    match rolled_up {
        // Also of a plugin that claims it: not every server that speaks its protocol can.
        Err(error) if error.kind == ErrorKind::UNSUPPORTED => {
            search.found.clear();
            search.walk(store, urgency).await?;
        }
        rolled_up => rolled_up?,
    }
    Ok(search.found.into_iter().map(|(below, seen)| seen.replica(below)).collect())
}

impl Seen {
    fn replica(self, below: DbPath) -> FoundReplica {
        let layout = if self.hex && !self.ltx { Layout::Hex } else { Layout::Ltx };
        FoundReplica { below, layout, has_generations: self.generations }
    }
}

struct Search {
    base: ReplicaPath,
    hex_known: bool,
    found: BTreeMap<DbPath, Seen>,
}

impl Search {
    /// One listing. Objects of the other layouts have no `ltx` above them and come one by one.
    async fn roll_up(&mut self, store: &Store, urgency: Urgency) -> Result<()> {
        let marker = String::from_utf8_lossy(LTX).into_owned();
        let request = ListRequest::below(self.base.clone()).with_mode(ListMode::RollUp(marker));
        let mut pages = store.list(request, urgency).await?;
        while let Some(page) = pages.next().await {
            for entry in page? {
                match entry {
                    Entry::Dir(path) => self.note_dir(&self.below(path.segments())),
                    Entry::Object(object) => self.note_object(&self.below(object.key.segments())),
                }
            }
        }
        Ok(())
    }

    /// One listing for each directory that belongs to no replica.
    async fn walk(&mut self, store: &Store, urgency: Urgency) -> Result<()> {
        let mut waiting = VecDeque::from([self.base.clone()]);
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < DIRECTORIES_AT_ONCE
                && let Some(dir) = waiting.pop_front()
            {
                running.push(directories_in(store, dir, urgency));
            }
            let Some(listed) = running.next().await else { return Ok(()) };
            for path in listed? {
                let segments = self.below(path.segments());
                let is_part = segments.last().is_some_and(|name| self.kind_of(name).is_some());
                self.note_dir(&segments);
                if !is_part {
                    waiting.push_back(path);
                }
            }
        }
    }

    /// The segments below the base.
    fn below<'a>(&self, segments: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
        segments.skip(self.base.segments().count()).map(<[u8]>::to_vec).collect()
    }

    /// What a directory of this name makes of the one above it.
    fn kind_of(&self, name: &[u8]) -> Option<fn(&mut Seen)> {
        match name {
            LTX => Some(|seen| seen.ltx = true),
            GENERATIONS => Some(|seen| seen.generations = true),
            name if self.hex_known && is_hex_level(name) => Some(|seen| seen.hex = true),
            _ => None,
        }
    }

    fn note_dir(&mut self, segments: &[Vec<u8>]) {
        if let Some((name, above)) = segments.split_last()
            && let Some(mark) = self.kind_of(name)
        {
            self.mark(above, mark);
        }
    }

    fn note_object(&mut self, segments: &[Vec<u8>]) {
        let Some((name, dirs)) = segments.split_last() else { return };
        let Some(at) = dirs.iter().position(|dir| self.kind_of(dir).is_some()) else { return };
        let is_old = dirs[at] == GENERATIONS;
        let is_ltx_file = std::str::from_utf8(name).is_ok_and(|name| name.parse::<FileName>().is_ok());
        if (is_old || (is_ltx_file && at + 1 == dirs.len()))
            && let Some(mark) = self.kind_of(&dirs[at])
        {
            self.mark(&dirs[..at], mark);
        }
    }

    fn mark(&mut self, database: &[Vec<u8>], mark: fn(&mut Seen)) {
        // Segments of a listed path are valid segments.
        if let Ok(below) = DbPath::parse(database.join(&b'/')) {
            mark(self.found.entry(below).or_default());
        }
    }
}

/// `0000` to `0009`.
fn is_hex_level(name: &[u8]) -> bool {
    matches!(name, [b'0', b'0', b'0', digit] if Level::new(digit.wrapping_sub(b'0')).is_some())
}

async fn directories_in(store: &Store, dir: ReplicaPath, urgency: Urgency) -> Result<Vec<ReplicaPath>> {
    let mut pages = store.list(ListRequest::below(dir).with_mode(ListMode::Shallow), urgency).await?;
    let mut directories = Vec::new();
    while let Some(page) = pages.next().await {
        directories.extend(page?.into_iter().filter_map(|entry| match entry {
            Entry::Dir(path) => Some(path),
            Entry::Object(_) => None,
        }));
    }
    Ok(directories)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use litestream_sdk::memory::MemoryStorage;
    use litestream_sdk::{Body, ObjectInfo, ObjectKey, Pages, ReadRequest, Storage, Timestamp, WriteRequest};

    use super::*;
    use crate::plugin::{ByteBudget, StoreSettings};

    const FILE: &str = "0000000000000001-0000000000000001.ltx";

    /// Memory that cannot roll up, and says so before it is asked, or then.
    struct Shallow {
        inner: MemoryStorage,
        claims: bool,
    }

    #[async_trait]
    impl Storage for Shallow {
        fn capability(&self) -> Capability {
            let mut capability = self.inner.capability();
            if !self.claims {
                capability.bits &= !Capability::ROLL_UP;
            }
            capability
        }
        async fn list(&self, request: ListRequest) -> Result<Pages> {
            if request.mode != ListMode::Shallow {
                assert!(self.claims, "what it does not claim is not asked for");
                return Err(StorageError::unsupported("roll-up"));
            }
            self.inner.list(request).await
        }
        async fn stat(&self, key: &ObjectKey) -> Result<ObjectInfo> {
            self.inner.stat(key).await
        }
        async fn read(&self, request: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
            self.inner.read(request).await
        }
        async fn write(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo> {
            self.inner.write(request, body).await
        }
        async fn delete(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
            self.inner.delete(keys).await
        }
    }

    async fn filled() -> MemoryStorage {
        let storage = MemoryStorage::new();
        for key in [
            format!("t/a.db/ltx/0/{FILE}"),
            format!("t/a.db/ltx/9/{FILE}"),
            format!("t/team/deep/c.db/ltx/0/{FILE}"),
            format!("t/hex.db/0000/{FILE}"),
            format!("t/hex.db/0001/{FILE}"),
            "t/old.db/generations/0123456789abcdef/snapshots/00000000.snapshot.lz4".to_owned(),
            format!("t/both.db/ltx/0/{FILE}"),
            "t/both.db/generations/0123456789abcdef/wal/00000000_00000000.wal.lz4".to_owned(),
            "t/notes/readme.txt".to_owned(),
            format!("tt/other.db/ltx/0/{FILE}"),
        ] {
            let request = WriteRequest::new(ObjectKey::parse(key).unwrap(), Timestamp(0));
            storage.write(request, Body::from_bytes("x")).await.unwrap();
        }
        storage
    }

    async fn found(storage: Arc<dyn Storage>, base: &str, hex_known: bool) -> Vec<(String, Layout, bool)> {
        let (budget, metrics) = (ByteBudget::new(1 << 20), crate::metrics::global());
        let settings = StoreSettings { budget: &budget, max_in_flight: None, metrics };
        let store = Store::around("memory", storage, settings).await.unwrap();
        let base = ReplicaPath::parse(base).unwrap();
        let found = find_replicas(&store, &base, hex_known, Urgency::Interactive).await.unwrap();
        found.into_iter().map(|one| (one.below.to_string(), one.layout, one.has_generations)).collect()
    }

    fn one(below: &str, layout: Layout, old: bool) -> (String, Layout, bool) {
        (below.to_owned(), layout, old)
    }

    #[tokio::test]
    async fn every_layout_is_found_with_and_without_roll_up() {
        let expected = [
            one("a.db", Layout::Ltx, false),
            one("both.db", Layout::Ltx, true),
            one("hex.db", Layout::Hex, false),
            one("old.db", Layout::Ltx, true),
            one("team/deep/c.db", Layout::Ltx, false),
        ];
        assert_eq!(found(Arc::new(filled().await), "t", true).await, expected);
        for claims in [false, true] {
            assert_eq!(found(Arc::new(Shallow { inner: filled().await, claims }), "t", true).await, expected);
        }
    }

    #[tokio::test]
    async fn four_digits_are_a_name_where_the_plugin_has_no_hex_layout() {
        for storage in
            [Arc::new(filled().await) as Arc<dyn Storage>, Arc::new(Shallow { inner: filled().await, claims: false })]
        {
            let names: Vec<String> = found(storage, "t", false).await.into_iter().map(|(name, ..)| name).collect();
            assert_eq!(names, ["a.db", "both.db", "old.db", "team/deep/c.db"]);
        }
    }

    #[tokio::test]
    async fn the_replica_of_one_database_has_an_empty_path() {
        for storage in
            [Arc::new(filled().await) as Arc<dyn Storage>, Arc::new(Shallow { inner: filled().await, claims: false })]
        {
            assert_eq!(found(storage.clone(), "t/a.db", false).await, [one("", Layout::Ltx, false)]);
            assert!(found(storage, "nothing", false).await.is_empty());
        }
    }
}
