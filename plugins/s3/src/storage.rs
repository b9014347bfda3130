//! The store: one bucket.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method};
use litestream_sdk::listing::by_delimiter;
use litestream_sdk::{
    Body, Bytes, Capability, Context, CopyRequest, ErrorKind, ListRequest, ObjectInfo, ObjectKey, Pages, ReadRequest,
    Result, Storage, StorageError, Time, Timestamp, WriteRequest, async_trait,
};
use litestream_sdk_http::{exchange, range, xml};
use md5::{Digest, Md5};

use crate::client::{Client, bucket, object};
use crate::config::S3Options;
use crate::encryption::{self, Encryption};
use crate::upload::{MAX_PARTS, TIME, Upload, etag};
use crate::xml::{Delete, Deleted, Named};
use crate::{copy, error, listing};

/// The largest object, by the protocol.
const MAX_OBJECT_BYTES: u64 = 5 << 40;

/// An open bucket.
pub struct Bucket {
    client: Arc<Client>,
    encryption: Arc<Encryption>,
    context: Context,
    part_bytes: u64,
}

impl Bucket {
    /// Makes the pool; the first request comes with the first call.
    pub(crate) async fn open(options: S3Options, context: Context) -> Result<Bucket> {
        let part_bytes = options.part_size.0;
        let (encryption, options) = context.blocking(move || Ok((encryption::headers(&options)?, options))).await?;
        let client = Arc::new(Client::new(options)?);
        Ok(Bucket { client, encryption: Arc::new(encryption), context, part_bytes })
    }

    /// One key by itself: the only one, or one that XML cannot carry.
    async fn delete_one(&self, key: &ObjectKey) -> Result<()> {
        let gone = self.client.ask(object(Method::DELETE, key.to_utf8()?)).await;
        gone.map(drop).or_else(|error| if error.kind == ErrorKind::NOT_FOUND { Ok(()) } else { Err(error) })
    }

    async fn delete_batch(&self, keys: &[&str]) -> Result<Vec<Result<()>>> {
        let object = keys.iter().map(|key| Named { key }).collect();
        let body = xml::write(&Delete { object })?;
        let what = format!("DELETE of {} objects", keys.len());
        let mut call = bucket(Method::POST, &what).query("delete", "");
        if self.client.content_md5() {
            call = call.header("content-md5", &STANDARD.encode(Md5::digest(&body)))?;
        }
        let (_, answer) = self.client.ask(call.header("content-type", "application/xml")?.body(body)).await?;
        let deleted: Deleted = xml::read(&what, &answer)?;
        let result = |key: &&str| match deleted.errors.iter().find(|failed| failed.key == **key) {
            Some(failed) if failed.code != "NoSuchKey" => {
                Err(error::from_code(&format!("DELETE {key}"), &failed.code, &failed.message))
            }
            _ => Ok(()),
        };
        Ok(keys.iter().map(result).collect())
    }
}

#[async_trait]
impl Storage for Bucket {
    fn capability(&self) -> Capability {
        let bits = Capability::IF_ABSENT
            | Capability::READ_VERSION
            | Capability::ROLL_UP
            | Capability::LEADING_SLASH
            | Capability::SEEK_LIST
            | Capability::COPY;
        // One more than are sent: the next is gathered meanwhile.
        let parts = u64::from(self.client.concurrency()) + 1;
        Capability::new(bits)
            .with_delete_batch(self.client.delete_batch())
            .with_max_key(1024)
            .with_max_object(self.part_bytes.saturating_mul(MAX_PARTS.into()).min(MAX_OBJECT_BYTES))
            .with_write_buffer(self.part_bytes.saturating_mul(2)..=self.part_bytes.saturating_mul(parts.max(2)))
            .with_time_step(Duration::from_nanos(1))
    }

    async fn list(&self, request: ListRequest) -> Result<Pages> {
        by_delimiter(self.client.clone(), request, listing::PAGE)
    }

