//! A store whose calls wait until the simulation lets them go, each with a fate of its own.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use litestream_sdk::memory::MemoryStorage;
use litestream_sdk::{
    Body, Capability, CopyRequest, ErrorKind, ListRequest, ObjectInfo, ObjectKey, Pages, ReadRequest, Result, Storage,
    StorageError, WriteRequest,
};
use tokio::sync::oneshot;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is done.
    Done,
    /// It fails, and nothing was done.
    Fails(ErrorKind),
    /// It is done, and the answer is lost.
    Unanswered,
    /// Of a list: its answer breaks off after so many entries. Of a delete: so many keys are deleted. Else as a failure.
    BreaksOff(u64),
}

/// A call that waits.
struct Waiting {
    what: String,
    go: oneshot::Sender<Fate>,
}

#[derive(Default)]
struct Shared {
    waiting: Vec<Waiting>,
    /// Contents that a name was ever given.
    contents: BTreeMap<String, u64>,
    /// A name of level 0 that was given two contents.
    conflict: Option<String>,
    /// Names that were written since they were last asked for.
    written: Vec<String>,
    calls: u64,
}

/// See the module. Clones share everything.
#[derive(Clone, Default)]
pub struct SimStore {
    /// Without waiting, for those who look from outside.
    pub memory: MemoryStorage,
    shared: Arc<Mutex<Shared>>,
}

impl SimStore {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls that wait, in an order that does not depend on threads.
    pub fn waiting(&self) -> Vec<String> {
        let mut shared = self.shared();
        shared.waiting.retain(|call| !call.go.is_closed());
        shared.waiting.sort_by(|a, b| a.what.cmp(&b.what));
        shared.waiting.iter().map(|call| call.what.clone()).collect()
    }

    /// Lets a call of [`SimStore::waiting`] go.
    pub fn let_go(&self, index: usize, fate: Fate) {
        let call = self.shared().waiting.remove(index);
        let _ = call.go.send(fate);
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.shared().calls
    }

    /// Names that were written since the last time.
    pub fn take_written(&self) -> Vec<String> {
        std::mem::take(&mut self.shared().written)
    }

    /// The first name of level 0 that was given two contents.
    pub fn conflict(&self) -> Option<String> {
        self.shared().conflict.clone()
    }

    /// A name that somebody deleted may be given again, by those who cannot know of it.
    pub fn forget(&self, name: &str) {
        self.shared().contents.remove(name);
    }

    async fn turn(&self, what: String) -> Result<Fate> {
        let (go, turn) = oneshot::channel();
        {
            let mut shared = self.shared();
            shared.calls += 1;
            shared.waiting.push(Waiting { what, go });
        }
        match turn.await {
            Ok(Fate::Fails(kind)) => Err(StorageError::new(kind, "simulated")),
            Ok(fate) => Ok(fate),
            Err(_) => Err(StorageError::permanent("the simulation is over")),
        }
    }

    fn note(&self, name: String, content: &[u8]) {
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        let mut shared = self.shared();
        let before = shared.contents.insert(name.clone(), hasher.finish());
        if name.contains("/ltx/0/") && before.is_some_and(|before| before != hasher.finish()) {
            shared.conflict.get_or_insert(name.clone());
        }
        shared.written.push(name);
    }
}

fn unanswered<T>(fate: Fate, answer: T) -> Result<T> {
    if fate == Fate::Unanswered { Err(StorageError::transient("simulated: the answer is lost")) } else { Ok(answer) }
}

fn broken_off() -> StorageError {
    StorageError::transient("simulated: the answer breaks off")
}

#[async_trait]
impl Storage for SimStore {
    fn capability(&self) -> Capability {
        self.memory.capability()
    }

    async fn list(&self, request: ListRequest) -> Result<Pages> {
        let fate = self.turn(format!("list {}", request.prefix)).await?;
        let pages = self.memory.list(request).await?;
        let Fate::BreaksOff(entries) = fate else { return unanswered(fate, pages) };
        let mut kept: Vec<_> = pages.try_collect().await?;
        kept = vec![kept.into_iter().flatten().take(entries as usize).collect()];
        Ok(stream::iter(kept.into_iter().map(Ok).chain([Err(broken_off())])).boxed())
    }

    async fn stat(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        let fate = self.turn(format!("stat {key}")).await?;
        unanswered(fate, self.memory.stat(key).await?)
    }

    async fn read(&self, request: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
        let fate = self.turn(format!("read {}", request.key)).await?;
        if matches!(fate, Fate::BreaksOff(_)) {
            // Not half-way: a merge reads on a thread of its own, and would wait there for time that nobody lets pass.
            return Err(broken_off());
        }
        unanswered(fate, self.memory.read(request).await?)
    }

    async fn write(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo> {
        let name = request.key.to_string();
        let content = body.collect(u64::MAX).await?;
        let fate = self.turn(format!("write {name}")).await?;
        if matches!(fate, Fate::BreaksOff(_)) {
            return Err(broken_off());
        }
        let info = self.memory.write(request, Body::from_bytes(content.clone())).await?;
        self.note(name, &content);
        unanswered(fate, info)
    }

    async fn delete(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
        let first = keys.first().map(ToString::to_string).unwrap_or_default();
        let fate = self.turn(format!("delete {} from {first}", keys.len())).await?;
        let count = match fate {
            Fate::BreaksOff(count) => usize::try_from(count).unwrap_or(usize::MAX).min(keys.len()),
            _ => keys.len(),
        };
        let left = keys.len() - count;
        let mut results = self.memory.delete(keys.into_iter().take(count).collect()).await?;
        results.extend((0..left).map(|_| Err(broken_off())));
        unanswered(fate, results)
    }

    async fn extension(&self, operation: &str, args: Bytes) -> Result<Bytes> {
        let CopyRequest { from, to, .. } = CopyRequest::from_args(&args)?;
        let fate = self.turn(format!("{operation} {to} of {from}")).await?;
        if matches!(fate, Fate::BreaksOff(_)) {
            return Err(broken_off());
        }
        let answer = self.memory.extension(operation, args).await?;
        self.shared().written.push(to.to_string());
        unanswered(fate, answer)
    }
}
