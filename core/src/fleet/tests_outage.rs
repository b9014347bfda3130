//! Stores that are dead or slow, while something is asked of the fleet.

use std::future::pending;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::testing::*;
use super::*;
use crate::ltx::Txid;

const SECOND: Duration = Duration::from_secs(1);
const SHORT: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread")]
async fn a_database_stopped_while_the_store_is_dead_rests_and_says_what_is_missing() {
    let bench = Bench::new();
    let path = bench.path("a.db");
    let a = Application::open(&path);
    let fleet = bench.start(false).await;
    bench.expect_rows("a.db", 0).await;
    bench.storage.down.store(true, SeqCst);
    a.commit();
    let error = fleet.stop_database(&path, SHORT).await.unwrap_err().to_string();
    assert!(error.starts_with("the database is stopped, but its last sync failed: "), "{error}");
    let row = fleet.status(&path).unwrap();
    assert_eq!((row.status, row.attached), (DatabaseStatus::Stopped, false));
    assert_eq!(fleet.stop_database(&path, SHORT).await, Ok(false), "it rests already");
    bench.storage.down.store(false, SeqCst);
    a.commit();
    assert_eq!(fleet.start_database(&path), Ok(true));
    bench.expect_rows("a.db", 2).await;
    fleet.shutdown(shutdown_request(), pending()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_unregistered_while_the_store_is_dead_leaves_and_says_what_is_missing() {
    let bench = Bench::new();
    let path = bench.path("a.db");
    let a = Application::open(&path);
    let fleet = bench.start(false).await;
    bench.expect_rows("a.db", 0).await;
    bench.storage.down.store(true, SeqCst);
    a.commit();
    let error = fleet.unregister(&path, SHORT).await.unwrap_err().to_string();
    assert!(error.starts_with("last sync: "), "{error}");
    until(|| "the row is gone".into(), async || fleet.status(&path).is_none()).await;
    bench.storage.down.store(false, SeqCst);
    let entry = bench.entry(EntryTarget::Path(path.clone()), "r/a.db").await;
    assert_eq!(fleet.register(entry).await, Ok(true));
    bench.expect_rows("a.db", 1).await;
    let raw: Vec<u64> = bench.ranges("a.db").await.iter().filter(|range| range.0 == 0).map(|range| range.1).collect();
    assert_eq!(raw, (1..=raw.len() as u64).collect::<Vec<_>>(), "no hole, no second history");
    fleet.shutdown(shutdown_request(), pending()).await;
}

fn snapshots_only() -> LevelPlan {
    LevelPlan {
        compaction_intervals: Vec::new(),
        snapshot_interval: SECOND,
        snapshot_retention: Duration::from_secs(3600),
        l0_retention: Duration::ZERO,
        l0_retention_check_interval: SECOND,
        validation_interval: None,
        enabled: true,
    }
}

/// The reference skips checkpoints meanwhile, or holds the snapshot up; here a snapshot does not touch the database.
#[tokio::test(flavor = "multi_thread")]
async fn h35_h36_slow_replica_during_snapshot() {
    let bench = Bench { plan: snapshots_only(), ..Bench::new() };
    let a = Application::open(&bench.path("a.db"));
    bench.storage.hold_snapshots.store(true, SeqCst);
    let fleet = bench.start(false).await;
    bench.expect_rows("a.db", 0).await;
    until(|| "a snapshot is under way".into(), async || bench.storage.held.load(SeqCst) > 0).await;
    for n in 1..=5 {
        a.commit();
        bench.expect_rows("a.db", n).await;
        // The application's own checkpoint is not held up, and folds everything that we have copied.
        let left = || -> i64 {
            let columns =
                |row: &rusqlite::Row<'_>| Ok(row.get::<_, i64>(0)? + row.get::<_, i64>(1)? - row.get::<_, i64>(2)?);
            a.0.query_row("PRAGMA wal_checkpoint(RESTART)", [], columns).unwrap()
        };
        until(|| "a checkpoint".into(), async || left() == 0).await;
    }
    bench.storage.hold_snapshots.store(false, SeqCst);
    a.commit();
    until(
        || "two snapshots".into(),
        async || bench.files("a.db").await.iter().filter(|file| of_level(9)(file)).count() > 1,
    )
    .await;
    fleet.shutdown(shutdown_request(), pending()).await;
    let snapshots: Vec<Txid> =
        bench.files("a.db").await.iter().filter(|file| of_level(9)(file)).map(|file| file.max_txid).collect();
    let mut images = Vec::new();
    for txid in &snapshots {
        images.push(bench.image("a.db", *txid).await);
    }
    bench.delete("a.db", of_level(9)).await;
    for (txid, image) in snapshots.iter().zip(images) {
        assert!(bench.image("a.db", *txid).await == image, "the snapshot {txid} is not the state of its transaction");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h36_a_shutdown_does_not_wait_for_a_snapshot() {
    let bench = Bench { plan: snapshots_only(), ..Bench::new() };
    let a = Application::open(&bench.path("a.db"));
    bench.storage.hold_snapshots.store(true, SeqCst);
    let fleet = bench.start(false).await;
    until(|| "a snapshot is under way".into(), async || bench.storage.held.load(SeqCst) > 0).await;
    a.commit();
    let report = fleet.shutdown(shutdown_request(), pending()).await;
    assert_eq!(report, ShutdownReport::default());
    assert_eq!(bench.restored_rows("a.db").await, Some(1));
    bench.storage.hold_snapshots.store(false, SeqCst);
}

/// However much has gathered, one merge takes a bounded number of files.
#[tokio::test(flavor = "multi_thread")]
async fn h60_compaction_after_long_outage() {
    let mut bench = Bench::new();
    let a = Application::open(&bench.path("a.db"));
    let fleet = bench.start(false).await;
    for n in 1..=150 {
        a.commit();
        fleet.sync(&bench.path("a.db"), true).await.unwrap();
        assert!(n < 150 || bench.restored_rows("a.db").await == Some(n));
    }
    fleet.shutdown(shutdown_request(), pending()).await;
    bench.plan = LevelPlan {
        compaction_intervals: vec![SECOND],
        snapshot_interval: Duration::from_secs(3600),
        ..snapshots_only()
    };
    let fleet = bench.start(false).await;
    a.commit();
    let reached = async || bench.ranges("a.db").await.iter().filter(|range| range.0 == 1).map(|range| range.2).max();
    let newest = async || bench.ranges("a.db").await.iter().filter(|range| range.0 == 0).map(|range| range.2).max();
    until(|| "level 1 has caught up".into(), async || reached().await.is_some() && reached().await == newest().await)
        .await;
    let merged: Vec<u64> =
        bench.ranges("a.db").await.iter().filter(|range| range.0 == 1).map(|range| range.2 - range.1 + 1).collect();
    assert!(merged.iter().all(|files| *files <= 64), "{merged:?}");
    bench.expect_rows("a.db", 151).await;
    fleet.shutdown(shutdown_request(), pending()).await;
}
