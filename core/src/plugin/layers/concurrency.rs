//! Each call waits for its place. An open body or listing holds one only while its next piece is fetched.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use litestream_sdk::{
    Body, Capability, ListRequest, ObjectInfo, ObjectKey, Pages, ReadRequest, Result, Storage, WriteRequest,
};

use super::admission::{Admission, Class};

pub(in crate::plugin) struct Concurrency {
    inner: Arc<dyn Storage>,
    admission: Arc<Admission>,
}

impl Concurrency {
    pub fn new(inner: Arc<dyn Storage>, admission: Arc<Admission>) -> Concurrency {
        Concurrency { inner, admission }
    }

    /// The same stream, each piece fetched with a permit in hand.
    fn admitted<T: Send + 'static>(
        &self,
        stream: impl futures::Stream<Item = T> + Send + Unpin + 'static,
    ) -> impl futures::Stream<Item = T> + Send + 'static {
        let admission = self.admission.clone();
        futures::stream::unfold((stream, admission), |(mut stream, admission)| async move {
            let item = {
                let _permit = admission.admit(Class::Read).await;
                stream.next().await
            };
            item.map(|item| (item, (stream, admission)))
        })
    }
}

#[async_trait]
impl Storage for Concurrency {
    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    async fn list(&self, request: ListRequest) -> Result<Pages> {
        let _permit = self.admission.admit(Class::Read).await;
        Ok(self.admitted(self.inner.list(request).await?).boxed())
    }

    async fn stat(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        let _permit = self.admission.admit(Class::Read).await;
        self.inner.stat(key).await
    }

    async fn read(&self, request: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
        let _permit = self.admission.admit(Class::Read).await;
        let (info, body) = self.inner.read(request).await?;
        let size = body.size_hint();
        let admitted = Body::new(self.admitted(body.into_stream()));
        Ok((info, super::hinted(admitted, size)))
    }

    async fn write(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo> {
        let _permit = self.admission.admit(Class::Write).await;
        self.inner.write(request, body).await
    }

    async fn delete(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
        let _permit = self.admission.admit(Class::Delete).await;
        self.inner.delete(keys).await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }

    async fn extension(&self, operation: &str, args: Bytes) -> Result<Bytes> {
        let _permit = self.admission.admit(Class::Read).await;
        self.inner.extension(operation, args).await
    }
}
