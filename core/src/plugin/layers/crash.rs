//! Only with `failpoints`: the places before and after every call of a store at which a crash test kills the program.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use litestream_sdk::{
    Body, Capability, ListRequest, ObjectInfo, ObjectKey, Pages, ReadRequest, Result, Storage, WriteRequest,
};

use crate::failpoint;

/// A store with failpoints around it.
pub(in crate::plugin) struct Crash(pub Arc<dyn Storage>);

/// Does a call that a crash may precede or follow.
async fn around<T>(name: &'static str, call: impl Future<Output = T>) -> T {
    failpoint::hit(name);
    let answer = call.await;
    failpoint::hit(name);
    answer
}

#[async_trait]
impl Storage for Crash {
    fn capability(&self) -> Capability {
        self.0.capability()
    }

    async fn list(&self, request: ListRequest) -> Result<Pages> {
        around("storage-list", self.0.list(request)).await
    }

    async fn stat(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        around("storage-stat", self.0.stat(key)).await
    }

    async fn read(&self, request: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
        around("storage-read", self.0.read(request)).await
    }

    async fn write(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo> {
        let size = body.size_hint();
        let chunks = body.into_stream().inspect(|_| failpoint::hit("storage-write-chunk"));
        let body = super::hinted(Body::new(chunks), size);
        around("storage-write", self.0.write(request, body)).await
    }

    async fn delete(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
        around("storage-delete", self.0.delete(keys)).await
    }

    async fn close(&self) -> Result<()> {
        self.0.close().await
    }

    async fn extension(&self, operation: &str, args: Bytes) -> Result<Bytes> {
        // So far the only one that core sends.
        around("storage-copy", self.0.extension(operation, args)).await
    }
}
