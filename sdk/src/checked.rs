//! The wrapper every store runs in, loaded or linked, in production and in tests: what can be counted is counted once,
//! here, so that a plugin author need not and a cut stream is never taken for a whole one.

use crate::error::{Result, StorageError};
use crate::storage::Storage;
use crate::types::{
    Body, Capability, Entry, ListRequest, ObjectInfo, ObjectKey, Page, Pages, ReadRequest, ReplicaPath, WriteRequest,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{StreamExt, unfold};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A store whose body lengths and result counts are checked.
///
/// - A body for `write` that is shorter or longer than announced reaches the store as an error.
/// - A `write` that says it succeeded must have taken the whole body, and must say its size.
/// - What `list`, `stat` and `write` describe must be what they were asked about: a listing that names objects of a
///   neighbour would lead to their deletion.
/// - A body of `read` must have the length that was asked for, or that its own description gives.
/// - `delete` must give one result for each key.
pub struct Checked<S: ?Sized> {
    inner: Arc<S>,
}

impl<S: Storage> Checked<S> {
    /// Around `storage`.
    pub fn new(storage: S) -> Self {
        Self { inner: Arc::new(storage) }
    }
}

impl<S: Storage + ?Sized> From<Arc<S>> for Checked<S> {
    fn from(inner: Arc<S>) -> Self {
        Self { inner }
    }
}

impl<S: ?Sized> fmt::Debug for Checked<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checked").finish_non_exhaustive()
    }
}

#[async_trait]
impl<S: Storage + ?Sized> Storage for Checked<S> {
    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    async fn list(&self, request: ListRequest) -> Result<Pages> {
        let prefix = request.prefix.clone();
        Ok(pages(prefix, self.inner.list(request).await?))
    }

    async fn stat(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        same_object(key, self.inner.stat(key).await?)
    }

    async fn read(&self, request: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
        let wanted = Wanted::of(&request);
        let (info, body) = self.inner.read(request).await?;
        let body = wanted.check(info.as_ref(), body);
        Ok((info, body))
    }

    async fn write(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo> {
        let (key, taken) = (request.key.clone(), Taken::default());
        let body = taken.watch(body, request.size);
        taken.judge(&key, self.inner.write(request, body).await?)
    }

    async fn delete(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
        let asked = keys.len();
        results(asked, self.inner.delete(keys).await?)
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }

    async fn extension(&self, operation: &str, args: Bytes) -> Result<Bytes> {
        self.inner.extension(operation, args).await
    }
}

/// A listing of what lies below `prefix`, and of nothing else.
pub(crate) fn pages(prefix: ReplicaPath, pages: Pages) -> Pages {
    pages.map(move |page| page.and_then(|page| all_below(&prefix, page))).boxed()
}

fn all_below(prefix: &ReplicaPath, page: Page) -> Result<Page> {
    for entry in &page {
        let inside = match entry {
            Entry::Object(info) => info.key.below(prefix).is_some(),
            Entry::Dir(dir) => prefix.contains(dir),
        };
        if !inside {
            return Err(StorageError::broken_contract(format!("a listing below {prefix} gave {entry:?}")));
        }
    }
    Ok(page)
}

/// What is described is what was asked about.
pub(crate) fn same_object(key: &ObjectKey, info: ObjectInfo) -> Result<ObjectInfo> {
    if info.key == *key {
        return Ok(info);
    }
    Err(StorageError::broken_contract(format!("asked about {key}, the store describes {}", info.key)))
}

/// One result for each key.
pub(crate) fn results(asked: usize, results: Vec<Result<()>>) -> Result<Vec<Result<()>>> {
    if results.len() == asked {
        return Ok(results);
    }
    let given = results.len();
    Err(StorageError::broken_contract(format!("a delete of {asked} keys gave {given} results")))
}

/// What a read asked for.
pub(crate) struct Wanted {
    offset: u64,
    len: Option<u64>,
}

impl Wanted {
    pub fn of(request: &ReadRequest) -> Self {
        Self { offset: request.offset, len: request.len }
    }

