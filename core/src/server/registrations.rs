//! What was registered through the socket, kept in a file: a restart must not silently end the protection of a database.
//!
//! One file for each socket, so that two daemons of one user keep apart. It may hold passwords of replica URLs: it is its
//! owner's alone. A file that cannot be written costs the survival of the registration, and is logged; nothing else fails.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// Raised when the meaning of a field changes.
const VERSION: u32 = 1;

/// See the module.
#[derive(Clone)]
pub struct Registrations(Arc<Kept>);

struct Kept {
    file: PathBuf,
    socket: PathBuf,
    /// Path and replica URL. Locked while the file is written: the order of changes is that of the file.
    databases: Mutex<BTreeMap<PathBuf, String>>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    /// Whose they are, for people who find the file.
    socket: PathBuf,
    databases: Vec<Registered>,
}

#[derive(Serialize, Deserialize)]
struct Registered {
    path: PathBuf,
    replica_url: String,
}

impl Registrations {
    /// Reads those of the daemon with this socket. A file that cannot be read is logged, and put aside at the next change.
    pub fn load(directory: &Path, socket: &Path) -> Registrations {
        let mut hasher = DefaultHasher::new();
        socket.hash(&mut hasher);
        let file = directory.join(format!("registrations-{:016x}.json", hasher.finish()));
        let databases = read(&file).unwrap_or_else(|error| {
            tracing::error!(path = %file.display(), %error, "registrations cannot be read: databases registered before the restart are not replicated; register them again");
            keep_aside(&file);
            BTreeMap::new()
        });
        Registrations(Arc::new(Kept { file, socket: socket.to_owned(), databases: Mutex::new(databases) }))
    }

    /// Path and replica URL of each.
    pub fn all(&self) -> Vec<(PathBuf, String)> {
        let databases = self.0.databases.lock().unwrap_or_else(PoisonError::into_inner);
        databases.iter().map(|(path, url)| (path.clone(), url.clone())).collect()
    }

    /// The replica URL of one, which may hold a password.
    pub(super) fn replica_url(&self, path: &Path) -> Option<String> {
        self.0.databases.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    /// Keeps one more.
    pub async fn add(&self, path: PathBuf, replica_url: String) {
        self.change(move |databases| databases.insert(path, replica_url.clone()) != Some(replica_url)).await;
    }

    /// Forgets one.
    pub async fn remove(&self, path: PathBuf) {
        self.change(move |databases| databases.remove(&path).is_some()).await;
    }

    /// Changes and, if `change` says that anything is different, writes.
    async fn change(&self, change: impl FnOnce(&mut BTreeMap<PathBuf, String>) -> bool + Send + 'static) {
        let kept = Arc::clone(&self.0);
        let written = tokio::task::spawn_blocking(move || {
            let mut databases = kept.databases.lock().unwrap_or_else(PoisonError::into_inner);
            if !change(&mut databases) {
                return;
            }
            if let Err(error) = kept.write(&databases) {
                tracing::warn!(path = %kept.file.display(), %error, "registrations cannot be kept: they end with this process");
            }
        });
        // It was logged, or the process is ending.
        let _ = written.await;
    }
}

impl Kept {
    /// Whole and durable, or as before.
    fn write(&self, databases: &BTreeMap<PathBuf, String>) -> io::Result<()> {
        let registered = |(path, url): (&PathBuf, &String)| Registered { path: path.clone(), replica_url: url.clone() };
        let databases = databases.iter().map(registered).collect();
        let document = Document { version: VERSION, socket: self.socket.clone(), databases };
        let directory = self.file.parent().unwrap_or(Path::new("/"));
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let new = self.file.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&serde_json::to_vec_pretty(&document)?)?;
        file.sync_all()?;
        fs::rename(&new, &self.file)?;
        File::open(directory)?.sync_all()
    }
}

fn read(file: &Path) -> io::Result<BTreeMap<PathBuf, String>> {
    let text = match fs::read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        other => other?,
    };
    let document: Document = serde_json::from_slice(&text)?;
    if document.version != VERSION {
        return Err(io::Error::other(format!("its version is {}, this program knows {VERSION}", document.version)));
    }
    Ok(document.databases.into_iter().map(|one| (one.path, one.replica_url)).collect())
}

/// What cannot be read is not written over.
fn keep_aside(file: &Path) {
    // If that fails, too, the next change fails or replaces it, and the log has said so.
    let _ = fs::rename(file, file.with_extension("unreadable"));
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn what_is_added_is_there_after_a_restart_and_only_for_that_socket() {
        let state = tempfile::tempdir().unwrap();
        let directory = state.path().join("deep/er");
        let load = |socket: &str| Registrations::load(&directory, Path::new(socket));
        let first = load("/run/a.sock");
        first.add("/d/a.db".into(), "s3://key:secret@b/a".into()).await;
        first.add("/d/b.db".into(), "file:///r/b".into()).await;
        first.remove("/d/b.db".into()).await;
        assert_eq!(load("/run/a.sock").all(), [(PathBuf::from("/d/a.db"), "s3://key:secret@b/a".to_owned())]);
        assert!(load("/run/b.sock").all().is_empty());
        let mode = fs::metadata(&first.0.file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "it holds passwords");
    }

    #[tokio::test]
    async fn a_damaged_file_is_put_aside_and_not_lost() {
        let state = tempfile::tempdir().unwrap();
        let load = || Registrations::load(state.path(), Path::new("/run/a.sock"));
        let file = load().0.file.clone();
        for text in ["{", "{\"version\":9,\"socket\":\"/x\",\"databases\":[]}"] {
            fs::write(&file, text).unwrap();
            let damaged = load();
            assert!(damaged.all().is_empty());
            damaged.add("/d/a.db".into(), "file:///r".into()).await;
            assert_eq!(fs::read_to_string(file.with_extension("unreadable")).unwrap(), text);
            assert_eq!(load().all().len(), 1);
        }
    }
}
