//! One object from another one of the bucket, with its metadata, by one request and without its bytes.

use http::{HeaderMap, HeaderName, Method};
use litestream_sdk::{CopyRequest, Result};

use crate::client::{Client, object};
use crate::encryption::Encryption;
use crate::error;
use crate::xml::Failure;

/// What every header of a customer's key begins with, and what it begins with where it opens the source.
const OWN_KEY: (&str, &str) = ("x-amz-server-side-", "x-amz-copy-source-server-side-");

/// Asks the store to copy. What it cannot (more than 5 GiB; stores without this request) it refuses, and the host writes.
pub(crate) async fn copy(client: &Client, encryption: &Encryption, request: &CopyRequest) -> Result<()> {
    let source = client.copy_source(request.from.to_utf8()?)?;
    let call = object(Method::PUT, request.to.to_utf8()?).header("x-amz-copy-source", &source)?;
    let call = call.headers(&encryption.on_create).headers(&encryption.on_content).headers(&of_source(encryption));
    let what = format!("copy of {} to {}", request.from, request.to);
    let (headers, answer) = client.ask(call).await?;
    // As with the end of an upload in parts, the status is sent before the work is done.
    match Failure::parse(&answer) {
        Some(_) => Err(error::from_answer(&what, 500, &headers, &answer)),
        None => Ok(()),
    }
}

fn of_source(encryption: &Encryption) -> HeaderMap {
    let renamed = encryption.on_content.iter().filter_map(|(name, value)| {
        let rest = name.as_str().strip_prefix(OWN_KEY.0)?;
        Some((HeaderName::from_bytes(format!("{}{rest}", OWN_KEY.1).as_bytes()).ok()?, value.clone()))
    });
    renamed.collect()
}
