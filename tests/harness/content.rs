//! The logical content of a database, for comparison: schema, settings kept in the file, and every row of every table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::{Connection, OpenFlags, types::ValueRef};
use sha2::{Digest, Sha256};

/// Rows and digest of one table, by name; `schema` and `settings` are entries like the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content(BTreeMap<String, (u64, String)>);

/// Kept by the reference inside the databases it replicates; its counters move by themselves.
const OF_THE_REFERENCE: &str = "_litestream_";
const SETTINGS: [&str; 5] = ["page_size", "encoding", "user_version", "application_id", "auto_vacuum"];

impl Content {
    /// Reads the database, which must also pass SQLite's own integrity check.
    pub fn of(database: &Path) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let at = |error: rusqlite::Error| -> ! { panic!("{}: {error}", database.display()) };
        let connection = Connection::open_with_flags(database, flags).unwrap_or_else(|error| at(error));
        Self::read(&connection).unwrap_or_else(|error| at(error))
    }

    fn read(connection: &Connection) -> rusqlite::Result<Self> {
        connection.busy_timeout(super::deadline())?;
        // One transaction: a live source must not change between two tables.
        connection.execute_batch("BEGIN")?;
        let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        assert_eq!(verdict, "ok", "integrity_check of {:?}", connection.path());
        let mut content = BTreeMap::new();
        for setting in SETTINGS {
            content.insert(format!("setting {setting}"), digest(connection, &format!("PRAGMA {setting}"))?);
        }
        let schema = format!("SELECT type, name, sql FROM sqlite_schema WHERE name NOT GLOB '{OF_THE_REFERENCE}*'");
        content.insert("schema".to_owned(), digest(connection, &format!("{schema} ORDER BY type, name"))?);
        for table in tables(connection)? {
            let quoted = table.replace('"', "\"\"");
            let columns = connection.prepare(&format!("SELECT * FROM \"{quoted}\""))?.column_count();
            let order: Vec<String> = (1..=columns).map(|column| column.to_string()).collect();
            let sql = format!("SELECT * FROM \"{quoted}\" ORDER BY {}", order.join(", "));
            content.insert(table, digest(connection, &sql)?);
        }
        connection.execute_batch("ROLLBACK")?;
        Ok(Self(content))
    }

    /// The number of rows of a table.
    pub fn rows(&self, table: &str) -> u64 {
        self.0.get(table).unwrap_or_else(|| panic!("no table {table}")).0
    }
}

/// Fails unless both databases hold the same, naming the tables that differ.
pub fn assert_same(source: &Path, restored: &Path) {
    let (source_content, restored_content) = (Content::of(source), Content::of(restored));
    let differ = |name: &&String| source_content.0.get(*name) != restored_content.0.get(*name);
    let names: BTreeSet<&String> = source_content.0.keys().chain(restored_content.0.keys()).filter(differ).collect();
    let show = |content: &Content, name: &String| content.0.get(name).map(|(rows, _)| *rows);
    let lines: Vec<String> = names
        .iter()
        .map(|name| {
            format!("{name}: {:?} rows, restored {:?}", show(&source_content, name), show(&restored_content, name))
        })
        .collect();
    assert!(names.is_empty(), "{} and {} differ:\n{}", source.display(), restored.display(), lines.join("\n"));
}

fn tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = format!("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB '{OF_THE_REFERENCE}*'");
    let mut statement = connection.prepare(&sql)?;
    statement.query_map([], |row| row.get(0))?.collect()
}

fn digest(connection: &Connection, sql: &str) -> rusqlite::Result<(u64, String)> {
    let mut statement = connection.prepare(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let (mut hash, mut count) = (Sha256::new(), 0);
    while let Some(row) = rows.next()? {
        count += 1;
        for column in 0..columns {
            feed(&mut hash, row.get_ref(column)?);
        }
    }
    Ok((count, hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// A type byte and a length in front of each value, so that no two rows hash alike by accident.
fn feed(hash: &mut Sha256, value: ValueRef<'_>) {
    let (kind, number);
    let bytes: &[u8] = match value {
        ValueRef::Null => {
            kind = 0u8;
            &[]
        }
        ValueRef::Integer(integer) => {
            (kind, number) = (1, integer.to_be_bytes());
            &number
        }
        ValueRef::Real(real) => {
            (kind, number) = (2, real.to_bits().to_be_bytes());
            &number
        }
        ValueRef::Text(text) => {
            kind = 3;
            text
        }
        ValueRef::Blob(blob) => {
            kind = 4;
            blob
        }
    };
    hash.update([kind]);
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}
