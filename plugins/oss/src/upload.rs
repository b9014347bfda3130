//! One object from a stream: a single request if it fits into one part, else an upload in parts.
//!
//! The body is gathered into parts by copying, so that each lent chunk goes back to the host at once; what is held here
//! is the parts in flight, as many as the granted buffer allows.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use litestream_sdk::{Body, Context, LogLevel, ObjectInfo, Result, StorageError, Time, WriteRequest};
use litestream_sdk_http::parts::{Parts, ended};
use litestream_sdk_http::xml;
use tokio::task::JoinSet;

use crate::client::{Call, Client, object};
use crate::storage::{TIME, version};
use crate::xml::{Complete, Initiated, Part};

/// What one upload needs.
#[derive(Clone)]
pub(crate) struct Upload {
    pub client: Arc<Client>,
    pub context: Context,
    pub part_bytes: u64,
    pub concurrency: u64,
}

impl Upload {
    /// Writes the object.
    pub async fn run(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo> {
        let mut parts = Parts::new(body, self.part_bytes);
        let first = parts.next().await?;
        let (size, headers) = if (first.len() as u64) < self.part_bytes {
            (first.len() as u64, self.put(&request, first).await?)
        } else {
            self.in_parts(&request, first, parts).await?
        };
        let info = ObjectInfo::new(request.key, size, Time::Exact(request.time));
        Ok(info.with_version(etag(&headers).map(version).unwrap_or_default()))
    }

    async fn put(&self, request: &WriteRequest, body: Bytes) -> Result<HeaderMap> {
        let call = only_new(creation(object(Method::PUT, request.key.to_utf8()?), request)?, request)?;
        Ok(self.client.ask(call.body(body)).await?.0)
    }

    async fn in_parts(&self, request: &WriteRequest, first: Bytes, mut parts: Parts) -> Result<(u64, HeaderMap)> {
        let key: Arc<str> = request.key.to_utf8()?.into();
        let id: Arc<str> = self.begin(&key, request).await?.into();
        // From here on parts lie on the store, and cost money until somebody removes them.
        let undo = self.context.on_drop(self.clone().abort(key.clone(), id.clone()));
        let at_once = (request.buffer / self.part_bytes).saturating_sub(1).clamp(1, self.concurrency);
        // Dropped with this future, and then every part under way is dropped as well.
        let mut running = JoinSet::new();
        let mut done: Vec<Part> = Vec::new();
        let (mut size, mut number, mut part) = (0, 0, first);
        while !part.is_empty() {
            if running.len() as u64 >= at_once {
                done.extend(running.join_next().await.map(ended).transpose()?);
            }
            (size, number) = (size + part.len() as u64, number + 1);
            running.spawn(send(self.client.clone(), key.clone(), id.clone(), number, part));
            part = parts.next().await?;
        }
        while let Some(part) = running.join_next().await {
            done.push(ended(part)?);
        }
        done.sort_by_key(|part| part.part_number);
        let headers = self.complete(&key, &id, request, done).await?;
        undo.disarm();
        Ok((size, headers))
    }

    async fn begin(&self, key: &str, request: &WriteRequest) -> Result<String> {
        let call = only_new(creation(object(Method::POST, key).query("uploads", ""), request)?, request)?;
        let what = call.what.clone();
        let (_, body) = self.client.ask(call).await?;
        Ok(xml::read::<Initiated>(&what, &body)?.upload_id)
    }

    async fn complete(&self, key: &str, id: &str, request: &WriteRequest, parts: Vec<Part>) -> Result<HeaderMap> {
        let call = object(Method::POST, key).query("uploadId", id).header("content-type", "application/xml")?;
        let call = only_new(call.body(xml::write(&Complete { parts })?), request)?;
        Ok(self.client.ask(call).await?.0)
    }

    async fn abort(self, key: Arc<str>, id: Arc<str>) {
        // What an abort cannot remove, the bucket's lifecycle rule for unfinished uploads must.
        if let Err(error) = self.client.ask(object(Method::DELETE, &key).query("uploadId", &*id)).await {
            self.context.log(LogLevel::Warn, format!("parts of an unfinished upload stay: {error}"));
        }
    }
}

/// What is said when the object comes into being.
fn creation<'a>(call: Call<'a>, request: &WriteRequest) -> Result<Call<'a>> {
    call.header("content-type", "application/octet-stream")?.header(TIME, &request.time.to_rfc3339())
}

fn only_new<'a>(call: Call<'a>, request: &WriteRequest) -> Result<Call<'a>> {
    if request.if_absent { call.header("x-oss-forbid-overwrite", "true") } else { Ok(call) }
}

async fn send(client: Arc<Client>, key: Arc<str>, id: Arc<str>, number: u32, body: Bytes) -> Result<Part> {
    let call = object(Method::PUT, &key).query("partNumber", number.to_string()).query("uploadId", &*id);
    let what = call.what.clone();
    let (headers, _) = client.ask(call.body(body)).await?;
    let etag =
        etag(&headers).ok_or_else(|| StorageError::transient(format!("{what}: a part was taken without an ETag")));
    Ok(Part { part_number: number, etag: etag?.to_owned() })
}

fn etag(headers: &HeaderMap) -> Option<&str> {
    headers.get(http::header::ETAG).and_then(|etag| etag.to_str().ok())
}
