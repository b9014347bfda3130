//! Stores that break one promise each.

mod bodies;

use crate::conformance::ForeignClient;
use crate::error::{ErrorKind, Result, StorageError};
use crate::storage::Storage;
use crate::types::{
    Body, Capability, CopyRequest, Entry, ListMode, ListRequest, ObjectInfo, ObjectKey, Page, Pages, ReadRequest, Time,
    Timestamp, WriteRequest,
};
use async_trait::async_trait;
use bodies::{ends_when_dropped, held, kept, list_by_text, read_in_pieces, without_error};
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// Copies half of an object.
    CopiesHalf "W11",
    /// A copy has the time of copying.
    CopyForgetsTime "W11",
    /// A copy is a rename.
    CopyMoves "W11",
    /// Copies what is not there as an empty object.
    CopiesNothing "W11",
    /// Reads everything when nothing is asked for.
    LenZeroIsAll "R1",
    /// Another kind for an object that is not there.
    OtherKind "R2",
    /// Reads whatever is there now.
    IgnoresVersion "R3",
    /// Takes a stream that broke for its end.
    ShortReadAccepted "R4",
    /// Takes a cut connection for an error that stays.
    CutIsPermanent "R4",
    /// Asks for each piece of an object by name.
    MixesOnReplace "R5",
    /// Lists backwards.
    Reversed "L1",
    /// Lists from the beginning.
    IgnoresStartAfter "L2",
    /// Takes the name to start after for a prefix of names.
    StartAfterIsPrefix "L2",
    /// A prefix ends anywhere.
    StringPrefix "L3",
    /// Enters directories.
    Recursive "L4",
    /// One page and no more.
    StopsAt1000 "L5",
    /// One name of another program, and nothing is listed.
    ChokesOnForeignNames "L6",
    /// A bucket that does not exist has no objects.
    WrongBucketIsEmpty "L7",
    /// Says nothing about any key.
    NoResults "D1",
    /// Says it is gone, and keeps it.
    DeleteLies "D1",
    /// A key that is not there fails.
    MissingIsAnError "D1",
    /// One key that stays, and the whole delete fails.
    OneFailureFailsAll "D2",
    /// Reads `+` in a name as a space.
    DecodesNames "N1",
    /// Does not list names that begin with a dot.
    HidesLeadingDots "N1",
    /// One buffer for all writes.
    SharedBuffer "C1",
    /// One write at a time.
    OneLock "C2",
    /// Refused credentials may pass.
    WrongSecretMayPass "E1",
    /// A request to slow down is a broken connection.
    SlowDownIsTransient "E2",
    /// Forgets for how long.
    LosesRetryAfter "E2",
    /// Keeps a large object whole before it does anything.
    HoldsLargeObjects "P1",
    /// A panic leaves a lock that nobody gets any more.
    FailsAfterPanic "P2",
}

/// A store with one defect.
pub struct DefectiveStorage {
    inner: Arc<dyn Storage>,
    defect: Defect,
    buffer: Mutex<Vec<u8>>,
    lock: tokio::sync::Mutex<()>,
    panicked: AtomicBool,
    /// Names that another program put beside ours.
    foreign: Mutex<BTreeSet<Vec<u8>>>,
}

