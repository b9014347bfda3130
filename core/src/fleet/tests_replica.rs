//! What the fleet makes of replicas that are ahead, behind, empty, damaged, or somebody else's (H47 to H51).

use std::future::pending;
use std::time::Duration;

use super::scheduler::{LocalAction, LocalReport};
use super::testing::*;
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn h47_lost_local_state_continues_above_the_replica() {
    let bench = Bench::new();
    let a = Application::open(&bench.path("a.db"));
    let fleet = bench.start(false).await;
    for n in 1..=3 {
        a.commit();
        bench.expect_rows("a.db", n).await;
    }
    fleet.shutdown(shutdown_request(), pending()).await;
    let before = bench.ranges("a.db").await.last().unwrap().2;
    std::fs::remove_dir_all(bench.path(".a.db-litestream")).unwrap();
    a.commit();
    let fleet = bench.start(false).await;
    bench.expect_rows("a.db", 4).await;
    assert_eq!(bench.ranges("a.db").await.last().unwrap(), &(0, before + 1, before + 1));
    a.commit();
    bench.expect_rows("a.db", 5).await;
    fleet.shutdown(shutdown_request(), pending()).await;
}

/// The reference fails this: it numbers from 1 again.
#[tokio::test(flavor = "multi_thread")]
async fn h48_numbering_counts_all_levels_not_only_level_0() {
    let bench = Bench::new();
    let a = Application::open(&bench.path("a.db"));
    let parts = bench.parts(vec![bench.directory(false).await], Mode::Once);
    let fleet = Fleet::start(parts).await.unwrap();
    a.commit();
    fleet.once(OnceRequest::default()).await;
    a.commit();
    fleet.once(OnceRequest { force_snapshot: true, ..OnceRequest::default() }).await;
    fleet.shutdown(shutdown_request(), pending()).await;
    bench.delete("a.db", of_level(0)).await;
    assert_eq!(bench.ranges("a.db").await, [(9, 1, 2)]);
    std::fs::remove_dir_all(bench.path(".a.db-litestream")).unwrap();
    a.commit();
    let fleet = bench.start(false).await;
    bench.expect_rows("a.db", 3).await;
    assert_eq!(bench.ranges("a.db").await[0], (0, 3, 3));
    fleet.shutdown(shutdown_request(), pending()).await;
}

