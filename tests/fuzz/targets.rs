//! The parsers that read what others wrote, each with the rules that hold for any input.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use litestream_core::config::{self, Environment, LoadRequest, Source};
use litestream_core::db::{Db, DbFiles, DbSettings};
use litestream_core::discovery::Pattern;
use litestream_core::ltx::{Decoder, Encoder, FileName, Header, LtxError, PageSize, Pgno, Txid, verify};
use litestream_core::replica::Layout;
use litestream_core::sqlite::{
    ByteOrder, FRAME_HEADER_LEN, FrameHeader, WAL_HEADER_LEN, WalChecksum, WalHeader, frame_len,
};
use litestream_sdk::options::Url;
use litestream_sdk::{DbPath, ObjectKey, ReplicaPath};
use rusqlite::Connection;

use super::Target;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Files below a directory that end so, and are not large.
fn files(directory: &Path, ending: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) && entry.metadata().unwrap().len() < 100_000 {
            found.push(fs::read(path).unwrap());
        }
    }
    found
}

/// The words of an error, without what differs from input to input.
fn shape(error: impl std::fmt::Display) -> String {
    let text = error.to_string();
    let plain = text.chars().filter(|letter| letter.is_ascii_lowercase() || *letter == ' ');
    plain.take(60).collect()
}

type Pages = Vec<(Pgno, Vec<u8>)>;

fn decode(input: &[u8], strict: bool) -> Result<(Header, Pages), LtxError> {
    let mut decoder = if strict { Decoder::strict(input)? } else { Decoder::new(input)? };
    let (mut pages, mut page) = (Vec::new(), vec![0; decoder.page_size().bytes()]);
    while let Some(pgno) = decoder.next_page(&mut page)? {
        pages.push((pgno, page.clone()));
    }
    let header = decoder.header().clone();
    decoder.finish().map(|_| (header, pages))
}

/// LTX files: what is accepted can be written again, and says the same then.
pub struct Ltx;

impl Target for Ltx {
    const NAME: &'static str = "ltx";

    fn seeds() -> Vec<Vec<u8>> {
        files(&root().join("tests/fixtures/ltx"), ".ltx")
    }

    fn new() -> Self {
        Self
    }

    fn run(&mut self, input: &[u8]) -> String {
        assert_eq!(verify(input, None).is_ok(), decode(input, true).is_ok(), "verified is read strictly");
        match decode(input, false) {
            Ok((header, pages)) => {
                assert!(pages.windows(2).all(|pair| pair[0].0 < pair[1].0), "ascending");
                assert!(pages.iter().all(|(pgno, page)| pgno.0 > 0 && page.len() == header.page_size.bytes()));
                // The reference's older files may hold pages beyond the size, which nobody writes.
                if let Ok(again) = encode(&header, &pages) {
                    assert_eq!(decode(&again, true).map(|(_, pages)| pages).ok(), Some(pages), "written again");
                }
                "read".to_owned()
            }
            Err(error) => {
                assert!(decode(input, true).is_err(), "strict is stricter");
                shape(error)
            }
        }
    }
}

fn encode(header: &Header, pages: &Pages) -> Result<Vec<u8>, LtxError> {
    let plain = Header::new(header.page_size, header.commit, header.min_txid, header.max_txid, header.timestamp);
    let mut encoder = Encoder::new(Vec::new(), &plain)?;
    for (pgno, page) in pages {
        encoder.encode_page(*pgno, page)?;
    }
    Ok(encoder.finish()?.0)
}

/// What stands behind the pages. Index, sizes and checksums leave no freedom: only the bytes that were written are read.
pub struct PageIndex {
    pages: Vec<u8>,
    index: Vec<u8>,
}

impl PageIndex {
    /// A file of 60 pages, and where its index begins.
    fn file() -> (Vec<u8>, usize) {
        let size = PageSize::new(512).unwrap();
        let header = Header::new(size, 400, Txid(2), Txid(9), 1);
        let pages: Pages = (1..=60u32).map(|n| (Pgno(n + n / 20), vec![n as u8; 512])).collect();
        let bytes = encode(&header, &pages).unwrap();
        let trailer = bytes.len() - 16;
        let index_len = u64::from_be_bytes(bytes[trailer - 8..trailer].try_into().unwrap()) as usize;
        (bytes, trailer - 8 - index_len)
    }
}

