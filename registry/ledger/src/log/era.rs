//! The index in eras of [`ERA_EVENTS`] events: the newest in memory, the closed ones on disk, each written once.
//!
//! So an append writes no index at all, however large the log is, and closing an era writes one sorted run. After a
//! crash the newest era is built again from its events.
//!
//! In memory it is a log-structured merge tree: what is new in no order, and sorted segments, of which those that are
//! about as large as the one behind them become one with it. So they are few, each entry is moved a few times, and a
//! question looks into each. What is sorted and merged is made beside the era and put in place at once: who reads waits
//! for none of it.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
    mem,
};

use base::Sha256;

use super::{
    block::{self, Block, Packer, SHORT_MAX},
    posting::{CHUNK_POSTINGS, POSTING_BYTES, Posting, Rank, keys, names, number},
    segment::{self, Pile, Segment, Spare},
};
use crate::{
    event::Signed,
    store::{ChunkRow, EraRow, Store, StoreError},
};

/// How many events make an era. Part of the file's format; tests have short ones, to see several.
pub(crate) const ERA_EVENTS: u64 = if cfg!(test) { 64 } else { 1 << 14 };

/// What is indexed of one event, computed before it has its place.
#[derive(Clone, Debug)]
pub(super) struct Indexed {
    keys: Vec<u64>,
    names: (u64, u64),
}

/// How many entries lie in no order: a question looks at each of them.
const FRESH_MAX: usize = if cfg!(test) { 12 } else { 1024 };

/// How many events are in a segment that is merged of others. To merge larger ones would take memory and time, and spare a
/// question little.
const SEGMENT_EVENTS_MAX: usize = if cfg!(test) { 40 } else { 1 << 12 };

/// The newest era.
#[derive(Debug, Default)]
pub(super) struct Era {
    pub(super) no: u64,
    segments: Vec<Segment>,
    fresh: Pile,
    /// The names of bodies that are not their events' ids, with the events' offsets.
    bodies: Vec<(u64, u16)>,
    newest: u64,
    oldest: Option<u64>,
}

/// What becomes of an era by some new events.
#[derive(Debug)]
pub(super) struct Growth {
    /// The segments that stay.
    kept: usize,
    /// What stands behind them, with all that was fresh; without it, the new events join what is fresh.
    segment: Option<Segment>,
    fresh: Pile,
    bodies: Vec<(u64, u16)>,
    newest: u64,
    oldest: Option<u64>,
}

/// What is kept in memory of a closed era: between which seconds its events were signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed {
    pub(super) no: u64,
    pub(super) newest: u64,
    pub(super) oldest: u64,
}

impl Indexed {
    pub(super) fn of(event: &Signed) -> Self {
        Self { keys: keys(event), names: names(event) }
    }

    /// Lists the numbers under which the event is known, each once.
    pub(super) fn names(&self) -> impl Iterator<Item = u64> {
        let (id, body) = self.names;
        std::iter::once(id).chain((body != id).then_some(body))
    }
}

impl Era {
    pub(super) fn new(no: u64) -> Self {
        Self { no, ..Self::default() }
    }

    /// Sorts in events that are in the log now, as far as it is time to. The era has to [`Self::take`] it before
    /// anything else comes.
    pub(super) fn grow(&self, new: &[(&Indexed, Posting)], spare: &mut Spare) -> Growth {
        let mut growth = Growth {
            kept: self.segments.len(),
            segment: None,
            fresh: Pile::default(),
            bodies: Vec::new(),
            newest: self.newest,
            oldest: self.oldest,
        };
        for (indexed, posting) in new {
            growth.fresh.add(&indexed.keys, *posting);
            growth.bodies.extend(indexed.names().skip(1).map(|it| (it, posting.offset)));
            growth.newest = growth.newest.max(posting.created_at);
            growth.oldest = growth.oldest.into_iter().chain([posting.created_at]).min();
        }
        if self.fresh.len() + growth.fresh.len() < FRESH_MAX {
            return growth;
        }
        let mut pile = mem::take(&mut growth.fresh);
        pile.extend(&self.fresh);
        let mut segment = pile.sorted();
        let are_one = |one: &Segment, other: &Segment| {
            one.len() < 2 * other.len() && one.postings().len() + other.postings().len() <= SEGMENT_EVENTS_MAX
        };
        while let Some(before) = self.segments[..growth.kept].last().filter(|it| are_one(it, &segment)) {
            let merged = before.merged(&segment, spare);
            spare.keep([mem::replace(&mut segment, merged)]);
            growth.kept -= 1;
        }
        growth.segment = Some(segment);
        growth
    }

    /// Becomes what was made of it, and returns the segments that are no longer needed.
    pub(super) fn take(&mut self, growth: Growth) -> Vec<Segment> {
        let replaced = self.segments.split_off(growth.kept);
        match growth.segment {
            None => self.fresh.extend(&growth.fresh),
            Some(segment) => {
                self.segments.push(segment);
                self.fresh.clear();
            }
        }
        self.bodies.extend(growth.bodies);
        self.newest = growth.newest;
        self.oldest = growth.oldest;
        replaced
    }

    /// Returns all its segments, when it is of no more use.
    pub(super) fn into_segments(self) -> Vec<Segment> {
        self.segments
    }

