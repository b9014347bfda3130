//! Stores that break one promise each.

use crate::error::{ErrorKind, Result, StorageError};
use crate::storage::Storage;
use crate::types::{
    Body, Capability, Entry, ListMode, ListRequest, ObjectInfo, ObjectKey, Page, Pages, ReadRequest, ReplicaPath, Time,
    Timestamp, WriteRequest,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

macro_rules! defects {
    ($($(#[$meta:meta])* $name:ident $check:literal,)+) => {
        /// A promise to break.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Defect {
            $($(#[$meta])* $name,)+
        }

        impl Defect {
            /// Every defect with the conformance check that must notice it.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, $check),)+];
        }
    };
}

defects! {
    /// Keeps half of the bytes.
    Truncates "W1",
    /// Keeps half of the bytes of a body whose size was not announced.
    TruncatesUnknownSize "W2",
    /// Shows what has been written so far.
    VisibleWhileWriting "W3",
    /// Takes an error of the body for its end.
    ErrorIsEnd "W4",
    /// A cancelled write goes on with what it has.
    CancelIsEnd "W5",
    /// A replaced object is empty for a moment.
    EmptyForAMoment "W6",
    /// Two creators win.
    IgnoresIfAbsent "W7",
    /// Gives the time of the upload.
    ServersTime "W8",
    /// Keeps the whole body before it does anything.
    HoldsEverything "W9",
    /// Checks `if_absent` only when the size is announced.
    OnlySmallBodiesChecked "W10",
    /// Reads everything when nothing is asked for.
    LenZeroIsAll "R1",
    /// Another kind for an object that is not there.
    OtherKind "R2",
    /// Reads whatever is there now.
    IgnoresVersion "R3",
    /// Lists backwards.
    Reversed "L1",
    /// Lists from the beginning.
    IgnoresStartAfter "L2",
    /// A prefix ends anywhere.
    StringPrefix "L3",
    /// Enters directories.
    Recursive "L4",
    /// One page and no more.
    StopsAt1000 "L5",
    /// Says nothing about any key.
    NoResults "D1",
    /// Says it is gone, and keeps it.
    DeleteLies "D1",
    /// A key that is not there fails.
    MissingIsAnError "D1",
    /// Reads `+` in a name as a space.
    DecodesNames "N1",
    /// One buffer for all writes.
    SharedBuffer "C1",
    /// One write at a time.
    OneLock "C2",
}

/// A store with one defect.
pub struct DefectiveStorage {
    inner: Arc<dyn Storage>,
    defect: Defect,
    buffer: Mutex<Vec<u8>>,
    lock: tokio::sync::Mutex<()>,
}

impl DefectiveStorage {
    /// `inner` with one promise broken.
    pub fn new(inner: Arc<dyn Storage>, defect: Defect) -> Self {
        Self { inner, defect, buffer: Mutex::default(), lock: tokio::sync::Mutex::default() }
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    /// The key as this store understands it.
    fn name(&self, key: &ObjectKey) -> ObjectKey {
        if !self.has(Defect::DecodesNames) {
            return key.clone();
        }
        let decoded: Vec<u8> = key.as_bytes().iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        ObjectKey::parse(decoded).unwrap_or_else(|_| key.clone())
    }

    fn told(&self, mut info: ObjectInfo) -> ObjectInfo {
        if self.has(Defect::ServersTime) {
            info.time = Time::Server(Timestamp(1));
        }
        info
    }

    fn kind(&self, error: StorageError) -> StorageError {
        let other = self.has(Defect::OtherKind) && error.kind == ErrorKind::NOT_FOUND;
        if other { StorageError::permanent(error.message) } else { error }
    }

    async fn store(&self, request: &WriteRequest, data: impl Into<Bytes>) -> Result<ObjectInfo> {
        let data = data.into();
        self.inner.write(request.clone().with_size(data.len() as u64), Body::from_bytes(data)).await
    }

    async fn half(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo> {
        let data = body.collect(u64::MAX).await?;
        let mut info = self.store(&request, data.slice(..data.len() / 2)).await?;
        info.size = data.len() as u64; // it does not even know
        Ok(info)
    }

    async fn visibly(&self, request: WriteRequest, mut body: Body) -> Result<ObjectInfo> {
        let mut data = Vec::new();
        while let Some(chunk) = body.next().await? {
            data.extend_from_slice(&chunk);
            self.store(&request, data.clone()).await?;
        }
        self.store(&request, data).await
    }

    async fn emptied(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo> {
        let data = body.collect(u64::MAX).await?;
        self.store(&request, Bytes::new()).await?;
        tokio::time::sleep(Duration::from_millis(2)).await;
        self.store(&request, data).await
    }

    async fn through_one_buffer(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo> {
        let data = body.collect(u64::MAX).await?;
        let buffer = || self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        *buffer() = data.to_vec();
        tokio::task::yield_now().await;
        let shared = buffer().clone();
        self.store(&request, shared).await
    }
}

/// A body that is kept to its end before any of it is used.
async fn held(mut body: Body) -> Result<Body> {
    let mut chunks = Vec::new();
    while let Some(chunk) = body.next().await? {
        chunks.push(Ok(chunk));
    }
    Ok(Body::new(stream::iter(chunks)))
}

fn without_error(body: Body) -> Body {
    Body::new(body.into_stream().take_while(|chunk| std::future::ready(chunk.is_ok())))
}

/// What was written so far becomes an object when the writer is dropped.
struct Unfinished {
    inner: Arc<dyn Storage>,
    request: WriteRequest,
    data: Vec<u8>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let (inner, request) = (self.inner.clone(), self.request.clone());
        let data = Bytes::from(std::mem::take(&mut self.data));
        tokio::spawn(async move {
            let request = request.with_size(data.len() as u64);
            let _ = inner.write(request, Body::from_bytes(data)).await;
        });
    }
}

async fn ends_when_dropped(inner: Arc<dyn Storage>, request: WriteRequest, mut body: Body) -> Result<ObjectInfo> {
    let mut unfinished = Unfinished { inner: inner.clone(), request: request.clone(), data: Vec::new() };
    while let Some(chunk) = body.next().await? {
        unfinished.data.extend_from_slice(&chunk);
    }
    inner.write(request, Body::from_bytes(unfinished.data.clone())).await
}

impl fmt::Debug for DefectiveStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DefectiveStorage({:?})", self.defect)
    }
}

#[async_trait]
impl Storage for DefectiveStorage {
    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    async fn list(&self, mut request: ListRequest) -> Result<Pages> {
        match self.defect {
            Defect::IgnoresStartAfter => request.start_after = None,
            Defect::Recursive => request.mode = ListMode::Recursive,
            Defect::StopsAt1000 => request.limit = Some(1000),
            Defect::StringPrefix => return self.list_by_text(request).await,
            _ => {}
        }
        let pages = self.inner.list(request).await?;
        let (backwards, server) = (self.has(Defect::Reversed), self.has(Defect::ServersTime));
        let changed = move |mut page: Page| {
            if backwards {
                page.reverse();
            }
            for entry in page.iter_mut().filter(|_| server) {
                if let Entry::Object(info) = entry {
                    info.time = Time::Server(Timestamp(1));
                }
            }
            page
        };
        Ok(pages.map(move |page| page.map(changed)).boxed())
    }

    async fn stat(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        self.inner.stat(&self.name(key)).await.map(|info| self.told(info)).map_err(|error| self.kind(error))
    }

    async fn read(&self, mut request: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
        request.key = self.name(&request.key);
        if self.has(Defect::LenZeroIsAll) && request.len == Some(0) {
            request.len = None;
        }
        if self.has(Defect::IgnoresVersion) {
            request.version = None;
        }
        self.inner.read(request).await.map_err(|error| self.kind(error))
    }

    async fn write(&self, mut request: WriteRequest, body: Body) -> Result<ObjectInfo> {
        request.key = self.name(&request.key);
        let unknown = request.size.is_none();
        let info = match self.defect {
            Defect::Truncates => self.half(request, body).await,
            Defect::TruncatesUnknownSize if unknown => self.half(request, body).await,
            Defect::VisibleWhileWriting => self.visibly(request, body).await,
            Defect::ErrorIsEnd => {
                request.size = None;
                self.inner.write(request, without_error(body)).await
            }
            Defect::CancelIsEnd => ends_when_dropped(self.inner.clone(), request, body).await,
            Defect::EmptyForAMoment => self.emptied(request, body).await,
            Defect::IgnoresIfAbsent => self.inner.write(request.with_if_absent(false), body).await,
            Defect::OnlySmallBodiesChecked if unknown => self.inner.write(request.with_if_absent(false), body).await,
            Defect::HoldsEverything => self.inner.write(request, held(body).await?).await,
            Defect::SharedBuffer => self.through_one_buffer(request, body).await,
            Defect::OneLock => {
                let _alone = self.lock.lock().await;
                self.inner.write(request, body).await
            }
            _ => self.inner.write(request, body).await,
        };
        info.map(|info| self.told(info))
    }

    async fn delete(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
        let keys: Vec<ObjectKey> = keys.iter().map(|key| self.name(key)).collect();
        match self.defect {
            Defect::NoResults => Ok(Vec::new()),
            Defect::DeleteLies => Ok(vec![Ok(()); keys.len()]),
            Defect::MissingIsAnError => {
                let mut found = Vec::new();
                for key in &keys {
                    found.push(self.inner.stat(key).await.map(|_| ()));
                }
                self.inner.delete(keys).await?;
                Ok(found)
            }
            _ => self.inner.delete(keys).await,
        }
    }
}

impl DefectiveStorage {
    /// Everything whose name begins with the text of the prefix.
    async fn list_by_text(&self, request: ListRequest) -> Result<Pages> {
        let text = request.prefix.clone();
        let everything = ListRequest { prefix: ReplicaPath::default(), ..request };
        let pages = self.inner.list(everything).await?;
        let begins = move |entry: &Entry| match entry {
            Entry::Object(info) => info.key.as_bytes().starts_with(text.as_bytes()),
            Entry::Dir(dir) => dir.as_bytes().starts_with(text.as_bytes()),
        };
        let begins = Arc::new(begins);
        let kept = pages.map(move |page| {
            let begins = begins.clone();
            page.map(|page| page.into_iter().filter(|entry| begins(entry)).collect::<Page>())
        });
        Ok(kept.filter(|page| std::future::ready(!page.as_ref().is_ok_and(Vec::is_empty))).boxed())
    }
}
