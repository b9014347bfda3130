//! Looking again: what appeared, went, or was replaced since the last scan.
//!
//! A repeated scan costs one `stat` per matching name; only new and changed files are opened, and none that is attached.
//! A scan of some parts costs what those parts cost, however large the directory is.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::scan::{Seen, Survey, Verdict, found, survey};
use super::{Attachments, DirSpec, FileIdentity, Found, Problem, ScanError, Scope, SkipReason, Skipped};

/// A directory and what is known of it.
#[derive(Debug)]
pub struct Rescan {
    spec: DirSpec,
    /// By relative path.
    known: BTreeMap<PathBuf, Verdict>,
}

/// What differs from the scan before. Each list is sorted by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// New databases.
    pub added: Vec<Found>,
    /// Databases that are gone: deleted, renamed, or no database any more. Paths as in [`Found::path`].
    pub removed: Vec<PathBuf>,
    /// Databases whose name now leads to another file.
    pub replaced: Vec<Replaced>,
    /// Candidates that are not replicated, where that or its reason is new.
    pub skipped: Vec<Skipped>,
    /// Every directory that was entered, new or not: where databases may appear.
    pub directories: Vec<PathBuf>,
    /// What could not be looked at, new or not.
    pub problems: Vec<Problem>,
}

/// Another file under a known name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// The file that was.
    pub before: FileIdentity,
    /// The database that is.
    pub now: Found,
}

impl Rescan {
    /// Nothing is known yet: the first [`scan`](Rescan::scan) of everything adds everything.
    pub fn new(spec: DirSpec) -> Rescan {
        Rescan { spec, known: BTreeMap::new() }
    }

    /// The directory and its rules.
    pub fn spec(&self) -> &DirSpec {
        &self.spec
    }

    /// Scans and compares what `scope` covers. Blocking. On an error nothing is forgotten: a directory that cannot be read
    /// says nothing about its databases. The same holds for each unreadable subdirectory.
    pub fn scan(&mut self, scope: &Scope, attachments: &dyn Attachments) -> Result<Changes, ScanError> {
        let parts = scope.relative_parts(&self.spec.dir);
        let known = &self.known;
        let remembered = |path: &Path| known.get(path);
        let Survey { mut seen, directories, problems } =
            survey(&self.spec, parts.as_deref(), &remembered, attachments)?;

        let mut before = self.take(parts.as_deref());
        self.leave_out_second_names(&mut seen, &before);
        let directories = directories.iter().map(|relative| self.spec.dir.join(relative)).collect();
        let mut changes = Changes { directories, problems, ..Changes::default() };
        for now in seen {
            let then = before.remove(&now.relative);
            self.compare(then, now, &mut changes);
        }
        for (relative, then) in before {
            let path = self.spec.dir.join(&relative);
            if changes.problems.iter().any(|problem| path.starts_with(&problem.path)) {
                self.known.insert(relative, then);
            } else if matches!(then, Verdict::Database(_)) {
                changes.removed.push(path);
            }
        }
        changes.removed.sort();
        Ok(changes)
    }

    /// What was known of these parts, or of everything.
    fn take(&mut self, parts: Option<&[PathBuf]>) -> BTreeMap<PathBuf, Verdict> {
        let Some(parts) = parts else { return std::mem::take(&mut self.known) };
        let mut taken = BTreeMap::new();
        for part in parts {
            let below = self.known.range(part.clone()..).take_while(|(path, _)| path.starts_with(part));
            let paths: Vec<PathBuf> = below.map(|(path, _)| path.clone()).collect();
            taken.extend(paths.iter().filter_map(|path| self.known.remove_entry(path)));
        }
        taken
    }

    /// A file that has a name outside of what was looked at keeps that one only. (Names inside were compared already.)
    fn leave_out_second_names(&self, seen: &mut [Seen], before: &BTreeMap<PathBuf, Verdict>) {
        let is_new = |one: &&mut Seen| {
            let was_kept = matches!(before.get(&one.relative), Some(Verdict::Database(_)));
            !was_kept && matches!(one.verdict, Verdict::Database(_))
        };
        let mut new = seen.iter_mut().filter(is_new).peekable();
        if self.known.is_empty() || new.peek().is_none() {
            return;
        }
        let identity = |verdict: &Verdict| match verdict {
            Verdict::Database(identity) => Some(*identity),
            _ => None,
        };
        let names = self.known.iter().filter_map(|(path, verdict)| Some((identity(verdict)?, path)));
        let owners: HashMap<FileIdentity, &PathBuf> = names.collect();
        for one in new {
            if let Verdict::Database(identity) = one.verdict
                && let Some(owner) = owners.get(&identity)
            {
                one.verdict = Verdict::skip(SkipReason::SameFile { path: self.spec.dir.join(owner) });
            }
        }
    }

    /// Notes what one name that is there means.
    fn compare(&mut self, then: Option<Verdict>, now: Seen, changes: &mut Changes) {
        let Seen { relative, is_link, verdict } = now;
        match (&then, &verdict) {
            (Some(Verdict::Database(before)), Verdict::Database(after)) if before == after => {}
            (_, Verdict::Database(after)) => {
                let Some(now) = found(&self.spec, &relative, is_link, *after) else { return };
                match then {
                    Some(Verdict::Database(before)) => {
                        changes.replaced.push(Replaced { before, now });
                    }
                    _ => changes.added.push(now),
                }
            }
            (_, Verdict::Skip(skip)) => {
                let path = self.spec.dir.join(&relative);
                let reported = matches!(&then, Some(Verdict::Skip(before)) if before.reason == skip.reason);
                if matches!(then, Some(Verdict::Database(_))) {
                    changes.removed.push(path.clone());
                }
                if !reported {
                    changes.skipped.push(Skipped { path, reason: skip.reason.clone() });
                }
            }
            // Whatever was known stays; the problem is listed.
            (_, Verdict::Unreadable) => {
                self.known.extend(then.map(|then| (relative, then)));
                return;
            }
        }
        self.known.insert(relative, verdict);
    }
}

#[cfg(test)]
mod tests;
