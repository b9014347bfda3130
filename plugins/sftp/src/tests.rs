//! The common promises against real servers, and what is special to this storage.

use std::fs;
use std::future::pending;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use futures::stream::{self, StreamExt};
use litestream_sdk::configure;
use litestream_sdk::conformance::{Outcome, Settings, Subject, fresh_root, run};
use litestream_sdk::describe::ConfigureRequest;
use litestream_sdk::{
    Body, Bytes, Capability, Context, Entry, ErrorKind, ListMode, ListRequest, ObjectKey, Plugin, ReadRequest,
    ReplicaPath, Result, Storage, StorageError, Time, Timestamp, WriteRequest,
};
use litestream_test_servers::{Fault, Proxy, Rule, Server, openssh, openssh_with_password, rclone_sftp};

use crate::{PluginExport, Sftp, SftpOptions, SftpPlugin};

mod configuration;

const TIME: Timestamp = Timestamp(1_763_803_871_508_000_000);

/// Options of user `u` at `h:2222`, with these keys beside.
pub(crate) fn options(keys: &[(&str, &str)]) -> SftpOptions {
    let request = ConfigureRequest::new().with_value("host", "h:2222", "test").with_value("user", "u", "test");
    let request = keys.iter().fold(request, |request, (key, value)| request.with_value(*key, *value, "test"));
    configure::options::<SftpPlugin>(&request).unwrap()
}

fn user() -> String {
    std::env::var("USER").unwrap_or_else(|_| "root".to_owned())
}

fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().to_str().unwrap().to_owned()
}

fn host_key(server: &Server) -> String {
    fs::read_to_string(server.dir().join("host_key.pub")).unwrap()
}

/// Login by key at `address`, behind which is this server, whose key is pinned.
fn by_key(server: &Server, address: impl ToString) -> ConfigureRequest {
    ConfigureRequest::new()
        .with_value("host", address.to_string(), "test")
        .with_value("user", user(), "test")
        .with_value("key-path", text(server.dir().join("user_key")), "test")
        .with_value("host-key", host_key(server), "test")
        .with_value("path", text(server.dir().join("files")), "test")
}

async fn open(request: &ConfigureRequest) -> Result<Sftp> {
    SftpPlugin::open(configure::options::<SftpPlugin>(request).unwrap(), Context::without_host()).await
}

async fn refused(request: &ConfigureRequest) -> StorageError {
    match open(request).await {
        Ok(_) => panic!("the server was accepted, or accepted us"),
        Err(error) => error,
    }
}

async fn boxed(request: ConfigureRequest) -> Result<Arc<dyn Storage>> {
    Ok(Arc::new(open(&request).await?))
}

/// The directory of replicas, as a place in the store.
fn files(server: &Server) -> ReplicaPath {
    ReplicaPath::parse(text(server.dir().join("files"))).unwrap()
}

fn key(server: &Server, below: &str) -> ObjectKey {
    files(server).object(below).unwrap()
}

async fn put(store: &Sftp, key: ObjectKey, content: impl Into<Bytes>) -> Result<()> {
    store.write(WriteRequest::new(key, TIME), Body::from_bytes(content)).await.map(drop)
}

async fn get(store: &Sftp, key: ObjectKey) -> Result<Bytes> {
    store.read(ReadRequest::whole(key)).await?.1.collect(u64::MAX).await
}

async fn listed(store: &Sftp, request: ListRequest) -> Vec<String> {
    let base = request.prefix.to_string();
    let entries: Vec<Entry> = store.list(request).await.unwrap().try_concat().await.unwrap();
    let shown = entries.iter().map(|entry| match entry {
        Entry::Object(info) => info.key.to_string(),
        Entry::Dir(dir) => format!("{dir}/"),
    });
    shown.map(|name| name.trim_start_matches(&base).trim_start_matches('/').to_owned()).collect()
}

/// Everything below a directory of the server, temporary files too.
fn on_disk(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { names.extend(on_disk(&path)) } else { names.push(text(path)) }
    }
    names
}

/// Cleaning goes on in the background.
async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never {what}");
}

