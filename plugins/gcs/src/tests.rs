//! The common promises against the emulator and against a stricter fake, and what is special to this storage.

use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use litestream_sdk::configure;
use litestream_sdk::conformance::{Outcome, Report, Settings, Subject, checks, fresh_root, run};
use litestream_sdk::describe::ConfigureRequest;
use litestream_sdk::{
    Body, Context, Entry, ErrorKind, ListMode, ListRequest, ObjectInfo, ObjectKey, Plugin, ReadRequest, ReplicaPath,
    Result, Storage, Time, Timestamp, WriteRequest,
};
use litestream_test_servers::{Fault, Proxy, Rule, gcs_emulator};

use crate::{Bucket, GcsPlugin, PluginExport};

mod configuration;
mod fake;
mod tokens;

const TIME: Timestamp = Timestamp(1_763_803_871_508_000_000);

fn request(address: impl Display, bucket: &str) -> ConfigureRequest {
    let request = ConfigureRequest::new().with_value("bucket", bucket, "test");
    request.with_env("STORAGE_EMULATOR_HOST", address.to_string())
}

async fn open(request: &ConfigureRequest) -> Bucket {
    GcsPlugin::open(configure::options::<GcsPlugin>(request).unwrap(), Context::without_host()).await.unwrap()
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

/// Runs the suite with everything around it; `leave_out` names the checks that this server cannot serve.
async fn judged(address: String, leave_out: &[&str]) -> Report {
    let proxy = Arc::new(Proxy::http(&address));
    let through_proxy = Arc::new(open(&request(proxy.address(), fake::BUCKET)).await);
    let (wrong_bucket, wrong_secret) = (request(&address, "no-such"), request(proxy.address(), fake::LOCKED));
    let right = request(&address, fake::BUCKET);
    let subject = Subject::of_plugin::<PluginExport>(&right, Context::without_host()).await.unwrap();
    let subject = subject.with_network(through_proxy, proxy);
    let subject = subject.with_wrong_bucket(move || boxed(wrong_bucket.clone()));
    let subject = subject.with_wrong_secret(move || boxed(wrong_secret.clone()));
    let ids = checks().map(|(id, _)| id).filter(|id| !leave_out.contains(id));
    let root = fresh_root(&ReplicaPath::parse("conformance").unwrap());
    let report = run(&subject, &root, &Settings::default().with_only(ids)).await;
    println!("{report}");
    assert!(report.is_ok(), "\n{report}");
    report
}

/// It knows no conditions and no pages, and asks for no credentials.
#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_common_promises_on_the_emulator() {
    let Some(server) = gcs_emulator(fake::BUCKET) else { return };
    judged(server.address(), &["W7", "W10", "R3", "E1", "L5"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_common_promises_where_conditions_and_pages_are_real() {
    let report = judged(fake::start().await, &[]).await;
    let skipped = report.results.iter().filter(|check| matches!(check.outcome, Outcome::Skip(_)));
    assert_eq!(skipped.map(|check| check.id).collect::<Vec<_>>(), ["W11", "L6", "D2", "N1", "P1", "P2"], "\n{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_many_parts_is_one_object_with_its_time() {
    const MIB: usize = 1 << 20;
    for address in
        [gcs_emulator(fake::BUCKET).map(|server| (server.address(), Some(server))), Some((fake::start().await, None))]
    {
        let Some((address, _server)) = address else { continue };
        let bucket = open(&request(&address, fake::BUCKET)).await;
        // The last one ends where a part ends.
        for size in [13 * MIB, 8 * MIB + 1, 16 * MIB] {
            let content: Bytes = (0..size).map(|at| (at % 251) as u8).collect::<Vec<u8>>().into();
            let asked = WriteRequest::new(key("parts"), TIME).with_buffer(16 << 20);
            let written = bucket.write(asked, Body::from_bytes(content.clone())).await.unwrap();
            let seen = bucket.stat(&key("parts")).await.unwrap();
            assert_eq!((seen.size, seen.time), (size as u64, Time::Exact(TIME)));
            assert_eq!(seen, written, "the answer to a write says the same");
            let (_, body) = bucket.read(ReadRequest::range(key("parts"), 8 * MIB as u64 - 3, 4)).await.unwrap();
            assert_eq!(body.collect(100).await.unwrap(), content.slice(8 * MIB - 3..8 * MIB + 1));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_object_is_one_request_and_a_thousand_databases_are_found_with_one() {
    let proxy = Proxy::http(fake::start().await);
    let bucket = open(&request(proxy.address(), fake::BUCKET)).await;
    for number in 0..10 {
        let request = WriteRequest::new(key(&format!("t/{number}.db/ltx/0/1")), TIME);
        bucket.write(request, Body::from_bytes("x")).await.unwrap();
    }
    assert_eq!(proxy.requests().len(), 10);
    proxy.forget_requests();
    let request = everything().with_mode(ListMode::RollUp("ltx".into()));
    assert_eq!(entries(&bucket, request).await.unwrap().len(), 10);
    assert_eq!(proxy.requests().len(), 1);
    proxy.forget_requests();
    let keys = (0..10).map(|number| key(&format!("t/{number}.db/ltx/0/1"))).collect();
    assert!(bucket.delete(keys).await.unwrap().iter().all(Result::is_ok));
    assert_eq!((proxy.requests().len(), entries(&bucket, everything()).await.unwrap()), (1, Vec::new()));
}

/// The address of an upload that has begun is the right to go on with it; nobody shall read it in a log.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_is_thrown_away_and_its_address_in_no_text() {
    let proxy = Proxy::http(fake::start().await);
    let bucket = open(&request(proxy.address(), fake::BUCKET)).await;
    for fault in [
        Fault::CutRequest(1000),
        Fault::LoseAnswer,
        Fault::Answer { status: 500, headers: vec![], body: String::new() },
    ] {
        proxy.plant(Rule::new(fault).method("PUT").target("/session/").after(1));
        let asked = WriteRequest::new(key("a"), TIME).with_buffer(16 << 20);
        let error = bucket.write(asked, Body::from_bytes(vec![7; 20 << 20])).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::TRANSIENT, "{error}");
        assert!(!format!("{error} {error:?}").contains("/session/"), "{error:?}");
        assert_eq!(bucket.stat(&key("a")).await.unwrap_err().kind, ErrorKind::NOT_FOUND);
    }
    let thrown_away = || proxy.requests().iter().filter(|request| request.method == "DELETE").count();
    // The cleaning goes on by itself; the runtime of the test is not the host's, which waits for it.
    while thrown_away() < 3 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_answer_describes_is_the_whole_object() {
    let bucket = open(&request(fake::start().await, fake::BUCKET)).await;
    let written = bucket.write(WriteRequest::new(key("a"), TIME), Body::from_bytes("0123456789")).await.unwrap();
    for request in
        [ReadRequest::whole(key("a")), ReadRequest::range(key("a"), 2, 3), ReadRequest::from_offset(key("a"), 9)]
    {
        let (info, _) = bucket.read(request).await.unwrap();
        let expected = ObjectInfo::new(key("a"), 10, Time::Unknown).with_version(written.version.clone().unwrap());
        assert_eq!(info, Some(expected), "downloads do not give the written time");
    }
}
