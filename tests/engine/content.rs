//! What is in the files: page sizes, growth, shrinking, limits, the lock page.

use litestream_core::db::{Content, Db, DbSettings, MetaDir, Reason};
use litestream_core::ltx::{Decoder, PageSize};
use litestream_core::sqlite::{ByteOrder, lock_page};

use crate::application::Application;
use crate::database::{Database, contents};
use crate::replica::scratch;
use crate::wal;

/// Nobody else, and everything in the one file: then the restored file must be that file, byte for byte.
fn assert_restores_the_file(database: &Database, engine: &mut Db, mut application: Application) {
    engine.sync().expect("sync");
    engine.detach().expect("detach");
    application.close("w");
    database.assert_equals_file();
}

#[test]
fn h21_vacuum_shrinks_database() {
    let (database, mut application) = Database::with_application();
    application.fill(300, "zeroblob(1000)");
    let mut engine = database.engine();
    engine.sync().expect("sync");
    let large = database.replica().image().len();
    application.run("w", "DELETE FROM t WHERE a > 20");
    application.run("w", "VACUUM");
    let report = engine.sync().expect("sync");
    assert_eq!(contents(&report), [Content::Commits]);
    let replica = database.replica();
    assert!(replica.image().len() < large / 4);
    assert_eq!(report.database_bytes, replica.image().len() as u64);
    database.assert_replicated(&mut application);
    assert_restores_the_file(&database, &mut engine, application);
}

