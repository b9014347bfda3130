//! What the service says of an object.

use std::collections::HashMap;

use http::HeaderMap;
use litestream_sdk::{ObjectInfo, ObjectKey, Result, StorageError, Time, Timestamp};
use litestream_sdk_http::range;
use litestream_sdk_http::refusal::header;
use serde::Deserialize;
use serde_json::json;

/// Metadata that carries the time of an LTX file, as the reference writes it.
const TIME: &str = "litestream-timestamp";

/// The members of a description that are asked for.
pub(crate) const FIELDS: &str = "name,size,generation,timeCreated,metadata";

/// A description, as the service gives it for one object and for each of a listing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Description {
    pub name: String,
    /// Numbers are texts in this protocol: JSON's own have too few digits.
    #[serde(default)]
    size: String,
    #[serde(default)]
    generation: String,
    #[serde(default)]
    time_created: String,
    #[serde(default)]
    metadata: HashMap<String, Option<String>>,
}

impl Description {
    /// Reads one.
    pub fn parse(what: &str, body: &[u8]) -> Result<Description> {
        read(what, body)
    }

    /// Of this object.
    pub fn info(&self, key: ObjectKey) -> Result<ObjectInfo> {
        let size = self.size.parse();
        let size = size.map_err(|_| StorageError::transient(format!("{key}: the store gave no size for it")))?;
        let written = self.metadata.get(TIME).and_then(Option::as_deref).and_then(Timestamp::parse_rfc3339);
        let created = || Timestamp::parse_rfc3339(&self.time_created).map(Time::Server);
        let time = written.map(Time::Exact).or_else(created).unwrap_or(Time::Unknown);
        Ok(ObjectInfo::new(key, size, time).with_version(&self.generation))
    }
}

/// The description that creates an object.
pub(crate) fn creation(name: &str, time: Timestamp) -> String {
    let metadata = json!({ TIME: time.to_rfc3339() });
    json!({ "name": name, "contentType": "application/octet-stream", "metadata": metadata }).to_string()
}

/// What the headers of a download say; `None` if they do not give the size of the whole object.
pub(crate) fn from_headers(key: ObjectKey, headers: &HeaderMap) -> Option<ObjectInfo> {
    let written =
        header(headers, "x-goog-meta-litestream-timestamp").and_then(Timestamp::parse_rfc3339).map(Time::Exact);
    let info = ObjectInfo::new(key, range::object_size(headers)?, written.unwrap_or(Time::Unknown));
    Some(info.with_version(header(headers, "x-goog-generation").unwrap_or_default()))
}

/// Reads an answer in JSON.
pub(crate) fn read<T: for<'de> Deserialize<'de>>(what: &str, body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        StorageError::transient(format!("{what}: the store's answer is not the JSON that was due: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ObjectKey {
        ObjectKey::parse("p/k").unwrap()
    }

    /// Recorded from the service.
    #[test]
    fn a_description_gives_size_generation_and_the_written_time() {
        let body = r#"{"name":"p/k","generation":"1763803871508123","timeCreated":"2026-11-22T09:31:12.001Z",
            "size":"415","metadata":{"litestream-timestamp":"2026-11-22T09:31:11.508Z","other":null}}"#;
        let info = Description::parse("GET", body.as_bytes()).unwrap().info(key()).unwrap();
        let written = Timestamp::parse_rfc3339("2026-11-22T09:31:11.508Z").unwrap();
        assert_eq!((info.size, info.time), (415, Time::Exact(written)));
        assert_eq!(info.version.as_deref(), Some("1763803871508123"));
    }

    #[test]
    fn without_a_written_time_the_time_of_creation_counts() {
        for metadata in ["{}", r#"{"litestream-timestamp":"yesterday"}"#] {
            let body = format!(
                r#"{{"name":"p/k","size":"0","timeCreated":"2026-11-22T09:31:12.001Z","metadata":{metadata}}}"#
            );
            let info = Description::parse("GET", body.as_bytes()).unwrap().info(key()).unwrap();
            assert!(matches!(info.time, Time::Server(_)), "{info:?}");
        }
        assert!(
            Description::parse("GET", br#"{"name":"x"}"#).unwrap().info(key()).is_err(),
            "no size is no empty object"
        );
        assert!(Description::parse("GET", b"<html>").is_err());
    }

    #[test]
    fn an_object_is_created_with_its_time() {
        assert_eq!(
            creation("a\"b", Timestamp(1_763_803_871_508_000_000)),
            r#"{"name":"a\"b","contentType":"application/octet-stream","metadata":{"litestream-timestamp":"2025-11-22T09:31:11.508Z"}}"#
        );
    }
}
