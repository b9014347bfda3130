//! Compaction, snapshots and retention on a running fleet, with intervals of seconds.

use std::future::pending;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::testing::*;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn quick_levels() -> LevelPlan {
    LevelPlan {
        compaction_intervals: vec![SECOND, 2 * SECOND],
        snapshot_interval: 4 * SECOND,
        snapshot_retention: SECOND,
        l0_retention: SECOND,
        l0_retention_check_interval: SECOND,
        validation_interval: None,
        enabled: true,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn levels_grow_old_files_go_and_every_state_on_the_way_can_be_restored() {
    let bench = Bench { plan: quick_levels(), ..Bench::new() };
    let a = Application::open(&bench.path("a.db"));
    let fleet = bench.start(false).await;
    let mut rows = 0;
    for _ in 0..40 {
        a.commit();
        rows += 1;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let restored = bench.restored_rows("a.db").await;
        assert!(rows < 10 || restored.is_some_and(|seen| seen >= rows - 8), "{restored:?} of {rows} rows");
    }
    bench.expect_rows("a.db", rows).await;
    until(
        || "levels 1, 2 and 9".into(),
        async || {
            let ranges = bench.ranges("a.db").await;
            [1, 2, 9].iter().all(|level| ranges.iter().any(|range| range.0 == *level))
        },
    )
    .await;
    until(
        || "one file of level 0, one snapshot".into(),
        async || {
            let ranges = bench.ranges("a.db").await;
            let count = |level| ranges.iter().filter(|range| range.0 == level).count();
            count(0) == 1 && count(9) == 1
        },
    )
    .await;
    assert_eq!(bench.restored_rows("a.db").await, Some(rows));
    let local = crate::db::MetaDir::new(bench.path(".a.db-litestream")).list_l0().unwrap();
    assert_eq!(local.len(), 1, "local files go with the remote ones, never the last");
    fleet.shutdown(shutdown_request(), pending()).await;
}

/// One file alone goes up as it is: a snapshot of a database that was uploaded whole, a level with one file for the next.
#[tokio::test(flavor = "multi_thread")]
async fn what_goes_up_unchanged_is_copied_by_the_store_and_else_written() {
    for refuse in [false, true] {
        let plan = LevelPlan { l0_retention: Duration::ZERO, snapshot_interval: 3600 * SECOND, ..quick_levels() };
        let bench = Bench { plan, ..Bench::new() };
        bench.storage.refuse_copies.store(refuse, SeqCst);
        let a = Application::open(&bench.path("a.db"));
        let fleet = bench.start(false).await;
        let there = async |level: u8, min: u64, max: u64| {
            let what = || format!("{min} to {max} at level {level}, copies refused: {refuse}");
            until(what, async || bench.ranges("a.db").await.contains(&(level, min, max))).await;
        };
        let copies = || bench.storage.copies.load(SeqCst);
        there(9, 1, 1).await;
        assert_eq!(copies() > 0, !refuse, "the first file is the snapshot");
        for txid in [2, 3] {
            a.commit();
            there(0, txid, txid).await;
        }
        there(1, 2, 3).await;
        let before = copies();
        there(2, 2, 3).await;
        assert_eq!(copies() > before, !refuse, "the file of level 1 is that of level 2");
        bench.expect_rows("a.db", 2).await;
        fleet.shutdown(shutdown_request(), pending()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_database_causes_no_request() {
    let bench = Bench { plan: quick_levels(), ..Bench::new() };
    let a = Application::open(&bench.path("a.db"));
    let fleet = bench.start(true).await;
    for n in 1..=3 {
        a.commit();
        bench.expect_rows("a.db", n).await;
    }
    // Quiet for longer than every interval.
    let mut last = (0, clock_ms());
    until(
        || "no request for six seconds".into(),
        async || {
            let requests = bench.storage.requests.load(SeqCst);
            if requests != last.0 {
                last = (requests, clock_ms());
            }
            clock_ms() - last.1 > 6000
        },
    )
    .await;
    assert_eq!(bench.restored_rows("a.db").await, Some(3));
    fleet.shutdown(shutdown_request(), pending()).await;
}

fn clock_ms() -> i64 {
    crate::clock::unix_millis()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_in_level_0_is_bridged_by_a_snapshot() {
    let bench = Bench { plan: quick_levels(), ..Bench::new() };
    let a = Application::open(&bench.path("a.db"));
    let fleet = bench.start(false).await;
    for n in 1..=4 {
        a.commit();
        bench.expect_rows("a.db", n).await;
    }
    fleet.shutdown(shutdown_request(), pending()).await;
    bench.delete("a.db", |_| true).await;
    let fleet = bench.start(false).await;
    for n in 5..=12 {
        a.commit();
        bench.expect_rows("a.db", n).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    until(|| "a level above the hole".into(), async || bench.ranges("a.db").await.iter().any(|range| range.0 == 1))
        .await;
    bench.expect_rows("a.db", 12).await;
    let failing = fleet.snapshot().iter().any(|row| row.error.is_some());
    assert!(!failing, "{:?}", fleet.snapshot());
    fleet.shutdown(shutdown_request(), pending()).await;
}
