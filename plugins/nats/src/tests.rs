//! The common promises against a real server, and what is special to this storage.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::{self, StreamExt};
use litestream_sdk::configure;
use litestream_sdk::conformance::{Outcome, Settings, Subject, fresh_root, run};
use litestream_sdk::describe::ConfigureRequest;
use litestream_sdk::{
    Body, Context, Entry, ErrorKind, ListRequest, ObjectKey, Plugin, ReadRequest, ReplicaPath, Result, Storage,
    StorageError, Timestamp, WriteRequest,
};
use litestream_test_servers::{Proxy, Server, free_port, nats, nats_with_login};

use crate::{Nats, NatsPlugin, PluginExport};

mod configuration;

const TIME: Timestamp = Timestamp(1_763_803_871_508_000_000);

fn server() -> Option<Server> {
    nats(&["replicas"])
}

/// The bucket of the server at `address`, with short waits.
fn request(address: impl ToString) -> ConfigureRequest {
    ConfigureRequest::new()
        .with_url(format!("nats://{}/replicas", address.to_string()))
        .with_value("reconnect-wait", "50ms", "test")
        .with_value("timeout", "3s", "test")
}

async fn open(request: &ConfigureRequest) -> Result<Nats> {
    NatsPlugin::open(configure::options::<NatsPlugin>(request).unwrap(), Context::without_host()).await
}

