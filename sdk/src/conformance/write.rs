//! W1 to W6, W8, W9: an object is there whole, or not at all.

use super::catalogue::Verdict;
use super::kit::{Kit, MIB, TIME, numbered, pattern};
use super::{broken, ensure};
use crate::error::{ErrorKind, Result, StorageError};
use crate::types::{Body, Capability, Entry, ListRequest, ObjectKey, Time};
use bytes::Bytes;
use futures::stream::{self, TryStreamExt};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

pub(super) async fn round_trip(kit: &Kit) -> Result<Verdict> {
    for size in [0, 1, 4096, MIB + 1] {
        let (key, data) = (kit.key(format!("o{size}"))?, pattern(size));
        let info = kit.put(&key, data.clone()).await?;
        ensure!(info.key == key && info.size == size as u64, "write of {size} bytes reported {info:?}");
        ensure!(kit.get(&key).await? == data, "{size} bytes read back differ");
        let stat = kit.store.stat(&key).await?;
        ensure!(stat.key == key && stat.size == size as u64, "stat after a write of {size} bytes gave {stat:?}");
    }
    Ok(Verdict::Kept)
}

pub(super) async fn unknown_size(kit: &Kit) -> Result<Verdict> {
    let key = kit.key("o")?;
    kit.store.write(kit.request(&key, None), numbered(20, MIB)).await?;
    let data = kit.get(&key).await?;
    let whole = data.len() == 20 * MIB && data.chunks(MIB).enumerate().all(|(n, c)| c.iter().all(|b| *b == n as u8));
    ensure!(whole, "20 MiB of unknown size came back as {} bytes, or changed", data.len());
    Ok(Verdict::Kept)
}

pub(super) async fn wrong_length(kit: &Kit) -> Result<Verdict> {
    for (announced, chunks) in [(3, 2), (2, 3)] {
        let key = kit.key(format!("{announced}-{chunks}"))?;
        let request = kit.request(&key, Some((announced * MIB) as u64));
        let written = kit.store.write(request, numbered(chunks, MIB)).await;
        ensure!(written.is_err(), "{chunks} MiB announced as {announced} were accepted");
        kit.ensure_gone(&key).await?;
    }
    Ok(Verdict::Kept)
}

pub(super) async fn failing_body(kit: &Kit) -> Result<Verdict> {
    let key = kit.key("o")?;
    let failure = StorageError::new(ErrorKind::CORRUPT, "the source failed");
    let body = Body::new(stream::iter((0..9).map(|_| Ok(pattern(MIB))).chain([Err(failure)])));
    match kit.store.write(kit.request(&key, None), body).await {
        Ok(_) => return Err(broken("an error in the body was taken for its end")),
        Err(error) if error.kind == ErrorKind::CORRUPT => {}
        Err(error) => return Err(broken(format!("the body's error came back as {}: {error}", error.kind))),
    }
    kit.ensure_gone(&key).await?;
    Ok(Verdict::Kept)
}

/// A body that gives some megabytes, says when it is asked for more, and never answers.
fn endless(chunks: usize, asked: Arc<Notify>) -> Body {
    Body::new(stream::unfold(0, move |number| {
        let asked = asked.clone();
        async move {
            if number == chunks {
                asked.notify_one();
                pending::<()>().await;
            }
            Some((Ok(pattern(MIB)), number + 1))
        }
    }))
}

pub(super) async fn cancelled(kit: &Kit) -> Result<Verdict> {
    let (new, old) = (kit.key("new")?, kit.key("old")?);
    kit.put(&old, "before").await?;
    let chunks = kit.in_parts();
    for key in [&new, &old] {
        let asked = Arc::new(Notify::new());
        let write = kit.store.write(kit.request(key, None), endless(chunks, asked.clone()));
        let watch = async {
            asked.notified().await;
            unchanged(kit, &new, &old).await.map_err(|error| error.context("while writing"))
        };
        tokio::select! {
            ended = write => return Err(broken(format!("a write ended before its body: {ended:?}"))),
            watched = watch => watched?,
        }
        // The write is dropped here. What goes on in the background would show itself a little later.
        unchanged(kit, &new, &old).await.map_err(|error| error.context("after a cancelled write"))?;
    }
    tokio::time::sleep(kit.settle()).await;
    unchanged(kit, &new, &old).await.map_err(|error| error.context("some time after a cancelled write"))?;
    Ok(Verdict::Kept)
}

async fn unchanged(kit: &Kit, new: &ObjectKey, old: &ObjectKey) -> Result<()> {
    kit.ensure_gone(new).await?;
    ensure!(kit.get(old).await? == "before", "the older object has changed");
    let names = kit.names("").await?;
    ensure!(names == [old.to_string()], "the listing shows {names:?}");
    Ok(())
}

