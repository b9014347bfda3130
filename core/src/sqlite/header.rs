//! The first 100 bytes of a database file. All fields big-endian; those this program looks at:
//!
//! | offset | size | field | |
//! |---|---|---|---|
//! | 0 | 16 | magic | `SQLite format 3\0` |
//! | 16 | 2 | page size | 1 stands for 65536 |
//! | 18 | 1 | write version | 1 rollback journal, 2 WAL |
//! | 19 | 1 | read version | the same |
//! | 20 | 1 | reserved bytes at the end of each page | |
//! | 24 | 4 | change counter | not moved by every commit in WAL mode |
//! | 28 | 4 | database size in pages | right only while `version-valid-for` equals the change counter |
//! | 60 | 4 | user version | |
//! | 68 | 4 | application id | |

use crate::ltx::PageSize;

/// Bytes of a database header: a file shorter than this is no database yet.
pub const DATABASE_HEADER_LEN: usize = 100;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The fields of a database header this program looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatabaseHeader {
    /// Page size.
    pub page_size: PageSize,
    /// Both version bytes say WAL.
    pub is_wal: bool,
    /// Bytes left free at the end of each page.
    pub reserved_bytes: u8,
    /// File change counter. A commit that touches neither page 1 nor the size leaves it alone: no proof of anything.
    pub change_counter: u32,
    /// Size in pages as last written here; see the table for when it is right.
    pub page_count: u32,
    /// `PRAGMA user_version`.
    pub user_version: u32,
    /// `PRAGMA application_id`.
    pub application_id: u32,
}

/// Why bytes are not the start of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotADatabaseHeader {
    /// Another kind of file.
    #[error("not a SQLite database (magic does not match)")]
    Magic,
    /// A page size no database can have.
    #[error("not a SQLite database (invalid page size {0})")]
    PageSize(u16),
}

impl DatabaseHeader {
    /// Decodes.
    pub fn parse(bytes: &[u8; DATABASE_HEADER_LEN]) -> Result<DatabaseHeader, NotADatabaseHeader> {
        if &bytes[..16] != MAGIC {
            return Err(NotADatabaseHeader::Magic);
        }
        let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let page_size = u16::from_be_bytes([bytes[16], bytes[17]]);
        Ok(DatabaseHeader {
            page_size: PageSize::from_u16(page_size).ok_or(NotADatabaseHeader::PageSize(page_size))?,
            is_wal: bytes[18..20] == [2, 2],
            reserved_bytes: bytes[20],
            change_counter: word(24),
            page_count: word(28),
            user_version: word(60),
            application_id: word(68),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_connection(sql: &str) -> [u8; DATABASE_HEADER_LEN] {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("a.db");
        let connection = rusqlite::Connection::open(&path).expect("open");
        connection.execute_batch(sql).expect("sql");
        drop(connection);
        let bytes = std::fs::read(&path).expect("read");
        bytes[..DATABASE_HEADER_LEN].try_into().expect("long enough")
    }

    #[test]
    fn reads_what_sqlite_writes() {
        let bytes = of_connection(
            "PRAGMA page_size = 65536; PRAGMA journal_mode = wal; PRAGMA user_version = 7; PRAGMA application_id = 9;
             CREATE TABLE t (a);",
        );
        let header = DatabaseHeader::parse(&bytes).expect("a database");
        assert_eq!(header.page_size, PageSize::MAX);
        assert!(header.is_wal);
        assert_eq!((header.user_version, header.application_id, header.page_count), (7, 9, 2));

        let rollback = DatabaseHeader::parse(&of_connection("PRAGMA page_size = 512; CREATE TABLE t (a);"));
        assert!(rollback.is_ok_and(|header| !header.is_wal && header.page_size == PageSize::MIN));
    }

    #[test]
    fn other_files_are_not_databases() {
        let mut bytes = of_connection("CREATE TABLE t (a);");
        bytes[16..18].copy_from_slice(&3u16.to_be_bytes());
        assert_eq!(DatabaseHeader::parse(&bytes), Err(NotADatabaseHeader::PageSize(3)));
        bytes[0] = b's';
        assert_eq!(DatabaseHeader::parse(&bytes), Err(NotADatabaseHeader::Magic));
    }
}
