//! The store: one bucket.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method};
use litestream_sdk::listing::by_delimiter;
use litestream_sdk::{
    Body, Capability, Context, ErrorKind, ListRequest, ObjectInfo, ObjectKey, Pages, ReadRequest, Result, Storage,
    StorageError, Time, Timestamp, WriteRequest, async_trait,
};
use litestream_sdk_http::{exchange, range, xml};
use md5::{Digest, Md5};

use crate::client::{Client, bucket, object};
use crate::config::OssOptions;
use crate::upload::Upload;
use crate::xml::{Delete, Deleted, Failure, Named, Stayed, decoded};
use crate::{error, listing};

/// Metadata that carries the time of an LTX file, as the reference writes it.
pub(crate) const TIME: &str = "x-oss-meta-litestream-timestamp";
/// Keys in one batch delete, by the protocol.
const DELETE_BATCH: u32 = 1000;
/// Parts of one object, by the protocol.
const MAX_PARTS: u64 = 10_000;
/// The largest object, by the protocol: 48.8 TiB.
const MAX_OBJECT_BYTES: u64 = 48 << 40;

/// An open bucket.
pub struct Bucket {
    upload: Upload,
}

impl Bucket {
    /// Makes the pool; the first request comes with the first call.
    pub(crate) fn open(options: &OssOptions, context: Context) -> Result<Bucket> {
        let client = Arc::new(Client::new(options)?);
        let (part_bytes, concurrency) = (options.part_size.0, options.concurrency.into());
        Ok(Bucket { upload: Upload { client, context, part_bytes, concurrency } })
    }

    fn client(&self) -> &Arc<Client> {
        &self.upload.client
    }

    /// An open range that begins at the end of the object is empty, and one behind it an error: the service says the
    /// same of both.
    async fn unsatisfiable(&self, request: &ReadRequest, refused: StorageError) -> Result<(Option<ObjectInfo>, Body)> {
        let info = self.stat(&request.key).await?;
        if request.len.is_none() && info.size == request.offset {
            Ok((Some(info), Body::empty()))
        } else {
            Err(refused)
        }
    }

    /// A key that XML cannot carry is deleted by itself.
    async fn delete_one(&self, key: &str) -> Result<()> {
        let gone = self.client().ask(object(Method::DELETE, key)).await;
        gone.map(drop).or_else(|error| if error.kind == ErrorKind::NOT_FOUND { Ok(()) } else { Err(error) })
    }

    /// Asks for an answer about each key: one that is not named is not deleted.
    async fn delete_batch(&self, keys: &[&str]) -> Result<Vec<Result<()>>> {
        let object = keys.iter().map(|key| Named { key }).collect();
        let body = xml::write(&Delete { quiet: false, object })?;
        let what = format!("DELETE of {} objects", keys.len());
        let call = bucket(Method::POST, &what).query("delete", "").query("encoding-type", "url");
        let call = call.header("content-md5", &STANDARD.encode(Md5::digest(&body)))?;
        let (_, answer) = self.client().ask(call.header("content-type", "application/xml")?.body(body)).await?;
        let answer: Deleted = xml::read(&what, &answer)?;
        let encoding = answer.encoding_type.as_deref();
        let mut outcomes = HashMap::new();
        for gone in answer.deleted {
            outcomes.extend(decoded(&gone.key, encoding).map(|name| (name, Ok(()))));
        }
        for Stayed { key, code, message } in answer.errors {
            let Some(name) = decoded(&key, encoding) else { continue };
            let failure = Failure { code, message, ..Failure::default() };
            let error = error::from_failure(&format!("DELETE {name}"), 0, &HeaderMap::new(), &failure);
            outcomes.insert(name, if error.kind == ErrorKind::NOT_FOUND { Ok(()) } else { Err(error) });
        }
        let unanswered = |key: &str| StorageError::transient(format!("DELETE {key}: the store did not say"));
        let result = |key: &&str| outcomes.remove(*key).unwrap_or_else(|| Err(unanswered(key)));
        Ok(keys.iter().map(result).collect())
    }
}

