//! The directories of the server: which are known to exist, and how missing ones are made.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use litestream_sdk::listing::{Child, Directories};
use litestream_sdk::{ErrorKind, ReplicaPath, Result, StorageError, Time, async_trait};

use crate::client::{Call, Client};
use crate::upload::is_temporary;
use crate::xml::Resource;

/// Directories remembered at most; a database has one for each level.
const REMEMBERED: usize = 50_000;

/// Directories that were seen or made, so that an upload into one of them costs no further request.
#[derive(Default)]
pub(crate) struct Known {
    dirs: Mutex<HashSet<String>>,
    /// Held while one is made, each for the directories whose names hash to it: servers answer "locked" to the second of
    /// two requests for the same one.
    making: [tokio::sync::Mutex<()>; 16],
}

impl Known {
    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.dirs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody may have removed it.
    pub fn forget(&self, dir: &str) {
        self.lock().retain(|known| !known.starts_with(dir) && !dir.starts_with(known.as_str()));
    }

    /// Makes a directory and those above it, below the root, which must be there.
    ///
    /// # Errors
    /// NO_STORE if the root is missing.
    pub async fn make(&self, client: &Client, dir: &str) -> Result<()> {
        if dir.is_empty() || self.lock().contains(dir) {
            return Ok(());
        }
        let mut missing = vec![dir];
        while let Some(dir) = missing.last().copied() {
            let path = format!("{dir}/");
            let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(dir);
            let _making = self.making[usize::from(hash as u8) % self.making.len()].lock().await;
            if self.lock().contains(dir) {
                missing.pop();
                continue;
            }
            let (status, _) = client.ask(Call::new("MKCOL", &path), &[405, 409, 404]).await?;
            match status {
                // Its parent is missing.
                404 | 409 => match dir.rsplit_once('/') {
                    Some((parent, _)) => missing.push(parent),
                    None => {
                        client.check_root().await?;
                        let message = format!("MKCOL {path}: the server does not make this directory");
                        return Err(StorageError::new(ErrorKind::PERMANENT, message).with_http_status(409));
                    }
                },
                // Made now, or there already (405).
                _ => {
                    let mut known = self.lock();
                    if known.len() >= REMEMBERED {
                        known.clear();
                    }
                    known.insert(dir.to_owned());
                    missing.pop();
                }
            }
        }
        Ok(())
    }
}

/// The directories as listings want them.
pub(crate) struct Walk(pub Arc<Client>);

#[async_trait]
impl Directories for Walk {
    async fn read_dir(&self, dir: &ReplicaPath) -> Result<Vec<Child>> {
        let path = match dir.to_utf8()?.trim_start_matches('/') {
            "" => String::new(),
            path => format!("{path}/"),
        };
        let Some(found) = self.0.look(&path, 1).await? else {
            self.0.check_root().await?;
            return Ok(Vec::new());
        };
        // The directory itself is among them: the shortest, since all others lie below it.
        let own = found.iter().map(|resource| resource.path.len()).min().unwrap_or_default();
        let is_own = |it: &Resource| {
            it.is_dir && it.path.len() == own && it.path.ends_with(path.trim_end_matches('/').as_bytes())
        };
        let children = found.into_iter().filter(|resource| !is_own(resource));
        let ours = children.filter(|child| std::str::from_utf8(child.name()).is_ok_and(|name| !is_temporary(name)));
        let children = ours.map(|child| {
            let name = child.name().to_vec();
            match child.is_dir {
                true => Child::Dir(name),
                false => {
                    let time = child.modified.map_or(Time::Unknown, Time::Server);
                    Child::Object { name, size: child.size, time }
                }
            }
        });
        Ok(children.collect())
    }
}
