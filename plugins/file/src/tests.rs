//! The promises of this storage beyond the common ones: names on disk, temporary files, durability of directories.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use bytes::Bytes;
use futures::TryStreamExt;
use litestream_sdk::configure::configure;
use litestream_sdk::conformance::{Outcome, Settings, Subject, fresh_root, run};
use litestream_sdk::describe::{ConfigureAnswer, ConfigureRequest};
use litestream_sdk::{
    Body, Context, DbPath, Entry, ErrorKind, ListMode, ListRequest, Location, ObjectKey, Plugin, ReadRequest,
    ReplicaPath, Storage, StorageError, Time, Timestamp, WriteRequest,
};

use crate::{FilePlugin, Files, PluginExport};

const DAY_OF_TEST: Timestamp = Timestamp(1_763_803_871_508_000_000);

fn store() -> (tempfile::TempDir, Files) {
    (tempfile::tempdir().unwrap(), Files::new(Context::without_host()))
}

fn place(dir: &Path) -> ReplicaPath {
    ReplicaPath::parse(dir.as_os_str().as_bytes()).unwrap()
}

fn object(dir: &tempfile::TempDir, below: &str) -> ObjectKey {
    place(dir.path()).object(below).unwrap()
}

async fn put(files: &Files, key: ObjectKey, content: &'static str) {
    files.write(WriteRequest::new(key, DAY_OF_TEST), Body::from_bytes(content)).await.unwrap();
}

/// Everything below a directory, temporary files too.
fn names_below(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { names.extend(names_below(&path)) } else { names.push(path.display().to_string()) }
    }
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn every_promise_of_the_contract_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    for request in [
        ConfigureRequest::new().with_value("path", dir.path().to_str().unwrap(), "test"),
        ConfigureRequest::new().with_url(format!("file://{}/a b", dir.path().display())),
    ] {
        let subject = Subject::of_plugin::<PluginExport>(&request, Context::without_host()).await.unwrap();
        let report = run(&subject, &fresh_root(&place(dir.path())), &Settings::default()).await;
        assert!(report.is_ok(), "{report}");
        let skipped: Vec<_> = report
            .results
            .iter()
            .filter(|check| matches!(check.outcome, Outcome::Skip(_)))
            .map(|check| check.id)
            .collect();
        // Everything is claimed. A file system has no bucket, no secret and no network, and a large object is for
        // `plugin check` in a process of its own.
        assert_eq!(skipped, ["R4", "L6", "L7", "D2", "E1", "E2", "P1", "P2"], "{report}");
        assert_eq!(names_below(dir.path()), Vec::<String>::new(), "nothing is left");
    }
}

mod configuration {
    use super::*;

    fn accepted(request: &ConfigureRequest) -> Location {
        match configure::<FilePlugin>(request) {
            ConfigureAnswer::Accepted(configured) => Location::try_from(&configured.location).unwrap(),
            ConfigureAnswer::Refused { problems } => panic!("{problems:?}"),
        }
    }

    fn problems(request: &ConfigureRequest) -> Vec<String> {
        match configure::<FilePlugin>(request) {
            ConfigureAnswer::Refused { problems } => problems.into_iter().map(|problem| problem.message).collect(),
            ConfigureAnswer::Accepted(configured) => panic!("{configured:?}"),
        }
    }

    fn by_url(url: &str) -> Location {
        accepted(&ConfigureRequest::new().with_url(url))
    }

    fn by_path(path: &str) -> Location {
        let request = ConfigureRequest::new().with_env("HOME", "/home/me");
        accepted(&request.with_value("path", path, "litestream.yml:3"))
    }

    fn resolved(at: &Location, db: &[u8]) -> String {
        FilePlugin::resolve(at, &DbPath::parse(db).unwrap()).unwrap().to_string()
    }

    /// The table of the plugin contract, section 2.
    #[test]
    fn names_on_disk_are_the_references() {
        assert_eq!(resolved(&by_path("/srv/re p"), b"a b.db"), "/srv/re p/a b.db");
        let url = by_url("file:///srv/re p!u");
        for (db, on_disk) in [
            (&b"a b.db"[..], "/srv/re%20p%21u/a%20b.db"),
            (b"team/e!f (1).db", "/srv/re%20p%21u/team/e%21f%20%281%29.db"),
            ("ü.db".as_bytes(), "/srv/re%20p%21u/%C3%BC.db"),
            (b"\xff.db", "/srv/re%20p%21u/%FF.db"),
        ] {
            assert_eq!(resolved(&url, db), on_disk);
        }
        assert_eq!(resolved(&by_url("file:///srv/re%20p"), b"c%d.db"), "/srv/re%20p/c%25d.db");
        assert_eq!(resolved(&by_url("file:///x/z!z"), b"a.db"), "/x/z%21z/a.db");
    }

