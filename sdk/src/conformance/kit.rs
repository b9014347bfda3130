//! What every check works with: its own directory, short forms of the calls, and bodies that misbehave on purpose.

use super::{Settings, Subject, broken, ensure};
use crate::error::{ErrorKind, Result, StorageError};
use crate::storage::Storage;
use crate::types::{
    Body, Capability, Entry, ListMode, ListRequest, ObjectInfo, ObjectKey, ReadRequest, ReplicaPath, Timestamp,
    WriteRequest,
};
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use std::sync::Arc;

/// 1 MiB.
pub(super) const MIB: usize = 1 << 20;

/// 2025-11-24T16:00:00.123Z: a time with a fraction, as databases have it.
pub(super) const TIME: Timestamp = Timestamp(1_764_000_000_123_000_000);

/// Bytes that tell a shift, a cut and a repeat apart.
pub(super) fn pattern(len: usize) -> Bytes {
    (0..len).map(|at| (at % 251) as u8).collect::<Vec<u8>>().into()
}

/// A body of `chunks` chunks of `size` bytes, each filled with its number.
pub(super) fn numbered(chunks: usize, size: usize) -> Body {
    Body::new(stream::iter((0..chunks).map(move |number| Ok(Bytes::from(vec![number as u8; size])))))
}

pub(super) struct Kit {
    pub store: Arc<dyn Storage>,
    pub subject: Subject,
    pub settings: Settings,
    dir: ReplicaPath,
}

impl Kit {
    pub fn new(subject: Subject, root: &ReplicaPath, id: &str, settings: Settings) -> Result<Self> {
        Ok(Self { store: subject.storage.clone(), dir: root.child(id)?, subject, settings })
    }

    pub fn capability(&self) -> Capability {
        self.store.capability()
    }

    /// An object of this check.
    pub fn key(&self, below: impl AsRef<[u8]>) -> Result<ObjectKey> {
        self.dir.object(below)
    }

    /// A directory of this check; its whole directory if empty.
    pub fn dir(&self, below: &str) -> Result<ReplicaPath> {
        below.split('/').filter(|segment| !segment.is_empty()).try_fold(self.dir.clone(), |dir, name| dir.child(name))
    }

    /// A write as the host asks for it, with as much buffer as is useful.
    pub fn request(&self, key: &ObjectKey, size: Option<u64>) -> WriteRequest {
        let useful = self.capability().write_buffer;
        let buffer = size.unwrap_or(u64::MAX).clamp(*useful.start(), *useful.end());
        let mut request = WriteRequest::new(key.clone(), TIME).with_buffer(buffer);
        request.size = size;
        request
    }

    pub async fn put(&self, key: &ObjectKey, data: impl Into<Bytes> + Send) -> Result<ObjectInfo> {
        let data = data.into();
        self.store.write(self.request(key, Some(data.len() as u64)), Body::from_bytes(data)).await
    }

    pub async fn get(&self, key: &ObjectKey) -> Result<Bytes> {
        self.read(ReadRequest::whole(key.clone())).await
    }

    pub async fn read(&self, request: ReadRequest) -> Result<Bytes> {
        self.store.read(request).await?.1.collect(1 << 30).await
    }

    /// Every entry of a listing as text, directories with a slash at their end.
    pub async fn list(&self, request: ListRequest) -> Result<Vec<String>> {
        let pages: Vec<Vec<Entry>> = self.store.list(request).await?.try_collect().await?;
        ensure!(pages.iter().all(|page| (1..=10_000).contains(&page.len())), "a page had no entry, or over 10,000");
        let shown = |entry| match entry {
            Entry::Object(info) => info.key.to_string(),
            Entry::Dir(dir) => format!("{dir}/"),
        };
        Ok(pages.into_iter().flatten().map(shown).collect())
    }

    /// Every object below a directory of this check.
    pub async fn names(&self, below: &str) -> Result<Vec<String>> {
        self.list(ListRequest::below(self.dir(below)?)).await
    }

    /// Objects of one byte; gives their whole names in byte order.
    pub async fn fill(&self, names: &[&str]) -> Result<Vec<String>> {
        let keys = names.iter().map(|name| self.key(name)).collect::<Result<Vec<_>>>()?;
        for key in &keys {
            self.put(key, "x").await?;
        }
        let mut names: Vec<String> = keys.iter().map(ObjectKey::to_string).collect();
        names.sort();
        Ok(names)
    }

    /// Neither `stat` nor a listing shows the object.
    pub async fn ensure_gone(&self, key: &ObjectKey) -> Result<()> {
        match self.store.stat(key).await {
            Err(error) if error.kind == ErrorKind::NOT_FOUND => {}
            Err(error) => return Err(error.context(format!("stat of {key}, which should be absent"))),
            Ok(info) => return Err(broken(format!("{key} is there, with {} bytes", info.size))),
        }
        ensure!(!self.names("").await?.contains(&key.to_string()), "{key} is listed, although stat does not find it");
        Ok(())
    }

    /// MiB of a body that a store with parts sends in parts, so that it takes the longer road.
    pub fn in_parts(&self) -> usize {
        usize::try_from(*self.capability().write_buffer.start()).unwrap_or(usize::MAX).div_ceil(MIB) + 2
    }

    /// How many calls a check should make at once, of `wanted`.
    pub fn at_once(&self, wanted: usize) -> usize {
        wanted.min(self.capability().max_in_flight as usize).max(1)
    }
}

/// Removes every object below `root`; gives their number.
pub(super) async fn remove_all(store: &dyn Storage, root: &ReplicaPath) -> Result<u64> {
    let mut keys = Vec::new();
    let mut pages = store.list(ListRequest::below(root.clone()).with_mode(ListMode::Recursive)).await?;
    while let Some(page) = pages.next().await {
        keys.extend(page?.into_iter().filter_map(|entry| match entry {
            Entry::Object(info) => Some(info.key),
            Entry::Dir(_) => None,
        }));
    }
    for batch in keys.chunks(store.capability().delete_batch.max(1) as usize) {
        let results = store.delete(batch.to_vec()).await?;
        results.into_iter().collect::<Result<Vec<()>, StorageError>>()?;
    }
    Ok(keys.len() as u64)
}
