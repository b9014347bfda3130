//! W11: a copy that the store makes by itself.

use super::catalogue::Verdict;
use super::kit::{Kit, MIB, pattern};
use super::{broken, ensure};
use crate::error::{ErrorKind, Result};
use crate::types::{CopyRequest, ObjectKey};

pub(super) async fn whole(kit: &Kit) -> Result<Verdict> {
    for size in [0, 1, MIB + 1] {
        let (from, to) = (kit.key(format!("0/a b+{size}"))?, kit.key(format!("1/a b+{size}"))?);
        kit.put(&from, pattern(size)).await?;
        copied(kit, &from, &to).await.map_err(|error| error.context(format!("a copy of {size} bytes")))?;
        ensure!(kit.get(&from).await? == pattern(size), "after a copy of {size} bytes, the original is another");
    }
    let (from, to) = (kit.key("0/new")?, kit.key("1/old")?);
    kit.put(&to, "an older, longer object").await?;
    kit.put(&from, "new").await?;
    copied(kit, &from, &to).await.map_err(|error| error.context("a copy over an older object"))?;

    match CopyRequest::new(kit.key("0/absent")?, to.clone()).send(&*kit.store).await {
        Err(error) if error.kind == ErrorKind::NOT_FOUND => {}
        other => return Err(broken(format!("a copy of an object that is not there gave {other:?}"))),
    }
    ensure!(kit.get(&to).await? == "new", "a copy that failed has changed the older object");
    Ok(Verdict::Kept)
}

async fn copied(kit: &Kit, from: &ObjectKey, to: &ObjectKey) -> Result<()> {
    CopyRequest::new(from.clone(), to.clone()).send(&*kit.store).await?;
    ensure!(kit.get(to).await? == kit.get(from).await?, "the bytes differ");
    let (original, copy) = (kit.store.stat(from).await?, kit.store.stat(to).await?);
    let time_kept = kit.capability().time_step.is_zero() || copy.time == original.time;
    ensure!(time_kept && copy.size == original.size, "stat gives {copy:?} for a copy of {original:?}");
    Ok(())
}
