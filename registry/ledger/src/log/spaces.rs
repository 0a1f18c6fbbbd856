//! The subspaces at hand while events are appended: their counters, and what has changed since the last commit.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use base::Sha256;

use crate::{
    admission::{Known, split},
    event::{Kind, Sid, Signed},
    kinds::Subspace,
    store::{SpaceRow, Store, StoreError},
};

/// How many subspaces are kept in memory. All of them are on disk after each commit.
const KEPT_MAX: usize = 10_000;

/// Subspaces by their sids.
#[derive(Debug, Default)]
pub(super) struct Spaces {
    at_hand: BTreeMap<Option<Sid>, SpaceRow>,
    changed: BTreeMap<Option<Sid>, BTreeSet<Kind>>,
    last_no: u64,
}

impl Spaces {
    pub(super) fn load(store: &Store) -> Result<Self, StoreError> {
        Ok(Self { last_no: store.last_space()?, ..Self::default() })
    }

    /// Returns the subspace of that sid; one that nobody named yet has no events, and no number until it has.
    pub(super) fn at(&mut self, store: &Store, sid: Option<&Sid>) -> Result<&mut SpaceRow, StoreError> {
        match self.at_hand.entry(sid.cloned()) {
            Entry::Occupied(found) => Ok(found.into_mut()),
            Entry::Vacant(place) => {
                let found = store.space(sid)?;
                Ok(place.insert(found.unwrap_or_else(|| SpaceRow::new(sid.cloned()))))
            }
        }
    }

    /// Takes an event that is appended at `seq` with this leaf.
    pub(super) fn take(
        &mut self,
        store: &Store,
        event: &Signed,
        place: (u64, Sha256),
    ) -> Result<(), StoreError> {
        let (sid, kind) = (event.sid(), event.kind());
        self.at(store, sid)?.take(event, place);
        self.changed.entry(sid.cloned()).or_default().insert(kind);
        Ok(())
    }

    /// Returns the number of a subspace, a new one if it has none.
    pub(super) fn number(&mut self, store: &Store, sid: Option<&Sid>) -> Result<u64, StoreError> {
        let next = self.last_no + 1;
        let space = self.at(store, sid)?;
        if space.no == 0 {
            space.no = next;
            self.last_no = next;
            return Ok(next);
        }
        Ok(space.no)
    }

    /// Writes what has changed.
    pub(super) fn write(&mut self, store: &Store) -> Result<(), StoreError> {
        for (sid, kinds) in std::mem::take(&mut self.changed) {
            if let Some(space) = self.at_hand.get(&sid) {
                store.put_space(space, kinds)?;
            }
        }
        if self.at_hand.len() > KEPT_MAX {
            self.at_hand.clear();
        }
        Ok(())
    }
}

impl SpaceRow {
    fn new(sid: Option<Sid>) -> Self {
        Self { no: 0, sid, tick: 0, head: None, genesis: None, split: None, clock: BTreeMap::new() }
    }

    /// Returns what admission asks about it.
    pub(super) fn known(&self, kind: Kind) -> Known {
        Known { is_made: self.genesis.is_some(), split: self.split, clock: self.count(kind) }
    }

    pub(super) fn count(&self, kind: Kind) -> u64 {
        self.clock.get(&kind).copied().unwrap_or_default()
    }

    /// Counts an event.
    pub(super) fn take(&mut self, event: &Signed, place: (u64, Sha256)) {
        self.tick += 1;
        *self.clock.entry(event.kind()).or_default() += 1;
        self.head = Some(place);
        // The first one is the genesis; whoever says the same again, or takes the symbol, changes nothing.
        if event.kind() == Kind::SUBSPACE && self.sid.is_some() && self.genesis.is_none() {
            self.genesis = Some(place.0);
            self.split = Some(split(&Subspace::read(event.tags())));
        }
    }
}
