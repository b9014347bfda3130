//! The rules of repeating, against a store with planned faults and a clock that jumps.

use bytes::Bytes;
use futures::TryStreamExt;
use litestream_sdk::{Body, Capability, Entry, ListRequest, ReadRequest, ReplicaPath, Timestamp, WriteRequest};

use super::super::fake::{Fake, Fault, error, key, shared};
use super::*;
use crate::plugin::source::{BytesSource, WriteSource};

const READ_VERSION: u64 = Capability::READ_VERSION;
const IF_ABSENT: u64 = Capability::IF_ABSENT;

fn retry(fake: Fake) -> (Arc<Fake>, Retry) {
    let (fake, storage) = shared(fake);
    (fake, Retry::new(storage))
}

fn transient() -> Fault {
    Fault::Fail(error(ErrorKind::TRANSIENT))
}

fn times(count: usize, fault: Fault) -> Vec<Fault> {
    vec![fault; count]
}

fn letters(count: usize) -> Bytes {
    (0..count).map(|i| b'a' + (i % 26) as u8).collect()
}

#[tokio::test(start_paused = true)]
async fn passing_errors_are_tried_again_and_others_are_not() {
    for (kind, calls) in [
        (ErrorKind::TRANSIENT, 3),
        (ErrorKind::TIMEOUT, 3),
        (ErrorKind::RATE_LIMITED, 3),
        (ErrorKind::CORRUPT, 2),
        (ErrorKind::NOT_FOUND, 1),
        (ErrorKind::PERMISSION_DENIED, 1),
        (ErrorKind::STORAGE_FULL, 1),
        (ErrorKind::PLUGIN_PANIC, 1),
        (ErrorKind(77), 1),
    ] {
        let (fake, retry) = retry(Fake::new(0));
        fake.put("a", "x");
        fake.plan("stat", times(2, Fault::Fail(error(kind))));
        let result = retry.stat(&key("a"), Urgency::Background).await;
        assert_eq!(fake.calls_of("stat").len(), calls, "{kind}");
        assert_eq!(result.is_ok(), calls == 3, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn damage_is_read_again_once() {
    let (fake, retry) = retry(Fake::new(0));
    fake.put("a", "x");
    fake.plan("stat", [Fault::Fail(error(ErrorKind::CORRUPT))]);
    assert!(retry.stat(&key("a"), Urgency::Background).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn tries_end_sooner_when_somebody_waits() {
    for (urgency, calls) in [(Urgency::Background, 6), (Urgency::Interactive, 3)] {
        let (fake, retry) = retry(Fake::new(0));
        fake.plan("stat", times(50, transient()));
        let start = Instant::now();
        assert!(retry.stat(&key("a"), urgency).await.is_err());
        assert_eq!(fake.calls_of("stat").len(), calls);
        let bound: Duration = (0..calls as u32 - 1).map(|n| BASE_PAUSE * 2_u32.pow(n)).sum();
        assert!(start.elapsed() <= bound, "{:?} of at most {bound:?}", start.elapsed());
    }
}

#[test]
fn pauses_are_random_between_nothing_and_a_bound_that_doubles() {
    let pauses = |tries: u32| -> Vec<Duration> {
        let pause = || {
            let mut attempts = Attempts { max_tries: u32::MAX, ..Attempts::new(Urgency::Background) };
            attempts.tries = tries;
            attempts.next_pause(&error(ErrorKind::TRANSIENT)).unwrap()
        };
        (0..200).map(|_| pause()).collect()
    };
    for (tries, bound) in [(0, 250), (1, 500), (4, 4_000), (20, 30_000)] {
        let (pauses, bound) = (pauses(tries), Duration::from_millis(bound));
        assert!(pauses.iter().all(|pause| *pause <= bound), "{pauses:?}");
        // A thousand databases that fail together do not come back together.
        let (early, late) = (pauses.iter().any(|p| *p < bound / 4), pauses.iter().any(|p| *p > bound * 3 / 4));
        assert!(early && late, "{pauses:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_store_says_how_long_to_wait() {
    let (fake, retry) = retry(Fake::new(0));
    fake.put("a", "x");
    let wait = |seconds| Fault::Fail(error(ErrorKind::RATE_LIMITED).with_retry_after(Duration::from_secs(seconds)));
    fake.plan("stat", [wait(70)]);
    let start = Instant::now();
    retry.stat(&key("a"), Urgency::Background).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 70);

    fake.plan("stat", [wait(70)]);
    let start = Instant::now();
    assert!(retry.stat(&key("a"), Urgency::Interactive).await.is_err(), "nobody waits 70 s at a terminal");
    assert!(start.elapsed().is_zero());
}

#[tokio::test(start_paused = true)]
async fn an_outage_costs_the_pool_a_limited_number_of_retries() {
    let (fake, retry) = retry(Fake::new(0));
    fake.plan("stat", times(1000, transient()));
    for _ in 0..100 {
        assert!(retry.stat(&key("a"), Urgency::Background).await.is_err());
    }
    assert_eq!(fake.calls_of("stat").len(), 100 + POOL_TOKENS as usize);
    // One success, one retry.
    retry.tokens.give();
    assert!(retry.stat(&key("a"), Urgency::Background).await.is_err());
    assert_eq!(fake.calls_of("stat").len(), 100 + POOL_TOKENS as usize + 2);
}

#[tokio::test(start_paused = true)]
async fn each_try_of_a_write_gets_the_whole_body() {
    let (fake, retry) = retry(Fake::new(0));
    fake.plan("write", [transient(), Fault::LoseAnswer(error(ErrorKind::TIMEOUT))]);
    let source = BytesSource(letters(35));
    let request = WriteRequest::new(key("a"), Timestamp(9));
    let info = retry.write(request, &source, Urgency::Background).await.unwrap();
    assert_eq!((info.size, fake.calls_of("write").len()), (35, 3));
    assert_eq!(fake.objects.lock().unwrap()[&key("a")].0, source.0);
}

struct BrokenSource;

impl WriteSource for BrokenSource {
    fn size(&self) -> Option<u64> {
        None
    }

    fn open(&self) -> Result<Body> {
        Ok(Body::new(futures::stream::iter([Ok(Bytes::from_static(b"half")), Err(error(ErrorKind::PERMANENT))])))
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_source_ends_the_write_and_leaves_nothing() {
    let (fake, retry) = retry(Fake::new(0));
    let result = retry.write(WriteRequest::new(key("a"), Timestamp(9)), &BrokenSource, Urgency::Background).await;
    assert_eq!(result.unwrap_err().kind, ErrorKind::PERMANENT);
    assert!(fake.objects.lock().unwrap().is_empty());
}

async fn conditional(retry: &Retry, content: &Bytes) -> Result<ObjectInfo> {
    let request = WriteRequest::new(key("a"), Timestamp(9)).with_if_absent(true);
    retry.write(request, &BytesSource(content.clone()), Urgency::Background).await
}

#[tokio::test(start_paused = true)]
async fn a_conditional_write_whose_answer_was_lost_is_recognised() {
    for keeps_time in [true, false] {
        let (fake, retry) = retry(Fake::new(IF_ABSENT).keeping_time(keeps_time));
        fake.plan("write", [Fault::LoseAnswer(error(ErrorKind::TIMEOUT))]);
        assert_eq!(conditional(&retry, &letters(35)).await.unwrap().size, 35);
        let compared = fake.calls_of("read").len();
        assert_eq!(compared, usize::from(!keeps_time), "the bytes are compared only where the time does not tell");
    }
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_object_stays_a_conflict() {
    for keeps_time in [true, false] {
        let (fake, retry) = retry(Fake::new(IF_ABSENT).keeping_time(keeps_time));
        fake.put("a", "x".repeat(35));
        fake.plan("write", [transient()]);
        assert_eq!(conditional(&retry, &letters(35)).await.unwrap_err().kind, ErrorKind::CONFLICT);
        assert_eq!(conditional(&retry, &letters(35)).await.unwrap_err().kind, ErrorKind::CONFLICT);
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_keys_that_failed_are_deleted_again() {
    let (fake, retry) = retry(Fake::new(0).with(Capability::new(0).with_delete_batch(3)));
    for name in ["a", "b", "c", "d"] {
        fake.put(name, "x");
    }
    let denied = Fault::Fail(error(ErrorKind::PERMISSION_DENIED));
    let fine = Fault::HangAfter(0);
    fake.plan("delete one", [transient(), denied, fine]);
    let keys = ["a", "b", "c", "d"].map(key).to_vec();
    let results = retry.delete(keys, Urgency::Background).await;
    assert_eq!(fake.calls_of("delete"), ["delete a b c", "delete a", "delete d"]);
    let kinds: Vec<_> = results.into_iter().map(|result| result.map_err(|error| error.kind)).collect();
    assert_eq!(kinds, [Ok(()), Err(ErrorKind::PERMISSION_DENIED), Ok(()), Ok(())]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_fails_for_good_names_each_of_its_keys() {
    let (fake, retry) = retry(Fake::new(0));
    fake.plan("delete", times(10, transient()));
    let results = retry.delete(vec![key("a"), key("b")], Urgency::Interactive).await;
    assert_eq!(fake.calls_of("delete").len(), 3);
    assert!(results.len() == 2 && results.iter().all(Result::is_err));
}

async fn read_all(retry: &Retry) -> Result<Bytes> {
    let (_, body) = retry.read(ReadRequest::whole(key("a")), Urgency::Background).await?;
    body.collect(1 << 20).await
}

fn broken_after(bytes: usize) -> Fault {
    Fault::CutAfter(bytes, error(ErrorKind::TRANSIENT))
}

#[tokio::test(start_paused = true)]
async fn h53_a_read_goes_on_at_the_last_byte_of_the_same_version() {
    let (fake, retry) = retry(Fake::new(READ_VERSION));
    fake.put("a", letters(100));
    fake.plan("read", [broken_after(35), transient(), broken_after(20)]);
    assert_eq!(read_all(&retry).await.unwrap(), letters(100));
    assert_eq!(fake.calls_of("read"), ["read a 0 -", "read a 35 0", "read a 35 0", "read a 55 0"]);
}

#[tokio::test(start_paused = true)]
async fn without_versions_a_read_begins_again_and_what_was_given_must_be_the_same() {
    let (fake, retry) = retry(Fake::new(0));
    fake.put("a", letters(100));
    fake.plan("read", [broken_after(35), broken_after(20)]);
    assert_eq!(read_all(&retry).await.unwrap(), letters(100));
    assert_eq!(fake.calls_of("read"), ["read a 0 -"; 3]);

    for other in [letters(20), "x".repeat(100).into()] {
        let (_, body) = {
            fake.put("a", letters(100));
            fake.plan("read", [broken_after(35)]);
            retry.read(ReadRequest::whole(key("a")), Urgency::Background).await.unwrap()
        };
        fake.put("a", other);
        assert_eq!(body.collect(1000).await.unwrap_err().kind, ErrorKind::CONFLICT);
    }
}

#[tokio::test(start_paused = true)]
async fn a_replaced_object_is_a_conflict_not_a_mix() {
    let (fake, retry) = retry(Fake::new(READ_VERSION));
    fake.put("a", letters(100));
    fake.plan("read", [broken_after(35)]);
    let (_, body) = retry.read(ReadRequest::whole(key("a")), Urgency::Background).await.unwrap();
    fake.put("a", letters(100));
    assert_eq!(body.collect(1000).await.unwrap_err().kind, ErrorKind::CONFLICT);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_gets_nowhere_ends_after_three_more_tries() {
    let (fake, retry) = retry(Fake::new(READ_VERSION));
    fake.put("a", letters(100));
    fake.plan("read", times(50, broken_after(0)));
    assert!(read_all(&retry).await.is_err());
    assert_eq!(fake.calls_of("read").len(), 1 + MAX_RESUMES as usize);
}

#[tokio::test(start_paused = true)]
async fn a_range_is_resumed_within_its_bounds() {
    let (fake, retry) = retry(Fake::new(READ_VERSION));
    fake.put("a", letters(100));
    fake.plan("read", [broken_after(15), broken_after(0)]);
    let (_, body) = retry.read(ReadRequest::range(key("a"), 10, 50), Urgency::Background).await.unwrap();
    assert_eq!(body.collect(1000).await.unwrap(), letters(100).slice(10..60));
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_breaks_gives_everything_once() {
    let (fake, retry) = retry(Fake::new(0));
    for name in ["a", "b", "c", "d", "e"] {
        fake.put(name, "x");
    }
    let broken = |entries| Fault::CutAfter(entries, error(ErrorKind::TRANSIENT));
    fake.plan("list", [broken(2), broken(1), transient(), broken(4)]);
    let pages = retry.list(ListRequest::below(ReplicaPath::default()), Urgency::Background).await.unwrap();
    let entries: Vec<Entry> = pages.try_concat().await.unwrap();
    let names: Vec<String> = entries
        .into_iter()
        .map(|entry| match entry {
            Entry::Object(info) => info.key.to_string(),
            Entry::Dir(path) => path.to_string(),
        })
        .collect();
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
}