    /// Returns the postings under a key behind `after`, in order, at most a chunk of them.
    pub(super) fn page(&self, key: u64, after: Option<Posting>, from: Rank) -> Vec<Posting> {
        let first = Posting { created_at: from.created_at, id: from.id, offset: 0 };
        let is_behind = |it: &Posting| after.map_or(*it >= first, |after| *it > after);
        let mut fresh: Vec<Posting> = self.fresh.under(key).filter(is_behind).collect();
        fresh.sort_unstable();
        let mut fresh = fresh.into_iter().peekable();
        let mut sorted: Vec<_> = self.segments.iter().map(|it| it.under(key, is_behind)).collect();
        let heads = sorted.iter_mut().zip(0..).filter_map(|(run, place)| Some(Reverse((run.next()?, place))));
        let mut heads: BinaryHeap<Reverse<(Posting, usize)>> = heads.collect();
        let mut page = Vec::new();
        while page.len() < CHUNK_POSTINGS {
            let Some(mut head) = heads.peek_mut() else {
                page.extend(fresh.take(CHUNK_POSTINGS - page.len()));
                break;
            };
            let Reverse((posting, place)) = *head;
            if let Some(fresh) = fresh.next_if(|it| *it < posting) {
                page.push(fresh);
                continue;
            }
            page.push(posting);
            match sorted[place].next() {
                Some(next) => head.0.0 = next,
                None => drop(PeekMut::pop(head)),
            }
        }
        page
    }

    /// Returns the last second that any of its events was signed in.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Writes all of it, in the order of its keys.
    pub(super) fn write(&self, store: &Store) -> Result<Closed, StoreError> {
        let sorted = self.fresh.sorted();
        let segments: Vec<&Segment> = self.segments.iter().chain([&sorted]).rev().collect();
        let events = segments.iter().flat_map(|it| it.postings()).map(|it| (it.id, it.offset));
        let mut names: Vec<(u64, u16)> = events.chain(self.bodies.iter().copied()).collect();
        names.sort_unstable();
        let mut bytes = Vec::with_capacity(names.len() * 10 + SEAL_BYTES);
        for (name, offset) in names {
            bytes.extend(name.to_be_bytes());
            bytes.extend(offset.to_be_bytes());
        }
        seal(&mut bytes);
        let closed = Closed { no: self.no, newest: self.newest, oldest: self.oldest.unwrap_or_default() };
        store.put_era(&EraRow { no: self.no, newest: closed.newest, oldest: closed.oldest, names: bytes })?;
        let (mut chunks, mut packer) = (store.chunks(self.no)?, Packer::default());
        let put = |it: Block| store.put_block(self.no, it.last, &it.bytes);
        segment::runs(&segments, |key, run| {
            if run.len() <= SHORT_MAX {
                return packer.add(key, run).map_or(Ok(()), put);
            }
            for (number, postings) in (0..).zip(run.chunks(CHUNK_POSTINGS)) {
                let mut bytes = Vec::with_capacity(postings.len() * POSTING_BYTES + SEAL_BYTES);
                for posting in postings {
                    posting.write(&mut bytes);
                }
                seal(&mut bytes);
                let oldest = postings.last().map_or(0, |it| it.created_at);
                chunks.put(ChunkRow { key, number, oldest, postings: bytes })?;
            }
            Ok(())
        })?;
        packer.finish().map_or(Ok(()), put)?;
        chunks.finish()?;
        Ok(closed)
    }
}

/// Returns the first postings of a key in a closed era, from chunk `from` on, that reach back to `until` or further;
/// and from which chunk on to go on.
pub(super) fn postings(
    store: &Store,
    era: u64,
    key: u64,
    from: u64,
    until: u64,
) -> Result<Option<(Vec<Posting>, u64)>, StoreError> {
    let damaged = |table, chunk: u64| StoreError::Row {
        table,
        row: format!("{era} {} {chunk}", key.cast_signed()),
        what: "the index is not what was written".to_owned(),
    };
    // A short run is one chunk, and is in no other place.
    if from == 0
        && let Some(block) = store.block(era, key.cast_signed())?
        && let Some(run) = block::find(&block, key.cast_signed()).map_err(|_| damaged("block", 0))?
    {
        return Ok(Some((run, 1)));
    }
    let Some((found, bytes)) = store.chunk(era, key, from, until)? else {
        return Ok(None);
    };
    let bytes = unseal(&bytes).ok_or_else(|| damaged("run", found))?;
    Ok(Some((Posting::read_all(bytes), found + 1)))
}

/// Reads the names of a closed era, with the places of their events in the whole log, or returns `None` if they are
/// damaged.
pub(super) fn read_names(era: &EraRow) -> Option<impl Iterator<Item = (u64, u64)>> {
    let bytes = unseal(&era.names)?;
    Some(
        bytes
            .as_chunks::<10>()
            .0
            .iter()
            .map(|bytes| (number(&bytes[..8]), era.no * ERA_EVENTS + number(&bytes[8..]))),
    )
}

/// How much of a digest stands behind what is stored, so that a damaged index does not lead astray in silence.
pub(super) const SEAL_BYTES: usize = 4;

pub(super) fn seal(bytes: &mut Vec<u8>) {
    let digest = Sha256::of(bytes);
    bytes.extend(&digest.as_bytes()[..SEAL_BYTES]);
}

pub(super) fn unseal(bytes: &[u8]) -> Option<&[u8]> {
    let (bytes, seal) = bytes.split_at_checked(bytes.len().checked_sub(SEAL_BYTES)?)?;
    (Sha256::of(bytes).as_bytes()[..SEAL_BYTES] == *seal).then_some(bytes)
}

#[cfg(test)]
mod tests;