async fn refused(request: &ConfigureRequest) -> StorageError {
    match open(request).await {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

async fn boxed(request: ConfigureRequest) -> Result<Arc<dyn Storage>> {
    Ok(Arc::new(open(&request).await?))
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::parse(name).unwrap()
}

async fn put(store: &Nats, name: &str, content: impl Into<Bytes>) -> Result<()> {
    store.write(WriteRequest::new(key(name), TIME), Body::from_bytes(content)).await.map(drop)
}

async fn get(store: &Nats, name: &str) -> Result<Bytes> {
    store.read(ReadRequest::whole(key(name))).await?.1.collect(u64::MAX).await
}

/// Tries again and again, until something comes of it.
async fn until<T, F: Future<Output = Option<T>>>(attempt: impl Fn() -> F) -> T {
    for _ in 0..500 {
        if let Some(done) = attempt().await {
            return done;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never happened");
}

/// Messages of the bucket's stream, as the server counts them.
async fn messages(server: &Server) -> u64 {
    let client = async_nats::connect(format!("nats://{}", server.address())).await.unwrap();
    let mut stream = async_nats::jetstream::new(client).get_stream("OBJ_replicas").await.unwrap();
    stream.info().await.unwrap().state.messages
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_common_promises() {
    let Some(server) = nats_with_login(&["replicas"], "backup", "right") else { return };
    let proxy = Arc::new(Proxy::tcp(server.address()));
    let right = request(format!("backup:right@{}", server.address())).with_value("prefix", "true", "test");
    let wrong = request(format!("backup:wrong@{}", server.address()));
    let elsewhere = ConfigureRequest::new().with_url(format!("nats://backup:right@{}/absent", server.address()));
    let through_proxy = boxed(request(format!("backup:right@{}", proxy.address()))).await.unwrap();
    let subject = Subject::of_plugin::<PluginExport>(&right, Context::without_host()).await.unwrap();
    let subject = subject.with_network(through_proxy, proxy).with_wrong_bucket(move || boxed(elsewhere.clone()));
    let subject = subject.with_wrong_secret(move || boxed(wrong.clone()));
    let report = run(&subject, &fresh_root(&ReplicaPath::parse("base").unwrap()), &Settings::default()).await;
    println!("{report}");
    assert!(report.is_ok(), "\n{report}");
    let skipped = report.results.iter().filter(|check| matches!(check.outcome, Outcome::Skip(_)));
    let skipped: Vec<_> = skipped.map(|check| check.id).collect();
    assert_eq!(skipped, ["W11", "L6", "D2", "N1", "E2", "P1", "P2"], "\n{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_bucket_or_server_is_an_error_and_not_an_empty_replica() {
    let Some(server) = server() else { return };
    let absent = ConfigureRequest::new().with_url(format!("nats://{}/absent", server.address()));
    let error = refused(&absent).await;
    assert_eq!(error.kind, ErrorKind::NO_STORE, "{error}");
    assert!(error.message.contains("`absent`"), "{error}");
    let nobody = refused(&request(format!("u:hunter2@127.0.0.1:{}", free_port()))).await;
    assert!(nobody.kind.is_retryable(), "{nobody}");
    assert!(!format!("{nobody} {nobody:?}").contains("hunter2"), "{nobody:?}");
    // The server speaks no TLS.
    let open_text = refused(&request(server.address()).with_value("tls", "true", "test")).await;
    assert!(open_text.message.starts_with("connecting to "), "{open_text}");
    let no_file = request(server.address()).with_value("creds", "/no/such/file", "test");
    let error = refused(&no_file).await;
    assert_eq!(error.kind, ErrorKind::UNAUTHENTICATED);
    assert!(error.message.contains("/no/such/file"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_what_was_deleted_replaced_or_given_up() {
    let Some(server) = server() else { return };
    let store = open(&request(server.address())).await.unwrap();
    for _ in 0..3 {
        put(&store, "a", vec![7; 300_000]).await.unwrap();
    }
    assert_eq!(messages(&server).await, 3 + 1, "three chunks of the last content, and its description");
    let broken = Body::new(
        stream::iter([Ok(Bytes::from(vec![0; 1 << 20]))])
            .chain(stream::iter([Err(StorageError::transient("the source broke"))])),
    );
    let failed = store.write(WriteRequest::new(key("b"), TIME), broken).await.unwrap_err();
    assert_eq!(failed.message, "the source broke");
    store.delete(vec![key("a")]).await.unwrap().remove(0).unwrap();
    until(|| async { (messages(&server).await == 0).then_some(()) }).await;
}

/// The answer to the description can be lost: its upload has failed, and is an object.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_described_is_not_given_up() {
    let Some(server) = server() else { return };
    let store = open(&request(server.address())).await.unwrap();
    let written = store.write(WriteRequest::new(key("a"), TIME), Body::from_bytes("x")).await.unwrap();
    let bucket = store.bucket.lock().await.clone();
    let nuid = written.version.expect("named by its chunks");
    crate::upload::give_up(&bucket, "a", &nuid).await;
    assert_eq!((get(&store, "a").await.unwrap(), messages(&server).await), (Bytes::from("x"), 2));
    crate::upload::give_up(&bucket, "a", "another").await;
    assert_eq!((get(&store, "a").await.unwrap(), messages(&server).await), (Bytes::from("x"), 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_comes_back_without_a_restart() {
    let Some(server) = server() else { return };
    let proxy = Proxy::tcp(server.address());
    let store = open(&request(proxy.address()).with_value("timeout", "1s", "test")).await.unwrap();
    put(&store, "a", "x").await.unwrap();
    proxy.refuse();
    let down = get(&store, "a").await.unwrap_err();
    assert!(down.kind.is_retryable(), "{down}");
    proxy.heal();
    assert_eq!(until(|| async { get(&store, "a").await.ok() }).await, "x");
    put(&store, "b", "y").await.unwrap();
    let all: Vec<Entry> =
        store.list(ListRequest::below(ReplicaPath::default())).await.unwrap().try_concat().await.unwrap();
    assert_eq!(all.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_gave_up_is_replaced_without_a_restart() {
    let Some(server) = server() else { return };
    let proxy = Proxy::tcp(server.address());
    let store = open(&request(proxy.address()).with_value("max-reconnects", 2, "test")).await.unwrap();
    put(&store, "a", "x").await.unwrap();
    proxy.refuse();
    until(|| async { store.bucket.lock().await.has_ended().then_some(()) }).await;
    let down = get(&store, "a").await.unwrap_err();
    assert!(down.kind.is_retryable(), "{down}");
    proxy.heal();
    assert_eq!(get(&store, "a").await.unwrap(), "x");
}
