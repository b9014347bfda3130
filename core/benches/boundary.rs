//! What the binary boundary costs: a call, a resolved path and a chunk, on the memory store through the trait alone,
//! inside `Checked` as every linked store is, and through the ABI; then the file plugin as a loaded library. It also
//! proves that no chunk is copied on its way. By hand: `cargo bench -p litestream-core --bench boundary`.
//!
//! What bounds a call (`stat`), beside the store itself and `Checked`: the host's boxed future (the trait), the key as bytes
//! of its own (the ABI takes nothing borrowed, so that a call can outlive its caller), the plugin's boxed future (the ABI),
//! and entering the plugin's tokio runtime: three allocations of 10 to 20 ns each, and 20 ns. The rest is moving answers,
//! whose type has room for a whole error. On the two cores of a shared machine that is 92 ns above a direct call as a host
//! makes it, inside `Checked`, and 117 ns above the bare trait, which no host calls.
//!
//! Each figure is the best of many rounds: on a machine with other work the others measure that work.

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use litestream_core::clock;
use litestream_sdk::bridge::HostModule;
use litestream_sdk::bridge::host::HostSettings;
use litestream_sdk::describe::ConfigureRequest;
use litestream_sdk::export::Exported;
use litestream_sdk::futures::stream;
use litestream_sdk::memory::{MemoryPlugin, MemoryStorage};
use litestream_sdk::{
    Body, Bytes, Capability, Checked, Context, DbPath, HostServices, ListRequest, Location, LogLevel, MetricKind,
    ObjectInfo, ObjectKey, Pages, Plugin, ReadRequest, ReplicaPath, Storage, Time, Timestamp, WriteRequest,
    async_trait, options,
};

/// The program's; a loaded library has its own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CALLS: u32 = 2_000;
const CHUNK: usize = 1 << 20;
const CHUNKS: u64 = 256;
/// Short ones, so that one of them is undisturbed.
const CALL_ROUNDS: usize = 1000;
const ROUNDS: usize = 5;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let direct: Arc<dyn Storage> = Arc::new(MemoryStorage::named("direct"));
        let module = HostModule::in_process::<MemoryPlugin>(Arc::new(Silent), &HostSettings::new("bench"));
        let through_abi = module.open(&ConfigureRequest::new().with_url("memory://bench")).await?;
        let checked: Arc<dyn Storage> = Arc::new(Checked::new(MemoryStorage::named("direct")));
        let mut costs = Vec::new();
        for (name, store) in [("trait alone", &direct), ("inside Checked", &checked), ("through the ABI", &through_abi)]
        {
            println!("memory store, {name}");
            costs.push(calls(store).await?);
            chunks(store, ObjectKey::parse("large")?).await?;
        }
        println!(
            "  a call costs {:.0} ns more than direct, {:.0} more than in Checked",
            costs[2] - costs[0],
            costs[2] - costs[1]
        );
        resolve(&module)?;
        no_copies().await?;

        println!("file plugin, loaded");
        let library = std::env::current_exe()?.with_file_name("liblitestream_plugin_file.so");
        let module = load(&library)?;
        let directory = tempfile::tempdir()?;
        let url = format!("file://{}", directory.path().display());
        let store = module.open(&ConfigureRequest::new().with_url(url)).await?;
        chunks(&store, ObjectKey::parse(directory.path().join("large").to_str().ok_or("a UTF-8 path")?)?).await
    })
}

fn load(library: &Path) -> Outcome<HostModule> {
    let module = litestream_sdk_abi::load(library).map_err(|error| format!("{}: {error}", library.display()))?;
    Ok(HostModule::new(module, Arc::new(Silent), &HostSettings::new("bench")))
}

/// One small call after another.
async fn calls(store: &Arc<dyn Storage>) -> Outcome<f64> {
    let key = ObjectKey::parse("a/b.db/ltx/0/0000000000000001-0000000000000001.ltx")?;
    store.write(WriteRequest::new(key.clone(), Timestamp(1)), Body::from_bytes("x")).await?;
    let mut times = Vec::new();
    for _ in 0..CALL_ROUNDS {
        let start = clock::monotonic();
        for _ in 0..CALLS {
            store.stat(&key).await?;
        }
        times.push(start.elapsed());
    }
    let each = best(times).as_nanos() as f64 / f64::from(CALLS);
    println!("  stat                      {each:8.0} ns");
    Ok(each)
}

/// A large object there and back, in chunks.
async fn chunks(store: &Arc<dyn Storage>, key: ObjectKey) -> Outcome {
    let size = CHUNKS * CHUNK as u64;
    let chunk = Bytes::from(vec![7; CHUNK]);
    let (mut writes, mut reads) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let chunk = chunk.clone();
        let body = Body::new(stream::iter((0..CHUNKS).map(move |_| Ok(chunk.clone()))));
        let start = clock::monotonic();
        store.write(WriteRequest::new(key.clone(), Timestamp(1)).with_size(size), body).await?;
        writes.push(start.elapsed());

        let start = clock::monotonic();
        let (_, mut body) = store.read(ReadRequest::whole(key.clone())).await?;
        let mut read = 0;
        while let Some(chunk) = body.next().await? {
            read += chunk.len() as u64;
        }
        reads.push(start.elapsed());
        assert_eq!(read, size, "every byte comes back");
    }
    for (what, times) in [("write", writes), ("read", reads)] {
        let time = best(times);
        let (speed, each) = (size as f64 / time.as_secs_f64() / 1e9, time.as_nanos() as f64 / CHUNKS as f64);
        // Chunks that are lent and not copied have a cost, but no speed.
        let speed = if speed < 100.0 { format!(", {speed:.2} GB/s") } else { String::new() };
        println!("  {what:<5} in 1 MiB chunks     {each:8.0} ns a chunk{speed}");
    }
    Ok(())
}

