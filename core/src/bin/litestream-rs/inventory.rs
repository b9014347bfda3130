//! The databases a configuration means right now: `path` entries as they stand, `dir` entries scanned.
//!
//! For commands that look and end. It attaches nothing; the daemon has a table of its own.

use std::collections::HashSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use litestream_core::config::{Config, DbEntry, Target};
use litestream_core::discovery::{self, DirSpec, FileIdentity, Scan};
use litestream_sdk::DbPath;

/// One database.
pub struct Listed<'a> {
    /// Its path as users call it.
    pub path: PathBuf,
    /// What is configured for it.
    pub entry: &'a DbEntry,
    /// Its path below the `dir` of the entry; `None` for a `path` entry.
    pub relative: Option<DbPath>,
}

impl Listed<'_> {
    /// Where its local state is.
    pub fn meta_path(&self) -> PathBuf {
        let relative = self.relative.as_ref().map(|path| Path::new(std::ffi::OsStr::from_bytes(path.as_bytes())));
        self.entry.meta.meta_path(&self.path, relative)
    }
}

/// Everything that was found.
#[derive(Default)]
pub struct Inventory<'a> {
    /// In the order of the entries, sorted within a directory, each file once.
    pub databases: Vec<Listed<'a>>,
    /// What is not protected, and why: one line each.
    pub notes: Vec<String>,
    /// Directories that could not be scanned.
    pub failures: Vec<String>,
}

impl Inventory<'_> {
    /// Says on stderr what is not in the list; an error if a whole directory is missing from it.
    ///
    /// # Errors
    /// The first directory that could not be scanned, after the others were reported.
    pub fn report(&self) -> anyhow::Result<()> {
        for note in &self.notes {
            eprintln!("Note: {note}");
        }
        let Some((last, others)) = self.failures.split_last() else { return Ok(()) };
        for failure in others {
            eprintln!("Error: {failure}");
        }
        Err(anyhow::Error::msg(last.clone()))
    }
}

/// Looks at every entry.
///
/// A file that an explicit `path` names belongs to that entry, wherever it stands; of two directories the first takes it.
pub fn take(config: &Config) -> Inventory<'_> {
    let mut inventory = Inventory::default();
    let mut taken: HashSet<FileIdentity> = HashSet::new();
    let explicit = config.dbs.iter().filter_map(|entry| match &entry.target {
        Target::Path(path) => fs::metadata(path).ok(),
        Target::Dir(_) => None,
    });
    taken.extend(explicit.map(|metadata| FileIdentity::of(&metadata)));
    for entry in &config.dbs {
        match &entry.target {
            Target::Path(path) => inventory.databases.push(Listed { path: path.clone(), entry, relative: None }),
            Target::Dir(spec) => match discovery::scan(spec) {
                Ok(scan) => inventory.add(entry, spec, scan, &mut taken),
                Err(error) => inventory.failures.push(error.to_string()),
            },
        }
    }
    inventory
}

/// The entry and place of one database, whether or not it exists: a `path` entry that names it, else a `dir` entry that would
/// take it. Scans nothing, so a lost database is found too.
pub fn find<'a>(config: &'a Config, path: &Path) -> Option<Listed<'a>> {
    let explicit = config.dbs.iter().find(|entry| matches!(&entry.target, Target::Path(of) if of == path));
    if let Some(entry) = explicit {
        return Some(Listed { path: path.to_owned(), entry, relative: None });
    }
    config.dbs.iter().find_map(|entry| {
        let Target::Dir(spec) = &entry.target else { return None };
        let relative = spec.covers(path)?;
        Some(Listed { path: path.to_owned(), entry, relative: Some(relative) })
    })
}

/// The entry of a directory that is configured as such.
pub fn directory<'a>(config: &'a Config, path: &Path) -> Option<Listed<'a>> {
    let is_it = |entry: &&DbEntry| matches!(&entry.target, Target::Dir(spec) if spec.dir == path);
    config.dbs.iter().find(is_it).map(|entry| Listed {
        path: path.to_owned(),
        entry,
        relative: Some(DbPath::default()),
    })
}

/// An inventory of the one database that [`find`] finds.
pub fn only<'a>(config: &'a Config, path: &Path) -> Inventory<'a> {
    Inventory { databases: find(config, path).into_iter().collect(), ..Inventory::default() }
}

/// Why a file below a configured directory is not replicated, if a scan says so.
pub fn why_not(config: &Config, path: &Path) -> Option<String> {
    config.dbs.iter().find_map(|entry| {
        let Target::Dir(spec) = &entry.target else { return None };
        path.starts_with(&spec.dir).then_some(())?;
        let scan = match discovery::scan(spec) {
            Ok(scan) => scan,
            Err(error) => return Some(error.to_string()),
        };
        let skipped =
            scan.skipped.iter().find(|skipped| skipped.path == path).map(|skipped| skipped.reason.to_string());
        let problem =
            || scan.problems.iter().find(|problem| problem.path == path).map(|problem| problem.message.clone());
        let unmatched = || {
            spec.covers(path).is_none().then(|| {
                let recursive = if spec.recursive { "" } else { ", without its subdirectories" };
                format!("the entry of {} takes names like {}{recursive}", spec.dir.display(), spec.pattern)
            })
        };
        skipped.or_else(problem).or_else(unmatched)
    })
}

impl<'a> Inventory<'a> {
    fn add(&mut self, entry: &'a DbEntry, spec: &DirSpec, scan: Scan, taken: &mut HashSet<FileIdentity>) {
        if let Err(error) = scan.require_databases(spec) {
            self.notes.push(error.to_string());
        }
        let skipped = scan.skipped.iter().map(|skipped| (&skipped.path, skipped.reason.to_string()));
        let problems = scan.problems.iter().map(|problem| (&problem.path, problem.message.clone()));
        for (path, reason) in skipped.chain(problems) {
            self.notes.push(format!("{} is not replicated: {reason}", path.display()));
        }
        for found in scan.found {
            if taken.insert(found.identity) {
                self.databases.push(Listed { path: found.path, entry, relative: Some(found.relative) });
            }
        }
    }
}
