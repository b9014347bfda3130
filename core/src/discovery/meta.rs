//! Where the local state of a database lives: its `-litestream` directory.
//!
//! | configured | a database `path` | `s/b.db` below a `dir` |
//! |---|---|---|
//! | nothing | `<directory>/.NAME-litestream` | `<dir>/s/.b.db-litestream` |
//! | `meta-path: M` | `M` | `M/s/.b.db-litestream` |
//! | `meta-dir: M` | (not allowed) | `M/s/b.db-litestream` |

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What the keys `meta-path` and `meta-dir` say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MetaLocation {
    /// Beside the database, hidden.
    #[default]
    Beside,
    /// `meta-path`.
    MetaPath(PathBuf),
    /// `meta-dir`, of directory entries only.
    MetaDir(PathBuf),
}

const SUFFIX: &str = "-litestream";

impl MetaLocation {
    /// The state directory of `database`. `relative` is its path below the configured directory, and `None` for an
    /// entry that names one database.
    pub fn meta_path(&self, database: &Path, relative: Option<&Path>) -> PathBuf {
        match (self, relative) {
            (MetaLocation::Beside, _) => database.with_file_name(state_name(".", database)),
            (MetaLocation::MetaPath(root), None) => root.clone(),
            (MetaLocation::MetaPath(root), Some(relative)) => {
                root.join(relative).with_file_name(state_name(".", relative))
            }
            (MetaLocation::MetaDir(root), relative) => {
                let below = relative.unwrap_or(Path::new(database.file_name().unwrap_or_default()));
                root.join(below).with_file_name(state_name("", below))
            }
        }
    }
}

fn state_name(prefix: &str, database: &Path) -> OsString {
    let mut name = OsString::from(prefix);
    name.push(database.file_name().unwrap_or_default());
    name.push(SUFFIX);
    name
}

/// True for the name of a directory that holds local state and is never searched for databases.
pub fn is_state_directory_name(name: &OsStr) -> bool {
    name.as_bytes().ends_with(SUFFIX.as_bytes()) && name.len() > SUFFIX.len()
}

/// Two databases that would share a state directory, and destroy each other's position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "meta-path collision: databases {} and {} would share meta-path {}, causing replication state corruption",
    .first.display(), .second.display(), .meta.display()
)]
pub struct MetaCollision {
    /// The database that has it.
    pub first: PathBuf,
    /// The database that would share it.
    pub second: PathBuf,
    /// The state directory.
    pub meta: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_directories_stand_where_the_reference_puts_them() {
        let database = Path::new("/d/s/b.db");
        let relative = Some(Path::new("s/b.db"));
        let meta = |location: MetaLocation, relative| location.meta_path(database, relative);
        assert_eq!(meta(MetaLocation::Beside, None), Path::new("/d/s/.b.db-litestream"));
        assert_eq!(meta(MetaLocation::Beside, relative), Path::new("/d/s/.b.db-litestream"));
        assert_eq!(meta(MetaLocation::MetaPath("/m".into()), None), Path::new("/m"));
        assert_eq!(meta(MetaLocation::MetaPath("/m".into()), relative), Path::new("/m/s/.b.db-litestream"));
        assert_eq!(meta(MetaLocation::MetaDir("/m".into()), relative), Path::new("/m/s/b.db-litestream"));
        assert_eq!(meta(MetaLocation::MetaDir("/m".into()), Some(Path::new("a.db"))), Path::new("/m/a.db-litestream"));
    }

    #[test]
    fn state_directories_are_known_by_name() {
        assert!(is_state_directory_name(OsStr::new(".a.db-litestream")));
        assert!(is_state_directory_name(OsStr::new("a.db-litestream")));
        assert!(!is_state_directory_name(OsStr::new("-litestream")));
        assert!(!is_state_directory_name(OsStr::new("litestream")));
    }

    #[test]
    fn a_collision_names_both_databases() {
        let collision = MetaCollision { first: "/a".into(), second: "/b".into(), meta: "/m".into() };
        assert_eq!(
            collision.to_string(),
            "meta-path collision: databases /a and /b would share meta-path /m, causing replication state corruption"
        );
    }
}
