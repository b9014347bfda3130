//! Reloads of a whole fleet: real databases, a store in memory.

use std::path::PathBuf;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::*;
use crate::discovery::{DirSpec, Pattern};
use crate::fleet::testing::{Application, Bench, until};
use crate::fleet::{FleetParts, Mode};

/// A watched directory of the bench, replicated below `base`.
async fn directory(bench: &Bench, name: &str, pattern: &str, base: &str) -> Entry {
    let spec = DirSpec {
        dir: bench.path(name),
        written: name.to_owned(),
        pattern: Pattern::parse(pattern).unwrap(),
        exclude: Vec::new(),
        recursive: true,
        watch: true,
    };
    bench.entry(EntryTarget::Dir(spec), base).await
}

async fn single(bench: &Bench, name: &str, base: &str) -> Entry {
    bench.entry(EntryTarget::Path(bench.path(name)), base).await
}

async fn start(bench: &Bench, entries: Vec<Entry>) -> Fleet {
    let parts: FleetParts = bench.parts(entries, Mode::Continuous);
    Fleet::start(parts).await.unwrap()
}

fn paths(fleet: &Fleet) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fleet.snapshot().into_iter().map(|row| row.path).collect();
    paths.sort();
    paths
}

fn report(unchanged: usize, changed: usize, added: usize, removed: usize) -> Reloaded {
    Reloaded { unchanged, changed, added, removed }
}

