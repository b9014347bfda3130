//! The store: objects are files on the server, keys are paths below the configured address. Thin:
//! [`crate::directories`] lists, [`crate::upload`] writes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use http::header::LAST_MODIFIED;
use http::{HeaderMap, HeaderValue};
use litestream_sdk::listing::by_directory;
use litestream_sdk::{
    Body, Capability, Context, ListRequest, ObjectInfo, ObjectKey, Pages, ReadRequest, Result, Storage, StorageError,
    Time, Timestamp, WriteRequest, async_trait,
};
use litestream_sdk_http::exchange::{self, Answer};
use litestream_sdk_http::range;

use crate::client::{Call, Client};
use crate::config::WebdavOptions;
use crate::directories::{Known, Walk};
use crate::held::{Held, held};
use crate::upload::{path_of, upload};

/// Files deleted in one call, and at once.
const DELETES: u32 = 100;
const DELETES_AT_ONCE: usize = 8;

/// One WebDAV server.
pub struct Webdav {
    client: Arc<Client>,
    known: Known,
    context: Context,
}

impl Webdav {
    pub(crate) fn open(options: &WebdavOptions, context: Context) -> Result<Self> {
        Ok(Self { client: Arc::new(Client::new(options)?), known: Known::default(), context })
    }
}

#[async_trait]
impl Storage for Webdav {
    fn capability(&self) -> Capability {
        // The protocol has no way to set a time.
        Capability::new(Capability::ROLL_UP).with_delete_batch(DELETES).with_time_step(Duration::ZERO)
    }

    async fn list(&self, request: ListRequest) -> Result<Pages> {
        by_directory(Walk(self.client.clone()), request).await
    }

    async fn stat(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        let found = self.client.look(path_of(key)?, 0).await?.unwrap_or_default();
        match found.first() {
            Some(found) if !found.is_dir => {
                let time = found.modified.map_or(Time::Unknown, Time::Server);
                Ok(ObjectInfo::new(key.clone(), found.size, time))
            }
            _ => Err(StorageError::not_found(key)),
        }
    }

    async fn read(&self, request: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
        if request.len == Some(0) {
            let info = self.stat(&request.key).await?;
            let inside = request.offset <= info.size;
            return if inside { Ok((Some(info), Body::empty())) } else { Err(range::past_end(&request)) };
        }
        let mut call = Call::new("GET", path_of(&request.key)?);
        if let Some(range) = range::header(&request)? {
            call = call.header("range", HeaderValue::try_from(range).expect("digits and a hyphen"));
        }
        let answer =
            self.client.send(call.header("accept-encoding", HeaderValue::from_static("identity")), &[416]).await?;
        let held = held(&request, answer.status().as_u16(), answer.headers())?;
        let info = held.size.map(|size| ObjectInfo::new(request.key.clone(), size, modified(answer.headers())));
        if held.len == Some(0) {
            return Ok((info, Body::empty()));
        }
        Ok((info, body(answer, format!("GET {}", request.key), held)))
    }

    async fn write(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo> {
        upload(&self.client, &self.known, &self.context, request, body).await
    }

    async fn delete(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
        let deletes = stream::iter(keys).map(|key| {
            let client = self.client.clone();
            async move { client.delete(path_of(&key)?).await }
        });
        Ok(deletes.buffered(DELETES_AT_ONCE).collect().await)
    }
}

fn modified(headers: &HeaderMap) -> Time {
    let time = headers.get(LAST_MODIFIED).and_then(|value| httpdate::parse_http_date(value.to_str().ok()?).ok());
    time.map_or(Time::Unknown, |time| Time::Server(Timestamp::from_system(time)))
}

/// The bytes that were asked for, of an answer that may hold more on both sides.
fn body(answer: Answer, what: String, held: Held) -> Body {
    let chunks = exchange::content(what, answer).into_stream();
    let window = (held.skip, held.len.unwrap_or(u64::MAX));
    let cut = chunks.try_take_while({
        let mut left = held.skip.saturating_add(window.1);
        move |chunk| {
            let more = left > 0;
            left = left.saturating_sub(chunk.len() as u64);
            std::future::ready(Ok(more))
        }
    });
    let (mut skip, mut left) = window;
    let wanted = cut.map_ok(move |mut chunk: Bytes| {
        let front = usize::try_from(skip).unwrap_or(usize::MAX).min(chunk.len());
        drop(chunk.split_to(front));
        skip -= front as u64;
        chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        left -= chunk.len() as u64;
        chunk
    });
    let body = Body::new(wanted.try_filter(|chunk| std::future::ready(!chunk.is_empty())));
    match held.len {
        Some(len) => body.with_size_hint(len),
        None => body,
    }
}
