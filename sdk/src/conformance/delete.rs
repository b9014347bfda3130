//! D1, D2: deleting.

use super::catalogue::Verdict;
use super::kit::Kit;
use super::{broken, ensure};
use crate::error::Result;
use crate::types::ObjectKey;

pub(super) async fn results(kit: &Kit) -> Result<Verdict> {
    kit.fill(&["d/1", "d/2", "d/3"]).await?;
    let keys = vec![kit.key("d/1")?, kit.key("d/missing")?, kit.key("d/3")?];
    for round in ["the first time", "again"] {
        for batch in keys.chunks(kit.capability().delete_batch.max(1) as usize) {
            let results = kit.store.delete(batch.to_vec()).await?;
            ensure!(results.iter().all(Result::is_ok), "{round}: deleting {batch:?} gave {results:?}");
        }
    }
    for key in &keys {
        kit.ensure_gone(key).await?;
    }
    let left = kit.names("d").await?;
    ensure!(left == [kit.key("d/2")?.to_string()], "left are {left:?}");
    Ok(Verdict::Kept)
}

pub(super) async fn one_fails(kit: &Kit) -> Result<Verdict> {
    let Some(locks) = &kit.subject.locks else { return Err(broken("no locks at hand")) };
    kit.fill(&["d/1", "d/2", "d/3"]).await?;
    let keys = vec![kit.key("d/1")?, kit.key("d/2")?, kit.key("d/3")?];
    locks.lock(&keys[1]).await.map_err(|error| error.context("locking a key"))?;
    let judged = spares_the_others(kit, &keys).await;
    locks.unlock(&keys[1]).await.map_err(|error| error.context("unlocking a key"))?;
    judged?;
    for result in kit.store.delete(vec![keys[1].clone()]).await? {
        result.map_err(|error| error.context("deleting a key that is locked no more"))?;
    }
    kit.ensure_gone(&keys[1]).await?;
    Ok(Verdict::Kept)
}

async fn spares_the_others(kit: &Kit, keys: &[ObjectKey]) -> Result<()> {
    let mut results = Vec::new();
    for batch in keys.chunks(kit.capability().delete_batch.max(1) as usize) {
        let answer = kit.store.delete(batch.to_vec()).await;
        results.extend(answer.map_err(|error| error.context("one locked key fails the whole delete"))?);
    }
    let as_it_is = [true, false, true];
    ensure!(results.iter().map(Result::is_ok).eq(as_it_is), "with the second key locked, a delete gave {results:?}");
    kit.ensure_gone(&keys[0]).await?;
    kit.ensure_gone(&keys[2]).await?;
    kit.store.stat(&keys[1]).await.map(|_| ()).map_err(|error| error.context("the locked key"))
}
