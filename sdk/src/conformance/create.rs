//! W7, W10: creating an object only if it is not there.

use super::catalogue::Verdict;
use super::kit::{Kit, MIB, numbered};
use super::{broken, ensure};
use crate::error::{ErrorKind, Result};
use crate::types::Body;
use futures::stream::{self, StreamExt, TryStreamExt};

pub(super) async fn one_wins(kit: &Kit) -> Result<Verdict> {
    let key = kit.key("o")?;
    let create = async |creator: u8| {
        let request = kit.request(&key, Some(4)).with_if_absent(true);
        match kit.store.write(request, Body::from_bytes(vec![creator; 4])).await {
            Ok(_) => Ok(Some(creator)),
            Err(error) if error.kind == ErrorKind::CONFLICT => Ok(None),
            Err(error) => Err(error),
        }
    };
    let at_once = stream::iter((0..8).map(create)).buffer_unordered(kit.at_once(8));
    let winners: Vec<u8> = at_once.try_filter_map(async |winner| Ok(winner)).try_collect().await?;
    ensure!(winners.len() == 1, "{} of 8 creators won", winners.len());
    ensure!(kit.get(&key).await? == vec![winners[0]; 4], "the object is not the winner's");
    Ok(Verdict::Kept)
}

/// A large body takes another road in many stores (parts), which may check late, or not at all.
pub(super) async fn large_body(kit: &Kit) -> Result<Verdict> {
    let key = kit.key("o")?;
    kit.put(&key, "before").await?;
    let chunks = kit.in_parts();
    let request = kit.request(&key, None).with_if_absent(true);
    match kit.store.write(request, numbered(chunks, MIB)).await {
        Err(error) if error.kind == ErrorKind::CONFLICT => {}
        other => return Err(broken(format!("creating an object that exists, with {chunks} MiB, gave {other:?}"))),
    }
    ensure!(kit.get(&key).await? == "before", "the older object has changed");
    let names = kit.names("").await?;
    ensure!(names == [key.to_string()], "the listing shows {names:?}");

    let fresh = kit.key("fresh")?;
    let request = kit.request(&fresh, None).with_if_absent(true);
    let info = kit.store.write(request, numbered(chunks, MIB)).await?;
    ensure!(info.size == (chunks * MIB) as u64, "creating gave {info:?}");
    Ok(Verdict::Kept)
}
