//! The walk: names only, in parallel, without a look at any file.
//!
//! A hundred thousand names cost tens of milliseconds; opening as many files costs ten times that. So everything that
//! a name can decide is decided here, inside the directory that is being read.

use std::ffi::OsStr;
use std::fs::FileType;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jwalk::rayon::{ThreadPool, ThreadPoolBuilder};
use jwalk::{DirEntry, Parallelism, WalkDirGeneric};

use super::error::{ScanError, system_text};
use super::skipped::{FileKind, Problem, SkipReason};
use super::{DirSpec, meta};

/// Files SQLite keeps beside a database; never databases themselves.
const SIDECAR_SUFFIXES: [&[u8]; 3] = [b"-wal", b"-shm", b"-journal"];

/// A file whose name is wanted.
pub(super) struct Candidate {
    /// Below the configured directory.
    pub(super) relative: PathBuf,
    pub(super) kind: CandidateKind,
}

/// What the directory says a candidate is.
#[derive(Clone, Copy)]
pub(super) enum CandidateKind {
    File,
    Link,
    NotAFile(FileKind),
}

impl CandidateKind {
    fn of(kind: FileType) -> CandidateKind {
        if kind.is_file() {
            CandidateKind::File
        } else if kind.is_symlink() {
            CandidateKind::Link
        } else {
            CandidateKind::NotAFile(FileKind::of(kind))
        }
    }
}

/// All a walk found, in no promised order. Paths of `skipped` are relative, like those of candidates.
#[derive(Default)]
pub(super) struct Walked {
    pub(super) candidates: Vec<Candidate>,
    /// Those that were entered, the root (an empty path) among them.
    pub(super) directories: Vec<PathBuf>,
    pub(super) skipped: Vec<(PathBuf, SkipReason)>,
    pub(super) problems: Vec<Problem>,
}

/// What the walk decided about an entry.
#[derive(Clone, Debug, Default)]
enum Decision {
    #[default]
    Enter,
    Take,
    Skip(SkipReason),
}

type Entry = DirEntry<((), Decision)>;

/// Threads for one scan. It has its own, so that a directory on a hung mount delays no other.
pub(super) fn threads(spec: &DirSpec) -> Result<Arc<ThreadPool>, ScanError> {
    let count = std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, 8));
    let pool = ThreadPoolBuilder::new().num_threads(count).thread_name(|_| "discovery".to_owned()).build();
    pool.map(Arc::new).map_err(|error| ScanError::Threads { directory: spec.dir.clone(), reason: error.to_string() })
}

/// Walks the directory of `spec` as far as `spec` says.
pub(super) fn walk(spec: &DirSpec, pool: &Arc<ThreadPool>) -> Result<Walked, ScanError> {
    let root = open_root(spec)?;
    let mut walked = Walked::default();
    walk_below(spec, &root, Path::new(""), pool, &mut walked)?;
    Ok(walked)
}

/// Looks at some names only: a directory is walked, a file is a candidate if `spec` covers it, a name that is not there
/// gives nothing. `parts` are relative, and none lies below another.
pub(super) fn walk_parts<'a>(
    spec: &DirSpec,
    parts: impl Iterator<Item = &'a Path>,
    pool: &Arc<ThreadPool>,
) -> Result<Walked, ScanError> {
    let root = open_root(spec)?;
    let mut walked = Walked::default();
    for part in parts {
        if part.as_os_str().is_empty() {
            walk_below(spec, &root, part, pool, &mut walked)?;
            continue;
        }
        let kind = match std::fs::symlink_metadata(root.join(part)) {
            Ok(metadata) => metadata.file_type(),
            Err(error) if is_gone(&error) => continue,
            Err(error) => {
                walked.problems.push(Problem { path: spec.dir.join(part), message: system_text(&error) });
                continue;
            }
        };
        if kind.is_dir() {
            if spec.enters(part) {
                walk_below(spec, &root, part, pool, &mut walked)?;
            }
        } else if spec.covers(&spec.dir.join(part)).is_some() {
            walked.candidates.push(Candidate { relative: part.to_owned(), kind: CandidateKind::of(kind) });
        }
    }
    Ok(walked)
}

