//! Who owns which replica path and which state directory. Two databases in one place would destroy each other.
//!
//! Keeps hashes, not paths: of 100,000 databases each costs a few dozen bytes here.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use litestream_sdk::ReplicaPath;

use crate::replica::layout_segment;

use super::record::DbId;

/// 128 bits: two different places never meet.
type Key = (u64, u64);

/// See the module.
#[derive(Default)]
pub struct Owners {
    places: HashMap<Key, DbId>,
    /// Places that lie below another one's layout directories, by that other place.
    inside: HashMap<Key, DbId>,
    states: HashMap<Key, DbId>,
}

/// Why a database cannot have its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Another database has the same replica path.
    Same(DbId),
    /// One replica path begins inside the levels of the other.
    Nested(DbId),
    /// Another database has the same state directory.
    State(DbId),
}

impl Owners {
    /// Gives a database its replica path in a pool, and its state directory.
    ///
    /// # Errors
    /// Somebody else has it; nothing is taken then.
    pub fn claim(&mut self, id: DbId, pool: &str, place: &ReplicaPath, state: &Path) -> Result<(), Taken> {
        let own = key(&(pool, place.as_bytes()));
        if let Some(owner) = self.places.get(&own).filter(|owner| **owner != id) {
            return Err(Taken::Same(*owner));
        }
        let parents = outer_places(pool, place);
        let outer = parents.iter().find_map(|parent| self.places.get(parent));
        if let Some(owner) = outer.or_else(|| self.inside.get(&own)) {
            return Err(Taken::Nested(*owner));
        }
        let state = key(&state);
        if let Some(owner) = self.states.get(&state).filter(|owner| **owner != id) {
            return Err(Taken::State(*owner));
        }
        self.places.insert(own, id);
        self.states.insert(state, id);
        self.inside.extend(parents.into_iter().map(|parent| (parent, id)));
        Ok(())
    }

    /// Frees what a database had.
    pub fn release(&mut self, id: DbId, pool: &str, place: &ReplicaPath, state: &Path) {
        let drop_own = |map: &mut HashMap<Key, DbId>, key: Key| {
            if map.get(&key) == Some(&id) {
                map.remove(&key);
            }
        };
        drop_own(&mut self.places, key(&(pool, place.as_bytes())));
        drop_own(&mut self.states, key(&state));
        for parent in outer_places(pool, place) {
            drop_own(&mut self.inside, parent);
        }
    }
}

/// The places inside whose levels `place` would lie: what stands before a segment that looks like a level's.
fn outer_places(pool: &str, place: &ReplicaPath) -> Vec<Key> {
    let bytes = place.as_bytes();
    let mut found = Vec::new();
    let mut end = usize::from(place.is_absolute());
    for segment in place.segments() {
        if layout_segment(segment) {
            let before = bytes[..end].strip_suffix(b"/").filter(|rest| !rest.is_empty()).unwrap_or(&bytes[..end]);
            found.push(key(&(pool, before)));
        }
        end += segment.len() + 1;
    }
    found
}

fn key(value: &impl Hash) -> Key {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, value).hash(&mut hasher);
        hasher.finish()
    };
    (half(0), half(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> ReplicaPath {
        ReplicaPath::parse(text).unwrap()
    }

    fn claim(owners: &mut Owners, id: u32, path: &str) -> Result<(), Taken> {
        owners.claim(DbId::first_of(id), "s3", &place(path), Path::new(&format!("/meta/{id}")))
    }

    #[test]
    fn one_place_has_one_owner() {
        let mut owners = Owners::default();
        assert_eq!(claim(&mut owners, 1, "prod/a.db"), Ok(()));
        assert_eq!(claim(&mut owners, 2, "prod/a.db"), Err(Taken::Same(DbId::first_of(1))));
        assert_eq!(
            owners.claim(DbId::first_of(2), "gs", &place("prod/a.db"), Path::new("/meta/2")),
            Ok(()),
            "another store"
        );
        assert_eq!(
            owners.claim(DbId::first_of(3), "s3", &place("x"), Path::new("/meta/1")),
            Err(Taken::State(DbId::first_of(1)))
        );
        assert_eq!(claim(&mut owners, 1, "prod/a.db"), Ok(()), "again for the same database");
    }

    #[test]
    fn no_replica_lies_inside_the_levels_of_another() {
        for (outer, inner) in
            [("p", "p/ltx/a.db"), ("p", "p/0001/a.db"), ("", "generations/x"), ("/", "/ltx/x"), ("", "ltx")]
        {
            let mut owners = Owners::default();
            claim(&mut owners, 1, outer).unwrap();
            assert_eq!(claim(&mut owners, 2, inner), Err(Taken::Nested(DbId::first_of(1))), "{outer} {inner}");
            let mut owners = Owners::default();
            claim(&mut owners, 2, inner).unwrap();
            assert_eq!(claim(&mut owners, 1, outer), Err(Taken::Nested(DbId::first_of(2))), "{inner} {outer}");
        }
        let mut owners = Owners::default();
        claim(&mut owners, 1, "p").unwrap();
        assert_eq!(claim(&mut owners, 2, "p/a.db"), Ok(()), "below, but not in its levels");
    }

    #[test]
    fn a_released_place_is_free_again() {
        let mut owners = Owners::default();
        claim(&mut owners, 1, "p/ltx/a.db").unwrap();
        owners.release(DbId::first_of(1), "s3", &place("p/ltx/a.db"), Path::new("/meta/1"));
        assert_eq!(claim(&mut owners, 2, "p"), Ok(()));
        owners.release(DbId::first_of(1), "s3", &place("p"), Path::new("/meta/2"));
        assert_eq!(claim(&mut owners, 3, "p"), Err(Taken::Same(DbId::first_of(2))), "only the owner can free it");
    }
}
