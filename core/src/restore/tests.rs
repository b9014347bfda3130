//! Restores of the reference implementation's replicas, whole and damaged, and of replicas made by hand.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

mod properties;

use super::testing::{MemorySource, fixtures, json, ltx, ltx_of, name, sha256};
use super::*;
use crate::ltx::{LtxError, PageSize};

const CASES: [&str; 13] = [
    "autovacuum",
    "checkpoint",
    "empty",
    "legacy",
    "multitxn",
    "overflow",
    "ps4096",
    "ps512",
    "ps65536",
    "resnapshot",
    "shrink",
    "truncate",
    "upgrade",
];

/// A directory that goes away, and the database that will be in it.
#[derive(Debug)]
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place { directory: tempfile::tempdir().expect("temporary directory") }
    }

    fn database(&self) -> PathBuf {
        self.directory.path().join("deep/er/app.db")
    }

    fn output(&self) -> Output {
        Output::check(&self.database(), OutputRules::default()).expect("free").expect("not skipped")
    }

    fn entries(&self) -> Vec<String> {
        let entries = fs::read_dir(self.database().parent().expect("parent")).into_iter().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

/// Plans and restores; gives the database's place, or the error after showing that nothing was left behind.
async fn run(
    source: &MemorySource,
    target: Target,
    options: RestoreOptions,
) -> Result<(Place, Restored), RestoreError> {
    let place = Place::new();
    let Choice::Ltx(plan) = choose(source, None, target).await? else { panic!("no 0.3 source was given") };
    match restore(source, target, plan, &place.output(), options, &()).await {
        Ok(restored) => {
            assert_eq!(place.entries(), ["app.db"]);
            Ok((place, restored))
        }
        Err(error) => {
            assert_eq!(place.entries(), [""; 0], "left behind after: {error}");
            Err(error)
        }
    }
}

/// The first byte of each page of the latest state.
async fn latest_pages(source: &MemorySource) -> Result<Vec<u8>, RestoreError> {
    let (place, _) = run(source, Target::Latest, RestoreOptions::default()).await?;
    Ok(fs::read(place.database()).expect("output").chunks(512).map(|page| page[0]).collect())
}

fn target(text: &str) -> Target {
    text.parse().map_or(Target::Latest, Target::Txid)
}

#[tokio::test]
async fn every_fixture_is_planned_and_restored_as_the_reference_does() {
    let mut count = 0;
    for case in CASES {
        let source = MemorySource::fixture(case);
        for expected in json(format!("{case}/expected.json"))["restores"].as_array().expect("list") {
            let text = expected["txid"].as_str().expect("text");
            let Ok(Choice::Ltx(plan)) = choose(&source, None, target(text)).await else { panic!("no plan") };
            let files = plan.files().iter().map(|file| format!("ltx/{}/{}", file.level, file.file_name()));
            assert_eq!(serde_json::json!(files.collect::<Vec<_>>()), expected["plan"], "{case} {text}");

            for parallelism in [1, 8] {
                let options = RestoreOptions { parallelism, integrity: IntegrityCheck::Full };
                let (place, restored) = run(&source, target(text), options).await.expect("restorable");
                assert_eq!(sha256(&place.database()), expected["sha256"], "{case} {text}");
                assert_eq!(restored.txid, plan.max_txid());
            }
            count += 1;
        }
    }
    assert_eq!(count, 39);
}

/// Where we answer a damaged replica otherwise than the reference, and why.
const DIFFERENCES: [(&str, &str); 2] = [
    ("truncated-after-end-marker", "the reference panics (exit 2); this is an error like any other"),
    ("overlapping-wider-file", "the wide file's header is not its name: without it the chain is whole, and is used"),
];

#[tokio::test]
async fn damaged_replicas_are_refused_or_restored_as_the_reference_does() {
    let variants = json("corrupt/expected.json");
    let variants = variants.as_array().expect("list");
    assert_eq!(variants.len(), 66);
    let sound = variants.iter().find(|variant| variant["variant"] == "none").expect("variant")["sha256"].clone();
    for variant in variants {
        let label = variant["variant"].as_str().expect("label");
        let source = MemorySource::fixture(&format!("corrupt/{label}"));
        let options = RestoreOptions { integrity: IntegrityCheck::Full, ..RestoreOptions::default() };
        let result = run(&source, Target::Latest, options).await;
        match (label, variant["exit"].as_i64()) {
            ("overlapping-wider-file", _) => {
                let (place, _) = result.expect("restored by a way around");
                assert_eq!(sha256(&place.database()), sound, "{label}");
            }
            (_, Some(0)) => {
                let (place, _) = result.unwrap_or_else(|error| panic!("{label}: {error}"));
                assert_eq!(sha256(&place.database()), variant["sha256"], "{label}");
            }
            (_, exit) => {
                assert!(result.is_err(), "{label} was restored");
                let differs = DIFFERENCES.iter().any(|(different, _)| *different == label);
                assert_eq!(exit == Some(1), !differs, "{label}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_wrong_is_said_with_the_file_and_the_rule() {
    let says = async |label: &str, words: &[&str]| {
        let source = MemorySource::fixture(&format!("corrupt/{label}"));
        let error = run(&source, Target::Latest, RestoreOptions::default()).await.expect_err(label).to_string();
        for word in words {
            assert!(error.contains(word), "{label}: {error:?} does not say {word:?}");
        }
    };
    let second = "0000000000000002-0000000000000002.ltx of level 0";
    says(
        "truncated-empty",
        &["invalid ltx file: level=0 min=0000000000000002 max=0000000000000002 has size 0 bytes (minimum 100)"],
    )
    .await;
    says("header-magic", &[second, "invalid LTX file"]).await;
    says("page-literal-flip", &[second, "file checksum mismatch"]).await;
    says("page-size-4GiB", &[second, "exceeds the bound"]).await;
    says("header-page-size-other", &[second, "input files have mismatched page sizes: 1024 != 512"]).await;
    says("truncated-after-end-marker", &[second, "truncated"]).await;
    says("no-pages+sum", &["page 18 of 18 is in none of the files"]).await;
    says("content-of-other-file", &["0000000000000003-0000000000000003.ltx", "non-contiguous transaction ids"]).await;
    says("missing-first", &["no matching backup files available", "0000000000000002"]).await;
    let gap = "cannot calc restore plan: non-contiguous ltx files: have up to 0000000000000002 but next file starts at 0000000000000004";
    says("missing-middle", &[gap]).await;
}

#[tokio::test]
async fn times_choose_what_the_reference_chooses_but_the_newest_state_is_reachable() {
    let source = MemorySource::fixture("ps512");
    let time = |txid: u64| json("ps512/expected.json")["files"][txid as usize - 1]["timestamp"].as_i64().expect("time");
    let planned = async |time: i64| match choose(&source, None, Target::Timestamp(time)).await {
        Ok(Choice::Ltx(plan)) => {
            let files =
                plan.files().iter().map(|file| format!("{}:{}-{}", file.level, file.min_txid.0, file.max_txid.0));
            files.collect::<Vec<_>>().join(" ")
        }
        Ok(Choice::V3(_)) => panic!("no 0.3 source was given"),
        Err(error) => error.to_string(),
    };
    assert!(planned(time(1) - 1).await.starts_with("timestamp does not exist"));
    assert!(planned(time(1)).await.starts_with("no matching backup files available"));
    assert_eq!(planned(time(1) + 1).await, "2:1-1");
    assert_eq!(planned(time(3)).await, "9:1-1 0:2-2");
    assert_eq!(planned(time(3) + 1).await, "9:1-1 0:2-2 0:3-3");
    assert_eq!(planned(time(6)).await, "9:1-4 0:5-5");
    // The reference refuses this one: the newest state is out of reach of any time.
    assert_eq!(planned(time(6) + 1).await, "9:1-4 1:5-6");
    assert_eq!(planned(i64::MAX).await, "9:1-4 1:5-6");
}

#[tokio::test]
async fn a_damaged_snapshot_is_replaced_by_lower_levels_that_lead_to_the_same_transaction() {
    let expected = json("ps512/expected.json")["restores"][0]["sha256"].clone();
    let source = MemorySource::fixture("ps512");
    let size = source.bytes(9, name(1, 4)).len();
    source.damage(9, name(1, 4), size - 1);
    let (place, restored) = run(&source, Target::Latest, RestoreOptions::default()).await.expect("lower levels serve");
    assert_eq!(sha256(&place.database()), expected);
    assert_eq!(restored.txid, Txid(6));

    // And when those are damaged too, the error names a file that cannot be replaced.
    for level in [0, 1, 2] {
        let files = source.list(Level::new(level).expect("level")).await.expect("listing");
        files.iter().for_each(|file| source.damage(level, file.file_name(), 110));
    }
    let error = run(&source, Target::Latest, RestoreOptions::default()).await.expect_err("nothing is left");
    assert!(matches!(error, RestoreError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn a_damaged_last_file_is_never_answered_with_an_older_state() {
    let source = MemorySource::new();
    source.put(0, ltx(1, 1, 2, &[(1, 1), (2, 1)]));
    let last = source.put(0, ltx(2, 2, 2, &[(1, 2)]));
    source.damage(0, last, 110);
    let error = run(&source, Target::Latest, RestoreOptions::default()).await.expect_err("not transaction 1");
    assert!(matches!(error, RestoreError::Damaged { .. }), "{error}");
    let (_, restored) = run(&source, Target::Txid(Txid(1)), RestoreOptions::default()).await.expect("asked for");
    assert_eq!(restored.txid, Txid(1));
}

#[tokio::test]
async fn h56_a_file_that_vanishes_meanwhile_is_replaced_by_what_took_its_place() {
    let source = MemorySource::new();
    source.put(0, ltx(1, 1, 2, &[(1, 1), (2, 1)]));
    let second = source.put(0, ltx(2, 2, 2, &[(1, 2)]));
    source.put(0, ltx(3, 3, 2, &[(2, 3)]));
    let compacted = ltx(1, 4, 2, &[(1, 4), (2, 4)]);
    source.vanishing.lock().expect("lock").insert((0, second), vec![(1, compacted)]);
    assert_eq!(latest_pages(&source).await.expect("planned anew"), [4, 4]);
}

#[tokio::test]
async fn a_file_that_is_listed_but_never_there_is_worked_around_or_named() {
    let source = MemorySource::new();
    let first = source.put(0, ltx(1, 1, 1, &[(1, 1)]));
    source.vanishing.lock().expect("lock").insert((0, first), Vec::new());
    let error = run(&source, Target::Latest, RestoreOptions::default()).await.expect_err("nothing left");
    assert!(error.is_nothing_to_restore(), "{error}");
}

#[tokio::test]
async fn newer_pages_win_shrinking_drops_and_growing_fills() {
    let source = MemorySource::new();
    source.put(0, ltx(1, 1, 5, &[(1, 1), (2, 1), (3, 1), (4, 1), (5, 1)]));
    source.put(0, ltx(2, 2, 2, &[(2, 2)]));
    source.put(0, ltx(3, 3, 4, &[(3, 3), (4, 3)]));
    assert_eq!(latest_pages(&source).await.expect("restorable"), [1, 2, 3, 3]);
}

/// By the format a file that grows the database carries every new page; if none does, older bytes are what is left of
/// them. That is also what merging the files one by one gives.
#[tokio::test]
async fn pages_no_file_holds_are_an_error() {
    let source = MemorySource::new();
    source.put(0, ltx(1, 1, 1, &[(1, 1)]));
    source.put(0, ltx(2, 2, 3, &[(3, 2)]));
    let error = run(&source, Target::Latest, RestoreOptions::default()).await.expect_err("page 2 is nowhere");
    assert!(matches!(error, RestoreError::Incomplete { pgno: 2, commit: 3 }), "{error}");
}

#[tokio::test]
async fn files_before_one_that_holds_every_page_are_not_needed() {
    let source = MemorySource::new();
    let first = source.put(0, ltx(1, 1, 2, &[(1, 1), (2, 1)]));
    source.put(0, ltx(2, 2, 2, &[(1, 2), (2, 2)]));
    source.put(0, ltx(3, 3, 2, &[(2, 3)]));
    source.damage(0, first, 120);
    assert_eq!(latest_pages(&source).await.expect("file 2 is enough"), [2, 3]);
}

#[tokio::test]
async fn the_page_size_may_change_where_a_file_holds_every_page() {
    let large = PageSize::new(1024).expect("legal");
    let source = MemorySource::new();
    source.put(0, ltx(1, 1, 4, &[(1, 1), (2, 1), (3, 1), (4, 1)]));
    source.put(0, ltx_of(large, 2, 2, 2, &[(1, 2), (2, 2)]));
    source.put(0, ltx_of(large, 3, 3, 2, &[(2, 3)]));
    assert_eq!(latest_pages(&source).await.expect("restorable"), [2, 2, 3, 3]);
}

#[tokio::test]
async fn a_change_of_page_size_with_pages_missing_is_refused() {
    let source = MemorySource::new();
    source.put(0, ltx(1, 1, 4, &[(1, 1), (2, 1), (3, 1), (4, 1)]));
    source.put(0, ltx_of(PageSize::new(1024).expect("legal"), 2, 2, 2, &[(1, 2)]));
    let error = run(&source, Target::Latest, RestoreOptions::default()).await.expect_err("two sizes");
    assert!(matches!(error, RestoreError::Damaged { source: LtxError::PageSizeChanged { .. }, .. }), "{error}");
}

/// Bytes done, and how often it was the end.
#[derive(Default)]
struct Counted {
    total: AtomicU64,
    done: AtomicU64,
    finished: AtomicU64,
}

impl Progress for Counted {
    fn begin(&self, bytes: u64) {
        self.total.store(bytes, Ordering::Relaxed);
        self.done.store(0, Ordering::Relaxed);
    }

    fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    fn finish(&self) {
        self.finished.fetch_add(1, Ordering::Relaxed);
    }
}

/// 9 MiB of pages that do not compress and 40 small files on top, so that pieces, batches and threads all matter.
fn large_replica() -> (MemorySource, Vec<u8>) {
    let page_size = PageSize::new(4096).expect("legal");
    let pages = 2400;
    let mut random = fastrand::Rng::with_seed(7);
    let mut database = vec![0; pages * page_size.bytes()];
    random.fill(&mut database);
    let encode = |txid: u64, pgnos: &[u32], database: &[u8]| {
        let header = crate::ltx::Header::new(page_size, pages as u32, Txid(txid), Txid(txid), txid as i64);
        let mut encoder = crate::ltx::Encoder::new(Vec::new(), &header).expect("valid");
        for &pgno in pgnos {
            let start = (pgno as usize - 1) * page_size.bytes();
            encoder.encode_page(crate::ltx::Pgno(pgno), &database[start..][..page_size.bytes()]).expect("valid");
        }
        encoder.finish().expect("complete").0
    };
    let source = MemorySource::new();
    source.put(9, encode(1, &(1..=pages as u32).collect::<Vec<_>>(), &database));
    for txid in 2..=41 {
        let mut pgnos: Vec<u32> = (0..50).map(|_| random.u32(1..=pages as u32)).collect();
        pgnos.sort_unstable();
        pgnos.dedup();
        for &pgno in &pgnos {
            database[(pgno as usize - 1) * page_size.bytes()..][..8].copy_from_slice(&random.u64(..).to_be_bytes());
        }
        source.put(0, encode(txid, &pgnos, &database));
    }
    (source, database)
}

#[tokio::test]
async fn large_files_are_fetched_in_pieces_each_once_and_decoded_on_several_threads() {
    let (source, database) = large_replica();
    for parallelism in [1, 3, 16] {
        source.opened.lock().expect("lock").clear();
        let (place, progress) = (Place::new(), Counted::default());
        let Ok(Choice::Ltx(plan)) = choose(&source, None, Target::Latest).await else { panic!("no plan") };
        let options = RestoreOptions { parallelism, ..RestoreOptions::default() };
        restore(&source, Target::Latest, plan.clone(), &place.output(), options, &progress).await.expect("restorable");
        assert!(fs::read(place.database()).expect("output") == database, "another database came out");
        assert_eq!(progress.total.into_inner(), plan.bytes());
        assert_eq!(progress.done.into_inner(), plan.bytes());
        assert_eq!(progress.finished.into_inner(), 1);
        let opened = source.opened.lock().expect("lock");
        assert!(opened.iter().all(|&(.., len)| len <= 4 << 20));
        assert_eq!(opened.iter().map(|&(.., len)| len).sum::<u64>(), plan.bytes());
    }
}

#[tokio::test]
async fn damage_anywhere_in_a_large_file_is_found_by_every_thread() {
    let (source, _) = large_replica();
    let size = source.bytes(9, name(1, 1)).len();
    for at in [2000, size / 2, size - 200_000, size - 30_000, size - 2] {
        source.damage(9, name(1, 1), at);
        let error = run(&source, Target::Latest, RestoreOptions::default()).await.expect_err("damaged");
        assert!(matches!(error, RestoreError::Damaged { .. }), "{at}: {error}");
        source.damage(9, name(1, 1), at);
    }
    run(&source, Target::Latest, RestoreOptions::default()).await.expect("sound again");
}

#[tokio::test]
async fn files_of_a_source_merge_without_being_kept() {
    let (source, database) = large_replica();
    let source = std::sync::Arc::new(source);
    let mut files = source.list(Level::SNAPSHOT).await.expect("listing");
    files.extend(source.list(Level::RAW).await.expect("listing"));
    let (sources, runtime) = (source.clone(), tokio::runtime::Handle::current());
    let merging = tokio::task::spawn_blocking(move || {
        let reader = |file| crate::ltx::Decoder::new(FileReader::new(sources.clone(), file, runtime.clone(), 50_000));
        let inputs = files.into_iter().map(reader).collect::<Result<_, _>>()?;
        crate::ltx::compact(inputs, Vec::new()).map(|(bytes, ..)| bytes)
    });
    let merged = MemorySource::new();
    merged.put(1, merging.await.expect("no panic").expect("merges"));
    let (place, _) = run(&merged, Target::Latest, RestoreOptions::default()).await.expect("restorable");
    assert!(fs::read(place.database()).expect("output") == database, "another database came out");
    assert!(source.opened.lock().expect("lock").iter().all(|&(.., len)| len <= 50_000));
}

#[tokio::test]
async fn an_error_of_the_storage_is_told_from_damage() {
    let source = MemorySource::new();
    source.put(0, ltx(1, 1, 2, &[(1, 1), (2, 1)]));
    *source.failing.lock().expect("lock") = true;
    let error = run(&source, Target::Latest, RestoreOptions::default()).await.expect_err("no connection");
    assert!(matches!(&error, RestoreError::Read { source, .. } if source.kind.is_retryable()), "{error}");
}

#[tokio::test]
async fn a_cancelled_restore_leaves_nothing() {
    let (source, _) = large_replica();
    let place = Place::new();
    let Ok(Choice::Ltx(plan)) = choose(&source, None, Target::Latest).await else { panic!("no plan") };
    let output = place.output();
    let restoring = restore(&source, Target::Latest, plan, &output, RestoreOptions::default(), &());
    futures::future::select(Box::pin(restoring), Box::pin(tokio::task::yield_now())).await;
    assert_eq!(place.entries(), [""; 0]);
}

#[tokio::test]
async fn a_database_that_fails_its_check_never_appears() {
    let source = MemorySource::new();
    source.put(0, ltx(1, 1, 2, &[(1, 1), (2, 1)]));
    for integrity in [IntegrityCheck::Quick, IntegrityCheck::Full] {
        let options = RestoreOptions { integrity, ..RestoreOptions::default() };
        let error = run(&source, Target::Latest, options).await.expect_err("no database at all");
        assert!(error.to_string().starts_with("post-restore integrity check: "), "{error}");
    }
}

#[tokio::test]
async fn force_keeps_the_old_database_until_the_new_one_is_whole() {
    let place = Place::new();
    let path = place.database();
    fs::create_dir_all(path.parent().expect("parent")).expect("directory");
    for suffix in ["", "-wal", "-shm", "-journal"] {
        fs::write(format!("{}{suffix}", path.display()), "old").expect("write");
    }
    let source = MemorySource::fixture("ps512");
    let output =
        Output::check(&path, OutputRules { force: true, skip_existing: false }).expect("forced").expect("ours");
    let restore_to_output = async || {
        let Ok(Choice::Ltx(plan)) = choose(&source, None, Target::Latest).await else { panic!("no plan") };
        restore(&source, Target::Latest, plan, &output, RestoreOptions::default(), &()).await
    };
    for level in [0, 1, 2, 9] {
        let files = source.list(Level::new(level).expect("level")).await.expect("listing");
        files.iter().for_each(|file| source.damage(level, file.file_name(), 110));
    }
    restore_to_output().await.expect_err("everything is damaged");
    assert_eq!(place.entries(), ["app.db", "app.db-journal", "app.db-shm", "app.db-wal"]);
    assert_eq!(fs::read(&path).expect("read"), b"old");

    for level in [0, 1, 2, 9] {
        let files = source.list(Level::new(level).expect("level")).await.expect("listing");
        files.iter().for_each(|file| source.damage(level, file.file_name(), 110));
    }
    restore_to_output().await.expect("sound again");
    assert_eq!(place.entries(), ["app.db"]);
    assert_eq!(sha256(&path), json("ps512/expected.json")["restores"][0]["sha256"]);
}

#[tokio::test]
async fn a_database_that_appears_meanwhile_is_not_overwritten() {
    let place = Place::new();
    let source = MemorySource::fixture("ps512");
    let output = place.output();
    fs::create_dir_all(place.database().parent().expect("parent")).expect("directory");
    fs::write(place.database(), "somebody's").expect("write");
    let Ok(Choice::Ltx(plan)) = choose(&source, None, Target::Latest).await else { panic!("no plan") };
    let error =
        restore(&source, Target::Latest, plan, &output, RestoreOptions::default(), &()).await.expect_err("theirs");
    assert!(error.to_string().contains("already exists and is not empty"), "{error}");
    assert_eq!(place.entries(), ["app.db"]);
    assert_eq!(fs::read(place.database()).expect("read"), b"somebody's");
}

#[test]
fn fixtures_are_there() {
    assert!(fixtures().join("ps512/expected.json").is_file());
}
