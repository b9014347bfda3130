//! The common promises against a fake that checks what it is sent, and what is special to this storage.

use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use litestream_sdk::configure;
use litestream_sdk::conformance::{Outcome, Settings, Subject, fresh_root, run};
use litestream_sdk::describe::ConfigureRequest;
use litestream_sdk::{
    Body, Context, Entry, ErrorKind, ListMode, ListRequest, ObjectKey, Plugin, ReadRequest, ReplicaPath, Result,
    Storage, Time, Timestamp, WriteRequest,
};
use litestream_test_servers::{Fault, OSS_BUCKET, OSS_KEY, OSS_REGION, OSS_SECRET, Proxy, Rule, oss_fake};

use crate::{Bucket, OssPlugin, PluginExport};

mod configuration;

const TIME: Timestamp = Timestamp(1_763_803_871_508_000_000);

fn request(address: impl Display, bucket: &str, secret: &str) -> ConfigureRequest {
    ConfigureRequest::new()
        .with_value("bucket", bucket, "test")
        .with_value("endpoint", format!("http://{address}"), "test")
        .with_value("region", OSS_REGION, "test")
        .with_value("access-key-id", OSS_KEY, "test")
        .with_value("secret-access-key", secret, "test")
        .with_value("part-size", "1MiB", "test")
}

async fn open(request: &ConfigureRequest) -> Bucket {
    OssPlugin::open(configure::options::<OssPlugin>(request).unwrap(), Context::without_host()).await.unwrap()
}

async fn boxed(request: ConfigureRequest) -> Result<Arc<dyn Storage>> {
    Ok(Arc::new(open(&request).await))
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::parse(name).unwrap()
}

fn everything() -> ListRequest {
    ListRequest::below(ReplicaPath::default())
}

async fn entries(bucket: &Bucket, request: ListRequest) -> Result<Vec<Entry>> {
    bucket.list(request).await?.try_concat().await
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_common_promises() {
    let fake = oss_fake();
    let (address, proxy) = (fake.address(), Arc::new(Proxy::http(fake.address().to_string())));
    let through_proxy = Arc::new(open(&request(proxy.address(), OSS_BUCKET, OSS_SECRET)).await);
    let right = request(address, OSS_BUCKET, OSS_SECRET);
    let (wrong_bucket, wrong_secret) =
        (request(address, "no-such", OSS_SECRET), request(proxy.address(), OSS_BUCKET, "wrong"));
    let subject = Subject::of_plugin::<PluginExport>(&right, Context::without_host()).await.unwrap();
    let subject = subject
        .with_network(through_proxy, proxy)
        .with_wrong_bucket(move || boxed(wrong_bucket.clone()))
        .with_wrong_secret(move || boxed(wrong_secret.clone()));
    let report = run(&subject, &fresh_root(&ReplicaPath::parse("conformance").unwrap()), &Settings::default()).await;
    println!("{report}");
    assert!(report.is_ok(), "\n{report}");
    let skipped = report.results.iter().filter(|check| matches!(check.outcome, Outcome::Skip(_)));
    let skipped: Vec<_> = skipped.map(|check| check.id).collect();
    assert_eq!(skipped, ["W11", "L4", "L6", "D2", "N1", "P1", "P2"], "\n{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_that_stays_spares_the_others() {
    let bucket = open(&request(oss_fake().address(), OSS_BUCKET, OSS_SECRET)).await;
    let names = ["a&b <1>", "locked", "control\u{1}", "absent\u{7f}", "absent"];
    for name in &names[..3] {
        bucket.write(WriteRequest::new(key(name), TIME), Body::from_bytes("x")).await.unwrap();
    }
    let results = bucket.delete(names.map(key).to_vec()).await.unwrap();
    let failed: Vec<_> = results.iter().map(|result| result.as_ref().err().map(|error| error.kind)).collect();
    assert_eq!(failed, [None, Some(ErrorKind::PERMISSION_DENIED), None, None, None]);
    let left = entries(&bucket, everything()).await.unwrap();
    assert!(matches!(&left[..], [Entry::Object(info)] if info.key == key("locked")), "{left:?}");
    assert_eq!(bucket.delete(Vec::new()).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_many_parts_is_one_object_with_its_time_and_nothing_is_left_of_one_that_broke() {
    let fake = oss_fake();
    let proxy = Proxy::http(fake.address().to_string());
    let bucket = open(&request(proxy.address(), OSS_BUCKET, OSS_SECRET)).await;
    let content: Bytes = (0..(4usize << 20) + 7).map(|at| (at % 251) as u8).collect::<Vec<u8>>().into();
    let write = async || {
        let asked = WriteRequest::new(key("parts"), TIME).with_buffer(4 << 20);
        bucket.write(asked, Body::from_bytes(content.clone())).await
    };
    proxy.plant(Rule::new(Fault::CutRequest(1000)).method("PUT").target("partNumber=3"));
    assert_eq!(write().await.unwrap_err().kind, ErrorKind::TRANSIENT);
    assert_eq!(bucket.stat(&key("parts")).await.unwrap_err().kind, ErrorKind::NOT_FOUND);
    // The cleaning goes on by itself; the runtime of the test is not the host's, which waits for it.
    while fake.unfinished() > 0 {
        tokio::task::yield_now().await;
    }
    let written = write().await.unwrap();
    let seen = bucket.stat(&key("parts")).await.unwrap();
    assert_eq!((seen.size, seen.time, &seen.version), (content.len() as u64, Time::Exact(TIME), &written.version));
    let (info, body) = bucket.read(ReadRequest::range(key("parts"), (1 << 20) - 3, 6)).await.unwrap();
    assert_eq!(body.collect(100).await.unwrap(), content.slice((1 << 20) - 3..(1 << 20) + 3));
    assert_eq!(info, Some(seen), "the answer describes the whole object");
    assert_eq!(fake.unfinished(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_object_is_one_request() {
    let proxy = Proxy::http(oss_fake().address().to_string());
    let bucket = open(&request(proxy.address(), OSS_BUCKET, OSS_SECRET)).await;
    bucket.write(WriteRequest::new(key("a"), TIME), Body::from_bytes("x")).await.unwrap();
    assert_eq!(proxy.requests().len(), 1);
    let keys = (0..500).map(|number| key(&format!("t/{number}"))).collect();
    assert!(bucket.delete(keys).await.unwrap().iter().all(Result::is_ok));
    assert_eq!(proxy.requests().len(), 2);
}

/// Nothing says that the service takes a delimiter of several characters; the host walks instead.
#[tokio::test(flavor = "multi_thread")]
async fn a_roll_up_is_refused_and_a_walk_served() {
    let bucket = open(&request(oss_fake().address(), OSS_BUCKET, OSS_SECRET)).await;
    bucket.write(WriteRequest::new(key("t/a.db/ltx/0/1"), TIME), Body::from_bytes("x")).await.unwrap();
    let rolled = entries(&bucket, everything().with_mode(ListMode::RollUp("ltx".into()))).await;
    assert_eq!(rolled.unwrap_err().kind, ErrorKind::UNSUPPORTED);
    let walked = entries(&bucket, everything().with_mode(ListMode::Shallow)).await.unwrap();
    assert_eq!(walked, [Entry::Dir(ReplicaPath::parse("t").unwrap())]);
}