    #[test]
    fn a_single_database_keeps_the_text_of_its_url_and_offers_the_other_spellings_for_reading() {
        for (url, written, others) in [
            ("file:///x/z!z/a.db", "/x/z!z/a.db", ["/x/z%21z/a.db", "/x/z!z/a.db"]),
            ("file:///x/a%20b.db", "/x/a%20b.db", ["/x/a%20b.db", "/x/a b.db"]),
            ("file:///x/a b.db", "/x/a%20b.db", ["/x/a%20b.db", "/x/a b.db"]),
            ("file:///x//./y/../a.db/", "/x/a.db", ["/x/a.db", "/x/a.db"]),
            ("file://host/a.db", "/host/a.db", ["/host/a.db", "/host/a.db"]),
        ] {
            let at = by_url(url);
            assert_eq!(resolved(&at, b""), written, "{url}");
            let also: Vec<_> = at.extras.iter().filter(|(key, _)| key == "also").map(|(_, place)| place).collect();
            assert_eq!(also, others, "{url}");
        }
    }

    #[test]
    fn paths_are_expanded_as_the_reference_does() {
        assert_eq!(by_path("~/b").base.to_string(), "/home/me/b");
        assert_eq!(by_path("~").base.to_string(), "/home/me");
        assert_eq!(by_path("/a/./b//../c/").base.to_string(), "/a/c");
        let here = std::env::current_dir().unwrap();
        assert_eq!(by_path("rel/x").base.to_string(), here.join("rel/x").display().to_string());
        assert_eq!(by_path("~other").base.to_string(), here.join("~other").display().to_string());
    }

    #[test]
    fn a_configuration_without_one_place_is_refused() {
        assert_eq!(problems(&ConfigureRequest::new()), ["file replica path required"]);
        let both = ConfigureRequest::new().with_url("file:///x").with_value("path", "/y", "litestream.yml:3");
        assert_eq!(problems(&both), ["cannot specify url & path for file replica"]);
        let unknown = ConfigureRequest::new().with_value("pathh", "/y", "litestream.yml:3");
        assert!(problems(&unknown).iter().any(|problem| problem.contains("did you mean")), "{:?}", problems(&unknown));
        for (url, problem) in [
            ("file:///x?region=y", "a file url has no parameters, and `region` is one"),
            ("file:///x/%zz", "invalid URL escape \"%zz\""),
        ] {
            assert_eq!(problems(&ConfigureRequest::new().with_url(url)), [problem]);
        }
        assert_eq!(resolved(&by_url("file:///x/%00"), b""), "/x/%00", "an escape on disk, not a NUL");
    }

    #[test]
    fn all_file_replicas_share_one_store() {
        let pool = |request: &ConfigureRequest| match configure::<FilePlugin>(request) {
            ConfigureAnswer::Accepted(configured) => configured.pool,
            ConfigureAnswer::Refused { problems } => panic!("{problems:?}"),
        };
        let one = ConfigureRequest::new().with_value("path", "/a", "x").with_env("HOME", "/home/me");
        assert_eq!(pool(&one), pool(&ConfigureRequest::new().with_url("file:///b")));
    }
}

#[tokio::test]
async fn a_replica_that_was_never_written_is_empty_and_the_first_write_makes_it() {
    let (dir, files) = store();
    let root = place(&dir.path().join("not/there"));
    let list = async || files.list(ListRequest::below(root.clone())).await.unwrap().try_concat().await.unwrap();
    assert_eq!(list().await, []);
    put(&files, root.object("ltx/0/a.ltx").unwrap(), "x").await;
    assert_eq!(list().await.len(), 1);
}

#[tokio::test]
async fn both_times_are_the_written_one() {
    use std::os::unix::fs::MetadataExt;
    let (dir, files) = store();
    put(&files, object(&dir, "a"), "x").await;
    let metadata = fs::metadata(dir.path().join("a")).unwrap();
    assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (1_763_803_871, 508_000_000));
    assert_eq!((metadata.atime(), metadata.atime_nsec()), (1_763_803_871, 508_000_000));
    assert_eq!(files.stat(&object(&dir, "a")).await.unwrap().time, Time::Exact(DAY_OF_TEST));
}

#[tokio::test]
async fn temporary_files_of_anybody_are_not_listed() {
    let (dir, files) = store();
    put(&files, object(&dir, "ltx/0/a.ltx"), "x").await;
    for name in ["a.ltx.tmp", ".litestream-rs-1-2.tmp"] {
        fs::write(dir.path().join("ltx/0").join(name), "half").unwrap();
    }
    let entries = files.list(ListRequest::below(place(dir.path()))).await.unwrap().try_concat().await.unwrap();
    assert_eq!(entries.len(), 1, "{entries:?}");
}

