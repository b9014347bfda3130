//! One look at a directory: walk, then judge each candidate by what it is.

use std::collections::HashMap;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jwalk::rayon::prelude::*;
use litestream_sdk::DbPath;

use super::error::{ScanError, system_text};
use super::header::{self, NotADatabase, too_short};
use super::skipped::{FileKind, Problem, SkipReason, Skipped};
use super::walk::{self, Candidate, CandidateKind, Walked};
use super::{Attachments, DirSpec, FileIdentity, NothingAttached};
use crate::sqlite::DATABASE_HEADER_LEN;

/// A database in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name below the configured directory: what users call it, and what state and replica paths are made of.
    pub path: PathBuf,
    /// The file itself: `path`, or where the symbolic link `path` leads. SQLite keeps the WAL beside *this* one.
    pub file: PathBuf,
    /// `path` relative to the configured directory.
    pub relative: DbPath,
    /// The file's identity.
    pub identity: FileIdentity,
}

/// Everything one scan found, each list sorted by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Databases, each file once.
    pub found: Vec<Found>,
    /// Candidates that are not replicated, each with its reason.
    pub skipped: Vec<Skipped>,
    /// What could not be looked at.
    pub problems: Vec<Problem>,
}

impl Scan {
    /// The error of an entry that does not watch and has nothing to replicate.
    pub fn require_databases(&self, spec: &DirSpec) -> Result<(), ScanError> {
        if self.found.is_empty() && !spec.watch {
            let (directory, pattern) = (spec.dir.clone(), spec.pattern.to_string());
            return Err(ScanError::NoDatabases { directory, pattern });
        }
        Ok(())
    }
}

/// Scans once. Blocking, and it opens candidates: for a process that has nothing attached yet; see
/// [`Rescan`](super::Rescan) for the others.
///
/// Cost is one `readdir` per directory, one `stat` per name that matches, one open per file of 100 bytes and more.
pub fn scan(spec: &DirSpec) -> Result<Scan, ScanError> {
    let survey = survey(spec, None, &|_| None, &NothingAttached)?;
    let mut scan = Scan { problems: survey.problems, ..Scan::default() };
    for seen in survey.seen {
        match seen.verdict {
            Verdict::Database(identity) => scan.found.extend(found(spec, &seen.relative, seen.is_link, identity)),
            Verdict::Skip(skip) => {
                scan.skipped.push(Skipped { path: spec.dir.join(&seen.relative), reason: skip.reason })
            }
            Verdict::Unreadable => {}
        }
    }
    Ok(scan)
}

/// Names a database for the caller. `None` only if a link vanished since: then there is nothing to replicate.
pub(super) fn found(spec: &DirSpec, relative: &Path, is_link: bool, identity: FileIdentity) -> Option<Found> {
    let path = spec.dir.join(relative);
    let file = if is_link { std::fs::canonicalize(&path).ok()? } else { path.clone() };
    let relative = DbPath::parse(relative.as_os_str().as_bytes()).ok()?;
    Some(Found { path, file, relative, identity })
}

/// What a file looked like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) identity: FileIdentity,
    size: u64,
    modified_ns: i128,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        let modified_ns = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        Stamp { identity: FileIdentity::of(metadata), size: metadata.len(), modified_ns }
    }
}

/// The judgement on one candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Database(FileIdentity),
    /// Boxed: nearly all of 100,000 names are databases, and all are remembered.
    Skip(Box<Skip>),
    /// It may or may not be one; whoever knew it before keeps what they knew.
    Unreadable,
}

/// A candidate that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Skip {
    pub(super) reason: SkipReason,
    /// If there was something to stat.
    stamp: Option<Stamp>,
}

impl Verdict {
    pub(super) fn skip(reason: SkipReason) -> Verdict {
        Verdict::Skip(Box::new(Skip { reason, stamp: None }))
    }
}

/// One candidate after the look.
pub(super) struct Seen {
    pub(super) relative: PathBuf,
    pub(super) is_link: bool,
    pub(super) verdict: Verdict,
}

/// What an earlier scan said about a name.
pub(super) type Remembered<'a> = dyn Fn(&Path) -> Option<&'a Verdict> + Sync + 'a;

/// A walk and its verdicts, both sorted by path.
pub(super) struct Survey {
    pub(super) seen: Vec<Seen>,
    pub(super) directories: Vec<PathBuf>,
    pub(super) problems: Vec<Problem>,
}

