//! Memory for the bodies of writes: reserved before the write begins, counted chunk by chunk while the plugin holds it.
//! Memory for reads: reserved while the plugin fetches a chunk.
//!
//! For writes the plugin need not be trusted. Each chunk carries a guard, and what the plugin frees is what it gives
//! back; while it holds as much as it was granted, it gets no more. For reads it is: `Capability::read_buffer` is what it
//! says that one read may hold. Between two chunks nothing is reserved, as no place is held then, so that a restore can
//! keep hundreds of files open for its merge.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{Stream, stream};
use litestream_sdk::{
    Body, Capability, ErrorKind, ListRequest, ObjectInfo, ObjectKey, Pages, ReadRequest, Result, Storage, StorageError,
    WriteRequest,
};
use tokio::sync::watch;

use crate::plugin::budget::{ByteBudget, Reservation};

use super::timeout::ANSWER;

pub(in crate::plugin) struct Lending {
    inner: Arc<dyn Storage>,
    budget: ByteBudget,
}

impl Lending {
    pub fn new(inner: Arc<dyn Storage>, budget: ByteBudget) -> Lending {
        Lending { inner, budget }
    }
}

/// What one write may hold: all of a small object, else between the least and the most that is of use to the store.
fn wanted(capability: &Capability, size: Option<u64>) -> (u64, u64) {
    let (least, most) = (*capability.write_buffer.start(), *capability.write_buffer.end());
    match size {
        Some(size) if size < least => (size.max(1), size.max(1)),
        Some(size) => (least, most.min(size)),
        None => (least, most),
    }
}

/// What the plugin holds of one body.
struct Loan {
    out: watch::Sender<u64>,
    granted: u64,
    /// Given back when the write is over and the last chunk freed, whichever comes later.
    _reservation: Reservation,
}

struct Chunk {
    bytes: Bytes,
    loan: Arc<Loan>,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.loan.out.send_modify(|out| *out -= self.bytes.len() as u64);
    }
}

impl Loan {
    /// Waits until the plugin may hold `len` bytes more. A chunk larger than the grant goes alone.
    async fn room_for(&self, len: u64) -> Result<()> {
        let patience = ANSWER + Duration::from_secs(self.granted >> 20);
        let mut out = self.out.subscribe();
        loop {
            let held = *out.borrow_and_update();
            if held == 0 || held + len <= self.granted {
                return Ok(());
            }
            // The sender lives in `self`, so a change is the only other thing that can happen.
            if tokio::time::timeout(patience, out.changed()).await.is_err() {
                return Err(StorageError::new(
                    ErrorKind::TIMEOUT,
                    format!(
                        "write: the plugin asks for more data and has freed nothing of {held} bytes for {} s",
                        patience.as_secs()
                    ),
                ));
            }
        }
    }
}

fn lent(body: Body, loan: Arc<Loan>) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    stream::try_unfold((body, loan), |(mut body, loan)| async move {
        let Some(bytes) = body.next().await? else { return Ok(None) };
        let len = bytes.len() as u64;
        loan.room_for(len).await?;
        loan.out.send_modify(|out| *out += len);
        let chunk = Bytes::from_owner(Chunk { bytes, loan: loan.clone() });
        Ok(Some((chunk, (body, loan))))
    })
}

/// The same body, each chunk fetched with memory for it.
fn fetched(body: Body, budget: ByteBudget, buffer: u64) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    stream::try_unfold((body, budget), move |(mut body, budget)| async move {
        let chunk = {
            let _reserved = budget.reserve_read(buffer).await;
            body.next().await?
        };
        Ok(chunk.map(|chunk| (chunk, (body, budget))))
    })
}

#[async_trait]
impl Storage for Lending {
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
        let buffer = self.inner.capability().read_buffer.min(request.len.unwrap_or(u64::MAX));
        let (info, body) = {
            let _reserved = self.budget.reserve_read(buffer).await;
            self.inner.read(request).await?
        };
        let size = body.size_hint();
        Ok((info, super::hinted(Body::new(fetched(body, self.budget.clone(), buffer)), size)))
    }

    async fn write(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo> {
        let (least, most) = wanted(&self.inner.capability(), request.size);
        let reservation = self.budget.reserve(least, most).await;
        let granted = reservation.bytes();
        let loan = Arc::new(Loan { out: watch::Sender::new(0), granted, _reservation: reservation });
        let size = body.size_hint();
        let body = super::hinted(Body::new(lent(body, loan.clone())), size);
        let result = self.inner.write(request.with_buffer(granted), body).await;
        drop(loan);
        result
    }

    async fn delete(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
        self.inner.delete(keys).await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }

    async fn extension(&self, operation: &str, args: Bytes) -> Result<Bytes> {
        self.inner.extension(operation, args).await
    }
}
