//! The common promises against two real servers, and what is special to this storage.

use std::fmt::Display;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures::TryStreamExt;
use http::Method;
use litestream_sdk::configure;
use litestream_sdk::conformance::{ForeignClient, Outcome, Report, Settings, Subject, fresh_root, run};
use litestream_sdk::describe::{ConfigureAnswer, ConfigureRequest};
use litestream_sdk::{
    Body, Context, CopyRequest, Entry, ErrorKind, ListMode, ListRequest, ObjectInfo, ObjectKey, Plugin, ReadRequest,
    ReplicaPath, Storage, StorageError, Time, Timestamp, WriteRequest, async_trait,
};
use litestream_test_servers::{Fault, Proxy, Rule, S3_KEY, S3_SECRET, Server, rclone_s3, seaweed};

use crate::client::{Client, object};
use crate::{Bucket, PluginExport, S3Plugin};

mod configuration;
mod network;
mod objects;

const TIME: Timestamp = Timestamp(1_763_803_871_508_000_000);
/// The test that looks at whole buckets has one of its own.
const BUCKETS: [&str; 2] = ["replicas", "hex"];

/// One server for all tests of this process; it ends with the process.
fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| seaweed(&BUCKETS)).as_ref()
}

fn request(address: impl Display) -> ConfigureRequest {
    ConfigureRequest::new()
        .with_value("bucket", BUCKETS[0], "test")
        .with_value("endpoint", format!("http://{address}"), "test")
        .with_value("region", "us-east-1", "test")
        .with_value("access-key-id", S3_KEY, "test")
        .with_value("secret-access-key", S3_SECRET, "test")
}

async fn open(request: &ConfigureRequest) -> Bucket {
    let options = configure::options::<S3Plugin>(request).unwrap();
    S3Plugin::open(options, Context::without_host()).await.unwrap()
}

fn client(request: &ConfigureRequest) -> Client {
    Client::new(configure::options::<S3Plugin>(request).unwrap()).unwrap()
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::parse(name).unwrap()
}

fn below(prefix: &str) -> ListRequest {
    ListRequest::below(ReplicaPath::parse(prefix).unwrap())
}

async fn entries(bucket: &Bucket, request: ListRequest) -> litestream_sdk::Result<Vec<Entry>> {
    bucket.list(request).await?.try_concat().await
}

fn shown(entries: Vec<Entry>) -> Vec<String> {
    let show = |entry| match entry {
        Entry::Object(ObjectInfo { key, .. }) => key.to_string(),
        Entry::Dir(dir) => format!("{dir}/"),
    };
    entries.into_iter().map(show).collect()
}

/// Puts names that are no keys. Names with `.` and `..` cannot be sent: every client takes them out of an address.
struct Neighbour(Client);

impl Neighbour {
    async fn send(&self, method: Method, name: &[u8]) -> litestream_sdk::Result<()> {
        let name = std::str::from_utf8(name).unwrap();
        if name.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(StorageError::unsupported("dot segments"));
        }
        self.0.ask(object(method, name).body("x")).await.map(drop).map_err(|mut error| {
            if [400, 500].contains(&error.http_status) {
                error.kind = ErrorKind::UNSUPPORTED; // of this server
            }
            error
        })
    }
}

#[async_trait]
impl ForeignClient for Neighbour {
    async fn put(&self, name: &[u8]) -> litestream_sdk::Result<()> {
        self.send(Method::PUT, name).await
    }

    async fn remove(&self, name: &[u8]) -> litestream_sdk::Result<()> {
        self.send(Method::DELETE, name).await
    }
}

async fn judged(server: &Server, settings: Settings) -> Report {
    let proxy = Proxy::http(server.address());
    let behind: Arc<dyn Storage> = Arc::new(open(&request(proxy.address())).await);
    let direct = request(server.address());
    let opened = |request: ConfigureRequest| {
        move || {
            let request = request.clone();
            async move { Ok(Arc::new(open(&request).await) as Arc<dyn Storage>) }
        }
    };
    let subject = Subject::of_plugin::<PluginExport>(&direct, Context::without_host())
        .await
        .unwrap()
        .with_foreign_client(Arc::new(Neighbour(client(&direct))))
        .with_wrong_bucket(opened(request(server.address()).with_value("bucket", "no-such-bucket", "test")))
        .with_wrong_secret(opened(request(proxy.address()).with_value("secret-access-key", "wrong", "test")))
        .with_network(behind, Arc::new(proxy));
    run(&subject, &fresh_root(&ReplicaPath::parse("conformance").unwrap()), &settings).await
}

fn skipped(report: &Report) -> Vec<&str> {
    let skipped = report.results.iter().filter(|check| matches!(check.outcome, Outcome::Skip(_)));
    skipped.map(|check| check.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_common_promises() {
    let Some(server) = server() else { return };
    let report = judged(server, Settings::default()).await;
    println!("{report}");
    assert!(report.is_ok(), "\n{report}");
    assert_eq!(skipped(&report), ["D2", "N1", "P1", "P2"], "all but raw bytes is claimed\n{report}");
}

/// This server ignores `If-None-Match` (W7, W10), empties an object before it replaces it (W6, R5), cuts names at slashes
/// alone (L4), and on a busy machine answers 500 to some of many writes at once (C1, C2, and lists, which begin with many).
/// Everything else it keeps.
#[tokio::test(flavor = "multi_thread")]
async fn keeps_them_on_a_second_server() {
    let Some(server) = rclone_s3(&[BUCKETS[0]], false) else { return };
    let excused = ["W6", "R5", "W7", "W10", "C1", "C2", "L1", "L2", "L3", "L4", "L5", "L6"];
    let checks = litestream_sdk::conformance::checks().map(|(id, _)| id).filter(|id| !excused.contains(id));
    let report = judged(&server, Settings::default().with_only(checks)).await;
    println!("{report}");
    assert!(report.is_ok(), "\n{report}");
}
