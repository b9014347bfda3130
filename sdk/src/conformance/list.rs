//! L1 to L5: a listing names everything, once, and in order where order is promised.

use super::catalogue::Verdict;
use super::ensure;
use super::kit::Kit;
use crate::error::Result;
use crate::types::{Capability, ListMode, ListRequest};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::BTreeSet;

pub(super) async fn order(kit: &Kit) -> Result<Verdict> {
    let expected = kit.fill(&["a/b", "a-b", "a.db/x", "a0", "aa", "Z", "ü/1", "b/2", "b/10"]).await?;
    let mut listed = kit.names("").await?;
    let parent = |name: &str| name.rsplit_once('/').map(|(dir, _)| dir.to_owned());
    for dir in listed.iter().map(|name| parent(name)).collect::<BTreeSet<_>>() {
        let inside = listed.iter().filter(|name| parent(name) == dir);
        ensure!(inside.is_sorted(), "the objects of {} are not in byte order: {listed:?}", dir.unwrap_or_default());
    }
    listed.sort();
    ensure!(listed == expected, "listed are {listed:?}");
    Ok(Verdict::Kept)
}

pub(super) async fn start_after(kit: &Kit) -> Result<Verdict> {
    let all = kit.fill(&["l/1", "l/2", "l/3", "m/1"]).await?;
    for (after, left) in [("l/2", 2), ("l/25", 2), ("l/0", 4), ("m/1", 0)] {
        let request = ListRequest::below(kit.dir("")?).with_start_after(kit.key(after)?);
        let mut listed = kit.list(request).await?;
        listed.sort();
        ensure!(listed == all[all.len() - left..], "after {after} are {listed:?}");
    }
    Ok(Verdict::Kept)
}

pub(super) async fn prefix(kit: &Kit) -> Result<Verdict> {
    kit.fill(&["p/a/1", "p/ab/1", "p/a0", "p/a.db/2"]).await?;
    let listed = kit.names("p/a").await?;
    ensure!(listed == [kit.key("p/a/1")?.to_string()], "below p/a are {listed:?}");
    Ok(Verdict::Kept)
}

pub(super) async fn directories(kit: &Kit) -> Result<Verdict> {
    kit.fill(&["t/a.db/ltx/0/1", "t/a.db/ltx/1/1", "t/b.db/ltx/0/1", "t/team/c.db/ltx/9/1", "t/note"]).await?;
    let top = kit.dir("t")?;
    let list = async |mode| -> Result<Vec<String>> {
        let mut listed = kit.list(ListRequest::below(top.clone()).with_mode(mode)).await?;
        listed.sort();
        Ok(listed)
    };
    let below_top = |names: [&str; 4]| names.map(|name| format!("{top}/{name}"));
    let shallow = list(ListMode::Shallow).await?;
    ensure!(shallow == below_top(["a.db/", "b.db/", "note", "team/"]), "a shallow list gave {shallow:?}");
    if !kit.capability().has(Capability::ROLL_UP) {
        return Ok(Verdict::HalfSkipped("roll-up not claimed: ROLL_UP".into()));
    }
    let rolled = list(ListMode::RollUp("ltx".into())).await?;
    let expected = below_top(["a.db/ltx/", "b.db/ltx/", "note", "team/c.db/ltx/"]);
    ensure!(rolled == expected, "a roll-up at ltx gave {rolled:?}");
    Ok(Verdict::Kept)
}

pub(super) async fn pages(kit: &Kit) -> Result<Verdict> {
    let count = if kit.settings.full { 2500 } else { 1100 };
    let put = async |number: usize| kit.put(&kit.key(format!("n/{number:05}"))?, "x").await.map(|_| ());
    stream::iter((0..count).map(put)).buffer_unordered(kit.at_once(32)).try_collect::<Vec<()>>().await?;
    let listed = kit.names("n").await?;
    ensure!(listed.len() == count && listed.is_sorted(), "{} of {count} listed, or out of order", listed.len());
    Ok(Verdict::Kept)
}
