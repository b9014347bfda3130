//! Listings of a store that can only list one directory: a walk that holds one sorted directory for each step of depth,
//! and gives its findings page by page.

use crate::error::Result;
use crate::types::{Entry, ListMode, ListRequest, ObjectInfo, ObjectKey, Page, Pages, ReplicaPath, Time};
use async_trait::async_trait;
use futures::stream::{self, StreamExt};
use std::vec;

/// Entries in one page.
const PAGE: usize = 1000;

/// A store that lists one directory at a time.
#[async_trait]
pub trait Directories: Send + Sync + 'static {
    /// Everything in a directory, in any order; nothing if it is absent. Names that belong to nobody here (temporary
    /// ones) are left out; those that are no path segment may stay.
    ///
    /// # Errors
    /// NO_STORE, and the common ones.
    async fn read_dir(&self, dir: &ReplicaPath) -> Result<Vec<Child>>;
}

/// What a directory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Child {
    /// A directory of this name.
    Dir(Vec<u8>),
    /// An object.
    Object {
        /// Its name in the directory.
        name: Vec<u8>,
        /// Bytes.
        size: u64,
        /// The written time, as exactly as the store knows it.
        time: Time,
    },
}

impl Child {
    /// The order in which whole keys ascend: directories as if their name ended with `/`.
    fn order(&self) -> Vec<u8> {
        match self {
            Self::Dir(name) => [name, &b"/"[..]].concat(),
            Self::Object { name, .. } => name.clone(),
        }
    }
}

/// Lists in every mode, roll-up too, with one [`Directories::read_dir`] for each directory that is entered: what
/// [`Storage::list`](crate::Storage::list) promises.
///
/// # Errors
/// Those of the first directory; later ones end the stream.
pub async fn by_directory(store: impl Directories, request: ListRequest) -> Result<Pages> {
    let left = request.limit.unwrap_or(u64::MAX);
    let mut walk = Walk { store, open: Vec::new(), left, request };
    walk.enter(walk.request.prefix.clone()).await?;
    let pages = stream::try_unfold(walk, |mut walk| async move {
        let page = walk.next_page().await?;
        Ok(page.map(|page| (page, walk)))
    });
    Ok(pages.boxed())
}

struct Walk<S> {
    store: S,
    request: ListRequest,
    /// Directories entered and not finished, outermost first.
    open: Vec<Level>,
    left: u64,
}

struct Level {
    path: ReplicaPath,
    children: vec::IntoIter<Child>,
}

impl<S: Directories> Walk<S> {
    async fn next_page(&mut self) -> Result<Option<Page>> {
        let mut page = Page::new();
        while page.len() < PAGE && self.left > 0 {
            let Some(level) = self.open.last_mut() else { break };
            let Some(child) = level.children.next() else {
                self.open.pop();
                continue;
            };
            let (Child::Dir(name) | Child::Object { name, .. }) = &child;
            // What is no path segment belongs to somebody else.
            let Ok(path) = level.path.child(name) else { continue };
            let entry = match child {
                Child::Dir(name) => self.visit_dir(path, &name).await?,
                Child::Object { size, time, .. } => self.visit(&path, size, time)?,
            };
            if let Some(entry) = entry {
                page.push(entry);
                self.left -= 1;
            }
        }
        Ok(Some(page).filter(|page| !page.is_empty()))
    }

    fn visit(&self, path: &ReplicaPath, size: u64, time: Time) -> Result<Option<Entry>> {
        if self.after().is_some_and(|after| path.as_bytes() <= after) {
            return Ok(None);
        }
        Ok(Some(Entry::Object(ObjectInfo::new(ObjectKey::parse(path.as_bytes())?, size, time))))
    }

    async fn visit_dir(&mut self, path: ReplicaPath, name: &[u8]) -> Result<Option<Entry>> {
        let whole = [path.as_bytes(), b"/"].concat();
        let after_lies_inside = self.after().is_some_and(|after| after.starts_with(&whole));
        if !after_lies_inside && self.after().is_some_and(|after| whole.as_slice() <= after) {
            return Ok(None);
        }
        let stop = match &self.request.mode {
            ListMode::Recursive => false,
            ListMode::Shallow => true,
            ListMode::RollUp(marker) => name == marker.as_bytes(),
        };
        if stop {
            return Ok((!after_lies_inside).then_some(Entry::Dir(path)));
        }
        self.enter(path).await?;
        Ok(None)
    }

