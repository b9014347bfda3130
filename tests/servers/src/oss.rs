//! Alibaba Cloud OSS as its documentation describes it, since there is none to run. Strict about what is sent: each
//! signature is computed again, bodies must have the documented form, and anything else is answered with an error or a
//! broken connection.
#![allow(
    clippy::unwrap_used,
    reason = "a request that the service would not take breaks its connection, and so the test"
)]

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, Mac};
use http::{HeaderMap, Method, StatusCode, Uri};
use litestream_sdk::Timestamp;
use md5::{Digest, Md5};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::Sha256;

/// The fake's one bucket.
pub const OSS_BUCKET: &str = "replicas";
/// Its region.
pub const OSS_REGION: &str = "cn-beijing";
/// Access key.
pub const OSS_KEY: &str = "LTAI-test";
/// Its secret.
pub const OSS_SECRET: &str = "hunter2-of-the-fake";

const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

type Query = BTreeMap<String, String>;

struct Object {
    content: Bytes,
    time: Option<String>,
    etag: String,
    /// When it was written; retention by age looks at it.
    modified: SystemTime,
}

struct Upload {
    key: String,
    time: Option<String>,
    parts: BTreeMap<u32, Bytes>,
}

#[derive(Default)]
struct Store {
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, Upload>,
    last: u64,
}

type Shared = Arc<Mutex<Store>>;

/// A running fake. It ends with this process.
pub struct OssFake {
    address: SocketAddr,
    store: Shared,
}

impl OssFake {
    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Uploads in parts that nobody has ended or thrown away.
    pub fn unfinished(&self) -> usize {
        self.store.lock().unwrap_or_else(PoisonError::into_inner).uploads.len()
    }
}

/// Starts the fake on a free port, with an empty bucket.
pub fn oss_fake() -> OssFake {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback address has free ports");
    let (address, store) = (listener.local_addr().expect("a bound socket has an address"), Shared::default());
    let router = Router::new().fallback(serve).layer(DefaultBodyLimit::disable()).with_state(store.clone());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            listener.set_nonblocking(true).expect("every socket can be");
            let listener = tokio::net::TcpListener::from_std(listener).expect("the socket fits the runtime");
            axum::serve(listener, router).await
        })
    });
    OssFake { address, store }
}

async fn serve(State(store): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let query = parsed(uri.query().unwrap_or_default());
    if !is_signed(&method, &uri, &query, &headers) {
        return failure(403, "SignatureDoesNotMatch", "The request signature we calculated does not match.");
    }
    let Some((bucket, key)) = uri.path()[1..].split_once('/') else { return failure(400, "InvalidArgument", "path") };
    if bucket != OSS_BUCKET {
        return failure(404, "NoSuchBucket", "The specified bucket does not exist.");
    }
    let key = decoded(key);
    let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
    let has = |name: &str| query.contains_key(name);
    match method.as_str() {
        "GET" if key.is_empty() && has("list-type") => store.list(&query),
        "POST" if key.is_empty() && has("delete") => store.delete(&query, &headers, &body),
        _ if key.is_empty() => failure(400, "InvalidArgument", "no object"),
        "POST" if has("uploads") => store.begin(key, &headers),
        "PUT" if has("uploadId") => store.part(&query, body),
        "POST" if has("uploadId") => store.complete(&query, &headers, &body),
        "DELETE" if has("uploadId") => {
            store.uploads.remove(&query["uploadId"]);
            StatusCode::NO_CONTENT.into_response()
        }
        "PUT" => store.create(key, body, time_of(&headers), &headers),
        "GET" | "HEAD" => store.read(&key, &headers),
        "DELETE" => {
            store.objects.remove(&key);
            StatusCode::NO_CONTENT.into_response()
        }
        _ => failure(405, "MethodNotAllowed", "method"),
    }
}

impl Store {
    fn create(&mut self, key: String, content: Bytes, time: Option<String>, headers: &HeaderMap) -> Response {
        if headers.contains_key("x-oss-forbid-overwrite") && self.objects.contains_key(&key) {
            return failure(409, "FileAlreadyExists", "The object you specified already exists.");
        }
        let etag = format!("\"{}-{}\"", hex(&Md5::digest(&content)).to_uppercase(), self.last);
        self.last += 1;
        self.objects.insert(key, Object { content, time, etag: etag.clone(), modified: SystemTime::now() });
        [("etag", etag), ("x-oss-request-id", "fake".to_owned())].into_response()
    }

