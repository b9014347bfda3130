//! One blob from a stream: a single request if it fits into one part, else blocks that one last request makes a blob of.
//!
//! The body is gathered into parts by copying, so that each lent chunk goes back to the host at once; what is held here
//! is the parts in flight, as many as the granted buffer allows.
//!
//! Nothing needs cleaning after an upload that did not end: blocks without a blob are in no listing, and the service
//! removes them after a week. Until then they have one effect: new blocks of that blob must have names of the same
//! length. Litestream's have 64 bytes, and so have ours. Names are never used twice, so that a block which arrives late,
//! from an upload that was given up, is no part of the next one.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method};
use litestream_sdk::{Body, ObjectInfo, Result, Time, WriteRequest};
use litestream_sdk_http::parts::{Parts, ended};
use litestream_sdk_http::xml;
use tokio::task::JoinSet;

use crate::client::{Call, Client, blob};
use crate::storage::version;
use crate::xml::BlockList;

/// Bytes in one block.
pub(crate) const PART_BYTES: u64 = 8 << 20;
/// Blocks sent at once in one upload.
pub(crate) const CONCURRENCY: u64 = 4;
/// Blocks of one blob, by the protocol.
pub(crate) const MAX_PARTS: u64 = 50_000;

/// Writes the blob.
pub(crate) async fn run(client: &Arc<Client>, request: WriteRequest, body: Body) -> Result<ObjectInfo> {
    let mut parts = Parts::new(body, PART_BYTES);
    let first = parts.next().await?;
    let (size, headers) = if (first.len() as u64) < PART_BYTES {
        (first.len() as u64, put(client, &request, first).await?)
    } else {
        in_blocks(client, &request, first, parts).await?
    };
    let etag = headers.get(http::header::ETAG).and_then(|etag| etag.to_str().ok()).map(version);
    let info = ObjectInfo::new(request.key, size, Time::Exact(request.time));
    Ok(info.with_version(etag.unwrap_or_default()))
}

/// What is said when the blob comes into being; the same that Litestream says.
fn creation<'a>(call: Call<'a>, request: &WriteRequest) -> Result<Call<'a>> {
    let call = call.header("x-ms-blob-content-type", "application/octet-stream")?.header("x-ms-access-tier", "Hot")?;
    let call = call.header("x-ms-meta-litestreamtimestamp", &request.time.to_rfc3339())?;
    if request.if_absent { call.header("if-none-match", "*") } else { Ok(call) }
}

async fn put(client: &Client, request: &WriteRequest, body: Bytes) -> Result<HeaderMap> {
    let call = creation(blob(Method::PUT, request.key.to_utf8()?), request)?;
    Ok(client.ask(call.header("x-ms-blob-type", "BlockBlob")?.body(body)).await?.0)
}

async fn in_blocks(
    client: &Arc<Client>,
    request: &WriteRequest,
    first: Bytes,
    mut parts: Parts,
) -> Result<(u64, HeaderMap)> {
    let key: Arc<str> = request.key.to_utf8()?.into();
    let upload = [(); 2].map(|()| RandomState::new().hash_one(std::process::id()));
    let at_once = (request.buffer / PART_BYTES).saturating_sub(1).clamp(1, CONCURRENCY);
    // Dropped with this future, and then every block under way is dropped as well.
    let mut running = JoinSet::new();
    let mut names = Vec::new();
    let (mut size, mut part) = (0, first);
    while !part.is_empty() {
        if running.len() as u64 >= at_once {
            running.join_next().await.map_or(Ok(()), ended)?;
        }
        let name = block_name(upload, names.len());
        size += part.len() as u64;
        running.spawn(block(client.clone(), key.clone(), name.clone(), part));
        names.push(name);
        part = parts.next().await?;
    }
    while let Some(block) = running.join_next().await {
        ended(block)?;
    }
    let call = creation(blob(Method::PUT, &key).query("comp", "blocklist"), request)?;
    let body = xml::write(&BlockList { latest: &names })?;
    Ok((size, client.ask(call.header("content-type", "application/xml")?.body(body)).await?.0))
}

async fn block(client: Arc<Client>, key: Arc<str>, name: String, body: Bytes) -> Result<()> {
    let call = blob(Method::PUT, &key).query("comp", "block").query("blockid", name);
    client.ask(call.body(body)).await.map(drop)
}

fn block_name(upload: [u64; 2], number: usize) -> String {
    let mut name = [0; 64];
    let fields = [upload[0], upload[1], number as u64];
    for (field, place) in fields.iter().zip(name.chunks_exact_mut(8)) {
        place.copy_from_slice(&field.to_be_bytes());
    }
    STANDARD.encode(name)
}