impl Target for PageIndex {
    const NAME: &'static str = "page_index";

    fn seeds() -> Vec<Vec<u8>> {
        let (bytes, at) = PageIndex::file();
        vec![bytes[at..].to_vec()]
    }

    fn new() -> Self {
        let (bytes, at) = PageIndex::file();
        Self { pages: bytes[..at].to_vec(), index: bytes[at..].to_vec() }
    }

    fn run(&mut self, input: &[u8]) -> String {
        let bytes = [&self.pages[..], input].concat();
        match decode(&bytes, true) {
            Ok(_) => {
                assert!(self.index == input, "another index was accepted");
                "read".to_owned()
            }
            Err(error) => shape(error),
        }
    }
}

/// A WAL beside a database: what the engine replicates is what SQLite makes of it.
pub struct Wal {
    directory: tempfile::TempDir,
    database: Vec<u8>,
}

impl Wal {
    /// A database file and its WAL, as after a crash.
    fn pair() -> (Vec<u8>, Vec<u8>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(
                "PRAGMA page_size = 512; PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0;
                 CREATE TABLE t (a INTEGER PRIMARY KEY, b); PRAGMA wal_checkpoint(TRUNCATE);",
            )
            .unwrap();
        for row in 0..8 {
            connection.execute("INSERT INTO t (b) VALUES (zeroblob(?1))", [row * 150]).unwrap();
        }
        connection.execute("DELETE FROM t WHERE a > 4", []).unwrap();
        let wal = fs::read(directory.path().join("a.db-wal")).unwrap();
        (fs::read(&path).unwrap(), wal)
    }

    fn place(&self, name: &str, wal: &[u8]) -> PathBuf {
        let directory = self.directory.path().join(name);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("a.db"), &self.database).unwrap();
        fs::write(directory.join("a.db-wal"), wal).unwrap();
        directory.join("a.db")
    }

    /// The database as the engine's one file holds it.
    fn replicated(&self, wal: &[u8]) -> Result<Vec<u8>, String> {
        let path = self.place("engine", wal);
        let meta = path.with_extension("meta");
        let files = DbFiles { path, meta };
        let mut engine = Db::open(files, Arc::new(DbSettings::default())).map_err(shape)?;
        let report = engine.sync().map_err(shape)?;
        let bytes = fs::read(engine.meta().l0_path(report.txid)).map_err(shape)?;
        let (header, pages) = decode(&bytes, true).expect("what the engine writes can be read");
        let size = header.page_size.bytes();
        assert_eq!(pages.len(), header.commit as usize, "a full file");
        let image: Vec<u8> = pages.into_iter().flat_map(|(_, page)| page).collect();
        assert_eq!(image.len(), header.commit as usize * size);
        Ok(image)
    }

    /// The database as SQLite folds it.
    fn folded(&self, wal: &[u8]) -> rusqlite::Result<Vec<u8>> {
        let path = self.place("sqlite", wal);
        let connection = Connection::open(&path)?;
        // The pragma for checkpoints would read the schema, which may be damaged; the last close does not.
        connection.query_row("PRAGMA schema_version", [], |_| Ok(()))?;
        connection.close().map_err(|(_, error)| error)?;
        Ok(fs::read(path).unwrap())
    }
}

impl Target for Wal {
    const NAME: &'static str = "wal";

    fn seeds() -> Vec<Vec<u8>> {
        let (_, wal) = Wal::pair();
        vec![wal.clone(), chained(&wal), Vec::new()]
    }

    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        Self { directory: tempfile::tempdir_in(place).unwrap(), database: Wal::pair().0 }
    }

    fn run(&mut self, input: &[u8]) -> String {
        // Half of them with checksums that are right again: then what stands in the frames is believed.
        let chained = input.first().is_some_and(|byte| byte % 2 == 1) || input.len() % 2 == 1;
        let wal = if chained { self::chained(input) } else { input.to_vec() };
        match self.replicated(&wal) {
            Ok(image) => {
                let folded = self.folded(&wal).expect("SQLite reads what the engine has read");
                assert!(image == folded, "{} and {} bytes", image.len(), folded.len());
                format!("{} bytes", image.len())
            }
            Err(error) => error,
        }
    }
}

