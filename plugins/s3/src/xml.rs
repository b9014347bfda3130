//! The XML bodies of the protocol.

use litestream_sdk_http::xml;
use serde::{Deserialize, Serialize};

/// An error answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Failure {
    pub code: String,
    pub message: String,
    pub region: Option<String>,
    pub request_id: Option<String>,
}

impl Failure {
    /// `None` if the body is something else: a success, or a page of some proxy.
    pub fn parse(body: &[u8]) -> Option<Failure> {
        // Every success has another root element, and none of them a `Code`.
        xml::try_read(body).filter(|failure: &Failure| !failure.code.is_empty())
    }
}

/// One page of a listing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Listing {
    #[serde(default)]
    pub is_truncated: bool,
    #[serde(default)]
    pub next_continuation_token: Option<String>,
    #[serde(default)]
    pub encoding_type: Option<String>,
    #[serde(default)]
    pub contents: Vec<Content>,
    #[serde(default)]
    pub common_prefixes: Vec<CommonPrefix>,
}

/// One listed object.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Content {
    pub key: String,
    pub size: u64,
    #[serde(default)]
    pub last_modified: String,
}

/// Everything below one name.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CommonPrefix {
    pub prefix: String,
}

/// The answer that begins an upload in parts.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Initiated {
    pub upload_id: String,
}

/// The answer that ends one.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Completed {
    #[serde(rename = "ETag", default)]
    pub etag: Option<String>,
}

/// The request that ends one.
#[derive(Debug, Serialize)]
#[serde(rename = "CompleteMultipartUpload")]
pub(crate) struct Complete {
    #[serde(rename = "Part")]
    pub parts: Vec<Part>,
}

/// One part of an upload.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Part {
    pub part_number: u32,
    #[serde(rename = "ETag")]
    pub etag: String,
}

/// A batch delete.
#[derive(Debug, Serialize)]
#[serde(rename = "Delete", rename_all = "PascalCase")]
pub(crate) struct Delete<'a> {
    pub object: Vec<Named<'a>>,
}

/// One key of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Named<'a> {
    pub key: &'a str,
}

/// Its answer: what stayed, and why.
#[derive(Debug, Deserialize)]
pub(crate) struct Deleted {
    #[serde(rename = "Error", default)]
    pub errors: Vec<NotDeleted>,
}

/// A key that stayed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NotDeleted {
    pub key: String,
    #[serde(default)]
    pub code: String,
    #[serde(default)]
    pub message: String,
}
