//! The whole boundary in one process: both adaptors, with the ABI between them.

use super::host::{HostModule, HostSettings};
use crate::context::{Context, HostServices, LogLevel, MetricKind};
use crate::describe::{ConfigureAnswer, ConfigureRequest};
use crate::error::{ErrorKind, Result, StorageError};
use crate::export::Exported;
use crate::memory::{MemoryPlugin, MemoryStorage};
use crate::storage::{Plugin, Storage};
use crate::types::*;
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use std::future::pending;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

/// Remembers what a plugin logs and counts.
#[derive(Default)]
struct Services(Mutex<Vec<String>>);

impl HostServices for Services {
    fn enabled(&self, level: LogLevel, _: &str) -> bool {
        level <= LogLevel::Info
    }
    fn log(&self, level: LogLevel, target: &str, message: &str, fields: &[(&str, &str)]) {
        self.0.lock().unwrap().push(format!("{level:?} {target} {message} {fields:?}"));
    }
    fn metric(&self, kind: MetricKind, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.lock().unwrap().push(format!("{kind:?} {name} {labels:?} {value}"));
    }
}

fn host<E: Exported>(services: &Arc<Services>) -> HostModule {
    HostModule::in_process::<E>(services.clone(), &HostSettings::new("0.1.0"))
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).unwrap()
}

async fn memory(name: &str) -> Arc<dyn Storage> {
    let request = ConfigureRequest::new().with_url(format!("memory://{name}/base"));
    host::<MemoryPlugin>(&Arc::default()).open(&request).await.unwrap()
}

#[test]
fn control_crosses_as_json() {
    let module = host::<MemoryPlugin>(&Arc::default());
    let description = module.describe().unwrap();
    assert_eq!((description.name.as_str(), description.abi), ("memory", 1));
    assert_eq!(description.option("path").unwrap().url, Some(crate::options::UrlPart::Path));

    let request = ConfigureRequest::new().with_url("memory://s/base");
    let ConfigureAnswer::Accepted(configured) = module.configure(&request).unwrap() else { panic!("refused") };
    let at = Location::try_from(&configured.location).unwrap();
    assert!(at.from_url);
    let raw = DbPath::parse(b"team/\xff.db").unwrap();
    assert_eq!(module.resolve(&at, &raw).unwrap().as_bytes(), b"base/team/\xff.db");

    let request = ConfigureRequest::new().with_url("memory://s/a/../b").with_value("pth", 1, "f:3");
    let ConfigureAnswer::Refused { problems } = module.configure(&request).unwrap() else { panic!("accepted") };
    assert_eq!(problems[0].to_string(), "pth: unknown key; did you mean `path`? (f:3)");
}

#[tokio::test]
async fn every_member_of_every_value_crosses() {
    let store = memory("crossing").await;
    assert_eq!(store.capability(), MemoryStorage::new().capability());
    let write = WriteRequest::new(key("base/\u{fc}\u{1}"), Timestamp(-5)).with_size(3).with_if_absent(true);
    let info = store.write(write.clone(), Body::from_bytes("abc")).await.unwrap();
    assert_eq!((info.size, info.time), (3, Time::Exact(Timestamp(-5))));
    assert_eq!(store.stat(&info.key).await.unwrap(), info);
    let conflict = store.write(write, Body::from_bytes("abc")).await.unwrap_err();
    assert_eq!(conflict.kind, ErrorKind::CONFLICT);

    let version = info.version.clone().unwrap();
    let read = ReadRequest::range(info.key.clone(), 1, 1).with_version(version);
    let (described, body) = store.read(read).await.unwrap();
    assert_eq!((described.as_ref(), body.size_hint()), (Some(&info), Some(1)));
    assert_eq!(body.collect(10).await.unwrap(), "b");

    let list = ListRequest::below(ReplicaPath::default()).with_mode(ListMode::Shallow);
    let pages: Vec<Page> = store.list(list).await.unwrap().try_collect().await.unwrap();
    assert_eq!(pages, [[Entry::Dir(ReplicaPath::parse("base").unwrap())]]);
    assert_eq!(store.delete(vec![info.key, key("none")]).await.unwrap(), [Ok(()), Ok(())]);
    assert_eq!(store.extension("x", Bytes::new()).await.unwrap_err().kind, ErrorKind::UNSUPPORTED);
    store.close().await.unwrap();
}