    /// The body, with an error in place of an end at another length.
    pub fn check(self, info: Option<&ObjectInfo>, body: Body) -> Body {
        let described = info.map(|info| info.size.saturating_sub(self.offset));
        counted(body, self.len.or(described), Side::Read, Taken::default())
    }
}

/// How much of a body was taken, and whether to its end. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Taken {
    /// Bytes plus one once the end was reached; 0 before.
    end: Arc<AtomicU64>,
}

impl Taken {
    /// The body for a store, which fails at another length than announced.
    pub fn watch(&self, body: Body, announced: Option<u64>) -> Body {
        counted(body, announced, Side::Write, self.clone())
    }

    /// The answer of a store that says it has written `key`.
    pub fn judge(&self, key: &ObjectKey, info: ObjectInfo) -> Result<ObjectInfo> {
        let info = same_object(key, info)?;
        match self.whole() {
            None => Err(StorageError::broken_contract(format!(
                "writing {key} succeeded, but its body was not taken to the end"
            ))),
            Some(size) if size != info.size => Err(StorageError::broken_contract(format!(
                "writing {key}: {size} bytes were given, {} are said to be stored",
                info.size
            ))),
            Some(_) => Ok(info),
        }
    }

    fn reach_end(&self, bytes: u64) {
        self.end.store(bytes + 1, Ordering::Release);
    }

    fn whole(&self) -> Option<u64> {
        self.end.load(Ordering::Acquire).checked_sub(1)
    }
}

#[derive(Clone, Copy)]
enum Side {
    Read,
    Write,
}

impl Side {
    /// A short read is a broken connection until proved otherwise; a short write is the caller's mistake.
    fn too_short(self, got: u64, size: u64) -> StorageError {
        match self {
            Self::Read => StorageError::transient(format!("the object ended after {got} of {size} bytes")),
            Self::Write => StorageError::invalid_input(format!("the body ended after {got} of {size} announced bytes")),
        }
    }

    fn too_long(self, got: u64, size: u64) -> StorageError {
        match self {
            Self::Read => StorageError::broken_contract(format!("{got} bytes were given for the {size} asked for")),
            Self::Write => {
                StorageError::invalid_input(format!("the body has {got} bytes and more, {size} were announced"))
            }
        }
    }
}