async fn suite(subject: Subject, base: &ReplicaPath) -> Vec<&'static str> {
    let report = run(&subject, &fresh_root(base), &Settings::default()).await;
    println!("{report}");
    assert!(report.is_ok(), "\n{report}");
    let skipped = report.results.iter().filter(|check| matches!(check.outcome, Outcome::Skip(_)));
    skipped.map(|check| check.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_common_promises_on_openssh_with_a_key() {
    let Some(server) = openssh() else { return };
    let proxy = Arc::new(Proxy::tcp(server.address()));
    let request = by_key(&server, server.address());
    // A good key that nobody has let in.
    let stranger = request.clone().with_value("key-path", text(server.dir().join("host_key")), "test");
    let through_proxy = boxed(by_key(&server, proxy.address())).await.unwrap();
    let subject = Subject::of_plugin::<PluginExport>(&request, Context::without_host()).await.unwrap();
    let subject = subject.with_network(through_proxy, proxy).with_wrong_secret(move || boxed(stranger.clone()));
    let skipped = suite(subject, &files(&server)).await;
    // Copies, versions and names that are not UTF-8 are not claimed; there are no buckets, and SSH cannot ask for mercy.
    assert_eq!(skipped, ["W11", "R3", "L6", "L7", "D2", "N1", "E2", "P1", "P2"]);
    until("cleaned up", || on_disk(&server.dir().join("files")).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_common_promises_on_another_server_with_a_password() {
    let Some(server) = rclone_sftp("backup", "hunter2 %/?#") else { return };
    let request = ConfigureRequest::new()
        .with_url(format!("sftp://backup:hunter2%20%25%2F%3F%23@{}/base", server.address()))
        .with_value("host-key", host_key(&server), "test");
    let wrong = request.clone().with_value("password", "hunter3", "test");
    let subject = Subject::of_plugin::<PluginExport>(&request, Context::without_host()).await.unwrap();
    let (subject, store) = (subject.with_wrong_secret(move || boxed(wrong.clone())), open(&request).await.unwrap());
    // It announces hard links, and has none. And it replaces a file in two steps and loses track of directories that two
    // clients make at once, whatever it is asked for: what depends on that is judged on OpenSSH alone.
    assert!(!store.capability().has(Capability::IF_ABSENT));
    let settings = Settings::default();
    let settings = settings
        .with_only(["W1", "W2", "W3", "W4", "W5", "W8", "W9", "R1", "R2", "L1", "L2", "L3", "L4", "D1", "E1", "O1"]);
    let report = run(&subject, &fresh_root(&ReplicaPath::parse("/base").unwrap()), &settings).await;
    assert!(report.is_ok(), "\n{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh_lets_us_in_with_a_password() {
    let password = "hunter2 %/?#";
    let Some(server) = openssh_with_password(password) else { return };
    let by_key = by_key(&server, server.address()).with_value("key-path", "", "test");
    let store = open(&by_key.clone().with_value("password", password, "test")).await.unwrap();
    put(&store, key(&server, "a"), "x").await.unwrap();
    assert_eq!(get(&store, key(&server, "a")).await.unwrap(), "x");
    let error = refused(&by_key.clone().with_value("password", "hunter3", "test")).await;
    assert_eq!(error.kind, ErrorKind::UNAUTHENTICATED, "{error}");
    assert!(!format!("{error:?}").contains("hunter"), "{error:?}");
    // Both are set, and the key is the right one.
    let both = by_key.with_value("password", "hunter3", "test");
    open(&both.with_value("key-path", text(server.dir().join("user_key")), "test")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_known_server_is_talked_to() {
    let (Some(server), Some(other)) = (openssh(), openssh()) else { return };
    let right = by_key(&server, server.address());
    let pinned_wrong = right.clone().with_value("host-key", host_key(&other), "test");
    let error = refused(&pinned_wrong).await;
    assert_eq!(error.kind, ErrorKind::UNAUTHENTICATED, "{error}");
    assert!(error.message.contains("another server answers there, or it got a new key"), "{error}");
    assert_eq!(error.message.matches("SHA256:").count(), 2, "both keys are named: {error}");

    // A type of key that the server does not have.
    let rsa = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc=";
    let error = refused(&right.clone().with_value("host-key", rsa, "test")).await;
    assert_eq!(error.kind, ErrorKind::UNAUTHENTICATED, "{error}");
    assert!(error.message.contains("ssh-ed25519"), "what it has is named: {error}");

    let known = server.dir().join("known_hosts");
    let by_file = right.clone().with_value("host-key", "", "test").with_value("known-hosts", text(&known), "test");
    let line = |of: &Server| format!("[127.0.0.1]:{} {}", server.port(), host_key(of));
    fs::write(&known, line(&other)).unwrap();
    assert_eq!(refused(&by_file).await.kind, ErrorKind::UNAUTHENTICATED);
    fs::write(&known, format!("{}{}", line(&other), line(&server))).unwrap();
    open(&by_file).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_says_what_was_tried_and_not_with_what() {
    let Some(server) = openssh() else { return };
    let right = by_key(&server, server.address());
    let absent = right.clone().with_value("key-path", "/no/such/key", "test");
    let error = refused(&absent).await;
    assert!(error.message.starts_with("key-path /no/such/key: "), "{error}");
    let no_key = text(server.dir().join("host_key.pub"));
    let error = refused(&right.clone().with_value("key-path", no_key, "test")).await;
    assert_eq!(error.kind, ErrorKind::UNAUTHENTICATED, "{error}");

    let nothing = right.clone().with_value("key-path", "", "test");
    let error = refused(&nothing).await;
    assert!(error.message.contains("neither `password` nor `key-path` is set, it takes publickey"), "{error}");

    let Some(server) = rclone_sftp("backup", "right") else { return };
    let request = ConfigureRequest::new().with_url(format!("sftp://backup:hunter2@{}/x", server.address()));
    let error = refused(&request).await;
    assert_eq!(error.kind, ErrorKind::UNAUTHENTICATED);
    assert!(error.message.contains("does not let user `backup` in (tried password"), "{error}");
    let options = configure::options::<SftpPlugin>(&request).unwrap();
    assert!(!format!("{error} {error:?} {options:?}").contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_is_an_error_of_the_call_and_over_with_the_next() {
    let Some(server) = openssh() else { return };
    let proxy = Proxy::tcp(server.address());
    let store = open(&by_key(&server, proxy.address())).await.unwrap();
    let content = Bytes::from(vec![7; 3 << 20]);
    let cut = || {
        proxy.refuse();
        proxy.heal();
    };

    cut();
    // Each connection after the cut breaks in the middle of the upload.
    proxy.plant(Rule::new(Fault::CutRequest(1 << 20)).forever());
    let error = put(&store, key(&server, "a"), content.clone()).await.unwrap_err();
    assert!(error.kind.is_retryable(), "{error}");
    proxy.heal();
    assert!(listed(&store, ListRequest::below(files(&server))).await.is_empty(), "nothing half is visible");
    put(&store, key(&server, "a"), content.clone()).await.unwrap();
    until("cleaned up", || on_disk(&server.dir().join("files")).len() == 1).await;

    cut();
    proxy.plant(Rule::new(Fault::CutAnswer(1 << 20)).forever());
    let error = get(&store, key(&server, "a")).await.unwrap_err();
    assert!(error.kind.is_retryable(), "a cut stream is not a short file: {error}");
    proxy.heal();
    assert_eq!(get(&store, key(&server, "a")).await.unwrap(), content);

    proxy.refuse();
    let name = key(&server, "a");
    let calls = futures::future::join_all((0..16).map(|_| store.stat(&name))).await;
    let kinds: Vec<ErrorKind> = calls.into_iter().map(|result| result.unwrap_err().kind).collect();
    assert_eq!(kinds, [ErrorKind::TRANSIENT; 16]);
    proxy.heal();
    store.stat(&key(&server, "a")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_databases_share_a_few_connections() {
    let Some(server) = openssh() else { return };
    let proxy = Proxy::tcp(server.address());
    let store = open(&by_key(&server, proxy.address())).await.unwrap();
    assert_eq!(proxy.requests().len(), 1, "one call at a time needs one connection");
    let at_once = store.capability().max_in_flight as usize;
    let writes = stream::iter(0..200).map(|number| put(&store, key(&server, &format!("{number}.db/ltx/0/1")), "x"));
    writes.buffer_unordered(at_once).try_collect::<Vec<()>>().await.unwrap();
    let made = proxy.requests().len();
    assert!((2..=4).contains(&made), "{made} connections for {at_once} calls at once");
    assert_eq!(store.pool().connections(), made);
    store.close().await.unwrap();
    assert_eq!(store.pool().connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_or_cancelled_write_leaves_no_file_at_all() {
    let Some(server) = openssh() else { return };
    let store = open(&by_key(&server, server.address())).await.unwrap();
    let dir = server.dir().join("files");
    let half = || stream::iter([Ok(Bytes::from(vec![0; 3 << 20]))]);
    let broken = Body::new(half().chain(stream::iter([Err(StorageError::transient("the source broke"))])));
    let request = || WriteRequest::new(key(&server, "deep/down/a"), TIME);
    assert_eq!(store.write(request(), broken).await.unwrap_err().message, "the source broke");
    until("cleaned up", || on_disk(&dir).is_empty()).await;

    let endless = Body::new(half().chain(stream::once(pending())));
    tokio::select! {
        _ = store.write(request(), endless) => panic!("the body has no end"),
        () = until("begun", || !on_disk(&dir).is_empty()) => {}
    }
    until("cleaned up", || on_disk(&dir).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_for_the_owner_alone_and_have_the_written_time() {
    let Some(server) = openssh() else { return };
    let slowly = by_key(&server, server.address()).with_value("concurrent-writes", "false", "test");
    let store = open(&slowly).await.unwrap();
    let content: Bytes = (0..300_000u32).map(|at| (at % 251) as u8).collect::<Vec<u8>>().into();
    put(&store, key(&server, "new/a"), content.clone()).await.unwrap();
    let dir = server.dir().join("files/new");
    let file = fs::metadata(dir.join("a")).unwrap();
    assert_eq!((file.mode() & 0o777, fs::metadata(&dir).unwrap().mode() & 0o777), (0o600, 0o700));
    assert_eq!((file.mtime(), file.atime()), (1_763_803_871, 1_763_803_871));
    assert_eq!(fs::read(dir.join("a")).unwrap(), content);
    let seen = store.stat(&key(&server, "new/a")).await.unwrap();
    assert_eq!(seen.time, Time::Exact(Timestamp(1_763_803_871_000_000_000)));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_others_are_left_out_and_databases_found_without_entering_their_levels() {
    let Some(server) = openssh() else { return };
    let store = open(&by_key(&server, server.address())).await.unwrap();
    for name in ["t/a.db/ltx/0/1.ltx", "t/team/c.db/ltx/9/1.ltx", "t/notes.txt"] {
        put(&store, key(&server, name), "x").await.unwrap();
    }
    let t = server.dir().join("files/t");
    fs::write(t.join("1.ltx.77.123.tmp"), "half").unwrap();
    use std::os::unix::ffi::OsStrExt;
    fs::write(t.join(std::ffi::OsStr::from_bytes(b"\xff.db")), "not UTF-8").unwrap();
    std::os::unix::fs::symlink(t.join("notes.txt"), t.join("link")).unwrap();
    std::os::unix::fs::symlink(&t, t.join("up")).unwrap();
    std::os::unix::fs::symlink("/no/such/file", t.join("dangling")).unwrap();
    let below = || ListRequest::below(files(&server).child("t").unwrap());
    assert_eq!(listed(&store, below()).await, ["a.db/ltx/0/1.ltx", "link", "notes.txt", "team/c.db/ltx/9/1.ltx"]);
    let databases = below().with_mode(ListMode::RollUp("ltx".to_owned()));
    assert_eq!(listed(&store, databases).await, ["a.db/ltx/", "link", "notes.txt", "team/c.db/ltx/"]);
    for absent in ["t", "t/up", "t/dangling", "t/notes.txt/below"] {
        let missing = store.stat(&key(&server, absent)).await.unwrap_err();
        assert_eq!(missing.kind, ErrorKind::NOT_FOUND, "{absent}");
        let missing = get(&store, key(&server, absent)).await.unwrap_err();
        assert_eq!(missing.kind, ErrorKind::NOT_FOUND, "{absent}");
    }
    let kept = vec![key(&server, "t"), key(&server, "absent"), key(&server, "t/notes.txt/below")];
    assert!(store.delete(kept).await.unwrap().into_iter().all(|result| result.is_ok()));
    assert!(t.join("notes.txt").exists(), "deleting a directory or nothing deletes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relative_path_begins_at_the_login_directory() {
    let Some(server) = rclone_sftp("backup", "hunter2") else { return };
    let request = ConfigureRequest::new()
        .with_value("host", server.address(), "test")
        .with_value("user", "backup", "test")
        .with_value("password", "hunter2", "test");
    let store = open(&request).await.unwrap();
    assert!(store.capability().has(Capability::LEADING_SLASH));
    put(&store, ObjectKey::parse("data/a.db/ltx/0/1").unwrap(), "x").await.unwrap();
    assert!(server.dir().join("files/data/a.db/ltx/0/1").exists());
    let all = ListRequest::below(ReplicaPath::default());
    assert_eq!(listed(&store, all).await, ["data/a.db/ltx/0/1"]);
}