    async fn stat(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        let call = object(Method::HEAD, key.to_utf8()?).headers(&self.encryption.on_content);
        let (headers, _) = self.client.ask(call).await?;
        let size = range::content_length(&headers);
        let size = size.ok_or_else(|| StorageError::transient(format!("HEAD {key}: an answer without a length")))?;
        Ok(describe(key.clone(), size, &headers))
    }

    async fn read(&self, request: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
        if request.len == Some(0) {
            return Ok((None, Body::empty()));
        }
        let what = format!("GET {}", request.key);
        let mut call = object(Method::GET, request.key.to_utf8()?).headers(&self.encryption.on_content);
        let wanted = range::header(&request)?;
        if let Some(wanted) = &wanted {
            call = call.header("range", wanted)?;
        }
        if let Some(version) = &request.version {
            call = call.header("if-match", version)?;
        }
        let response = match self.client.send(call).await {
            // An open range that begins at the end is empty; the store calls it unsatisfiable.
            Err(failed) if failed.http_status == 416 && request.len.is_none() => {
                let is_at_end = self.stat(&request.key).await?.size == request.offset;
                return if is_at_end { Ok((None, Body::empty())) } else { Err(failed) };
            }
            answer => answer?,
        };
        // The status alone says too little: some stores call a part 200, and a part that is everything as well.
        let start = range::first_byte(response.headers());
        if wanted.is_some() && start.map_or(!is_whole(&request, response.headers()), |start| start != request.offset) {
            return Err(StorageError::permanent(format!("{what}: the store ignores ranges")));
        }
        // Some stores ignore the condition.
        if request.version.is_some() && etag(response.headers()).is_some_and(|etag| Some(etag) != request.version) {
            return Err(StorageError::conflict(&request.key));
        }
        let info = range::object_size(response.headers()).map(|size| describe(request.key, size, response.headers()));
        Ok((info, exchange::content(what, response)))
    }

    async fn write(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo> {
        let upload = Upload {
            client: self.client.clone(),
            encryption: self.encryption.clone(),
            context: self.context.clone(),
            part_bytes: self.part_bytes,
        };
        upload.run(request, body).await
    }

    async fn delete(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
        let alone = keys.len() == 1;
        let in_xml = |key: &ObjectKey| !alone && key.to_utf8().is_ok_and(xml::carries);
        let batch: Vec<&str> = keys.iter().filter(|key| in_xml(key)).filter_map(|key| key.to_utf8().ok()).collect();
        let mut batched = match batch.as_slice() {
            [] => Vec::new(),
            keys => self.delete_batch(keys).await?,
        }
        .into_iter();
        let mut results = Vec::with_capacity(keys.len());
        for key in &keys {
            let result = match in_xml(key) {
                true => batched.next().unwrap_or(Ok(())),
                false => self.delete_one(key).await,
            };
            results.push(result);
        }
        Ok(results)
    }

    async fn extension(&self, operation: &str, args: Bytes) -> Result<Bytes> {
        if operation != CopyRequest::OPERATION {
            return Err(StorageError::unsupported(format_args!("operation `{operation}`")));
        }
        copy::copy(&self.client, &self.encryption, &CopyRequest::from_args(&args)?).await.map(|()| Bytes::new())
    }
}

fn describe(key: ObjectKey, size: u64, headers: &HeaderMap) -> ObjectInfo {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let written = text(TIME).and_then(Timestamp::parse_rfc3339).map(Time::Exact);
    let time = written.or_else(|| text("last-modified").and_then(http_date).map(Time::Server));
    let info = ObjectInfo::new(key, size, time.unwrap_or(Time::Unknown));
    match etag(headers) {
        Some(etag) => info.with_version(etag),
        None => info,
    }
}

fn http_date(text: &str) -> Option<Timestamp> {
    httpdate::parse_http_date(text).ok().map(Timestamp::from_system)
}

fn is_whole(request: &ReadRequest, headers: &HeaderMap) -> bool {
    request.offset == 0 && request.len.is_none_or(|len| range::content_length(headers) == Some(len))
}