#[tokio::test]
async fn chunks_of_a_read_cross_without_a_copy() {
    let store = memory("zero-copy").await;
    let data = Bytes::from(vec![7; 3 << 20]);
    let write = WriteRequest::new(key("k"), Timestamp(0));
    store.write(write, Body::from_bytes(data)).await.unwrap();
    let direct = MemoryStorage::named("zero-copy").read(ReadRequest::whole(key("k"))).await.unwrap().1;
    let crossed = store.read(ReadRequest::whole(key("k"))).await.unwrap().1;
    let pointers = async |body: Body| -> Vec<*const u8> {
        body.into_stream().map(|chunk| chunk.unwrap().as_ptr()).collect().await
    };
    assert_eq!(pointers(crossed).await, pointers(direct).await);
}

#[tokio::test]
async fn chunks_of_a_write_cross_without_a_copy_and_go_back_to_their_owner() {
    let chunk = Bytes::from(vec![7; 1 << 20]);
    let body = Body::new(stream::iter([Ok(chunk.clone())]));
    let error = hostile(&Arc::default()).await.write(WriteRequest::new(key("where"), Timestamp(0)), body).await;
    let seen = error.unwrap_err().message;
    assert_eq!(seen, format!("the chunk lies at {:?}", chunk.as_ptr()));
    assert!(chunk.is_unique(), "the plugin's chunk is freed");
}

/// What the hostile plugin below saw.
#[derive(Default)]
struct Seen {
    dropped: AtomicU32,
    cleaned: Notify,
    waiting: Notify,
}

static SEEN: std::sync::LazyLock<Seen> = std::sync::LazyLock::new(Seen::default);

/// Drops only inside its own runtime, as a client library's sockets and timers want it.
struct NeedsRuntime;

impl Drop for NeedsRuntime {
    fn drop(&mut self) {
        assert!(tokio::runtime::Handle::try_current().is_ok(), "dropped outside the runtime");
        SEEN.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// Panics, fails and waits by the name of the key.
struct Hostile {
    context: Context,
}

struct HostilePlugin;

crate::options! {
    struct NoOptions {}
}

#[async_trait]
impl Plugin for HostilePlugin {
    type Options = NoOptions;
    type Storage = Hostile;
    fn locate(_: &NoOptions) -> Result<Location> {
        panic!("locate")
    }
    fn resolve(_: &Location, _: &DbPath) -> Result<ReplicaPath> {
        panic!("resolve")
    }
    async fn open(_: NoOptions, context: Context) -> Result<Hostile> {
        context.log(LogLevel::Info, "opened");
        context.log(LogLevel::Debug, "not wanted");
        context.counter("opens", 2.0);
        Ok(Hostile { context })
    }
}

impl Exported for HostilePlugin {
    type Plugin = Self;
    const NAME: &'static str = "hostile";
    const RECORD: &'static str = "{}";
}

#[async_trait]
impl Storage for Hostile {
    fn capability(&self) -> Capability {
        panic!("capability")
    }
    async fn list(&self, _: ListRequest) -> Result<Pages> {
        let info = |name: &[u8]| Entry::Object(ObjectInfo::new(key("k"), name.len() as u64, Time::Unknown));
        let pages = [Ok(vec![info(b"x")]), Err(StorageError::transient("cut")), Ok(vec![info(b"never")])];
        Ok(stream::iter(pages).boxed())
    }
    async fn stat(&self, object: &ObjectKey) -> Result<ObjectInfo> {
        match object.name() {
            b"panic" => panic!("stat {}", 1),
            b"drop" => {
                let _held = NeedsRuntime;
                let undo = self.context.on_drop(async { SEEN.cleaned.notify_one() });
                SEEN.waiting.notify_one();
                tokio::time::sleep(Duration::from_secs(3600)).await;
                undo.disarm();
            }
            b"fail" => {
                let wait = Duration::from_millis(1500);
                let error = StorageError::new(ErrorKind(4242), "slow down").with_code("SlowDown").with_request_id("r");
                return Err(error
                    .with_http_status(503)
                    .with_retry_after(wait)
                    .with_source(&std::io::Error::other("c")));
            }
            _ => {}
        }
        Ok(ObjectInfo::new(object.clone(), 0, Time::Server(Timestamp(3))))
    }
    async fn read(&self, request: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
        if request.key.name() == b"panic" {
            return Ok((None, Body::new(stream::poll_fn(|_| panic!("chunk")))));
        }
        let held = NeedsRuntime;
        let forever = stream::once(async move {
            let _held = held;
            pending::<()>().await;
            Ok(Bytes::new())
        });
        Ok((None, Body::new(stream::iter([Ok(Bytes::from_static(b"first"))]).chain(forever))))
    }
    async fn write(&self, request: WriteRequest, mut body: Body) -> Result<ObjectInfo> {
        if request.key.name() == b"where" {
            let chunk = body.next().await?.unwrap();
            return Err(StorageError::permanent(format!("the chunk lies at {:?}", chunk.as_ptr())));
        }
        // Polled from one of the plugin's own threads, where the host's runtime is not entered by itself.
        let taken = tokio::spawn(async move { body.next().await });
        taken.await.unwrap().map(|_| unreachable!())
    }
    async fn delete(&self, _: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
        Ok(vec![])
    }
}

async fn hostile(services: &Arc<Services>) -> Arc<dyn Storage> {
    host::<HostilePlugin>(services).open(&ConfigureRequest::new()).await.unwrap()
}

#[test]
fn panics_of_synchronous_calls_are_answers() {
    let module = host::<HostilePlugin>(&Arc::default());
    let ConfigureAnswer::Refused { problems } = module.configure(&ConfigureRequest::new()).unwrap() else { panic!() };
    assert_eq!(problems[0].message, "panic in the plugin: locate");
    let error = module.resolve(&Location::default(), &DbPath::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::PLUGIN_PANIC);
    assert_eq!(module.describe().unwrap_err().kind, ErrorKind::BROKEN_CONTRACT);
}

#[tokio::test]
async fn panics_of_calls_and_streams_are_errors_and_the_next_call_works() {
    let store = hostile(&Arc::default()).await;
    assert_eq!(store.capability(), Capability::default());
    let error = store.stat(&key("panic")).await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::PLUGIN_PANIC, "panic in the plugin: stat 1"));
    let (_, mut body) = store.read(ReadRequest::whole(key("panic"))).await.unwrap();
    assert_eq!(body.next().await.unwrap_err().kind, ErrorKind::PLUGIN_PANIC);
    assert_eq!(store.stat(&key("fine")).await.unwrap().time, Time::Server(Timestamp(3)));
    assert_eq!(store.delete(vec![key("a")]).await.unwrap_err().kind, ErrorKind::BROKEN_CONTRACT);
}

