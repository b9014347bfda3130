//! The local state of one database: where its files lie, and making, listing and removing them.
//!
//! ```text
//! META/ltx/0/<min>-<max>.ltx     L0 files, the reference's layout, so that either program can take over
//! META/litestream-rs.position    ours: the saved position (position.rs)
//! META/litestream-rs.pages       ours: remembered page checksums (page_checksums.rs)
//! ```
//!
//! The reference ignores the two files of ours; without them the engine is only more careful.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::clock::UnixMillis;
use crate::failpoint;
use crate::ltx::{FileName, Txid};

/// The `-litestream` directory of one database.
#[derive(Clone, Debug)]
pub struct MetaDir {
    root: PathBuf,
}

/// One local L0 file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalFile {
    /// First transaction; equal to `max_txid` in every file we write.
    pub min_txid: Txid,
    /// Last transaction.
    pub max_txid: Txid,
    /// Size in bytes.
    pub size: u64,
    /// When it was written, by the local clock.
    pub modified_at: UnixMillis,
}

impl MetaDir {
    /// Names the directory; it need not exist.
    pub fn new(root: impl Into<PathBuf>) -> MetaDir {
        MetaDir { root: root.into() }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the L0 files lie.
    pub fn l0_dir(&self) -> PathBuf {
        self.root.join("ltx").join("0")
    }

    /// The L0 file of one transaction.
    pub fn l0_path(&self, txid: Txid) -> PathBuf {
        self.l0_dir().join(format!("{txid}-{txid}.ltx"))
    }

    /// All L0 files, in order. A missing directory is an empty list; other names in it are ignored.
    pub fn list_l0(&self) -> io::Result<Vec<LocalFile>> {
        let mut files = Vec::new();
        for entry in read_dir_if_present(&self.l0_dir())?.into_iter().flatten() {
            let entry = entry?;
            let Some((min_txid, max_txid)) = entry.file_name().to_str().and_then(parse_name) else { continue };
            match entry.metadata() {
                Ok(metadata) => files.push(LocalFile {
                    min_txid,
                    max_txid,
                    size: metadata.len(),
                    modified_at: modified_at(&metadata),
                }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        files.sort_unstable_by_key(|file| (file.min_txid, file.max_txid));
        Ok(files)
    }

    /// The newest L0 file. Looks at that one only, and removes `*.tmp` beside it.
    pub(super) fn newest_l0(&self) -> io::Result<Option<LocalFile>> {
        let directory = self.l0_dir();
        let mut newest: Option<(Txid, Txid)> = None;
        for entry in read_dir_if_present(&directory)?.into_iter().flatten() {
            let name = entry?.file_name();
            let Some(name) = name.to_str() else { continue };
            match parse_name(name) {
                Some((min, max)) => newest = newest.max(Some((min, max))),
                None if name.ends_with(".tmp") => ignore_missing(fs::remove_file(directory.join(name)))?,
                None => {}
            }
        }
        let Some((min_txid, max_txid)) = newest else { return Ok(None) };
        let metadata = fs::metadata(directory.join(FileName::new(min_txid, max_txid).to_string()))?;
        Ok(Some(LocalFile { min_txid, max_txid, size: metadata.len(), modified_at: modified_at(&metadata) }))
    }

    /// Removes one L0 file; one that is gone already is fine. Never call it for the newest: it is the position.
    pub fn remove_l0(&self, txid: Txid) -> io::Result<()> {
        failpoint::around("l0-remove", || ignore_missing(fs::remove_file(self.l0_path(txid))))
    }

    /// Removes the local history: what `reset` and auto-recovery do. The next sync is a full one.
    pub fn reset(&self) -> io::Result<()> {
        failpoint::around("local-state-reset", || ignore_missing(fs::remove_dir_all(self.root.join("ltx"))))?;
        ignore_missing(fs::remove_file(self.position_path()))?;
        ignore_missing(fs::remove_file(self.page_checksums_path()))
    }

    /// Removes every `*.tmp` below the directory: left over from a kill or a full disk. Returns how many.
    pub fn remove_temporary_files(&self) -> io::Result<usize> {
        remove_temporary_files(&self.root)
    }

    /// Where the position is saved.
    pub(super) fn position_path(&self) -> PathBuf {
        self.root.join("litestream-rs.position")
    }

    /// Where the page checksums are remembered.
    pub(super) fn page_checksums_path(&self) -> PathBuf {
        self.root.join("litestream-rs.pages")
    }

    /// Where they are gathered until they are all there.
    pub(super) fn unfinished_page_checksums_path(&self) -> PathBuf {
        self.root.join("litestream-rs.pages.tmp")
    }

    /// Removes page checksums that a kill has left unfinished: it can be long until others are gathered.
    pub(super) fn remove_unfinished_page_checksums(&self) -> io::Result<()> {
        ignore_missing(fs::remove_file(self.unfinished_page_checksums_path()))
    }
}

fn read_dir_if_present(directory: &Path) -> io::Result<Option<fs::ReadDir>> {
    match fs::read_dir(directory) {
        Ok(entries) => Ok(Some(entries)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn remove_temporary_files(directory: &Path) -> io::Result<usize> {
    let mut removed = 0;
    for entry in read_dir_if_present(directory)?.into_iter().flatten() {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            removed += remove_temporary_files(&entry.path())?;
        } else if kind.is_file() && entry.path().extension().is_some_and(|extension| extension == "tmp") {
            ignore_missing(fs::remove_file(entry.path()))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// `<16 hex>-<16 hex>.ltx`, lower case only.
fn parse_name(name: &str) -> Option<(Txid, Txid)> {
    let (min, max) = name.strip_suffix(".ltx")?.split_once('-')?;
    let lower = |text: &str| !text.bytes().any(|byte| byte.is_ascii_uppercase());
    (lower(min) && lower(max)).then_some(())?;
    Some((min.parse().ok()?, max.parse().ok()?))
}

fn modified_at(metadata: &fs::Metadata) -> UnixMillis {
    let since = metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    since.and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or(0)
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta_with(names: &[&str]) -> (tempfile::TempDir, MetaDir) {
        let directory = tempfile::tempdir().expect("temporary directory");
        let meta = MetaDir::new(directory.path().join("meta"));
        for name in names {
            let path = meta.root().join(name);
            fs::create_dir_all(path.parent().expect("inside")).expect("mkdir");
            fs::write(path, b"x").expect("write");
        }
        (directory, meta)
    }

    #[test]
    fn lists_l0_files_in_order_and_nothing_else() {
        let (_directory, meta) = meta_with(&[
            "ltx/0/000000000000000a-000000000000000a.ltx",
            "ltx/0/0000000000000009-0000000000000009.ltx",
            "ltx/0/000000000000000b-000000000000000b.ltx.tmp",
            "ltx/0/000000000000000C-000000000000000C.ltx",
            "ltx/0/notes.txt",
            "ltx/1/0000000000000001-0000000000000009.ltx",
        ]);
        let found: Vec<u64> = meta.list_l0().expect("list").iter().map(|file| file.max_txid.0).collect();
        assert_eq!(found, [9, 10]);
        meta.remove_l0(Txid(9)).expect("remove");
        meta.remove_l0(Txid(9)).expect("removing twice is fine");
        assert_eq!(meta.list_l0().expect("list").len(), 1);
    }

    #[test]
    fn the_newest_file_is_found_and_what_was_left_half_written_beside_it_removed() {
        let (_directory, meta) = meta_with(&[
            "ltx/0/0000000000000009-0000000000000009.ltx",
            "ltx/0/000000000000000a-000000000000000a.ltx",
            "ltx/0/000000000000000b-000000000000000b.ltx.tmp",
        ]);
        let newest = meta.newest_l0().expect("look").expect("there is one");
        assert_eq!((newest.max_txid, newest.size), (Txid(10), 1));
        assert_eq!(fs::read_dir(meta.l0_dir()).expect("list").count(), 2);
        assert_eq!(MetaDir::new("/nowhere").newest_l0().expect("look"), None);
    }

    #[test]
    fn a_directory_that_does_not_exist_is_an_empty_one() {
        let (_directory, meta) = meta_with(&[]);
        assert_eq!(meta.list_l0().expect("list"), []);
        assert_eq!(meta.remove_temporary_files().expect("clean"), 0);
        meta.reset().expect("reset");
    }

    #[test]
    fn cleaning_removes_only_temporary_files_at_any_depth() {
        let (_directory, meta) = meta_with(&["a.tmp", "ltx/0/b.ltx.tmp", "ltx/0/c.ltx", "litestream-rs.position"]);
        assert_eq!(meta.remove_temporary_files().expect("clean"), 2);
        assert!(meta.root().join("ltx/0/c.ltx").exists() && meta.position_path().exists());
        meta.reset().expect("reset");
        assert_eq!(fs::read_dir(meta.root()).expect("list").count(), 0);
    }
}