pub(super) async fn replace(kit: &Kit) -> Result<Verdict> {
    const SIZE: usize = 100_000;
    let key = kit.key("o")?;
    kit.put(&key, vec![b'a'; SIZE]).await?;
    let done = AtomicBool::new(false);
    let writer = async {
        for version in 0..10 {
            kit.put(&key, vec![b'b' + version; SIZE]).await?;
        }
        done.store(true, Ordering::Relaxed);
        Ok(())
    };
    let reader = async {
        while !done.load(Ordering::Relaxed) {
            match kit.get(&key).await {
                Err(error) if error.kind == ErrorKind::CONFLICT => {}
                Err(error) => return Err(error.context("reading while the object is replaced")),
                Ok(data) => {
                    let one_version = data.len() == SIZE && data.iter().all(|byte| *byte == data[0]);
                    ensure!(one_version, "a reader saw {} bytes that are no whole version", data.len());
                }
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    futures::try_join!(reader, writer)?;
    Ok(Verdict::Kept)
}

pub(super) async fn time(kit: &Kit) -> Result<Verdict> {
    let (key, capability) = (kit.key("o")?, kit.capability());
    kit.put(&key, "x").await?;
    let step = i64::try_from(capability.time_step.as_nanos()).unwrap_or(i64::MAX);
    let kept = |time| matches!(time, Time::Exact(time) if (time.0 - TIME.0).abs() < step.max(1));
    let stat = kit.store.stat(&key).await?.time;
    ensure!(kept(stat), "stat gives {stat:?} for {TIME}, with steps of {:?}", capability.time_step);
    if capability.has(Capability::LIST_TIME_EXACT) {
        let pages: Vec<Vec<Entry>> = kit.store.list(ListRequest::below(kit.dir("")?)).await?.try_collect().await?;
        let listed = pages.into_iter().flatten().next();
        ensure!(
            matches!(&listed, Some(Entry::Object(info)) if kept(info.time)),
            "LIST_TIME_EXACT is claimed, and the listing gives {listed:?}"
        );
    }
    Ok(Verdict::Kept)
}

/// Bytes of a body that the writer has and has not given back.
#[derive(Default)]
struct Lent {
    bytes: AtomicU64,
    returned: Notify,
}

struct LentChunk {
    data: Vec<u8>,
    lent: Arc<Lent>,
}

impl AsRef<[u8]> for LentChunk {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for LentChunk {
    fn drop(&mut self) {
        self.lent.bytes.fetch_sub(self.data.len() as u64, Ordering::SeqCst);
        self.lent.returned.notify_one();
    }
}

/// A body that lends at most `budget` bytes at once, as the host does, and fails when none comes back for too long.
fn lending(total: u64, chunk: u64, budget: u64, stall: Duration) -> Body {
    let lent = Arc::new(Lent::default());
    Body::new(stream::try_unfold(total, move |left| {
        let lent = lent.clone();
        async move {
            let len = chunk.min(left);
            if len == 0 {
                return Ok(None);
            }
            while lent.bytes.load(Ordering::SeqCst) + len > budget {
                if tokio::time::timeout(stall, lent.returned.notified()).await.is_err() {
                    return Err(broken(format!("the writer keeps all of its {budget} bytes and asks for more")));
                }
            }
            lent.bytes.fetch_add(len, Ordering::SeqCst);
            let data = vec![left as u8; len as usize];
            Ok(Some((Bytes::from_owner(LentChunk { data, lent }), left - len)))
        }
    }))
}

pub(super) async fn buffer(kit: &Kit) -> Result<Verdict> {
    let (least, most) = kit.capability().write_buffer.into_inner();
    ensure!(least > 0, "write_buffer begins at 0: no chunk could be lent");
    let mut budgets = vec![least, most];
    if kit.settings.full || most <= 8 * MIB as u64 {
        budgets.extend([least + (most - least) / 3, least + (most - least) / 3 * 2]);
    }
    for budget in budgets {
        let key = kit.key(format!("o{budget}"))?;
        let chunk = (MIB as u64).min(budget.div_ceil(2));
        let total = budget * 2 + chunk;
        let body = lending(total, chunk, budget, kit.settings.stall);
        let info = kit.store.write(kit.request(&key, None).with_buffer(budget), body).await?;
        ensure!(info.size == total, "{} of {total} bytes were stored", info.size);
    }
    Ok(Verdict::Kept)
}

impl Kit {
    fn settle(&self) -> Duration {
        self.settings.settle
    }
}