/// The reference fails this: it is stuck.
#[tokio::test(flavor = "multi_thread")]
async fn h49_an_emptied_replica_gets_a_base_at_once() {
    let bench = Bench::new();
    let a = Application::open(&bench.path("a.db"));
    let fleet = bench.start(false).await;
    for n in 1..=3 {
        a.commit();
        bench.expect_rows("a.db", n).await;
    }
    fleet.shutdown(shutdown_request(), pending()).await;
    bench.delete("a.db", |_| true).await;
    // The front of the local history is gone, as after retention.
    let local = crate::db::MetaDir::new(bench.path(".a.db-litestream"));
    local.remove_l0(crate::ltx::Txid(1)).unwrap();
    let last = local.list_l0().unwrap().last().unwrap().max_txid.0;
    let fleet = bench.start(false).await;
    bench.expect_rows("a.db", 3).await;
    assert_eq!(bench.ranges("a.db").await, [(0, last + 1, last + 1), (9, 1, last + 1)]);
    a.commit();
    bench.expect_rows("a.db", 4).await;
    fleet.shutdown(shutdown_request(), pending()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_replica_takes_the_whole_local_history_again() {
    let bench = Bench::new();
    let a = Application::open(&bench.path("a.db"));
    let fleet = bench.start(false).await;
    a.commit();
    bench.expect_rows("a.db", 1).await;
    fleet.shutdown(shutdown_request(), pending()).await;
    let before = bench.ranges("a.db").await;
    bench.delete("a.db", |_| true).await;
    let fleet = bench.start(false).await;
    bench.expect_rows("a.db", 1).await;
    assert_eq!(bench.ranges("a.db").await, before);
    fleet.shutdown(shutdown_request(), pending()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h50_a_hole_in_the_replica_is_healed() {
    let bench = Bench::new();
    let a = Application::open(&bench.path("a.db"));
    let fleet = bench.start(false).await;
    for n in 1..=4 {
        a.commit();
        bench.expect_rows("a.db", n).await;
    }
    fleet.shutdown(shutdown_request(), pending()).await;
    bench.delete("a.db", |file| file.max_txid.0 == 2).await;
    assert_eq!(bench.restored_rows("a.db").await, None);
    let fleet = bench.start(false).await;
    bench.expect_rows("a.db", 4).await;
    fleet.shutdown(shutdown_request(), pending()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_history_of_the_same_length_is_not_continued() {
    let bench = Bench::new();
    let other = Bench::new();
    // The same TXIDs on both sides, but not the same files: another machine replicated its own database here.
    for (bench, rows) in [(&bench, 1), (&other, 5)] {
        Application::make(&bench.path("a.db"), rows);
        let mut parts = bench.parts(vec![bench.directory(false).await], Mode::Once);
        parts.scan_interval = Duration::from_secs(60);
        let fleet = Fleet::start(parts).await.unwrap();
        fleet.once(OnceRequest::default()).await;
        fleet.shutdown(shutdown_request(), pending()).await;
    }
    let taken_over = Bench { storage: bench.storage.clone(), ..other };
    assert_eq!(taken_over.restored_rows("a.db").await, Some(1));
    let fleet = taken_over.start(false).await;
    taken_over.expect_rows("a.db", 5).await;
    let last = taken_over.ranges("a.db").await;
    assert_eq!(last, [(0, 1, 1), (0, 2, 2), (9, 1, 2)]);
    fleet.shutdown(shutdown_request(), pending()).await;
}

/// The reference lets two programs overwrite each other's files.
#[tokio::test(flavor = "multi_thread")]
async fn h51_a_second_writer_is_noticed_and_stops_the_database() {
    a_second_writer_is_noticed(&Bench::new()).await;
}

/// The reference lets two programs overwrite each other's files.
#[tokio::test(flavor = "multi_thread")]
async fn h51_a_second_writer_is_noticed_also_by_a_store_that_always_replaces() {
    let storage = Switchable { always_replaces: true, ..Switchable::default() };
    a_second_writer_is_noticed(&Bench { storage, ..Bench::new() }).await;
}

async fn a_second_writer_is_noticed(bench: &Bench) {
    let a = Application::open(&bench.path("a.db"));
    let fleet = bench.start(false).await;
    bench.expect_rows("a.db", 0).await;
    // Somebody else writes the next name.
    let client = bench.client("a.db").await;
    let next = crate::ltx::Txid(bench.ranges("a.db").await.last().unwrap().2 + 1);
    let source = crate::plugin::BytesSource(bytes::Bytes::from_static(b"not ours"));
    let name = crate::ltx::FileName::new(next, next);
    client.write_file(crate::ltx::Level::RAW, name, 1, true, &source).await.unwrap();
    a.commit();
    until(
        || "the conflict is shown".into(),
        async || fleet.status(&bench.path("a.db")).is_some_and(|row| row.status == DatabaseStatus::Conflict),
    )
    .await;
    let error = fleet.status(&bench.path("a.db")).unwrap().error.unwrap();
    assert!(error.contains("another program writes to this replica"), "{error}");
    a.commit();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(bench.ranges("a.db").await.last().unwrap().1, next.0, "nothing is written beside the other one's files");
}

/// Found by crash round 12: auto-recovery began again at 1, below what the replica held, and everything counted as uploaded.
#[tokio::test(flavor = "multi_thread")]
async fn local_state_that_was_lost_goes_on_above_everything_that_was_known() {
    let bench = Bench::new();
    let path = bench.path("a.db");
    Application::make(&path, 3);
    let entry = bench.entry(EntryTarget::Path(path.clone()), "r/a.db").await;
    let metrics = crate::metrics::global().database(&path);
    let subject = local_work::Subject { path: &path, entry: &entry, metrics: &metrics, link: false };
    let known = crate::ltx::Txid(8);
    let done = subject.run(LocalAction::Sync { db: None, stamp: 0, full_above: None, known });
    let next = known.next();
    assert!(
        matches!(done.result, Ok(LocalReport::Synced { txid, full: Some(full), .. }) if txid == next && full == next),
        "{:?}",
        done.result
    );
}
