//! The XML bodies of the protocol.

use litestream_sdk_http::xml;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

/// An error answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Failure {
    pub code: String,
    pub message: String,
    pub request_id: String,
    /// Where the bucket is, when it is not here.
    pub endpoint: String,
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
    #[serde(rename = "ETag", default)]
    pub etag: String,
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

/// A batch delete that answers for each key.
#[derive(Debug, Serialize)]
#[serde(rename = "Delete", rename_all = "PascalCase")]
pub(crate) struct Delete<'a> {
    pub quiet: bool,
    pub object: Vec<Named<'a>>,
}

/// One key of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Named<'a> {
    pub key: &'a str,
}

/// Its answer: what is gone, and what stayed and why.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Deleted {
    #[serde(default)]
    pub encoding_type: Option<String>,
    #[serde(default)]
    pub deleted: Vec<Gone>,
    #[serde(rename = "Error", default)]
    pub errors: Vec<Stayed>,
}

/// A key that is gone.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Gone {
    pub key: String,
}

/// A key that stayed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Stayed {
    pub key: String,
    #[serde(default)]
    pub code: String,
    #[serde(default)]
    pub message: String,
}

/// A name of an answer; `encoding` is what the answer says of itself.
pub(crate) fn decoded(name: &str, encoding: Option<&str>) -> Option<String> {
    if encoding != Some("url") {
        return Some(name.to_owned());
    }
    let spaced = name.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use litestream_sdk_http::xml::{read, write};

    use super::*;

    /// From the service's documentation.
    #[test]
    fn a_page_is_read_with_names_as_they_are() {
        let body = r#"<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>b</Name><Prefix>p%2F</Prefix>
            <MaxKeys>2</MaxKeys><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
            <NextContinuationToken>CgJiYw--</NextContinuationToken><Contents><Key>p%2Fa+b%2B%25.ltx</Key>
            <LastModified>2026-11-22T09:31:12.000Z</LastModified><ETag>"5B3C"</ETag><Type>Normal</Type><Size>415</Size>
            <StorageClass>Standard</StorageClass></Contents><CommonPrefixes><Prefix>p%2Fsub%2F</Prefix></CommonPrefixes>
            <Contents><Key>p%2Fz</Key><Size>0</Size></Contents><KeyCount>3</KeyCount></ListBucketResult>"#;
        let page: Listing = read("LIST", body.as_bytes()).unwrap();
        assert!(page.is_truncated && page.next_continuation_token.as_deref() == Some("CgJiYw--"));
        let encoding = page.encoding_type.as_deref();
        let names: Vec<_> = page.contents.iter().filter_map(|content| decoded(&content.key, encoding)).collect();
        assert_eq!(names, ["p/a b+%.ltx", "p/z"], "whatever stands between them");
        assert_eq!((page.contents[0].size, page.contents[0].etag.as_str()), (415, "\"5B3C\""));
        assert_eq!(decoded(&page.common_prefixes[0].prefix, encoding).as_deref(), Some("p/sub/"));
        assert_eq!(decoded("a+b%20", None).as_deref(), Some("a+b%20"));
        let empty: Listing =
            read("LIST", b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>").unwrap();
        assert!(empty.contents.is_empty() && !empty.is_truncated);
    }

    #[test]
    fn requests_have_the_documented_form() {
        let delete = write(&Delete { quiet: false, object: vec![Named { key: "a&b" }, Named { key: "c" }] }).unwrap();
        let expected =
            "<Delete><Quiet>false</Quiet><Object><Key>a&amp;b</Key></Object><Object><Key>c</Key></Object></Delete>";
        assert_eq!(String::from_utf8(delete).unwrap(), expected);
        let complete = write(&Complete { parts: vec![Part { part_number: 1, etag: "\"A\"".into() }] }).unwrap();
        let expected = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"A\"</ETag></Part></CompleteMultipartUpload>";
        assert_eq!(String::from_utf8(complete).unwrap().replace("&quot;", "\""), expected);
    }
}
