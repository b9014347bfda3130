//! Listing: a walk that holds one sorted directory for each step of depth, and gives its findings page by page.
//!
//! Only regular files (also behind a symbolic link) are objects. Directories behind a symbolic link are not entered: a
//! link upwards would make the walk endless.

use std::sync::Arc;
use std::vec;

use futures::stream;
use litestream_sdk::{Entry, ListMode, ListRequest, ObjectInfo, ObjectKey, Page, Pages, ReplicaPath, Result, Time};
use russh_sftp::protocol::File;

use crate::pool::Pool;
use crate::session::Found;
use crate::upload::is_temporary;

/// Entries in one page.
const PAGE: usize = 1000;

/// What the client library puts in the place of bytes that are not UTF-8: such a file could not be opened again.
const NOT_UTF8: char = char::REPLACEMENT_CHARACTER;

/// Lists what the request asks for.
pub(crate) async fn list(pool: Arc<Pool>, request: ListRequest) -> Result<Pages> {
    let left = request.limit.unwrap_or(u64::MAX);
    let mut walk = Walk { pool, open: Vec::new(), left, request };
    walk.enter(walk.request.prefix.clone()).await?;
    Ok(Box::pin(stream::try_unfold(walk, |mut walk| async move {
        let page = walk.next_page().await?;
        Ok(page.map(|page| (page, walk)))
    })))
}

struct Walk {
    pool: Arc<Pool>,
    request: ListRequest,
    /// Directories entered and not finished, outermost first.
    open: Vec<Level>,
    left: u64,
}

struct Level {
    path: ReplicaPath,
    names: vec::IntoIter<Name>,
}

/// One name in a directory.
struct Name {
    /// With a `/` at the end of a directory's: the order in which whole keys ascend.
    order: String,
    found: Found,
    is_link: bool,
}

impl Walk {
    async fn next_page(&mut self) -> Result<Option<Page>> {
        let mut page = Page::new();
        while page.len() < PAGE && self.left > 0 {
            let Some(level) = self.open.last_mut() else { break };
            let Some(name) = level.names.next() else {
                self.open.pop();
                continue;
            };
            // What is no path segment belongs to somebody else.
            let Ok(path) = level.path.child(name.order.trim_end_matches('/')) else { continue };
            if let Some(entry) = self.visit(path, name).await? {
                page.push(entry);
                self.left -= 1;
            }
        }
        Ok(Some(page).filter(|page| !page.is_empty()))
    }

    async fn visit(&mut self, path: ReplicaPath, mut name: Name) -> Result<Option<Entry>> {
        if name.found.is_dir {
            return self.visit_dir(path, name.order.trim_end_matches('/')).await;
        }
        if self.after().is_some_and(|after| path.as_bytes() <= after) {
            return Ok(None);
        }
        if name.is_link {
            let Some(behind) = self.pool.lease().await?.find(path.to_utf8()?).await? else { return Ok(None) };
            name.found = behind;
        }
        if !name.found.is_file {
            return Ok(None);
        }
        Ok(Some(Entry::Object(describe(ObjectKey::parse(path.as_bytes())?, &name.found))))
    }

    async fn visit_dir(&mut self, path: ReplicaPath, name: &str) -> Result<Option<Entry>> {
        let whole = [path.as_bytes(), b"/"].concat();
        let after_lies_inside = self.after().is_some_and(|after| after.starts_with(&whole));
        if !after_lies_inside && self.after().is_some_and(|after| whole.as_slice() <= after) {
            return Ok(None);
        }
        let stop = match &self.request.mode {
            ListMode::Recursive => false,
            ListMode::Shallow => true,
            ListMode::RollUp(marker) => name == marker,
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

    /// A directory that is absent, or went while we walked, has nothing to list.
    async fn enter(&mut self, path: ReplicaPath) -> Result<()> {
        let entries = self.pool.lease().await?.read_dir(path.to_utf8()?).await?;
        let mut names: Vec<Name> = entries.unwrap_or_default().into_iter().filter_map(name_of).collect();
        names.sort_unstable_by(|a, b| a.order.cmp(&b.order));
        self.open.push(Level { path, names: names.into_iter() });
        Ok(())
    }
}

fn name_of(entry: File) -> Option<Name> {
    let mut order = entry.filename;
    if order == "." || order == ".." || is_temporary(&order) || order.contains(NOT_UTF8) {
        return None;
    }
    let (found, is_link) = (Found::from(&entry.attrs), entry.attrs.file_type().is_symlink());
    if found.is_dir {
        order.push('/');
    }
    Some(Name { order, found, is_link })
}

/// What the server knows of an object.
pub(crate) fn describe(key: ObjectKey, found: &Found) -> ObjectInfo {
    ObjectInfo::new(key, found.size, found.modified.map_or(Time::Unknown, Time::Exact))
}