/// Not there, or not reachable because something that is no directory stands in the way.
fn is_gone(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

/// Adds what lies below one directory of the tree.
fn walk_below(
    spec: &DirSpec,
    root: &Path,
    below: &Path,
    pool: &Arc<ThreadPool>,
    walked: &mut Walked,
) -> Result<(), ScanError> {
    let is_root = below.as_os_str().is_empty();
    let cut_short = Arc::new(Mutex::new(Vec::new()));
    for entry in walker(root, below, spec, pool, &cut_short) {
        let entry = match entry {
            Ok(entry) => entry,
            // Errors inside directories were taken out while reading them; only the first directory is left.
            Err(error) if is_root => return Err(root_error(spec, "open", error.into())),
            // It went away since it was looked at.
            Err(_) => continue,
        };
        let read_error = entry.read_children.as_ref().and_then(|children| children.error());
        if entry.depth == 0 && is_root {
            if let Some(error) = read_error.and_then(|error| error.io_error()) {
                return Err(root_error(spec, "open", clone_of(error)));
            }
            walked.directories.push(PathBuf::new());
            continue;
        }
        let path = entry.path();
        let relative = path.strip_prefix(root).unwrap_or(&path);
        if let Some(error) = read_error {
            let message = error.io_error().map_or_else(|| error.to_string(), system_text);
            walked.problems.push(Problem { path: spec.dir.join(relative), message });
        }
        match entry.client_state {
            Decision::Enter => walked.directories.push(relative.to_owned()),
            Decision::Skip(reason) => walked.skipped.push((relative.to_owned(), reason)),
            Decision::Take => walked
                .candidates
                .push(Candidate { relative: relative.to_owned(), kind: CandidateKind::of(entry.file_type) }),
        }
    }
    let mut cut_short = cut_short.lock().unwrap_or_else(PoisonError::into_inner);
    for problem in cut_short.drain(..) {
        let relative = problem.path.strip_prefix(root).unwrap_or(&problem.path);
        walked.problems.push(Problem { path: spec.dir.join(relative), message: problem.message });
    }
    Ok(())
}

/// The directory to walk. A link is resolved here, once, and nowhere below.
fn open_root(spec: &DirSpec) -> Result<PathBuf, ScanError> {
    let error = |operation| move |source| root_error(spec, operation, source);
    std::fs::symlink_metadata(&spec.dir).map_err(error("lstat"))?;
    let root = std::fs::canonicalize(&spec.dir).map_err(error("open"))?;
    std::fs::read_dir(&root).map_err(error("open"))?;
    Ok(root)
}

fn root_error(spec: &DirSpec, operation: &'static str, source: std::io::Error) -> ScanError {
    ScanError::Directory { directory: spec.dir.clone(), operation, source }
}

fn clone_of(error: &std::io::Error) -> std::io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), std::io::Error::from_raw_os_error)
}

fn walker(
    root: &Path,
    below: &Path,
    spec: &DirSpec,
    pool: &Arc<ThreadPool>,
    cut_short: &Arc<Mutex<Vec<Problem>>>,
) -> WalkDirGeneric<((), Decision)> {
    let (walk_root, spec, cut_short) = (root.to_owned(), spec.clone(), cut_short.clone());
    WalkDirGeneric::<((), Decision)>::new(root.join(below))
        .skip_hidden(false)
        .follow_links(false)
        .parallelism(Parallelism::RayonExistingPool { pool: pool.clone(), busy_timeout: None })
        .process_read_dir(move |depth, directory, (), children| {
            if depth.is_none() {
                return; // The root as an entry of its own, always entered.
            }
            let relative = directory.strip_prefix(&walk_root).unwrap_or(directory);
            children.retain_mut(|child| match child {
                Ok(entry) => decide(&spec, relative, entry),
                Err(error) => {
                    let message = error.io_error().map_or_else(|| error.to_string(), system_text);
                    let problem = Problem { path: directory.to_owned(), message };
                    cut_short.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
                    false
                }
            });
        })
}

/// Decides about one entry of `directory`; false drops it.
fn decide(spec: &DirSpec, directory: &Path, entry: &mut Entry) -> bool {
    let name = entry.file_name.as_os_str();
    let excluded = || {
        let pattern = spec.exclude.iter().find(|pattern| pattern.matches(directory, name))?;
        Some(SkipReason::Excluded { pattern: pattern.to_string() })
    };
    entry.client_state = if entry.file_type.is_dir() {
        if !spec.recursive {
            return false;
        }
        if meta::is_state_directory_name(name) {
            if name.as_bytes().starts_with(b".") {
                return false; // One beside each database: too many, and too well known, to report.
            }
            Decision::Skip(SkipReason::StateDirectory)
        } else {
            excluded().map_or(Decision::Enter, Decision::Skip)
        }
    } else {
        if is_sidecar(name) || !spec.pattern.matches(directory, name) {
            return false;
        }
        excluded().map_or(Decision::Take, Decision::Skip)
    };
    if matches!(entry.client_state, Decision::Skip(_)) {
        entry.read_children = None;
    }
    true
}

pub(super) fn is_sidecar(name: &OsStr) -> bool {
    SIDECAR_SUFFIXES.iter().any(|suffix| name.as_bytes().ends_with(suffix))
}