#[async_trait]
impl Storage for Bucket {
    fn capability(&self) -> Capability {
        let bits = Capability::IF_ABSENT | Capability::READ_VERSION | Capability::LEADING_SLASH | Capability::SEEK_LIST;
        let Upload { part_bytes, concurrency, .. } = &self.upload;
        Capability::new(bits)
            .with_max_in_flight(64)
            .with_delete_batch(DELETE_BATCH)
            .with_max_key(1023)
            .with_max_object((part_bytes * MAX_PARTS).min(MAX_OBJECT_BYTES))
            .with_write_buffer(part_bytes * 2..=part_bytes * (concurrency + 1))
            .with_time_step(Duration::from_nanos(1))
    }

    async fn list(&self, request: ListRequest) -> Result<Pages> {
        if matches!(request.mode, litestream_sdk::ListMode::RollUp(_)) {
            return Err(StorageError::unsupported("a listing that rolls up"));
        }
        by_delimiter(self.client().clone(), request, listing::PAGE)
    }

    async fn stat(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        let (headers, _) = self.client().ask(object(Method::HEAD, key.to_utf8()?)).await?;
        let size = range::content_length(&headers);
        let size = size.ok_or_else(|| StorageError::transient(format!("HEAD {key}: an answer without a length")))?;
        Ok(describe(key.clone(), size, &headers))
    }

    async fn read(&self, request: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
        if request.len == Some(0) {
            return Ok((None, Body::empty()));
        }
        let mut call = object(Method::GET, request.key.to_utf8()?);
        let what = call.what.clone();
        let wanted = range::header(&request)?;
        if let Some(wanted) = &wanted {
            // Without the second the service answers a range past the end with the whole object.
            call = call.header("range", wanted)?.header("x-oss-range-behavior", "standard")?;
        }
        if let Some(version) = &request.version {
            call = call.header("if-match", &format!("\"{version}\""))?;
        }
        let response = match self.client().send(call).await {
            Err(refused) if refused.http_status == 416 => return self.unsatisfiable(&request, refused).await,
            answer => answer?,
        };
        if wanted.is_some() && response.status() != http::StatusCode::PARTIAL_CONTENT {
            return Err(StorageError::permanent(format!("{what}: the store ignores ranges")));
        }
        let headers = response.headers();
        let info = range::object_size(headers).map(|size| describe(request.key, size, headers));
        Ok((info, exchange::content(what, response)))
    }

    async fn write(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo> {
        self.upload.run(request, body).await
    }

    async fn delete(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
        let names = keys.iter().map(ObjectKey::to_utf8).collect::<Result<Vec<&str>>>()?;
        let batch: Vec<&str> = names.iter().copied().filter(|name| xml::carries(name)).collect();
        let mut batched = if batch.is_empty() { Vec::new() } else { self.delete_batch(&batch).await? }.into_iter();
        let mut results = Vec::with_capacity(keys.len());
        for name in names {
            let batched = if xml::carries(name) { batched.next() } else { None };
            results.push(match batched {
                Some(result) => result,
                None => self.delete_one(name).await,
            });
        }
        Ok(results)
    }
}

/// The name of a content, without the quotation marks that it comes in.
pub(crate) fn version(etag: &str) -> String {
    etag.trim_matches('"').to_owned()
}

fn describe(key: ObjectKey, size: u64, headers: &HeaderMap) -> ObjectInfo {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let written = text(TIME).and_then(Timestamp::parse_rfc3339).map(Time::Exact);
    let server = || text("last-modified").and_then(|date| httpdate::parse_http_date(date).ok());
    let time = written.or_else(|| server().map(|time| Time::Server(Timestamp::from_system(time))));
    let info = ObjectInfo::new(key, size, time.unwrap_or(Time::Unknown));
    info.with_version(text("etag").map(version).unwrap_or_default())
}
