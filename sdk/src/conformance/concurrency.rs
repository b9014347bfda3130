//! C1, C2: calls at once.

use super::catalogue::Verdict;
use super::kit::{Kit, pattern};
use super::{broken, ensure};
use crate::error::Result;
use crate::types::Body;
use futures::stream::{self, StreamExt, TryStreamExt};
use std::sync::Arc;
use tokio::sync::{Barrier, Semaphore};

pub(super) async fn no_mixing(kit: &Kit) -> Result<Verdict> {
    let one = async |number: u8| {
        let key = kit.key(format!("c/{number}"))?;
        kit.put(&key, vec![number; 10_000]).await?;
        ensure!(kit.get(&key).await? == vec![number; 10_000], "object {number} holds another's bytes");
        Ok(())
    };
    stream::iter((0..64).map(one)).buffer_unordered(kit.at_once(32)).try_collect::<Vec<()>>().await?;
    Ok(Verdict::Kept)
}

/// Writes that begin together and end in reverse order: no body gives its last chunk before all have been asked for it,
/// and then the last one first. A store that takes one write at a time never gets there.
pub(super) async fn any_order(kit: &Kit) -> Result<Verdict> {
    const FIRST: usize = 64 << 10; // little: on a slow line waiting must not look like a lock
    let count = kit.at_once(16);
    let everyone = Arc::new(Barrier::new(count));
    let turns: Vec<Arc<Semaphore>> = (0..count).map(|_| Arc::new(Semaphore::new(0))).collect();
    turns[count - 1].add_permits(1);
    let one = async |number: usize| {
        let (everyone, turn) = (everyone.clone(), turns[number].clone());
        let last = stream::once(async move {
            everyone.wait().await;
            let _turn = turn.acquire().await.map_err(|_| broken("the check ended early"))?;
            Ok(pattern(1))
        });
        let body = Body::new(stream::iter([Ok(pattern(FIRST))]).chain(last));
        let key = kit.key(format!("o{number}"))?;
        let info = kit.store.write(kit.request(&key, Some(FIRST as u64 + 1)), body).await?;
        ensure!(info.size == FIRST as u64 + 1, "write reported {info:?}");
        if let Some(before) = number.checked_sub(1) {
            turns[before].add_permits(1);
        }
        Ok(())
    };
    let all = futures::future::try_join_all((0..count).map(one));
    match tokio::time::timeout(kit.settings.stall, all).await {
        Ok(done) => done.map(|_| Verdict::Kept),
        Err(_) => Err(broken(format!("{count} calls at once are claimed, and some wait for others to end"))),
    }
}