#[test]
fn h22_auto_vacuum_incremental() {
    let database = Database::nowhere("a.db");
    let mut application = Application::start();
    application.open("w", &database.path());
    application.run("w", "PRAGMA auto_vacuum = incremental");
    application.run("w", "PRAGMA journal_mode = wal");
    application.run("w", "CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
    let mut engine = database.engine();
    for round in 0..4 {
        application.fill(100, "zeroblob(900)");
        engine.sync().expect("sync");
        application.run("w", &format!("DELETE FROM t WHERE a % 4 = {round}"));
        application.run("w", "PRAGMA incremental_vacuum");
        engine.sync().expect("sync");
        database.assert_replicated(&mut application);
    }
    assert_restores_the_file(&database, &mut engine, application);
}

#[test]
fn h23_every_page_size() {
    for page_size in (9..=16).map(|power| 1u32 << power) {
        let database = Database::nowhere("a.db");
        let mut application = Application::with_open(&database.path());
        application.run("w", &format!("PRAGMA page_size = {page_size}"));
        application.run("w", "PRAGMA journal_mode = wal");
        application.run("w", "CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
        let mut engine = database.engine();
        engine.sync().expect("sync");
        for n in 0..5 {
            application.run("w", &format!("INSERT INTO t VALUES ({n}, randomblob({}))", page_size * 3));
            assert_eq!(contents(&engine.sync().expect("sync")), [Content::Commits], "page size {page_size}");
        }
        database.assert_replicated(&mut application);
        assert_restores_the_file(&database, &mut engine, application);
    }
}

/// The reference fails this: it is stuck at an unaligned offset.
#[test]
fn h24_page_size_changed_by_vacuum_while_down() {
    let (database, mut application) = Database::with_application();
    let mut engine = database.engine();
    engine.sync().expect("sync");
    engine.detach().expect("detach");
    application.run("w", "PRAGMA journal_mode = delete");
    application.run("w", "PRAGMA page_size = 8192");
    application.run("w", "VACUUM");
    application.run("w", "PRAGMA journal_mode = wal");
    application.run("w", "INSERT INTO t VALUES (2, 'on larger pages')");
    let mut engine = database.engine();
    let report = engine.sync().expect("sync");
    assert_eq!(contents(&report), [Content::Full(Reason::PageSizeChanged)]);
    database.assert_replicated(&mut application);
    application.run("w", "INSERT INTO t VALUES (3, 'next')");
    assert_eq!(contents(&engine.sync().expect("sync")), [Content::Commits]);
    database.assert_replicated(&mut application);
}

/// A database grows by pages that no frame holds: they are taken from the database file, or a restore would have none.
#[test]
fn h26_db_grows_with_unwritten_pages() {
    let (database, mut application) = Database::with_application();
    let mut engine = database.engine();
    engine.sync().expect("sync");
    engine.detach().expect("detach");
    application.run("w", "UPDATE t SET b = 'newest'");
    application.kill();
    let (header, mut frames) = wal::read(&database.wal());
    let page_size = header.page_size.bytes();
    let pages = std::fs::metadata(database.path()).expect("database").len() as usize / page_size;
    let grown = pages as u32 + 3;
    frames.last_mut().expect("a frame").commit = grown;
    wal::write(&database.wal(), &header, ByteOrder::NATIVE, &frames);
    let mut file = std::fs::read(database.path()).expect("read");
    file.resize((pages + 2) * page_size, 0x5a);
    std::fs::write(database.path(), &file).expect("write");

    let mut engine = database.engine();
    engine.sync().expect("sync");
    let replica = database.replica();
    assert_eq!(replica.image().len(), grown as usize * page_size);
    let beyond = &replica.image()[pages * page_size..];
    assert!(beyond[..2 * page_size].iter().all(|&byte| byte == 0x5a), "pages that stand in the file");
    assert!(beyond[2 * page_size..].iter().all(|&byte| byte == 0), "a page that stands nowhere reads as zeros");
}

#[test]
fn h27_single_transaction_larger_than_max_sync_wal_bytes() {
    let (database, mut application) = Database::with_application();
    let settings = DbSettings { max_sync_wal_bytes: Some(20_000), ..DbSettings::default() };
    let mut engine = database.engine_with(settings);
    engine.sync().expect("sync");
    application.fill(100, "randomblob(1000)");
    let report = engine.sync().expect("sync");
    assert_eq!((contents(&report).len(), report.more), (1, false), "one transaction is one file");
    database.assert_replicated(&mut application);

    for n in 200..220 {
        application.run("w", &format!("INSERT INTO t VALUES ({n}, randomblob(3000))"));
    }
    let mut passes = 0;
    loop {
        let report = engine.sync().expect("sync");
        passes += 1;
        assert!(report.copied_wal_bytes < 60_000, "{report:?}");
        if !report.more {
            break;
        }
    }
    assert!(passes > 2, "a backlog is taken in bounded passes, not in {passes}");
    database.assert_replicated(&mut application);
}

#[test]
fn a_backlog_too_large_for_memory_is_written_straight_from_the_wal() {
    let (database, mut application) = Database::with_application();
    let mut engine = database.engine();
    engine.sync().expect("sync");
    application.fill(3000, "randomblob(3000)");
    let report = engine.sync().expect("sync");
    assert_eq!(contents(&report), [Content::Commits]);
    assert!(report.copied_wal_bytes > 8 << 20);
    assert!(!report.more);
    database.assert_replicated(&mut application);
    assert_restores_the_file(&database, &mut engine, application);
}

#[test]
fn h29_h30_unusual_schemas_are_only_pages() {
    let (database, mut application) = Database::with_application();
    let mut engine = database.engine();
    engine.sync().expect("sync");
    for sql in [
        "CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID",
        "CREATE VIRTUAL TABLE f USING fts5(text)",
        "INSERT INTO w VALUES ('a', 1), ('b', 2)",
        "INSERT INTO f VALUES ('the quick brown fox')",
        "SAVEPOINT one",
        "INSERT INTO t VALUES (50, 'kept')",
        "SAVEPOINT two",
        "INSERT INTO t VALUES (51, 'undone')",
        "ROLLBACK TO two",
        "RELEASE one",
        "DROP TABLE w",
        "CREATE TABLE w (k, v)",
        "INSERT INTO f(f) VALUES ('optimize')",
    ] {
        application.run("w", sql);
        engine.sync().expect("sync");
    }
    database.assert_replicated(&mut application);
    assert_eq!(database.replica().query("SELECT text FROM f WHERE f MATCH 'quick'"), ["Text(\"the quick brown fox\")"]);
    assert_restores_the_file(&database, &mut engine, application);
}

/// A database of a gibibyte that takes no room: all but its first and last pages are holes of a sparse file. Once it is
/// written whole behind the lock page, once it grows across it.
#[test]
fn h25_db_over_1gib_lock_page() {
    for (page_size, grows_later) in [(65536u32, false), (4096, true)] {
        let database = Database::nowhere("a.db");
        let lock = lock_page(PageSize::new(page_size).expect("legal")).0;
        let mut application = sparse_database(&database, page_size, lock - 3);
        let mut engine = database.engine();
        let mut grow = |value: &str| {
            application.run("w", &format!("INSERT INTO t (b) VALUES ({value})"));
        };
        if !grows_later {
            grow(&format!("zeroblob({})", 8 * page_size));
        }
        engine.sync().expect("sync");
        if grows_later {
            grow(&format!("zeroblob({})", 8 * page_size));
        }
        grow("'behind the lock page'");
        let report = engine.sync().expect("sync");
        assert_eq!(contents(&report), [Content::Commits]);

        let restored = SparseImage::of(&database.meta());
        assert!(!restored.seen.contains(&lock), "page size {page_size}: the lock page is in a file");
        assert!(restored.seen.iter().any(|pgno| *pgno > lock), "nothing lies behind the lock page");
        let sql = "SELECT count(*), sum(length(b)), max(b) FROM t";
        let theirs = application.run("w", sql);
        application.open("restored", &restored.path);
        assert_eq!(application.run("restored", sql), theirs, "page size {page_size}");
    }
}

/// A database of this many pages with a table `t`, and an application that has it open.
fn sparse_database(database: &Database, page_size: u32, pages: u32) -> Application {
    use std::os::unix::fs::FileExt;
    let mut application = Application::with_open(&database.path());
    application.run("w", &format!("PRAGMA page_size = {page_size}"));
    application.run("w", "PRAGMA journal_mode = wal");
    application.run("w", "CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
    application.close("w");
    let file = std::fs::OpenOptions::new().write(true).open(database.path()).expect("open database");
    file.set_len(u64::from(pages) * u64::from(page_size)).expect("enlarge");
    // The number of pages in the header.
    file.write_all_at(&pages.to_be_bytes(), 28).expect("write header");
    application.open("w", &database.path());
    application.run("w", "PRAGMA wal_autocheckpoint = 0");
    assert_eq!(application.run("w", "PRAGMA page_count"), [pages.to_string()]);
    application
}

/// What a restore gives, without its zeros.
struct SparseImage {
    _directory: tempfile::TempDir,
    path: std::path::PathBuf,
    /// Pages that any file holds.
    seen: std::collections::BTreeSet<u32>,
}

impl SparseImage {
    fn of(meta: &std::path::Path) -> SparseImage {
        use std::os::unix::fs::FileExt;
        let directory = tempfile::tempdir_in(scratch()).expect("temporary directory");
        let path = directory.path().join("restored.db");
        let output = std::fs::File::create(&path).expect("create");
        let (meta, mut seen) = (MetaDir::new(meta), std::collections::BTreeSet::new());
        for file in meta.list_l0().expect("list") {
            let input = std::fs::File::open(meta.l0_path(file.max_txid)).expect("open ltx");
            let mut decoder = Decoder::strict(std::io::BufReader::new(input)).expect("header");
            let size = decoder.page_size().bytes();
            let (mut page, zeros) = (vec![0; size], vec![0; size]);
            output.set_len(u64::from(decoder.header().commit) * size as u64).expect("size");
            while let Some(pgno) = decoder.next_page(&mut page).expect("page") {
                let is_new = seen.insert(pgno.0);
                if page != zeros || !is_new {
                    output.write_all_at(&page, u64::from(pgno.0 - 1) * size as u64).expect("write");
                }
            }
            decoder.finish().expect("checksum");
        }
        SparseImage { _directory: directory, path, seen }
    }
}
