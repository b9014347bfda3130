//! A store in memory whose faults a test plans: one queue for each operation, first planned, first met.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use litestream_sdk::{
    Body, Capability, Entry, ErrorKind, ListRequest, ObjectInfo, ObjectKey, Pages, ReadRequest, Result, Storage,
    StorageError, Time, Timestamp, WriteRequest,
};

/// What happens instead of, or beside, the operation.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Fails before anything happened.
    Fail(StorageError),
    /// Does it, and fails all the same.
    LoseAnswer(StorageError),
    /// The stream of a read or list fails after this many bytes or entries.
    CutAfter(usize, StorageError),
    /// Never answers.
    Hang,
    /// Never gives the next piece of its stream.
    HangAfter(usize),
}

pub(crate) struct Fake {
    capability: Capability,
    /// The time that stat gives: exactly the written one, or nothing.
    keeps_time: bool,
    pub objects: Mutex<BTreeMap<ObjectKey, (Bytes, Timestamp, u64)>>,
    faults: Mutex<HashMap<&'static str, VecDeque<Fault>>>,
    /// Each call with its arguments.
    pub calls: Mutex<Vec<String>>,
    writes: AtomicU64,
}

pub(crate) fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).unwrap()
}

pub(crate) fn error(kind: ErrorKind) -> StorageError {
    StorageError::new(kind, "planned")
}

/// Bytes in one chunk of a body.
pub(crate) const CHUNK: usize = 10;

impl Fake {
    pub fn new(bits: u64) -> Fake {
        Fake {
            capability: Capability::new(bits),
            keeps_time: true,
            objects: Mutex::default(),
            faults: Mutex::default(),
            calls: Mutex::default(),
            writes: AtomicU64::new(0),
        }
    }

    /// Of stores that keep no written time.
    pub fn keeping_time(mut self, keeps_time: bool) -> Fake {
        self.keeps_time = keeps_time;
        self
    }

    pub fn with(mut self, capability: Capability) -> Fake {
        self.capability = capability;
        self
    }

    pub fn plan(&self, operation: &'static str, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().entry(operation).or_default().extend(faults);
    }

    pub fn put(&self, name: &str, content: impl Into<Bytes>) {
        let version = self.writes.fetch_add(1, Relaxed);
        self.objects.lock().unwrap().insert(key(name), (content.into(), Timestamp(7), version));
    }

    pub fn calls_of(&self, operation: &str) -> Vec<String> {
        self.calls.lock().unwrap().iter().filter(|call| call.starts_with(operation)).cloned().collect()
    }

    fn met(&self, operation: &'static str, arguments: String) -> Option<Fault> {
        self.calls.lock().unwrap().push(format!("{operation} {arguments}"));
        self.faults.lock().unwrap().get_mut(operation)?.pop_front()
    }

    fn info(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        let objects = self.objects.lock().unwrap();
        let (content, time, version) = objects.get(key).ok_or_else(|| StorageError::not_found(key))?;
        let time = if self.keeps_time { Time::Exact(*time) } else { Time::Unknown };
        let info = ObjectInfo::new(key.clone(), content.len() as u64, time);
        Ok(if self.capability.has(Capability::READ_VERSION) { info.with_version(version.to_string()) } else { info })
    }
}

/// Pieces, then perhaps an error or silence.
fn faulty<T: Send + 'static>(pieces: Vec<T>, fault: Option<Fault>) -> stream::BoxStream<'static, Result<T>> {
    match fault {
        Some(Fault::CutAfter(_, error)) => {
            stream::iter(pieces.into_iter().map(Ok)).chain(stream::iter([Err(error)])).boxed()
        }
        Some(Fault::HangAfter(_)) => stream::iter(pieces.into_iter().map(Ok)).chain(stream::pending()).boxed(),
        _ => stream::iter(pieces.into_iter().map(Ok)).boxed(),
    }
}

