use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;

use super::super::testing::{MemorySource, fixtures, json, sha256};
use super::super::{Choice, Output, OutputRules, RestoreOptions, choose, restore_v3};
use super::*;

struct V3Tree {
    objects: Mutex<BTreeMap<String, (UnixMillis, Vec<u8>)>>,
}

impl V3Tree {
    fn fixture() -> V3Tree {
        let record = json("v3/expected.json");
        let objects = record["files"].as_array().expect("list").iter().map(|file| {
            let path = file["path"].as_str().expect("path");
            let bytes = fs::read(fixtures().join("v3/replica").join(path)).expect("fixture");
            (path.to_owned(), (file["mtime_ms"].as_i64().expect("time"), bytes))
        });
        V3Tree { objects: Mutex::new(objects.collect()) }
    }

    fn change(&self, part: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut objects = self.objects.lock().expect("lock");
        let (_, (_, bytes)) = objects.iter_mut().find(|(path, _)| path.contains(part)).expect("object");
        change(bytes);
    }

    fn remove(&self, part: &str) {
        self.objects.lock().expect("lock").retain(|path, _| !path.contains(part));
    }
}

#[async_trait]
impl V3Source for V3Tree {
    async fn list_v3(&self) -> Result<Vec<V3Object>, StorageError> {
        let objects = self.objects.lock().expect("lock");
        let object = |(path, (time, bytes)): (&String, &(UnixMillis, Vec<u8>))| V3Object {
            path: path.clone(),
            size: bytes.len() as u64,
            created_at: *time,
        };
        Ok(objects.iter().map(object).chain([stray()]).collect())
    }

    async fn open_v3(&self, object: &V3Object, offset: u64, len: u64) -> Result<Body, StorageError> {
        let objects = self.objects.lock().expect("lock");
        let (_, bytes) = objects.get(&object.path).ok_or_else(|| StorageError::not_found(&object.path))?;
        Ok(Body::from_bytes(bytes[offset as usize..][..len as usize].to_vec()))
    }
}

/// Somebody else's file among ours.
fn stray() -> V3Object {
    V3Object { path: "generations/notes.txt".to_owned(), size: 3, created_at: 1 }
}

/// SHA-256 of the restored database.
async fn restored(tree: &V3Tree, target: Target) -> Result<String, RestoreError> {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("a.db");
    let output = Output::check(&path, OutputRules::default())?.expect("not skipped");
    let Choice::V3(plan) = choose(&MemorySource::new(), Some(tree), target).await? else { panic!("no LTX is there") };
    let options = RestoreOptions { integrity: super::super::IntegrityCheck::Full, ..RestoreOptions::default() };
    let result = restore_v3(tree, &plan, &output, options, &()).await;
    let left = fs::read_dir(directory.path()).expect("list").count();
    assert_eq!(left, usize::from(result.is_ok()), "{result:?} left files behind");
    result.map(|_| sha256(&path))
}

#[tokio::test]
async fn the_reference_replica_is_restored_to_the_same_bytes() {
    let expected = json("v3/expected.json")["restores"][0]["sha256"].clone();
    assert_eq!(restored(&V3Tree::fixture(), Target::Latest).await.expect("restorable"), expected);
}

#[tokio::test]
async fn a_time_leaves_out_what_came_later() {
    let objects = V3Tree::fixture().list_v3().await.expect("listing");
    let planned =
        |time| plan_v3(&objects, Target::Timestamp(time)).expect("no hole").map(|plan| plan.objects().count());
    assert_eq!(planned(1_795_339_624_026), None);
    assert_eq!(planned(1_795_339_624_027), Some(1));
    assert_eq!(planned(1_795_339_626_071), Some(3));
    assert_eq!(planned(i64::MAX), Some(9 - 1));
    assert_eq!(plan_v3(&objects, Target::Txid(crate::ltx::Txid(1))).expect("no hole"), None);
}

