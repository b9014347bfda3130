//! L6, L7, E1, P2: neighbours with odd names, a wrong bucket, a wrong secret, a plugin that panics.

use super::catalogue::Verdict;
use super::kit::Kit;
use super::network::one_call;
use super::surroundings::ForeignClient;
use super::{broken, ensure};
use crate::bridge::SELF_TEST_PANIC;
use crate::error::{ErrorKind, Result};
use crate::types::{ListMode, ListRequest, ObjectKey};
use bytes::Bytes;
use std::time::Duration;
use tokio::time::timeout;

/// Wrong credentials are refused by the first answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// One try, a look at the credentials again, and one more try.
const REQUESTS: u64 = 4;

pub(super) async fn foreign_names(kit: &Kit) -> Result<Verdict> {
    let Some(client) = &kit.subject.foreign else { return Err(broken("no second client at hand")) };
    let own = kit.fill(&["a/1", "b"]).await?;
    let dir = kit.dir("")?;
    let mut put = Vec::new();
    for below in ["/b", "a/", "./c", "a/../d"] {
        let name = [dir.as_bytes(), b"/", below.as_bytes()].concat();
        match client.put(&name).await {
            Ok(()) => put.push(name),
            Err(error) if error.kind == ErrorKind::UNSUPPORTED => {}
            Err(error) => return Err(error.context("putting a foreign name")),
        }
    }
    if put.is_empty() {
        return Ok(Verdict::HalfSkipped("a store of this kind has no such names".into()));
    }
    let judged = own_names_only(kit, &own).await;
    remove(&**client, &put).await?;
    judged.map(|()| Verdict::Kept)
}

async fn remove(client: &dyn ForeignClient, names: &[Vec<u8>]) -> Result<()> {
    for name in names {
        client.remove(name).await.map_err(|error| error.context("removing a foreign name"))?;
    }
    Ok(())
}

async fn own_names_only(kit: &Kit, own: &[String]) -> Result<()> {
    let mut listed = kit.names("").await.map_err(|error| error.context("listing beside foreign names"))?;
    listed.sort();
    ensure!(listed == own, "beside foreign names are listed {listed:?}");
    let shallow = ListRequest::below(kit.dir("")?).with_mode(ListMode::Shallow);
    let shallow = kit.list(shallow).await.map_err(|error| error.context("a shallow list beside foreign names"))?;
    let own_dir = format!("{}/", kit.dir("a")?);
    ensure!(shallow.contains(&own_dir) && shallow.contains(&own[1]), "a shallow list gives {shallow:?}");
    Ok(())
}

pub(super) async fn wrong_bucket(kit: &Kit) -> Result<Verdict> {
    let Some(open) = &kit.subject.wrong_bucket else { return Err(broken("no wrong bucket at hand")) };
    let store = match open().await {
        Ok(store) => super::subject::checked(store),
        Err(error) => {
            ensure!(error.kind == ErrorKind::NO_STORE, "open gives {}: {error}", error.kind);
            return Ok(Verdict::Kept);
        }
    };
    let key = kit.key("o")?;
    // Listed again after the write: it must not have made the bucket.
    for call in ["list", "write", "list"] {
        match one_call(kit, &*store, call, &key).await {
            Err(error) if error.kind == ErrorKind::NO_STORE => {}
            Err(error) => return Err(broken(format!("{call} gives {}: {error}", error.kind))),
            Ok(()) => return Err(broken(format!("{call} succeeds in a bucket that does not exist"))),
        }
    }
    for call in ["stat", "read", "delete"] {
        // Many servers say of an object what they should say of its bucket; nothing but a success misleads the host.
        let answer = one_call(kit, &*store, call, &key).await;
        ensure!(answer.is_err() || call == "delete", "{call} succeeds in a bucket that does not exist");
    }
    Ok(Verdict::Kept)
}

pub(super) async fn wrong_secret(kit: &Kit) -> Result<Verdict> {
    let Some(open) = &kit.subject.wrong_secret else { return Err(broken("no wrong secret at hand")) };
    let requests = || kit.subject.network.as_ref().map_or(0, |network| network.proxy.requests());
    let refused = |call: &str, kind: ErrorKind, text: String| {
        let said = matches!(kind, ErrorKind::UNAUTHENTICATED | ErrorKind::PERMISSION_DENIED);
        ensure!(said, "{call} gives {kind}: {text}");
        ensure!(!text.trim().is_empty(), "{call} gives no text: a person has nothing to go by");
        Ok(())
    };
    let before = requests();
    let late = |call: &str| broken(format!("{call} goes on for {PATIENCE:?}"));
    let store = match timeout(PATIENCE, open()).await.map_err(|_| late("open"))? {
        Ok(store) => super::subject::checked(store),
        Err(error) => {
            refused("open", error.kind, error.to_string())?;
            ensure!(requests() - before <= REQUESTS, "open asked {} times", requests() - before);
            return Ok(Verdict::Kept);
        }
    };
    let key: ObjectKey = kit.key("o")?;
    for call in ["list", "stat", "read", "write"] {
        let before = requests();
        match timeout(PATIENCE, one_call(kit, &*store, call, &key)).await.map_err(|_| late(call))? {
            Ok(()) => return Err(broken(format!("{call} succeeds with a wrong secret"))),
            Err(error) => refused(call, error.kind, error.to_string())?,
        }
        ensure!(requests() - before <= REQUESTS, "{call} asked {} times", requests() - before);
    }
    Ok(Verdict::Kept)
}

pub(super) async fn panic(kit: &Kit) -> Result<Verdict> {
    let key = kit.key("o")?;
    kit.put(&key, "before").await?;
    match kit.store.extension(SELF_TEST_PANIC, Bytes::new()).await {
        Err(error) if error.kind == ErrorKind::PLUGIN_PANIC => {}
        Err(error) if error.kind == ErrorKind::UNSUPPORTED => {
            return Ok(Verdict::HalfSkipped("only a loaded library can be made to panic".into()));
        }
        other => return Err(broken(format!("a call that panics gave {other:?}"))),
    }
    let after = |error: crate::StorageError| error.context("after a panic");
    ensure!(kit.get(&key).await.map_err(after)? == "before", "after a panic other bytes are read");
    kit.put(&key, "after").await.map_err(after)?;
    ensure!(kit.names("").await.map_err(after)? == [key.to_string()], "after a panic the listing is another");
    Ok(Verdict::Kept)
}
