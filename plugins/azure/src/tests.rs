//! The common promises against a real server, and what is special to this storage.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use http::Method;
use litestream_sdk::configure;
use litestream_sdk::conformance::{ForeignClient, Outcome, Settings, Subject, fresh_root, run};
use litestream_sdk::describe::ConfigureRequest;
use litestream_sdk::{
    Body, Context, Entry, ErrorKind, ListMode, ListRequest, ObjectInfo, ObjectKey, Plugin, ReadRequest, ReplicaPath,
    Result, Storage, StorageError, Time, Timestamp, WriteRequest, async_trait,
};
use litestream_test_servers::{AZURITE_ACCOUNT, AZURITE_KEY, Fault, Proxy, Rule, Server, azurite};

use crate::client::{Client, blob};
use crate::{AzurePlugin, Container, PluginExport};

mod configuration;

const WRONG_KEY: &str = "d3JvbmctYWNjb3VudC1rZXk=";
const TIME: Timestamp = Timestamp(1_763_803_871_508_000_000);

fn request(address: impl Display, key: &str) -> ConfigureRequest {
    ConfigureRequest::new()
        .with_value("bucket", "replicas", "test")
        .with_value("endpoint", format!("http://{address}/{AZURITE_ACCOUNT}"), "test")
        .with_value("account-name", AZURITE_ACCOUNT, "test")
        .with_value("account-key", key, "test")
}

fn client(server: &Server) -> Client {
    Client::new(&configure::options::<AzurePlugin>(&request(server.address(), AZURITE_KEY)).unwrap()).unwrap()
}

/// A server with an empty container.
fn server() -> Option<Server> {
    azurite(&["replicas"])
}

async fn open(request: &ConfigureRequest) -> Container {
    let options = configure::options::<AzurePlugin>(request).unwrap();
    AzurePlugin::open(options, Context::without_host()).await.unwrap()
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::parse(name).unwrap()
}

async fn entries(container: &Container, request: ListRequest) -> Result<Vec<Entry>> {
    container.list(request).await?.try_concat().await
}

/// The one blob of a container that holds one, as a listing describes it.
async fn only_object(container: &Container) -> ObjectInfo {
    match entries(container, everything()).await.unwrap().as_slice() {
        [Entry::Object(info)] => info.clone(),
        other => panic!("{other:?}"),
    }
}

fn everything() -> ListRequest {
    ListRequest::below(ReplicaPath::default())
}

/// Another program in the same container.
struct Neighbour(Client);

#[async_trait]
impl ForeignClient for Neighbour {
    async fn put(&self, name: &[u8]) -> Result<()> {
        // An address cannot say `.` and `..`: a client takes them out before it sends anything.
        if name.split(|byte| *byte == b'/').any(|segment| segment == b"." || segment == b"..") {
            return Err(StorageError::unsupported("a dot segment"));
        }
        let call = blob(Method::PUT, std::str::from_utf8(name).unwrap()).header("x-ms-blob-type", "BlockBlob")?;
        self.0.ask(call.body("x")).await.map(drop)
    }

