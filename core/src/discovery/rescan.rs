//! Looking again: what appeared, went, or was replaced since the last scan.
//!
//! A repeated scan costs one `stat` per matching name; only new and changed files are opened, and none that is attached.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::scan::{Seen, Survey, Verdict, found, survey};
use super::{Attachments, DirSpec, FileIdentity, Found, Problem, ScanError, Skipped};

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
    /// Nothing is known yet: the first [`scan`](Rescan::scan) adds everything.
    pub fn new(spec: DirSpec) -> Rescan {
        Rescan { spec, known: BTreeMap::new() }
    }

    /// The directory and its rules.
    pub fn spec(&self) -> &DirSpec {
        &self.spec
    }

    /// Scans and compares. Blocking. On an error nothing is forgotten: a directory that cannot be read says nothing
    /// about its databases. The same holds for each unreadable subdirectory.
    pub fn scan(&mut self, attachments: &dyn Attachments) -> Result<Changes, ScanError> {
        let known = &self.known;
        let remembered = |path: &Path| known.get(path);
        let Survey { seen, directories, problems } = survey(&self.spec, &remembered, attachments)?;

        let mut before = std::mem::take(&mut self.known);
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

    /// Notes what one name that is there means.
    fn compare(&mut self, then: Option<Verdict>, now: Seen, changes: &mut Changes) {
        let Seen { relative, is_link, verdict } = now;
        match (&then, &verdict) {
            (Some(Verdict::Database(before)), Verdict::Database(after)) if before.identity == after.identity => {}
            (_, Verdict::Database(after)) => {
                let Some(now) = found(&self.spec, &relative, is_link, *after) else { return };
                match then {
                    Some(Verdict::Database(before)) => {
                        changes.replaced.push(Replaced { before: before.identity, now });
                    }
                    _ => changes.added.push(now),
                }
            }
            (_, Verdict::Skip(reason, _)) => {
                let path = self.spec.dir.join(&relative);
                let reported = matches!(&then, Some(Verdict::Skip(before, _)) if before == reason);
                if matches!(then, Some(Verdict::Database(_))) {
                    changes.removed.push(path.clone());
                }
                if !reported {
                    changes.skipped.push(Skipped { path, reason: reason.clone() });
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