#[tokio::test]
async fn errors_cross_with_every_member() {
    let error = hostile(&Arc::default()).await.stat(&key("fail")).await.unwrap_err();
    assert_eq!((error.kind, error.http_status), (ErrorKind(4242), 503));
    assert_eq!(error.retry_after, Some(Duration::from_millis(1500)));
    assert_eq!(error.to_string(), "slow down: c (SlowDown, HTTP 503, request r)");
}

#[tokio::test]
async fn a_listing_ends_with_its_first_error() {
    let store = hostile(&Arc::default()).await;
    let mut pages = store.list(ListRequest::below(ReplicaPath::default())).await.unwrap();
    assert!(pages.next().await.unwrap().is_ok() && pages.next().await.unwrap().is_err());
    assert!(pages.next().await.is_none());
}

#[test]
fn a_dropped_call_is_cancelled_inside_the_plugins_runtime_and_cleans_up() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let body = runtime.block_on(async {
        let store = hostile(&Arc::default()).await;
        let waiting = store.clone();
        let call = tokio::spawn(async move { waiting.stat(&key("drop")).await });
        SEEN.waiting.notified().await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        SEEN.cleaned.notified().await;
        assert_eq!(SEEN.dropped.load(Ordering::SeqCst), 1);

        let (_, mut body) = store.read(ReadRequest::whole(key("k"))).await.unwrap();
        assert_eq!(body.next().await.unwrap().unwrap(), "first");
        let next = tokio::time::timeout(Duration::from_millis(1), body.next()).await;
        assert!(next.is_err(), "the second chunk never comes");
        body
    });
    drop(runtime);
    // A thread that knows no runtime at all: the drop itself asserts that it sees one.
    std::thread::spawn(move || drop(body)).join().unwrap();
    assert_eq!(SEEN.dropped.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn the_hosts_body_runs_in_the_hosts_runtime() {
    let store = hostile(&Arc::default()).await;
    let body = Body::new(stream::once(async {
        tokio::time::sleep(Duration::from_millis(1)).await; // needs this runtime's timer
        Err(StorageError::new(ErrorKind::CORRUPT, "the host's own"))
    }));
    let error = store.write(WriteRequest::new(key("k"), Timestamp(0)), body).await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::CORRUPT, "the host's own"));
}

#[tokio::test]
async fn logs_and_counts_reach_the_host() {
    let services = Arc::new(Services::default());
    hostile(&services).await;
    assert_eq!(*services.0.lock().unwrap(), ["Info plugin opened []", "Counter opens [] 2"]);
}
