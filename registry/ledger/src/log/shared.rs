//! What the writer and the readers have in common: the index, the names, and where the log stands.

use std::{
    mem,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard},
};

use base::Sha256;

use super::{
    era::{Closed, ERA_EVENTS, Era, Indexed},
    names::Names,
    posting::{Posting, prefix},
    query::Index,
    segment::Spare,
};
use crate::{
    event::Accepted,
    store::{Access, Store, StoreError},
};

/// How many connections are kept for the next reader.
const READERS_KEPT_MAX: usize = 16;

/// The state of a log that any thread may look at. Locks are held for memory only, never for the disk.
#[derive(Debug)]
pub(crate) struct Shared {
    path: PathBuf,
    index: RwLock<Index>,
    names: RwLock<Names>,
    head: RwLock<(u64, Sha256)>,
    readers: Mutex<Vec<Store>>,
    /// Only the writer needs it.
    spare: Mutex<Spare>,
    failure: Mutex<Option<Arc<StoreError>>>,
}

/// A guard over the newest era, held while it is written to disk: readers go on, nothing is inserted.
pub(super) struct FullEra(Arc<RwLock<Era>>);

impl FullEra {
    pub(super) fn write(&self, store: &Store) -> Result<Closed, StoreError> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).write(store)
    }
}

impl Shared {
    pub(super) fn new(
        path: PathBuf,
        era: Era,
        closed: Vec<Closed>,
        names: Names,
        head: (u64, Sha256),
    ) -> Self {
        let index = Index { open: Arc::new(RwLock::new(era)), closed: Arc::new(closed) };
        Self {
            path,
            index: RwLock::new(index),
            names: RwLock::new(names),
            head: RwLock::new(head),
            readers: Mutex::default(),
            spare: Mutex::default(),
            failure: Mutex::default(),
        }
    }

    /// Returns how many events there are, and the root of their tree.
    pub(super) fn head(&self) -> (u64, Sha256) {
        *read(&self.head)
    }

    /// Returns the index as it is now.
    pub(super) fn index(&self) -> Index {
        read(&self.index).clone()
    }

    /// Lists the places of the events that may have this id or body. Whether they do has to be looked at.
    pub(super) fn places(&self, digest: &[u8; 32]) -> Vec<u64> {
        read(&self.names).places(prefix(digest)).collect()
    }

    /// Makes committed events visible to readers.
    pub(super) fn publish(&self, new: &[Arc<Accepted>], indexed: &[Indexed], root: Sha256) {
        let Some(last) = new.last() else {
            return;
        };
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        for (accepted, indexed) in new.iter().zip(indexed) {
            names.extend(indexed.names().map(|it| (it, accepted.at.seq)));
        }
        drop(names);
        let open = self.index().open;
        let posting = |it: &Accepted| Posting::new(&it.event, offset(it.at.seq));
        let new: Vec<_> = indexed.iter().zip(new.iter().map(|it| posting(it))).collect();
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody else changes the era, so it is still the same when it takes what was made beside it.
        let growth = read(&open).grow(&new, &mut spare);
        let replaced = open.write().unwrap_or_else(PoisonError::into_inner).take(growth);
        spare.keep(replaced);
        drop(spare);
        *self.head.write().unwrap_or_else(PoisonError::into_inner) = (last.at.seq + 1, root);
    }

    /// Returns the newest era if it is full.
    pub(super) fn full_era(&self) -> Option<FullEra> {
        let open = self.index().open;
        let is_full = self.head().0 == (read(&open).no + 1) * ERA_EVENTS;
        is_full.then_some(FullEra(open))
    }

    /// Goes on with a new era; who is reading the old one keeps it.
    pub(super) fn close_era(&self, closed: Closed) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let all = index.closed.iter().copied().chain([closed]).collect();
        let next = Era::new(closed.no + 1);
        let old =
            mem::replace(&mut *index, Index { open: Arc::new(RwLock::new(next)), closed: Arc::new(all) });
        drop(index);
        if let Some(era) = Arc::into_inner(old.open) {
            let segments = era.into_inner().unwrap_or_else(PoisonError::into_inner).into_segments();
            self.spare.lock().unwrap_or_else(PoisonError::into_inner).keep(segments);
        }
    }

    /// Lends a connection to `work`.
    pub(super) fn reading<T>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let kept = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let store = match kept {
            Some(store) => store,
            None => Store::connect(&self.path, Access::Read)?,
        };
        // One that failed is not kept: the next reader begins with a new one.
        let answer = work(&store)?;
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS_KEPT_MAX {
            readers.push(store);
        }
        Ok(answer)
    }

    /// Notes why the last write failed.
    pub(super) fn note_failure(&self, error: &Arc<StoreError>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
    }

    /// Returns why the last write failed, if it did.
    pub(super) fn failure(&self) -> Option<Arc<StoreError>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that a write has succeeded, and says whether the one before it failed.
    pub(super) fn forget_failure(&self) -> bool {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the place of an event within its era.
pub(super) fn offset(seq: u64) -> u16 {
    // Eras are shorter than that: see `ERA_EVENTS`.
    u16::try_from(seq % ERA_EVENTS).unwrap_or(u16::MAX)
}
