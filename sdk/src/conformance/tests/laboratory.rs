//! A memory store behind the real boundary, with everything around it that a check can ask for: a second client, locked
//! keys, a wrong bucket, a wrong secret, and a network that fails as networks do.

use crate::bridge::HostModule;
use crate::bridge::host::HostSettings;
use crate::conformance::{FaultProxy, ForeignClient, KeyLock, NetworkFault, Subject};
use crate::context::NoHost;
use crate::describe::ConfigureRequest;
use crate::error::{ErrorKind, Result, StorageError};
use crate::fault::{Defect, DefectiveStorage};
use crate::memory::{MemoryPlugin, MemoryStorage};
use crate::storage::Storage;
use crate::types::*;
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::StreamExt;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// A subject for which no check is skipped but those of a full run. Every store of it has the defect.
pub async fn subject(name: &str, defect: Option<Defect>) -> Subject {
    let module = HostModule::in_process::<MemoryPlugin>(Arc::new(NoHost), &HostSettings::new("0.1.0"));
    let opened = module.open(&ConfigureRequest::new().with_url(format!("memory://{name}"))).await.unwrap();
    let wall = Arc::new(Wall::new(opened));
    let foreign: Arc<dyn ForeignClient> = Arc::new(MemoryStorage::named(name));
    let (storage, foreign) = match defect {
        None => (wall.clone() as Arc<dyn Storage>, foreign),
        Some(defect) => {
            let defective = Arc::new(DefectiveStorage::new(wall.clone(), defect));
            (defective.clone() as Arc<dyn Storage>, defective as Arc<dyn ForeignClient>)
        }
    };
    let spoilt = move |inner: Arc<dyn Storage>| -> Arc<dyn Storage> {
        match defect {
            None => inner,
            Some(defect) => Arc::new(DefectiveStorage::new(inner, defect)),
        }
    };
    let closed = move |kind| spoilt(Arc::new(Closed(StorageError::new(kind, "planted"))));
    let network = Arc::new(Network { inner: wall.clone(), fault: Mutex::default(), requests: AtomicU64::new(0) });
    Subject::new(storage)
        .with_foreign_client(foreign)
        .with_locks(wall)
        .with_wrong_bucket(move || std::future::ready(Ok(closed(ErrorKind::NO_STORE))))
        .with_wrong_secret(move || std::future::ready(Ok(closed(ErrorKind::UNAUTHENTICATED))))
        .with_network(
            match defect {
                None => network.clone() as Arc<dyn Storage>,
                Some(defect) => Arc::new(DefectiveStorage::new(network.clone(), defect)),
            },
            network,
        )
}

/// Keys that may not be deleted.
struct Wall {
    inner: Arc<dyn Storage>,
    locked: Mutex<BTreeSet<ObjectKey>>,
}

impl Wall {
    fn new(inner: Arc<dyn Storage>) -> Self {
        Self { inner, locked: Mutex::default() }
    }
}

#[async_trait]
impl KeyLock for Wall {
    async fn lock(&self, key: &ObjectKey) -> Result<()> {
        self.locked.lock().unwrap().insert(key.clone());
        Ok(())
    }

    async fn unlock(&self, key: &ObjectKey) -> Result<()> {
        self.locked.lock().unwrap().remove(key);
        Ok(())
    }
}

#[async_trait]
impl Storage for Wall {
    fn capability(&self) -> Capability {
        self.inner.capability()
    }
    async fn list(&self, request: ListRequest) -> Result<Pages> {
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
        let mut results = Vec::new();
        for key in keys {
            let locked = self.locked.lock().unwrap().contains(&key);
            results.push(match locked {
                true => Err(StorageError::new(ErrorKind::PERMISSION_DENIED, format!("{key} is locked"))),
                false => self.inner.delete(vec![key]).await?.remove(0),
            });
        }
        Ok(results)
    }
    async fn extension(&self, operation: &str, args: Bytes) -> Result<Bytes> {
        self.inner.extension(operation, args).await
    }
}

/// A store that answers nothing else.
struct Closed(StorageError);

#[async_trait]
impl Storage for Closed {
    fn capability(&self) -> Capability {
        Capability::default()
    }
    async fn list(&self, _: ListRequest) -> Result<Pages> {
        Err(self.0.clone())
    }
    async fn stat(&self, _: &ObjectKey) -> Result<ObjectInfo> {
        Err(self.0.clone())
    }
    async fn read(&self, _: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
        Err(self.0.clone())
    }
    async fn write(&self, _: WriteRequest, _: Body) -> Result<ObjectInfo> {
        Err(self.0.clone())
    }
    async fn delete(&self, _: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
        Err(self.0.clone())
    }
}

/// A plugin and its proxy in one: what an honest plugin makes of each fault.
struct Network {
    inner: Arc<dyn Storage>,
    fault: Mutex<Option<NetworkFault>>,
    requests: AtomicU64,
}

#[async_trait]
impl FaultProxy for Network {
    async fn set(&self, fault: Option<NetworkFault>) -> Result<()> {
        *self.fault.lock().unwrap() = fault;
        Ok(())
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

impl Network {
    fn pass(&self) -> Result<Option<NetworkFault>> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let fault = *self.fault.lock().unwrap();
        match fault {
            Some(NetworkFault::SlowDown { retry_after }) => {
                Err(StorageError::new(ErrorKind::RATE_LIMITED, "slow down").with_retry_after(retry_after))
            }
            Some(NetworkFault::Refuse) => Err(StorageError::transient("no connection")),
            fault => Ok(fault),
        }
    }
}

/// The body until `after` bytes have passed, and then an error.
fn cut(body: Body, after: u64) -> Body {
    Body::new(body.into_stream().scan(after, |left, chunk| {
        let chunk = chunk.and_then(|chunk| {
            *left = left.checked_sub(chunk.len() as u64).ok_or_else(|| StorageError::transient("cut"))?;
            Ok(chunk)
        });
        std::future::ready(Some(chunk))
    }))
}

#[async_trait]
impl Storage for Network {
    fn capability(&self) -> Capability {
        self.inner.capability()
    }
    async fn list(&self, request: ListRequest) -> Result<Pages> {
        self.pass()?;
        self.inner.list(request).await
    }
    async fn stat(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        self.pass()?;
        self.inner.stat(key).await
    }
    async fn read(&self, request: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
        let fault = self.pass()?;
        let (info, body) = self.inner.read(request).await?;
        Ok(match fault {
            Some(NetworkFault::CutDownload { after }) => (info, cut(body, after)),
            _ => (info, body),
        })
    }
    async fn write(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo> {
        match self.pass()? {
            Some(NetworkFault::CutUpload { after }) => {
                // The store sees a body that broke, and leaves nothing of it.
                self.inner.write(request, cut(body, after)).await
            }
            _ => self.inner.write(request, body).await,
        }
    }
    async fn delete(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
        self.pass()?;
        self.inner.delete(keys).await
    }
}
