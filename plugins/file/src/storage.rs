//! The store: objects are files, keys are their paths. Thin: [`crate::walk`] lists, [`crate::temp`] makes writes atomic.
//!
//! Everything that touches the disk runs on the plugin's blocking threads, one chunk at a time.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::stream;
use litestream_sdk::{
    Body, Bytes, Capability, Context, CopyRequest, ListRequest, ObjectInfo, ObjectKey, Pages, ReadRequest, Result,
    Storage, StorageError, Time, Timestamp, WriteRequest, async_trait,
};

use crate::error::{failed, is_absent, lookup};
use crate::temp::{self, Temp};
use crate::walk::Walk;

/// Bytes read at once.
const CHUNK: u64 = 1 << 20;
/// Bytes copied in one go on a blocking thread. The kernel copies them, or lets both files share them where it can.
const COPIED: u64 = 64 << 20;
/// Files deleted in one go on a blocking thread.
const DELETES: usize = 100;

/// The file system. It has no connection and no root of its own: every key is a whole path.
#[derive(Clone)]
pub struct Files {
    context: Context,
}

impl Files {
    pub(crate) fn new(context: Context) -> Files {
        Files { context }
    }
}

/// A key is a path.
pub(crate) fn on_disk(key: &[u8]) -> PathBuf {
    // The empty path is the working directory, as everywhere.
    PathBuf::from(OsStr::from_bytes(if key.is_empty() { b"." } else { key }))
}

/// What the file system knows of an object. The version changes with any write, also one that keeps size and time.
pub(crate) fn describe(key: ObjectKey, metadata: &Metadata) -> ObjectInfo {
    let nanos = |seconds: i64, nanos: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
    let modified = nanos(metadata.mtime(), metadata.mtime_nsec());
    let changed = nanos(metadata.ctime(), metadata.ctime_nsec());
    let (device, inode, size) = (metadata.dev(), metadata.ino(), metadata.size());
    let info = ObjectInfo::new(key, size, Time::Exact(Timestamp(modified)));
    info.with_version(format!("{device:x}-{inode:x}-{size:x}-{modified:x}-{changed:x}"))
}

/// Opens an object, and describes what was opened.
fn open(key: &ObjectKey) -> Result<(File, ObjectInfo)> {
    let path = on_disk(key.as_bytes());
    let absent = |error| lookup(key, &path, error);
    // Opening a pipe would wait for its writer.
    if !fs::metadata(&path).map_err(absent)?.is_file() {
        return Err(StorageError::not_found(key));
    }
    let file = File::open(&path).map_err(absent)?;
    let info = describe(key.clone(), &file.metadata().map_err(absent)?);
    Ok((file, info))
}

/// The bytes asked for, as a range of the object's own.
fn range(request: &ReadRequest, size: u64) -> Result<std::ops::Range<u64>> {
    let end = request.len.map_or(Some(size), |len| request.offset.checked_add(len));
    match end {
        Some(end) if request.offset <= end && end <= size => Ok(request.offset..end),
        _ => Err(StorageError::invalid_input(format!("{}: the range ends after its {size} bytes", request.key))),
    }
}

fn read_chunk(file: &File, path: &Path, at: u64, len: u64) -> Result<Bytes> {
    let mut chunk = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut chunk, at).map_err(|error| failed("reading", path, error))?;
    Ok(chunk.into())
}

#[async_trait]
impl Storage for Files {
    fn capability(&self) -> Capability {
        let bits = Capability::IF_ABSENT
            | Capability::READ_VERSION
            | Capability::LIST_TIME_EXACT
            | Capability::ROLL_UP
            | Capability::BYTE_NAMES
            | Capability::LEADING_SLASH
            | Capability::COPY;
        // PATH_MAX, without its NUL.
        Capability::new(bits).with_max_key(4095)
    }

    async fn list(&self, request: ListRequest) -> Result<Pages> {
        let walk = self.context.blocking(move || Walk::new(request)).await?;
        let context = self.context.clone();
        Ok(Box::pin(stream::try_unfold((walk, context), |(mut walk, context)| async move {
            let (page, walk) = context.blocking(move || Ok((walk.next_page()?, walk))).await?;
            Ok(page.map(|page| (page, (walk, context))))
        })))
    }

    async fn stat(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        let key = key.clone();
        let look = move || {
            let path = on_disk(key.as_bytes());
            let metadata = fs::metadata(&path).map_err(|error| lookup(&key, &path, error))?;
            if metadata.is_file() { Ok(describe(key, &metadata)) } else { Err(StorageError::not_found(&key)) }
        };
        self.context.blocking(look).await
    }

    async fn read(&self, request: ReadRequest) -> Result<(Option<ObjectInfo>, Body)> {
        let begin = move || {
            let (file, info) = open(&request.key)?;
            if request.version.is_some() && request.version != info.version {
                return Err(StorageError::conflict(&request.key));
            }
            let range = range(&request, info.size)?;
            Ok((file, info, range))
        };
        let (file, info, range) = self.context.blocking(begin).await?;
        let (file, path) = (Arc::new(file), Arc::new(on_disk(info.key.as_bytes())));
        let (context, size) = (self.context.clone(), range.end - range.start);
        let chunks = stream::try_unfold(range.start, move |at| {
            let (context, file, path, end) = (context.clone(), file.clone(), path.clone(), range.end);
            async move {
                if at == end {
                    return Ok(None);
                }
                let len = (end - at).min(CHUNK);
                let chunk = context.blocking(move || read_chunk(&file, &path, at, len)).await?;
                Ok(Some((chunk, at + len)))
            }
        });
        Ok((Some(info), Body::new(chunks).with_size_hint(size)))
    }

