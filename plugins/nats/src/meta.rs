//! What describes an object in the bucket: one message in JSON, under a subject made of its name. The format is that of
//! all NATS clients; times are kept as the reference keeps them, in a header of the object.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use litestream_sdk::{ObjectInfo, ObjectKey, Time, Timestamp};
use serde::{Deserialize, Serialize};

/// The header that holds the written time.
const TIMESTAMP: &str = "Litestream-Timestamp";

/// The message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, Vec<String>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Options>,
    pub bucket: String,
    /// Names the content: the subject of its chunks ends with it.
    pub nuid: String,
    #[serde(default)]
    pub size: u64,
    #[serde(default)]
    pub chunks: u64,
    /// When the client says that it wrote.
    #[serde(default, rename = "mtime", skip_serializing_if = "Option::is_none")]
    pub modified: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

/// Its options.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Options {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_chunk_size: Option<u64>,
    /// Another object that is meant: nothing of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<serde_json::Value>,
}

impl Meta {
    /// Reads the message; `None` for what is no description, or a link: both belong to somebody else.
    pub fn parse(payload: &[u8]) -> Option<Meta> {
        let meta: Meta = serde_json::from_slice(payload).ok()?;
        let is_link = meta.options.as_ref().is_some_and(|options| options.link.is_some());
        (!is_link).then_some(meta)
    }

    /// As the host sees it; `None` if the name is no key.
    pub fn describe(&self) -> Option<ObjectInfo> {
        let key = ObjectKey::parse(&self.name).ok()?;
        Some(ObjectInfo::new(key, self.size, self.time()).with_version(&self.nuid))
    }

    fn time(&self) -> Time {
        let mut headers = self.headers.iter().flatten();
        let written = headers.find(|(name, _)| name.eq_ignore_ascii_case(TIMESTAMP));
        let written = written.and_then(|(_, values)| Timestamp::parse_rfc3339(values.first()?));
        let server = || self.modified.as_deref().and_then(Timestamp::parse_rfc3339);
        written.map(Time::Exact).or_else(|| server().map(Time::Server)).unwrap_or(Time::Unknown)
    }
}

/// The header of an object with this time.
pub(crate) fn headers(time: Timestamp) -> BTreeMap<String, Vec<String>> {
    BTreeMap::from([(TIMESTAMP.to_owned(), vec![time.to_rfc3339()])])
}

/// The subject of a description.
pub(crate) fn subject(bucket: &str, name: &str) -> String {
    format!("$O.{bucket}.M.{}", URL_SAFE.encode(name))
}

/// The subject of the chunks of a content.
pub(crate) fn chunks_subject(bucket: &str, nuid: &str) -> String {
    format!("$O.{bucket}.C.{nuid}")
}

/// The form of a digest.
pub(crate) fn digest(sha256: &[u8]) -> String {
    format!("SHA-256={}", URL_SAFE.encode(sha256))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Litestream 0.5.17 writes it, with Go's client.
    #[test]
    fn the_references_descriptions_are_read() {
        let payload = br#"{"name":"ltx/0/0000000000000001-0000000000000001.ltx","headers":{"Litestream-Timestamp":
            ["2025-11-22T09:31:11.508Z"]},"options":{"max_chunk_size":131072},"bucket":"b","nuid":"S5H","size":415,
            "mtime":"0001-01-01T00:00:00Z","chunks":1,"digest":"SHA-256=x"}"#;
        let info = Meta::parse(payload).unwrap().describe().unwrap();
        assert_eq!(info.time, Time::Exact(Timestamp(1_763_803_871_508_000_000)));
        assert_eq!((info.size, info.version.as_deref()), (415, Some("S5H")));
    }

    #[test]
    fn links_and_other_messages_belong_to_somebody_else() {
        assert!(Meta::parse(b"{}").is_none() && Meta::parse(b"x").is_none());
        let link = br#"{"name":"a","bucket":"b","nuid":"n","options":{"link":{"bucket":"c"}}}"#;
        assert!(Meta::parse(link).is_none());
        let odd = br#"{"name":"a//b","bucket":"b","nuid":"n"}"#;
        assert!(Meta::parse(odd).unwrap().describe().is_none());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let meta = Meta {
            name: "a".into(),
            headers: Some(headers(Timestamp(1_500_000_000))),
            options: Some(Options { max_chunk_size: Some(1), link: None }),
            bucket: "b".into(),
            nuid: "n".into(),
            size: 7,
            chunks: 1,
            modified: None,
            digest: Some(digest(&[0; 32])),
            deleted: false,
        };
        let text = serde_json::to_string(&meta).unwrap();
        assert!(
            text.contains(r#""Litestream-Timestamp":["1970-01-01T00:00:01.5Z"]"#) && !text.contains("deleted"),
            "{text}"
        );
        assert_eq!(Meta::parse(text.as_bytes()).unwrap().describe(), meta.describe());
    }
}
