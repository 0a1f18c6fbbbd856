//! The index in eras of [`ERA_EVENTS`] events: the newest in memory, the closed ones on disk, each written once.
//!
//! So an append writes no index at all, however large the log is, and closing an era writes one sorted run. After a
//! crash the newest era is built again from its events.

use std::collections::{HashMap, hash_map::Entry};

use base::Sha256;
use foldhash::fast::RandomState;

use super::{
    block::{self, Block, Packer, SHORT_MAX},
    posting::{CHUNK_POSTINGS, POSTING_BYTES, Posting, Rank, keys, names, number},
    run::Run,
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

/// The newest era.
#[derive(Debug, Default)]
pub(super) struct Era {
    pub(super) no: u64,
    postings: HashMap<u64, Run, RandomState>,
    /// The names of its events with their offsets, as they are kept when it closes.
    names: Vec<(u64, u16)>,
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

    /// Begins the era behind this one, which will have about as many keys.
    pub(super) fn next(&self) -> Self {
        let postings = HashMap::with_capacity_and_hasher(self.postings.len(), RandomState::default());
        Self { no: self.no + 1, postings, ..Self::default() }
    }

    /// Takes an event that is in the log now.
    pub(super) fn insert(&mut self, indexed: &Indexed, posting: Posting) {
        for key in &indexed.keys {
            match self.postings.entry(*key) {
                Entry::Vacant(place) => drop(place.insert(Run::of(posting))),
                Entry::Occupied(found) => found.into_mut().insert(posting),
            }
        }
        self.names.extend(indexed.names().map(|it| (it, posting.offset)));
        self.newest = self.newest.max(posting.created_at);
        self.oldest = Some(self.oldest.map_or(posting.created_at, |it| it.min(posting.created_at)));
    }

    /// Returns the postings under a key behind `after`, in order, at most a chunk of them.
    pub(super) fn page(&self, key: u64, after: Option<Posting>, from: Rank) -> Vec<Posting> {
        let first = Posting { created_at: from.created_at, id: from.id, offset: 0 };
        let is_behind = |it: &Posting| after.map_or(*it >= first, |after| *it > after);
        self.postings.get(&key).map(|it| it.page(is_behind)).unwrap_or_default()
    }

    /// Returns the last second that any of its events was signed in.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Writes all of it, in the order of its keys.
    pub(super) fn write(&self, store: &Store) -> Result<Closed, StoreError> {
        let mut names = self.names.clone();
        names.sort_unstable();
        let mut bytes = Vec::with_capacity(names.len() * 10 + SEAL_BYTES);
        for (name, offset) in names {
            bytes.extend(name.to_be_bytes());
            bytes.extend(offset.to_be_bytes());
        }
        seal(&mut bytes);
        let closed = Closed { no: self.no, newest: self.newest, oldest: self.oldest.unwrap_or_default() };
        store.put_era(&EraRow { no: self.no, newest: closed.newest, oldest: closed.oldest, names: bytes })?;
        // SQLite's keys have a sign: its order is the one in which the rows lie.
        let mut runs: Vec<(i64, &Run)> =
            self.postings.iter().map(|(key, run)| (key.cast_signed(), run)).collect();
        runs.sort_unstable_by_key(|it| it.0);
        let (mut chunks, mut packer) = (store.chunks(self.no)?, Packer::default());
        let put = |it: Block| store.put_block(self.no, it.last, &it.bytes);
        for (key, run) in runs {
            let run = run.in_order();
            if run.len() <= SHORT_MAX {
                packer.add(key, &run).map_or(Ok(()), put)?;
                continue;
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
        }
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
const SEAL_BYTES: usize = 4;

pub(super) fn seal(bytes: &mut Vec<u8>) {
    let digest = Sha256::of(bytes);
    bytes.extend(&digest.as_bytes()[..SEAL_BYTES]);
}

pub(super) fn unseal(bytes: &[u8]) -> Option<&[u8]> {
    let (bytes, seal) = bytes.split_at_checked(bytes.len().checked_sub(SEAL_BYTES)?)?;
    (Sha256::of(bytes).as_bytes()[..SEAL_BYTES] == *seal).then_some(bytes)
}
