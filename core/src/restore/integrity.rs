//! Asks SQLite whether the restored database is sound.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::str::FromStr;

use rusqlite::{Connection, OpenFlags};

/// How thorough to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntegrityCheck {
    /// Trust the files' checksums.
    #[default]
    None,
    /// `PRAGMA quick_check`: structure, not indexes.
    Quick,
    /// `PRAGMA integrity_check`: everything.
    Full,
}

/// A word that names no check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid -integrity-check value: {0}")]
pub struct ParseIntegrityCheckError(pub String);

impl FromStr for IntegrityCheck {
    type Err = ParseIntegrityCheckError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(IntegrityCheck::None),
            "quick" => Ok(IntegrityCheck::Quick),
            "full" => Ok(IntegrityCheck::Full),
            _ => Err(ParseIntegrityCheckError(text.to_owned())),
        }
    }
}

impl IntegrityCheck {
    /// The word that names it.
    pub fn as_str(self) -> &'static str {
        match self {
            IntegrityCheck::None => "none",
            IntegrityCheck::Quick => "quick",
            IntegrityCheck::Full => "full",
        }
    }

    fn pragma(self) -> Option<&'static str> {
        match self {
            IntegrityCheck::None => None,
            IntegrityCheck::Quick => Some("PRAGMA quick_check"),
            IntegrityCheck::Full => Some("PRAGMA integrity_check"),
        }
    }
}

/// The database did not pass.
#[derive(Debug, thiserror::Error)]
pub enum IntegrityError {
    /// SQLite found faults.
    #[error("{0}")]
    Faults(String),
    /// SQLite could not read it at all.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// Runs the check; blocks. Opens the file as immutable, so that nothing appears beside it and no lock is taken: nobody
/// else knows this file yet.
pub(super) fn check_integrity(path: &Path, check: IntegrityCheck) -> Result<(), IntegrityError> {
    let Some(pragma) = check.pragma() else { return Ok(()) };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(Path::new(&immutable_uri(path)), flags)?;
    let mut statement = connection.prepare(pragma)?;
    let lines: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    if lines == ["ok"] { Ok(()) } else { Err(IntegrityError::Faults(lines.join("\n"))) }
}

/// Every byte that could mean something in a URI is escaped: paths may hold `?`, `#`, `%` and bytes that are not UTF-8.
fn immutable_uri(path: &Path) -> OsString {
    let mut uri = b"file:".to_vec();
    // A relative path would be taken for an authority if it began with two slashes, and it never does.
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => uri.push(byte),
            _ => uri.extend(format!("%{byte:02X}").bytes()),
        }
    }
    uri.extend(b"?immutable=1");
    OsString::from_vec(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(directory: &Path, name: &str) -> std::path::PathBuf {
        let path = directory.join(name);
        let connection = Connection::open(&path).expect("open");
        connection
            .execute_batch(
                "PRAGMA journal_mode = wal; CREATE TABLE t (a PRIMARY KEY, b);
                 WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
                 INSERT INTO t SELECT i, randomblob(50) FROM n;",
            )
            .expect("sql");
        path
    }

    #[test]
    fn a_sound_database_passes_and_nothing_appears_beside_it() {
        let directory = tempfile::tempdir().expect("temporary directory");
        for name in ["a.db", "q?r#%41 s.db"] {
            let path = database(directory.path(), name);
            for check in [IntegrityCheck::None, IntegrityCheck::Quick, IntegrityCheck::Full] {
                check_integrity(&path, check).expect("sound");
            }
        }
        assert_eq!(std::fs::read_dir(directory.path()).expect("list").count(), 2);
    }

    #[test]
    fn faults_and_files_that_are_no_database_are_reported() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = database(directory.path(), "a.db");
        let mut bytes = std::fs::read(&path).expect("read");
        let middle = bytes.len() / 2;
        bytes[middle..middle + 4096].fill(0xa5);
        std::fs::write(&path, &bytes).expect("write");
        assert!(matches!(check_integrity(&path, IntegrityCheck::Full), Err(IntegrityError::Faults(_))));
        check_integrity(&path, IntegrityCheck::None).expect("not looked at");

        std::fs::write(&path, vec![b'x'; 8192]).expect("write");
        assert!(matches!(check_integrity(&path, IntegrityCheck::Quick), Err(IntegrityError::Sqlite(_))));
    }

    #[test]
    fn only_the_three_words_name_a_check() {
        for check in [IntegrityCheck::None, IntegrityCheck::Quick, IntegrityCheck::Full] {
            assert_eq!(check.as_str().parse(), Ok(check));
        }
        let error = "FULL".parse::<IntegrityCheck>().unwrap_err();
        assert_eq!(error.to_string(), "invalid -integrity-check value: FULL");
    }
}
