//! Ends what makes no progress. Only silence is limited, never the whole length of a transfer: a snapshot may take
//! hours if its bytes keep moving.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use litestream_sdk::{
    Body, Capability, ErrorKind, ListRequest, ObjectInfo, ObjectKey, Pages, ReadRequest, Result, Storage, StorageError,
    WriteRequest,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// To the first answer of a call, to the next page, to the next chunk.
pub(in crate::plugin) const ANSWER: Duration = Duration::from_secs(30);
/// From the last byte of a body to the answer of its write: the store makes it durable.
const AFTER_BODY: Duration = Duration::from_secs(60);
/// What a plugin may take to flush and disconnect.
const CLOSE: Duration = Duration::from_secs(10);

pub(in crate::plugin) struct Timeout {
    inner: Arc<dyn Storage>,
}

impl Timeout {
    pub fn new(inner: Arc<dyn Storage>) -> Timeout {
        Timeout { inner }
    }
}

/// The result of `call`, or TIMEOUT after `limit`.
pub(in crate::plugin) async fn within<T>(
    limit: Duration,
    what: &str,
    call: impl Future<Output = Result<T>>,
) -> Result<T> {
    match tokio::time::timeout(limit, call).await {
        Ok(result) => result,
        Err(_) => Err(silent(what, limit)),
    }
}

fn silent(what: &str, limit: Duration) -> StorageError {
    StorageError::new(ErrorKind::TIMEOUT, format!("{what}: no answer within {} s", limit.as_secs()))
}

/// The same stream; a piece that does not come in time is its end, with an error.
fn each_within<T: Send + 'static>(
    what: &'static str,
    stream: impl Stream<Item = Result<T>> + Send + Unpin + 'static,
) -> impl Stream<Item = Result<T>> + Send + 'static {
    stream::unfold(Some(stream), move |stream| async move {
        let mut stream = stream?;
        match tokio::time::timeout(ANSWER, stream.next()).await {
            Ok(item) => item.map(|item| (item, Some(stream))),
            Err(_) => Some((Err(silent(what, ANSWER)), None)),
        }
    })
}

#[async_trait]
impl Storage for Timeout {
    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    async fn list(&self, request: ListRequest) -> Result<Pages> {
        let pages = within(ANSWER, "list", self.inner.list(request)).await?;
        Ok(each_within("next page of a list", pages).boxed())
    }

    async fn stat(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        within(ANSWER, "stat", self.inner.stat(key)).await
    }

    async fn read(&self, request: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
        let (info, body) = within(ANSWER, "read", self.inner.read(request)).await?;
        let size = body.size_hint();
        Ok((info, super::hinted(Body::new(each_within("next chunk of a read", body.into_stream())), size)))
    }

    async fn write(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo> {
        // A store that holds more bytes may take longer between two of its requests for more.
        let grace = Duration::from_secs(request.buffer >> 20);
        let (turn, observed) = watch::channel(Turn::Store(Instant::now()));
        let size = body.size_hint();
        let body = super::hinted(Body::new(watched(body, request.size, turn)), size);
        tokio::select! {
            result = self.inner.write(request, body) => result,
            error = stalled(observed, grace) => Err(error),
        }
    }

    async fn delete(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
        within(ANSWER, "delete", self.inner.delete(keys)).await
    }

    async fn close(&self) -> Result<()> {
        within(CLOSE, "close", self.inner.close()).await
    }

    async fn extension(&self, operation: &str, args: Bytes) -> Result<Bytes> {
        within(ANSWER, operation, self.inner.extension(operation, args)).await
    }
}

/// Whose turn it is in a write.
#[derive(Clone, Copy)]
enum Turn {
    /// The store works on what it has, since then.
    Store(Instant),
    /// We owe the store the next chunk. A local disk or a merge may be slow: not the store's fault.
    Source,
    /// The store has all it will get, since then.
    Ended(Instant),
}

/// Tells whose turn it is; dropped with the body.
struct Teller(watch::Sender<Turn>);

impl Drop for Teller {
    fn drop(&mut self) {
        // A store may let go of the body before its end: it has all it wants.
        self.0.send_if_modified(|turn| {
            let early = !matches!(turn, Turn::Ended(_));
            if early {
                *turn = Turn::Ended(Instant::now());
            }
            early
        });
    }
}

fn watched(
    body: Body,
    size: Option<u64>,
    turn: watch::Sender<Turn>,
) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    stream::unfold((body, 0, Teller(turn)), move |(mut body, sent, teller)| async move {
        teller.0.send_replace(Turn::Source);
        let item = body.next().await.transpose()?;
        let (now, sent) = (Instant::now(), sent + item.as_ref().map_or(0, |chunk| chunk.len() as u64));
        // With the last announced byte a store knows that it has everything, and need not ask for the end.
        let ended = item.is_err() || size == Some(sent);
        teller.0.send_replace(if ended { Turn::Ended(now) } else { Turn::Store(now) });
        Some((item, (body, sent, teller)))
    })
}

/// Comes back only when the store has been silent for too long.
async fn stalled(mut turn: watch::Receiver<Turn>, grace: Duration) -> StorageError {
    loop {
        let now = *turn.borrow_and_update();
        let (since, limit, what) = match now {
            Turn::Source => (None, Duration::ZERO, ""),
            Turn::Store(since) => (Some(since), ANSWER + grace, "write: the store takes no more data"),
            Turn::Ended(since) => (Some(since), AFTER_BODY + grace, "write: all data is sent"),
        };
        let silence = async {
            match since {
                Some(since) => sleep_until(since + limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // After the teller is gone nothing changes any more.
            Ok(()) = turn.changed() => {}
            () = silence => return silent(what, limit),
        }
    }
}
