//! Makes every kind of listing from what a store can list: everything below a directory ([`arrange`]), names by prefix
//! and delimiter ([`by_delimiter`]), or one directory ([`by_directory`]).

mod by_delimiter;
mod by_directory;

pub use by_delimiter::{Names, NamesPage, NamesQuery, by_delimiter};
pub use by_directory::{Child, Directories, by_directory};

use crate::error::Result;
use crate::types::{Entry, ListMode, ListRequest, ObjectInfo, ObjectKey, Page, Pages, ReplicaPath};
use futures::stream::{self, StreamExt};
use std::collections::BTreeMap;

/// Entries in one page.
const PAGE: usize = 1000;

/// Filters, rolls up, sorts and pages: what [`Storage::list`](crate::Storage::list) promises. Objects outside the prefix
/// are left out. For stores whose listings fit in memory.
pub fn arrange(request: &ListRequest, objects: impl IntoIterator<Item = ObjectInfo>) -> Pages {
    let mut sorted = BTreeMap::new();
    for info in objects {
        if let Some((place, entry)) = entry_for(request, info) {
            sorted.entry(place).or_insert(entry); // many objects roll up to one directory
        }
    }
    let limit = request.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let mut entries = sorted.into_values().take(limit);
    let pages = std::iter::from_fn(move || {
        let page: Page = entries.by_ref().take(PAGE).collect();
        (!page.is_empty()).then_some(Result::Ok(page))
    });
    stream::iter(pages).boxed()
}

/// The line of an object and its place in the order; directories sort as if their name ended with `/`.
fn entry_for(request: &ListRequest, info: ObjectInfo) -> Option<(Vec<u8>, Entry)> {
    let below = info.key.below(&request.prefix)?;
    let Some(dir) = rolled_up(request, below) else {
        let place = info.key.as_bytes().to_vec();
        let wanted = request.start_after.as_ref().is_none_or(|after| *place > *after.as_bytes());
        return wanted.then_some((place, Entry::Object(info)));
    };
    let mut place = dir.as_bytes().to_vec();
    if place.last() != Some(&b'/') {
        place.push(b'/');
    }
    let wanted = request.start_after.as_ref().is_none_or(|after| comes_after(&dir, &place, after));
    wanted.then_some((place, Entry::Dir(dir)))
}

/// A directory comes after a name unless the name is the directory, lies in it, or lies after it.
fn comes_after(dir: &ReplicaPath, place: &[u8], after: &ObjectKey) -> bool {
    let after = after.as_bytes();
    place > after && !after.starts_with(place) && dir.as_bytes() != after
}

/// The directory that stands for an object in this listing, if one does.
fn rolled_up(request: &ListRequest, below: &[u8]) -> Option<ReplicaPath> {
    // Below the empty prefix an absolute name keeps its slash: `/` is then a directory of its own.
    let absolute = below.first() == Some(&b'/');
    let base = request.prefix.clone().with_absolute(request.prefix.is_absolute() || absolute);
    let mut segments: Vec<&[u8]> = below[usize::from(absolute)..].split(|byte| *byte == b'/').collect();
    segments.pop(); // the object's own name is no directory
    let depth = match &request.mode {
        ListMode::Recursive => return None,
        ListMode::Shallow if absolute => 0,
        ListMode::Shallow if segments.is_empty() => return None,
        ListMode::Shallow => 1,
        ListMode::RollUp(marker) => segments.iter().position(|segment| *segment == marker.as_bytes())? + 1,
    };
    segments[..depth].iter().try_fold(base, |dir, segment| dir.child(segment).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Time;
    use futures::TryStreamExt;

    async fn names(request: ListRequest) -> Vec<String> {
        let keys =
            ["t/a.db/ltx/0/1", "t/a.db/ltx/1/1", "t/a-b/ltx/0/1", "t/team/c.db/ltx/9/1", "t/note", "tt/x", "/0/x"];
        let objects = keys.map(|key| ObjectInfo::new(ObjectKey::parse(key).unwrap(), 1, Time::Unknown));
        let pages: Vec<Page> = arrange(&request, objects).try_collect().await.unwrap();
        let show = |entry| match entry {
            Entry::Object(info) => info.key.to_string(),
            Entry::Dir(dir) => format!("{dir}/"),
        };
        pages.into_iter().flatten().map(show).collect()
    }

    fn below(prefix: &str) -> ListRequest {
        ListRequest::below(ReplicaPath::parse(prefix).unwrap())
    }

    #[tokio::test]
    async fn each_mode_gives_its_entries_once() {
        let shallow = names(below("t").with_mode(ListMode::Shallow)).await;
        assert_eq!(shallow, ["t/a-b/", "t/a.db/", "t/note", "t/team/"]);
        let roll_up = names(below("t").with_mode(ListMode::RollUp("ltx".into()))).await;
        assert_eq!(roll_up, ["t/a-b/ltx/", "t/a.db/ltx/", "t/note", "t/team/c.db/ltx/"]);
        assert_eq!(names(below("t/a.db")).await, ["t/a.db/ltx/0/1", "t/a.db/ltx/1/1"]);
        assert_eq!(names(below("none")).await, [""; 0]);
    }

    #[tokio::test]
    async fn the_empty_prefix_holds_everything() {
        assert_eq!(names(below("")).await.len(), 7);
        assert_eq!(names(below("").with_mode(ListMode::Shallow)).await, ["//", "t/", "tt/"]);
        assert_eq!(names(below("/")).await, ["/0/x"]);
    }

    #[tokio::test]
    async fn start_after_is_strict_for_objects_and_directories() {
        let after =
            |mode, key: &str| names(below("t").with_mode(mode).with_start_after(ObjectKey::parse(key).unwrap()));
        assert_eq!(after(ListMode::Recursive, "t/note").await, ["t/team/c.db/ltx/9/1"]);
        assert_eq!(after(ListMode::Recursive, "t/b").await.len(), 2);
        for inside in ["t/a.db", "t/a.db/ltx", "t/a.db/zzz"] {
            assert_eq!(after(ListMode::Shallow, inside).await, ["t/note", "t/team/"], "{inside}");
        }
        assert_eq!(after(ListMode::Shallow, "t/a-b/ltx").await, ["t/a.db/", "t/note", "t/team/"]);
    }

    #[tokio::test]
    async fn the_limit_stops_early() {
        assert_eq!(names(below("t").with_limit(2)).await.len(), 2);
        assert!(names(below("t").with_limit(0)).await.is_empty());
    }
}
