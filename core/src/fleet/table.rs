//! The table of databases: a slab of records, found by path and by identity.
//!
//! Directories are stored once. Knows nothing of schedules or work.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::record::{DbId, DirId, EntryId, Identity, Record};

/// A directory and the databases in it.
struct Directory {
    path: Arc<Path>,
    files: HashMap<Arc<OsStr>, DbId>,
}

/// All records.
#[derive(Default)]
pub struct Table {
    rows: Vec<Option<Record>>,
    free: Vec<u32>,
    directories: Vec<Option<Directory>>,
    free_directories: Vec<u32>,
    by_directory: HashMap<Arc<Path>, DirId>,
    by_identity: HashMap<Identity, DbId>,
}

impl Table {
    /// Adds a row for `path`, unless there is one.
    ///
    /// # Errors
    /// The row that already stands for this path.
    pub fn insert(&mut self, entry: EntryId, path: &Path, identity: Option<Identity>) -> Result<DbId, DbId> {
        if let Some(id) = self.find(path) {
            return Err(id);
        }
        let (parent, name) = split(path);
        let dir = self.intern(parent);
        let name: Arc<OsStr> = Arc::from(name);
        let record = Record::new(entry, dir, Arc::clone(&name), identity);
        let id = match self.free.pop() {
            Some(free) => {
                self.rows[free as usize] = Some(record);
                DbId(free)
            }
            None => {
                self.rows.push(Some(record));
                DbId(u32::try_from(self.rows.len() - 1).expect("four billion databases do not fit a machine"))
            }
        };
        if let Some(directory) = &mut self.directories[dir.0 as usize] {
            directory.files.insert(name, id);
        }
        if let Some(identity) = identity {
            self.by_identity.entry(identity).or_insert(id);
        }
        Ok(id)
    }

    /// Forgets a row.
    pub fn remove(&mut self, id: DbId) -> Option<Record> {
        let record = self.rows.get_mut(id.0 as usize)?.take()?;
        self.free.push(id.0);
        if let Some(identity) = record.identity {
            self.drop_identity(identity, id);
        }
        let slot = &mut self.directories[record.dir.0 as usize];
        let emptied = slot.as_mut().is_some_and(|directory| {
            directory.files.remove(&record.name);
            directory.files.is_empty()
        });
        if emptied && let Some(directory) = slot.take() {
            self.by_directory.remove(&directory.path);
            self.free_directories.push(record.dir.0);
        }
        Some(record)
    }

    /// The row of a path.
    pub fn find(&self, path: &Path) -> Option<DbId> {
        let (parent, name) = split(path);
        let dir = self.by_directory.get(parent)?;
        self.directories[dir.0 as usize].as_ref()?.files.get(name).copied()
    }

    /// The row that was first seen with this identity.
    pub fn find_identity(&self, identity: Identity) -> Option<DbId> {
        self.by_identity.get(&identity).copied()
    }

    /// Notes that another file stands at the row's path now.
    pub fn set_identity(&mut self, id: DbId, identity: Option<Identity>) {
        let Some(record) = self.get_mut(id) else { return };
        let old = std::mem::replace(&mut record.identity, identity);
        if old == identity {
            return;
        }
        if let Some(old) = old {
            self.drop_identity(old, id);
        }
        if let Some(new) = identity {
            self.by_identity.entry(new).or_insert(id);
        }
    }

    fn drop_identity(&mut self, identity: Identity, id: DbId) {
        if self.by_identity.get(&identity) == Some(&id) {
            self.by_identity.remove(&identity);
        }
    }

    /// A row.
    pub fn get(&self, id: DbId) -> Option<&Record> {
        self.rows.get(id.0 as usize)?.as_ref()
    }

    /// A row, to change. Its `identity` changes by [`Table::set_identity`] only.
    pub fn get_mut(&mut self, id: DbId) -> Option<&mut Record> {
        self.rows.get_mut(id.0 as usize)?.as_mut()
    }