#[tokio::test]
async fn a_failed_or_cancelled_write_leaves_no_file_at_all() {
    let (dir, files) = store();
    let broken = Body::new(futures::stream::iter([
        Ok(Bytes::from(vec![0; 3 << 20])),
        Err(StorageError::transient("the source broke")),
    ]));
    let request = || WriteRequest::new(object(&dir, "a"), DAY_OF_TEST);
    assert!(files.write(request(), broken).await.is_err());
    assert_eq!(names_below(dir.path()), Vec::<String>::new());

    let (tell, told) = tokio::sync::oneshot::channel::<()>();
    let mut tell = Some(tell);
    let endless = Body::new(futures::stream::poll_fn(move |_| match tell.take() {
        Some(tell) => {
            drop(tell);
            std::task::Poll::Ready(Some(Ok(Bytes::from_static(b"half"))))
        }
        None => std::task::Poll::Pending,
    }));
    tokio::select! {
        _ = files.write(request(), endless) => panic!("the body has no end"),
        _ = async {
            // The chunk is on its way to the disk; wait until it is there.
            told.await.unwrap_err();
            while names_below(dir.path()).is_empty() {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    assert_eq!(names_below(dir.path()), Vec::<String>::new());
}

#[tokio::test]
async fn only_regular_files_are_objects() {
    let (dir, files) = store();
    put(&files, object(&dir, "d/real"), "x").await;
    std::os::unix::fs::symlink(dir.path().join("d/real"), dir.path().join("d/link")).unwrap();
    std::os::unix::fs::symlink(dir.path(), dir.path().join("d/up")).unwrap();
    std::os::unix::fs::symlink("/no/such/file", dir.path().join("d/dangling")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("d/pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    let entries = files.list(ListRequest::below(place(dir.path()))).await.unwrap().try_concat().await.unwrap();
    let keys: Vec<String> = entries
        .iter()
        .map(|entry| match entry {
            Entry::Object(info) => String::from_utf8_lossy(info.key.name()).into_owned(),
            Entry::Dir(dir) => dir.to_string(),
        })
        .collect();
    assert_eq!(keys, ["link", "real"]);
    for absent in ["d", "d/pipe", "d/up", "d/dangling", "d/real/below"] {
        let key = object(&dir, absent);
        assert_eq!(files.stat(&key).await.unwrap_err().kind, ErrorKind::NOT_FOUND, "{absent}");
        assert_eq!(files.read(ReadRequest::whole(key)).await.unwrap_err().kind, ErrorKind::NOT_FOUND, "{absent}");
    }
}

#[tokio::test]
async fn deleting_a_directory_or_nothing_deletes_nothing() {
    let (dir, files) = store();
    put(&files, object(&dir, "d/a"), "x").await;
    let keys = vec![object(&dir, "d"), object(&dir, "absent"), object(&dir, "d/a/below")];
    assert!(files.delete(keys).await.unwrap().into_iter().all(|result| result.is_ok()));
    assert!(dir.path().join("d/a").exists());
    files.delete(vec![object(&dir, "d/a")]).await.unwrap().remove(0).unwrap();
    assert!(dir.path().join("d").exists(), "directories stay, as the reference leaves them");
}

#[tokio::test]
async fn databases_are_found_without_entering_their_levels() {
    let (dir, files) = store();
    for name in ["a.db/ltx/0/1.ltx", "team/c.db/ltx/9/1.ltx", "team/notes.txt"] {
        put(&files, object(&dir, name), "x").await;
    }
    // Nothing below a marker is even looked at.
    fs::set_permissions(dir.path().join("a.db/ltx/0"), std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    let request = ListRequest::below(place(dir.path())).with_mode(ListMode::RollUp("ltx".to_owned()));
    let entries = files.list(request).await.unwrap().try_concat().await.unwrap();
    let base = dir.path().display().to_string();
    let shown: Vec<String> = entries
        .iter()
        .map(|entry| match entry {
            Entry::Dir(dir) => format!("{}/", dir.to_string().trim_start_matches(&base)),
            Entry::Object(info) => info.key.to_string().trim_start_matches(&base).to_owned(),
        })
        .collect();
    assert_eq!(shown, ["/a.db/ltx/", "/team/c.db/ltx/", "/team/notes.txt"]);
    fs::set_permissions(dir.path().join("a.db/ltx/0"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
}

#[tokio::test]
async fn a_range_past_the_end_is_an_error_and_a_file_that_shrinks_a_broken_read() {
    let (dir, files) = store();
    let key = object(&dir, "a");
    let whole = Bytes::from(vec![7; 3 << 20]);
    files.write(WriteRequest::new(key.clone(), DAY_OF_TEST), Body::from_bytes(whole)).await.unwrap();
    for request in [ReadRequest::range(key.clone(), 0, (3 << 20) + 1), ReadRequest::from_offset(key.clone(), 4 << 20)] {
        assert_eq!(files.read(request).await.unwrap_err().kind, ErrorKind::INVALID_INPUT);
    }
    let (_, body) = files.read(ReadRequest::whole(key)).await.unwrap();
    fs::OpenOptions::new().write(true).open(dir.path().join("a")).unwrap().set_len(100).unwrap();
    assert_eq!(body.collect(u64::MAX).await.unwrap_err().kind, ErrorKind::TRANSIENT);
}
