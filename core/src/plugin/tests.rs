//! The whole way: a plugin library in a directory is found, judged, loaded, configured, opened and used. The library is
//! the file plugin, which cargo has built beside this test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::TryStreamExt;
use litestream_sdk::bridge::{SELF_TEST_LOG, SELF_TEST_PANIC};
use litestream_sdk::conformance::{Outcome, Settings, Subject, fresh_root, run};
use litestream_sdk::describe::{ConfigureAnswer, ConfigureRequest, Configured};
use litestream_sdk::{DbPath, ErrorKind, ListRequest, Location, ReadRequest, ReplicaPath, Timestamp, WriteRequest};
use litestream_sdk_abi::RECORD_MAGIC;
use tempfile::TempDir;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};

use super::*;

fn built_library() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().join(search::file_name("file"))
}

/// A directory with a copy of the built library under each of these names.
fn plugins(names: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in names {
        fs::copy(built_library(), library(&dir, name)).unwrap();
    }
    dir
}

fn library(dir: &TempDir, name: &str) -> PathBuf {
    dir.path().join(search::file_name(name))
}

fn discover(dirs: &[&TempDir]) -> Registry {
    let dirs: Vec<PathBuf> = dirs.iter().map(|dir| dir.path().to_owned()).collect();
    Registry::discover(&SearchPath::new(&dirs, None, None))
}

/// Replaces every occurrence by a text of the same length.
fn patch(library: &Path, from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(library).unwrap();
    let at: Vec<usize> = memchr::memmem::find_iter(&bytes, from).collect();
    assert!(!at.is_empty(), "{from} is not in the library");
    at.into_iter().for_each(|at| bytes[at..at + to.len()].copy_from_slice(to.as_bytes()));
    fs::write(library, bytes).unwrap();
}

/// The text of the error; always two lines.
fn refused(registry: &Registry, kind: &str) -> String {
    let Err(error) = registry.for_type(kind) else { panic!("{kind} was not refused") };
    let text = error.to_string();
    assert_eq!(text.lines().count(), 2, "{text}");
    text
}

fn configured(plugin: &LoadedPlugin, request: &ConfigureRequest) -> Configured {
    match plugin.configure(request) {
        ConfigureAnswer::Accepted(configured) => configured,
        ConfigureAnswer::Refused { problems } => panic!("{problems:?}"),
    }
}

fn at_path(path: &Path) -> ConfigureRequest {
    ConfigureRequest::new().with_value("path", path.to_str().unwrap(), "litestream.yml:7")
}

#[test]
fn a_plugin_is_found_by_its_record_and_loaded_once() {
    let dir = plugins(&["file"]);
    let registry = discover(&[&dir]);
    let record = registry.files()[0].record.as_ref().unwrap();
    assert_eq!((record.name.as_str(), record.replica_type(), record.abi), ("file", "file", ABI));
    let plugin = registry.for_type("file").unwrap();
    assert!(plugin.description().option("path").is_some());
    assert!(Arc::ptr_eq(&plugin, &registry.for_type("file").unwrap()));
}

#[test]
fn a_type_nobody_serves_is_told_with_where_to_put_its_plugin() {
    let dir = plugins(&["file"]);
    let registry = discover(&[&dir]);
    let text = refused(&registry, "fiel");
    assert!(text.starts_with("no plugin for the replica type \"fiel\"; did you mean \"file\"?\nput "), "{text}");
    assert!(text.contains(&dir.path().display().to_string()), "{text}");
    assert!(!refused(&registry, "zzzzzz").contains("did you mean"));
}

#[test]
fn a_directory_that_others_may_write_is_refused() {
    let dir = plugins(&["file"]);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let text = refused(&discover(&[&dir]), "file");
    assert!(text.contains("can be written by everybody (mode 0777)") && text.contains("chmod go-w"), "{text}");
}

#[test]
fn a_file_that_others_may_write_is_refused() {
    let dir = plugins(&["file"]);
    fs::set_permissions(library(&dir, "file"), fs::Permissions::from_mode(0o775)).unwrap();
    let text = refused(&discover(&[&dir]), "file");
    assert!(text.contains("can be written by its group"), "{text}");
}