    /// The full path of a row; empty if it is gone.
    pub fn path(&self, id: DbId) -> PathBuf {
        let directory = |record: &Record| self.directories[record.dir.0 as usize].as_ref().map(|d| Arc::clone(&d.path));
        let Some(record) = self.get(id) else { return PathBuf::new() };
        directory(record).map_or_else(PathBuf::new, |dir| dir.join(&*record.name))
    }

    /// All directories that hold databases.
    pub fn directories(&self) -> impl Iterator<Item = &Arc<Path>> {
        self.directories.iter().flatten().map(|directory| &directory.path)
    }

    /// All rows.
    pub fn iter(&self) -> impl Iterator<Item = (DbId, &Record)> {
        (0_u32..).zip(&self.rows).filter_map(|(n, row)| row.as_ref().map(|record| (DbId(n), record)))
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    /// True without rows.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of slots, used and free: the range a sweep walks.
    pub fn slots(&self) -> u32 {
        self.rows.len() as u32
    }

    fn intern(&mut self, path: &Path) -> DirId {
        if let Some(id) = self.by_directory.get(path) {
            return *id;
        }
        let path: Arc<Path> = Arc::from(path);
        let directory = Some(Directory { path: Arc::clone(&path), files: HashMap::new() });
        let id = match self.free_directories.pop() {
            Some(free) => {
                self.directories[free as usize] = directory;
                DirId(free)
            }
            None => {
                self.directories.push(directory);
                DirId((self.directories.len() - 1) as u32)
            }
        };
        self.by_directory.insert(path, id);
        id
    }
}

/// The directory and the name of a database file.
fn split(path: &Path) -> (&Path, &OsStr) {
    let parent = path.parent().unwrap_or_else(|| Path::new(""));
    (parent, path.file_name().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(ino: u64) -> Option<Identity> {
        Some(Identity { dev: 1, ino })
    }

    #[test]
    fn rows_are_found_by_path_and_by_identity() {
        let mut table = Table::default();
        let a = table.insert(EntryId(0), Path::new("/t/a.db"), identity(7)).unwrap();
        let b = table.insert(EntryId(0), Path::new("/t/s/a.db"), identity(8)).unwrap();
        assert_eq!(table.find(Path::new("/t/a.db")), Some(a));
        assert_eq!(table.find(Path::new("/t/s/a.db")), Some(b));
        assert_eq!(table.find(Path::new("/t/b.db")), None);
        assert_eq!(table.find_identity(Identity { dev: 1, ino: 8 }), Some(b));
        assert_eq!(table.path(b), Path::new("/t/s/a.db"));
        assert_eq!(table.insert(EntryId(1), Path::new("/t/a.db"), None), Err(a));
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn a_forgotten_row_leaves_nothing_behind() {
        let mut table = Table::default();
        let a = table.insert(EntryId(0), Path::new("/t/a.db"), identity(7)).unwrap();
        assert!(table.remove(a).is_some());
        assert!(table.remove(a).is_none());
        assert!(table.is_empty());
        assert_eq!(table.find(Path::new("/t/a.db")), None);
        assert_eq!(table.find_identity(Identity { dev: 1, ino: 7 }), None);
        assert_eq!(table.directories().count(), 0);
        let again = table.insert(EntryId(0), Path::new("/u/a.db"), identity(7)).unwrap();
        assert_eq!(again, a, "the slot is used again");
        assert_eq!(table.path(again), Path::new("/u/a.db"));
    }

    #[test]
    fn a_new_identity_replaces_the_old_one() {
        let mut table = Table::default();
        let a = table.insert(EntryId(0), Path::new("/t/a.db"), identity(7)).unwrap();
        table.set_identity(a, identity(9));
        assert_eq!(table.find_identity(Identity { dev: 1, ino: 7 }), None);
        assert_eq!(table.find_identity(Identity { dev: 1, ino: 9 }), Some(a));
    }
}