/// Checksums and salts made right, page numbers and sizes small: a WAL that SQLite believes.
fn chained(wal: &[u8]) -> Vec<u8> {
    const LARGEST: u32 = 40;
    let Some(head) = wal.first_chunk::<WAL_HEADER_LEN>() else { return wal.to_vec() };
    let (good, _) = Wal::pair_header();
    let header = WalHeader::parse(head).unwrap_or(good);
    let order = if head[3] % 2 == 1 { ByteOrder::Big } else { header.order };
    let mut bytes = WalHeader { order, page_size: good.page_size, ..header }.to_bytes().to_vec();
    let mut sum = WalChecksum::from_be_bytes(bytes[24..].try_into().unwrap());
    for frame in wal[WAL_HEADER_LEN..].chunks_exact(frame_len(good.page_size) as usize) {
        let (head, page) = frame.split_at(FRAME_HEADER_LEN);
        let found = FrameHeader::parse(head.try_into().unwrap());
        let pgno = Pgno(found.pgno.0 % LARGEST + u32::from(found.pgno.0.is_multiple_of(LARGEST)));
        let mut head =
            FrameHeader { pgno, commit: found.commit % LARGEST, salt: header.salt, checksum: WalChecksum::default() };
        head.checksum = head.expected_checksum(order, sum, page);
        sum = head.checksum;
        bytes.extend_from_slice(&head.to_bytes());
        bytes.extend_from_slice(page);
    }
    bytes
}

impl Wal {
    fn pair_header() -> (WalHeader, usize) {
        static HEADER: std::sync::OnceLock<[u8; WAL_HEADER_LEN]> = std::sync::OnceLock::new();
        let bytes = HEADER.get_or_init(|| Wal::pair().1[..WAL_HEADER_LEN].try_into().unwrap());
        (WalHeader::parse(bytes).unwrap(), WAL_HEADER_LEN)
    }
}

/// Names of files, objects and directories: what is read is written back as it was.
pub struct Names;

impl Target for Names {
    const NAME: &'static str = "names";

    fn seeds() -> Vec<Vec<u8>> {
        let texts = [
            "0000000000000001-00000000000000ff.ltx",
            "9/0000000000000001-0000000000000001.ltx",
            "00000000000000ff",
            "*.db",
            "[a-c]?*[^x-z]\\[.sqlite",
            "tenants/*/app-[0-9].db",
            "backups/prod/tenant 1.db",
            "/a//b/../c",
            "r\u{e4}n\u{1f600}.db",
        ];
        texts.map(|text| text.as_bytes().to_vec()).to_vec()
    }

    fn words() -> &'static [&'static str] {
        &[
            "[",
            "]",
            "[^",
            "-",
            "*",
            "?",
            "\\",
            "/",
            "..",
            ".ltx",
            "0000000000000000",
            "ffffffffffffffff",
            "{",
            "}",
            "**",
        ]
    }

    fn new() -> Self {
        Self
    }

    fn run(&mut self, input: &[u8]) -> String {
        let text = String::from_utf8_lossy(input);
        let mut answer = String::new();
        if let Ok(name) = text.parse::<FileName>() {
            assert_eq!(name.to_string(), text);
            answer.push('f');
        }
        if let Ok(txid) = text.parse::<Txid>() {
            assert_eq!(txid.to_string().parse(), Ok(txid));
            answer.push('t');
        }
        if let Some((level, name)) = Layout::parse_below_levels(input) {
            assert_eq!(format!("{level}/{name}").as_bytes(), input);
            answer.push('l');
        }
        match Pattern::parse(&text) {
            Ok(pattern) => {
                let seen = pattern.matches(Path::new("tenants/one"), OsStr::from_bytes(input));
                answer.push(if seen { 'm' } else { 'p' });
            }
            Err(error) => answer += &shape(error),
        }
        if let Ok(path) = ReplicaPath::parse(input) {
            assert_eq!(
                ReplicaPath::parse(path.to_string()).is_ok(),
                std::str::from_utf8(input).is_ok() || path.to_utf8().is_err()
            );
            answer.push('r');
        }
        if let (Ok(path), Ok(base)) = (DbPath::parse(input), ReplicaPath::parse("base")) {
            drop(base.join(&path));
            answer.push('d');
        }
        if ObjectKey::parse(input).is_ok() {
            answer.push('o');
        }
        answer
    }
}

