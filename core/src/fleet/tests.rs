//! The fleet as a whole: real databases, threads and uploads; a store in memory.

use std::future::pending;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::testing::*;
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_replicated_and_follows_its_commits() {
    let bench = Bench::new();
    let a = Application::open(&bench.path("a.db"));
    Application::make(&bench.path("team/b.db"), 3);
    let fleet = bench.start(false).await;
    bench.expect_rows("a.db", 0).await;
    bench.expect_rows("team/b.db", 3).await;
    for _ in 0..20 {
        a.commit();
    }
    bench.expect_rows("a.db", 20).await;
    let report = fleet.shutdown(shutdown_request(), pending()).await;
    assert_eq!(report, ShutdownReport::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_commits_before_a_shutdown_are_replicated() {
    let bench = Bench::new();
    let a = Application::open(&bench.path("a.db"));
    let fleet = bench.start(false).await;
    bench.expect_rows("a.db", 0).await;
    for _ in 0..5 {
        a.commit();
    }
    fleet.shutdown(shutdown_request(), pending()).await;
    assert_eq!(bench.restored_rows("a.db").await, Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_the_last_run_ended() {
    let bench = Bench::new();
    let a = Application::open(&bench.path("a.db"));
    for run in 1..=3 {
        let fleet = bench.start(false).await;
        a.commit();
        bench.expect_rows("a.db", run).await;
        fleet.shutdown(shutdown_request(), pending()).await;
        a.commit();
        a.0.execute("DELETE FROM t WHERE id = (SELECT max(id) FROM t)", []).unwrap();
    }
    let ranges = bench.ranges("a.db").await;
    let raw: Vec<u64> = ranges.iter().filter(|range| range.0 == 0).map(|range| range.1).collect();
    assert_eq!(raw, (1..=raw.len() as u64).collect::<Vec<_>>(), "no hole, no second history");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_header_is_being_read_is_attached_afterwards() {
    let bench = Bench::new();
    Application::make(&bench.path("a.db"), 1);
    let fleet = bench.start(true).await;
    bench.expect_rows("a.db", 1).await;
    let made = bench.path("made");
    Application::make(&made, 3);
    let reading = fleet.shared.readers.begin(local_work::identity_of(&made).unwrap());
    std::fs::rename(&made, bench.path("b.db")).unwrap();
    until(|| "a row of b.db".into(), async || fleet.status(&bench.path("b.db")).is_some()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(bench.restored_rows("b.db").await, None);
    drop(reading);
    bench.expect_rows("b.db", 3).await;
    fleet.shutdown(shutdown_request(), pending()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h18_one_bad_database_delays_no_other() {
    let bench = Bench::new();
    Application::make(&bench.path("good.db"), 2);
    let mut bad = b"SQLite format 3\0".to_vec();
    bad.extend([16, 0, 1, 1, 0, 64, 32, 32]);
    bad.resize(4096, 0xee);
    std::fs::write(bench.path("bad.db"), bad).unwrap();
    let fleet = bench.start(false).await;
    bench.expect_rows("good.db", 2).await;
    until(
        || "a reason for bad.db".into(),
        async || fleet.status(&bench.path("bad.db")).is_some_and(|row| row.error.is_some()),
    )
    .await;
    assert_eq!(fleet.status(&bench.path("bad.db")).unwrap().status, DatabaseStatus::Failing);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_databases_than_places_are_all_replicated() {
    let bench = Bench { max_open_databases: 1, ..Bench::new() };
    let applications: Vec<Application> = (0..40).map(|n| Application::open(&bench.path(&format!("{n}.db")))).collect();
    let fleet = bench.start(false).await;
    for _ in 0..3 {
        applications.iter().for_each(Application::commit);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    for n in 0..40 {
        bench.expect_rows(&format!("{n}.db"), 3).await;
    }
    assert!(fleet.progress().attached <= workers::suitable_number() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_store_loses_nothing() {
    let bench = Bench::new();
    let a = Application::open(&bench.path("a.db"));
    let fleet = bench.start(false).await;
    bench.expect_rows("a.db", 0).await;
    bench.storage.down.store(true, SeqCst);
    for _ in 0..3 {
        a.commit();
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
    until(
        || "the failure is shown".into(),
        async || fleet.status(&bench.path("a.db")).is_some_and(|row| row.status == DatabaseStatus::Failing),
    )
    .await;
    bench.storage.down.store(false, SeqCst);
    bench.expect_rows("a.db", 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_without_a_store_ends_at_its_deadline_and_says_what_is_missing() {
    let bench = Bench::new();
    let a = Application::open(&bench.path("a.db"));
    let fleet = bench.start(false).await;
    bench.expect_rows("a.db", 0).await;
    bench.storage.down.store(true, SeqCst);
    a.commit();
    let request = ShutdownRequest { timeout: Duration::from_millis(300), interval: Duration::from_millis(50) };
    let report = fleet.shutdown(request, pending()).await;
    assert_eq!(report.unfinished.len(), 1);
    assert_eq!(report.unfinished[0].0, bench.path("a.db"));
    assert!(report.unfinished[0].1.contains("the store is down"), "{}", report.unfinished[0].1);
    bench.storage.down.store(false, SeqCst);
    let fleet = bench.start(false).await;
    bench.expect_rows("a.db", 1).await;
    fleet.shutdown(shutdown_request(), pending()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h85_a_second_signal_cuts_the_wait() {
    let bench = Bench::new();
    let a = Application::open(&bench.path("a.db"));
    let fleet = bench.start(false).await;
    bench.expect_rows("a.db", 0).await;
    bench.storage.down.store(true, SeqCst);
    a.commit();
    let request = ShutdownRequest { timeout: Duration::from_secs(3600), interval: Duration::from_millis(50) };
    let report = fleet.shutdown(request, tokio::time::sleep(Duration::from_millis(100))).await;
    assert!(report.interrupted && report.unfinished.len() == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_run_reports_each_database() {
    let bench = Bench::new();
    Application::make(&bench.path("a.db"), 1);
    Application::make(&bench.path("b.db"), 2);
    let missing = bench.entry(EntryTarget::Path(bench.path("missing.sqlite")), "missing").await;
    let parts = bench.parts(vec![bench.directory(false).await, missing], Mode::Once);
    let fleet = Fleet::start(parts).await.unwrap();
    let request = OnceRequest { force_snapshot: true, enforce_retention: true };
    let results = fleet.once(request).await;
    let good = results.iter().filter(|one| one.result.is_ok()).count();
    assert_eq!((results.len(), good), (3, 2), "{results:?}");
    let reason = results[2].result.as_ref().unwrap_err();
    assert!(reason.contains("no position, waiting for data"), "{reason}");
    assert_eq!(bench.restored_rows("b.db").await, Some(2));
    assert_eq!(bench.ranges("b.db").await, [(0, 1, 1), (9, 1, 1)]);
    fleet.shutdown(shutdown_request(), pending()).await;
    let fleet = Fleet::start(bench.parts(vec![bench.directory(false).await], Mode::Once)).await.unwrap();
    let again = fleet.once(OnceRequest::default()).await;
    assert!(again.iter().all(|one| one.result.as_ref().is_ok_and(|synced| !synced.changed)), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_of_a_watched_directory_come_and_go() {
    let bench = Bench::new();
    let fleet = bench.start(true).await;
    assert_eq!(fleet.progress().databases, 0);
    Application::make(&bench.path("x/y/new.db"), 4);
    bench.expect_rows("x/y/new.db", 4).await;
    std::fs::rename(bench.path("x/y/new.db"), bench.path("x/y/other.db")).unwrap();
    bench.expect_rows("x/y/other.db", 4).await;
    until(|| "new.db is forgotten".into(), async || fleet.status(&bench.path("x/y/new.db")).is_none()).await;
    std::fs::remove_dir_all(bench.path("x")).unwrap();
    until(|| "all are forgotten".into(), async || fleet.progress().databases == 0).await;
    Application::make(&bench.path("x/y/new.db"), 2);
    bench.expect_rows("x/y/new.db", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h52_two_databases_on_one_replica_path_are_refused_at_the_start() {
    let bench = Bench::new();
    Application::make(&bench.path("a.db"), 1);
    Application::make(&bench.path("b.db"), 1);
    let one = bench.entry(EntryTarget::Path(bench.path("a.db")), "same").await;
    let two = bench.entry(EntryTarget::Path(bench.path("b.db")), "same").await;
    let refused = Fleet::start(bench.parts(vec![one, two], Mode::Continuous)).await;
    let message = refused.err().unwrap().to_string();
    assert!(message.contains("a.db") && message.contains("b.db") && message.contains("same"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_found_by_two_entries_is_replicated_once_by_its_own_path() {
    let bench = Bench::new();
    Application::make(&bench.path("a.db"), 1);
    Application::make(&bench.path("b.db"), 1);
    let own = bench.entry(EntryTarget::Path(bench.path("a.db")), "r/own").await;
    let entries = vec![bench.directory(false).await, own];
    let fleet = Fleet::start(bench.parts(entries, Mode::Continuous)).await.unwrap();
    bench.expect_rows("own", 1).await;
    bench.expect_rows("b.db", 1).await;
    assert_eq!(fleet.progress().databases, 2);
    assert_eq!(bench.ranges("a.db").await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_sync_stop_start_and_unregister() {
    const PATIENCE: Duration = Duration::from_secs(30);
    let bench = Bench::new();
    let path = bench.path("a.db");
    let a = Application::open(&path);
    let fleet = bench.start(false).await;
    a.commit();
    let synced = fleet.sync(&path, true).await.unwrap();
    assert_eq!(synced.txid, synced.replica_txid);
    assert_eq!(bench.restored_rows("a.db").await, Some(1));
    a.commit();
    assert_eq!(fleet.stop_database(&path, PATIENCE).await, Ok(true));
    assert_eq!(fleet.stop_database(&path, PATIENCE).await, Ok(false));
    assert_eq!(fleet.status(&path).map(|row| row.attached), Some(false));
    assert_eq!(bench.restored_rows("a.db").await, Some(2));
    a.commit();
    assert_eq!(fleet.sync(&path, true).await, Err(RequestError::NotOpen(path.clone())));
    assert_eq!(fleet.start_database(&path), Ok(true));
    assert_eq!(fleet.start_database(&path), Ok(false));
    bench.expect_rows("a.db", 3).await;
    a.commit();
    assert!(matches!(fleet.unregister(&path, PATIENCE).await, Ok(Some(txid)) if txid.is_some()));
    assert_eq!(bench.restored_rows("a.db").await, Some(4));
    assert!(fleet.status(&path).is_none());
    assert_eq!(fleet.unregister(&path, PATIENCE).await, Ok(None));
    let entry = bench.entry(EntryTarget::Path(path.clone()), "r/a.db").await;
    assert_eq!(fleet.register(entry).await, Ok(true));
    a.commit();
    bench.expect_rows("a.db", 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_noticed_by_its_event_alone() {
    let mut bench = Bench::new();
    let a = Application::open(&bench.path("a.db"));
    let fleet = bench.start(false).await;
    bench.expect_rows("a.db", 0).await;
    fleet.shutdown(shutdown_request(), pending()).await;
    // From here on nothing looks on its own for hours.
    bench.scan_interval = Duration::from_secs(7200);
    let mut entry = bench.directory(false).await;
    entry.monitor_interval = Some(Duration::from_secs(7200));
    let fleet = Fleet::start(bench.parts(vec![entry], Mode::Continuous)).await.unwrap();
    until(
        || "the first look".into(),
        async || {
            let row = fleet.status(&bench.path("a.db"));
            row.is_some_and(|row| row.status == DatabaseStatus::Replicating && !row.busy)
        },
    )
    .await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    a.commit();
    bench.expect_rows("a.db", 1).await;
    fleet.shutdown(shutdown_request(), pending()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h19_h43_a_database_that_is_replaced_or_created_later_is_noticed() {
    let bench = Bench::new();
    let path = bench.path("a.sqlite");
    let entry = bench.entry(EntryTarget::Path(path.clone()), "r/a").await;
    let fleet = Fleet::start(bench.parts(vec![entry], Mode::Continuous)).await.unwrap();
    assert_eq!(fleet.status(&path).unwrap().status, DatabaseStatus::Missing);
    Application::make(&path, 2);
    bench.expect_rows("a", 2).await;
    Application::make(&bench.path("other"), 7);
    // As it must be done with SQLite: a WAL that stays would be replayed into the new file by whoever opens it.
    for name in ["a.sqlite-wal", "a.sqlite-shm"] {
        let _ = std::fs::remove_file(bench.path(name));
    }
    std::fs::rename(bench.path("other"), &path).unwrap();
    bench.expect_rows("a", 7).await;
    std::fs::remove_file(&path).unwrap();
    until(|| "its absence is shown".into(), async || fleet.status(&path).unwrap().status == DatabaseStatus::Missing)
        .await;
    Application::make(&path, 1);
    bench.expect_rows("a", 1).await;
    let report = fleet.shutdown(shutdown_request(), pending()).await;
    assert_eq!(report, ShutdownReport::default());
}
