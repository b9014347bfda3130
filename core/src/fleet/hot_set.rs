//! The attached databases: a set with a ceiling that gives up the one used longest ago.
//!
//! A database is *in* the set while nobody works on it, and *lent* while a worker does; both count against the
//! ceiling, because both hold descriptors. Who evicts must detach what it is given.

use std::collections::{BTreeMap, HashMap};

use super::record::DbId;

/// What the set holds: a database that can say, without a system call, whether it has news.
pub trait HotDb: Send + 'static {
    /// True if the WAL holds commits that were not copied.
    fn has_news(&self) -> bool;
}

/// See the module.
pub struct HotSet<D> {
    ceiling: usize,
    slots: HashMap<DbId, (u64, D)>,
    by_age: BTreeMap<u64, DbId>,
    next_age: u64,
    lent: usize,
    /// The most that were open since memory was last given back.
    high: usize,
}

/// So many are asked whether they may go: when nearly all have work before them, looking at each would cost more than it spares.
const EVICTION_LOOKS: usize = 16;

/// Fewer closed databases than this are not worth giving their memory back: about 100 KB each while open.
const WORTH_GIVING_BACK: usize = 64;

impl<D: HotDb> HotSet<D> {
    /// A set for at most `ceiling` attached databases (at least 1).
    pub fn new(ceiling: usize) -> Self {
        HotSet {
            ceiling: ceiling.max(1),
            slots: HashMap::new(),
            by_age: BTreeMap::new(),
            next_age: 0,
            lent: 0,
            high: 0,
        }
    }

    /// How many databases may be attached.
    pub fn ceiling(&self) -> usize {
        self.ceiling
    }

    /// Lends the database of `id`, if it is in the set.
    pub fn lend(&mut self, id: DbId) -> Option<D> {
        let db = self.take(id)?;
        self.lent += 1;
        Some(db)
    }

    /// Reserves a place for a database that is about to be attached. `Err` if the set is full.
    pub fn reserve(&mut self) -> Result<(), Full> {
        if self.open() >= self.ceiling {
            return Err(Full);
        }
        self.lent += 1;
        Ok(())
    }

    /// Reserves the place of a database that was just evicted, and that is detached before this one is attached.
    pub fn reserve_evicted(&mut self) {
        self.lent += 1;
    }

    /// The database used longest ago of those that `may_go`, or else the one used longest ago of all; it counts as lent until
    /// [`HotSet::give_back`]. `None`: all are lent.
    pub fn evict(&mut self, may_go: impl Fn(DbId) -> bool) -> Option<(DbId, D)> {
        let oldest = || self.by_age.values().copied();
        let id = oldest().take(EVICTION_LOOKS).find(|id| may_go(*id)).or_else(|| oldest().next())?;
        let db = self.take(id)?;
        self.lent += 1;
        Some((id, db))
    }

    /// Ends a loan or a reservation: the attached database returns to the set, or `None` was left of it.
    pub fn give_back(&mut self, id: DbId, db: Option<D>) {
        self.lent = self.lent.saturating_sub(1);
        let Some(db) = db else { return };
        let age = self.next_age;
        self.next_age += 1;
        self.slots.insert(id, (age, db));
        self.by_age.insert(age, id);
    }

    fn take(&mut self, id: DbId) -> Option<D> {
        let (age, db) = self.slots.remove(&id)?;
        self.by_age.remove(&age);
        Some(db)
    }

    /// The database of `id`, if nobody works on it.
    pub fn get(&self, id: DbId) -> Option<&D> {
        self.slots.get(&id).map(|(_, db)| db)
    }

    /// Those in the set that have news.
    pub fn with_news(&self) -> Vec<DbId> {
        self.slots.iter().filter(|(_, (_, db))| db.has_news()).map(|(id, _)| *id).collect()
    }

    /// All in the set, oldest use first.
    pub fn ids(&self) -> Vec<DbId> {
        self.by_age.values().copied().collect()
    }

    /// Attached databases, and those that workers may attach.
    pub fn open(&self) -> usize {
        self.slots.len() + self.lent
    }

    /// True once each time that half of those that were open are closed.
    pub fn has_shrunk(&mut self) -> bool {
        let open = self.open();
        self.high = self.high.max(open);
        let shrunk = open <= self.high / 2 && self.high - open >= WORTH_GIVING_BACK;
        if shrunk {
            self.high = open;
        }
        shrunk
    }

    /// True if nothing is in the set (some may be lent).
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

/// No place is left: somebody must be evicted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake;
    impl HotDb for Fake {
        fn has_news(&self) -> bool {
            false
        }
    }

    #[test]
    fn the_one_used_longest_ago_goes_first() {
        let mut hot = HotSet::new(2);
        for id in [1, 2] {
            hot.reserve().unwrap();
            hot.give_back(DbId::first_of(id), Some(Fake));
        }
        assert_eq!(hot.reserve(), Err(Full));
        let db = hot.lend(DbId::first_of(1)).unwrap();
        hot.give_back(DbId::first_of(1), Some(db));
        let (evicted, _db) = hot.evict(|_| true).unwrap();
        assert_eq!(evicted, DbId::first_of(2));
        assert_eq!(hot.reserve(), Err(Full), "an evicted database counts until it is detached");
        hot.give_back(evicted, None);
        assert_eq!(hot.reserve(), Ok(()));
    }

    #[test]
    fn it_tells_of_each_half_that_is_closed() {
        let mut hot = HotSet::new(1000);
        let open = |hot: &mut HotSet<Fake>, ids: std::ops::Range<u32>| {
            for id in ids {
                hot.reserve().unwrap();
                hot.give_back(DbId::first_of(id), Some(Fake));
                assert!(!hot.has_shrunk());
            }
        };
        open(&mut hot, 0..400);
        let told = (0..400).rev().filter(|id| {
            let _closed = hot.lend(DbId::first_of(*id));
            hot.give_back(DbId::first_of(*id), None);
            hot.has_shrunk()
        });
        assert_eq!(told.collect::<Vec<_>>(), [200, 100, 36]);
        open(&mut hot, 0..40);
    }

    #[test]
    fn what_is_lent_counts() {
        let mut hot: HotSet<Fake> = HotSet::new(1);
        hot.reserve().unwrap();
        assert_eq!(hot.reserve(), Err(Full));
        assert!(hot.evict(|_| true).is_none(), "nothing is in the set");
        hot.give_back(DbId::first_of(0), None);
        assert_eq!(hot.open(), 0);
    }
}
