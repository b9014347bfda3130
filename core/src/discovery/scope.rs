//! How much of a directory is looked at again: all of it, or what events named.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What a rescan looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The whole directory.
    All,
    /// These files, and these directories with all below them. Absolute paths; names that are gone are looked at too.
    Parts(BTreeSet<PathBuf>),
}

impl Scope {
    /// One file, or a directory with all below it.
    pub fn part(path: PathBuf) -> Scope {
        Scope::Parts(BTreeSet::from([path]))
    }

    /// Widens this scope to what `other` covers as well.
    pub fn add(&mut self, other: Scope) {
        match (&mut *self, other) {
            (Scope::All, _) => {}
            (Scope::Parts(parts), Scope::Parts(more)) => parts.extend(more),
            (Scope::Parts(_), Scope::All) => *self = Scope::All,
        }
    }

    /// The parts below `root`, relative to it, none below another; `None` if that is everything.
    pub(super) fn relative_parts(&self, root: &Path) -> Option<Vec<PathBuf>> {
        let Scope::Parts(parts) = self else { return None };
        let mut relative: Vec<PathBuf> = Vec::new();
        // Sorted by component, so that a directory comes right before what lies in it.
        for part in parts {
            if root.starts_with(part) {
                return None;
            }
            let Ok(part) = part.strip_prefix(root) else { continue };
            if !relative.last().is_some_and(|last| part.starts_with(last)) {
                relative.push(part.to_owned());
            }
        }
        Some(relative)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(parts: &[&str]) -> Scope {
        Scope::Parts(parts.iter().map(PathBuf::from).collect())
    }

    #[test]
    fn a_part_below_another_is_looked_at_once() {
        let scope = scope(&["/d/a/x.db", "/d/a", "/d/a.db", "/d/a/b", "/elsewhere/c.db", "/d/ab"]);
        let expected = ["a", "a.db", "ab"].map(PathBuf::from);
        assert_eq!(scope.relative_parts(Path::new("/d")), Some(expected.to_vec()));
    }

    #[test]
    fn the_directory_itself_is_everything() {
        for root in ["/d", "/d/s"] {
            assert_eq!(scope(&["/d"]).relative_parts(Path::new(root)), None, "{root}");
        }
        let mut wide = scope(&["/d/a"]);
        wide.add(scope(&["/d/b"]));
        assert_eq!(wide, scope(&["/d/a", "/d/b"]));
        wide.add(Scope::All);
        wide.add(scope(&["/d/c"]));
        assert_eq!(wide.relative_parts(Path::new("/d")), None);
    }
}
