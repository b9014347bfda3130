//! One upload: a temporary name elsewhere, then a move.
//!
//! A PUT to the final name would show half an object on most servers, and leave it there when the connection breaks.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::HeaderValue;
use litestream_sdk::{Body, Context, ErrorKind, ObjectInfo, ObjectKey, Result, StorageError, Time, WriteRequest};
use tokio::sync::Mutex;

use crate::client::{Call, Client};
use crate::directories::Known;

/// The end of every name that a listing leaves out.
const SUFFIX: &str = ".tmp";
/// Where objects are on their way. Beside the object's directory and not in it: a server may fail to list a directory
/// in which a file is being written, and not say so.
const ON_THE_WAY: &str = ".litestream-rs.tmp";

/// In front of each try to remove a file that was on its way.
const CLEANING_WAITS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(300),
    Duration::from_millis(700),
    Duration::from_secs(1),
    Duration::from_secs(4),
];

/// Whether a listing leaves this name out.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.ends_with(SUFFIX)
}

/// A key as a path below the root.
pub(crate) fn path_of(key: &ObjectKey) -> Result<&str> {
    Ok(key.to_utf8()?.trim_start_matches('/'))
}

/// Writes one object.
pub(crate) async fn upload(
    client: &Arc<Client>,
    known: &Known,
    context: &Context,
    request: WriteRequest,
    body: Body,
) -> Result<ObjectInfo> {
    let target = path_of(&request.key)?;
    let dir = target.rsplit_once('/').map_or("", |(dir, _)| dir);
    let way = match dir.rsplit_once('/') {
        Some((above, _)) => format!("{above}/{ON_THE_WAY}"),
        // Above it we may be strangers.
        None if dir.is_empty() => ON_THE_WAY.to_owned(),
        None => format!("{dir}/{ON_THE_WAY}"),
    };
    let random = RandomState::new().build_hasher().finish();
    let temp = format!("{way}/{}-{random:016x}{SUFFIX}", std::process::id());
    known.make(client, dir).await?;
    known.make(client, &way).await?;
    let undo = context.on_drop(remove_later(client.clone(), temp.clone()));
    let size = match put(client, &temp, request.size, body).await {
        Err(error) if is_missing(&error) => {
            // The directory was there. Whoever sends the body again will find it made anew, or hear that the root is gone.
            known.forget(dir);
            known.forget(&way);
            client.check_root().await?;
            return Err(retryable(error));
        }
        result => result?,
    };
    let moved = Call::new("MOVE", &temp).header("overwrite", HeaderValue::from_static("T"));
    let destination = HeaderValue::try_from(client.address(target));
    let destination = destination.map_err(|_| StorageError::invalid_input(format!("{}: no address", request.key)))?;
    client
        .ask(moved.header("destination", destination), &[])
        .await
        .map_err(|error| if is_missing(&error) { retryable(error) } else { error })?;
    undo.disarm();
    Ok(ObjectInfo::new(request.key, size, Time::Unknown))
}

/// Removes what a failed or cancelled upload has left. A server holds on to the file until it has noticed the end of the
/// connection, answers "locked" so long, and may put the file in place only then: hence until it is gone twice. What
/// stays after all is left out of listings.
async fn remove_later(client: Arc<Client>, temp: String) {
    let mut gone = 0;
    for wait in CLEANING_WAITS {
        tokio::time::sleep(wait).await;
        gone = if client.delete(&temp).await.is_ok() { gone + 1 } else { 0 };
        if gone == 2 {
            return;
        }
    }
}

fn is_missing(error: &StorageError) -> bool {
    matches!(error.http_status, 404 | 409)
}

fn retryable(mut error: StorageError) -> StorageError {
    error.kind = ErrorKind::TRANSIENT;
    error
}

/// Sends a body; gives its length.
async fn put(client: &Client, path: &str, size: Option<u64>, body: Body) -> Result<u64> {
    let sending = Arc::new(Mutex::new(Sending { body, sent: 0, failure: None }));
    let stream = stream::try_unfold(sending.clone(), |sending| async move {
        let chunk = sending.lock().await.next().await;
        chunk.map(|chunk| chunk.map(|chunk| (chunk, sending)))
    });
    let call = Call::new("PUT", path).header("content-type", HeaderValue::from_static("application/octet-stream"));
    // Without a length the body is sent in chunks, which not every server takes.
    let call = if let Some(size) = size { call.header("content-length", size) } else { call };
    let answer = client.ask(call.body(reqwest::Body::wrap_stream(stream)), &[]).await;
    let mut sending = sending.lock().await;
    if let Some(error) = sending.failure.take() {
        return Err(error);
    }
    answer?;
    // The client stops at the announced length, and the body may not.
    if sending.body.next().await?.is_some() {
        return Err(StorageError::invalid_input(format!("PUT {path}: the body is longer than was announced")));
    }
    if size.is_none() {
        check_length(client, path, sending.sent).await?;
    }
    Ok(sending.sent)
}

/// A body on its way.
struct Sending {
    body: Body,
    sent: u64,
    /// What the body failed with: the client's own error only says that it did.
    failure: Option<StorageError>,
}

impl Sending {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        match self.body.next().await {
            Ok(chunk) => {
                self.sent += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
                Ok(chunk)
            }
            Err(error) => {
                self.failure = Some(error);
                Err(io::Error::other("the body failed"))
            }
        }
    }
}

/// Some servers answer a body in chunks with success, and store nothing.
async fn check_length(client: &Client, path: &str, sent: u64) -> Result<()> {
    let found = client.look(path, 0).await?.unwrap_or_default();
    match found.first() {
        Some(stored) if stored.size == sent => Ok(()),
        stored => {
            let stored = stored.map_or(0, |stored| stored.size);
            let message = format!("PUT {path}: the server stored {stored} of {sent} bytes sent without a length");
            Err(StorageError::permanent(message))
        }
    }
}