    fn after(&self) -> Option<&[u8]> {
        self.request.start_after.as_ref().map(ObjectKey::as_bytes)
    }

    async fn enter(&mut self, path: ReplicaPath) -> Result<()> {
        let mut children = self.store.read_dir(&path).await?;
        children.sort_by_cached_key(Child::order);
        self.open.push(Level { path, children: children.into_iter() });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::TryStreamExt;
    use std::sync::{Arc, Mutex};

    /// A tree of names, and which of its directories were read.
    #[derive(Clone, Default)]
    struct Tree(Arc<Mutex<Vec<String>>>);

    #[async_trait]
    impl Directories for Tree {
        async fn read_dir(&self, dir: &ReplicaPath) -> Result<Vec<Child>> {
            self.0.lock().unwrap().push(dir.to_string());
            let names: &[&str] = match dir.to_string().as_str() {
                "t" => &["note", "a.db/", "a-b/", "", "..", "team/"],
                "t/a.db" | "t/a-b" | "t/team/c.db" => &["ltx/"],
                "t/team" => &["c.db/"],
                "t/a.db/ltx" => &["2", "1"],
                _ => &[],
            };
            let object = |name: &str| Child::Object { name: name.into(), size: 1, time: Time::Unknown };
            let child = |name: &&str| name.strip_suffix('/').map_or_else(|| object(name), |dir| Child::Dir(dir.into()));
            Ok(names.iter().map(child).collect())
        }
    }

    async fn names(request: ListRequest) -> (Vec<String>, usize) {
        let tree = Tree::default();
        let pages: Vec<Page> = by_directory(tree.clone(), request).await.unwrap().try_collect().await.unwrap();
        let show = |entry| match entry {
            Entry::Object(info) => info.key.to_string(),
            Entry::Dir(dir) => format!("{dir}/"),
        };
        let read = tree.0.lock().unwrap().len();
        (pages.into_iter().flatten().map(show).collect(), read)
    }

    fn below(prefix: &str) -> ListRequest {
        ListRequest::below(ReplicaPath::parse(prefix).unwrap())
    }

    #[tokio::test]
    async fn each_mode_enters_what_it_needs() {
        assert_eq!(names(below("t")).await.0, ["t/a.db/ltx/1", "t/a.db/ltx/2", "t/note"]);
        let shallow = names(below("t").with_mode(ListMode::Shallow)).await;
        assert_eq!(shallow, (["t/a-b/", "t/a.db/", "t/note", "t/team/"].map(String::from).to_vec(), 1));
        let rolled = names(below("t").with_mode(ListMode::RollUp("ltx".into()))).await;
        let databases = ["t/a-b/ltx/", "t/a.db/ltx/", "t/note", "t/team/c.db/ltx/"];
        assert_eq!(rolled, (databases.map(String::from).to_vec(), 5), "nothing below a marker is read");
        assert_eq!(names(below("absent")).await.0, [""; 0]);
    }

    #[tokio::test]
    async fn start_after_and_limit_save_reading() {
        let after = |key: &str| below("t").with_start_after(ObjectKey::parse(key).unwrap());
        assert_eq!(names(after("t/a.db/ltx/1")).await.0, ["t/a.db/ltx/2", "t/note"]);
        assert_eq!(names(after("t/b").with_mode(ListMode::Shallow)).await.0, ["t/note", "t/team/"]);
        let inside = after("t/a.db/ltx").with_mode(ListMode::Shallow);
        assert_eq!(names(inside).await.0, ["t/note", "t/team/"], "the directory itself came before");
        assert_eq!(names(below("t").with_limit(1)).await.0, ["t/a.db/ltx/1"]);
        assert!(names(below("t").with_limit(0)).await.0.is_empty());
    }
}