    async fn write(&self, request: WriteRequest, mut body: Body) -> Result<ObjectInfo> {
        let temp = Arc::new(Temp::beside(on_disk(request.key.as_bytes())));
        // Dropping this future, wherever it stands, cancels.
        let _cancel = CancelOnDrop(temp.clone());
        let (mut file, mut last, mut taken) = (None, None, 0);
        while let Some(chunk) = body.next().await? {
            taken += chunk.len() as u64;
            if request.size == Some(taken) && last.is_none() {
                // What completes the object is written on the same visit to the disk that finishes it.
                last = Some(chunk);
                continue;
            }
            for chunk in last.take().into_iter().chain([chunk]) {
                let (temp, key) = (temp.clone(), request.key.clone());
                file = Some(self.context.blocking(move || append(&temp, &key, file, &chunk)).await?);
            }
        }
        let complete = move || {
            let file = match last {
                Some(chunk) => Some(append(&temp, &request.key, file, &chunk)?),
                None => file,
            };
            finish(&temp, &request, file)
        };
        self.context.blocking(complete).await
    }

    async fn delete(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<()>>> {
        let mut results = Vec::with_capacity(keys.len());
        for keys in keys.chunks(DELETES) {
            let keys = keys.to_vec();
            results.extend(self.context.blocking(move || Ok(delete_all(&keys))).await?);
        }
        Ok(results)
    }

    async fn extension(&self, operation: &str, args: Bytes) -> Result<Bytes> {
        if operation != CopyRequest::OPERATION {
            return Err(StorageError::unsupported(format_args!("operation `{operation}`")));
        }
        self.copy(CopyRequest::from_args(&args)?).await.map(|()| Bytes::new())
    }
}

impl Files {
    /// A file of its own, not a second name of the first: damage to one is not damage to both.
    async fn copy(&self, request: CopyRequest) -> Result<()> {
        let CopyRequest { from, to, .. } = request;
        let temp = Arc::new(Temp::beside(on_disk(to.as_bytes())));
        let _cancel = CancelOnDrop(temp.clone());
        let (original, info) = self.context.blocking(move || open(&from)).await?;
        let (mut left, original, mut file) = (info.size, Arc::new(original), None);
        while left > 0 {
            let (temp, to, original) = (temp.clone(), to.clone(), original.clone());
            file = Some(self.context.blocking(move || append_copy(&temp, &to, file, &original)).await?);
            left = left.saturating_sub(COPIED);
        }
        let time = info.time.known().unwrap_or(Timestamp(0));
        let request = WriteRequest::new(to, time);
        self.context.blocking(move || finish(&temp, &request, file)).await.map(drop)
    }
}

struct CancelOnDrop(Arc<Temp>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Writes one chunk; the file is made with the first.
fn append(temp: &Temp, key: &ObjectKey, file: Option<File>, chunk: &[u8]) -> Result<File> {
    let written = (|| {
        let mut file = file.map_or_else(|| temp.create(), Ok)?;
        file.write_all(chunk)?;
        Ok(file)
    })();
    written.map_err(|error| failed("writing", &on_disk(key.as_bytes()), error))
}

/// Copies the next bytes of `original`.
fn append_copy(temp: &Temp, key: &ObjectKey, file: Option<File>, original: &File) -> Result<File> {
    let copied = (|| {
        let mut file = file.map_or_else(|| temp.create(), Ok)?;
        io::copy(&mut original.take(COPIED), &mut file)?;
        Ok(file)
    })();
    copied.map_err(|error| failed("writing", &on_disk(key.as_bytes()), error))
}

/// Gives the file its time, makes it durable, and then the object.
fn finish(temp: &Temp, request: &WriteRequest, file: Option<File>) -> Result<ObjectInfo> {
    let target = on_disk(request.key.as_bytes());
    let finished = (|| {
        let file = file.map_or_else(|| temp.create(), Ok)?;
        let time = request.time.to_system();
        file.set_times(FileTimes::new().set_accessed(time).set_modified(time))?;
        file.sync_all()?;
        temp.place(request.if_absent)?;
        // Only now: the rename counts as a change of the file.
        file.metadata()
    })();
    match finished {
        Ok(metadata) => Ok(describe(request.key.clone(), &metadata)),
        Err(error) if request.if_absent && error.kind() == io::ErrorKind::AlreadyExists => {
            Err(StorageError::conflict(&request.key))
        }
        Err(error) => Err(failed("writing", &target, error)),
    }
}

fn delete_all(keys: &[ObjectKey]) -> Vec<Result<()>> {
    let mut dirs = BTreeSet::new();
    let results = keys
        .iter()
        .map(|key| {
            let path = on_disk(key.as_bytes());
            let result = match fs::remove_file(&path) {
                Err(error) if is_absent(&error) || error.kind() == io::ErrorKind::IsADirectory => Ok(()),
                result => result.map_err(|error| failed("deleting", &path, error)),
            };
            dirs.insert(temp::parent(&path).to_owned());
            result
        })
        .collect();
    // Retention comes by regularly: the moment to clean up after crashes.
    dirs.iter().for_each(|dir| temp::sweep(dir));
    results
}
