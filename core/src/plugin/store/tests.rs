//! A store with all its layers: what callers see of a store that has trouble.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use litestream_sdk::Timestamp;
use litestream_sdk::fault::{self as faults, Effect, FaultyStorage};
use litestream_sdk::memory::MemoryStorage;

use super::*;
use crate::plugin::layers::fake::{Fake, Fault, error, key, shared};
use crate::plugin::source::BytesSource;

async fn store(fake: Fake, metrics: &Metrics) -> (Arc<Fake>, Store) {
    let (fake, storage) = shared(fake);
    let budget = ByteBudget::new(1 << 20);
    let settings = StoreSettings { budget: &budget, max_in_flight: Some(1), metrics };
    (fake, Store::around("s3", storage, settings).await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn each_operation_is_counted_once_whatever_it_took() {
    let metrics = Metrics::new();
    let (fake, store) = store(Fake::new(0), &metrics).await;
    fake.plan("write", [Fault::Fail(error(ErrorKind::TRANSIENT))]);
    let source = BytesSource("x".repeat(30).into());
    store.write(WriteRequest::new(key("a"), Timestamp(1)), &source, Urgency::Background).await.unwrap();
    let (_, body) = store.read(ReadRequest::whole(key("a")), Urgency::Background).await.unwrap();
    body.collect(100).await.unwrap();
    let denied = error(ErrorKind::PERMISSION_DENIED).with_code("AccessDenied");
    fake.plan("delete one", [Fault::Fail(denied)]);
    assert!(store.delete(vec![key("a"), key("b")], Urgency::Background).await[0].is_err());
    assert!(store.stat(&key("absent"), Urgency::Background).await.is_err());

    let mut text = Vec::new();
    metrics.render(&mut text, crate::metrics::Series::All).unwrap();
    let text = String::from_utf8(text).unwrap();
    for line in [
        "litestream_replica_operation_total{operation=\"PUT\",replica_type=\"s3\"} 1\n",
        "litestream_replica_operation_bytes{operation=\"PUT\",replica_type=\"s3\"} 30\n",
        "litestream_replica_operation_total{operation=\"GET\",replica_type=\"s3\"} 1\n",
        "litestream_replica_operation_bytes{operation=\"GET\",replica_type=\"s3\"} 30\n",
        "litestream_replica_operation_total{operation=\"LIST\",replica_type=\"s3\"} 0\n",
        "operation_errors_total{code=\"AccessDenied\",operation=\"DELETE\",replica_type=\"s3\"} 1\n",
        "operation_errors_total{code=\"NOT_FOUND\",operation=\"STAT\",replica_type=\"s3\"} 1\n",
        "operation_duration_seconds_count{operation=\"DELETE\",replica_type=\"s3\"} 1\n",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_store_cannot_take_is_not_sent() {
    let capability = Capability::new(0).with_max_key(5).with_max_object(10);
    let (fake, store) = store(Fake::new(0).with(capability), &Metrics::new()).await;
    for (name, size) in [("long-name", 1), ("a", 11)] {
        let source = BytesSource("x".repeat(size).into());
        let request = WriteRequest::new(key(name), Timestamp(1));
        let result = store.write(request, &source, Urgency::Background).await;
        assert_eq!(result.unwrap_err().kind, ErrorKind::INVALID_INPUT, "{name}");
    }
    assert_eq!(fake.calls_of("write").len(), 0);
}

/// A small random generator of our own, so that a failing seed can be run again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// A failure that passes by itself.
    fn fault(&mut self) -> faults::Fault {
        let kind = [ErrorKind::TRANSIENT, ErrorKind::TIMEOUT, ErrorKind::RATE_LIMITED][self.below(3) as usize];
        let error = StorageError::new(kind, "planted");
        let effect = match self.below(6) {
            0 => Effect::Fail(error.with_retry_after(Duration::from_secs(self.below(40)))),
            1 => Effect::Fail(error),
            2 | 3 => Effect::CutAfter(self.below(3 << 20), error),
            4 => Effect::LoseAnswer(error),
            _ => Effect::Hang,
        };
        faults::Fault::new(effect)
    }
}

type Model = BTreeMap<String, Bytes>;

async fn one_operation(store: &Store, model: &mut Model, dice: &mut Dice) {
    let name = format!("db/{}", dice.below(6));
    let known = model.get(&name).cloned();
    match dice.below(5) {
        0 | 1 => {
            let content = Bytes::from(vec![dice.below(256) as u8; dice.below(3 << 20) as usize]);
            let if_absent = dice.below(2) == 0;
            let time = Timestamp(1 + dice.below(1 << 40) as i64);
            let request = WriteRequest::new(key(&name), time).with_if_absent(if_absent);
            let written = store.write(request, &BytesSource(content.clone()), Urgency::Background).await;
            if if_absent && known.is_some() {
                assert_eq!(written.unwrap_err().kind, ErrorKind::CONFLICT);
            } else {
                assert_eq!(written.unwrap().size, content.len() as u64);
                model.insert(name, content);
            }
        }
        2 => {
            let offset = known.as_ref().map_or(0, |content| dice.below(content.len() as u64 + 1));
            let read = async {
                let request = ReadRequest::from_offset(key(&name), offset);
                let (_, body) = store.read(request, Urgency::Background).await?;
                body.collect(u64::MAX).await
            };
            match known {
                Some(content) => assert!(read.await.unwrap() == content[offset as usize..]),
                None => assert_eq!(read.await.unwrap_err().kind, ErrorKind::NOT_FOUND),
            }
        }
        3 => {
            let request = ListRequest::below(litestream_sdk::ReplicaPath::parse("db").unwrap());
            let pages = store.list(request, Urgency::Background).await.unwrap();
            let entries: Vec<Entry> = pages.try_concat().await.unwrap();
            let names = entries.iter().map(|entry| match entry {
                Entry::Object(info) => info.key.to_string(),
                Entry::Dir(dir) => dir.to_string(),
            });
            assert!(names.eq(model.keys().cloned()));
        }
        _ => {
            assert!(store.delete(vec![key(&name)], Urgency::Background).await[0].is_ok());
            model.remove(&name);
        }
    }
}

/// Whatever passes by itself is not seen by callers: no wrong byte, no lost or doubled object, no error.
#[tokio::test(start_paused = true)]
async fn callers_see_nothing_of_failures_that_pass() {
    for seed in 0..60 {
        println!("seed {seed}");
        let mut dice = Dice(seed);
        let faulty = FaultyStorage::new(Arc::new(MemoryStorage::new()));
        let budget = ByteBudget::new(8 << 20);
        let settings = StoreSettings { budget: &budget, max_in_flight: Some(4), metrics: &Metrics::new() };
        let store = Store::around("s3", Arc::new(faulty.clone()), settings).await.unwrap();
        let mut model = Model::new();
        for _ in 0..40 {
            (0..dice.below(3)).for_each(|_| faulty.plant(dice.fault()));
            one_operation(&store, &mut model, &mut dice).await;
            faulty.heal();
        }
        drop(model);
        assert_eq!(budget.available(), 8 << 20);
    }
}
