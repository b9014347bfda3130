//! The store: one container.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use litestream_sdk::listing::by_delimiter;
use litestream_sdk::{
    Body, Capability, ListRequest, ObjectInfo, ObjectKey, Pages, ReadRequest, Result, Storage, StorageError, Time,
    Timestamp, WriteRequest, async_trait,
};
use litestream_sdk_http::{exchange, range};

use crate::client::{Client, blob};
use crate::config::AzureOptions;
use crate::upload::{self, CONCURRENCY, MAX_PARTS, PART_BYTES};
use crate::{batch, listing};

/// Metadata that carries the time of an LTX file, as the reference writes it: no hyphen may stand in such a name.
pub(crate) const TIME: &str = "litestreamtimestamp";

/// An open container.
pub struct Container {
    client: Arc<Client>,
}

impl Container {
    /// Makes the pool; the first request comes with the first call.
    pub(crate) fn open(options: &AzureOptions) -> Result<Container> {
        Ok(Container { client: Arc::new(Client::new(options)?) })
    }

    /// An open range that begins at the end of the blob is empty, and one behind it an error: the service says the same
    /// of both.
    async fn unsatisfiable(&self, request: &ReadRequest, refused: StorageError) -> Result<(Option<ObjectInfo>, Body)> {
        let info = self.stat(&request.key).await?;
        if request.len.is_none() && info.size == request.offset {
            Ok((Some(info), Body::empty()))
        } else {
            Err(refused)
        }
    }
}

#[async_trait]
impl Storage for Container {
    fn capability(&self) -> Capability {
        let bits = Capability::IF_ABSENT | Capability::READ_VERSION | Capability::LIST_TIME_EXACT | Capability::ROLL_UP;
        Capability::new(bits)
            .with_max_in_flight(64)
            .with_delete_batch(batch::MOST)
            .with_max_key(1024)
            .with_max_object(PART_BYTES * MAX_PARTS)
            .with_write_buffer(PART_BYTES * 2..=PART_BYTES * (CONCURRENCY + 1))
            .with_time_step(Duration::from_nanos(1))
    }

    async fn list(&self, request: ListRequest) -> Result<Pages> {
        by_delimiter(self.client.clone(), request, listing::PAGE)
    }

    async fn stat(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        let (headers, _) = self.client.ask(blob(Method::HEAD, key.to_utf8()?)).await?;
        let size = range::content_length(&headers);
        let size = size.ok_or_else(|| StorageError::transient(format!("HEAD {key}: an answer without a length")))?;
        Ok(describe(key.clone(), size, &headers))
    }

    async fn read(&self, request: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
        if request.len == Some(0) {
            return Ok((None, Body::empty()));
        }
        let mut call = blob(Method::GET, request.key.to_utf8()?);
        let what = call.what.clone();
        if let Some(wanted) = range::header(&request)? {
            call = call.header("x-ms-range", &wanted)?;
        }
        if let Some(version) = &request.version {
            call = call.header("if-match", &format!("\"{version}\""))?;
        }
        let response = match self.client.send(call).await {
            Err(refused) if refused.http_status == 416 => return self.unsatisfiable(&request, refused).await,
            answer => answer?,
        };
        let headers = response.headers();
        let info = range::object_size(headers).map(|size| describe(request.key, size, headers));
        Ok((info, exchange::content(what, response)))
    }

    async fn write(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo> {
        upload::run(&self.client, request, body).await
    }

    async fn delete(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        batch::delete(&self.client, &keys).await
    }
}

/// The name of a content: headers have it in quotation marks, listings have not.
pub(crate) fn version(etag: &str) -> String {
    etag.trim_matches('"').to_owned()
}

fn describe(key: ObjectKey, size: u64, headers: &HeaderMap) -> ObjectInfo {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let written = text("x-ms-meta-litestreamtimestamp").and_then(Timestamp::parse_rfc3339).map(Time::Exact);
    let server = || text("x-ms-creation-time").or_else(|| text("last-modified")).and_then(http_date).map(Time::Server);
    let time = written.or_else(server).unwrap_or(Time::Unknown);
    ObjectInfo::new(key, size, time).with_version(text("etag").map(version).unwrap_or_default())
}

fn http_date(text: &str) -> Option<Timestamp> {
    httpdate::parse_http_date(text).ok().map(Timestamp::from_system)
}
