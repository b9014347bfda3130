//! The XML bodies of the protocol.

use std::collections::HashMap;

use litestream_sdk_http::xml;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

/// An error answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Failure {
    pub code: String,
    pub message: String,
}

impl Failure {
    /// `None` if the body is something else, such as a page of some proxy.
    pub fn parse(body: &[u8]) -> Option<Failure> {
        xml::try_read(body).filter(|failure: &Failure| !failure.code.is_empty())
    }
}

/// One page of a listing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Listing {
    #[serde(default)]
    pub blobs: Blobs,
    #[serde(default)]
    pub next_marker: Option<String>,
}

/// Blobs and prefixes, as they alternate.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Blobs {
    #[serde(rename = "$value", default)]
    pub lines: Vec<Line>,
}

/// One line of a listing.
#[derive(Debug, Deserialize)]
pub(crate) enum Line {
    Blob(Blob),
    BlobPrefix(BlobPrefix),
}

/// One listed blob.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Blob {
    pub name: Name,
    pub properties: Properties,
    /// Keys in whatever case they were written.
    #[serde(default)]
    pub metadata: Option<HashMap<String, String>>,
}

impl Blob {
    /// A metadata value, by its name in lower case.
    pub fn metadata(&self, name: &str) -> Option<&str> {
        let mut all = self.metadata.iter().flatten();
        all.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Everything below one name.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct BlobPrefix {
    pub name: Name,
}

/// A name, encoded where XML could not carry it.
#[derive(Debug, Deserialize)]
pub(crate) struct Name {
    #[serde(rename = "@Encoded", default)]
    encoded: bool,
    #[serde(rename = "$text", default)]
    text: String,
}

impl Name {
    /// The name itself; `None` if it is not UTF-8, and so is nobody's we know.
    pub fn decoded(self) -> Option<String> {
        if !self.encoded {
            return Some(self.text);
        }
        percent_decode_str(&self.text).decode_utf8().ok().map(Into::into)
    }
}

/// What a listing says of a blob beside its name.
#[derive(Debug, Deserialize)]
pub(crate) struct Properties {
    #[serde(rename = "Content-Length", default)]
    pub content_length: u64,
    #[serde(rename = "Creation-Time", default)]
    pub creation_time: String,
    #[serde(rename = "Etag", default)]
    pub etag: String,
    /// `directory` in accounts with a hierarchical namespace.
    #[serde(rename = "ResourceType", default)]
    pub resource_type: String,
}

/// The request that makes a blob of its blocks.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct BlockList<'a> {
    pub latest: &'a [String],
}

#[cfg(test)]
mod tests {
    use litestream_sdk_http::xml::{read, write};

    use super::*;

    /// In the form of the service: with directories, odd names, and metadata in another case.
    const PAGE: &str = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults \
        ServiceEndpoint=\"https://a.blob.core.windows.net/\" ContainerName=\"c\"><Prefix>p/</Prefix><Blobs>\
        <Blob><Name>p/ a &amp; b </Name><Properties><Creation-Time>Sun, 22 Nov 2026 09:31:11 GMT</Creation-Time>\
        <Etag>0x8DB</Etag><Content-Length>415</Content-Length><BlobType>BlockBlob</BlobType></Properties>\
        <Metadata><Litestreamtimestamp>2026-11-22T09:31:11.508Z</Litestreamtimestamp><other /></Metadata>\
        <OrMetadata /></Blob><BlobPrefix><Name>p/b/</Name></BlobPrefix>\
        <Blob><Name Encoded=\"true\">p%2Fx%01</Name><Properties><Content-Length>0</Content-Length></Properties></Blob>\
        </Blobs><NextMarker>2!68!x</NextMarker></EnumerationResults>";

    #[test]
    fn a_page_gives_names_as_they_are_and_metadata_in_any_case() {
        let page: Listing = read("LIST", PAGE.as_bytes()).unwrap();
        assert_eq!(page.next_marker.as_deref(), Some("2!68!x"));
        let mut names = Vec::new();
        for line in page.blobs.lines {
            match line {
                Line::Blob(blob) => {
                    let time = blob.metadata("litestreamtimestamp").map(str::to_owned);
                    names.push((blob.name.decoded().unwrap(), blob.properties.content_length, time));
                }
                Line::BlobPrefix(prefix) => names.push((prefix.name.decoded().unwrap(), 0, None)),
            }
        }
        let time = Some("2026-11-22T09:31:11.508Z".to_owned());
        assert_eq!(names, [("p/ a & b ".into(), 415, time), ("p/b/".into(), 0, None), ("p/x\u{1}".into(), 0, None)]);
    }

    #[test]
    fn an_empty_page_is_read() {
        for blobs in ["<Blobs />", "<Blobs></Blobs>", ""] {
            let body = format!("<EnumerationResults>{blobs}<NextMarker /></EnumerationResults>");
            let page: Listing = read("LIST", body.as_bytes()).unwrap();
            assert!(page.blobs.lines.is_empty() && page.next_marker.unwrap_or_default().is_empty());
        }
        assert!(read::<Listing>("LIST", b"<html>").is_err());
    }

    #[test]
    fn a_block_list_names_its_blocks_in_order() {
        let body = write(&BlockList { latest: &["b=".into(), "a=".into()] }).unwrap();
        assert_eq!(body, b"<BlockList><Latest>b=</Latest><Latest>a=</Latest></BlockList>");
    }
}
