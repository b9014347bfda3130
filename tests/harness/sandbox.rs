//! A private directory for one test, and the ordinary things made in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Application, Engine};

/// Removed at the end of the test, unless `LITESTREAM_TEST_KEEP` is set.
pub struct Sandbox {
    root: PathBuf,
    _directory: Option<tempfile::TempDir>,
    counter: AtomicU32,
}

impl Sandbox {
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("litestream-rs-").tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let kept = std::env::var_os("LITESTREAM_TEST_KEEP").is_some();
        if kept {
            eprintln!("kept: {}", root.display());
        }
        let directory = if kept {
            let _ = directory.keep();
            None
        } else {
            Some(directory)
        };
        Self { root, _directory: directory, counter: AtomicU32::new(0) }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// The same as text, for configuration files and arguments.
    pub fn text(&self, relative: impl AsRef<Path>) -> String {
        self.path(relative).into_os_string().into_string().unwrap()
    }

    pub fn url(&self, relative: impl AsRef<Path>) -> String {
        format!("file://{}", self.text(relative))
    }

    /// A path that nothing used before, outside every directory a test replicates.
    pub fn fresh(&self, name: &str) -> PathBuf {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let directory = self.root.join(".out").join(number.to_string());
        fs::create_dir_all(&directory).unwrap();
        directory.join(name)
    }

    /// Where our program, whose home this is, keeps what it knows of its databases between two runs.
    pub fn ledger(&self) -> PathBuf {
        self.root.join(".local/state/litestream-rs/fleet-litestream/ledger.sqlite")
    }

    pub fn mkdir(&self, relative: impl AsRef<Path>) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(&path).unwrap();
        path
    }

    pub fn write(&self, relative: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A configuration file. `ROOT` in the text stands for the sandbox.
    pub fn config(&self, text: &str) -> PathBuf {
        let path = self.fresh("litestream.yml");
        fs::write(&path, text.replace("ROOT", self.root.to_str().unwrap())).unwrap();
        path
    }

    /// A WAL database with some rows, closed again.
    pub fn database(&self, relative: impl AsRef<Path>) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut application = Application::open(Engine::Bundled, &path);
        application.exec("PRAGMA journal_mode = wal");
        application.exec("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, data BLOB)");
        insert(&mut application, 20);
        application.close();
        path
    }

    /// Adds rows to a database made by [`Sandbox::database`], in a process that opens, writes and closes.
    pub fn add_rows(&self, relative: impl AsRef<Path>, rows: u32) {
        let mut application = Application::open(Engine::Bundled, &self.path(relative));
        insert(&mut application, rows);
        application.close();
    }
}

fn insert(application: &mut Application, rows: u32) {
    application.exec(&format!(
        "INSERT INTO item (name, data) WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < {rows}) \
         SELECT 'item ' || i, randomblob(200) FROM s"
    ));
}