/// Walks (only `parts`, if given) and judges. A remembered verdict saves the open where nothing speaks against it.
pub(super) fn survey(
    spec: &DirSpec,
    parts: Option<&[PathBuf]>,
    remembered: &Remembered<'_>,
    attachments: &dyn Attachments,
) -> Result<Survey, ScanError> {
    let pool = walk::threads(spec)?;
    let walked = match parts {
        None => walk::walk(spec, &pool)?,
        Some(parts) => walk::walk_parts(spec, parts.iter().map(PathBuf::as_path), &pool)?,
    };
    let Walked { candidates, directories, skipped, mut problems } = walked;
    let (mut seen, unreadable): (Vec<Seen>, Vec<Option<Problem>>) = pool.install(|| {
        let judged = candidates.into_par_iter().filter_map(|candidate| judge(spec, candidate, remembered, attachments));
        judged.unzip()
    });
    problems.extend(unreadable.into_iter().flatten());
    problems.sort_by(|a, b| a.path.cmp(&b.path));
    seen.extend(skipped.into_iter().map(|(relative, reason)| Seen {
        relative,
        is_link: false,
        verdict: Verdict::skip(reason),
    }));
    one_name_per_file(spec, &mut seen, remembered);
    Ok(Survey { seen, directories, problems })
}

/// `None` if the file vanished between walk and look.
fn judge(
    spec: &DirSpec,
    candidate: Candidate,
    remembered: &Remembered<'_>,
    attachments: &dyn Attachments,
) -> Option<(Seen, Option<Problem>)> {
    let Candidate { relative, kind } = candidate;
    let path = spec.dir.join(&relative);
    let is_link = matches!(kind, CandidateKind::Link);
    let judged = match kind {
        CandidateKind::NotAFile(kind) => Ok(Verdict::skip(SkipReason::NotAFile(kind))),
        CandidateKind::File | CandidateKind::Link => match std::fs::metadata(&path) {
            Ok(metadata) => judge_file(&path, &metadata, remembered(&relative), attachments),
            Err(error) if error.kind() != ErrorKind::NotFound => Err(system_text(&error)),
            Err(_) if is_link => Ok(Verdict::skip(SkipReason::DanglingLink)),
            Err(_) => return None,
        },
    };
    let (verdict, problem) = match judged {
        Ok(verdict) => (verdict, None),
        Err(message) => (Verdict::Unreadable, Some(Problem { path, message })),
    };
    Some((Seen { relative, is_link, verdict }, problem))
}

/// Judges what is behind a name, links followed. An error is the system's, in words.
fn judge_file(
    path: &Path,
    metadata: &Metadata,
    remembered: Option<&Verdict>,
    attachments: &dyn Attachments,
) -> Result<Verdict, String> {
    let stamp = Stamp::of(metadata);
    let skip = |reason: SkipReason| Ok(Verdict::Skip(Box::new(Skip { reason, stamp: Some(stamp) })));
    if metadata.is_dir() {
        return skip(SkipReason::LinkToDirectory);
    }
    if !metadata.is_file() {
        return skip(SkipReason::NotAFile(FileKind::of(metadata.file_type())));
    }
    match remembered {
        // A known database stays one while it is the same file: what becomes of its content is for `db` to say.
        Some(Verdict::Database(before)) if *before == stamp.identity => return Ok(Verdict::Database(*before)),
        Some(Verdict::Skip(before)) if before.stamp == Some(stamp) => {
            if let SkipReason::NotADatabase(reason) = &before.reason {
                return skip(reason.clone().into());
            }
        }
        _ => {}
    }
    if stamp.size < DATABASE_HEADER_LEN as u64 {
        return skip(too_short(stamp.size).into());
    }
    let mut judged = Ok(Verdict::Database(stamp.identity));
    attachments.unless_attached(stamp.identity, &mut || {
        judged = match header::check(path) {
            Ok(_) => Ok(Verdict::Database(stamp.identity)),
            Err(NotADatabase::Unreadable(message)) => Err(message),
            Err(reason) => skip(reason.into()),
        };
    });
    judged
}

/// Keeps one name for each file, and sorts by path. A name that was kept before stays, then a file wins over a link to
/// it, then the first name in order.
fn one_name_per_file(spec: &DirSpec, seen: &mut [Seen], remembered: &Remembered<'_>) {
    let rank = |entry: &Seen| {
        let was_kept = matches!(remembered(&entry.relative), Some(Verdict::Database(_)));
        (!was_kept, entry.is_link)
    };
    seen.sort_by(|a, b| a.relative.cmp(&b.relative));
    let mut by_rank: Vec<usize> = (0..seen.len()).collect();
    by_rank.sort_by_key(|&index| rank(&seen[index]));
    let mut owners: HashMap<FileIdentity, usize> = HashMap::new();
    for index in by_rank {
        let Verdict::Database(identity) = seen[index].verdict else { continue };
        let owner = *owners.entry(identity).or_insert(index);
        if owner != index {
            let path = spec.dir.join(&seen[owner].relative);
            seen[index].verdict = Verdict::skip(SkipReason::SameFile { path });
        }
    }
}

#[cfg(test)]
mod tests;
