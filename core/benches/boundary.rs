//! What the binary boundary costs: a call, a resolved path and a chunk, on the memory store through the trait alone and
//! through the ABI; then the file plugin as a loaded library. By hand: `cargo bench -p litestream-core --bench boundary`.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use litestream_core::clock;
use litestream_sdk::bridge::HostModule;
use litestream_sdk::bridge::host::HostSettings;
use litestream_sdk::describe::ConfigureRequest;
use litestream_sdk::futures::stream;
use litestream_sdk::memory::{MemoryPlugin, MemoryStorage};
use litestream_sdk::{
    Body, Bytes, DbPath, HostServices, Location, LogLevel, MetricKind, ObjectKey, ReadRequest, ReplicaPath, Storage,
    Timestamp, WriteRequest,
};

const CALLS: u32 = 200_000;
const CHUNK: usize = 1 << 20;
const CHUNKS: u64 = 256;
const ROUNDS: usize = 5;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let direct: Arc<dyn Storage> = Arc::new(MemoryStorage::named("direct"));
        let module = HostModule::in_process::<MemoryPlugin>(Arc::new(Silent), &HostSettings::new("bench"));
        let through_abi = module.open(&ConfigureRequest::new().with_url("memory://bench")).await?;
        for (name, store) in [("trait alone", &direct), ("through the ABI", &through_abi)] {
            println!("memory store, {name}");
            calls(store).await?;
            chunks(store, ObjectKey::parse("large")?).await?;
        }
        resolve(&module)?;

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
async fn calls(store: &Arc<dyn Storage>) -> Outcome {
    let key = ObjectKey::parse("a/b.db/ltx/0/0000000000000001-0000000000000001.ltx")?;
    store.write(WriteRequest::new(key.clone(), Timestamp(1)), Body::from_bytes("x")).await?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let start = clock::monotonic();
        for _ in 0..CALLS {
            store.stat(&key).await?;
        }
        times.push(start.elapsed());
    }
    println!("  stat                      {:8.0} ns", median(times).as_nanos() as f64 / f64::from(CALLS));
    Ok(())
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
        let time = median(times);
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
    println!("  resolve                   {:8.0} ns", median(times).as_nanos() as f64 / f64::from(CALLS));
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
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
