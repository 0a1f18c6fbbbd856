//! What happens when a log is opened: the index and the folds are brought up, and damage is looked for.
//!
//! A small log is read through: each event is held against its body's digest, its leaf and the tree. A large one is
//! read from its last era on, and [`Log::check`] reads the rest while it is in use.

use std::{path::Path, sync::Arc};

use super::{
    Log, Shared,
    era::{Closed, ERA_EVENTS, Era, Indexed, read_names},
    names::Names,
    posting::Posting,
    segment::Spare,
    shared::offset,
    writer::State,
};
use crate::{
    event::{Accepted, BodyId, Claimed, Leaf, Leniency},
    fold::Derived,
    store::{Counted, DamageError, OpenError, Store, StoreError, Stored},
    tree::{Frontier, TILE_HEIGHT, leaf_hash},
};

/// Logs of up to so many events are read through when they are opened.
const READ_THROUGH_EVENTS_MAX: u64 = 2 * ERA_EVENTS;

/// How many leaves make a tile.
const TILE_LEAVES: u64 = 1 << TILE_HEIGHT;

/// A log that was brought up.
pub(super) struct Loaded {
    pub(super) shared: Shared,
    pub(super) state: State,
    /// Whether a fold was given so much that it should not be given it again, whatever happens next.
    pub(super) caught_up: bool,
}

/// Brings a log up, or says how it is damaged.
pub(super) fn load(store: &Store, path: &Path, folds: &[Arc<dyn Derived>]) -> Result<Loaded, OpenError> {
    let damaged = |source| OpenError::Damaged { path: path.to_owned(), source };
    bring_up(store, path, folds).map_err(damaged)
}

fn bring_up(store: &Store, path: &Path, folds: &[Arc<dyn Derived>]) -> Result<Loaded, DamageError> {
    let state = State::load(store).map_err(row)?;
    let size = store.size().map_err(row)?;
    if state.frontier.size() != size {
        let what = format!("the tree has {} leaves for {size} events", state.frontier.size());
        return Err(DamageError::Event { seq: state.frontier.size().min(size), what });
    }
    check_counted(store, size)?;
    check_whole(store, size, &state.frontier)?;
    let (closed, mut names) = eras(store, size)?;
    let first_open = closed.len() as u64 * ERA_EVENTS;
    let folds = || folds.iter().filter(|it| !it.reads_by_itself());
    for fold in folds() {
        let snapshot = store.snapshot(fold.name(), fold.version()).map_err(row)?;
        fold.restore(snapshot.filter(|it| it.0 <= size));
    }
    let unseen = folds().map(|it| it.size()).min().unwrap_or(size);
    let (mut era, mut spare) = (Era::new(closed.len() as u64), Spare::default());
    let mut damage = Ok(());
    store
        .stored_between(unseen.min(first_open), size, |stored| {
            let accepted = stored.event()?;
            let seq = stored.at.seq;
            if seq >= first_open {
                damage =
                    std::mem::replace(&mut damage, Ok(())).and_then(|()| check_event(&stored, &accepted));
                let indexed = Indexed::of(&accepted.event);
                names.extend(indexed.names().map(|it| (it, seq)));
                let growth = era.grow(&[(&indexed, Posting::new(&accepted.event, offset(seq)))], &mut spare);
                spare.keep(era.take(growth));
            }
            for fold in folds() {
                fold.apply(&accepted);
            }
            Ok(())
        })
        .map_err(row)?;
    damage?;
    let head = (size, state.frontier.root());
    let shared = Shared::new(path.to_owned(), era, closed, names, head);
    Ok(Loaded { shared, state, caught_up: size.saturating_sub(unseen) >= ERA_EVENTS })
}

/// Reads the closed eras and the names of their events.
fn eras(store: &Store, size: u64) -> Result<(Vec<Closed>, Names), DamageError> {
    let mut closed = Vec::new();
    let mut names = Names::with_capacity(usize::try_from(size).unwrap_or(0));
    for era in store.eras().map_err(row)? {
        let is_next = era.no == closed.len() as u64 && (era.no + 1) * ERA_EVENTS <= size;
        if !is_next {
            return Err(DamageError::Event {
                seq: era.no * ERA_EVENTS,
                what: "its era is not there".to_owned(),
            });
        }
        let what = || "the names of its era are not those that were written".to_owned();
        let own = read_names(&era);
        names.extend(own.ok_or_else(|| DamageError::Event { seq: era.no * ERA_EVENTS, what: what() })?);
        closed.push(Closed { no: era.no, newest: era.newest, oldest: era.oldest });
    }
    Ok((closed, names))
}

