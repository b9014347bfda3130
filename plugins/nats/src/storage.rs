//! The store: objects of a bucket by their names. Thin: [`crate::bucket`] asks, [`crate::upload`] writes.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::object_store::Object;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use litestream_sdk::listing::arrange;
use litestream_sdk::{
    Body, Capability, Context, ErrorKind, ListRequest, ObjectInfo, ObjectKey, Pages, ReadRequest, Result, Storage,
    StorageError, WriteRequest, async_trait,
};
use tokio::io::AsyncReadExt;
use tokio::sync::Mutex;

use crate::bucket::Bucket;
use crate::config::NatsOptions;
use crate::connect::connect;
use crate::upload::upload;

/// Bytes of one chunk of a body.
const CHUNK: usize = 256 << 10;
const MIB: u64 = 1 << 20;
/// Objects deleted in one call, and at once.
const DELETES: u32 = 100;
const DELETES_AT_ONCE: usize = 8;

/// One bucket.
pub struct Nats {
    options: NatsOptions,
    context: Context,
    /// Opened again when its connection has given up.
    pub(crate) bucket: Mutex<Arc<Bucket>>,
}

impl Nats {
    pub(crate) async fn open(options: NatsOptions, context: Context) -> Result<Self> {
        let bucket = Mutex::new(open_bucket(&options, &context).await?);
        Ok(Self { options, context, bucket })
    }

    /// The bucket, over a connection that works or comes back by itself.
    async fn bucket(&self) -> Result<Arc<Bucket>> {
        let mut bucket = self.bucket.lock().await;
        if bucket.has_ended() {
            *bucket = open_bucket(&self.options, &self.context).await?;
        }
        Ok(bucket.clone())
    }
}

async fn open_bucket(options: &NatsOptions, context: &Context) -> Result<Arc<Bucket>> {
    let connection = connect(options, context).await?;
    Ok(Arc::new(Bucket::open(connection, options.bucket(), options.timeout).await?))
}

#[async_trait]
impl Storage for Nats {
    fn capability(&self) -> Capability {
        let bits = Capability::IF_ABSENT | Capability::READ_VERSION | Capability::LIST_TIME_EXACT | Capability::ROLL_UP;
        Capability::new(bits)
            .with_delete_batch(DELETES)
            .with_write_buffer(MIB..=2 * MIB)
            // The server sends ahead of what is read, as far as flow control lets it.
            .with_read_buffer(4 * MIB)
            .with_time_step(Duration::from_nanos(1))
    }

    async fn list(&self, request: ListRequest) -> Result<Pages> {
        let all = self.bucket().await?.list().await?;
        Ok(arrange(&request, all.iter().filter_map(|meta| meta.describe())))
    }

    async fn stat(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        describe(&*self.bucket().await?, key).await
    }

    async fn read(&self, request: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
        let name = request.key.to_utf8()?;
        let bucket = self.bucket().await?;
        let info = describe(&bucket, &request.key).await?;
        if request.version.is_some() && request.version != info.version {
            return Err(StorageError::conflict(&request.key));
        }
        let end = request.len.map_or(Some(info.size), |len| request.offset.checked_add(len));
        let Some(end) = end.filter(|end| request.offset <= *end && *end <= info.size) else {
            let message = format!("{}: the range ends after its {} bytes", request.key, info.size);
            return Err(StorageError::invalid_input(message));
        };
        if end == request.offset {
            return Ok((Some(info), Body::empty()));
        }
        let object = bucket.read(name).await?;
        if info.version.as_deref() != Some(object.info().nuid.as_str()) {
            return Err(StorageError::conflict(&request.key));
        }
        let len = end - request.offset;
        let reading = Reading { bucket, object, name: name.to_owned(), skip: request.offset, left: len };
        let chunks = stream::try_unfold(reading, |mut reading| async move {
            let chunk = reading.next().await?;
            Ok(chunk.map(|chunk| (chunk, reading)))
        });
        Ok((Some(info), Body::new(chunks).with_size_hint(len)))
    }

    async fn write(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo> {
        upload(&self.bucket().await?, &self.context, request, body).await
    }

    async fn delete(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
        let bucket = self.bucket().await?;
        let deletes = stream::iter(keys).map(|key| {
            let bucket = bucket.clone();
            async move { bucket.delete(key.to_utf8()?).await }
        });
        Ok(deletes.buffered(DELETES_AT_ONCE).collect().await)
    }

    async fn close(&self) -> Result<()> {
        self.bucket.lock().await.close().await;
        Ok(())
    }
}

async fn describe(bucket: &Bucket, key: &ObjectKey) -> Result<ObjectInfo> {
    let meta = bucket.description(key.to_utf8()?).await?;
    meta.describe().ok_or_else(|| StorageError::not_found(key))
}

/// A content that is being read. It comes from its beginning in any case: messages cannot be asked for by their bytes.
struct Reading {
    bucket: Arc<Bucket>,
    object: Object,
    name: String,
    skip: u64,
    left: u64,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        while self.left > 0 {
            let mut chunk = vec![0; CHUNK];
            let read = match tokio::time::timeout(self.bucket.timeout, self.object.read(&mut chunk)).await {
                Ok(Ok(read)) => read,
                Ok(Err(error)) => return Err(self.broken(error.into()).await),
                Err(_) => {
                    let late = StorageError::new(ErrorKind::TIMEOUT, format!("reading {}: no answer", self.name));
                    return Err(self.broken(late).await);
                }
            };
            if read == 0 {
                let early = StorageError::transient(format!("reading {}: it ended too early", self.name));
                return Err(self.broken(early).await);
            }
            chunk.truncate(read);
            let mut chunk = Bytes::from(chunk);
            let front = usize::try_from(self.skip).unwrap_or(usize::MAX).min(chunk.len());
            drop(chunk.split_to(front));
            self.skip -= front as u64;
            chunk.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= chunk.len() as u64;
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }

    /// The messages of a content that was replaced are gone, and what then happens to a reader has many forms.
    async fn broken(&mut self, error: StorageError) -> StorageError {
        let now = self.bucket.description(&self.name).await;
        match now {
            Ok(meta) if meta.nuid != self.object.info().nuid => StorageError::conflict(&self.name),
            Err(error) if error.kind == ErrorKind::NOT_FOUND => error,
            _ if error.message.contains("wrong digest") => StorageError::new(
                ErrorKind::CORRUPT,
                format!("reading {}: the bytes are not those of its digest", self.name),
            ),
            _ if error.kind == ErrorKind::TIMEOUT => error,
            _ => StorageError::transient(format!("reading {}: {}", self.name, error.message)),
        }
    }
}
