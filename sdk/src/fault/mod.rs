//! Stores that go wrong on purpose, for tests of everything above a store.
//!
//! [`FaultyStorage`] meets with failures that honest stores meet: errors, delays, cut streams, lost answers, panics.
//! [`DefectiveStorage`] breaks one promise of the contract, so that the conformance check of that promise can be checked.

mod defect;

pub use defect::{Defect, DefectiveStorage};

use crate::error::{ErrorKind, Result, StorageError};
use crate::storage::Storage;
use crate::types::{Body, Capability, ListRequest, ObjectInfo, ObjectKey, Pages, ReadRequest, WriteRequest};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A call of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `list`
    List,
    /// `stat`
    Stat,
    /// `read`
    Read,
    /// `write`
    Write,
    /// `delete`
    Delete,
    /// `close`
    Close,
}

/// What happens to a call.
#[derive(Clone, Debug)]
pub enum Effect {
    /// The call fails at once and changes nothing.
    Fail(StorageError),
    /// The call is done, and its answer is lost: the caller gets this error.
    LoseAnswer(StorageError),
    /// The call is done after this long.
    Delay(Duration),
    /// The call never ends.
    Hang,
    /// The call panics.
    Panic,
    /// Of a read: the body fails with the error after so many bytes. Of a list: after so many entries.
    CutAfter(u64, StorageError),
    /// Of a delete: each key whose text contains this fails with the error, and stays.
    FailKeys(String, StorageError),
}

/// A failure waiting for its call.
#[derive(Clone, Debug)]
pub struct Fault {
    operation: Option<Operation>,
    key_contains: String,
    skip: u32,
    times: u32,
    effect: Effect,
}

impl Fault {
    /// Of the next call of any kind.
    pub fn new(effect: Effect) -> Self {
        Self { operation: None, key_contains: String::new(), skip: 0, times: 1, effect }
    }

    /// A plain error of the next call.
    pub fn error(kind: ErrorKind) -> Self {
        Self::new(Effect::Fail(StorageError::new(kind, "planted failure")))
    }

    /// Only of this operation.
    pub fn of(mut self, operation: Operation) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Only of calls whose key, prefix or first key contains this.
    pub fn on_key(mut self, contains: impl Into<String>) -> Self {
        self.key_contains = contains.into();
        self
    }

    /// Lets so many fitting calls pass first.
    pub fn after(mut self, calls: u32) -> Self {
        self.skip = calls;
        self
    }

    /// So many times; once if not said.
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Until [`FaultyStorage::heal`].
    pub fn forever(self) -> Self {
        self.times(u32::MAX)
    }

    fn fits(&self, operation: Operation, key: &str) -> bool {
        self.operation.is_none_or(|wanted| wanted == operation) && key.contains(&self.key_contains)
    }
}

/// A store that fails when it is told to, and counts its calls. Clones share both.
#[derive(Clone)]
pub struct FaultyStorage {
    inner: Arc<dyn Storage>,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Default)]
struct Plan {
    faults: Vec<Fault>,
    calls: Vec<(Operation, String)>,
}

impl FaultyStorage {
    /// Around `inner`, without faults.
    pub fn new(inner: Arc<dyn Storage>) -> Self {
        Self { inner, plan: Arc::default() }
    }

    /// Plants a fault. Of several that fit a call, the one planted first happens.
    pub fn plant(&self, fault: Fault) {
        self.plan().faults.push(fault);
    }

    /// Removes every fault.
    pub fn heal(&self) {
        self.plan().faults.clear();
    }

    /// Every call so far, with its key, prefix or first key.
    pub fn calls(&self) -> Vec<(Operation, String)> {
        self.plan().calls.clone()
    }

