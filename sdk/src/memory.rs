//! A store in memory: the reference implementation of [`Storage`], and a test double. It keeps every promise and claims
//! every capability.

use crate::conformance::ForeignClient;
use crate::context::Context;
use crate::error::{Result, StorageError};
use crate::export::Exported;
use crate::storage::{Plugin, Storage};
use crate::types::{
    Body, Capability, CopyRequest, DbPath, ListRequest, Location, ObjectInfo, ObjectKey, Pages, ReadRequest,
    ReplicaPath, Time, Timestamp, WriteRequest,
};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::stream;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

/// Bytes in one chunk of a read.
const CHUNK: usize = 1 << 20;

struct Object {
    data: Bytes,
    time: Timestamp,
    version: u64,
}

#[derive(Default)]
struct Shared {
    /// By the text form of the key, so that one directory is one range.
    objects: Mutex<BTreeMap<Vec<u8>, Object>>,
    versions: AtomicU64,
}

/// A store in memory. Clones share their objects.
#[derive(Clone, Default)]
pub struct MemoryStorage {
    shared: Arc<Shared>,
}

impl MemoryStorage {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The store of that name in this process, so that a second `open` finds what the first one wrote.
    pub fn named(name: &str) -> Self {
        static STORES: LazyLock<Mutex<HashMap<String, MemoryStorage>>> = LazyLock::new(Mutex::default);
        let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
        stores.entry(name.to_owned()).or_default().clone()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Nothing inside the lock panics half-way, so a poisoned one is whole.
    fn objects(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Object>> {
        self.shared.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryStorage({} objects)", self.len())
    }
}

fn describe(key: ObjectKey, object: &Object) -> ObjectInfo {
    let info = ObjectInfo::new(key, object.data.len() as u64, Time::Exact(object.time));
    info.with_version(object.version.to_string())
}

#[async_trait]
impl Storage for MemoryStorage {
    fn capability(&self) -> Capability {
        let bits = Capability::IF_ABSENT
            | Capability::READ_VERSION
            | Capability::LIST_TIME_EXACT
            | Capability::ROLL_UP
            | Capability::BYTE_NAMES
            | Capability::LEADING_SLASH
            | Capability::SEEK_LIST
            | Capability::COPY;
        Capability::new(bits).with_max_in_flight(64)
    }

    async fn list(&self, request: ListRequest) -> Result<Pages> {
        let mut from = request.prefix.as_bytes().to_vec();
        if !request.prefix.is_empty() {
            from.push(b'/');
        }
        let objects = self.objects();
        let range = objects.range::<[u8], _>((Bound::Included(from.as_slice()), Bound::Unbounded));
        let inside = range.take_while(|(key, _)| key.starts_with(&from));
        let infos = inside.filter_map(|(key, object)| Some(describe(ObjectKey::parse(key).ok()?, object)));
        Ok(crate::listing::arrange(&request, infos))
    }

    async fn stat(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        let objects = self.objects();
        let object = objects.get(key.as_bytes()).ok_or_else(|| StorageError::not_found(key))?;
        Ok(describe(key.clone(), object))
    }

    async fn read(&self, request: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
        let objects = self.objects();
        let object = objects.get(request.key.as_bytes()).ok_or_else(|| StorageError::not_found(&request.key))?;
        if request.version.is_some_and(|version| version != object.version.to_string()) {
            return Err(StorageError::conflict(&request.key));
        }
        let size = object.data.len() as u64;
        let end = request.len.map_or(Some(size), |len| request.offset.checked_add(len));
        let range = match end {
            Some(end) if request.offset <= end && end <= size => request.offset as usize..end as usize,
            _ => return Err(StorageError::invalid_input(format!("{}: a range past its {size} bytes", request.key))),
        };
        let info = describe(request.key, object);
        Ok((Some(info), chunked(object.data.slice(range))))
    }

    async fn write(&self, request: WriteRequest, mut body: Body) -> Result<ObjectInfo> {
        // Copied, not kept: a chunk counts against the lender's budget until it is dropped.
        let mut data = BytesMut::new();
        while let Some(chunk) = body.next().await? {
            data.extend_from_slice(&chunk);
        }
        let mut objects = self.objects();
        if request.if_absent && objects.contains_key(request.key.as_bytes()) {
            return Err(StorageError::conflict(&request.key));
        }
        let version = self.shared.versions.fetch_add(1, Ordering::Relaxed) + 1;
        let object = Object { data: data.freeze(), time: request.time, version };
        let info = describe(request.key, &object);
        objects.insert(info.key.as_bytes().to_vec(), object);
        Ok(info)
    }

    async fn delete(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
        let mut objects = self.objects();
        for key in &keys {
            objects.remove(key.as_bytes());
        }
        Ok(vec![Ok(()); keys.len()])
    }

    async fn extension(&self, operation: &str, args: Bytes) -> Result<Bytes> {
        if operation != CopyRequest::OPERATION {
            return Err(StorageError::unsupported(format_args!("operation `{operation}`")));
        }
        let CopyRequest { from, to } = CopyRequest::from_args(&args)?;
        let mut objects = self.objects();
        let original = objects.get(from.as_bytes()).ok_or_else(|| StorageError::not_found(&from))?;
        let version = self.shared.versions.fetch_add(1, Ordering::Relaxed) + 1;
        let copy = Object { data: original.data.clone(), time: original.time, version };
        objects.insert(to.as_bytes().to_vec(), copy);
        Ok(Bytes::new())
    }
}

/// The map takes every name, also those that are no [`ObjectKey`]; listings leave them out.
#[async_trait]
impl ForeignClient for MemoryStorage {
    async fn put(&self, name: &[u8]) -> Result<()> {
        let object = Object { data: Bytes::from_static(b"x"), time: Timestamp(0), version: 0 };
        self.objects().insert(name.to_vec(), object);
        Ok(())
    }

    async fn remove(&self, name: &[u8]) -> Result<()> {
        self.objects().remove(name);
        Ok(())
    }
}

/// The bytes in chunks that share them.
fn chunked(data: Bytes) -> Body {
    let size = data.len() as u64;
    let chunks = (0..data.len()).step_by(CHUNK).map(move |at| Ok(data.slice(at..data.len().min(at + CHUNK))));
    Body::new(stream::iter(chunks.collect::<Vec<_>>())).with_size_hint(size)
}

crate::options! {
    /// Keys of a memory store.
    pub struct MemoryOptions {
        /// Name of the store; all openings of one name in one process share it.
        store: String = "default", [url = Host];
        /// Where databases go.
        path: String = "", [url = Path, location];
    }
}

/// The store in memory as a plugin: `memory://store/path`.
#[derive(Clone, Copy, Debug)]
pub struct MemoryPlugin;

#[async_trait]
impl Plugin for MemoryPlugin {
    type Options = MemoryOptions;
    type Storage = MemoryStorage;

    fn locate(options: &MemoryOptions) -> Result<Location> {
        Ok(Location::new(ReplicaPath::clean(options.path.trim_start_matches('/'))?))
    }

    fn resolve(at: &Location, db: &DbPath) -> Result<ReplicaPath> {
        Ok(at.base.join(db)) // any bytes
    }

    async fn open(options: MemoryOptions, _: Context) -> Result<MemoryStorage> {
        Ok(MemoryStorage::named(&options.store))
    }
}

impl Exported for MemoryPlugin {
    type Plugin = Self;
    const NAME: &'static str = "memory";
    const RECORD: &'static str = MEMORY_RECORD;
}

const MEMORY_RECORD: &str = concat!(
    r#"{"abi":1,"name":"memory","version":"1.0.0","sdk":""#,
    crate::__sdk_version!(),
    r#"","schemes":["memory"],"layouts":["ltx","hex"]}"#
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::describe::Description;
    use crate::export::SDK_VERSION;

    #[test]
    fn the_record_names_this_sdk() {
        let description: Description = serde_json::from_str(MemoryPlugin::RECORD).unwrap();
        assert_eq!(description.sdk, SDK_VERSION, "keep `__sdk_version!` in step with Cargo.toml");
    }

    #[tokio::test]
    async fn openings_of_one_name_share_their_objects() {
        let key = ObjectKey::parse("k").unwrap();
        let request = WriteRequest::new(key.clone(), Timestamp(7));
        MemoryStorage::named("shared-test").write(request, Body::from_bytes("x")).await.unwrap();
        assert_eq!(MemoryStorage::named("shared-test").stat(&key).await.unwrap().time, Time::Exact(Timestamp(7)));
        assert!(MemoryStorage::named("another-test").is_empty());
    }
}
