//! The parts of the protocol that the emulator leaves out: conditions, pages, `startOffset`, errors with reasons. Strict
//! about what the plugin sends: anything that the service would not take is answered with 400.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

/// The one bucket.
pub(super) const BUCKET: &str = "replicas";
/// A bucket that nobody may use.
pub(super) const LOCKED: &str = "locked";

type Query = BTreeMap<String, String>;

struct Object {
    content: Bytes,
    generation: u64,
    metadata: Value,
}

struct Session {
    description: Value,
    query: Query,
    content: Vec<u8>,
}

#[derive(Default)]
struct Store {
    objects: BTreeMap<String, Object>,
    sessions: BTreeMap<u64, Session>,
    /// Generations and sessions are numbered together.
    last: u64,
    address: String,
}

type Shared = Arc<Mutex<Store>>;

/// Starts it on a free port; gives its address. It ends with the test's runtime.
pub(super) async fn start() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let store: Shared = Arc::new(Mutex::new(Store { address: address.clone(), ..Store::default() }));
    let router = Router::new().fallback(serve).layer(DefaultBodyLimit::disable()).with_state(store);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn serve(State(store): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut store = store.lock().unwrap();
    let query = parsed(uri.query().unwrap_or_default());
    let segments: Vec<String> = uri.path().split('/').skip(1).map(decoded).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    // An upload goes on at the address it was given, which names the host that was asked.
    if let Some(host) = headers.get("host").and_then(|host| host.to_str().ok()) {
        store.address = host.to_owned();
    }
    match (method.as_str(), segments.as_slice()) {
        (_, [.., "b", LOCKED, "o"] | [.., "b", LOCKED, "o", _]) => failure(401, "authError", "Invalid Credentials"),
        (_, [.., "b", bucket, "o"] | [.., "b", bucket, "o", _]) if *bucket != BUCKET => {
            failure(404, "notFound", "The specified bucket does not exist.")
        }
        ("GET", ["storage", "v1", "b", _, "o"]) => store.list(&query),
        ("GET", ["storage", "v1", "b", _, "o", name]) => store.describe(name),
        ("GET", ["download", "storage", "v1", "b", _, "o", name]) => store.download(name, &query, &headers),
        ("POST", ["upload", "storage", "v1", "b", _, "o"]) => store.upload(&query, &headers, &body),
        ("PUT", ["session", number]) => store.go_on(number.parse().unwrap(), &headers, &body),
        ("DELETE", ["session", number]) => {
            store.sessions.remove(&number.parse().unwrap());
            StatusCode::from_u16(499).unwrap().into_response()
        }
        ("POST", ["batch", "storage", "v1"]) => store.batch(&headers, &body),
        _ => failure(400, "badRequest", &format!("{method} {uri}")),
    }
}

impl Store {
    fn describe(&self, name: &str) -> Response {
        match self.objects.get(name) {
            Some(object) => json_answer(&description(name, object)),
            None => failure(404, "notFound", &format!("No such object: {BUCKET}/{name}")),
        }
    }

    fn list(&self, query: &Query) -> Response {
        let text = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
        let (prefix, delimiter, most) =
            (text("prefix"), text("delimiter"), text("maxResults").parse::<usize>().unwrap());
        let (mut items, mut prefixes, mut next) = (Vec::new(), Vec::<&str>::new(), None);
        let mut last = "";
        let from = (Bound::Included(text("startOffset").max(prefix)), Bound::Unbounded);
        for (name, object) in self.objects.range::<str, _>(from).filter(|(name, _)| name.starts_with(prefix)) {
            let end = match delimiter {
                "" => None,
                delimiter => name[prefix.len()..].find(delimiter).map(|at| prefix.len() + at + delimiter.len()),
            };
            let line = &name[..end.unwrap_or(name.len())];
            if line <= text("pageToken") || prefixes.last() == Some(&line) {
                continue;
            }
            if items.len() + prefixes.len() == most {
                next = Some(last);
                break;
            }
            last = line;
            if end.is_some() { prefixes.push(line) } else { items.push(description(name, object)) }
        }
        json_answer(&json!({ "items": items, "prefixes": prefixes, "nextPageToken": next }))
    }

