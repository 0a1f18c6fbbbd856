//! From a filter to events: a few runs of postings, merged in order, each candidate held against the filter.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeSet, BinaryHeap, VecDeque},
    sync::{Arc, PoisonError, RwLock},
};

use super::{
    era::{self, Closed, ERA_EVENTS, Era},
    plan::plan,
    posting::{Posting, Rank},
};
use crate::{
    event::{EventId, Sid},
    filter::Filter,
    store::{Events, Found, Glance, Store, StoreError},
};

/// A question to the log.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// What is asked for. Its limit is the number of answers.
    pub filter: Filter,
    /// Only events that the log had when it had so many: the past, asked again.
    pub size: Option<u64>,
    /// Only what comes behind this one, in the order of subscribers: the next page.
    pub after: Option<PageMark>,
}

/// The last event of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageMark {
    /// When it was signed.
    pub created_at: u64,
    /// Its id.
    pub id: EventId,
}

/// The index as it was when a query began. What comes later is not seen.
#[derive(Clone, Debug)]
pub(super) struct Index {
    pub(super) open: Arc<RwLock<Era>>,
    pub(super) closed: Arc<Vec<Closed>>,
}

/// Events in the order of subscribers, as they are found.
pub(super) struct Answers<'s, R> {
    store: &'s Store,
    events: Events<'s, R>,
    /// How many events the log had: the index may have got more since, which the store does not show yet.
    size: u64,
    index: Index,
    query: &'s Query,
    keys: Vec<u64>,
    /// Eras that are not looked into yet: each stands where its newest event would.
    waiting: BinaryHeap<(u64, Reverse<u64>)>,
    runs: Vec<Run>,
    heads: BinaryHeap<Reverse<Head>>,
    last_seq: Option<u64>,
    from: Rank,
    /// The numbers of the subspaces that are asked for: an event of one needs no look at its `sid` tag.
    spaces: BTreeSet<u64>,
}

/// The next posting of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    posting: Posting,
    seq: u64,
    run: usize,
}

