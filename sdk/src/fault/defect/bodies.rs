//! Bodies and listings as defective stores make them.

use crate::error::Result;
use crate::storage::Storage;
use crate::types::{Body, Entry, ListRequest, ObjectInfo, Page, Pages, ReadRequest, ReplicaPath, WriteRequest};
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use std::sync::Arc;

/// A body that is kept to its end before any of it is used.
pub(super) async fn held(mut body: Body) -> Result<Body> {
    let mut chunks = Vec::new();
    while let Some(chunk) = body.next().await? {
        chunks.push(Ok(chunk));
    }
    Ok(Body::new(stream::iter(chunks)))
}

pub(super) fn without_error(body: Body) -> Body {
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

pub(super) async fn ends_when_dropped(
    inner: Arc<dyn Storage>,
    request: WriteRequest,
    mut body: Body,
) -> Result<ObjectInfo> {
    let mut unfinished = Unfinished { inner: inner.clone(), request: request.clone(), data: Vec::new() };
    while let Some(chunk) = body.next().await? {
        unfinished.data.extend_from_slice(&chunk);
    }
    inner.write(request, Body::from_bytes(unfinished.data.clone())).await
}

/// Chunk by chunk from whatever is there at that moment.
pub(super) fn read_in_pieces(inner: Arc<dyn Storage>, request: ReadRequest, end: u64) -> Body {
    const PIECE: u64 = 1 << 20;
    let at = request.offset;
    Body::new(stream::try_unfold((inner, request, at), move |(inner, request, at)| async move {
        let len = PIECE.min(end - at);
        if len == 0 {
            return Ok(None);
        }
        let piece = ReadRequest::range(request.key.clone(), at, len);
        let piece = inner.read(piece).await?.1.collect(PIECE).await?;
        Ok(Some((piece, (inner, request, at + len))))
    }))
}

/// Everything whose name begins with the text of the prefix.
pub(super) async fn list_by_text(inner: &dyn Storage, request: ListRequest) -> Result<Pages> {
    let text = request.prefix.clone();
    let everything = ListRequest { prefix: ReplicaPath::default(), ..request };
    Ok(kept(inner.list(everything).await?, move |name| name.starts_with(text.as_bytes())))
}

/// Only the entries with names that are wanted.
pub(super) fn kept(pages: Pages, wanted: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Pages {
    let wanted = Arc::new(wanted);
    let kept = pages.map(move |page| {
        let is_wanted = |entry: &Entry| match entry {
            Entry::Object(info) => wanted(info.key.as_bytes()),
            Entry::Dir(dir) => wanted(dir.as_bytes()),
        };
        page.map(|page| page.into_iter().filter(is_wanted).collect::<Page>())
    });
    kept.filter(|page| std::future::ready(!page.as_ref().is_ok_and(Vec::is_empty))).boxed()
}
