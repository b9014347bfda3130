//! One upload: a temporary file beside the object, several pieces under way at once, then the rename.
//!
//! The temporary name is random: the server may still work on a cancelled write while the next one of the same object
//! begins.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use futures::stream::{FuturesUnordered, StreamExt};
use litestream_sdk::{
    Body, Bytes, Context, ObjectInfo, ObjectKey, Result, StorageError, Time, Timestamp, WriteRequest,
};

use crate::pool::Pool;
use crate::session::{Lease, PIECE, PIECES_AT_ONCE};

/// The end of every name that a listing leaves out; also of the reference's temporary files.
const SUFFIX: &str = ".tmp";

/// Whether a listing leaves this name out.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.ends_with(SUFFIX)
}

/// Writes one object.
pub(crate) async fn upload(
    pool: &Arc<Pool>,
    context: &Context,
    request: WriteRequest,
    body: Body,
    several: bool,
) -> Result<ObjectInfo> {
    let target = request.key.to_utf8()?;
    let (dir, temp) = beside(&request.key)?;
    let lease = pool.lease().await?;
    let undo = context.on_drop(remove_later(pool.clone(), lease.clone(), temp.clone()));
    let file = OpenFile::create(&lease, context, &dir, &temp).await?;
    let pieces = if several { (request.buffer / 2 / PIECE as u64).clamp(1, PIECES_AT_ONCE as u64) } else { 1 };
    let size = match file.send(body, usize::try_from(pieces).unwrap_or(1)).await {
        Ok(size) => size,
        Err(Broken::Body(error)) => return Err(error),
        Err(Broken::Server(error)) => return Err(lease.why_not_written(&dir, error).await),
    };
    let placed = async {
        file.finish(request.time).await?;
        if request.if_absent { lease.place_if_absent(&temp, target).await } else { lease.replace(&temp, target).await }
    };
    if let Err(error) = placed.await {
        return Err(lease.why_not_written(&dir, error).await);
    }
    undo.disarm();
    let time = Timestamp(request.time.0.div_euclid(1_000_000_000) * 1_000_000_000);
    Ok(ObjectInfo::new(request.key, size, Time::Exact(time)))
}

/// The directory of an object, and the name of a new temporary file in it.
fn beside(key: &ObjectKey) -> Result<(String, String)> {
    let dir = key.parent();
    let random = RandomState::new().build_hasher().finish();
    let name = format!(".litestream-rs-{}-{random:016x}{SUFFIX}", std::process::id());
    Ok((dir.to_utf8()?.to_owned(), dir.child(&name)?.to_utf8()?.to_owned()))
}

/// Removes what a failed or cancelled write has left, on its own connection if that lives: there it comes after
/// everything that the write has sent.
async fn remove_later(pool: Arc<Pool>, lease: Lease, temp: String) {
    let removed = lease.remove(&temp).await;
    if removed.is_err() && !lease.is_usable() {
        drop(lease);
        if let Ok(lease) = pool.lease().await {
            // What stays is left out of listings.
            drop(lease.remove(&temp).await);
        }
    }
}

/// Which side an upload failed on.
enum Broken {
    Body(StorageError),
    Server(StorageError),
}

/// A file on the server; closed in the background if it is dropped before its end.
pub(crate) struct OpenFile {
    lease: Lease,
    context: Context,
    path: String,
    handle: Option<String>,
}

impl OpenFile {
    async fn create(lease: &Lease, context: &Context, dir: &str, path: &str) -> Result<Self> {
        let made = match lease.create(path).await? {
            Some(handle) => Some(handle),
            None => {
                lease.make_dirs(dir).await?;
                lease.create(path).await?
            }
        };
        let missing = || StorageError::transient(format!("writing {path}: its directory went away"));
        Ok(Self::new(lease.clone(), context.clone(), path.to_owned(), made.ok_or_else(missing)?))
    }

    /// Takes an open file.
    pub fn new(lease: Lease, context: Context, path: String, handle: String) -> Self {
        Self { lease, context, path, handle: Some(handle) }
    }

    fn handle(&self) -> &str {
        self.handle.as_deref().unwrap_or_default()
    }

    /// Exactly these bytes.
    pub async fn read_exact(&self, at: u64, len: usize) -> Result<Bytes> {
        self.lease.read_exact(self.handle(), &self.path, at, len).await
    }

    /// Sends a whole body, at most so many pieces at once; gives its length.
    async fn send(&self, mut body: Body, at_once: usize) -> Result<u64, Broken> {
        let mut under_way = FuturesUnordered::new();
        let (mut at, mut rest, mut ended) = (0, Bytes::new(), false);
        loop {
            while !rest.is_empty() && under_way.len() < at_once {
                let piece = rest.split_to(rest.len().min(PIECE));
                under_way.push(self.lease.write_piece(self.handle(), &self.path, at, piece.to_vec()));
                at += piece.len() as u64;
            }
            tokio::select! {
                biased;
                Some(written) = under_way.next() => written.map_err(Broken::Server)?,
                chunk = body.next(), if rest.is_empty() && !ended => match chunk.map_err(Broken::Body)? {
                    Some(chunk) => rest = chunk,
                    None => ended = true,
                },
                else => return Ok(at),
            }
        }
    }

    /// Makes the file durable, with its time, and closes it.
    async fn finish(mut self, time: Timestamp) -> Result<()> {
        self.lease.finish(self.handle(), &self.path, time).await?;
        self.handle = None;
        Ok(())
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            let lease = self.lease.clone();
            self.context.handle().spawn(async move { lease.close(&handle).await });
        }
    }
}
