//! The table of databases: a slab of records, found by path and by identity.
//!
//! Directories are stored once, and the indexes hold row numbers only: of 100,000 databases, each in a directory of its
//! own, every byte here is paid 100,000 times. Knows nothing of schedules or work.

use std::ffi::OsStr;
use std::hash::{BuildHasher, Hash, RandomState};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hashbrown::HashTable;

use super::record::{DbId, DirId, EntryId, Identity, Record};

/// A directory with databases in it.
struct Directory {
    path: Arc<Path>,
    /// How many.
    files: u32,
}

/// All records.
#[derive(Default)]
pub struct Table {
    rows: Vec<Option<Record>>,
    /// How many rows each slot had before the one it has, or has next.
    lives: Vec<u32>,
    free: Vec<u32>,
    directories: Vec<Option<Directory>>,
    free_directories: Vec<u32>,
    /// Slots, by directory and name.
    by_name: HashTable<u32>,
    by_directory: HashTable<DirId>,
    /// Slots.
    by_identity: HashTable<u32>,
    hasher: RandomState,
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
        let record = Record::new(entry, dir, Box::from(name), None);
        let slot = match self.free.pop() {
            Some(free) => {
                self.rows[free as usize] = Some(record);
                free
            }
            None => {
                self.rows.push(Some(record));
                self.lives.push(0);
                u32::try_from(self.rows.len() - 1).expect("four billion databases do not fit a machine")
            }
        };
        let id = self.id(slot);
        if let Some(directory) = &mut self.directories[dir.0 as usize] {
            directory.files += 1;
        }
        let hash = self.hash(&(dir.0, name));
        let (rows, hasher) = (&self.rows, &self.hasher);
        let rehash = |slot: &u32| row(rows, *slot).map_or(0, |record| hasher.hash_one((record.dir.0, &*record.name)));
        self.by_name.insert_unique(hash, slot, rehash);
        self.set_identity(id, identity);
        Ok(id)
    }

    /// Forgets a row.
    pub fn remove(&mut self, id: DbId) -> Option<Record> {
        self.set_identity(id, None);
        let hash = self.get(id).map(|record| self.hash(&(record.dir.0, &*record.name)))?;
        if let Ok(found) = self.by_name.find_entry(hash, |slot| *slot == id.slot) {
            found.remove();
        }
        let record = self.rows.get_mut(id.slot as usize)?.take()?;
        self.lives[id.slot as usize] += 1;
        self.free.push(id.slot);
        let slot = &mut self.directories[record.dir.0 as usize];
        let emptied = slot.as_mut().is_some_and(|directory| {
            directory.files -= 1;
            directory.files == 0
        });
        if emptied && let Some(directory) = slot.take() {
            let hash = self.hash(&directory.path);
            if let Ok(found) = self.by_directory.find_entry(hash, |other| *other == record.dir) {
                found.remove();
            }
            self.free_directories.push(record.dir.0);
        }
        Some(record)
    }

    /// The row of a path.
    pub fn find(&self, path: &Path) -> Option<DbId> {
        let (parent, name) = split(path);
        let dir = self.find_directory(parent)?;
        let is_it = |slot: &u32| row(&self.rows, *slot).is_some_and(|row| row.dir == dir && *row.name == *name);
        self.by_name.find(self.hash(&(dir.0, name)), is_it).map(|slot| self.id(*slot))
    }

    /// The row that was first seen with this identity.
    pub fn find_identity(&self, identity: Identity) -> Option<DbId> {
        let is_it = |slot: &u32| row(&self.rows, *slot).is_some_and(|row| row.identity == Some(identity));
        self.by_identity.find(self.hash(&identity), is_it).map(|slot| self.id(*slot))
    }

    /// Notes that another file stands at the row's path now.
    pub fn set_identity(&mut self, id: DbId, identity: Option<Identity>) {
        let Some(old) = self.get(id).map(|record| record.identity).filter(|old| *old != identity) else { return };
        if let Some(old) = old {
            let hash = self.hash(&old);
            if let Ok(found) = self.by_identity.find_entry(hash, |slot| *slot == id.slot) {
                found.remove();
            }
        }
        if let Some(record) = self.get_mut(id) {
            record.identity = identity;
        }
        // The first one keeps it: what else has this identity is another name of the same file.
        if let Some(new) = identity
            && self.find_identity(new).is_none()
        {
            let hash = self.hash(&new);
            let (rows, hasher) = (&self.rows, &self.hasher);
            let identity_of = |slot: &u32| row(rows, *slot).and_then(|record| record.identity);
            let rehash = |slot: &u32| identity_of(slot).map_or(0, |one| hasher.hash_one(one));
            self.by_identity.insert_unique(hash, id.slot, rehash);
        }
    }

    /// A row.
    pub fn get(&self, id: DbId) -> Option<&Record> {
        row(&self.rows, id.slot).filter(|_| self.id(id.slot) == id)
    }

    /// A row, to change. Its `identity` changes by [`Table::set_identity`] only.
    pub fn get_mut(&mut self, id: DbId) -> Option<&mut Record> {
        if self.lives.get(id.slot as usize) != Some(&id.life) {
            return None;
        }
        self.rows.get_mut(id.slot as usize)?.as_mut()
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
        let slots = (0_u32..).zip(&self.rows);
        slots.filter_map(|(slot, row)| row.as_ref().map(|record| (self.id(slot), record)))
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

    /// The rows of some slots.
    pub fn within(&self, slots: Range<u32>) -> impl Iterator<Item = (DbId, &Record)> {
        slots.filter_map(|slot| row(&self.rows, slot).map(|record| (self.id(slot), record)))
    }

    /// The id of the row that a slot has, or has next.
    fn id(&self, slot: u32) -> DbId {
        DbId { slot, life: self.lives.get(slot as usize).copied().unwrap_or_default() }
    }

    fn find_directory(&self, path: &Path) -> Option<DirId> {
        let is_it = |id: &DirId| directory(&self.directories, *id).is_some_and(|directory| *directory.path == *path);
        self.by_directory.find(self.hash(&path), is_it).copied()
    }

    fn intern(&mut self, path: &Path) -> DirId {
        if let Some(id) = self.find_directory(path) {
            return id;
        }
        let added = Some(Directory { path: Arc::from(path), files: 0 });
        let id = match self.free_directories.pop() {
            Some(free) => {
                self.directories[free as usize] = added;
                DirId(free)
            }
            None => {
                self.directories.push(added);
                DirId((self.directories.len() - 1) as u32)
            }
        };
        let hash = self.hash(&path);
        let (directories, hasher) = (&self.directories, &self.hasher);
        let rehash = |id: &DirId| directory(directories, *id).map_or(0, |directory| hasher.hash_one(&*directory.path));
        self.by_directory.insert_unique(hash, id, rehash);
        id
    }

    fn hash(&self, value: &impl Hash) -> u64 {
        self.hasher.hash_one(value)
    }
}

fn row(rows: &[Option<Record>], slot: u32) -> Option<&Record> {
    rows.get(slot as usize)?.as_ref()
}

fn directory(directories: &[Option<Directory>], id: DirId) -> Option<&Directory> {
    directories.get(id.0 as usize)?.as_ref()
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
        assert_eq!((again.slot, table.slots()), (a.slot, 1), "the slot is used again");
        assert_ne!(again, a, "the id is not");
        assert_eq!(table.path(again), Path::new("/u/a.db"));
        assert!(table.get(a).is_none() && table.get_mut(a).is_none() && table.remove(a).is_none());
        table.set_identity(a, identity(9));
        assert_eq!(table.find_identity(Identity { dev: 1, ino: 7 }), Some(again));
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
