//! Listings straight from the service: only it can roll up a thousand databases in one request.

use http::Method;
use litestream_sdk::listing::{Names, NamesPage, NamesQuery};
use litestream_sdk::{ErrorKind, ObjectInfo, ObjectKey, Result, StorageError, Time, Timestamp, async_trait};
use litestream_sdk_http::xml;

use crate::client::{Client, container};
use crate::storage::{TIME, version};
use crate::xml::{Blob, Line, Listing};

/// The most that the protocol gives at once.
pub(crate) const PAGE: u64 = 5000;

#[async_trait]
impl Names for Client {
    /// The protocol has no start in the middle: what comes before it is dropped by the SDK.
    async fn names(&self, query: &NamesQuery) -> Result<NamesPage> {
        let what = format!("LIST {}", query.prefix);
        let call = container(Method::GET, &what).query("comp", "list").query("include", "metadata");
        let mut call = call.query("maxresults", query.limit.to_string());
        if !query.prefix.is_empty() {
            call = call.query("prefix", query.prefix.clone());
        }
        if let Some(delimiter) = &query.delimiter {
            call = call.query("delimiter", delimiter.clone());
        }
        if let Some(marker) = &query.token {
            call = call.query("marker", marker.clone());
        }
        let (_, body) = self.ask(call).await.map_err(|error| explained(query, error))?;
        let listing: Listing = xml::read(&what, &body)?;
        let mut page = NamesPage { next: listing.next_marker, ..NamesPage::default() };
        for line in listing.blobs.lines {
            match line {
                Line::BlobPrefix(prefix) => page.prefixes.extend(prefix.name.decoded()),
                Line::Blob(blob) => page.objects.extend(describe(blob)),
            }
        }
        Ok(page)
    }
}

/// Accounts with a hierarchical namespace know no delimiter but `/`: the host then walks.
fn explained(query: &NamesQuery, mut error: StorageError) -> StorageError {
    let rolls_up = query.delimiter.as_ref().is_some_and(|delimiter| delimiter.len() > 1);
    if rolls_up && matches!(error.code.as_str(), "InvalidQueryParameterValue" | "UnsupportedQueryParameter") {
        error.kind = ErrorKind::UNSUPPORTED;
    }
    error
}

/// `None` for what is no object of ours: a directory of the hierarchical namespace, a name that is no key.
fn describe(blob: Blob) -> Option<ObjectInfo> {
    if blob.properties.resource_type == "directory" || blob.metadata("hdi_isfolder") == Some("true") {
        return None;
    }
    let written = blob.metadata(TIME).and_then(Timestamp::parse_rfc3339).map(Time::Exact);
    let created = httpdate::parse_http_date(&blob.properties.creation_time).ok();
    let time = written.or(created.map(|time| Time::Server(Timestamp::from_system(time)))).unwrap_or(Time::Unknown);
    let (size, etag) = (blob.properties.content_length, version(&blob.properties.etag));
    let key = ObjectKey::parse(blob.name.decoded()?).ok()?;
    Some(ObjectInfo::new(key, size, time).with_version(etag))
}
