//! Listing: a walk that holds one sorted directory for each step of depth, and gives its findings page by page.
//!
//! Only regular files (also behind a symbolic link) are objects. Directories behind a symbolic link are not entered: a
//! link upwards would make the walk endless.

use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::vec;

use litestream_sdk::{Entry, ListMode, ListRequest, ObjectKey, Page, ReplicaPath, Result};

use crate::error::{failed, is_absent};
use crate::storage::{describe, on_disk};
use crate::temp;

/// Entries in one page.
const PAGE: usize = 1000;

/// A listing under way.
pub(crate) struct Walk {
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
    order: Vec<u8>,
    is_dir: bool,
}

impl Name {
    fn text(&self) -> &[u8] {
        self.order.strip_suffix(b"/").unwrap_or(&self.order)
    }
}

impl Walk {
    /// Begins a listing. An absent prefix has nothing to list.
    pub fn new(request: ListRequest) -> Result<Walk> {
        let left = request.limit.unwrap_or(u64::MAX);
        let mut walk = Walk { open: Vec::new(), left, request };
        walk.enter(walk.request.prefix.clone())?;
        Ok(walk)
    }

    /// The next entries, `None` at the end.
    pub fn next_page(&mut self) -> Result<Option<Page>> {
        let mut page = Page::new();
        while page.len() < PAGE && self.left > 0 {
            let Some(level) = self.open.last_mut() else { break };
            let Some(name) = level.names.next() else {
                self.open.pop();
                continue;
            };
            let path = level.path.child(name.text())?;
            if let Some(entry) = self.visit(path, &name)? {
                page.push(entry);
                self.left -= 1;
            }
        }
        Ok(Some(page).filter(|page| !page.is_empty()))
    }

    fn visit(&mut self, path: ReplicaPath, name: &Name) -> Result<Option<Entry>> {
        if name.is_dir {
            return self.visit_dir(path, name.text());
        }
        if self.after().is_some_and(|after| path.as_bytes() <= after) {
            return Ok(None);
        }
        let file = on_disk(path.as_bytes());
        match fs::metadata(&file) {
            Ok(metadata) if metadata.is_file() => {
                Ok(Some(Entry::Object(describe(ObjectKey::parse(path.as_bytes())?, &metadata))))
            }
            // Not ours: a pipe, a socket, a link to a directory.
            Ok(_) => Ok(None),
            // It went while we walked.
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(failed("reading", &file, error)),
        }
    }

    fn visit_dir(&mut self, path: ReplicaPath, name: &[u8]) -> Result<Option<Entry>> {
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
        self.enter(path)?;
        Ok(None)
    }

    fn after(&self) -> Option<&[u8]> {
        self.request.start_after.as_ref().map(ObjectKey::as_bytes)
    }

    fn enter(&mut self, path: ReplicaPath) -> Result<()> {
        let dir = on_disk(path.as_bytes());
        match sorted_names(&dir) {
            Ok(names) => self.open.push(Level { path, names: names.into_iter() }),
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(failed("reading the directory", &dir, error)),
        }
        Ok(())
    }
}

fn sorted_names(dir: &Path) -> io::Result<Vec<Name>> {
    let mut names =
        fs::read_dir(dir)?.filter_map(|entry| name_of(entry).transpose()).collect::<io::Result<Vec<_>>>()?;
    names.sort_unstable_by(|a, b| a.order.cmp(&b.order));
    Ok(names)
}

fn name_of(entry: io::Result<DirEntry>) -> io::Result<Option<Name>> {
    let entry = entry?;
    let name = entry.file_name();
    if temp::is_temporary(&name) {
        return Ok(None);
    }
    let is_dir = entry.file_type()?.is_dir();
    let mut order = name.as_bytes().to_vec();
    if is_dir {
        order.push(b'/');
    }
    Ok(Some(Name { order, is_dir }))
}
