//! The smallest SQL shell, for the scripts beside it on machines without `sqlite3`: `sql DATABASE STATEMENTS` runs the
//! statements and prints the rows of each, columns joined by `|`.

use std::error::Error;

use rusqlite::types::ValueRef;
use rusqlite::{Batch, Connection, fallible_iterator::FallibleIterator};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [database, statements] = &arguments[..] else { return Err("usage: sql DATABASE STATEMENTS".into()) };
    let connection = Connection::open(database)?;
    let mut batch = Batch::new(&connection, statements);
    while let Some(mut statement) = batch.next()? {
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let cells: Vec<String> = (0..columns).map(|at| row.get_ref(at).map(show)).collect::<Result<_, _>>()?;
            println!("{}", cells.join("|"));
        }
    }
    Ok(())
}

fn show(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(integer) => integer.to_string(),
        ValueRef::Real(real) => real.to_string(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}
