//! The store: one bucket.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use litestream_sdk::listing::by_delimiter;
use litestream_sdk::{
    Body, Capability, Context, ListRequest, ObjectInfo, ObjectKey, Pages, ReadRequest, Result, Storage, StorageError,
    WriteRequest, async_trait,
};
use litestream_sdk_http::{exchange, range};

use crate::client::{Call, Client, Target};
use crate::config::GcsOptions;
use crate::object::{self, Description, FIELDS};
use crate::upload::{self, PART_BYTES};
use crate::{batch, listing};

/// The largest object, by the protocol.
const MAX_OBJECT_BYTES: u64 = 5 << 40;

/// An open bucket.
pub struct Bucket {
    client: Arc<Client>,
    context: Context,
}

impl Bucket {
    /// Makes the pool; the first request comes with the first call.
    pub(crate) fn open(options: &GcsOptions, context: Context) -> Result<Bucket> {
        Ok(Bucket { client: Arc::new(Client::new(options)?), context })
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
}

#[async_trait]
impl Storage for Bucket {
    fn capability(&self) -> Capability {
        let bits = Capability::IF_ABSENT
            | Capability::READ_VERSION
            | Capability::LIST_TIME_EXACT
            | Capability::ROLL_UP
            | Capability::SEEK_LIST;
        Capability::new(bits)
            .with_max_in_flight(64)
            .with_delete_batch(batch::MOST)
            .with_max_key(1024)
            .with_max_object(MAX_OBJECT_BYTES)
            .with_write_buffer(PART_BYTES * 2..=PART_BYTES * 2)
            .with_time_step(Duration::from_nanos(1))
    }

    async fn list(&self, request: ListRequest) -> Result<Pages> {
        by_delimiter(self.client.clone(), request, listing::PAGE)
    }

    async fn stat(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        let target = Target::Object(key.to_utf8()?.to_owned());
        let call = Call::new(Method::GET, target, format!("STAT {key}")).query("fields", FIELDS);
        let what = call.what.clone();
        let (_, body) = self.client.ask(call).await?;
        Description::parse(&what, &body)?.info(key.clone())
    }

    async fn read(&self, request: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
        if request.len == Some(0) {
            return Ok((None, Body::empty()));
        }
        let what = format!("GET {}", request.key);
        let target = Target::Content(request.key.to_utf8()?.to_owned());
        let mut call = Call::new(Method::GET, target, &what).query("alt", "media");
        let wanted = range::header(&request)?;
        if let Some(wanted) = &wanted {
            call = call.header("range", wanted)?;
        }
        if let Some(version) = &request.version {
            call = call.query("ifGenerationMatch", version);
        }
        let response = match self.client.send(call).await {
            Err(refused) if refused.http_status == 416 => return self.unsatisfiable(&request, refused).await,
            answer => answer?,
        };
        if wanted.is_some() && response.status() != http::StatusCode::PARTIAL_CONTENT {
            return Err(StorageError::permanent(format!("{what}: the store ignores ranges")));
        }
        let info = object::from_headers(request.key, response.headers());
        Ok((info, exchange::content(what, response)))
    }

    async fn write(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo> {
        upload::run(&self.client, &self.context, request, body).await
    }

    async fn delete(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        batch::delete(&self.client, &keys).await
    }
}