    fn read(&self, key: &str, headers: &HeaderMap) -> Response {
        let Some(object) = self.objects.get(key) else {
            return failure(404, "NoSuchKey", "The specified key does not exist.");
        };
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
        if text("if-match").is_some_and(|wanted| wanted != object.etag) {
            return failure(412, "PreconditionFailed", "At least one of the pre-conditions did not hold.");
        }
        let mut shown = HeaderMap::new();
        shown.insert("etag", object.etag.parse().unwrap());
        shown.insert("last-modified", httpdate::fmt_http_date(object.modified).parse().unwrap());
        if let Some(time) = &object.time {
            shown.insert("x-oss-meta-litestream-timestamp", time.parse().unwrap());
        }
        let size = object.content.len();
        let range = text("range").map(|range| {
            let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
            let first: usize = first.parse().unwrap();
            (first, last.parse::<usize>().map_or(size, |last| (last + 1).min(size)))
        });
        let (status, content) = match range {
            Some((first, end)) if first < size => {
                shown.insert("content-range", format!("bytes {first}-{}/{size}", end - 1).parse().unwrap());
                (StatusCode::PARTIAL_CONTENT, object.content.slice(first..end))
            }
            Some(_) if text("x-oss-range-behavior") == Some("standard") => {
                return failure(416, "InvalidRange", "The requested range is not satisfiable");
            }
            _ => (StatusCode::OK, object.content.clone()),
        };
        shown.insert("content-length", content.len().into());
        (status, shown, content).into_response()
    }

    fn list(&self, query: &Query) -> Response {
        let text = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
        let encode = |name: &str| if text("encoding-type") == "url" { encoded(name) } else { escaped(name) };
        let encoding = if text("encoding-type") == "url" { "<EncodingType>url</EncodingType>" } else { "" };
        let (prefix, delimiter) = (text("prefix"), text("delimiter"));
        let most = query.get("max-keys").map_or(100, |most| most.parse::<usize>().expect("max-keys is a number"));
        assert!(delimiter.len() <= 1, "the documentation says: a character");
        let after = text("start-after").max(text("continuation-token"));
        let (mut objects, mut prefixes, mut last, mut more) = (String::new(), String::new(), "", false);
        let mut lines = 0;
        for (key, object) in self.objects.range::<str, _>((Bound::Included(prefix), Bound::Unbounded)) {
            let Some(rest) = key.strip_prefix(prefix) else { break };
            let end = if delimiter.is_empty() { None } else { rest.find(delimiter).map(|at| prefix.len() + at + 1) };
            let line = &key[..end.unwrap_or(key.len())];
            if line <= after || line == last {
                continue;
            }
            if lines == most {
                more = true;
                break;
            }
            (lines, last) = (lines + 1, line);
            let shown = encode(line);
            if end.is_some() {
                prefixes.push_str(&format!("<CommonPrefixes><Prefix>{shown}</Prefix></CommonPrefixes>"));
                continue;
            }
            let (etag, size) = (&object.etag, object.content.len());
            let modified = Timestamp::from_system(object.modified);
            objects.push_str(&format!(
                "<Contents><Key>{shown}</Key><LastModified>{modified}</LastModified><ETag>{etag}</ETag>\
                 <Size>{size}</Size></Contents>"
            ));
        }
        let next = if more { format!("<NextContinuationToken>{last}</NextContinuationToken>") } else { String::new() };
        xml(&format!(
            "<ListBucketResult>{encoding}<IsTruncated>{more}</IsTruncated>{next}{objects}{prefixes}\
             </ListBucketResult>"
        ))
    }

    /// Keys with `locked` in them stay.
    fn delete(&mut self, query: &Query, headers: &HeaderMap, body: &Bytes) -> Response {
        assert_eq!(headers["content-md5"], STANDARD.encode(Md5::digest(body)), "the service insists on it");
        let text = std::str::from_utf8(body).unwrap();
        let is_encoded = query.get("encoding-type").is_some_and(|kind| kind == "url");
        let mut answer = if is_encoded { "<EncodingType>url</EncodingType>" } else { "" }.to_owned();
        for key in between(text, "<Key>", "</Key>") {
            let key = unescaped(key);
            let shown = if is_encoded { encoded(&key) } else { escaped(&key) };
            if key.contains("locked") {
                let why = "<Code>AccessDenied</Code><Message>locked</Message>";
                answer.push_str(&format!("<Error><Key>{shown}</Key>{why}</Error>"));
                continue;
            }
            self.objects.remove(&key);
            // Quiet answers name only what stayed.
            if !text.contains("<Quiet>true</Quiet>") {
                answer.push_str(&format!("<Deleted><Key>{shown}</Key></Deleted>"));
            }
        }
        xml(&format!("<DeleteResult>{answer}</DeleteResult>"))
    }