impl DefectiveStorage {
    /// `inner` with one promise broken.
    pub fn new(inner: Arc<dyn Storage>, defect: Defect) -> Self {
        Self {
            inner,
            defect,
            buffer: Mutex::default(),
            lock: tokio::sync::Mutex::default(),
            panicked: AtomicBool::new(false),
            foreign: Mutex::default(),
        }
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

    /// The error as this store classifies it.
    fn kind(&self, mut error: StorageError) -> StorageError {
        match (self.defect, error.kind) {
            (Defect::OtherKind, ErrorKind::NOT_FOUND) => error.kind = ErrorKind::PERMANENT,
            (Defect::CutIsPermanent, ErrorKind::TRANSIENT) => error.kind = ErrorKind::PERMANENT,
            (Defect::WrongSecretMayPass, ErrorKind::UNAUTHENTICATED) => error.kind = ErrorKind::TRANSIENT,
            (Defect::SlowDownIsTransient, ErrorKind::RATE_LIMITED) => error.kind = ErrorKind::TRANSIENT,
            (Defect::LosesRetryAfter, _) => error.retry_after = None,
            _ => {}
        }
        error
    }

    /// What a poisoned lock makes of every call.
    fn usable(&self) -> Result<()> {
        if self.panicked.load(Ordering::Relaxed) { Err(StorageError::permanent("a poisoned lock")) } else { Ok(()) }
    }

    fn sees_foreign_names(&self, request: &ListRequest) -> bool {
        let foreign = self.foreign.lock().unwrap_or_else(PoisonError::into_inner);
        self.has(Defect::ChokesOnForeignNames) && foreign.iter().any(|name| name.starts_with(request.prefix.as_bytes()))
    }

    async fn store(&self, request: &WriteRequest, data: impl Into<Bytes>) -> Result<ObjectInfo> {
        let data = data.into();
        self.inner.write(request.clone().with_size(data.len() as u64), Body::from_bytes(data)).await
    }

    /// A body whose errors stay.
    fn permanent(body: Body) -> Body {
        let as_it_is = |error: StorageError| StorageError::permanent(error.message);
        Body::new(body.into_stream().map(move |chunk| chunk.map_err(as_it_is)))
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

impl DefectiveStorage {
    async fn copied(&self, request: CopyRequest) -> Result<Bytes> {
        let (from, to) = (self.name(&request.from), self.name(&request.to));
        let found = self.inner.stat(&from).await;
        let time = match found.as_ref().map(|info| info.time) {
            Ok(Time::Exact(time)) if !self.has(Defect::CopyForgetsTime) => time,
            _ => Timestamp(1),
        };
        let data = match found {
            Err(error) if !self.has(Defect::CopiesNothing) => return Err(self.kind(error)),
            Err(_) => Bytes::new(),
            Ok(_) => self.inner.read(ReadRequest::whole(from.clone())).await?.1.collect(u64::MAX).await?,
        };
        let len = if self.has(Defect::CopiesHalf) { data.len() / 2 } else { data.len() };
        self.store(&WriteRequest::new(to, time), data.slice(..len)).await?;
        if self.has(Defect::CopyMoves) {
            self.inner.delete(vec![from]).await?;
        }
        Ok(Bytes::new())
    }
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
            Defect::StringPrefix => return list_by_text(&*self.inner, request).await,
            Defect::StartAfterIsPrefix => {
                let Some(prefix) = request.start_after.clone() else { return self.inner.list(request).await };
                return Ok(kept(self.inner.list(request).await?, move |name| name.starts_with(prefix.as_bytes())));
            }
            Defect::HidesLeadingDots => {
                let hidden = |name: &[u8]| name.windows(2).any(|two| two == b"/.");
                return Ok(kept(self.inner.list(request).await?, move |name| !hidden(name)));
            }
            Defect::ChokesOnForeignNames if self.sees_foreign_names(&request) => {
                return Err(StorageError::permanent("a name that is none"));
            }
            _ => {}
        }
        let pages = match self.inner.list(request).await {
            Err(error) if self.has(Defect::WrongBucketIsEmpty) && error.kind == ErrorKind::NO_STORE => {
                return Ok(stream::empty().boxed());
            }
            pages => pages.map_err(|error| self.kind(error))?,
        };
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
        self.usable()?;
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
        self.usable()?;
        if self.has(Defect::MixesOnReplace) {
            let size = self.inner.stat(&request.key).await?.size;
            let end = request.len.map_or(size, |len| size.min(request.offset + len));
            return Ok((None, read_in_pieces(self.inner.clone(), request, end)));
        }
        let (info, body) = self.inner.read(request).await.map_err(|error| self.kind(error))?;
        Ok(match self.defect {
            Defect::ShortReadAccepted => (None, without_error(body)),
            Defect::CutIsPermanent => (info, Self::permanent(body)),
            _ => (info, body),
        })
    }

    async fn write(&self, mut request: WriteRequest, body: Body) -> Result<ObjectInfo> {
        self.usable()?;
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
            Defect::HoldsEverything | Defect::HoldsLargeObjects => self.inner.write(request, held(body).await?).await,
            Defect::SharedBuffer => self.through_one_buffer(request, body).await,
            Defect::OneLock => {
                let _alone = self.lock.lock().await;
                self.inner.write(request, body).await
            }
            _ => self.inner.write(request, body).await,
        };
        info.map(|info| self.told(info)).map_err(|error| self.kind(error))
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
            Defect::OneFailureFailsAll => {
                let results = self.inner.delete(keys).await?;
                let failed = results.iter().find_map(|result| result.clone().err());
                failed.map_or(Ok(results), Err)
            }
            _ => self.inner.delete(keys).await.map_err(|error| self.kind(error)),
        }
    }

    async fn extension(&self, operation: &str, args: Bytes) -> Result<Bytes> {
        if operation == CopyRequest::OPERATION {
            return self.copied(CopyRequest::from_args(&args)?).await;
        }
        let answer = self.inner.extension(operation, args).await;
        let panicked = matches!(&answer, Err(error) if error.kind == ErrorKind::PLUGIN_PANIC);
        self.panicked.store(panicked && self.has(Defect::FailsAfterPanic), Ordering::Relaxed);
        answer
    }
}

/// The other program leaves its names in the books of a store that cannot have them, so that it can be seen to choke.
#[async_trait]
impl ForeignClient for DefectiveStorage {
    async fn put(&self, name: &[u8]) -> Result<()> {
        self.foreign.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_vec());
        Ok(())
    }

    async fn remove(&self, name: &[u8]) -> Result<()> {
        self.foreign.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        Ok(())
    }
}
