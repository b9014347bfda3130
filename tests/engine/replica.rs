//! A replica in memory: the L0 files of a database applied in order, as a restore applies them.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use litestream_core::db::MetaDir;
use litestream_core::ltx::{Decoder, PageSize, Txid};
use litestream_core::sqlite::lock_page;
use rusqlite::{Connection, OpenFlags};

/// The image after the files applied so far.
#[derive(Default)]
pub struct Replica {
    image: Vec<u8>,
    txid: Txid,
    page_size: Option<PageSize>,
}

impl Replica {
    /// Everything that lies in `meta`.
    pub fn of(meta: &Path) -> Replica {
        let mut replica = Replica::default();
        replica.catch_up(meta);
        replica
    }

    /// Applies everything that is newer.
    pub fn catch_up(&mut self, meta: &Path) {
        while self.apply_next(meta) {}
    }

    /// Applies the next file, if there is one, and checks that nothing is missing before it and nothing in it is against the
    /// rules of the format.
    pub fn apply_next(&mut self, meta: &Path) -> bool {
        let meta = MetaDir::new(meta);
        let files = meta.list_l0().expect("list");
        let Some(file) = files.iter().find(|file| file.max_txid > self.txid) else { return false };
        assert_eq!(file.min_txid, file.max_txid, "one transaction per L0 file");
        assert!(self.txid == Txid::NONE || file.min_txid == self.txid.next(), "a gap before {}", file.min_txid);
        self.apply(&meta.l0_path(file.max_txid));
        self.txid = file.max_txid;
        true
    }

    /// The newest transaction applied.
    pub fn txid(&self) -> Txid {
        self.txid
    }

    /// The database file as a restore would write it.
    pub fn image(&self) -> &[u8] {
        &self.image
    }

    fn apply(&mut self, path: &Path) {
        let file = BufReader::new(File::open(path).expect("open ltx"));
        let mut decoder = Decoder::strict(file).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (size, old) = (decoder.page_size().bytes(), self.image.len());
        if self.page_size.is_some_and(|page_size| page_size != decoder.page_size()) {
            decoder.require_complete();
        }
        self.page_size = Some(decoder.page_size());
        let commit = decoder.header().commit as usize;
        let mut is_missing: Vec<bool> = (1..=commit).map(|pgno| pgno > old / size).collect();
        self.image.resize(commit * size, 0);
        let mut page = vec![0; size];
        while let Some(pgno) =
            decoder.next_page(&mut page).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        {
            let at = (pgno.0 as usize - 1) * size;
            self.image[at..at + size].copy_from_slice(&page);
            is_missing[pgno.0 as usize - 1] = false;
        }
        let lock_page = lock_page(decoder.page_size()).0 as usize;
        let missing: Vec<usize> = (1..=commit).filter(|&pgno| is_missing[pgno - 1] && pgno != lock_page).collect();
        assert!(missing.is_empty(), "{}: pages of the growth are missing: {missing:?}", path.display());
        decoder.finish().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Opens a copy, checks its integrity, and hands it to `look`.
    pub fn look<T>(&self, look: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, String> {
        let directory = tempfile::tempdir_in(scratch()).expect("temporary directory");
        let path = directory.path().join("image.db");
        std::fs::write(&path, &self.image).expect("write image");
        let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).expect("open image");
        let sound = connection.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
        match sound {
            Ok(text) if text == "ok" => look(&connection).map_err(|error| error.to_string()),
            Ok(text) => Err(format!("integrity check: {text}")),
            Err(error) => Err(format!("integrity check: {error}")),
        }
    }

    /// The first column of the rows of a query on a copy.
    pub fn query(&self, sql: &str) -> Vec<String> {
        let rows = self.look(|connection| {
            let mut statement = connection.prepare(sql)?;
            statement
                .query_map([], |row| row.get::<_, rusqlite::types::Value>(0).map(|value| format!("{value:?}")))?
                .collect()
        });
        rows.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}

/// Memory, where there is some: the tests write many small files.
pub fn scratch() -> std::path::PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}
