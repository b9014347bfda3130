//! The common promises against a real server, and what is special to this storage.

use std::fs;
use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use litestream_sdk::configure;
use litestream_sdk::conformance::{Outcome, Settings, Subject, fresh_root, run};
use litestream_sdk::describe::ConfigureRequest;
use litestream_sdk::{
    Body, Context, Entry, ErrorKind, ListMode, ListRequest, ObjectKey, Plugin, ReadRequest, ReplicaPath, Result,
    Storage, StorageError, Time, Timestamp, WriteRequest,
};
use litestream_test_servers::{Fault, Proxy, Rule, Server, rclone_webdav};

use crate::{PluginExport, Webdav, WebdavPlugin};

mod configuration;

const USER: &str = "backup";
const PASSWORD: &str = "hunter2 %/?#";
const TIME: Timestamp = Timestamp(1_763_803_871_508_000_000);

fn server() -> Option<Server> {
    rclone_webdav(Some((USER, PASSWORD)))
}

/// The files of the server, reached at `address`.
fn request(address: impl ToString) -> ConfigureRequest {
    ConfigureRequest::new()
        .with_value("webdav-url", format!("http://{}/", address.to_string()), "test")
        .with_value("webdav-username", USER, "test")
        .with_value("webdav-password", PASSWORD, "test")
}

async fn open(request: &ConfigureRequest) -> Webdav {
    let options = configure::options::<WebdavPlugin>(request).unwrap();
    WebdavPlugin::open(options, Context::without_host()).await.unwrap()
}

async fn boxed(request: ConfigureRequest) -> Result<Arc<dyn Storage>> {
    Ok(Arc::new(open(&request).await))
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::parse(name).unwrap()
}

async fn put(store: &Webdav, name: &str, content: impl Into<Bytes>) -> Result<()> {
    let content = content.into();
    let request = WriteRequest::new(key(name), TIME).with_size(content.len() as u64);
    store.write(request, Body::from_bytes(content)).await.map(drop)
}

async fn get(store: &Webdav, name: &str) -> Result<Bytes> {
    store.read(ReadRequest::whole(key(name))).await?.1.collect(u64::MAX).await
}

async fn listed(store: &Webdav, request: ListRequest) -> Result<Vec<String>> {
    let entries: Vec<Entry> = store.list(request).await?.try_concat().await?;
    let shown = entries.into_iter().map(|entry| match entry {
        Entry::Object(info) => info.key.to_string(),
        Entry::Dir(dir) => format!("{dir}/"),
    });
    Ok(shown.collect())
}

fn below(prefix: &str) -> ListRequest {
    ListRequest::below(ReplicaPath::parse(prefix).unwrap())
}

/// Every file of the server, temporary ones too.
fn on_disk(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { names.extend(on_disk(&path)) } else { names.push(path.display().to_string()) }
    }
    names
}

