//! A fleet on a bench: real SQLite databases in a temporary directory, a store in memory, real threads. For tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use litestream_sdk::memory::MemoryStorage;
use litestream_sdk::{
    Body, Capability, DbPath, ListRequest, ObjectInfo, ObjectKey, Pages, ReadRequest, ReplicaPath, Storage,
    StorageError, WriteRequest,
};

use super::entry::Destination;
use super::*;
use crate::clock;
use crate::config::LayoutChoice;
use crate::db::DbSettings;
use crate::discovery::{DirSpec, MetaLocation, Pattern};
use crate::ltx::{Level, LtxInfo, Txid};
use crate::metrics;
use crate::plugin::{ByteBudget, Store, StoreSettings};
use crate::replica::{Layout, ReplicaClient};
use crate::restore::{self, Output, OutputRules, RestoreOptions, Target};

/// The longest a test waits for something that must happen.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A store in memory that can be switched off, and counts requests.
#[derive(Clone, Default)]
pub struct Switchable {
    pub memory: MemoryStorage,
    pub down: Arc<AtomicBool>,
    pub requests: Arc<AtomicUsize>,
    /// Snapshots do not arrive while this is set, as in a store that is slow.
    pub hold_snapshots: Arc<AtomicBool>,
    /// Snapshots that are held.
    pub held: Arc<AtomicUsize>,
    /// Copies inside the store are refused, as by stores that claim too much.
    pub refuse_copies: Arc<AtomicBool>,
    /// Copies that were made.
    pub copies: Arc<AtomicUsize>,
    /// Nothing is created conditionally, as on WebDAV. To be set before the store is opened.
    pub always_replaces: bool,
}

impl Switchable {
    fn pass(&self) -> Result<(), StorageError> {
        self.requests.fetch_add(1, SeqCst);
        if self.down.load(SeqCst) { Err(StorageError::permanent("the store is down")) } else { Ok(()) }
    }