fn cut(fault: Option<&Fault>, whole: usize) -> usize {
    match fault {
        Some(Fault::CutAfter(at, _) | Fault::HangAfter(at)) => whole.min(*at),
        _ => whole,
    }
}

async fn before(fault: Option<&Fault>) -> Result<()> {
    match fault {
        Some(Fault::Fail(error)) => Err(error.clone()),
        Some(Fault::Hang) => std::future::pending().await,
        _ => Ok(()),
    }
}

fn after<T>(fault: Option<Fault>, done: T) -> Result<T> {
    match fault {
        Some(Fault::LoseAnswer(error)) => Err(error),
        _ => Ok(done),
    }
}

#[async_trait]
impl Storage for Fake {
    fn capability(&self) -> Capability {
        self.capability.clone()
    }

    async fn list(&self, request: ListRequest) -> Result<Pages> {
        let fault = self.met("list", request.prefix.to_string());
        before(fault.as_ref()).await?;
        let keys: Vec<ObjectKey> = self.objects.lock().unwrap().keys().cloned().collect();
        let keys = &keys[..cut(fault.as_ref(), keys.len())];
        let entries: Result<Vec<Entry>> = keys.iter().map(|key| self.info(key).map(Entry::Object)).collect();
        Ok(faulty(entries?.into_iter().map(|entry| vec![entry]).collect(), fault))
    }

    async fn stat(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        let fault = self.met("stat", key.to_string());
        before(fault.as_ref()).await?;
        self.info(key)
    }

    async fn read(&self, request: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
        let version = request.version.as_deref().unwrap_or("-");
        let fault = self.met("read", format!("{} {} {version}", request.key, request.offset));
        before(fault.as_ref()).await?;
        let info = self.info(&request.key)?;
        if request.version.is_some() && request.version != info.version {
            return Err(StorageError::conflict(&request.key));
        }
        let content = self.objects.lock().unwrap()[&request.key].0.clone();
        let end = request.len.map_or(content.len(), |len| (request.offset + len) as usize);
        let wanted = content.slice(request.offset as usize..end);
        let given = wanted.slice(..cut(fault.as_ref(), wanted.len()));
        let chunks = given.chunks(CHUNK).map(|chunk| given.slice_ref(chunk)).collect();
        Ok((Some(info), Body::new(faulty(chunks, fault))))
    }

    async fn write(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo> {
        let fault = self.met("write", format!("{} buffer {}", request.key, request.buffer));
        before(fault.as_ref()).await?;
        let content = body.collect(u64::MAX).await?;
        if request.if_absent && self.objects.lock().unwrap().contains_key(&request.key) {
            return Err(StorageError::conflict(&request.key));
        }
        let version = self.writes.fetch_add(1, Relaxed);
        self.objects.lock().unwrap().insert(request.key.clone(), (content, request.time, version));
        after(fault, self.info(&request.key)?)
    }

    /// The planned faults of `delete` are for the call; those of `delete one` for keys, in order.
    async fn delete(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
        let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
        let fault = self.met("delete", names.join(" "));
        before(fault.as_ref()).await?;
        let mut one = self.faults.lock().unwrap().remove("delete one").unwrap_or_default();
        let delete = |key: &ObjectKey| match one.pop_front() {
            Some(Fault::Fail(error)) => Err(error),
            _ => {
                self.objects.lock().unwrap().remove(key);
                Ok(())
            }
        };
        Ok(keys.iter().map(delete).collect())
    }
}

/// A body that gives these pieces, each after a pause.
pub(crate) fn slow_body(pieces: Vec<Bytes>, pause: Duration) -> Body {
    Body::new(stream::iter(pieces).then(move |piece| async move {
        tokio::time::sleep(pause).await;
        Ok(piece)
    }))
}

pub(crate) fn shared(fake: Fake) -> (Arc<Fake>, Arc<dyn Storage>) {
    let fake = Arc::new(fake);
    (fake.clone(), fake)
}
