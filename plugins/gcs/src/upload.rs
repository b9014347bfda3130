//! One object from a stream: a single request if it fits into one part, else a session to which part after part is sent.
//!
//! The protocol takes the parts of one session in order. While one is on its way the next is gathered, by copying, so
//! that each lent chunk goes back to the host at once.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode, Uri};
use litestream_sdk::{Body, Context, ObjectInfo, Result, StorageError, WriteRequest};
use litestream_sdk_http::{Parts, exchange};

use crate::client::{Call, Client, Target};
use crate::object::{self, Description};

/// Bytes in one part: a multiple of 256 KiB, by the protocol.
pub(crate) const PART_BYTES: u64 = 8 << 20;

/// What is asked about the new object: enough to describe it.
const FIELDS: &str = object::FIELDS;

/// Writes the object.
pub(crate) async fn run(
    client: &Arc<Client>,
    context: &Context,
    request: WriteRequest,
    body: Body,
) -> Result<ObjectInfo> {
    let mut parts = Parts::new(body, PART_BYTES);
    let first = parts.next().await?;
    let description = if (first.len() as u64) < PART_BYTES {
        at_once(client, &request, first).await?
    } else {
        in_parts(client, context, &request, first, parts).await?
    };
    description.info(request.key)
}

fn creation(request: &WriteRequest, kind: &str) -> Result<Call> {
    let what = format!("PUT {}", request.key);
    let call = Call::new(Method::POST, Target::Upload, what).query("uploadType", kind).query("fields", FIELDS);
    // Generation 0 is no object at all.
    Ok(if request.if_absent { call.query("ifGenerationMatch", "0") } else { call })
}

/// Description and bytes in one message.
async fn at_once(client: &Client, request: &WriteRequest, body: Bytes) -> Result<Description> {
    // In no file by chance: 128 bits that nobody knows before.
    let [one, other] = [(); 2].map(|()| RandomState::new().hash_one(body.len()));
    let boundary = format!("litestream-rs-{one:016x}{other:016x}");
    let description = object::creation(request.key.to_utf8()?, request.time);
    let head = format!(
        "--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{description}\r\n\
         --{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n"
    );
    let tail = format!("\r\n--{boundary}--\r\n");
    let call = creation(request, "multipart")?;
    let call = call.header("content-type", &format!("multipart/related; boundary={boundary}"))?;
    let what = call.what.clone();
    let (_, answer) = client.ask(call.body([head.into(), body, tail.into()])).await?;
    Description::parse(&what, &answer)
}

async fn in_parts(
    client: &Arc<Client>,
    context: &Context,
    request: &WriteRequest,
    first: Bytes,
    mut parts: Parts,
) -> Result<Description> {
    let session = begin(client, request).await?;
    // From here on parts lie on the store until somebody removes them, a week later the store itself.
    let undo = context.on_drop(abort(client.clone(), session.clone()));
    let (mut sent, mut part) = (0, first);
    let description = loop {
        let end = sent + part.len() as u64;
        // A part that is not full is the last.
        if (part.len() as u64) < PART_BYTES {
            break finish(client, request, &session, sent, part).await?;
        }
        let (_, next) = futures::try_join!(send(client, request, &session, sent, part), parts.next())?;
        (sent, part) = (end, next);
    };
    undo.disarm();
    Ok(description)
}

/// Makes a session; its address is the answer.
async fn begin(client: &Client, request: &WriteRequest) -> Result<Uri> {
    let description = object::creation(request.key.to_utf8()?, request.time);
    let call = creation(request, "resumable")?.header("content-type", "application/json; charset=UTF-8")?;
    let call = call.header("x-upload-content-type", "application/octet-stream")?;
    let what = call.what.clone();
    let (headers, _) = client.ask(call.body([description.into()])).await?;
    let location = headers.get(http::header::LOCATION).and_then(|location| location.to_str().ok()?.parse().ok());
    location.ok_or_else(|| StorageError::transient(format!("{what}: an upload was begun without an address")))
}

/// One part that is not the last.
async fn send(client: &Client, request: &WriteRequest, session: &Uri, sent: u64, part: Bytes) -> Result<()> {
    let end = sent + part.len() as u64;
    let range = format!("bytes {sent}-{}/*", end - 1);
    let call = call(request, session).header("content-range", &range)?.body([part]);
    let what = call.what.clone();
    let response = client.exchange(call).await?;
    let status = response.status();
    let (headers, answer) = exchange::whole(&what, response).await?;
    if status != StatusCode::PERMANENT_REDIRECT {
        let target = Target::Session(session.clone());
        return Err(crate::error::from_answer(&what, &target, status.as_u16(), &headers, &answer));
    }
    let kept = headers.get(http::header::RANGE).and_then(|range| range.to_str().ok());
    let kept = kept.and_then(|range| range.rsplit_once('-')?.1.parse::<u64>().ok());
    match kept {
        Some(last) if last + 1 == end => Ok(()),
        kept => Err(StorageError::transient(format!("{what}: of {end} bytes the store keeps those up to {kept:?}"))),
    }
}

/// The last part, which may be empty: the object appears.
async fn finish(client: &Client, request: &WriteRequest, session: &Uri, sent: u64, part: Bytes) -> Result<Description> {
    let size = sent + part.len() as u64;
    let range = if part.is_empty() { format!("bytes */{size}") } else { format!("bytes {sent}-{}/{size}", size - 1) };
    let call = call(request, session).header("content-range", &range)?.body([part]);
    let what = call.what.clone();
    let (_, answer) = client.ask(call).await?;
    Description::parse(&what, &answer)
}

fn call(request: &WriteRequest, session: &Uri) -> Call {
    Call::new(Method::PUT, Target::Session(session.clone()), format!("PUT {}", request.key))
}

/// The service answers 499 when it has thrown the session away.
async fn abort(client: Arc<Client>, session: Uri) {
    let _ = client.exchange(Call::new(Method::DELETE, Target::Session(session), "DELETE of an upload")).await;
}
