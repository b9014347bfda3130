//! `kv:///srv/replicas.redb?prefix=tenants`: replicas inside one file of the embedded key-value store redb.
//!
//! An object is a row in the table `names`, which points to a blob; a blob's bytes are rows in `chunks`, by offset. A
//! write fills a blob that nobody points to, and its last transaction makes the name point there: visible whole, or not
//! at all.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use litestream_sdk::futures::stream;
use litestream_sdk::*;
use redb::{Database, Durability, ReadOnlyTable, ReadableTable, TableDefinition, WriteTransaction};

/// Key to size, time and blob.
const NAMES: TableDefinition<&[u8], Row> = TableDefinition::new("names");
/// Blob and offset to bytes.
const CHUNKS: TableDefinition<(u64, u64), &[u8]> = TableDefinition::new("chunks");

type Row = (u64, i64, u64);
type Chunks = ReadOnlyTable<(u64, u64), &'static [u8]>;
type Redb<T> = std::result::Result<T, redb::Error>;

options! {
    /// Keys of a kv replica.
    pub struct KvOptions {
        /// The redb file. It is made if it does not exist; its directory must.
        file: String, [url = Path];
        /// Where databases go inside it.
        path: String = "", [location, query = "prefix"];
    }
}

/// How to get to a [`Kv`].
pub struct KvPlugin;

#[async_trait]
impl Plugin for KvPlugin {
    type Options = KvOptions;
    type Storage = Kv;

    fn locate(options: &KvOptions) -> Result<Location> {
        Ok(Location::new(ReplicaPath::clean(&options.path)?))
    }

    fn resolve(at: &Location, db: &DbPath) -> Result<ReplicaPath> {
        Ok(at.base.join(db)) // Keys are bytes: every name is a good one.
    }

    async fn open(options: KvOptions, context: Context) -> Result<Kv> {
        let (file, next) = context.blocking(move || open(&options.file).map_err(failed)).await?;
        Ok(Kv { file: Arc::new(file), next_blob: Arc::new(next), context })
    }
}

/// The open file. Each method is one transaction, on a thread that may block.
#[derive(Clone)]
pub struct Kv {
    file: Arc<Database>,
    next_blob: Arc<AtomicU64>,
    context: Context,
}

#[async_trait]
impl Storage for Kv {
    fn capability(&self) -> Capability {
        use Capability as C;
        C::new(C::IF_ABSENT | C::READ_VERSION | C::LIST_TIME_EXACT | C::ROLL_UP | C::BYTE_NAMES | C::LEADING_SLASH)
    }

    async fn list(&self, request: ListRequest) -> Result<Pages> {
        let prefix = request.prefix.as_bytes().to_vec();
        let rows = self.run(move |file| below(file, &prefix)).await?;
        let infos = rows.into_iter().filter_map(|(key, row)| Some(info(ObjectKey::parse(key).ok()?, row)));
        Ok(listing::arrange(&request, infos))
    }

    async fn stat(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        Ok(info(key.clone(), self.find(key).await?.0))
    }

    async fn read(&self, request: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
        let (row, chunks) = self.find(&request.key).await?;
        let info = info(request.key, row);
        if request.version.is_some() && request.version != info.version {
            return Err(StorageError::conflict(&info.key));
        }
        let end = request.len.map_or(info.size, |len| request.offset.saturating_add(len));
        if end > info.size || request.offset > end {
            return Err(StorageError::invalid_input(format!("{}: a range past its {} bytes", info.key, info.size)));
        }
        let pieces = stream::try_unfold((self.clone(), chunks, request.offset), move |(kv, chunks, at)| async move {
            if at == end {
                return Ok(None);
            }
            let (piece, chunks) = kv.run(move |_| Ok((piece(&chunks, row.2, at, end)?, chunks))).await?;
            let next = at + piece.len() as u64;
            Ok(Some((piece, (kv, chunks, next))))
        });
        Ok((Some(info), Body::new(pieces)))
    }

    async fn write(&self, request: WriteRequest, mut body: Body) -> Result<ObjectInfo> {
        let (blob, kv, mut size) = (self.next_blob.fetch_add(1, Ordering::Relaxed), self.clone(), 0);
        // An error, or a caller that goes away, takes the chunks with it; after a crash `open` does.
        let undo = self
            .context
            .on_drop(async move { drop(kv.run(move |file| remove_blobs(file.begin_write()?, [blob])).await) });
        while let Some(chunk) = body.next().await? {
            let at = size;
            size += chunk.len() as u64;
            self.run(move |file| append(file, (blob, at), &chunk)).await?;
        }
        let (key, row, if_absent) = (request.key.clone(), (size, request.time.0, blob), request.if_absent);
        if !self.run(move |file| name(file, &key, row, if_absent)).await? {
            return Err(StorageError::conflict(&request.key));
        }
        undo.disarm();
        Ok(info(request.key, row))
    }