#[tokio::test]
async fn missing_segments_are_refused_by_name() {
    let says = async |remove: &str, words: &str| {
        let tree = V3Tree::fixture();
        tree.remove(remove);
        let error = restored(&tree, Target::Latest).await.expect_err(remove).to_string();
        assert!(error.contains(words), "{remove}: {error}");
    };
    says("wal/00000001_", "00000002_00000000.wal.lz4: missing WAL index 00000001").await;
    says("wal/00000001_00000000", "00000001_00001038.wal.lz4: the start of its WAL is missing").await;
    says("wal/00000001_00001038", "starts at WAL offset 60b0, but the segment before it ends at 1038").await;
}

#[tokio::test]
async fn damaged_objects_are_refused_by_name() {
    let says = async |part: &str, change: fn(&mut Vec<u8>)| {
        let tree = V3Tree::fixture();
        tree.change(part, change);
        let error = restored(&tree, Target::Latest).await.expect_err(part).to_string();
        assert!(error.contains(part), "{error}");
    };
    for part in ["00000000.snapshot.lz4", "00000001_00001038.wal.lz4"] {
        says(part, |bytes| bytes.truncate(bytes.len() - 1)).await;
        says(part, |bytes| bytes.truncate(bytes.len() - 8)).await;
        says(part, |bytes| bytes.push(0)).await;
        says(part, |bytes| bytes[60] ^= 1).await;
        says(part, Vec::clear).await;
    }
}

#[tokio::test]
async fn h67_of_two_formats_the_one_with_the_newer_state_is_chosen() {
    let tree = V3Tree::fixture();
    let newest = tree.list_v3().await.expect("listing").iter().map(|object| object.created_at).max().expect("objects");
    let ltx = |time: i64| {
        let header =
            crate::ltx::Header::new(crate::ltx::PageSize::MIN, 1, crate::ltx::Txid(1), crate::ltx::Txid(1), time);
        let mut encoder = crate::ltx::Encoder::new(Vec::new(), &header).expect("valid");
        encoder.encode_page(crate::ltx::Pgno(1), &[0; 512]).expect("valid");
        let source = MemorySource::new();
        source.put(0, encoder.finish().expect("complete").0);
        source
    };
    let chosen = async |source: &MemorySource, target| choose(source, Some(&tree), target).await.expect("one of them");
    // The listing's own time is a little later than the header's.
    assert!(matches!(chosen(&ltx(newest), Target::Latest).await, Choice::Ltx(_)));
    assert!(matches!(chosen(&ltx(newest - 10_000_000), Target::Latest).await, Choice::V3(_)));
    assert!(matches!(chosen(&ltx(newest + 1), Target::Timestamp(newest)).await, Choice::V3(_)));
    assert!(matches!(chosen(&ltx(newest), Target::Timestamp(newest + 1)).await, Choice::Ltx(_)));
    assert!(matches!(chosen(&ltx(0), Target::Txid(crate::ltx::Txid(1))).await, Choice::Ltx(_)));
}

#[test]
fn only_the_written_names_belong_to_the_layout() {
    let segment = |offset: &str| format!("generations/f4d0a6036bbbdd9a/wal/00000001_{offset}.wal.lz4");
    for offset in ["000060b0", "1000060b0", "10000000000060b0"] {
        assert!(matches!(parse(&segment(offset)), Some(Name::Segment { index: 1, .. })), "{offset}");
    }
    for path in [
        segment("60b0"),
        segment("000060B0"),
        segment("110000000000060b0"),
        "generations/f4d0a6036bbbdd9/snapshots/00000000.snapshot.lz4".to_owned(),
        "generations/f4d0a6036bbbdd9a/snapshots/0.snapshot.lz4".to_owned(),
        "generations/f4d0a6036bbbdd9a/snapshots/00000000.snapshot".to_owned(),
        "ltx/0/0000000000000001-0000000000000001.ltx".to_owned(),
    ] {
        assert!(parse(&path).is_none(), "{path}");
    }
}
