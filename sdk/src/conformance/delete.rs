//! D1: deleting.

use super::kit::Kit;
use super::{Verdict, ensure};
use crate::error::Result;

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