#[tokio::test(flavor = "multi_thread")]
async fn unchanged_entries_are_not_touched() {
    let bench = Bench::new();
    let writer = Application::open(&bench.path("a/x.db"));
    Application::make(&bench.path("b/y.db"), 2);
    let entries =
        async || vec![directory(&bench, "a", "*.db", "r/a").await, directory(&bench, "b", "*.db", "r/b").await];
    let fleet = start(&bench, entries().await).await;
    bench.expect_rows("a/x.db", 0).await;
    bench.expect_rows("b/y.db", 2).await;
    let (requests, before) = (bench.storage.requests.load(SeqCst), fleet.status(&bench.path("a/x.db")).unwrap());
    assert!(before.attached);
    for _ in 0..3 {
        assert_eq!(fleet.reload(entries().await).await.unwrap(), report(2, 0, 0, 0));
    }
    let after = fleet.status(&bench.path("a/x.db")).unwrap();
    assert_eq!((after.attached, after.txid), (true, before.txid));
    assert_eq!(bench.storage.requests.load(SeqCst), requests, "nothing was asked of the store");
    writer.commit();
    bench.expect_rows("a/x.db", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_come_and_go_and_what_goes_has_its_last_sync() {
    let bench = Bench::new();
    let leaver = Application::open(&bench.path("a/x.db"));
    Application::make(&bench.path("b/y.db"), 2);
    std::fs::create_dir(bench.path("c")).unwrap();
    let fleet = start(&bench, vec![directory(&bench, "a", "*.db", "r/a").await]).await;
    bench.expect_rows("a/x.db", 0).await;
    leaver.commit();
    let wanted = vec![directory(&bench, "b", "*.db", "r/b").await, directory(&bench, "c", "*.db", "r/c").await];
    assert_eq!(fleet.reload(wanted).await.unwrap(), report(0, 0, 2, 1));
    until(|| "the end of a/x.db".to_owned(), async || paths(&fleet) == [bench.path("b/y.db")]).await;
    assert_eq!(bench.restored_rows("a/x.db").await, Some(1), "the last commit");
    bench.expect_rows("b/y.db", 2).await;
    // A directory that came is watched, one that went is not.
    Application::make(&bench.path("a/late.db"), 1);
    Application::make(&bench.path("c/new.db"), 4);
    bench.expect_rows("c/new.db", 4).await;
    assert_eq!(paths(&fleet), [bench.path("b/y.db"), bench.path("c/new.db")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_replica_gets_everything_and_the_old_one_the_last_commit() {
    let bench = Bench::new();
    let application = Application::open(&bench.path("a/x.db"));
    application.commit();
    let fleet = start(&bench, vec![directory(&bench, "a", "*.db", "r/old").await]).await;
    bench.expect_rows("old/x.db", 1).await;
    application.commit();
    let moved = vec![directory(&bench, "a", "*.db", "r/new").await];
    assert_eq!(fleet.reload(moved).await.unwrap(), report(0, 0, 1, 1));
    bench.expect_rows("new/x.db", 2).await;
    assert_eq!(bench.restored_rows("old/x.db").await, Some(2));
    application.commit();
    bench.expect_rows("new/x.db", 3).await;
    assert_eq!(bench.restored_rows("old/x.db").await, Some(2), "nothing goes there any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_rules_of_a_directory_touch_only_whom_they_concern() {
    let bench = Bench::new();
    let stays = Application::open(&bench.path("a/stays.db"));
    Application::make(&bench.path("a/goes.db"), 1);
    Application::make(&bench.path("a/comes.sqlite"), 3);
    let fleet = start(&bench, vec![directory(&bench, "a", "*.db", "r").await]).await;
    bench.expect_rows("stays.db", 0).await;
    bench.expect_rows("goes.db", 1).await;
    let mut wanted = directory(&bench, "a", "{stays.db,*.sqlite}", "r").await;
    if let EntryTarget::Dir(spec) = &mut wanted.target {
        spec.pattern = Pattern::parse("*s*").unwrap();
        spec.exclude = vec![Pattern::parse("goes.db").unwrap()];
    }
    wanted.sync_interval = Duration::from_millis(30);
    assert_eq!(fleet.reload(vec![wanted]).await.unwrap(), report(0, 1, 0, 0));
    bench.expect_rows("comes.sqlite", 3).await;
    let left = [bench.path("a/comes.sqlite"), bench.path("a/stays.db")];
    until(|| "the end of goes.db".to_owned(), async || paths(&fleet) == left).await;
    assert!(fleet.status(&bench.path("a/stays.db")).unwrap().attached, "it was left alone");
    stays.commit();
    bench.expect_rows("stays.db", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_two_entries_is_never_without_one() {
    let bench = Bench::new();
    let application = Application::open(&bench.path("a/x.db"));
    application.commit();
    let both = async || vec![single(&bench, "a/x.db", "r/own").await, directory(&bench, "a", "*.db", "r/dir").await];
    let fleet = start(&bench, both().await).await;
    bench.expect_rows("own", 1).await;
    let only_directory = vec![directory(&bench, "a", "*.db", "r/dir").await];
    assert_eq!(fleet.reload(only_directory).await.unwrap(), report(1, 0, 0, 1));
    bench.expect_rows("dir/x.db", 1).await;
    application.commit();
    bench.expect_rows("dir/x.db", 2).await;
    assert_eq!(fleet.reload(both().await).await.unwrap(), report(1, 0, 1, 0));
    bench.expect_rows("own", 2).await;
    application.commit();
    bench.expect_rows("own", 3).await;
    assert_eq!(paths(&fleet), [bench.path("a/x.db")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_registered_stays() {
    let bench = Bench::new();
    Application::make(&bench.path("own.db"), 2);
    Application::make(&bench.path("a/x.db"), 1);
    let fleet = start(&bench, vec![directory(&bench, "a", "*.db", "r/a").await]).await;
    assert!(fleet.register(single(&bench, "own.db", "r/own").await).await.unwrap());
    bench.expect_rows("own", 2).await;
    std::fs::create_dir(bench.path("b")).unwrap();
    let wanted = vec![directory(&bench, "b", "*.db", "r/b").await];
    assert_eq!(fleet.reload(wanted).await.unwrap(), report(0, 0, 1, 1));
    until(|| "the end of a/x.db".to_owned(), async || paths(&fleet) == [bench.path("own.db")]).await;
    // Nor is it the configuration's when it is named there.
    let named = async || vec![single(&bench, "own.db", "r/other").await];
    assert_eq!(fleet.reload(named().await).await.unwrap(), report(0, 0, 1, 1));
    assert_eq!(fleet.reload(named().await).await.unwrap(), report(0, 0, 1, 0));
    Application::make(&bench.path("own.db"), 1);
    bench.expect_rows("own", 3).await;
    assert_eq!(bench.restored_rows("other").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_cannot_be_scanned_leaves_everything_as_it_was() {
    let bench = Bench::new();
    Application::make(&bench.path("a/x.db"), 1);
    let fleet = start(&bench, vec![directory(&bench, "a", "*.db", "r/a").await]).await;
    bench.expect_rows("a/x.db", 1).await;
    let wanted = vec![directory(&bench, "nowhere", "*.db", "r/n").await];
    let error = fleet.reload(wanted).await.unwrap_err().to_string();
    assert!(error.contains("nowhere"), "{error}");
    Application::make(&bench.path("a/x.db"), 1);
    bench.expect_rows("a/x.db", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unregistered_database_of_the_configuration_comes_back() {
    let bench = Bench::new();
    Application::make(&bench.path("x.db"), 1);
    let entries = async || vec![single(&bench, "x.db", "r/x").await];
    let fleet = start(&bench, entries().await).await;
    bench.expect_rows("x", 1).await;
    fleet.unregister(&bench.path("x.db"), Duration::from_secs(10)).await.unwrap();
    assert_eq!(fleet.reload(entries().await).await.unwrap(), report(0, 0, 1, 0));
    Application::make(&bench.path("x.db"), 1);
    bench.expect_rows("x", 2).await;
}
