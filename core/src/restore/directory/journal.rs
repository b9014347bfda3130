//! What a directory restore has done, so that the next run goes on where this one ended, however it ended.
//!
//! | record | meaning |
//! |---|---|
//! | `litestream-rs directory restore 1`, source, target | first three, written together |
//! | `B` path | this database is begun: nothing stood at its place then, or `-force` was given |
//! | `D` path | this database is finished |
//!
//! Each record ends with NUL, which no path holds; one that a crash cut off ends without and counts as absent. A file
//! that appears at its final name is complete, so a database that was begun and is there is finished, too.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::DirectoryError;

/// Its name in the output directory.
const NAME: &str = ".litestream-restore";
const HEAD: &str = "litestream-rs directory restore 1";

/// An open journal; locked, so that two runs never share an output directory.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
}

/// What earlier runs wrote.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    pub(super) begun: HashSet<PathBuf>,
    pub(super) done: HashSet<PathBuf>,
}

impl Journal {
    /// Opens or begins the journal of restoring `source` to `target` in `directory`, which exists.
    ///
    /// # Errors
    /// A directory that cannot be written, a run that is still under way, or an unfinished restore of something else.
    pub(super) fn open(directory: &Path, source: &str, target: &str) -> Result<(Journal, Earlier), DirectoryError> {
        let path = directory.join(NAME);
        let failed = |doing| {
            let path = path.clone();
            move |source| DirectoryError::Io { doing, path, source }
        };
        let open = OpenOptions::new().read(true).append(true).create(true).open(&path);
        let mut file = open.map_err(failed("create"))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(DirectoryError::Busy(directory.to_owned()));
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed("read"))?;
        let mut records = text.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect::<Vec<_>>();
        // What follows the last NUL was cut off, and is empty otherwise.
        let cut = records.pop().is_some_and(|rest| !rest.is_empty());
        let mut journal = Journal { path: path.clone(), file };
        match records.as_slice() {
            [] => {
                journal.file.set_len(0).map_err(failed("empty"))?;
                journal.append(&[HEAD, "\0", source, "\0", target, "\0"].concat().into_bytes())?;
                Ok((journal, Earlier::default()))
            }
            [head, of, to, rest @ ..] if head == HEAD.as_bytes() => {
                if of != source.as_bytes() || to != target.as_bytes() {
                    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
                    return Err(DirectoryError::OtherRestore {
                        journal: path,
                        source_name: text(of),
                        target: text(to),
                    });
                }
                if cut {
                    let len = text.iter().rposition(|byte| *byte == 0).map_or(0, |at| at as u64 + 1);
                    journal.file.set_len(len).map_err(failed("shorten"))?;
                }
                Ok((journal, Earlier::read(rest)))
            }
            _ => Err(DirectoryError::ForeignJournal(path)),
        }
    }

    /// A database is about to be restored. Its place was looked at.
    pub(super) fn begin(&mut self, database: &Path) -> Result<(), DirectoryError> {
        self.append(&record(b'B', database))
    }

    /// A database is complete at its place.
    pub(super) fn finish(&mut self, database: &Path) -> Result<(), DirectoryError> {
        self.append(&record(b'D', database))
    }

    /// Everything is restored: nothing is left to go on with.
    pub(super) fn remove(&self) -> Result<(), DirectoryError> {
        let failed = |source| DirectoryError::Io { doing: "remove", path: self.path.clone(), source };
        fs::remove_file(&self.path).map_err(failed)
    }

    /// One call, so that a kill leaves a record whole or absent.
    fn append(&mut self, bytes: &[u8]) -> Result<(), DirectoryError> {
        let written: io::Result<()> = self.file.write_all(bytes);
        written.map_err(|source| DirectoryError::Io { doing: "write", path: self.path.clone(), source })
    }
}

impl Earlier {
    fn read(records: &[Vec<u8>]) -> Earlier {
        let mut earlier = Earlier::default();
        for record in records {
            let Some((kind, path)) = record.split_first() else { continue };
            let path = PathBuf::from(OsStr::from_bytes(path));
            match kind {
                b'B' => earlier.begun.insert(path),
                _ => earlier.done.insert(path),
            };
        }
        earlier
    }
}

fn record(kind: u8, database: &Path) -> Vec<u8> {
    [&[kind][..], database.as_os_str().as_bytes(), b"\0"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(directory: &Path) -> Result<(Journal, Earlier), DirectoryError> {
        Journal::open(directory, "file:///backups", "the latest state")
    }

    #[test]
    fn a_cut_record_counts_as_absent_and_the_others_stay() {
        let directory = tempfile::tempdir().unwrap();
        let odd = Path::new(OsStr::from_bytes(b"team/\xff\n.db"));
        let (mut journal, earlier) = open(directory.path()).unwrap();
        assert!(earlier.begun.is_empty() && earlier.done.is_empty());
        journal.begin(odd).unwrap();
        journal.finish(odd).unwrap();
        journal.append(b"Bhalf").unwrap();
        drop(journal);
        let (mut journal, earlier) = open(directory.path()).unwrap();
        assert!(earlier.done.contains(odd) && earlier.begun.len() == 1);
        journal.begin(Path::new("next.db")).unwrap();
        drop(journal);
        let (journal, earlier) = open(directory.path()).unwrap();
        assert!(earlier.begun.contains(Path::new("next.db")) && earlier.begun.len() == 2);
        journal.remove().unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_unfinished_restore_of_something_else_is_not_mixed_with() {
        let directory = tempfile::tempdir().unwrap();
        drop(open(directory.path()).unwrap());
        let error = Journal::open(directory.path(), "s3://other", "the latest state").map(drop).unwrap_err();
        assert!(error.to_string().contains("file:///backups"), "{error}");
        fs::write(directory.path().join(NAME), "my notes\0\0").unwrap();
        assert!(matches!(open(directory.path()), Err(DirectoryError::ForeignJournal(_))));
        fs::write(directory.path().join(NAME), "litestream-rs direc").unwrap();
        assert!(open(directory.path()).is_ok(), "a head that was cut off is begun anew");
    }

    #[test]
    fn two_runs_never_share_an_output() {
        let directory = tempfile::tempdir().unwrap();
        let first = open(directory.path()).unwrap();
        assert!(matches!(open(directory.path()), Err(DirectoryError::Busy(_))));
        drop(first);
        assert!(open(directory.path()).is_ok());
    }
}
