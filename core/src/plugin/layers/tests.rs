//! Time limits, memory, replacement of failed stores: the layers between retry and the plugin.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use litestream_sdk::{
    Body, Capability, ErrorKind, ListRequest, ObjectInfo, Pages, ReadRequest, ReplicaPath, Result, Storage, Timestamp,
    WriteRequest, async_trait,
};
use tokio::time::Instant;

use super::admission::Admission;
use super::concurrency::Concurrency;
use super::fake::{Fake, Fault, error, key, shared, slow_body};
use super::lending::Lending;
use super::rate::Rate;
use super::reopen::{Opener, Reopen};
use super::timeout::Timeout;
use crate::plugin::budget::ByteBudget;

const MIB: u64 = 1 << 20;

fn request() -> WriteRequest {
    WriteRequest::new(key("a"), Timestamp(1)).with_buffer(10 * MIB)
}

/// The kind of the error, and the seconds it took to come.
async fn seconds_to_fail<T>(call: impl Future<Output = Result<T>>) -> (ErrorKind, u64) {
    let start = Instant::now();
    let kind = call.await.map(|_| ()).expect_err("it must fail").kind;
    (kind, start.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn silence_ends_after_thirty_seconds() {
    let (fake, storage) = shared(Fake::new(0));
    fake.put("a", "x".repeat(30));
    for operation in ["stat", "read", "list", "delete"] {
        fake.plan(operation, [Fault::Hang]);
    }
    fake.plan("read", [Fault::HangAfter(10)]);
    fake.plan("list", [Fault::HangAfter(0)]);
    let layer = Timeout::new(storage);
    let silent = (ErrorKind::TIMEOUT, 30);
    assert_eq!(seconds_to_fail(layer.stat(&key("a"))).await, silent);
    assert_eq!(seconds_to_fail(layer.delete(vec![key("a")])).await, silent);
    assert_eq!(seconds_to_fail(layer.read(ReadRequest::whole(key("a")))).await, silent);
    assert_eq!(seconds_to_fail(layer.list(ListRequest::below(ReplicaPath::default()))).await, silent);

    let (_, mut body) = layer.read(ReadRequest::whole(key("a"))).await.unwrap();
    assert!(body.next().await.unwrap().is_some());
    assert_eq!(seconds_to_fail(body.next()).await, silent);
    assert!(body.next().await.unwrap().is_none(), "an error ends a body");
    let mut pages = layer.list(ListRequest::below(ReplicaPath::default())).await.unwrap();
    assert_eq!(seconds_to_fail(async { pages.next().await.unwrap() }).await, silent);
}

#[tokio::test(start_paused = true)]
async fn a_write_may_take_hours_while_bytes_move_however_slow_the_source() {
    let (fake, storage) = shared(Fake::new(0));
    let body = slow_body(vec![Bytes::from_static(b"x"); 60], Duration::from_secs(120));
    Timeout::new(storage).write(request(), body).await.unwrap();
    assert_eq!(fake.objects.lock().unwrap()[&key("a")].0.len(), 60);
}

/// Takes `chunks` chunks of a body, and then neither asks for more nor answers.
struct Stuck {
    chunks: usize,
    drops_body: bool,
    keep: std::sync::Mutex<Vec<Bytes>>,
    hoards: bool,
}

#[async_trait]
impl Storage for Stuck {
    fn capability(&self) -> Capability {
        Capability::new(0).with_write_buffer(2 * MIB..=4 * MIB)
    }

    async fn list(&self, _: ListRequest) -> Result<Pages> {
        Err(error(ErrorKind::UNSUPPORTED))
    }

    async fn stat(&self, _: &litestream_sdk::ObjectKey) -> Result<ObjectInfo> {
        Err(error(ErrorKind::UNSUPPORTED))
    }

    async fn read(&self, _: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
        Err(error(ErrorKind::UNSUPPORTED))
    }

    async fn write(&self, _: WriteRequest, mut body: Body) -> Result<ObjectInfo> {
        for _ in 0..self.chunks {
            let Some(chunk) = body.next().await? else { break };
            if self.hoards {
                self.keep.lock().unwrap().push(chunk);
            }
        }
        if self.drops_body {
            drop(body);
        }
        std::future::pending().await
    }

    async fn delete(&self, _: Vec<litestream_sdk::ObjectKey>) -> Result<Vec<Result<()>>> {
        Err(error(ErrorKind::UNSUPPORTED))
    }
}

fn stuck(chunks: usize, drops_body: bool) -> Arc<Stuck> {
    Arc::new(Stuck { chunks, drops_body, keep: std::sync::Mutex::default(), hoards: false })
}

fn three_chunks() -> Body {
    slow_body(vec![Bytes::from(vec![0; MIB as usize]); 3], Duration::from_secs(100))
}

#[tokio::test(start_paused = true)]
async fn a_write_without_progress_ends() {
    // 10 MiB of buffer give 10 s more each time.
    let took = async |storage| seconds_to_fail(Timeout::new(storage).write(request(), three_chunks())).await;
    assert_eq!(took(stuck(0, false)).await, (ErrorKind::TIMEOUT, 40), "it never asks for data");
    assert_eq!(took(stuck(2, false)).await, (ErrorKind::TIMEOUT, 240), "it stops asking for data");
    assert_eq!(took(stuck(4, false)).await, (ErrorKind::TIMEOUT, 370), "it has everything and does not answer");
    assert_eq!(took(stuck(2, true)).await, (ErrorKind::TIMEOUT, 270), "it wants no more and does not answer");
    let announced = Timeout::new(stuck(3, false));
    let write = announced.write(request().with_size(3 * MIB), three_chunks());
    assert_eq!(seconds_to_fail(write).await, (ErrorKind::TIMEOUT, 370), "it has all the bytes and keeps the body");
}

#[tokio::test(start_paused = true)]
async fn a_plugin_gets_no_more_than_it_was_granted_until_it_frees_some() {
    let budget = ByteBudget::new(8 * MIB);
    let hoarder = Arc::new(Stuck { chunks: 9, drops_body: false, keep: std::sync::Mutex::default(), hoards: true });
    let layer = Lending::new(hoarder.clone(), budget.clone());
    let body = slow_body(vec![Bytes::from(vec![0; MIB as usize]); 9], Duration::ZERO);
    // 3 MiB granted, half of what writes may have: 30 s and one more for each MiB.
    assert_eq!(seconds_to_fail(layer.write(request(), body)).await, (ErrorKind::TIMEOUT, 33));
    assert_eq!(hoarder.keep.lock().unwrap().len(), 3);
    assert_eq!(budget.available(), 5 * MIB, "what the plugin still holds is not free");
    hoarder.keep.lock().unwrap().clear();
    assert_eq!(budget.available(), 8 * MIB);
}

#[tokio::test(start_paused = true)]
async fn memory_is_reserved_by_size_and_capability_and_comes_back() {
    let (fake, storage) = shared(Fake::new(0).with(Capability::new(0).with_write_buffer(2 * MIB..=4 * MIB)));
    let budget = ByteBudget::new(64 * MIB);
    let layer = Lending::new(storage, budget.clone());
    for (size, granted) in [(Some(100), 100), (Some(3 * MIB), 3 * MIB), (Some(9 * MIB), 4 * MIB), (None, 4 * MIB)] {
        let mut request = request();
        request.size = size;
        layer.write(request, Body::from_bytes("x")).await.unwrap();
        assert_eq!(fake.calls_of("write").last().unwrap(), &format!("write a buffer {granted}"));
    }
    fake.objects.lock().unwrap().clear();
    assert_eq!(budget.available(), 64 * MIB);
}

#[tokio::test(start_paused = true)]
async fn a_read_has_memory_while_a_chunk_is_fetched_and_no_longer() {
    let (fake, storage) = shared(Fake::new(0).with(Capability::new(0).with_read_buffer(2 * MIB)));
    fake.put("a", "x".repeat(30));
    let budget = ByteBudget::new(16 * MIB); // 4 MiB of them for reads: two at once
    let layer = Lending::new(storage, budget.clone());
    let open = async || layer.read(ReadRequest::whole(key("a"))).await.unwrap().1;
    let mut bodies = Vec::new();
    for _ in 0..100 {
        bodies.push(open().await);
    }
    assert_eq!(budget.available(), 16 * MIB, "an open body holds none");

    fake.plan("read", [Fault::HangAfter(0), Fault::HangAfter(0)]);
    let (mut first, mut second) = (open().await, open().await);
    assert!(first.next().now_or_never().is_none() && second.next().now_or_never().is_none());
    assert_eq!(budget.available(), 12 * MIB);
    let mut third = Box::pin(bodies[0].next());
    assert!((&mut third).now_or_never().is_none(), "both places are taken by chunks that do not come");
    drop(first);
    assert!(third.now_or_never().expect("there is a place").unwrap().is_some());
    drop(second);

    // A small range is charged for what it can hold.
    fake.plan("read", [Fault::HangAfter(0)]);
    let mut small = layer.read(ReadRequest::range(key("a"), 0, 20)).await.unwrap().1;
    assert!(small.next().now_or_never().is_none());
    assert_eq!(budget.available(), 16 * MIB - 4096);
    drop(small);
    assert_eq!(budget.available(), 16 * MIB);
}

#[tokio::test(start_paused = true)]
async fn an_open_body_that_nobody_pulls_holds_no_place() {
    let (fake, storage) = shared(Fake::new(0));
    fake.put("a", "x".repeat(30));
    let layer = Concurrency::new(storage, Admission::new(1));
    let open_many = async {
        let mut bodies = Vec::new();
        for _ in 0..100 {
            bodies.push(layer.read(ReadRequest::whole(key("a"))).await.unwrap().1);
        }
        for body in &mut bodies {
            assert!(body.next().await.unwrap().is_some());
        }
        layer.stat(&key("a")).await.unwrap();
    };
    tokio::time::timeout(Duration::from_secs(1), open_many).await.expect("nobody waits for a place");
}

#[tokio::test(start_paused = true)]
async fn one_slow_down_is_heard_wherever_it_comes_from() {
    let (fake, storage) = shared(Fake::new(0));
    fake.put("a", "x".repeat(30));
    let slow_down = || error(ErrorKind::RATE_LIMITED);
    let admission = Admission::new(64);
    let layer = Rate::new(storage, admission.clone());
    fake.plan("stat", [Fault::Fail(slow_down())]);
    assert!(layer.stat(&key("a")).await.is_err());
    assert_eq!(admission.limit(), 32);
    fake.plan("read", [Fault::CutAfter(10, slow_down())]);
    let (_, body) = layer.read(ReadRequest::whole(key("a"))).await.unwrap();
    assert!(body.collect(100).await.is_err());
    assert_eq!(admission.limit(), 16);
    fake.plan("delete one", [Fault::Fail(slow_down())]);
    assert!(layer.delete(vec![key("a")]).await.unwrap()[0].is_err());
    assert_eq!(admission.limit(), 8);
}

/// Opens the same fake each time, and counts.
fn counting(fake: &Arc<Fake>) -> (Arc<AtomicU32>, Opener) {
    let (opened, fake) = (Arc::new(AtomicU32::new(0)), fake.clone());
    let counter = opened.clone();
    let opener: Opener = Arc::new(move || {
        counter.fetch_add(1, Relaxed);
        let storage: Arc<dyn Storage> = fake.clone();
        Box::pin(async move { Ok(storage) })
    });
    (opened, opener)
}

#[tokio::test(start_paused = true)]
async fn a_store_that_panics_is_opened_again_once_and_then_left_alone_for_longer_and_longer() {
    let fake = Arc::new(Fake::new(0));
    fake.put("a", "x");
    let (opened, opener) = counting(&fake);
    let store = Reopen::open(opener).await.unwrap();
    let panic = || Fault::Fail(error(ErrorKind::PLUGIN_PANIC));
    fake.plan("stat", [panic(), panic()]);
    let stat = async || store.stat(&key("a")).await.map(|_| ()).map_err(|error| error.kind);

    assert_eq!(stat().await, Err(ErrorKind::PLUGIN_PANIC));
    assert_eq!(opened.load(Relaxed), 1);
    assert_eq!(stat().await, Err(ErrorKind::PLUGIN_PANIC), "opened again at once");
    assert_eq!(opened.load(Relaxed), 2);
    assert_eq!(stat().await, Err(ErrorKind::PERMANENT), "now it is left alone");
    assert_eq!(opened.load(Relaxed), 2);
    tokio::time::advance(Duration::from_secs(11)).await;
    assert_eq!(stat().await, Ok(()));
    fake.plan("stat", [panic()]);
    assert_eq!(stat().await, Err(ErrorKind::PLUGIN_PANIC));
    tokio::time::advance(Duration::from_secs(11)).await;
    assert_eq!(stat().await, Err(ErrorKind::PERMANENT), "the pause has doubled");
}

#[tokio::test(start_paused = true)]
async fn one_panic_met_by_many_calls_costs_one_store() {
    let fake = Arc::new(Fake::new(0));
    fake.put("a", "x".repeat(30));
    let (opened, opener) = counting(&fake);
    let store = Reopen::open(opener).await.unwrap();
    fake.plan("read", vec![Fault::CutAfter(10, error(ErrorKind::BROKEN_CONTRACT)); 3]);
    let mut bodies = Vec::new();
    for _ in 0..3 {
        bodies.push(store.read(ReadRequest::whole(key("a"))).await.unwrap().1);
    }
    for body in bodies {
        assert!(body.collect(100).await.is_err());
    }
    assert!(store.stat(&key("a")).await.is_ok());
    assert_eq!(opened.load(Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn ordinary_errors_do_not_cost_the_store() {
    let fake = Arc::new(Fake::new(0));
    let (opened, opener) = counting(&fake);
    let store = Reopen::open(opener).await.unwrap();
    for _ in 0..5 {
        assert_eq!(store.stat(&key("a")).await.unwrap_err().kind, ErrorKind::NOT_FOUND);
    }
    assert_eq!(opened.load(Relaxed), 1);
}