/// Holds what is counted beside the events against them. All of it is written with each event: whatever comes from another
/// time, such as the pages of a journal that was left beside a copy that was put back, does not fit.
fn check_counted(store: &Store, events: u64) -> Result<(), DamageError> {
    let Counted { ticks, clocks, head } = store.counted().map_err(row)?;
    let tiles = store.leaf_tiles().map_err(row)?;
    let damaged = |what: String| Err(DamageError::Counted { events, what });
    if ticks != events {
        return damaged(format!("subspaces that count {ticks}"));
    }
    if clocks != events {
        return damaged(format!("clocks that count {clocks}"));
    }
    if tiles != events / TILE_LEAVES {
        return damaged(format!("a tree with {tiles} whole tiles"));
    }
    let Some(last) = events.checked_sub(1) else { return Ok(()) };
    let leaf = store.leaves(last, events).map_err(row)?.first().copied();
    if head != leaf.map(|it| (last, it)) {
        return damaged("a subspace whose last event is another".to_owned());
    }
    Ok(())
}

/// Reads a small log through, from the first event to the root.
fn check_whole(store: &Store, size: u64, frontier: &Frontier) -> Result<(), DamageError> {
    if size <= READ_THROUGH_EVENTS_MAX && size > 0 {
        let rebuilt = check_range(store, 0, size, Frontier::default())?;
        if rebuilt.root() != frontier.root() {
            let what = "the tree's stored tiles are not those of the events".to_owned();
            return Err(DamageError::Event { seq: size - 1, what });
        }
    }
    Ok(())
}

/// Holds some events against their bodies, leaves and places, and adds their leaves to a tree.
fn check_range(store: &Store, from: u64, until: u64, tree: Frontier) -> Result<Frontier, DamageError> {
    let (mut tree, mut damage, mut next) = (tree, Ok(()), from);
    store
        .stored_between(from, until, |stored| {
            if damage.is_ok() {
                damage = check_next(&stored, next);
                next += 1;
                tree.push(stored.leaf);
            }
            Ok(())
        })
        .map_err(row)?;
    damage?;
    if next < until {
        return Err(DamageError::Event { seq: next, what: "it is missing".to_owned() });
    }
    Ok(tree)
}

fn check_next(stored: &Stored, next: u64) -> Result<(), DamageError> {
    if stored.at.seq != next {
        return Err(DamageError::Event { seq: next, what: "it is missing".to_owned() });
    }
    check_event(stored, &stored.event().map_err(row)?)
}

/// Holds an event against the digest of its body and against its leaf.
fn check_event(stored: &Stored, accepted: &Accepted) -> Result<(), DamageError> {
    let damaged = |what: &str| Err(DamageError::Event { seq: stored.at.seq, what: what.to_owned() });
    if accepted.event.to_json() != stored.json || BodyId::of(&accepted.event.serialized()) != stored.body {
        return damaged("its bytes are not those that were signed");
    }
    if leaf_hash(&Leaf::of(&accepted.event, stored.at.clone()).to_bytes()) != stored.leaf {
        return damaged("its place is not the one in the tree");
    }
    Ok(())
}

fn row(source: StoreError) -> DamageError {
    DamageError::Row(source)
}

impl Log {
    /// Checks up to `count` events from `from` on, and returns where to go on; `None` at the end. Looks at each event's
    /// bytes, signature and place, and at each whole tile's root.
    pub fn check(&self, from: u64, count: u64) -> Result<Option<u64>, DamageError> {
        let (size, _) = self.shared.head();
        let from = from.min(size);
        let until = from.saturating_add(count.max(1)).min(size);
        let checked = self.shared.reading(|store| {
            let places = check_range(store, from, until, Frontier::default());
            Ok(places.and_then(|_| check_tiles(store, from, until)).and_then(|()| verify(store, from, until)))
        });
        checked.map_err(row)??;
        Ok((until < size).then_some(until))
    }
}

/// Verifies the signatures of some events again.
fn verify(store: &Store, from: u64, until: u64) -> Result<(), DamageError> {
    // What was let in is fine, whatever the operator lets in today.
    let leniency = Leniency { accept_id_text: true, accept_eip2098: true };
    let mut damage = Ok(());
    let verify = |stored: Stored| {
        let verified = Claimed::parse_stored(&stored.json).map(|it| it.verify(leniency).is_ok());
        if damage.is_ok() && !verified.unwrap_or(false) {
            let what = "its signature does not hold".to_owned();
            damage = Err(DamageError::Event { seq: stored.at.seq, what });
        }
        Ok(())
    };
    store.stored_between(from, until, verify).map_err(row)?;
    damage
}

/// Holds the roots of the whole tiles of leaves between two places against the leaves.
fn check_tiles(store: &Store, from: u64, until: u64) -> Result<(), DamageError> {
    for tile in from.div_ceil(TILE_LEAVES)..until / TILE_LEAVES {
        let mut tree = Frontier::default();
        for leaf in store.leaves(tile * TILE_LEAVES, (tile + 1) * TILE_LEAVES).map_err(row)? {
            tree.push(leaf);
        }
        if store.tiles(0, tile, tile + 1).map_err(row)?.first() != Some(&tree.root()) {
            return Err(DamageError::Event {
                seq: tile * TILE_LEAVES,
                what: "its tile's root is another".to_owned(),
            });
        }
    }
    Ok(())
}
