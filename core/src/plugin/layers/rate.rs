//! Listens to how the store answers, and tells [`Admission`]: "slow down" lowers the pool's limit, answers raise it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use litestream_sdk::{
    Body, Capability, ErrorKind, ListRequest, ObjectInfo, ObjectKey, Pages, ReadRequest, Result, Storage, StorageError,
    WriteRequest,
};

use super::admission::Admission;

pub(in crate::plugin) struct Rate {
    inner: Arc<dyn Storage>,
    admission: Arc<Admission>,
}

impl Rate {
    pub fn new(inner: Arc<dyn Storage>, admission: Arc<Admission>) -> Rate {
        Rate { inner, admission }
    }

    async fn heard<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let storms = self.admission.storms();
        let result = call.await;
        match &result {
            Ok(_) => self.admission.succeeded(),
            Err(error) => complain(&self.admission, storms, error),
        }
        result
    }

    fn listening<T>(
        &self,
        stream: impl Stream<Item = Result<T>> + Send + 'static,
    ) -> impl Stream<Item = Result<T>> + Send + 'static {
        let (admission, storms) = (self.admission.clone(), self.admission.storms());
        stream.inspect(move |item| {
            if let Err(error) = item {
                complain(&admission, storms, error);
            }
        })
    }
}

fn complain(admission: &Admission, storms: u64, error: &StorageError) {
    if error.kind == ErrorKind::RATE_LIMITED {
        admission.rate_limited(storms, error.retry_after);
    }
}

#[async_trait]
impl Storage for Rate {
    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    async fn list(&self, request: ListRequest) -> Result<Pages> {
        let pages = self.heard(self.inner.list(request)).await?;
        Ok(self.listening(pages).boxed())
    }

    async fn stat(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        self.heard(self.inner.stat(key)).await
    }

    async fn read(&self, request: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
        let (info, body) = self.heard(self.inner.read(request)).await?;
        let size = body.size_hint();
        Ok((info, super::hinted(Body::new(self.listening(body.into_stream())), size)))
    }

    async fn write(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo> {
        self.heard(self.inner.write(request, body)).await
    }

    async fn delete(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
        let storms = self.admission.storms();
        let results = self.heard(self.inner.delete(keys)).await?;
        for error in results.iter().filter_map(|result| result.as_ref().err()) {
            complain(&self.admission, storms, error);
        }
        Ok(results)
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }

    async fn extension(&self, operation: &str, args: Bytes) -> Result<Bytes> {
        self.heard(self.inner.extension(operation, args)).await
    }
}
