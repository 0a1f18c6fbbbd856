//! Reading: by filter, by id, by place, by subspace.

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc};

use base::Sha256;

use super::{
    Log,
    query::{Answers, Query, matches},
};
use crate::{
    event::{EventId, Kind, Sid},
    filter::Filter,
    store::{Brief, Found, SpaceRow, Store, StoreError, Stored},
};

/// A subspace as the log counts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpaceView {
    /// Its number in this log: the order in which subspaces were first named. For paging.
    pub no: u64,
    /// Its sid; `None` for what is outside of any.
    pub sid: Option<Sid>,
    /// Whether the sid is a digest, which was checked, and not a symbol.
    pub is_verified: bool,
    /// The place of the event that made it; `None` while nobody has.
    pub genesis: Option<u64>,
    /// The place of its last event.
    pub head: Option<u64>,
    /// How many events it has.
    pub tick: u64,
    /// How many of each kind.
    pub clock: BTreeMap<Kind, u64>,
}

/// A step of a walk along a subspace, from its newest event back to its first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// The event.
    pub stored: Stored,
    /// The place of the one before it in the same subspace.
    pub before: Option<u64>,
}

impl Log {
    /// Returns how many events there are, and the root of their tree.
    pub fn head(&self) -> (u64, Sha256) {
        self.shared.head()
    }

    /// Returns why the last write failed, if it did and none has succeeded since.
    pub fn failure(&self) -> Option<Arc<StoreError>> {
        self.shared.failure()
    }

