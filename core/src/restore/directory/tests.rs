//! Many databases in memory, restored into one directory.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use litestream_sdk::{Body, StorageError};

use super::*;
use crate::clock::UnixMillis;
use crate::ltx::{Level, LtxInfo};
use crate::restore::testing::{MemorySource, name, sha256};

const TREE: &str = "multitxn";

#[derive(Default)]
struct Counted(AtomicUsize);

impl DirectoryProgress for Counted {
    fn advance(&self, _bytes: u64) {}
    fn ended(&self, _outcome: &Outcome) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A source that lets only so many opens through and then waits for ever, as a machine that is about to be killed.
struct Stuck(MemorySource, Arc<Mutex<usize>>);

#[async_trait]
impl Source for Stuck {
    async fn list(&self, level: Level) -> Result<Vec<LtxInfo>, StorageError> {
        self.0.list(level).await
    }
    async fn open(&self, file: &LtxInfo, offset: u64, len: Option<u64>) -> Result<Body, StorageError> {
        let left = self.1.lock().unwrap().checked_sub(1);
        match left {
            Some(left) => *self.1.lock().unwrap() = left,
            None => std::future::pending().await,
        }
        self.0.open(file, offset, len).await
    }
    async fn exact_time(&self, file: &LtxInfo) -> Result<UnixMillis, StorageError> {
        self.0.exact_time(file).await
    }
}

fn member(name: &str) -> Member {
    Member { database: name.into(), source: Arc::new(MemorySource::fixture(TREE)), old: None }
}

fn options(output: &Path) -> DirectoryOptions {
    DirectoryOptions {
        output: output.to_owned(),
        source: "memory".to_owned(),
        target: Target::Latest,
        rules: OutputRules::default(),
        integrity: IntegrityCheck::None,
        parallelism: 4,
    }
}

async fn run(members: Vec<Member>, options: DirectoryOptions) -> Result<DirectoryReport, DirectoryError> {
    let budget = ByteBudget::new(64 << 20);
    restore_directory(members, options, &budget, Arc::new(Counted::default()), std::future::pending()).await
}

fn files_in(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn restored(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Restored { .. })
}

#[tokio::test]
async fn every_database_is_restored_and_nothing_else_is_left() {
    let place = tempfile::tempdir().unwrap();
    let output = place.path().join("deep/er");
    let members = ["a.db", "b.db", "team/a.db"].map(member).to_vec();
    let report = run(members, options(&output)).await.unwrap();
    assert!(report.halted.is_none() && report.outcomes.iter().all(restored), "{report:?}");
    assert_eq!(files_in(&output), ["a.db", "b.db", "team"]);
    assert_eq!(files_in(&output.join("team")), ["a.db"]);
    assert_eq!(sha256(&output.join("team/a.db")), sha256(&output.join("a.db")));
}

#[tokio::test]
async fn one_failure_stops_nobody_and_is_all_that_the_next_run_does() {
    let place = tempfile::tempdir().unwrap();
    let damaged = MemorySource::new();
    damaged.put_named(0, name(1, 1), vec![0; 200].into());
    let mut members = ["a.db", "b.db", "c.db"].map(member).to_vec();
    members[1].source = Arc::new(damaged);
    let report = run(members, options(place.path())).await.unwrap();
    assert!(matches!(report.outcomes[..], [Outcome::Restored { .. }, Outcome::Failed(_), Outcome::Restored { .. }]));
    assert_eq!(files_in(place.path()), [".litestream-restore", "a.db", "c.db"]);
    let report = run(["a.db", "b.db", "c.db"].map(member).to_vec(), options(place.path())).await.unwrap();
    assert!(matches!(report.outcomes[..], [Outcome::AlreadyThere, Outcome::Restored { .. }, Outcome::AlreadyThere]));
    assert_eq!(files_in(place.path()), ["a.db", "b.db", "c.db"]);
}

#[tokio::test]
async fn an_interrupted_run_leaves_whole_databases_and_the_next_goes_on() {
    let place = tempfile::tempdir().unwrap();
    let names = ["a.db", "b.db", "c.db", "d.db", "e.db", "f.db"];
    // Enough for some databases and not for all.
    let opens = Arc::new(Mutex::new(2 * MemorySource::fixture(TREE).list(Level::RAW).await.unwrap().len() + 1));
    let stuck = |name: &str| {
        let source = Arc::new(Stuck(MemorySource::fixture(TREE), Arc::clone(&opens)));
        Member { database: name.into(), source, old: None }
    };
    let progress = Arc::new(Counted::default());
    let ended = Arc::clone(&progress);
    let stop = async move {
        while ended.0.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
    };
    let one_by_one = DirectoryOptions { parallelism: 1, ..options(place.path()) };
    let budget = ByteBudget::new(64 << 20);
    let report = restore_directory(names.map(stuck).to_vec(), one_by_one, &budget, progress, stop).await.unwrap();
    assert!(report.outcomes.iter().any(restored) && report.outcomes.iter().any(|one| matches!(one, Outcome::Left)));
    for name in files_in(place.path()).iter().filter(|name| names.contains(&name.as_str())) {
        assert_eq!(sha256(&place.path().join(name)), whole().await, "{name} is not whole");
    }
    let report = run(names.map(member).to_vec(), options(place.path())).await.unwrap();
    assert!(matches!(report.outcomes[0], Outcome::AlreadyThere), "{report:?}");
    assert_eq!(files_in(place.path()), names);
}

async fn whole() -> String {
    let place = tempfile::tempdir().unwrap();
    run(vec![member("x.db")], options(place.path())).await.unwrap();
    sha256(&place.path().join("x.db"))
}

#[tokio::test]
async fn what_a_kill_left_after_the_rename_counts_as_done() {
    let place = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(place.path(), "memory", "the latest state").unwrap();
    journal.begin(Path::new("a.db")).unwrap();
    journal.begin(Path::new("b.db")).unwrap();
    drop(journal);
    fs::write(place.path().join("a.db"), "appeared whole").unwrap();
    fs::write(place.path().join("b.db.tmp"), "half").unwrap();
    let report = run(["a.db", "b.db"].map(member).to_vec(), options(place.path())).await.unwrap();
    assert!(matches!(report.outcomes[..], [Outcome::AlreadyThere, Outcome::Restored { .. }]), "{report:?}");
    assert_eq!(files_in(place.path()), ["a.db", "b.db"]);
}

#[tokio::test]
async fn what_was_there_before_is_replaced_only_by_force() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("a.db"), "mine").unwrap();
    let report = run(vec![member("a.db")], options(place.path())).await.unwrap();
    let [Outcome::Failed(error)] = &report.outcomes[..] else { panic!("{report:?}") };
    assert!(error.to_string().contains("already exists and is not empty"), "{error}");
    assert_eq!(fs::read(place.path().join("a.db")).unwrap(), b"mine");
    let skip = OutputRules { skip_existing: true, ..OutputRules::default() };
    let report = run(vec![member("a.db")], DirectoryOptions { rules: skip, ..options(place.path()) }).await.unwrap();
    assert!(matches!(report.outcomes[..], [Outcome::AlreadyThere]));
    let force = OutputRules { force: true, ..OutputRules::default() };
    let report = run(vec![member("a.db")], DirectoryOptions { rules: force, ..options(place.path()) }).await.unwrap();
    assert!(matches!(report.outcomes[..], [Outcome::Restored { .. }]));
    assert_ne!(fs::read(place.path().join("a.db")).unwrap(), b"mine");
}

