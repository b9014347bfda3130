//! R4, E2: what is made of a network that fails, and of a server that asks for mercy.

use super::catalogue::Verdict;
use super::kit::{Kit, MIB, pattern};
use super::subject::Network;
use super::surroundings::NetworkFault;
use super::{broken, ensure};
use crate::error::{ErrorKind, Result, StorageError};
use crate::storage::Storage;
use crate::types::{Body, ListRequest, ObjectKey, ReadRequest};
use futures::stream::TryStreamExt;
use std::time::Duration;
use tokio::time::timeout;

const SIZE: usize = 4 * MIB;
/// What passes before a cut: more than any header, less than the object.
const PASSES: u64 = MIB as u64 + 4321;
/// A call with one try, and perhaps one more by the client, has ended by then.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests of one call: a multipart upload is begun, sent and aborted; one try more of a client.
const REQUESTS: u64 = 6;

/// Spoils the network for the time of `work`.
async fn under<T>(network: &Network, fault: NetworkFault, work: impl Future<Output = T>) -> Result<T> {
    network.proxy.set(Some(fault)).await?;
    let done = work.await;
    network.proxy.set(None).await?;
    Ok(done)
}

fn network(kit: &Kit) -> Result<&Network> {
    kit.subject.network.as_ref().ok_or_else(|| broken("no network at hand"))
}

pub(super) async fn cut(kit: &Kit) -> Result<Verdict> {
    let network = network(kit)?;
    let mut skipped = Vec::new();
    let steps: [(&str, Result<()>); 3] = [
        ("a cut download", downloads(kit, network).await),
        ("a cut upload", uploads(kit, network).await),
        ("a refused connection", refused(kit, network).await),
    ];
    for (what, result) in steps {
        match result {
            Err(error) if error.kind == ErrorKind::UNSUPPORTED => skipped.push(what),
            other => other.map_err(|error| error.context(what))?,
        }
    }
    Ok(if skipped.is_empty() {
        Verdict::Kept
    } else {
        Verdict::HalfSkipped(format!("the proxy has no {}", skipped.join(", ")))
    })
}

async fn downloads(kit: &Kit, network: &Network) -> Result<()> {
    let (key, data) = (kit.key("download")?, pattern(SIZE));
    kit.put(&key, data.clone()).await?;
    let part = ReadRequest::range(key.clone(), 5, SIZE as u64 - 5);
    for (request, expected) in [(ReadRequest::whole(key.clone()), data.clone()), (part, data.slice(5..))] {
        let cut = NetworkFault::CutDownload { after: PASSES };
        let read = under(network, cut, read_all(&*network.storage, request.clone())).await?;
        match read {
            Ok(bytes) => ensure!(bytes == expected, "{} of {} bytes passed for all", bytes.len(), expected.len()),
            Err(error) => retryable(error)?,
        }
        // The same store, without opening it again.
        let again = recovered(|| read_all(&*network.storage, request.clone())).await?;
        ensure!(again == expected, "after it {} bytes came", again.len());
    }
    Ok(())
}

async fn uploads(kit: &Kit, network: &Network) -> Result<()> {
    let (old, new) = (kit.key("old")?, kit.key("new")?);
    kit.put(&old, "before").await?;
    let size = (kit.in_parts() * MIB).max(SIZE);
    for key in [&old, &new] {
        let cut = NetworkFault::CutUpload { after: PASSES };
        let write = network.storage.write(kit.request(key, Some(size as u64)), Body::from_bytes(pattern(size)));
        match under(network, cut, write).await? {
            // Sent in pieces, each of which passed: then it must be there.
            Ok(_) => {
                ensure!(kit.get(key).await? == pattern(size), "a write through it succeeded, and {key} is another");
                continue;
            }
            Err(error) => retryable(error)?,
        }
        tokio::time::sleep(kit.settings.settle).await;
        if key == &new {
            kit.ensure_gone(&new).await?;
        } else {
            ensure!(kit.get(&old).await? == "before", "the older object has changed");
        }
    }
    recovered(|| network.storage.write(kit.request(&new, Some(1)), Body::from_bytes("x"))).await.map(|_| ())
}

async fn refused(kit: &Kit, network: &Network) -> Result<()> {
    let key = kit.key("refused")?;
    kit.put(&key, "x").await?;
    match under(network, NetworkFault::Refuse, network.storage.stat(&key)).await? {
        Ok(_) => return Err(broken("a stat without a connection gave an answer")),
        Err(error) => retryable(error)?,
    }
    recovered(|| network.storage.stat(&key)).await.map(|_| ())
}

/// A call after the network was put right: a connection of before may be found dead first, a few of a pool.
async fn recovered<T, F: Future<Output = Result<T>>>(call: impl Fn() -> F) -> Result<T> {
    let mut tries = 0;
    loop {
        tries += 1;
        match call().await {
            Err(error) if error.kind.is_retryable() && tries < 5 => {}
            ended => return ended.map_err(|error| error.context("after it")),
        }
    }
}

/// The answer to a broken connection.
fn retryable(error: StorageError) -> Result<()> {
    ensure!(error.kind.is_retryable(), "it is taken for {}, which is not tried again: {error}", error.kind);
    Ok(())
}

async fn read_all(store: &dyn Storage, request: ReadRequest) -> Result<bytes::Bytes> {
    store.read(request).await?.1.collect(1 << 30).await
}

pub(super) async fn slow_down(kit: &Kit) -> Result<Verdict> {
    let network = network(kit)?;
    let key = kit.key("o")?;
    kit.put(&key, "x").await?;
    let store = &*network.storage;
    store.stat(&key).await?; // a connection is open
    let wait = Duration::from_secs(7);
    let fault = NetworkFault::SlowDown { retry_after: wait };
    for call in ["list", "stat", "read", "write", "delete"] {
        let before = network.proxy.requests();
        let asked = timeout(PATIENCE, one_call(kit, store, call, &key));
        let answer = match under(network, fault, asked).await {
            Err(error) if error.kind == ErrorKind::UNSUPPORTED => {
                return Ok(Verdict::HalfSkipped("this protocol has no way to ask for it".into()));
            }
            answer => answer?,
        };
        let Ok(answer) = answer else { return Err(broken(format!("{call} goes on for {PATIENCE:?}"))) };
        let Err(error) = answer else { return Err(broken(format!("{call} succeeded"))) };
        ensure!(error.kind == ErrorKind::RATE_LIMITED, "{call} gives {}: {error}", error.kind);
        ensure!(error.retry_after == Some(wait), "{call} was told {wait:?} and gives {:?}", error.retry_after);
        let requests = network.proxy.requests() - before;
        ensure!(requests <= REQUESTS, "{call} asked {requests} times");
    }
    recovered(|| store.stat(&key)).await?;
    Ok(Verdict::Kept)
}

/// One call of each kind, with an answer that has been read to its end.
pub(super) async fn one_call(kit: &Kit, store: &dyn Storage, call: &str, key: &ObjectKey) -> Result<()> {
    match call {
        "list" => store.list(ListRequest::below(kit.dir("")?)).await?.try_for_each(async |_| Ok(())).await,
        "stat" => store.stat(key).await.map(|_| ()),
        "read" => read_all(store, ReadRequest::whole(key.clone())).await.map(|_| ()),
        "write" => store.write(kit.request(key, Some(1)), Body::from_bytes("y")).await.map(|_| ()),
        _ => store.delete(vec![key.clone()]).await?.into_iter().collect(),
    }
}
