//! Which element of `dbs` a database belongs to, by its path alone: for commands that name a database, which may be
//! missing on disk and is to be restored.

use std::path::Path;

use litestream_sdk::DbPath;

use super::{Config, DbEntry, Target};

/// The entry of a database.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundEntry<'a> {
    /// The entry.
    pub entry: &'a DbEntry,
    /// Its path below the entry's directory; empty for an entry of its own.
    pub relative: DbPath,
}

impl Config {
    /// Finds the entry of the database at `path` (absolute and clean). An entry of its own comes before a directory,
    /// and the first directory before the others. The reference finds only entries of their own.
    pub fn find_database(&self, path: &Path) -> Option<FoundEntry<'_>> {
        let own = self.dbs.iter().find(|entry| matches!(&entry.target, Target::Path(own) if own == path));
        if let Some(entry) = own {
            return Some(FoundEntry { entry, relative: DbPath::default() });
        }
        self.dbs.iter().find_map(|entry| match &entry.target {
            Target::Dir(spec) => spec.covers(path).map(|relative| FoundEntry { entry, relative }),
            Target::Path(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::load_yaml;
    use super::*;

    #[test]
    fn a_database_is_found_in_the_entry_that_would_replicate_it() {
        let config = load_yaml(
            "dbs:\n- {dir: d, pattern: '*.db', exclude: [tmp*], replica: {path: r1}}\n\
             - {dir: d, pattern: '*.db', recursive: true, replica: {path: r2}}\n\
             - {path: d/own.db, replica: {path: r3}}\n",
        );
        let config = config.unwrap().config;
        let find = |path: &str| {
            config.find_database(Path::new(path)).map(|found| (found.entry.place.clone(), found.relative.to_string()))
        };
        let entry = |index: usize, relative: &str| Some((format!("dbs[{index}]"), relative.to_owned()));
        assert_eq!(find("/w/d/a.db"), entry(0, "a.db"));
        assert_eq!(find("/w/d/own.db"), entry(2, ""));
        assert_eq!(find("/w/d/tmp1.db"), entry(1, "tmp1.db"));
        assert_eq!(find("/w/d/s/t/b.db"), entry(1, "s/t/b.db"));
        for outside in
            ["/w/a.db", "/w/d/a.sqlite", "/w/d", "/w/dd/a.db", "/w/d/s/.a.db-litestream/x.db", "/w/d/a.db-wal"]
        {
            assert_eq!(find(outside), None, "{outside}");
        }
    }
}