    /// Returns the events that are asked for, in the order of subscribers.
    pub fn query(&self, query: &Query) -> Result<Vec<Stored>, StoreError> {
        let mut found = Vec::new();
        self.each(query, |it| {
            found.push(it);
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    /// Gives `each` the events that are asked for, in the order of subscribers, until it breaks off.
    pub fn each(&self, query: &Query, each: impl FnMut(Stored) -> ControlFlow<()>) -> Result<(), StoreError> {
        self.find(query, each)
    }

    /// The same for whoever needs no more of an event than a subscriber, which takes less time.
    pub fn each_brief(
        &self,
        query: &Query,
        each: impl FnMut(Brief) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.find(query, each)
    }

    fn find<R: Found>(
        &self,
        query: &Query,
        mut each: impl FnMut(R) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut left = query.filter.limit.unwrap_or(u64::MAX);
        if left == 0 {
            return Ok(());
        }
        if let Some(ids) = &query.filter.ids {
            return self.each_by_id(query, ids.iter().copied(), left, &mut each);
        }
        // In this order: what was counted is in the index, and what is in the store.
        let size = self.shared.head().0.min(query.size.unwrap_or(u64::MAX));
        let index = self.shared.index();
        self.shared.reading(|store| {
            store.at_once(|store| {
                let mut answers = Answers::<R>::new(store, size, index, query)?;
                while left > 0
                    && let Some(found) = answers.next()?
                    && each(found).is_continue()
                {
                    left -= 1;
                }
                Ok(())
            })
        })
    }

    fn each_by_id<R: Found>(
        &self,
        query: &Query,
        ids: impl Iterator<Item = EventId>,
        limit: u64,
        each: &mut impl FnMut(R) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut found = Vec::new();
        for id in ids {
            found.extend(self.by_id(id)?);
        }
        found.retain(|it: &Stored| query.admits(&it.glance()));
        found.sort_by_key(|it| (std::cmp::Reverse(it.created_at), it.id));
        let mut kept = Vec::new();
        for stored in found {
            if matches(&query.filter, &stored.glance())? {
                kept.push(stored);
            }
        }
        for stored in kept.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX)) {
            if each(R::of(stored)).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Counts the events that are asked for, up to `max`.
    pub fn count(&self, filter: &Filter, max: u64) -> Result<u64, StoreError> {
        let mut count = 0;
        let query = Query { filter: Filter { limit: Some(max), ..filter.clone() }, ..Query::default() };
        self.each_brief(&query, |_| {
            count += 1;
            ControlFlow::Continue(())
        })?;
        Ok(count)
    }

    /// Returns the event of that id.
    pub fn by_id(&self, id: EventId) -> Result<Option<Stored>, StoreError> {
        let places = self.shared.places(id.as_bytes());
        self.shared.reading(|store| {
            for seq in places {
                if let Some(stored) = store.stored(seq)?.filter(|it| it.id == id) {
                    return Ok(Some(stored));
                }
            }
            Ok(None)
        })
    }

    /// Returns the event at that place.
    pub fn by_seq(&self, seq: u64) -> Result<Option<Stored>, StoreError> {
        self.shared.reading(|store| store.stored(seq))
    }

    /// Gives `each` the events from one place to before another, in the log's order.
    pub fn range(
        &self,
        from: u64,
        until: u64,
        mut each: impl FnMut(Stored) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let (size, _) = self.head();
        self.shared.reading(|store| store.stored_between(from.min(size), until.min(size), &mut each))
    }

    /// Returns a subspace as counted now, or when the log had `size` events.
    pub fn space(&self, sid: Option<&Sid>, size: Option<u64>) -> Result<Option<SpaceView>, StoreError> {
        self.shared.reading(|store| {
            let Some(row) = store.space(sid)? else {
                return Ok(None);
            };
            let row = match size {
                Some(size) => row_at(store, row, size)?,
                None => row,
            };
            Ok((row.tick > 0).then(|| view(row)))
        })
    }

    /// Lists subspaces behind number `after`, without their counters.
    pub fn spaces(&self, after: u64, limit: u64) -> Result<Vec<SpaceView>, StoreError> {
        let end = i64::MAX.cast_unsigned();
        let rows = self.shared.reading(|store| store.spaces(after.min(end), limit.min(end)))?;
        Ok(rows.into_iter().map(view).collect())
    }

    /// Returns the event of a subspace at place `at`, its newest if there is none, and where the one before it is. An
    /// auditor repeats this until the genesis and holds each leaf against the `prev` of the one after it.
    pub fn walk(&self, sid: Option<&Sid>, at: Option<u64>) -> Result<Option<Walk>, StoreError> {
        self.shared.reading(|store| {
            let from = match at {
                Some(seq) => Some(seq),
                None => store.space(sid)?.and_then(|it| it.head).map(|it| it.0),
            };
            let Some(stored) = from.map(|it| store.stored(it)).transpose()?.flatten() else {
                return Ok(None);
            };
            let before = stored.prev_seq;
            let is_here = store.sid(stored.space)?.as_ref() == sid;
            Ok(is_here.then_some(Walk { stored, before }))
        })
    }
}

impl Log {
    pub(crate) fn reading<T>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.shared.reading(work)
    }
}

/// Counts a subspace back to when the log had `size` events: along its chain, from its head.
fn row_at(store: &Store, mut row: SpaceRow, size: u64) -> Result<SpaceRow, StoreError> {
    while let Some((seq, _)) = row.head.filter(|it| it.0 >= size) {
        let Some(stored) = store.stored(seq)? else {
            let what = "a subspace's chain leads to an event that is not there".to_owned();
            return Err(StoreError::Row { table: "event", row: seq.to_string(), what });
        };
        row.tick -= row.tick.min(1);
        if stored.at.n > 1 {
            row.clock.insert(stored.kind, stored.at.n - 1);
        } else {
            row.clock.remove(&stored.kind);
        }
        row.genesis = row.genesis.filter(|it| *it != seq);
        row.head = stored.prev_seq.zip(stored.at.prev);
    }
    Ok(row)
}

fn view(row: SpaceRow) -> SpaceView {
    SpaceView {
        no: row.no,
        is_verified: row.sid.as_ref().is_some_and(Sid::is_digest),
        sid: row.sid,
        genesis: row.genesis,
        head: row.head.map(|it| it.0),
        tick: row.tick,
        clock: row.clock,
    }
}
