//! Which of the running entries stay, which get other settings, and which come and go. Pure.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use litestream_sdk::DbPath;

use super::Configured;
use crate::fleet::entry::{Destination, Entry, EntryTarget};
use crate::fleet::record::EntryId;

/// What becomes of a wanted entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It runs already, exactly so.
    Unchanged(EntryId),
    /// It runs already, for the same files with the same replicas and local state; the rest differs.
    Renewed(EntryId),
    /// Nothing of it runs.
    Added,
}

/// See the module.
pub struct Difference {
    /// One for each wanted entry, in their order.
    pub fates: Vec<Fate>,
    /// The running ones that nobody wants any more.
    pub removed: Vec<EntryId>,
}

impl Difference {
    /// Compares what runs with what is wanted.
    pub fn between(running: &Configured, wanted: &[Arc<Entry>]) -> Difference {
        // Ten thousand entries are compared with those of the same file or directory, not with each other.
        let mut left: HashMap<PathBuf, Vec<usize>> = HashMap::new();
        for (index, (_, entry)) in running.iter().enumerate() {
            left.entry(place(entry).to_owned()).or_default().push(index);
        }
        let mut take = |wanted: &Entry, fits: fn(&Entry, &Entry) -> bool| {
            let candidates = left.get_mut(place(wanted))?;
            let position = candidates.iter().position(|index| fits(&running[*index].1, wanted))?;
            Some(running[candidates.remove(position)].0)
        };
        let mut fates: Vec<Option<Fate>> = wanted.iter().map(|entry| take(entry, equal).map(Fate::Unchanged)).collect();
        for (fate, entry) in fates.iter_mut().zip(wanted) {
            if fate.is_none() {
                *fate = take(entry, same_databases).map(Fate::Renewed);
            }
        }
        let mut removed: Vec<usize> = left.into_values().flatten().collect();
        removed.sort_unstable();
        Difference {
            fates: fates.into_iter().map(|fate| fate.unwrap_or(Fate::Added)).collect(),
            removed: removed.into_iter().map(|index| running[index].0).collect(),
        }
    }
}

fn place(entry: &Entry) -> &Path {
    match &entry.target {
        EntryTarget::Path(path) => path,
        EntryTarget::Dir(spec) => &spec.dir,
    }
}

/// A database of one would have the same replica and the same local state as one of the other.
fn same_databases(one: &Entry, other: &Entry) -> bool {
    let same_kind = matches!(
        (&one.target, &other.target),
        (EntryTarget::Path(_), EntryTarget::Path(_)) | (EntryTarget::Dir(_), EntryTarget::Dir(_))
    );
    same_kind
        && place(one) == place(other)
        && one.meta == other.meta
        && one.layout == other.layout
        && same_replicas(&*one.destination, &*other.destination)
}

/// Where one database goes shows where all go.
fn same_replicas(one: &dyn Destination, other: &dyn Destination) -> bool {
    let sample = DbPath::parse("x").unwrap_or_default();
    let place = |destination: &dyn Destination| {
        (destination.resolve(&sample).ok(), destination.resolve(&DbPath::default()).ok())
    };
    one.kind() == other.kind() && one.pool() == other.pool() && place(one) == place(other)
}

fn equal(one: &Entry, other: &Entry) -> bool {
    let same_target = match (&one.target, &other.target) {
        (EntryTarget::Path(one), EntryTarget::Path(other)) => one == other,
        (EntryTarget::Dir(one), EntryTarget::Dir(other)) => one == other,
        _ => false,
    };
    same_target
        && one.settings == other.settings
        && one.monitor_interval == other.monitor_interval
        && one.sync_interval == other.sync_interval
        && one.max_sync_ltx_files == other.max_sync_ltx_files
        && one.auto_recover == other.auto_recover
        && same_databases(one, other)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fleet::testing::Bench;

    async fn path(bench: &Bench, path: &str, base: &str) -> Entry {
        bench.entry(EntryTarget::Path(path.into()), base).await
    }

    #[tokio::test]
    async fn entries_are_compared_by_what_they_mean_and_not_by_their_order() {
        let bench = Bench::new();
        let running = [path(&bench, "/a", "a").await, path(&bench, "/b", "b").await, bench.directory(true).await];
        let running: Configured = (0..).map(EntryId).zip(running.map(Arc::new)).collect();
        let faster = Entry { sync_interval: Duration::from_secs(9), ..path(&bench, "/b", "b").await };
        let wanted =
            [bench.directory(true).await, faster, path(&bench, "/a", "elsewhere").await, path(&bench, "/c", "c").await];
        let wanted = wanted.map(Arc::new);
        let difference = Difference::between(&running, &wanted);
        let expected = [Fate::Unchanged(EntryId(2)), Fate::Renewed(EntryId(1)), Fate::Added, Fate::Added];
        assert_eq!(difference.fates, expected);
        assert_eq!(difference.removed, [EntryId(0)], "another replica is another entry");
    }

    #[tokio::test]
    async fn each_running_entry_stands_for_one_wanted_one() {
        let bench = Bench::new();
        let running: Configured = vec![(EntryId(4), Arc::new(bench.directory(true).await))];
        let other_pattern = |mut entry: Entry| {
            if let EntryTarget::Dir(spec) = &mut entry.target {
                spec.pattern = crate::discovery::Pattern::parse("*.sqlite").unwrap();
            }
            entry
        };
        let second = other_pattern(bench.directory(true).await);
        let wanted = [second, bench.directory(true).await].map(Arc::new);
        let difference = Difference::between(&running, &wanted);
        assert_eq!(difference.fates, [Fate::Added, Fate::Unchanged(EntryId(4))], "the equal one comes first");
        assert!(difference.removed.is_empty());
    }
}
