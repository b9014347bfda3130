//! One object from a stream: a single request if it fits into one part, else an upload in parts.
//!
//! The body is gathered into parts by copying, so that each lent chunk goes back to the host at once; what is held here
//! is the parts in flight, as many as the granted buffer allows.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method};
use litestream_sdk::{Body, Context, ObjectInfo, Result, StorageError, Time, WriteRequest};
use litestream_sdk_http::parts::{Parts, ended};
use litestream_sdk_http::xml;
use md5::{Digest, Md5};
use tokio::task::JoinSet;

use crate::client::{Call, Client, object};
use crate::encryption::Encryption;
use crate::xml::{Complete, Completed, Failure, Initiated, Part};

/// Metadata that carries the time of an LTX file, as the reference writes it.
pub(crate) const TIME: &str = "x-amz-meta-litestream-timestamp";

/// Parts of one object, by the protocol.
pub(crate) const MAX_PARTS: u32 = 10_000;

/// What one upload needs.
#[derive(Clone)]
pub(crate) struct Upload {
    pub client: Arc<Client>,
    pub encryption: Arc<Encryption>,
    pub context: Context,
    pub part_bytes: u64,
}

impl Upload {
    /// Writes the object.
    pub async fn run(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo> {
        let key = request.key.to_utf8()?.to_owned();
        let mut body = Parts::new(body, self.part_bytes);
        let first = body.next().await?;
        let (size, etag) = if (first.len() as u64) < self.part_bytes {
            (first.len() as u64, self.put(&key, &request, first).await?)
        } else {
            self.in_parts(key.into(), &request, first, body).await?
        };
        let info = ObjectInfo::new(request.key, size, Time::Exact(request.time));
        Ok(match etag {
            Some(etag) => info.with_version(etag),
            None => info,
        })
    }

    async fn put(&self, key: &str, request: &WriteRequest, body: Bytes) -> Result<Option<String>> {
        let call = self.creation(self.with_md5(object(Method::PUT, key), &body)?, request)?;
        let (headers, _) = self.client.ask(if_absent(call, request)?.body(body)).await?;
        Ok(etag(&headers))
    }

    async fn in_parts(
        &self,
        key: Arc<str>,
        request: &WriteRequest,
        first: Bytes,
        mut body: Parts,
    ) -> Result<(u64, Option<String>)> {
        let id: Arc<str> = self.begin(&key, request).await?.into();
        // From here on parts lie on the store, and cost money until somebody removes them.
        let undo = self.context.on_drop(self.clone().abort(key.clone(), id.clone()));
        let at_once = (request.buffer / self.part_bytes).saturating_sub(1).clamp(1, self.client.concurrency().into());
        // Dropped before `undo`: no part is sent after the abort.
        let mut running = JoinSet::new();
        let mut parts: Vec<Part> = Vec::new();
        let (mut size, mut number, mut part) = (0, 0, first);
        while !part.is_empty() {
            (size, number) = (size + part.len() as u64, number + 1);
            if number > MAX_PARTS {
                return Err(self.too_large(&key));
            }
            if running.len() as u64 >= at_once {
                parts.extend(running.join_next().await.map(ended).transpose()?);
            }
            running.spawn(self.clone().part(key.clone(), id.clone(), number, part));
            part = body.next().await?;
        }
        while let Some(part) = running.join_next().await {
            parts.push(ended(part)?);
        }
        parts.sort_by_key(|part| part.part_number);
        let etag = self.complete(&key, &id, request, parts).await?;
        undo.disarm();
        Ok((size, etag))
    }

    /// What is said when the object comes into being.
    fn creation<'a>(&self, call: Call<'a>, request: &WriteRequest) -> Result<Call<'a>> {
        let call = call.headers(&self.encryption.on_create).headers(&self.encryption.on_content);
        call.header(TIME, &request.time.to_rfc3339())
    }

    async fn begin(&self, key: &str, request: &WriteRequest) -> Result<String> {
        let call = self.creation(object(Method::POST, key).query("uploads", ""), request)?;
        let what = call.what.clone();
        let (_, body) = self.client.ask(call).await?;
        Ok(xml::read::<Initiated>(&what, &body)?.upload_id)
    }

    async fn part(self, key: Arc<str>, id: Arc<str>, number: u32, body: Bytes) -> Result<Part> {
        let call = object(Method::PUT, &key).query("partNumber", number.to_string()).query("uploadId", &*id);
        let call = self.with_md5(call, &body)?.headers(&self.encryption.on_content);
        let what = call.what.clone();
        let (headers, _) = self.client.ask(call.body(body)).await?;
        let etag = etag(&headers);
        let etag = etag.ok_or_else(|| StorageError::transient(format!("{what}: a part was taken without an ETag")))?;
        Ok(Part { part_number: number, etag })
    }

    async fn complete(&self, key: &str, id: &str, request: &WriteRequest, parts: Vec<Part>) -> Result<Option<String>> {
        let call = object(Method::POST, key).query("uploadId", id).body(xml::write(&Complete { parts })?);
        let call = if_absent(call.headers(&self.encryption.on_content), request)?;
        let what = call.what.clone();
        let (headers, body) = self.client.ask(call).await?;
        // An answer whose success can hold an error: the status was sent before the work was done.
        if Failure::parse(&body).is_some() {
            return Err(crate::error::from_answer(&what, 500, &headers, &body));
        }
        Ok(xml::read::<Completed>(&what, &body)?.etag.or_else(|| etag(&headers)))
    }

    async fn abort(self, key: Arc<str>, id: Arc<str>) {
        let gone = self.client.ask(object(Method::DELETE, &key).query("uploadId", &*id)).await;
        match gone {
            Err(error) if error.code != "NoSuchUpload" => {
                // What an abort cannot remove, the bucket's lifecycle rule for unfinished uploads must.
                let text = format!("parts of an unfinished upload stay: {error}");
                self.context.log(litestream_sdk::LogLevel::Warn, text);
            }
            _ => {}
        }
    }

    fn with_md5<'a>(&self, call: Call<'a>, body: &Bytes) -> Result<Call<'a>> {
        if !self.client.content_md5() {
            return Ok(call);
        }
        call.header("content-md5", &STANDARD.encode(Md5::digest(body)))
    }

    fn too_large(&self, key: &str) -> StorageError {
        let most = self.part_bytes.saturating_mul(MAX_PARTS.into()) >> 30;
        StorageError::invalid_input(format!(
            "PUT {key}: larger than {most} GiB, which is {MAX_PARTS} parts: raise `part-size`"
        ))
    }
}

fn if_absent<'a>(call: Call<'a>, request: &WriteRequest) -> Result<Call<'a>> {
    if request.if_absent { call.header("if-none-match", "*") } else { Ok(call) }
}

pub(crate) fn etag(headers: &HeaderMap) -> Option<String> {
    headers.get(http::header::ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned)
}