/// Cleaning goes on in the background.
async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_common_promises() {
    let Some(server) = server() else { return };
    let proxy = Arc::new(Proxy::http(server.address()));
    let right = request(server.address());
    let wrong_root = right.clone().with_value("webdav-url", format!("http://{}/no/such", server.address()), "test");
    let wrong_secret = request(proxy.address()).with_value("webdav-password", "hunter3", "test");
    let through_proxy = boxed(request(proxy.address())).await.unwrap();
    let subject = Subject::of_plugin::<PluginExport>(&right, Context::without_host()).await.unwrap();
    let subject = subject
        .with_network(through_proxy, proxy)
        .with_wrong_bucket(move || boxed(wrong_root.clone()))
        .with_wrong_secret(move || boxed(wrong_secret.clone()));
    let mut report = run(&subject, &fresh_root(&ReplicaPath::parse("base").unwrap()), &Settings::default()).await;
    println!("{report}");
    // This server moves onto an existing file in two steps; the README says so.
    report.results.retain(|check| check.id != "W6");
    assert!(report.is_ok(), "\n{report}");
    let skipped = report.results.iter().filter(|check| matches!(check.outcome, Outcome::Skip(_)));
    let skipped: Vec<_> = skipped.map(|check| check.id).collect();
    // The protocol has no times, no versions and no conditions that servers keep.
    assert_eq!(skipped, ["W7", "W8", "W10", "W11", "R3", "L6", "D2", "N1", "P1", "P2"], "\n{report}");
    until("cleaned up", || on_disk(&server.dir().join("files")).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_login_or_address_is_an_error_and_not_an_empty_replica() {
    let Some(server) = server() else { return };
    let locked_out = open(&request(server.address()).with_value("webdav-password", "hunter3", "test")).await;
    for error in [
        listed(&locked_out, below("")).await.unwrap_err(),
        put(&locked_out, "a/b", "x").await.unwrap_err(),
        get(&locked_out, "a").await.unwrap_err(),
        locked_out.stat(&key("a")).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::UNAUTHENTICATED, "{error}");
        assert!(error.message.contains("webdav-password"), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter"), "{error:?}");
    }
    let elsewhere = format!("http://{}/no/such", server.address());
    let elsewhere = open(&request(server.address()).with_value("webdav-url", elsewhere, "test")).await;
    for error in [
        listed(&elsewhere, below("p")).await.unwrap_err(),
        put(&elsewhere, "p/a", "x").await.unwrap_err(),
        put(&elsewhere, "a", "x").await.unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::NO_STORE, "{error}");
    }
    assert!(!server.dir().join("files/no").exists(), "the root is never made");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_on_the_way_is_over_with_the_next_call() {
    let Some(server) = server() else { return };
    let proxy = Proxy::http(server.address());
    let store = open(&request(proxy.address())).await;
    let content = Bytes::from(vec![7; 1 << 20]);
    proxy.plant(Rule::new(Fault::slow_down(503, Duration::from_secs(7))).method("PUT"));
    let busy = put(&store, "d/a", content.clone()).await.unwrap_err();
    assert_eq!((busy.kind, busy.retry_after), (ErrorKind::RATE_LIMITED, Some(Duration::from_secs(7))), "{busy}");
    proxy.plant(Rule::new(Fault::CutRequest(1000)).method("PUT"));
    assert_eq!(put(&store, "d/a", content.clone()).await.unwrap_err().kind, ErrorKind::TRANSIENT);
    assert!(listed(&store, below("")).await.unwrap().is_empty(), "nothing half is visible");
    put(&store, "d/a", content.clone()).await.unwrap();
    proxy.plant(Rule::new(Fault::CutAnswer(1000)).method("GET"));
    assert_eq!(get(&store, "d/a").await.unwrap_err().kind, ErrorKind::TRANSIENT, "a cut stream is no short file");
    proxy.plant(Rule::new(Fault::CutAnswer(200)).method("PROPFIND"));
    assert_eq!(listed(&store, below("")).await.unwrap_err().kind, ErrorKind::TRANSIENT, "nor a short listing");
    proxy.refuse();
    assert_eq!(get(&store, "d/a").await.unwrap_err().kind, ErrorKind::TRANSIENT);
    proxy.heal();
    assert_eq!(get(&store, "d/a").await.unwrap(), content);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_or_cancelled_write_leaves_no_file_at_all() {
    let Some(server) = server() else { return };
    let store = open(&request(server.address())).await;
    let dir = server.dir().join("files");
    let half = || stream::iter([Ok(Bytes::from(vec![0; 3 << 20]))]);
    let asked = || WriteRequest::new(key("deep/down/a"), TIME).with_size(4 << 20);
    let broken = Body::new(half().chain(stream::iter([Err(StorageError::transient("the source broke"))])));
    assert_eq!(store.write(asked(), broken).await.unwrap_err().message, "the source broke");
    until("cleaned up", || on_disk(&dir).is_empty()).await;
    let endless = Body::new(half().chain(stream::once(pending())));
    tokio::select! {
        _ = store.write(asked(), endless) => panic!("the body has no end"),
        () = until("begun", || !on_disk(&dir).is_empty()) => {}
    }
    until("cleaned up", || on_disk(&dir).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_two_requests_once_its_directory_is_known_and_none_is_made_twice() {
    let Some(server) = server() else { return };
    let proxy = Proxy::http(server.address());
    let store = open(&request(proxy.address())).await;
    let methods = || proxy.requests().into_iter().map(|request| request.method).collect::<Vec<_>>();
    put(&store, "t/a.db/1", "x").await.unwrap();
    assert_eq!(methods(), ["MKCOL", "MKCOL", "MKCOL", "MKCOL", "PUT", "MOVE"][6 - methods().len()..]);
    proxy.forget_requests();
    put(&store, "t/a.db/2", "x").await.unwrap();
    assert_eq!(methods(), ["PUT", "MOVE"]);

    // Somebody clears the server: the next try makes everything anew.
    fs::remove_dir_all(server.dir().join("files/t")).unwrap();
    let mut results = Vec::new();
    for _ in 0..3 {
        results.push(put(&store, "t/a.db/3", "x").await.map_err(|error| error.kind));
    }
    assert!(results.iter().all(|result| !matches!(result, Err(kind) if !kind.is_retryable())), "{results:?}");
    assert_eq!(results.last(), Some(&Ok(())), "{results:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_are_found_and_temporary_files_left_out() {
    let Some(server) = server() else { return };
    let store = open(&request(server.address())).await;
    for name in ["t/a.db/ltx/0/1.ltx", "t/team/a&b <c>.db/ltx/9/1.ltx", "t/notes.txt"] {
        put(&store, name, "x").await.unwrap();
    }
    fs::write(server.dir().join("files/t/.litestream-rs-1-2.tmp"), "half").unwrap();
    let all = ["t/a.db/ltx/0/1.ltx", "t/notes.txt", "t/team/a&b <c>.db/ltx/9/1.ltx"];
    assert_eq!(listed(&store, below("t")).await.unwrap(), all);
    assert_eq!(listed(&store, below("")).await.unwrap(), all);
    let databases = below("t").with_mode(ListMode::RollUp("ltx".into()));
    let found = listed(&store, databases).await.unwrap();
    assert_eq!(found, ["t/a.db/ltx/", "t/notes.txt", "t/team/a&b <c>.db/ltx/"]);
    for absent in ["t", "t/team", "t/absent"] {
        assert_eq!(store.stat(&key(absent)).await.unwrap_err().kind, ErrorKind::NOT_FOUND, "{absent}");
    }
    assert!(matches!(store.stat(&key("t/notes.txt")).await.unwrap().time, Time::Server(_)));
}

/// A server that ignores `Range` answers with everything.
#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_cut_out_where_the_server_knows_none() {
    let Some(server) = server() else { return };
    let proxy = Proxy::http(server.address());
    let store = open(&request(proxy.address())).await;
    put(&store, "a", Bytes::from((0..=255).collect::<Vec<u8>>())).await.unwrap();
    let whole = || Fault::Answer { status: 200, headers: Vec::new(), body: "0123456789".into() };
    for (request, expected) in [
        (ReadRequest::range(key("a"), 3, 4), "3456"),
        (ReadRequest::from_offset(key("a"), 7), "789"),
        (ReadRequest::from_offset(key("a"), 10), ""),
    ] {
        proxy.plant(Rule::new(whole()).method("GET"));
        let body = store.read(request).await.unwrap().1;
        assert_eq!(body.collect(100).await.unwrap(), expected);
    }
    proxy.plant(Rule::new(whole()).method("GET"));
    let past = store.read(ReadRequest::range(key("a"), 8, 4)).await.unwrap_err();
    assert_eq!(past.kind, ErrorKind::INVALID_INPUT);
}