    fn download(&self, name: &str, query: &Query, headers: &HeaderMap) -> Response {
        assert_eq!(query.get("alt").map(String::as_str), Some("media"));
        let Some(object) = self.objects.get(name) else {
            let text = format!("No such object: {BUCKET}/{name}");
            return (StatusCode::NOT_FOUND, [("content-type", "text/plain; charset=UTF-8")], text).into_response();
        };
        if query.get("ifGenerationMatch").is_some_and(|wanted| *wanted != object.generation.to_string()) {
            return failure(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.");
        }
        let generation = [("x-goog-generation", object.generation.to_string())];
        let Some(range) = headers.get("range") else { return (generation, object.content.clone()).into_response() };
        let (first, last) = range.to_str().unwrap().strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let (first, size): (usize, _) = (first.parse().unwrap(), object.content.len());
        let end = last.parse::<usize>().map_or(size, |last| (last + 1).min(size));
        if first >= size {
            return failure(416, "requestedRangeNotSatisfiable", "Request range not satisfiable");
        }
        let shown = [("content-range", format!("bytes {first}-{}/{size}", end - 1))];
        (StatusCode::PARTIAL_CONTENT, generation, shown, object.content.slice(first..end)).into_response()
    }

    fn upload(&mut self, query: &Query, headers: &HeaderMap, body: &Bytes) -> Response {
        match query.get("uploadType").map(String::as_str) {
            Some("multipart") => {
                let delimiter = format!("--{}", boundary(headers));
                let (_, rest) = cut(body, delimiter.as_bytes());
                let (description, rest) = cut(rest, format!("\r\n{delimiter}").as_bytes());
                let (content, end) = cut(rest, format!("\r\n{delimiter}--").as_bytes());
                assert_eq!(end, b"\r\n");
                let (description, content) = (cut(description, b"\r\n\r\n").1, cut(content, b"\r\n\r\n").1);
                self.create(serde_json::from_slice(description).unwrap(), query, content.to_vec())
            }
            Some("resumable") => {
                self.last += 1;
                let description = serde_json::from_slice(body).unwrap();
                self.sessions.insert(self.last, Session { description, query: query.clone(), content: Vec::new() });
                let location = format!("http://{}/session/{}", self.address, self.last);
                [("location", location)].into_response()
            }
            _ => failure(400, "invalid", "uploadType"),
        }
    }

    fn go_on(&mut self, number: u64, headers: &HeaderMap, body: &Bytes) -> Response {
        let range = headers["content-range"].to_str().unwrap().strip_prefix("bytes ").unwrap();
        let (range, total) = range.split_once('/').unwrap();
        let Some(session) = self.sessions.get_mut(&number) else { return failure(404, "notFound", "") };
        if let Some((first, last)) = range.split_once('-') {
            let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
            assert_eq!((first, last + 1 - first), (session.content.len(), body.len()), "parts come in order");
        }
        session.content.extend_from_slice(body);
        let size = session.content.len();
        if total == "*" {
            assert_eq!(body.len() % (256 << 10), 0, "a part is a multiple of 256 KiB");
            return (StatusCode::PERMANENT_REDIRECT, [("range", format!("bytes=0-{}", size - 1))]).into_response();
        }
        assert_eq!(total, size.to_string());
        let session = self.sessions.remove(&number).unwrap();
        self.create(session.description, &session.query, session.content)
    }

    fn create(&mut self, description: Value, query: &Query, content: Vec<u8>) -> Response {
        let name = description["name"].as_str().unwrap().to_owned();
        if query.get("ifGenerationMatch").is_some_and(|wanted| wanted == "0") && self.objects.contains_key(&name) {
            return failure(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.");
        }
        self.last += 1;
        let metadata = description["metadata"].clone();
        self.objects.insert(name.clone(), Object { content: content.into(), generation: self.last, metadata });
        self.describe(&name)
    }

    /// Answers in the opposite order: only the numbers tell which is which.
    fn batch(&mut self, headers: &HeaderMap, body: &Bytes) -> Response {
        let text = std::str::from_utf8(body).unwrap();
        let delimiter = format!("--{}", boundary(headers));
        let mut answer = String::new();
        let parts: Vec<&str> = text.split(&delimiter).filter(|part| part.contains("HTTP/1.1")).collect();
        for part in parts.into_iter().rev() {
            let number = part.split_once("Content-ID: <").unwrap().1.split('>').next().unwrap();
            let path = part.split_once("DELETE ").unwrap().1.split(' ').next().unwrap();
            let segments: Vec<String> = path.split('/').skip(1).map(decoded).collect();
            let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
            let ["storage", "v1", "b", bucket, "o", name] = segments[..] else { panic!("{path}") };
            let (status, text) = match self.objects.remove(name) {
                _ if bucket == LOCKED => ("401 Unauthorized", failure_text("authError", "Invalid Credentials")),
                _ if bucket != BUCKET => {
                    ("404 Not Found", failure_text("notFound", "The specified bucket does not exist."))
                }
                Some(_) => ("204 No Content", String::new()),
                None => ("404 Not Found", failure_text("notFound", "No such object")),
            };
            answer.push_str(&format!(
                "--batch_x\r\nContent-Type: application/http\r\nContent-ID: <response-{number}>\r\n\r\nHTTP/1.1 {status}\r\n\
                 Content-Type: application/json\r\n\r\n{text}\r\n"
            ));
        }
        ([("content-type", "multipart/mixed; boundary=batch_x")], answer + "--batch_x--\r\n").into_response()
    }
}

fn description(name: &str, object: &Object) -> Value {
    json!({ "name": name, "size": object.content.len().to_string(), "generation": object.generation.to_string(),
        "timeCreated": "2026-11-22T09:31:12.001Z", "metadata": object.metadata })
}

fn json_answer(value: &Value) -> Response {
    ([("content-type", "application/json; charset=UTF-8")], value.to_string()).into_response()
}

fn failure(status: u16, reason: &str, message: &str) -> Response {
    let headers = [("content-type", "application/json; charset=UTF-8"), ("x-guploader-uploadid", "fake-1")];
    (StatusCode::from_u16(status).unwrap(), headers, failure_text(reason, message)).into_response()
}

fn failure_text(reason: &str, message: &str) -> String {
    json!({ "error": { "message": message, "errors": [{ "domain": "global", "reason": reason }] } }).to_string()
}

fn boundary(headers: &HeaderMap) -> &str {
    headers["content-type"].to_str().unwrap().split_once("boundary=").unwrap().1
}

/// What stands before and behind the first `needle`.
fn cut<'a>(text: &'a [u8], needle: &[u8]) -> (&'a [u8], &'a [u8]) {
    let at = text.windows(needle.len()).position(|window| window == needle).expect("a well-formed message");
    (&text[..at], &text[at + needle.len()..])
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

fn parsed(query: &str) -> Query {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect()
}
