//! The names of all events: where those stand that may have an id or a body, by the first eight bytes of the digest.
//!
//! Every append asks this for what it brings, and nearly always the answer is nothing: so it is a table in memory.

use std::collections::{BTreeSet, HashMap, hash_map::Entry};

use foldhash::fast::RandomState;

/// Names with the places of their events.
#[derive(Debug, Default)]
pub(super) struct Names {
    places: HashMap<u64, u64, RandomState>,
    /// Further places of a name: two digests seldom begin alike, unless somebody looked long for them.
    others: BTreeSet<(u64, u64)>,
}

impl Names {
    /// Makes room for so many.
    pub(super) fn with_capacity(count: usize) -> Self {
        Self {
            places: HashMap::with_capacity_and_hasher(count, RandomState::default()),
            others: BTreeSet::new(),
        }
    }

    /// Takes the name of an event at a place.
    pub(super) fn insert(&mut self, name: u64, place: u64) {
        match self.places.entry(name) {
            Entry::Vacant(free) => drop(free.insert(place)),
            Entry::Occupied(taken) if *taken.get() != place => drop(self.others.insert((name, place))),
            Entry::Occupied(_) => {}
        }
    }

    /// Lists the places of a name.
    pub(super) fn places(&self, name: u64) -> impl Iterator<Item = u64> {
        let first = self.places.get(&name).copied();
        // Without a first there are no others.
        let others = first.map(|_| self.others.range((name, 0)..=(name, u64::MAX)).map(|it| it.1));
        first.into_iter().chain(others.into_iter().flatten())
    }
}

impl Extend<(u64, u64)> for Names {
    fn extend<I: IntoIterator<Item = (u64, u64)>>(&mut self, names: I) {
        for (name, place) in names {
            self.insert(name, place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_all_its_places() {
        let mut names = Names::with_capacity(2);
        names.extend([(7, 1), (8, 2), (7, 3), (7, 1), (7, 9)]);
        let places = |name| names.places(name).collect::<Vec<_>>();
        assert_eq!(places(7), [1, 3, 9]);
        assert_eq!(places(8), [2]);
        assert!(places(9).is_empty());
    }
}