    fn begin(&mut self, key: String, headers: &HeaderMap) -> Response {
        self.last += 1;
        let id = format!("0004B9-{}", self.last);
        self.uploads.insert(id.clone(), Upload { key, time: time_of(headers), parts: BTreeMap::new() });
        xml(&format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"))
    }

    fn part(&mut self, query: &Query, body: Bytes) -> Response {
        let Some(upload) = self.uploads.get_mut(&query["uploadId"]) else {
            return failure(404, "NoSuchUpload", "gone");
        };
        let number = query["partNumber"].parse().unwrap();
        upload.parts.insert(number, body);
        [("etag", format!("\"part-{number}\""))].into_response()
    }

    fn complete(&mut self, query: &Query, headers: &HeaderMap, body: &Bytes) -> Response {
        let Some(upload) = self.uploads.get(&query["uploadId"]) else { return failure(404, "NoSuchUpload", "gone") };
        let text = std::str::from_utf8(body).unwrap();
        let numbers: Vec<u32> =
            between(text, "<PartNumber>", "</PartNumber>").map(|number| number.parse().unwrap()).collect();
        assert!(numbers.iter().eq(upload.parts.keys()), "every part is named, in order: {text}");
        let tags = between(text, "<ETag>", "</ETag>").map(unescaped);
        assert!(tags.eq(numbers.iter().map(|number| format!("\"part-{number}\""))), "by the tag it was given: {text}");
        let (last, _) = upload.parts.last_key_value().unwrap();
        let small = upload.parts.iter().any(|(number, part)| number != last && part.len() < 100 << 10);
        assert!(!small, "only the last part may be small");
        let content: Vec<u8> = upload.parts.values().flatten().copied().collect();
        let (key, time) = (upload.key.clone(), upload.time.clone());
        let answer = self.create(key, content.into(), time, headers);
        if answer.status().is_success() {
            self.uploads.remove(&query["uploadId"]);
        }
        answer
    }
}

fn time_of(headers: &HeaderMap) -> Option<String> {
    Some(headers.get("x-oss-meta-litestream-timestamp")?.to_str().unwrap().to_owned())
}

/// Signature version 4, as documented: "Include a V4 signature in the Authorization header".
fn is_signed(method: &Method, uri: &Uri, query: &Query, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().trim()).unwrap_or_default();
    let field = |name: &str| {
        let (_, rest) = text("authorization").split_once(&format!("{name}="))?;
        rest.split(',').next().map(str::trim)
    };
    let date = &text("x-oss-date")[..8.min(text("x-oss-date").len())];
    let scope = format!("{date}/{OSS_REGION}/oss/aliyun_v4_request");
    let more: Vec<&str> = field("AdditionalHeaders").unwrap_or_default().split(';').collect();
    let is_in = |name: &str| {
        name.starts_with("x-oss-") || name == "content-type" || name == "content-md5" || more.contains(&name)
    };
    let mut lines: Vec<String> = headers
        .keys()
        .map(|name| name.as_str())
        .filter(|name| is_in(name))
        .map(|name| format!("{name}:{}\n", text(name)))
        .collect();
    lines.sort();
    let path: Vec<String> =
        uri.path().split('/').map(|part| utf8_percent_encode(&decoded(part), ENCODED).to_string()).collect();
    let pairs: Vec<String> = query
        .iter()
        .map(|(name, value)| match (utf8_percent_encode(name, ENCODED), utf8_percent_encode(value, ENCODED)) {
            (name, _) if value.is_empty() => name.to_string(),
            (name, value) => format!("{name}={value}"),
        })
        .collect();
    let request = format!(
        "{method}\n{}\n{}\n{}\n{}\nUNSIGNED-PAYLOAD",
        path.join("/"),
        pairs.join("&"),
        lines.concat(),
        more.join(";")
    );
    let time = text("x-oss-date");
    let to_sign = format!("OSS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(request)));
    let chain = [date, OSS_REGION, "oss", "aliyun_v4_request"];
    let key = chain.iter().fold(format!("aliyun_v4{OSS_SECRET}").into_bytes(), |key, text| mac(&key, text));
    text("x-oss-content-sha256") == "UNSIGNED-PAYLOAD"
        && field("Credential") == Some(&format!("{OSS_KEY}/{scope}"))
        && field("Signature") == Some(&hex(&mac(&key, &to_sign)))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn xml(text: &str) -> Response {
    ([("content-type", "application/xml")], format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{text}"))
        .into_response()
}

fn failure(status: u16, code: &str, message: &str) -> Response {
    let text = format!("<Error><Code>{code}</Code><Message>{message}</Message><RequestId>fake</RequestId></Error>");
    let headers = [("x-oss-request-id", "fake".to_owned()), ("x-oss-err", STANDARD.encode(&text))];
    (StatusCode::from_u16(status).unwrap(), headers, text).into_response()
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

const ENTITIES: [(&str, &str); 7] =
    [("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;"), ("\"", "&#34;"), ("'", "&apos;"), ("'", "&#39;"), ("&", "&amp;")];

fn escaped(text: &str) -> String {
    let first = text.replace('&', "&amp;");
    ENTITIES[..3].iter().fold(first, |text, (plain, entity)| text.replace(plain, entity))
}

fn unescaped(text: &str) -> String {
    ENTITIES.iter().fold(text.to_owned(), |text, (plain, entity)| text.replace(entity, plain))
}

/// Every text between these two.
fn between<'a>(text: &'a str, open: &'static str, close: &str) -> impl Iterator<Item = &'a str> {
    let close = close.to_owned();
    text.split(open).skip(1).filter_map(move |rest| rest.split_once(&close).map(|(inside, _)| inside))
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

fn parsed(query: &str) -> Query {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}