/// The places of databases, as at the start of a large fleet.
fn resolve(module: &HostModule) -> Outcome {
    let resolver = module.resolver(&Location::new(ReplicaPath::clean("backups/prod")?));
    let databases = (0..CALLS).map(|number| DbPath::parse(format!("region-{}/tenant-{number}.db", number % 97)));
    let databases: Vec<DbPath> = databases.collect::<Result<_, _>>()?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let start = clock::monotonic();
        for database in &databases {
            resolver.resolve(database)?;
        }
        times.push(start.elapsed());
    }
    println!("  resolve                   {:8.0} ns", best(times).as_nanos() as f64 / f64::from(CALLS));
    Ok(())
}

fn best(times: Vec<Duration>) -> Duration {
    times.into_iter().min().unwrap_or_default()
}

/// Sends chunks through the boundary and back, and compares where they lie.
async fn no_copies() -> Outcome {
    let module = HostModule::in_process::<Keeper>(Arc::new(Silent), &HostSettings::new("bench"));
    let store = module.open(&ConfigureRequest::new()).await?;
    let sent: Vec<Bytes> = (0..4).map(|number| Bytes::from(vec![number; CHUNK])).collect();
    let key = ObjectKey::parse("kept")?;
    let body = Body::new(stream::iter(sent.clone().into_iter().map(Ok)));
    store.write(WriteRequest::new(key.clone(), Timestamp(1)), body).await?;
    let (_, mut body) = store.read(ReadRequest::whole(key)).await?;
    for chunk in &sent {
        let back = body.next().await?.ok_or("a chunk is missing")?;
        assert_eq!(back.as_ptr(), chunk.as_ptr(), "a chunk was copied on its way");
    }
    println!("  chunks lie in the plugin, and after their way back, where they lay before: none was copied");
    Ok(())
}

/// A plugin that keeps the chunks of the last write as they came.
#[derive(Default)]
struct Keeper(Mutex<Vec<Bytes>>);

options! {
    struct NoKeys {}
}

#[async_trait]
impl Plugin for Keeper {
    type Options = NoKeys;
    type Storage = Keeper;
    fn locate(_: &NoKeys) -> litestream_sdk::Result<Location> {
        Ok(Location::default())
    }
    async fn open(_: NoKeys, _: Context) -> litestream_sdk::Result<Keeper> {
        Ok(Keeper::default())
    }
}

impl Exported for Keeper {
    type Plugin = Self;
    const NAME: &'static str = "keeper";
    const RECORD: &'static str = "{}";
}

impl Keeper {
    fn chunks(&self) -> MutexGuard<'_, Vec<Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn info(&self, key: ObjectKey) -> ObjectInfo {
        ObjectInfo::new(key, self.chunks().iter().map(|chunk| chunk.len() as u64).sum(), Time::Unknown)
    }
}

#[async_trait]
impl Storage for Keeper {
    fn capability(&self) -> Capability {
        Capability::default()
    }
    async fn list(&self, _: ListRequest) -> litestream_sdk::Result<Pages> {
        Ok(Box::pin(stream::empty()))
    }
    async fn stat(&self, key: &ObjectKey) -> litestream_sdk::Result<ObjectInfo> {
        Ok(self.info(key.clone()))
    }
    async fn read(&self, request: ReadRequest) -> litestream_sdk::Result<(Option<ObjectInfo>, Body)> {
        let chunks = self.chunks().clone();
        Ok((Some(self.info(request.key)), Body::new(stream::iter(chunks.into_iter().map(Ok)))))
    }
    async fn write(&self, request: WriteRequest, mut body: Body) -> litestream_sdk::Result<ObjectInfo> {
        let mut chunks = Vec::new();
        while let Some(chunk) = body.next().await? {
            chunks.push(chunk);
        }
        *self.chunks() = chunks;
        Ok(self.info(request.key))
    }
    async fn delete(&self, keys: Vec<ObjectKey>) -> litestream_sdk::Result<Vec<litestream_sdk::Result<()>>> {
        Ok(keys.iter().map(|_| Ok(())).collect())
    }
}

/// A host that wants to hear nothing.
struct Silent;

impl HostServices for Silent {
    fn enabled(&self, _: LogLevel, _: &str) -> bool {
        false
    }
    fn log(&self, _: LogLevel, _: &str, _: &str, _: &[(&str, &str)]) {}
    fn metric(&self, _: MetricKind, _: &str, _: &[(&str, &str)], _: f64) {}
}