    async fn remove(&self, name: &[u8]) -> Result<()> {
        self.0.ask(blob(Method::DELETE, std::str::from_utf8(name).unwrap())).await.map(drop)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_common_promises() {
    let Some(server) = server() else { return };
    let proxy = Arc::new(Proxy::http(server.address()));
    let right = request(server.address(), AZURITE_KEY);
    let wrong_bucket = right.clone().with_value("bucket", "no-such-container", "test");
    let wrong_secret = request(proxy.address(), WRONG_KEY);
    let through_proxy = Arc::new(open(&request(proxy.address(), AZURITE_KEY)).await);
    let subject = Subject::of_plugin::<PluginExport>(&right, Context::without_host()).await.unwrap();
    let subject = subject
        .with_network(through_proxy, proxy)
        .with_foreign_client(Arc::new(Neighbour(client(&server))))
        .with_wrong_bucket(move || boxed(wrong_bucket.clone()))
        .with_wrong_secret(move || boxed(wrong_secret.clone()));
    let root = fresh_root(&ReplicaPath::parse("conformance").unwrap());
    let report = run(&subject, &root, &Settings::default()).await;
    println!("{report}");
    assert!(report.is_ok(), "\n{report}");
    let skipped = report.results.iter().filter(|check| matches!(check.outcome, Outcome::Skip(_)));
    // The emulator has no lock for a single blob; the form of its answers is in `batch.rs`.
    assert_eq!(skipped.map(|check| check.id).collect::<Vec<_>>(), ["W11", "D2", "N1", "P1", "P2"], "\n{report}");
}

async fn boxed(request: ConfigureRequest) -> Result<Arc<dyn Storage>> {
    Ok(Arc::new(open(&request).await))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_or_container_is_an_error_and_not_an_empty_replica() {
    let Some(server) = server() else { return };
    let locked_out = open(&request(server.address(), WRONG_KEY)).await;
    let elsewhere =
        open(&request(server.address(), AZURITE_KEY).with_value("bucket", "no-such-container", "test")).await;
    for (container, kinds) in [
        (locked_out, [ErrorKind::UNAUTHENTICATED, ErrorKind::PERMISSION_DENIED]),
        (elsewhere, [ErrorKind::NO_STORE; 2]),
    ] {
        for error in [
            entries(&container, everything()).await.unwrap_err(),
            container.stat(&key("a")).await.unwrap_err(),
            container.write(WriteRequest::new(key("a"), TIME), Body::from_bytes("x")).await.unwrap_err(),
            container.read(ReadRequest::whole(key("a"))).await.unwrap_err(),
            container.delete(vec![key("a")]).await.and_then(|mut results| results.remove(0)).unwrap_err(),
        ] {
            assert!(kinds.contains(&error.kind), "{error:?}");
            assert!(!error.message.is_empty() && !error.code.is_empty(), "{error:?}");
            assert!(!format!("{error} {error:?}").contains(WRONG_KEY), "a secret in {error:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_of_many_blocks_is_one_blob_with_its_time() {
    let Some(server) = server() else { return };
    let container = open(&request(server.address(), AZURITE_KEY)).await;
    let content: Bytes = (0..21u32 << 20).map(|at| (at % 251) as u8).collect::<Vec<u8>>().into();
    let asked = WriteRequest::new(key("blocks"), TIME).with_buffer(40 << 20);
    let written = container.write(asked, Body::from_bytes(content.clone())).await.unwrap();
    let seen = container.stat(&key("blocks")).await.unwrap();
    assert_eq!((seen.size, seen.time, &seen.version), (21 << 20, Time::Exact(TIME), &written.version));
    let at = 8 << 20;
    let (info, body) = container.read(ReadRequest::range(key("blocks"), at - 3, 6)).await.unwrap();
    let at = usize::try_from(at).unwrap();
    assert_eq!(body.collect(100).await.unwrap(), content.slice(at - 3..at + 3));
    assert_eq!(info, Some(seen.clone()), "the answer describes the whole blob");
    let listed = only_object(&container).await;
    assert_eq!(listed, seen, "a listing says the same, with time and version");
}

/// What the reference leaves behind when it is killed in an upload: blocks with names of 64 bytes, without a blob.
#[tokio::test(flavor = "multi_thread")]
async fn blocks_of_an_upload_that_was_given_up_are_in_nobodys_way() {
    let Some(server) = server() else { return };
    let (client, container) = (client(&server), open(&request(server.address(), AZURITE_KEY)).await);
    use base64::Engine;
    let name = base64::engine::general_purpose::STANDARD.encode([7; 64]);
    let call = blob(Method::PUT, "given-up").query("comp", "block").query("blockid", name);
    client.ask(call.body("half")).await.unwrap();
    assert_eq!(entries(&container, everything()).await.unwrap(), []);
    assert_eq!(container.stat(&key("given-up")).await.unwrap_err().kind, ErrorKind::NOT_FOUND);
    let asked = WriteRequest::new(key("given-up"), TIME).with_buffer(16 << 20);
    container.write(asked, Body::from_bytes(vec![1; 9 << 20])).await.unwrap();
    assert_eq!(container.stat(&key("given-up")).await.unwrap().size, 9 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_others_are_left_out_and_databases_found_also_at_the_prefix_itself() {
    let Some(server) = server() else { return };
    let (client, container) = (client(&server), open(&request(server.address(), AZURITE_KEY)).await);
    for name in ["t//b", "t/", "t/a.db/ltx/0/1", "t/a.db/ltx/1/1", "t/ltx/0/1", "t/ltx/9/1"] {
        let call = blob(Method::PUT, name).header("x-ms-blob-type", "BlockBlob").unwrap();
        client.ask(call.body("x")).await.unwrap();
    }
    let below = ListRequest::below(ReplicaPath::parse("t").unwrap());
    let shown = |entries: Vec<Entry>| -> Vec<String> {
        let show = |entry| match entry {
            Entry::Object(info) => info.key.to_string(),
            Entry::Dir(dir) => format!("{dir}/"),
        };
        entries.into_iter().map(show).collect()
    };
    let all = shown(entries(&container, below.clone()).await.unwrap());
    assert_eq!(all, ["t/a.db/ltx/0/1", "t/a.db/ltx/1/1", "t/ltx/0/1", "t/ltx/9/1"]);
    let databases = entries(&container, below.clone().with_mode(ListMode::RollUp("ltx".into()))).await.unwrap();
    assert_eq!(shown(databases), ["t/a.db/ltx/", "t/ltx/"]);
    let after = below.with_mode(ListMode::RollUp("ltx".into())).with_start_after(key("t/a.db/ltx/0/1")).with_limit(1);
    assert_eq!(shown(entries(&container, after).await.unwrap()), ["t/ltx/"]);
}

/// A blob without our metadata, as other programs write it.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_written_time_the_servers_counts() {
    let Some(server) = server() else { return };
    let (client, container) = (client(&server), open(&request(server.address(), AZURITE_KEY)).await);
    let call = blob(Method::PUT, "foreign").header("x-ms-blob-type", "BlockBlob").unwrap();
    client.ask(call.body("x")).await.unwrap();
    let stat = container.stat(&key("foreign")).await.unwrap();
    assert!(matches!(stat.time, Time::Server(_)), "{stat:?}");
    let listed = only_object(&container).await;
    assert_eq!(listed.time, stat.time);
}

/// One error for each way in which a connection fails; the next call on the same store works.
#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_on_the_way_is_classified_and_over_with_the_next_call() {
    let Some(server) = server() else { return };
    let proxy = Proxy::http(server.address());
    let container = open(&request(proxy.address(), AZURITE_KEY)).await;
    let content = Bytes::from(vec![7; 1 << 20]);
    let write = async || container.write(WriteRequest::new(key("a"), TIME), Body::from_bytes(content.clone())).await;
    let read = async || container.read(ReadRequest::whole(key("a"))).await?.1.collect(u64::MAX).await;

    proxy.plant(Rule::new(Fault::slow_down(503, Duration::from_secs(7))).method("PUT"));
    let busy = write().await.unwrap_err();
    assert_eq!((busy.kind, busy.retry_after), (ErrorKind::RATE_LIMITED, Some(Duration::from_secs(7))), "{busy}");
    proxy.plant(Rule::new(Fault::CutRequest(1000)).method("PUT"));
    assert_eq!(write().await.unwrap_err().kind, ErrorKind::TRANSIENT);
    assert_eq!(container.stat(&key("a")).await.unwrap_err().kind, ErrorKind::NOT_FOUND, "nothing half is visible");
    write().await.unwrap();
    proxy.plant(Rule::new(Fault::CutAnswer(1000)).method("GET"));
    assert_eq!(read().await.unwrap_err().kind, ErrorKind::TRANSIENT, "a cut stream is not a short blob");
    proxy.refuse();
    assert_eq!(read().await.unwrap_err().kind, ErrorKind::TRANSIENT);
    proxy.heal();
    assert_eq!(read().await.unwrap(), content);
}

/// A signature in the address is the one secret that an address can hold.
#[tokio::test(flavor = "multi_thread")]
async fn a_signature_is_in_no_error() {
    let nobody = litestream_test_servers::free_port();
    let request = ConfigureRequest::new()
        .with_url(format!("abs://replicas/p?endpoint=127.0.0.1:{nobody}/account"))
        .with_env("LITESTREAM_AZURE_SAS_TOKEN", "?sv=2021&sig=hunter2%2Fx");
    let container = open(&request).await;
    for error in [
        container.stat(&key("a")).await.unwrap_err(),
        entries(&container, everything()).await.unwrap_err(),
        container.delete(vec![key("a")]).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::TRANSIENT);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_object_is_one_request_and_a_thousand_databases_are_found_with_one() {
    let Some(server) = server() else { return };
    let proxy = Proxy::http(server.address());
    let container = open(&request(proxy.address(), AZURITE_KEY)).await;
    for number in 0..10 {
        let request = WriteRequest::new(key(&format!("t/{number}.db/ltx/0/1")), TIME);
        container.write(request, Body::from_bytes("x")).await.unwrap();
    }
    assert_eq!(proxy.requests().len(), 10);
    proxy.forget_requests();
    let request = everything().with_mode(ListMode::RollUp("ltx".into()));
    assert_eq!(entries(&container, request).await.unwrap().len(), 10);
    assert_eq!(proxy.requests().len(), 1);
    proxy.forget_requests();
    let keys = (0..10).map(|number| key(&format!("t/{number}.db/ltx/0/1"))).collect();
    assert!(container.delete(keys).await.unwrap().iter().all(Result::is_ok));
    assert_eq!((proxy.requests().len(), entries(&container, everything()).await.unwrap()), (1, Vec::new()));
}