    async fn delete(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
        let results = keys.iter().map(|_| Ok(())).collect(); // One transaction: all of them, or an error for all.
        self.run(move |file| remove(file, &keys)).await?;
        Ok(results)
    }
}

impl Kv {
    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&Database) -> Redb<T> + Send + 'static) -> Result<T> {
        let file = self.file.clone();
        self.context.blocking(move || work(&file).map_err(failed)).await
    }

    /// An object's row, and all chunks as they are at this moment: later changes do not show.
    async fn find(&self, key: &ObjectKey) -> Result<(Row, Chunks)> {
        let wanted = key.clone();
        let found = self.run(move |file| {
            let view = file.begin_read()?;
            let row = view.open_table(NAMES)?.get(wanted.as_bytes())?;
            Ok(row.map(|row| row.value()).zip(Some(view.open_table(CHUNKS)?)))
        });
        found.await?.ok_or_else(|| StorageError::not_found(key))
    }
}

/// Opens or makes the file, and removes the chunks that no name points to: writes that a crash ended.
fn open(path: &str) -> Redb<(Database, AtomicU64)> {
    let file = Database::create(path)?;
    let change = file.begin_write()?;
    let blobs = change.open_table(NAMES)?.iter()?.map(|row| Ok(row?.1.value().2)).collect::<Redb<HashSet<_>>>()?;
    change.open_table(CHUNKS)?.retain(|key, _| blobs.contains(&key.0))?;
    change.commit()?;
    Ok((file, AtomicU64::new(blobs.iter().max().map_or(1, |newest| newest + 1))))
}

fn below(file: &Database, prefix: &[u8]) -> Redb<Vec<(Vec<u8>, Row)>> {
    let rows = file.begin_read()?.open_table(NAMES)?.range(prefix..)?;
    let rows = rows.map(|row| row.map(|(key, row)| (key.value().to_vec(), row.value())));
    Ok(rows
        .take_while(|row| row.as_ref().map_or(true, |(key, _)| key.starts_with(prefix)))
        .collect::<Result<_, _>>()?)
}

fn append(file: &Database, place: (u64, u64), chunk: &[u8]) -> Redb<()> {
    let mut change = file.begin_write()?;
    change.set_durability(Durability::None); // It becomes durable together with the name.
    change.open_table(CHUNKS)?.insert(place, chunk)?;
    Ok(change.commit()?)
}

/// Makes a name point to its blob. False, and no change, if it exists and must not.
fn name(file: &Database, key: &ObjectKey, row: Row, if_absent: bool) -> Redb<bool> {
    let change = file.begin_write()?;
    let old = change.open_table(NAMES)?.insert(key.as_bytes(), row)?.map(|old| old.value().2);
    if if_absent && old.is_some() {
        return Ok(false);
    }
    remove_blobs(change, old)?;
    Ok(true)
}

/// Removes names with their blobs: all of them, or none.
fn remove(file: &Database, keys: &[ObjectKey]) -> Redb<()> {
    let change = file.begin_write()?;
    let mut names = change.open_table(NAMES)?;
    let old: Redb<Vec<_>> = keys.iter().map(|key| Ok(names.remove(key.as_bytes())?.map(|old| old.value().2))).collect();
    drop(names);
    remove_blobs(change, old?.into_iter().flatten())
}

/// The last step of a change: without the blobs that no name points to any more.
fn remove_blobs(change: WriteTransaction, blobs: impl IntoIterator<Item = u64>) -> Redb<()> {
    for blob in blobs {
        change.open_table(CHUNKS)?.retain_in((blob, 0)..(blob + 1, 0), |_, _| false)?;
    }
    Ok(change.commit()?)
}

/// The bytes of a blob from `at` to the end of their chunk, or to `end`.
fn piece(chunks: &Chunks, blob: u64, at: u64, end: u64) -> Redb<Bytes> {
    let (place, bytes) = chunks.range((blob, 0)..=(blob, at))?.next_back().ok_or_else(missing)??;
    let (from, to) = (at - place.value().1, end - place.value().1);
    Ok(Bytes::copy_from_slice(&bytes.value()[from as usize..bytes.value().len().min(to as usize)]))
}

fn missing() -> redb::Error {
    redb::Error::Corrupted("a chunk is missing".to_owned())
}

fn info(key: ObjectKey, (size, time, blob): Row) -> ObjectInfo {
    ObjectInfo::new(key, size, Time::Exact(Timestamp(time))).with_version(blob.to_string())
}

fn failed(error: redb::Error) -> StorageError {
    match error {
        redb::Error::Io(error) => error.into(),
        error => StorageError::permanent("the redb file").with_source(&error),
    }
}

export_plugin!(KvPlugin, name: "kv", schemes: ["kv"]);

#[cfg(test)]
litestream_sdk::conformance!(PluginExport, || {
    let file = tempfile::tempdir().unwrap().keep().join("test.redb");
    litestream_sdk::describe::ConfigureRequest::new().with_url(format!("kv://{}?prefix=a/b", file.display()))
});