    async fn snapshot_may_arrive(&self) {
        if self.hold_snapshots.load(SeqCst) {
            self.held.fetch_add(1, SeqCst);
            while self.hold_snapshots.load(SeqCst) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

#[async_trait]
impl Storage for Switchable {
    fn capability(&self) -> Capability {
        let mut capability = self.memory.capability();
        if self.always_replaces {
            capability.bits &= !Capability::IF_ABSENT;
        }
        capability
    }
    async fn list(&self, request: ListRequest) -> Result<Pages, StorageError> {
        self.pass()?;
        self.memory.list(request).await
    }
    async fn stat(&self, key: &ObjectKey) -> Result<ObjectInfo, StorageError> {
        self.pass()?;
        self.memory.stat(key).await
    }
    async fn read(&self, request: ReadRequest) -> Result<(Option<ObjectInfo>, Body), StorageError> {
        self.pass()?;
        self.memory.read(request).await
    }
    async fn write(&self, request: WriteRequest, body: Body) -> Result<ObjectInfo, StorageError> {
        self.pass()?;
        if request.key.to_string().contains("/9/") {
            self.snapshot_may_arrive().await;
        }
        self.memory.write(request, body).await
    }
    async fn extension(&self, operation: &str, args: Bytes) -> Result<Bytes, StorageError> {
        self.pass()?;
        if self.refuse_copies.load(SeqCst) {
            return Err(StorageError::unsupported("copies"));
        }
        if String::from_utf8_lossy(&args).contains("/9/") {
            self.snapshot_may_arrive().await;
        }
        let answer = self.memory.extension(operation, args).await?;
        self.copies.fetch_add(1, SeqCst);
        Ok(answer)
    }
    async fn delete(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<(), StorageError>>, StorageError> {
        self.pass()?;
        self.memory.delete(keys).await
    }
}

/// A destination below `base` in such a store.
pub struct TestDestination {
    store: Arc<Store>,
    base: ReplicaPath,
    pool: String,
}

impl TestDestination {
    /// Below `base` in `store`.
    pub fn new(store: Arc<Store>, base: &str) -> TestDestination {
        TestDestination { store, base: ReplicaPath::parse(base).unwrap(), pool: "m".into() }
    }
}

#[async_trait]
impl Destination for TestDestination {
    fn kind(&self) -> &str {
        "memory"
    }
    fn pool(&self) -> &str {
        &self.pool
    }
    fn resolve(&self, db: &DbPath) -> Result<ReplicaPath, StorageError> {
        let place = self.base.join(db);
        place.to_utf8()?;
        Ok(place)
    }
    async fn store(&self) -> Result<Arc<Store>, StorageError> {
        Ok(Arc::clone(&self.store))
    }
}

/// See the module.
pub struct Bench {
    pub dir: tempfile::TempDir,
    pub storage: Switchable,
    pub budget: ByteBudget,
    pub plan: LevelPlan,
    pub max_open_databases: usize,
    pub scan_interval: Duration,
}

impl Bench {
    pub fn new() -> Bench {
        log_if_wanted();
        Bench {
            dir: tempfile::tempdir().unwrap(),
            storage: Switchable::default(),
            budget: ByteBudget::new(64 << 20),
            plan: LevelPlan::off(),
            max_open_databases: 100,
            scan_interval: Duration::from_millis(300),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub async fn store(&self) -> Arc<Store> {
        let settings = StoreSettings { budget: &self.budget, max_in_flight: None, metrics: metrics::global() };
        Arc::new(Store::around("memory", Arc::new(self.storage.clone()), settings).await.unwrap())
    }

    pub async fn entry(&self, target: EntryTarget, base: &str) -> Entry {
        let destination = TestDestination::new(self.store().await, base);
        Entry {
            target,
            settings: Arc::new(DbSettings::default()),
            monitor_interval: Some(Duration::from_millis(50)),
            meta: MetaLocation::Beside,
            destination: Arc::new(destination),
            sync_interval: Duration::from_millis(20),
            max_sync_ltx_files: Some(256),
            auto_recover: false,
            layout: LayoutChoice::Auto,
        }
    }

    /// All databases directly or deeper in the directory, replicated below `r`.
    pub async fn directory(&self, watch: bool) -> Entry {
        let spec = DirSpec {
            dir: self.dir.path().to_owned(),
            written: "DIR".into(),
            pattern: Pattern::parse("*.db").unwrap(),
            exclude: Vec::new(),
            recursive: true,
            watch,
        };
        self.entry(EntryTarget::Dir(spec), "r").await
    }

    pub fn parts(&self, entries: Vec<Entry>, mode: Mode) -> FleetParts {
        FleetParts {
            entries,
            rules: JobRules { plan: self.plan.clone(), retention_enabled: true, verify: true },
            max_open_databases: self.max_open_databases,
            upload_concurrency: 8,
            scan_interval: self.scan_interval,
            mode,
            state_directory: Some(self.path("state")),
        }
    }

    /// A fleet over the directory.
    pub async fn start(&self, watch: bool) -> Fleet {
        Fleet::start(self.parts(vec![self.directory(watch).await], Mode::Continuous)).await.unwrap()
    }

    pub async fn client(&self, name: &str) -> ReplicaClient {
        let path = ReplicaPath::parse(format!("r/{name}")).unwrap();
        ReplicaClient::new(self.store().await, path, Layout::Ltx)
    }

    pub async fn files(&self, name: &str) -> Vec<LtxInfo> {
        self.client(name).await.list_all().await.unwrap()
    }

    /// Level and TXID range of each file on the replica.
    pub async fn ranges(&self, name: &str) -> Vec<(u8, u64, u64)> {
        let files = self.files(name).await;
        files.iter().map(|file| (file.level.number(), file.min_txid.0, file.max_txid.0)).collect()
    }

    /// Deletes objects behind the fleet's back.
    pub async fn delete(&self, name: &str, which: impl Fn(&LtxInfo) -> bool) {
        let files = self.files(name).await;
        let keys = files.iter().filter(|file| which(file)).map(|file| (file.level, file.file_name()));
        self.client(name).await.delete(keys).await.unwrap();
    }

    /// Restores the newest state and counts its rows. `None` while there is nothing to restore.
    pub async fn restored_rows(&self, name: &str) -> Option<i64> {
        let client = self.client(name).await;
        let files = restore::list(&client, Target::Latest).await.unwrap();
        let plan = restore::plan(&files, Target::Latest).ok()?;
        let output = self.path("restored.sqlite");
        let output = Output::check(&output, OutputRules { force: true, skip_existing: false }).unwrap().unwrap();
        restore::restore(&client, Target::Latest, plan, &output, RestoreOptions::default(), &()).await.ok()?;
        let restored = rusqlite::Connection::open(self.path("restored.sqlite")).unwrap();
        let ok: String = restored.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(ok, "ok");
        Some(restored.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap())
    }

    /// The database file after a transaction.
    pub async fn image(&self, name: &str, txid: Txid) -> Vec<u8> {
        let (client, target) = (self.client(name).await, Target::Txid(txid));
        let plan = restore::plan(&restore::list(&client, target).await.unwrap(), target).unwrap();
        let path = self.path("image.sqlite");
        let output = Output::check(&path, OutputRules { force: true, skip_existing: false }).unwrap().unwrap();
        restore::restore(&client, target, plan, &output, RestoreOptions::default(), &()).await.unwrap();
        std::fs::read(path).unwrap()
    }

    /// Waits until the replica restores to this many rows.
    pub async fn expect_rows(&self, name: &str, rows: i64) {
        let what = || format!("{name} with {rows} rows");
        until(what, async || self.restored_rows(name).await == Some(rows)).await;
    }
}

/// Waits for something that must happen.
pub async fn until(what: impl Fn() -> String, mut happened: impl AsyncFnMut() -> bool) {
    let deadline = clock::monotonic() + DEADLINE;
    while !happened().await {
        assert!(clock::monotonic() < deadline, "never came: {}", what());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// An application with its own connection.
pub struct Application(pub rusqlite::Connection);

impl Application {
    /// Opens or makes a database with a table `t`.
    pub fn open(path: &Path) -> Application {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        connection
            .execute_batch("PRAGMA journal_mode=wal; CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, x)")
            .unwrap();
        Application(connection)
    }

    /// One commit of one row.
    pub fn commit(&self) {
        self.0.execute("INSERT INTO t(x) VALUES (randomblob(200))", []).unwrap();
    }

    /// A database with this many rows that nobody has open.
    pub fn make(path: &Path, rows: usize) {
        let application = Application::open(path);
        (0..rows).for_each(|_| application.commit());
    }
}

/// Log lines on stderr, as they come.
struct Lines;

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        struct Line(String);
        impl tracing::field::Visit for Line {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0.push_str(&format!(" {field}={value:?}"));
            }
        }
        let mut line = Line(String::new());
        event.record(&mut line);
        if event.metadata().target().starts_with("litestream") {
            eprintln!("{:?} {}{}", clock::unix_time(), event.metadata().level(), line.0);
        }
    }
}

/// For a person who looks for a fault: with `FLEET_LOG` set, events go to stderr.
pub fn log_if_wanted() {
    use tracing_subscriber::prelude::*;
    if std::env::var_os("FLEET_LOG").is_some() {
        // Several tests at once may try it.
        let _ = tracing_subscriber::registry().with(Lines).try_init();
    }
}

/// How tests end a fleet.
pub fn shutdown_request() -> ShutdownRequest {
    ShutdownRequest { timeout: Duration::from_secs(20), interval: Duration::from_millis(50) }
}

/// Files of one level.
pub fn of_level(level: u8) -> impl Fn(&LtxInfo) -> bool {
    move |file| file.level == Level::new(level).unwrap()
}