    /// How many calls of an operation there were.
    pub fn count(&self, operation: Operation) -> usize {
        self.plan().calls.iter().filter(|(called, _)| *called == operation).count()
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call and takes the effect that waits for it.
    fn effect(&self, operation: Operation, key: &str) -> Option<Effect> {
        let mut plan = self.plan();
        plan.calls.push((operation, key.to_owned()));
        let fault = plan.faults.iter_mut().find(|fault| fault.times > 0 && fault.fits(operation, key))?;
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        if fault.times != u32::MAX {
            fault.times -= 1;
        }
        Some(fault.effect.clone())
    }

    /// The part of an effect that comes before the call; gives the part that comes after.
    async fn before(&self, operation: Operation, key: &str) -> Result<After> {
        match self.effect(operation, key) {
            None => Ok(After::Nothing),
            Some(Effect::Fail(error)) => Err(error),
            Some(Effect::LoseAnswer(error)) => Ok(After::Lose(error)),
            Some(Effect::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                Ok(After::Nothing)
            }
            Some(Effect::Hang) => pending().await,
            Some(Effect::Panic) => panic!("planted panic in {operation:?} of {key}"),
            Some(Effect::CutAfter(amount, error)) => Ok(After::Cut(amount, error)),
            Some(Effect::FailKeys(contains, error)) => Ok(After::Keys(contains, error)),
        }
    }
}

enum After {
    Nothing,
    Lose(StorageError),
    Cut(u64, StorageError),
    Keys(String, StorageError),
}

impl After {
    fn answer<T>(self, answer: T) -> Result<T> {
        match self {
            Self::Lose(error) => Err(error),
            _ => Ok(answer),
        }
    }
}

impl fmt::Debug for FaultyStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStorage").field("faults", &self.plan().faults).finish_non_exhaustive()
    }
}

#[async_trait]
impl Storage for FaultyStorage {
    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    async fn list(&self, request: ListRequest) -> Result<Pages> {
        let after = self.before(Operation::List, &request.prefix.to_string()).await?;
        let pages = self.inner.list(request).await?;
        match after {
            After::Cut(entries, error) => Ok(cut_pages(pages, entries, error)),
            after => after.answer(pages),
        }
    }

    async fn stat(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        let after = self.before(Operation::Stat, &key.to_string()).await?;
        after.answer(self.inner.stat(key).await?)
    }

    async fn read(&self, request: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
        let after = self.before(Operation::Read, &request.key.to_string()).await?;
        let (info, body) = self.inner.read(request).await?;
        match after {
            After::Cut(bytes, error) => Ok((info, cut_body(body, bytes, error))),
            after => after.answer((info, body)),
        }
    }