#[tokio::test]
async fn a_database_that_did_not_exist_at_the_wanted_time_is_no_failure() {
    let place = tempfile::tempdir().unwrap();
    let early = DirectoryOptions { target: Target::Timestamp(1), ..options(place.path()) };
    let report = run(vec![member("a.db")], early).await.unwrap();
    assert!(matches!(report.outcomes[..], [Outcome::NotYetThere]), "{report:?}");
    assert!(files_in(place.path()).is_empty());
}

#[tokio::test]
async fn a_database_named_like_the_temporary_file_of_another_is_safe() {
    let place = tempfile::tempdir().unwrap();
    let report = run(["a.db", "a.db.tmp"].map(member).to_vec(), options(place.path())).await.unwrap();
    assert!(matches!(report.outcomes[..], [Outcome::Failed(Failure::Names(_)), Outcome::Restored { .. }]));
    assert!(place.path().join("a.db.tmp").exists());
}

#[tokio::test]
async fn little_memory_makes_it_slow_and_not_impossible() {
    let place = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..20).map(|number| format!("{number}.db")).collect();
    let members = names.iter().map(|name| member(name)).collect();
    let (budget, progress) = (ByteBudget::new(1 << 12), Arc::new(Counted::default()));
    let never = std::future::pending();
    let report = restore_directory(members, options(place.path()), &budget, progress.clone(), never).await.unwrap();
    assert!(report.outcomes.iter().all(restored));
    assert_eq!(progress.0.load(Ordering::Relaxed), 20);
}