#[test]
fn a_bad_file_stops_nobody_who_does_not_need_it() {
    let dir = plugins(&["file"]);
    fs::write(library(&dir, "text"), "not a library").unwrap();
    fs::create_dir(library(&dir, "dir")).unwrap();
    let registry = discover(&[&dir]);
    assert!(registry.for_type("file").is_ok());
    assert!(refused(&registry, "text").contains("is not a litestream-rs plugin: it holds no plugin record"));
    assert!(refused(&registry, "dir").contains("it is not a regular file"));
    assert_eq!(registry.files().len(), 3, "`plugin list` shows the bad ones too");
}

#[test]
fn a_record_without_a_library_is_not_loadable() {
    let dir = plugins(&[]);
    let json = r#"{"abi":1,"name":"kv","version":"0.1.0","sdk":"1.0.0","schemes":["kv"]}"#;
    fs::write(library(&dir, "kv"), format!("{RECORD_MAGIC}{json}\0")).unwrap();
    let registry = discover(&[&dir]);
    let text = refused(&registry, "kv");
    assert!(text.contains("cannot be loaded: ") && text.contains("for this system"), "{text}");
    assert_eq!(refused(&registry, "kv"), text, "a failed load is not tried again");
}

#[test]
fn another_abi_is_refused_with_both_versions_before_anything_is_loaded() {
    let dir = plugins(&["file"]);
    patch(&library(&dir, "file"), r#"{"abi":1,"#, r#"{"abi":9,"#);
    let text = refused(&discover(&[&dir]), "file");
    assert!(text.contains("speaks ABI 9 (SDK 1.0.0); this program speaks ABI 1\n"), "{text}");
    assert!(
        text.ends_with("install a build of the plugin \"file\" made with SDK 1.x, or a newer litestream-rs"),
        "{text}"
    );
}

#[test]
fn two_claimants_are_refused_by_both_names() {
    let (one, other) = (plugins(&["file"]), plugins(&["other"]));
    let registry = discover(&[&one, &other]);
    let text = refused(&registry, "file");
    for path in [library(&one, "file"), library(&other, "other")] {
        assert!(text.contains(&path.display().to_string()), "{path:?} is not in {text}");
    }
    assert!(registry.files().iter().all(|file| file.record.is_err()));
}

#[test]
fn one_file_met_twice_is_one_plugin() {
    let (dir, links) = (plugins(&["file"]), plugins(&[]));
    fs::hard_link(library(&dir, "file"), library(&links, "file")).unwrap();
    std::os::unix::fs::symlink(library(&dir, "file"), library(&links, "again")).unwrap();
    let registry = discover(&[&dir, &links]);
    assert_eq!(registry.files().len(), 1);
    assert!(registry.for_type("file").is_ok());
}

#[test]
fn a_library_that_contradicts_its_record_is_refused() {
    let dir = plugins(&["file"]);
    let version = env!("CARGO_PKG_VERSION");
    let other = version.replacen(|c: char| c.is_ascii_digit(), "9", 1);
    let recorded = |version: &str| format!("{RECORD_MAGIC}{{\"abi\":1,\"name\":\"file\",\"version\":\"{version}\"");
    patch(&library(&dir, "file"), &recorded(version), &recorded(&other));
    let text = refused(&discover(&[&dir]), "file");
    assert!(text.contains("contradicts its own record: version is"), "{text}");
}

/// The names of members are part of the layout; abi_stable compares them, and says it in thousands of lines.
#[test]
fn types_that_are_laid_out_otherwise_are_refused_in_two_lines() {
    let dir = plugins(&["file"]);
    patch(&library(&dir, "file"), "write_buffer_min", "write_buffer_mix");
    let text = refused(&discover(&[&dir]), "file");
    assert!(text.contains("was built with SDK 1.0.0 (ABI crate 1.0.0); its types differ"), "{text}");
}

/// Two libraries share nothing: the second one loaded is not the first one again.
#[test]
fn two_plugins_live_side_by_side() {
    let dir = plugins(&["file", "fil2"]);
    patch(&library(&dir, "fil2"), r#""name":"file""#, r#""name":"fil2""#);
    patch(&library(&dir, "fil2"), r#""schemes":["file"]"#, r#""schemes":["fil2"]"#);
    let registry = discover(&[&dir]);
    for name in ["file", "fil2"] {
        assert_eq!(registry.for_type(name).unwrap().description().name, name);
    }
}

#[test]
fn problems_and_places_come_through_the_boundary() {
    let dir = plugins(&["file"]);
    let plugin = discover(&[&dir]).for_type("file").unwrap();
    let ConfigureAnswer::Refused { problems } =
        plugin.configure(&ConfigureRequest::new().with_value("pth", "x", "f:1"))
    else {
        panic!("an unknown key was accepted")
    };
    assert!(problems.iter().any(|problem| problem.key == "pth" && problem.origin == "f:1"), "{problems:?}");

    let request = ConfigureRequest::new().with_url("file:///srv/re p!u");
    let places: Vec<String> =
        plugin.places(&configured(&plugin, &request)).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(places, ["/srv/re%20p%21u", "/srv/re p!u"]);
    let location = Location::try_from(&configured(&plugin, &request).location).unwrap();
    let database = DbPath::parse(b"\xff b.db").unwrap();
    assert_eq!(plugin.resolve(&location, &database).unwrap().to_string(), "/srv/re%20p%21u/%FF%20b.db");
    assert_eq!(plugin.resolver(&location).resolve(&database), plugin.resolve(&location, &database));
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_with_one_pool_share_one_store_and_it_works() {
    let (dir, data) = (plugins(&["file"]), tempfile::tempdir().unwrap());
    let plugin = discover(&[&dir]).for_type("file").unwrap();
    let stores = Stores::new(ByteBudget::new(16 << 20), None);
    let open = async |below: &str| {
        let request = at_path(&data.path().join(below));
        let configured = configured(&plugin, &request);
        let place = plugin.places(&configured).unwrap().remove(0);
        (stores.open(&plugin, &request, &configured).await.unwrap(), place)
    };
    let ((store, place), (again, _)) = (open("a").await, open("b").await);
    assert!(Arc::ptr_eq(&store, &again));
    assert_eq!(store.replica_type(), "file");

    let local = data.path().join("local");
    let content: Vec<u8> = (0..3 * CHUNK + 5).map(|i| (i / 7) as u8).collect();
    fs::write(&local, &content).unwrap();
    let key = place.object("ltx/0/x.ltx").unwrap();
    let source = FileSource::whole(&local).unwrap();
    let request = WriteRequest::new(key.clone(), Timestamp(5_000_000_000));
    assert_eq!(store.write(request, &source, Urgency::Background).await.unwrap().size, content.len() as u64);

    let pages = store.list(ListRequest::below(place.clone()), Urgency::Interactive).await.unwrap();
    assert_eq!(pages.try_concat().await.unwrap().len(), 1);
    let (info, body) = store.read(ReadRequest::from_offset(key.clone(), 7), Urgency::Interactive).await.unwrap();
    assert_eq!(body.collect(u64::MAX).await.unwrap(), content[7..]);
    assert_eq!(info.unwrap(), store.stat(&key, Urgency::Interactive).await.unwrap());
    assert!(store.delete(vec![key.clone()], Urgency::Background).await[0].is_ok());
    assert_eq!(store.stat(&key, Urgency::Interactive).await.unwrap_err().kind, ErrorKind::NOT_FOUND);
    assert_eq!(stores.budget().available(), 16 << 20);
    stores.close().await;
}

/// The same checks as in the plugin's own tests, but on the loaded library.
#[tokio::test(flavor = "multi_thread")]
async fn a_loaded_plugin_keeps_every_promise_of_the_contract() {
    let (dir, data) = (plugins(&["file"]), tempfile::tempdir().unwrap());
    let plugin = discover(&[&dir]).for_type("file").unwrap();
    let request = at_path(data.path());
    let configured = configured(&plugin, &request);
    let place = plugin.places(&configured).unwrap().remove(0);
    let (resolving, configuring) = (plugin.clone(), plugin.clone());
    let subject = Subject::new(plugin.open(&request).await.unwrap())
        .with_resolve(Location::try_from(&configured.location).unwrap(), move |at, db| resolving.resolve(at, db))
        .with_configure(plugin.description().clone(), request, move |request| configuring.configure(request));
    let report = run(&subject, &fresh_root(&place), &Settings::default()).await;
    assert!(report.is_ok(), "{report}");
    let panicked = report.results.iter().find(|check| check.id == "P2").unwrap();
    assert_eq!(panicked.outcome, Outcome::Ok, "a loaded library can be made to panic\n{report}");
}

/// Each library has copies of `tracing`, `log` and the panic hook of its own. What is written there has to come out here.
#[tokio::test]
async fn what_a_loaded_plugin_logs_and_panics_comes_out_in_our_log() {
    let (dir, data) = (plugins(&["file"]), tempfile::tempdir().unwrap());
    let plugin = discover(&[&dir]).for_type("file").unwrap();
    let request = at_path(data.path());
    let store = plugin.open(&request).await.unwrap();
    let log = Captured::default();
    let filtered = log.clone().with_filter(LevelFilter::INFO);
    let _listening = tracing::subscriber::set_default(tracing_subscriber::registry().with(filtered));
    store.extension(SELF_TEST_LOG, "a line of the plugin".into()).await.unwrap();
    let error = store.extension(SELF_TEST_PANIC, Bytes::new()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::PLUGIN_PANIC);

    let lines = log.0.lock().unwrap().clone();
    let text = lines.join("\n");
    assert_eq!(lines.len(), 3, "{text}");
    for line in &lines[..2] {
        assert!(line.contains("INFO") && line.contains("a line of the plugin"), "{text}");
        assert!(line.contains("plugin=\"file\"") && line.contains("from=\"sdk::self_test\""), "{text}");
    }
    assert!(lines[0].contains("through=tracing"), "{text}");
    assert!(lines[2].contains("ERROR") && lines[2].contains("panic in the plugin: "), "{text}");
    assert!(lines[2].contains("sdk/src/bridge/plugin.rs"), "where it panicked: {text}");
    assert!(store.stat(&ReplicaPath::default().object("absent").unwrap()).await.is_err(), "it still answers");
}

/// A plugin that panics is opened again by the layers, and nobody but the panicking call notices.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_loaded_plugin_costs_one_call() {
    let (dir, data) = (plugins(&["file"]), tempfile::tempdir().unwrap());
    let plugin = discover(&[&dir]).for_type("file").unwrap();
    let request = at_path(data.path());
    let stores = Stores::new(ByteBudget::new(16 << 20), None);
    let store = stores.open(&plugin, &request, &configured(&plugin, &request)).await.unwrap();
    let key = plugin.places(&configured(&plugin, &request)).unwrap().remove(0).object("a").unwrap();
    let write = async |text: &str| {
        let source = BytesSource(Bytes::copy_from_slice(text.as_bytes()));
        store.write(WriteRequest::new(key.clone(), Timestamp(1)), &source, Urgency::Background).await
    };
    write("before").await.unwrap();
    let panicked = store.layered().extension(SELF_TEST_PANIC, Bytes::new()).await;
    assert_eq!(panicked.unwrap_err().kind, ErrorKind::PLUGIN_PANIC);
    write("after!").await.unwrap();
    assert_eq!(store.stat(&key, Urgency::Interactive).await.unwrap().size, 6);
    stores.close().await;
}

/// Log lines as text: level, message and fields.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Captured {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        let mut line = event.metadata().level().to_string();
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            line.push_str(&format!(" {}={value:?}", field.name()));
        });
        self.0.lock().unwrap().push(line);
    }
}
