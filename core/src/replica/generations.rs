//! Files that Litestream 0.3 left in the place of a replica: read for a restore, never written or deleted.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use litestream_sdk::{Body, Entry, ListRequest, ObjectInfo, ReadRequest, ReplicaPath, StorageError};

use crate::plugin::{Store, Urgency};
use crate::restore::{V3Object, V3Source};

/// The directory of the old layout below a replica path; [`V3Object::path`] begins with it.
const DIRECTORY: &str = "generations";

/// See the module.
#[derive(Clone)]
pub struct Generations {
    store: Arc<Store>,
    path: ReplicaPath,
    urgency: Urgency,
}

impl Generations {
    /// The old files below a replica path, if there are any.
    pub fn new(store: Arc<Store>, path: ReplicaPath, urgency: Urgency) -> Generations {
        Generations { store, path, urgency }
    }

    /// `None` for a name that the old program never wrote.
    fn object(&self, info: &ObjectInfo) -> Option<V3Object> {
        let path = std::str::from_utf8(info.key.below(&self.path)?).ok()?.to_owned();
        let created_at = info.time.known().map_or(0, |time| time.0.div_euclid(1_000_000));
        Some(V3Object { path, size: info.size, created_at })
    }
}

#[async_trait]
impl V3Source for Generations {
    async fn list_v3(&self) -> Result<Vec<V3Object>, StorageError> {
        let request = ListRequest::below(self.path.child(DIRECTORY)?);
        let mut pages = self.store.list(request, self.urgency).await?;
        let mut objects = Vec::new();
        while let Some(page) = pages.next().await {
            objects.extend(page?.iter().filter_map(|entry| match entry {
                Entry::Object(info) => self.object(info),
                Entry::Dir(_) => None,
            }));
        }
        Ok(objects)
    }

    async fn open_v3(&self, object: &V3Object, offset: u64, len: u64) -> Result<Body, StorageError> {
        let key = self.path.object(&object.path)?;
        self.store.read(ReadRequest::range(key, offset, len), self.urgency).await.map(|(_, body)| body)
    }
}

#[cfg(test)]
mod tests {
    use litestream_sdk::memory::MemoryStorage;
    use litestream_sdk::{ObjectKey, Storage, Timestamp, WriteRequest};

    use super::*;
    use crate::plugin::{ByteBudget, StoreSettings};

    #[tokio::test]
    async fn old_files_are_listed_below_the_replica_path_and_read_by_range() {
        let storage = Arc::new(MemoryStorage::new());
        for (key, bytes) in [
            ("r/a.db/generations/0123456789abcdef/snapshots/00000000.snapshot.lz4", "snapshot"),
            ("r/a.db/ltx/0/0000000000000001-0000000000000001.ltx", "new"),
            ("r/b.db/generations/0123456789abcdef/snapshots/00000000.snapshot.lz4", "other"),
        ] {
            let request = WriteRequest::new(ObjectKey::parse(key).unwrap(), Timestamp(1_500_000_000));
            storage.write(request, Body::from_bytes(bytes)).await.unwrap();
        }
        let (budget, metrics) = (ByteBudget::new(1 << 20), crate::metrics::global());
        let settings = StoreSettings { budget: &budget, max_in_flight: None, metrics };
        let store = Arc::new(Store::around("memory", storage, settings).await.unwrap());
        let path = ReplicaPath::parse("r/a.db").unwrap();
        let generations = Generations::new(store, path, Urgency::Interactive);
        let objects = generations.list_v3().await.unwrap();
        let expected = V3Object {
            path: "generations/0123456789abcdef/snapshots/00000000.snapshot.lz4".to_owned(),
            size: 8,
            created_at: 1500,
        };
        assert_eq!(objects, std::slice::from_ref(&expected));
        let body = generations.open_v3(&expected, 4, 4).await.unwrap();
        assert_eq!(&body.collect(100).await.unwrap()[..], b"shot");
    }
}
