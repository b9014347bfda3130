//! The store: objects are files on the server, keys are their paths there. Thin: [`crate::walk`] lists,
//! [`crate::upload`] writes.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use litestream_sdk::listing::by_directory;
use litestream_sdk::{
    Body, Capability, Context, ListRequest, ObjectInfo, ObjectKey, Pages, ReadRequest, Result, Storage, StorageError,
    WriteRequest, async_trait,
};

use crate::config::SftpOptions;
use crate::connect::Connector;
use crate::pool::{MAX_IN_FLIGHT, Pool};
use crate::session::Extensions;
use crate::upload::{OpenFile, upload};
use crate::walk::{Walk, describe};

/// Bytes of one chunk of a body.
const CHUNK: u64 = 1 << 20;
/// Chunks of one body under way at once.
const CHUNKS_AT_ONCE: usize = 2;
/// Files deleted in one call, and at once.
const DELETES: u32 = 100;
const DELETES_AT_ONCE: usize = 16;
/// PATH_MAX of the servers that we know, without its NUL.
const MAX_KEY: u32 = 4095;

/// One SFTP server, for one user.
#[derive(Clone)]
pub struct Sftp {
    pool: Arc<Pool>,
    context: Context,
    /// What the server could do when the store was opened.
    extensions: Extensions,
    concurrent_writes: bool,
}

impl Sftp {
    pub(crate) async fn open(options: SftpOptions, context: Context) -> Result<Self> {
        let concurrent_writes = options.concurrent_writes;
        let pool = Arc::new(Pool::new(Connector::new(options, context.clone())?, context.clone()));
        // Connecting now finds a wrong server or login before anything else is done.
        let extensions = pool.lease().await?.extensions;
        Ok(Self { pool, context, extensions, concurrent_writes })
    }

    #[cfg(test)]
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }
}

/// The bytes asked for, as a range of the object's own.
fn range(request: &ReadRequest, size: u64) -> Result<std::ops::Range<u64>> {
    let end = request.len.map_or(Some(size), |len| request.offset.checked_add(len));
    match end {
        Some(end) if request.offset <= end && end <= size => Ok(request.offset..end),
        _ => Err(StorageError::invalid_input(format!("{}: the range ends after its {size} bytes", request.key))),
    }
}

#[async_trait]
impl Storage for Sftp {
    fn capability(&self) -> Capability {
        let if_absent = if self.extensions.hardlink { Capability::IF_ABSENT } else { 0 };
        let bits = Capability::LIST_TIME_EXACT | Capability::ROLL_UP | Capability::LEADING_SLASH;
        Capability::new(bits | if_absent)
            .with_max_in_flight(MAX_IN_FLIGHT)
            .with_delete_batch(DELETES)
            .with_write_buffer(CHUNK..=2 * CHUNK)
            .with_read_buffer(CHUNKS_AT_ONCE as u64 * CHUNK)
            .with_max_key(MAX_KEY)
            // SFTP 3 keeps whole seconds.
            .with_time_step(Duration::from_secs(1))
    }

    async fn list(&self, request: ListRequest) -> Result<Pages> {
        by_directory(Walk(self.pool.clone()), request).await
    }

    async fn stat(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        match self.pool.lease().await?.find(key.to_utf8()?).await? {
            Some(found) if found.is_file => Ok(describe(key.clone(), &found)),
            _ => Err(StorageError::not_found(key)),
        }
    }

    async fn read(&self, request: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
        let path = request.key.to_utf8()?;
        let lease = self.pool.lease().await?;
        let Some(handle) = lease.open(path).await? else { return Err(StorageError::not_found(&request.key)) };
        let file = Arc::new(OpenFile::new(lease.clone(), self.context.clone(), path.to_owned(), handle.clone()));
        let found = lease.describe(&handle, path).await?;
        if !found.is_file {
            return Err(StorageError::not_found(&request.key));
        }
        let range = range(&request, found.size)?;
        let size = range.end - range.start;
        let starts = (0..size.div_ceil(CHUNK)).map(move |number| range.start + number * CHUNK);
        let chunks = stream::iter(starts).map(move |at| {
            let (file, len) = (file.clone(), CHUNK.min(range.end - at));
            async move { file.read_exact(at, usize::try_from(len).unwrap_or(usize::MAX)).await }
        });
        let body = Body::new(chunks.buffered(CHUNKS_AT_ONCE)).with_size_hint(size);
        Ok((Some(describe(request.key, &found)), body))
    }

    async fn write(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo> {
        upload(&self.pool, &self.context, request, body, self.concurrent_writes).await
    }

    async fn delete(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
        let lease = self.pool.lease().await?;
        let removals = stream::iter(keys).map(|key| {
            let lease = lease.clone();
            async move { lease.remove(key.to_utf8()?).await }
        });
        Ok(removals.buffered(DELETES_AT_ONCE).collect().await)
    }

    async fn close(&self) -> Result<()> {
        self.pool.close().await;
        Ok(())
    }
}