/// Loads a configuration of this text, as the program does.
fn load(directory: &tempfile::TempDir, ending: &str, input: &[u8]) -> String {
    let path = directory.path().join(format!("litestream.{ending}"));
    fs::write(&path, input).unwrap();
    let environment = Environment::empty(directory.path()).with("NAME", "value").with("LITESTREAM_SECRET", "hunter2");
    let request = LoadRequest::new(Source::File(path.to_string_lossy().into_owned()), environment);
    let lenient = LoadRequest { lenient: true, ..request.clone() };
    match (config::load(&request), config::load(&lenient)) {
        (Ok(loaded), again) => {
            assert!(again.is_ok(), "what is accepted is accepted leniently, too");
            format!("{} databases, {} warnings", loaded.config.dbs.len().min(4), loaded.warnings.len().min(4))
        }
        (Err(error), _) => {
            let text = error.to_string();
            assert!(!text.is_empty() && text.len() < 20_000 + 4 * input.len(), "{} bytes of error", text.len());
            shape(text)
        }
    }
}

const CONFIG_WORDS: &[&str] = &[
    "dbs:",
    "- path: a.db",
    "replica:",
    "type: file",
    "url: file:///x",
    "interval: 1s",
    "${NAME}",
    "$NAME",
    "&a",
    "*a",
    "<<: *a",
    "|",
    ">",
    "'",
    "\"",
    "{",
    "}",
    "[",
    "]",
    ": ",
    "- ",
    "\n",
    "  ",
    "#",
    "!!binary",
    "---",
    "...",
    "1e999",
    "-1",
    "0x",
    "~",
    "true",
    "[[dbs]]",
    "[dbs.replica]",
    "=",
    "'''",
    "\"\"\"",
    "\\u0000",
    "levels:",
    "1h30m",
    "9223372036854775808",
];

/// YAML configurations.
pub struct Yaml(tempfile::TempDir);

impl Target for Yaml {
    const NAME: &'static str = "config_yaml";

    fn seeds() -> Vec<Vec<u8>> {
        files(&root().join("config"), ".yml")
    }

    fn words() -> &'static [&'static str] {
        CONFIG_WORDS
    }

    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn run(&mut self, input: &[u8]) -> String {
        load(&self.0, "yml", input)
    }
}

/// TOML configurations.
pub struct Toml(tempfile::TempDir);

impl Target for Toml {
    const NAME: &'static str = "config_toml";

    fn seeds() -> Vec<Vec<u8>> {
        files(&root().join("config"), ".toml")
    }

    fn words() -> &'static [&'static str] {
        CONFIG_WORDS
    }

    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn run(&mut self, input: &[u8]) -> String {
        load(&self.0, "toml", input)
    }
}

/// Replica URLs: no secret is ever shown, and what is taken apart goes together again.
pub struct Urls;

impl Target for Urls {
    const NAME: &'static str = "urls";

    fn seeds() -> Vec<Vec<u8>> {
        let texts = [
            "s3://bucket/path/to/db?endpoint=http%3A%2F%2Flocalhost:9000&region=us-east-1",
            "sftp://user:pass%40word@host.example:2222/a%20b/c",
            "file:///var/backups/tenant.db",
            "abs://account@container/path",
            "s3://arn:aws:s3:us-east-1:123456789012:accesspoint/name/x",
            "webdavs://u:p@[::1]:8443/",
        ];
        texts.map(|text| text.as_bytes().to_vec()).to_vec()
    }

    fn words() -> &'static [&'static str] {
        &["://", "@", ":", "/", "?", "&", "=", "%", "%2F", "%00", "%ff", "%zz", "[", "]", "#", "65536", "..", "\u{e4}"]
    }

    fn new() -> Self {
        Self
    }

    fn run(&mut self, input: &[u8]) -> String {
        let text = String::from_utf8_lossy(input);
        match Url::parse(&text) {
            Ok(url) => {
                let shown = |url: &Url| format!("{url} {url:?}");
                let mut with_another = url.clone();
                with_another.password = Some("another".to_owned());
                assert_eq!(shown(&url), shown(&with_another), "what is shown depends on the password");
                let authority = url.authority();
                assert!(authority.starts_with(&url.host));
                let path = url.path().map_or_else(shape, |_| "path".to_owned());
                format!("{} {} {path}", url.port.is_some(), url.query.len().min(4))
            }
            Err(error) => shape(error),
        }
    }
}