/// The postings of one key in one era.
struct Run {
    era: u64,
    key: u64,
    /// The next chunk, or `None` if the era is in memory.
    chunk: Option<u64>,
    page: VecDeque<Posting>,
    last: Option<Posting>,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        let rank = self.posting.rank().cmp(&other.posting.rank());
        rank.then(self.seq.cmp(&other.seq)).then(self.run.cmp(&other.run))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<'s, R: Found> Answers<'s, R> {
    pub(super) fn new(
        store: &'s Store,
        size: u64,
        index: Index,
        query: &'s Query,
    ) -> Result<Self, StoreError> {
        let filter = &query.filter;
        let mut spaces = BTreeSet::new();
        for sid in filter.tags.get("sid").into_iter().flatten() {
            // A text that is no sid names no subspace, and not what is outside of any.
            if let Ok(sid) = Sid::parse(sid) {
                spaces.extend(store.space_number(&sid)?);
            }
        }
        // SQLite's integers end there; no event is signed that late.
        let end = i64::MAX.cast_unsigned();
        let until = filter.until.map_or(end, |it| it.0.min(end));
        let after = query.after.map_or(end, |it| it.created_at);
        // The mark's own second is looked at again, and what is not behind the mark is passed over.
        let from = Rank { created_at: until.min(after), id: 0 };
        let open = index.open.read().unwrap_or_else(PoisonError::into_inner);
        let eras = index.closed.iter().map(|it| (it.newest, it.no, it.oldest));
        let eras = eras.chain([(open.newest(), open.no, 0)]);
        let since = filter.since.map_or(0, |it| it.0);
        let waiting = eras
            .filter(|(newest, no, oldest)| {
                let had = query.size.is_none_or(|size| no * ERA_EVENTS < size);
                had && *newest >= since && *oldest <= from.created_at
            })
            .map(|(newest, no, _)| (newest, Reverse(no)))
            .collect();
        drop(open);
        let keys = if filter.is_void() { Vec::new() } else { plan(filter).keys };
        let (runs, heads) = (Vec::new(), BinaryHeap::new());
        let events = store.events()?;
        Ok(Self {
            store,
            events,
            size,
            index,
            query,
            keys,
            waiting,
            runs,
            heads,
            last_seq: None,
            from,
            spaces,
        })
    }

    /// Returns the next event, or `None` if there is no other.
    pub(super) fn next(&mut self) -> Result<Option<R>, StoreError> {
        loop {
            self.open_eras()?;
            let Some(Reverse(head)) = self.heads.pop() else {
                return Ok(None);
            };
            self.advance(head.run)?;
            let filter = &self.query.filter;
            if filter.since.is_some_and(|since| head.posting.created_at < since.0) {
                return Ok(None);
            }
            // Found under two keys it comes twice, one behind the other.
            if self.last_seq.replace(head.seq) == Some(head.seq) || head.seq >= self.size {
                continue;
            }
            let Some(found) = self.events.at(head.seq)? else {
                let what = "the index leads to an event that is not there".to_owned();
                return Err(StoreError::Row { table: "event", row: head.seq.to_string(), what });
            };
            let glance = found.glance();
            if self.query.admits(&glance) && self.matches(&glance)? {
                return Ok(Some(found));
            }
        }
    }

    fn matches(&self, found: &Glance<'_>) -> Result<bool, StoreError> {
        let filter = &self.query.filter;
        let only_sid = filter.tags.len() == 1 && self.spaces.contains(&found.space);
        if only_sid { Ok(matches_columns(filter, found)) } else { matches(filter, found) }
    }

    /// Looks into every era that may hold something before the next posting at hand.
    fn open_eras(&mut self) -> Result<(), StoreError> {
        while let Some((newest, Reverse(no))) = self.waiting.peek().copied() {
            let is_first = self.heads.peek().is_none_or(|Reverse(it)| newest >= it.posting.created_at);
            if !is_first {
                break;
            }
            self.waiting.pop();
            let chunk = self.index.closed.iter().any(|it| it.no == no).then_some(0);
            for key in self.keys.clone() {
                self.runs.push(Run { era: no, key, chunk, page: VecDeque::new(), last: None });
                self.advance(self.runs.len() - 1)?;
            }
        }
        Ok(())
    }

    /// Puts the next posting of a run among the heads.
    fn advance(&mut self, run: usize) -> Result<(), StoreError> {
        let Some(at) = self.runs.get_mut(run) else {
            return Ok(());
        };
        if at.page.is_empty() {
            at.page = match at.chunk {
                None => {
                    let open = self.index.open.read().unwrap_or_else(PoisonError::into_inner);
                    open.page(at.key, at.last, self.from).into()
                }
                Some(chunk) => {
                    match era::postings(self.store, at.era, at.key, chunk, self.from.created_at)? {
                        None => VecDeque::new(),
                        Some((postings, next)) => {
                            at.chunk = Some(next);
                            postings.into_iter().filter(|it| it.rank() >= self.from).collect()
                        }
                    }
                }
            };
        }
        if let Some(posting) = at.page.pop_front() {
            at.last = Some(posting);
            let seq = at.era * ERA_EVENTS + u64::from(posting.offset);
            self.heads.push(Reverse(Head { posting, seq, run }));
        }
        Ok(())
    }
}

impl Query {
    /// Says whether an event is of the part of the log, and of the page, that is asked for.
    pub(super) fn admits(&self, found: &Glance<'_>) -> bool {
        let place = |created_at: u64, id: EventId| (Reverse(created_at), id);
        let own = place(found.created_at.0, found.id);
        self.size.is_none_or(|it| found.seq < it)
            && self.after.is_none_or(|it| own > place(it.created_at, it.id))
    }
}

/// Holds an event against a filter, and reads its JSON only if the filter asks for tags.
pub(super) fn matches(filter: &Filter, found: &Glance<'_>) -> Result<bool, StoreError> {
    let columns = matches_columns(filter, found);
    Ok(columns && (filter.tags.is_empty() || filter.matches_tags(found.claimed()?.tags())))
}

fn matches_columns(filter: &Filter, glance: &Glance<'_>) -> bool {
    fn has<T: Ord>(wanted: Option<&BTreeSet<T>>, found: &T) -> bool {
        wanted.is_none_or(|it| it.contains(found))
    }
    has(filter.ids.as_ref(), &glance.id)
        && has(filter.kinds.as_ref(), &glance.kind)
        && has(filter.authors.as_ref(), &glance.author)
        && filter.fits_time(glance.created_at)
}