/// `body`, with an error in place of an end at another length than `size`.
fn counted(body: Body, size: Option<u64>, side: Side, taken: Taken) -> Body {
    let hint = size.or(body.size_hint());
    if size == Some(0) {
        taken.reach_end(0);
    }
    let stream = unfold(Some((body, 0_u64, taken)), move |state| async move {
        let (mut body, got, taken) = state?;
        match body.next().await {
            Ok(Some(chunk)) => {
                let got = got + chunk.len() as u64;
                if let Some(size) = size.filter(|size| got > *size) {
                    return Some((Err(side.too_long(got, size)), None));
                }
                if size == Some(got) {
                    taken.reach_end(got); // a client that announced the length need not ask for the end
                }
                Some((Ok(chunk), Some((body, got, taken))))
            }
            Ok(None) => match size {
                Some(size) if got < size => Some((Err(side.too_short(got, size)), None)),
                _ => {
                    taken.reach_end(got);
                    None
                }
            },
            Err(error) => Some((Err(error), None)),
        }
    });
    let checked = Body::new(stream);
    match hint {
        Some(size) => checked.with_size_hint(size),
        None => checked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::types::{Time, Timestamp};

    /// Takes `chunks` chunks of each body, and then says that it stored what it got plus `lie`.
    struct Careless {
        chunks: usize,
        lie: u64,
    }

    #[async_trait]
    impl Storage for Careless {
        fn capability(&self) -> Capability {
            Capability::default()
        }
        async fn list(&self, _: ListRequest) -> Result<Pages> {
            let page = vec![Entry::Object(ObjectInfo::new(ObjectKey::parse("p/ab/x").unwrap(), 0, Time::Unknown))];
            Ok(futures::stream::iter([Ok(page)]).boxed())
        }
        async fn stat(&self, _: &ObjectKey) -> Result<ObjectInfo> {
            Ok(ObjectInfo::new(key(), 0, Time::Unknown))
        }
        async fn read(&self, request: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
            let info = request.version.map(|_| ObjectInfo::new(request.key, 4, Time::Unknown));
            Ok((info, Body::from_bytes("abc")))
        }
        async fn write(&self, request: WriteRequest, mut body: Body) -> Result<ObjectInfo> {
            let mut size = self.lie;
            for _ in 0..self.chunks {
                size += body.next().await?.map_or(0, |chunk| chunk.len() as u64);
            }
            Ok(ObjectInfo::new(request.key, size, Time::Unknown))
        }
        async fn delete(&self, _: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
            Ok(vec![Ok(())])
        }
    }

    fn key() -> ObjectKey {
        ObjectKey::parse("k").unwrap()
    }

    async fn write(store: Careless, size: Option<u64>) -> Result<ObjectInfo> {
        let chunks = ["ab", "cd"].map(|part| Ok(Bytes::from_static(part.as_bytes())));
        let mut request = WriteRequest::new(key(), Timestamp(0));
        request.size = size;
        Checked::new(store).write(request, Body::new(futures::stream::iter(chunks))).await
    }

    #[tokio::test]
    async fn a_write_must_take_and_report_the_whole_body() {
        assert_eq!(write(Careless { chunks: 3, lie: 0 }, None).await.unwrap().size, 4);
        assert_eq!(write(Careless { chunks: 2, lie: 0 }, Some(4)).await.unwrap().size, 4);
        for (store, size) in [
            (Careless { chunks: 2, lie: 0 }, None),    // never asked for the end
            (Careless { chunks: 1, lie: 0 }, Some(4)), // stopped early
            (Careless { chunks: 3, lie: 1 }, None),    // says it stored more
        ] {
            assert_eq!(write(store, size).await.unwrap_err().kind, ErrorKind::BROKEN_CONTRACT);
        }
        for size in [3, 5] {
            let error = write(Careless { chunks: 3, lie: 0 }, Some(size)).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::INVALID_INPUT, "a body of 4 bytes announced as {size}");
        }
    }

    #[tokio::test]
    async fn a_read_must_have_the_length_asked_for() {
        let read = async |request| {
            let (_, body) = Checked::new(Careless { chunks: 0, lie: 0 }).read(request).await.unwrap();
            body.collect(100).await.map_err(|error| error.kind)
        };
        assert_eq!(read(ReadRequest::whole(key())).await, Ok("abc".into()));
        assert_eq!(read(ReadRequest::range(key(), 0, 3)).await, Ok("abc".into()));
        assert_eq!(read(ReadRequest::range(key(), 0, 4)).await, Err(ErrorKind::TRANSIENT));
        assert_eq!(read(ReadRequest::range(key(), 0, 2)).await, Err(ErrorKind::BROKEN_CONTRACT));
        // its own description says 4 bytes
        assert_eq!(read(ReadRequest::whole(key()).with_version("v")).await, Err(ErrorKind::TRANSIENT));
    }

    #[tokio::test]
    async fn answers_must_be_about_what_was_asked() {
        let store = Checked::new(Careless { chunks: 0, lie: 0 });
        assert!(store.stat(&key()).await.is_ok());
        let other = store.stat(&ObjectKey::parse("other").unwrap()).await.unwrap_err();
        assert_eq!(other.message, "asked about other, the store describes k");

        let list = async |prefix: &str| {
            let request = ListRequest::below(ReplicaPath::parse(prefix).unwrap());
            store.list(request).await.unwrap().next().await.unwrap().map(|page| page.len())
        };
        assert_eq!((list("").await, list("p/ab").await), (Ok(1), Ok(1)));
        assert_eq!(list("p/a").await.unwrap_err().kind, ErrorKind::BROKEN_CONTRACT);
    }

    #[tokio::test]
    async fn a_delete_must_answer_for_each_key() {
        let error = Checked::new(Careless { chunks: 0, lie: 0 }).delete(vec![key(), key()]).await.unwrap_err();
        assert_eq!(error.message, "a delete of 2 keys gave 1 results");
    }
}
