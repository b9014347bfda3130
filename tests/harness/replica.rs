//! Looking into a file replica without any of our own code: names are the interface.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The replica of one database: the directory that holds `ltx/`.
pub struct FileReplica(PathBuf);

impl FileReplica {
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    pub fn exists(&self) -> bool {
        self.0.join("ltx").is_dir()
    }

    pub fn level_dir(&self, level: u8) -> PathBuf {
        self.0.join("ltx").join(level.to_string())
    }

    /// TXID ranges at one level, ascending. Any other name in the directory fails the test.
    pub fn level(&self, level: u8) -> Vec<(u64, u64)> {
        let Ok(entries) = fs::read_dir(self.level_dir(level)) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.unwrap().file_name().into_string().ok());
        let mut ranges: Vec<(u64, u64)> = names.filter(|name| !is_temporary(name)).map(|name| range(&name)).collect();
        ranges.sort_unstable();
        ranges
    }

    /// The newest TXID over all levels; 0 without any file.
    pub fn max_txid(&self) -> u64 {
        (0..=9).flat_map(|level| self.level(level)).map(|(_, max)| max).max().unwrap_or(0)
    }
}

/// What a writer may have open; never part of the replica.
fn is_temporary(name: &str) -> bool {
    name.starts_with('.') || name.ends_with(".tmp")
}

fn range(name: &str) -> (u64, u64) {
    let hex = |text: &str| {
        assert_eq!(text.len(), 16, "{name}: a TXID has 16 digits");
        u64::from_str_radix(text, 16).unwrap_or_else(|_| panic!("{name}: not hexadecimal"))
    };
    let (min, max) =
        name.strip_suffix(".ltx").and_then(|stem| stem.split_once('-')).unwrap_or_else(|| panic!("{name}"));
    (hex(min), hex(max))
}

/// Every regular file below a directory, by relative path, with its size. Missing directories are empty.
pub fn files_below(root: &Path) -> BTreeMap<PathBuf, u64> {
    fn walk(root: &Path, directory: &Path, found: &mut BTreeMap<PathBuf, u64>) {
        let Ok(entries) = fs::read_dir(directory) else { return };
        for entry in entries.map(Result::unwrap) {
            // A temporary file, or one that retention took: it is gone again.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                walk(root, &entry.path(), found);
            } else {
                found.insert(entry.path().strip_prefix(root).unwrap().to_owned(), metadata.len());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(root, root, &mut found);
    found
}