    async fn write(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo> {
        let after = self.before(Operation::Write, &request.key.to_string()).await?;
        after.answer(self.inner.write(request, body).await?)
    }

    async fn delete(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
        let first = keys.first().map(ObjectKey::to_string).unwrap_or_default();
        let after = self.before(Operation::Delete, &first).await?;
        let After::Keys(contains, error) = after else { return after.answer(self.inner.delete(keys).await?) };
        let stays: Vec<bool> = keys.iter().map(|key| key.to_string().contains(&contains)).collect();
        let goes = keys.into_iter().zip(&stays).filter(|(_, stays)| !**stays).map(|(key, _)| key).collect();
        let mut done = self.inner.delete(goes).await?.into_iter();
        let answers = stays.into_iter().map(|stays| if stays { Some(Err(error.clone())) } else { done.next() });
        Ok(answers.flatten().collect())
    }

    async fn close(&self) -> Result<()> {
        let after = self.before(Operation::Close, "").await?;
        after.answer(self.inner.close().await?)
    }

    async fn extension(&self, operation: &str, args: Bytes) -> Result<Bytes> {
        self.inner.extension(operation, args).await
    }
}

fn cut_body(body: Body, bytes: u64, error: StorageError) -> Body {
    let chunks = body.into_stream().scan(bytes, |left, chunk| {
        let kept = chunk.map(|mut chunk| {
            chunk.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= chunk.len() as u64;
            chunk
        });
        std::future::ready(Some(kept).filter(|kept| kept.as_ref().is_ok_and(|chunk| !chunk.is_empty())))
    });
    Body::new(chunks.chain(stream::iter([Err(error)])))
}

fn cut_pages(pages: Pages, entries: u64, error: StorageError) -> Pages {
    let kept = pages.scan(entries, |left, page| {
        let kept = page.map(|mut page| {
            page.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= page.len() as u64;
            page
        });
        std::future::ready(Some(kept).filter(|kept| kept.as_ref().is_ok_and(|page| !page.is_empty())))
    });
    kept.chain(stream::iter([Err(error)])).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryStorage;
    use crate::types::{ReplicaPath, Timestamp};
    use futures::TryStreamExt;

    fn key(text: &str) -> ObjectKey {
        ObjectKey::parse(text).unwrap()
    }

    async fn store() -> (MemoryStorage, FaultyStorage) {
        let memory = MemoryStorage::new();
        let faulty = FaultyStorage::new(Arc::new(memory.clone()));
        for name in ["a", "b"] {
            let request = WriteRequest::new(key(name), Timestamp(0));
            memory.write(request, Body::from_bytes("12345")).await.unwrap();
        }
        (memory, faulty)
    }

    #[tokio::test]
    async fn faults_wait_for_their_call_and_happen_as_often_as_told() {
        let (_, faulty) = store().await;
        faulty.plant(Fault::error(ErrorKind::TRANSIENT).of(Operation::Stat).on_key("b").after(1).times(2));
        let mut kinds = Vec::new();
        for _ in 0..4 {
            faulty.stat(&key("a")).await.unwrap();
            kinds.push(faulty.stat(&key("b")).await.map_err(|error| error.kind).is_ok());
        }
        assert_eq!(kinds, [true, false, false, true]);
        assert_eq!(faulty.count(Operation::Stat), 8);
    }

    #[tokio::test]
    async fn a_lost_answer_leaves_the_work_done() {
        let (memory, faulty) = store().await;
        faulty.plant(Fault::new(Effect::LoseAnswer(StorageError::transient("lost"))).of(Operation::Write));
        let request = WriteRequest::new(key("c"), Timestamp(0));
        assert!(faulty.write(request, Body::from_bytes("x")).await.is_err());
        assert_eq!(memory.stat(&key("c")).await.unwrap().size, 1);
    }

    #[tokio::test]
    async fn streams_are_cut_where_told() {
        let (_, faulty) = store().await;
        faulty.plant(Fault::new(Effect::CutAfter(3, StorageError::transient("cut"))).of(Operation::Read));
        let (_, mut body) = faulty.read(ReadRequest::whole(key("a"))).await.unwrap();
        assert_eq!(body.next().await.unwrap().unwrap(), "123");
        assert!(body.next().await.is_err());

        faulty.plant(Fault::new(Effect::CutAfter(1, StorageError::transient("cut"))).of(Operation::List));
        let pages = faulty.list(ListRequest::below(ReplicaPath::default())).await.unwrap();
        let pages: Vec<Result<usize>> = pages.map_ok(|page| page.len()).collect().await;
        assert_eq!(pages, [Ok(1), Err(StorageError::transient("cut"))]);
    }

    #[tokio::test]
    async fn some_keys_of_a_delete_can_stay() {
        let (memory, faulty) = store().await;
        let error = StorageError::new(ErrorKind::PERMISSION_DENIED, "locked");
        faulty.plant(Fault::new(Effect::FailKeys("b".into(), error.clone())).forever());
        let results = faulty.delete(vec![key("b"), key("a")]).await.unwrap();
        assert_eq!(results, [Err(error), Ok(())]);
        assert_eq!(memory.len(), 1);
        faulty.heal();
        assert_eq!(faulty.delete(vec![key("b")]).await.unwrap(), [Ok(())]);
    }
}
