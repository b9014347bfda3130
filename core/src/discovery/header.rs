//! Is this file a SQLite database? Judged by its first 100 bytes, as SQLite itself would.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::error::system_text;
use super::skipped::FileKind;
use crate::sqlite::{DATABASE_HEADER_LEN, DatabaseHeader, NotADatabaseHeader};

/// Why a file does not count as a database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotADatabase {
    /// SQLite makes an empty file first, so this may become one.
    #[error("empty file, not a database yet")]
    Empty,
    /// Too short for a header.
    #[error("not a SQLite database ({size} bytes, a header alone has 100)")]
    TooShort {
        /// Size of the file in bytes.
        size: u64,
    },
    /// The header says otherwise.
    #[error(transparent)]
    Header(#[from] NotADatabaseHeader),
    /// Not a regular file any more.
    #[error("not a regular file ({0})")]
    NotAFile(FileKind),
    /// It cannot be opened or read. The text is the system's.
    #[error("cannot be read: {0}")]
    Unreadable(String),
}

impl From<io::Error> for NotADatabase {
    fn from(error: io::Error) -> Self {
        NotADatabase::Unreadable(system_text(&error))
    }
}

/// Reads and judges the header of the file at `path`, following a symbolic link.
///
/// Never blocks on a pipe or device. Opens and closes the file: only for files no SQLite connection of this process
/// has open, see [`Attachments`](super::Attachments).
pub fn check(path: &Path) -> Result<DatabaseHeader, NotADatabase> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from)?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(NotADatabase::NotAFile(FileKind::of(metadata.file_type())));
    }
    let mut bytes = Vec::with_capacity(DATABASE_HEADER_LEN);
    (&file).take(DATABASE_HEADER_LEN as u64).read_to_end(&mut bytes)?;
    match <&[u8; DATABASE_HEADER_LEN]>::try_from(bytes.as_slice()) {
        Ok(header) => Ok(DatabaseHeader::parse(header)?),
        Err(_) => Err(too_short(bytes.len() as u64)),
    }
}

/// The reason for a file of fewer than 100 bytes.
pub(super) fn too_short(size: u64) -> NotADatabase {
    if size == 0 { NotADatabase::Empty } else { NotADatabase::TooShort { size } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.db");
        std::fs::write(&path, bytes).unwrap();
        (directory, path)
    }

    /// The reference takes files of 15 and 16 bytes for databases and then fails on them for ever.
    #[test]
    fn header_15_16_99_bytes_are_no_database() {
        for size in [1, 15, 16, 99] {
            let bytes: Vec<u8> = b"SQLite format 3\0\x10\0".iter().copied().chain([0; 100]).take(size).collect();
            let (_directory, path) = write(&bytes);
            assert_eq!(check(&path), Err(NotADatabase::TooShort { size: size as u64 }));
        }
        let (_directory, path) = write(b"");
        assert_eq!(check(&path), Err(NotADatabase::Empty));
    }

    #[test]
    fn the_page_size_must_be_one_that_sqlite_can_have() {
        let with_page_size = |size: u16| {
            let mut bytes = b"SQLite format 3\0".to_vec();
            bytes.extend(size.to_be_bytes());
            bytes.resize(100, 0);
            let (_directory, path) = write(&bytes);
            check(&path).map(|header| header.page_size.get())
        };
        assert_eq!(with_page_size(512), Ok(512));
        assert_eq!(with_page_size(1), Ok(65_536));
        for bad in [0, 2, 256, 511, 4_097, 65_535] {
            assert_eq!(with_page_size(bad), Err(NotADatabaseHeader::PageSize(bad).into()));
        }
    }

    #[test]
    fn a_pipe_is_refused_without_waiting_for_a_writer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe.db");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert_eq!(check(&path), Err(NotADatabase::NotAFile(FileKind::NamedPipe)));
    }

    #[test]
    fn a_missing_file_says_so_in_the_systems_words() {
        let (directory, _path) = write(b"");
        let missing = check(&directory.path().join("no.db"));
        assert_eq!(missing, Err(NotADatabase::Unreadable("no such file or directory".into())));
    }
}
