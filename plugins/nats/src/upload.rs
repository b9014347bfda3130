//! One upload: the chunks under a name of their own, several under way at once, then the description that names them.
//! Until that is there, nobody sees an object; with it, the older one goes in the same step.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use async_nats::HeaderMap;
use async_nats::header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_ROLLUP};
use async_nats::jetstream::context::PublishError;
use async_nats::jetstream::publish::PublishAck;
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use litestream_sdk::{Body, Context, LogLevel, ObjectInfo, Result, StorageError, Time, WriteRequest};
use sha2::{Digest, Sha256};

use crate::bucket::Bucket;
use crate::error;
use crate::meta::{Meta, Options, chunks_subject, digest, headers, subject};

/// Bytes in one message, as all clients do it.
const CHUNK: usize = 128 << 10;
/// Messages of one upload without an answer yet.
const CHUNKS_AT_ONCE: u64 = 8;

/// Writes one object.
pub(crate) async fn upload(
    bucket: &Arc<Bucket>,
    context: &Context,
    request: WriteRequest,
    body: Body,
) -> Result<ObjectInfo> {
    let name = request.key.to_utf8()?;
    let older = bucket.find(name).await?;
    let older_meta = older.as_ref().and_then(|found| found.meta.as_ref());
    if request.if_absent && older_meta.is_some() {
        return Err(StorageError::conflict(&request.key));
    }
    let nuid = [(); 2].map(|()| format!("{:016X}", RandomState::new().hash_one(std::process::id()))).concat();
    let chunks = chunks_subject(&bucket.name, &nuid);
    let undo = context.on_drop({
        let (bucket, name, nuid) = (bucket.clone(), name.to_owned(), nuid.clone());
        async move { give_up(&bucket, &name, &nuid).await }
    });
    let at_once = (request.buffer / 2 / CHUNK as u64).clamp(1, CHUNKS_AT_ONCE);
    let sent = send(bucket, name, &chunks, body, usize::try_from(at_once).unwrap_or(1)).await?;
    let meta = Meta {
        name: name.to_owned(),
        headers: Some(headers(request.time)),
        options: Some(Options { max_chunk_size: Some(CHUNK as u64), link: None }),
        bucket: bucket.name.clone(),
        nuid: nuid.clone(),
        size: sent.size,
        chunks: sent.chunks,
        modified: None,
        digest: Some(sent.digest),
        deleted: false,
    };
    let condition = request.if_absent.then(|| older.as_ref().map_or(0, |found| found.sequence));
    describe(bucket, &meta, condition).await?;
    undo.disarm();
    if let Some(older) = older_meta
        && let Err(error) = bucket.purge(&chunks_subject(&bucket.name, &older.nuid)).await
    {
        context.log(LogLevel::Warn, format!("{name}: the content that was replaced stays in the bucket: {error}"));
    }
    Ok(ObjectInfo::new(request.key, meta.size, Time::Exact(request.time)).with_version(nuid))
}

/// Removes the chunks of an upload that came to nothing, as far as we heard. Its description may have arrived and only the
/// answer not: then it is an object. Chunks that stay without being one are never seen.
pub(crate) async fn give_up(bucket: &Bucket, name: &str, nuid: &str) {
    let is_no_object = async || {
        let found = bucket.find(name).await;
        found.is_ok_and(|found| found.and_then(|found| found.meta).is_none_or(|meta| meta.nuid != nuid))
    };
    if !is_no_object().await {
        return;
    }
    let chunks = chunks_subject(&bucket.name, nuid);
    // The server lets a request overtake messages: the answer to a last one says that those before it have arrived.
    let Ok(last) = bucket.jetstream.publish(chunks.clone(), Bytes::new()).await else { return };
    if last.await.is_ok() && is_no_object().await {
        drop(bucket.purge(&chunks).await);
    }
}

/// What was sent.
struct Sent {
    size: u64,
    chunks: u64,
    digest: String,
}

async fn send(bucket: &Bucket, name: &str, subject: &str, mut body: Body, at_once: usize) -> Result<Sent> {
    let what = format!("writing {name}");
    let failed = |failed: PublishError| error::publishing(&what, &failed);
    let taken = |answer: std::result::Result<PublishAck, PublishError>| answer.map(drop).map_err(failed);
    let (mut size, mut chunks, mut sha256) = (0, 0, Sha256::new());
    let mut under_way = FuturesUnordered::new();
    while let Some(mut rest) = body.next().await? {
        while !rest.is_empty() {
            if under_way.len() >= at_once
                && let Some(answer) = under_way.next().await
            {
                taken(answer)?;
            }
            // A copy: the lent bytes go back at once, and what waits in the client is bounded by `at_once`.
            let piece = Bytes::copy_from_slice(&rest.split_to(rest.len().min(CHUNK)));
            sha256.update(&piece);
            size += piece.len() as u64;
            chunks += 1;
            let sent = bucket.jetstream.publish(subject.to_owned(), piece).await;
            under_way.push(sent.map_err(failed)?.into_future());
        }
    }
    while let Some(answer) = under_way.next().await {
        taken(answer)?;
    }
    Ok(Sent { size, chunks, digest: digest(&sha256.finalize()) })
}

/// Makes the object visible. With a condition only if the newest message of this name is the one of that number.
async fn describe(bucket: &Bucket, meta: &Meta, condition: Option<u64>) -> Result<()> {
    let what = format!("writing {}", meta.name);
    let mut headers = HeaderMap::new();
    headers.insert(NATS_ROLLUP, "sub");
    if let Some(sequence) = condition {
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, sequence.to_string());
    }
    let text = serde_json::to_vec(meta).expect("texts and numbers can be written");
    let failed = |failed| error::publishing(&what, &failed);
    let sent = bucket.jetstream.publish_with_headers(subject(&bucket.name, &meta.name), headers, text.into()).await;
    sent.map_err(failed)?.await.map_err(failed)?;
    Ok(())
}
