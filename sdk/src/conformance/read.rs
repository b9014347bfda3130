//! R1 to R3, R5, P1: the bytes that were asked for, or an error.

use super::catalogue::Verdict;
use super::kit::{Kit, MIB, pattern};
use super::{broken, ensure};
use crate::error::{ErrorKind, Result};
use crate::types::{Body, ListMode, ListRequest, ReadRequest};
use bytes::Bytes;
use futures::stream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) async fn ranges(kit: &Kit) -> Result<Verdict> {
    const SIZE: u64 = 100_000;
    let (key, data) = (kit.key("o")?, pattern(SIZE as usize));
    kit.put(&key, data.clone()).await?;
    let asked = |offset, len: Option<u64>| {
        let mut request = ReadRequest::from_offset(key.clone(), offset);
        request.len = len;
        request
    };
    let inside =
        [(0, Some(100)), (SIZE - 1, Some(1)), (5000, None), (0, Some(0)), (7, Some(0)), (SIZE, None), (0, None)];
    for (offset, len) in inside {
        let what = format!("offset {offset}, length {len:?}");
        let got = kit.read(asked(offset, len)).await.map_err(|error| error.context(&what))?;
        let end = len.map_or(SIZE, |len| offset + len);
        ensure!(got == data.slice(offset as usize..end as usize), "{what} gave {} bytes", got.len());
    }
    for (offset, len) in [(SIZE - 10, 500), (SIZE, 1)] {
        let past = kit.read(asked(offset, Some(len))).await;
        ensure!(past.is_err(), "offset {offset}, length {len} is past the end, and gave {past:?}");
    }
    Ok(Verdict::Kept)
}

pub(super) async fn missing(kit: &Kit) -> Result<Verdict> {
    let key = kit.key("no/such")?;
    let stat = kit.store.stat(&key).await.map(|_| ());
    let read = kit.get(&key).await.map(|_| ());
    for (call, result) in [("stat", stat), ("read", read)] {
        let right = matches!(&result, Err(error) if error.kind == ErrorKind::NOT_FOUND);
        ensure!(right, "{call} of a missing object gave {result:?}");
    }
    for mode in [ListMode::Recursive, ListMode::Shallow] {
        let names = kit.list(ListRequest::below(kit.dir("no")?).with_mode(mode)).await?;
        ensure!(names.is_empty(), "below a missing prefix are {names:?}");
    }
    Ok(Verdict::Kept)
}

/// Both contents have one size and one time, so nothing but the content tells them apart.
pub(super) async fn version(kit: &Kit) -> Result<Verdict> {
    let key = kit.key("o")?;
    let written = kit.put(&key, "first!").await?;
    let version = match written.version {
        Some(version) => Some(version),
        None => kit.store.stat(&key).await?.version,
    };
    let Some(version) = version else {
        return Err(broken("READ_VERSION is claimed, and neither write nor stat gives a version"));
    };
    let request = || ReadRequest::whole(key.clone()).with_version(&version);
    ensure!(kit.read(request()).await? == "first!", "reading with the present version gave other bytes");
    kit.put(&key, "second").await?;
    let old = kit.read(request()).await;
    let noticed = matches!(&old, Err(error) if error.kind == ErrorKind::CONFLICT);
    ensure!(noticed, "reading with a version that was replaced gave {old:?}");
    Ok(Verdict::Kept)
}

/// A reader has the first chunk when another object takes the name.
pub(super) async fn overtaken(kit: &Kit) -> Result<Verdict> {
    const SIZE: usize = 8 * MIB;
    let key = kit.key("o")?;
    kit.put(&key, vec![b'a'; SIZE]).await?;
    let (_, mut body) = kit.store.read(ReadRequest::whole(key.clone())).await?;
    let Some(first) = body.next().await? else { return Err(broken(format!("of {SIZE} bytes none came"))) };
    kit.put(&key, vec![b'b'; SIZE]).await?;
    let mut seen = vec![(first[0], first.len())];
    loop {
        match body.next().await {
            Ok(Some(chunk)) => seen.push((chunk[0], chunk.len())),
            Ok(None) => break,
            // Noticed, or the connection did not survive it: the host begins again.
            Err(error) if error.kind == ErrorKind::CONFLICT || error.kind.is_retryable() => return Ok(Verdict::Kept),
            Err(error) => return Err(error.context("reading on while the object is replaced")),
        }
    }
    let whole = seen.iter().map(|(_, len)| len).sum::<usize>() == SIZE;
    ensure!(
        whole && seen.iter().all(|(byte, _)| *byte == first[0]),
        "the object was replaced, and a reader saw {seen:?}"
    );
    Ok(Verdict::Kept)
}

const MEMORY_LIMIT_MIB: u64 = 64;

pub(super) async fn large(kit: &Kit) -> Result<Verdict> {
    let (key, size) = (kit.key("o")?, kit.settings.large_object);
    let before = resident_mib();
    let watch = Arc::new(AtomicU64::new(before));
    let seen = watch.clone();
    let block = pattern(MIB);
    // Copied, not shared: a store that keeps chunks must be seen to grow.
    let chunks = stream::iter((0..size.div_ceil(MIB as u64)).map(move |number| {
        seen.fetch_max(resident_mib(), Ordering::Relaxed);
        let len = (size - number * MIB as u64).min(MIB as u64) as usize;
        Ok(Bytes::copy_from_slice(&block[..len]))
    }));
    let info = kit.store.write(kit.request(&key, None), Body::new(chunks)).await?;
    ensure!(info.size == size, "write reported {info:?}");
    let (_, mut body) = kit.store.read(ReadRequest::whole(key)).await?;
    let mut read = 0;
    while let Some(chunk) = body.next().await? {
        read += chunk.len() as u64;
        watch.fetch_max(resident_mib(), Ordering::Relaxed);
    }
    ensure!(read == size, "{read} of {size} bytes were read");
    let grown = watch.load(Ordering::Relaxed).saturating_sub(before);
    let limit = MEMORY_LIMIT_MIB.max(2 * kit.capability().write_buffer.end() / MIB as u64);
    ensure!(grown <= limit, "the process grew by {grown} MiB, {limit} are allowed");
    Ok(Verdict::Kept)
}

/// Where the system says it; elsewhere 0, and only the lengths are judged.
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: Option<u64> =
        line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|kib| kib.trim().parse().ok());
    kib.unwrap_or(0) / 1024
}
