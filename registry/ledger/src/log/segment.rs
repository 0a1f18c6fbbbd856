//! Parts of the newest era: some events of it, and the keys that lead to them.
//!
//! What is new lies in a [`Pile`] as it came. A full pile becomes a [`Segment`], sorted once; two segments become one in
//! a single pass. An entry names its event by its rank among those of its segment: so it has ten bytes, and events are
//! compared once, not under each of their keys.

use super::posting::Posting;

/// One event under one key.
#[derive(Clone, Copy, Debug)]
#[repr(Rust, packed(2))]
struct Entry {
    /// SQLite's integers have a sign: entries lie in the order in which rows are written.
    key: i64,
    /// The place of the event among the postings beside it. An era has no more than fit in here.
    rank: u16,
}

impl Entry {
    fn new(key: i64, rank: usize) -> Self {
        Self { key, rank: u16::try_from(rank).unwrap_or(u16::MAX) }
    }

    fn event(self) -> usize {
        usize::from(self.rank)
    }

    /// Names the event by its rank among others.
    fn among(self, ranks: &[u16]) -> Self {
        Self { key: self.key, rank: ranks[self.event()] }
    }
}

/// Events with their keys, in no order.
#[derive(Debug, Default)]
pub(super) struct Pile {
    postings: Vec<Posting>,
    entries: Vec<Entry>,
}

/// Events with their keys, in order. None is ever changed.
#[derive(Debug, Default)]
pub(super) struct Segment {
    postings: Vec<Posting>,
    entries: Vec<Entry>,
}

/// Segments that are no longer needed: their room is, for the next ones. To give it back and to take it again would cost
/// more than to fill it.
#[derive(Debug, Default)]
pub(super) struct Spare {
    segments: Vec<Segment>,
}

/// How many bytes of room are kept: most of what an era takes, where events have a dozen keys.
const SPARE_BYTES_MAX: usize = if cfg!(test) { 1 << 14 } else { 2 << 20 };
/// Whatever is smaller, the allocator keeps at hand itself.
const SPARE_BYTES_MIN: usize = if cfg!(test) { 1 } else { 1 << 16 };

impl Pile {
    /// Adds an event.
    pub(super) fn add(&mut self, keys: &[u64], posting: Posting) {
        let rank = self.postings.len();
        self.postings.push(posting);
        self.entries.extend(keys.iter().map(|key| Entry::new(key.cast_signed(), rank)));
    }

    /// Adds what is in another.
    pub(super) fn extend(&mut self, other: &Self) {
        let before = self.postings.len();
        self.postings.extend_from_slice(&other.postings);
        self.entries.extend(other.entries.iter().map(|it| Entry::new(it.key, before + it.event())));
    }

    pub(super) fn clear(&mut self) {
        self.postings.clear();
        self.entries.clear();
    }

    /// Counts the entries.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Lists the events under a key, in no order.
    pub(super) fn under(&self, key: u64) -> impl Iterator<Item = Posting> {
        let key = key.cast_signed();
        self.entries.iter().filter(move |it| it.key == key).map(|it| self.postings[it.event()])
    }

    /// Returns the same in order.
    pub(super) fn sorted(&self) -> Segment {
        // The entries of an event stand together, and each has some: every event is under the key of all.
        let own = self.entries.chunk_by(|one, other| one.rank == other.rank);
        let mut order: Vec<(Posting, &[Entry])> = self.postings.iter().copied().zip(own).collect();
        order.sort_unstable_by_key(|it| it.0);
        let mut entries = Vec::with_capacity(self.entries.len());
        for (rank, (_, own)) in order.iter().enumerate() {
            entries.extend(own.iter().map(|it| Entry::new(it.key, rank)));
        }
        // They come by rank, and stay so under each key. Keys are far fewer than entries: that makes it half the work.
        entries.sort_by_key(|it| it.key);
        Segment { postings: order.into_iter().map(|it| it.0).collect(), entries }
    }
}

impl Segment {
    /// Counts the entries.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Lists its events, in order.
    pub(super) fn postings(&self) -> &[Posting] {
        &self.postings
    }

    /// Lists the events under a key, in order, from the first on that is behind some place.
    pub(super) fn under(
        &self,
        key: u64,
        is_behind: impl Fn(&Posting) -> bool,
    ) -> impl Iterator<Item = Posting> {
        let first = self.postings.partition_point(|it| !is_behind(it));
        let from = (key.cast_signed(), first);
        let begin = self.entries.partition_point(|it| (it.key, it.event()) < from);
        let run = self.entries[begin..].iter().take_while(move |it| it.key == from.0);
        run.map(|it| self.postings[it.event()])
    }

    /// Makes one of two that have no event in common.
    pub(super) fn merged(&self, other: &Self, spare: &mut Spare) -> Self {
        let mut merged = spare.room(self.postings.len() + other.postings.len(), self.len() + other.len());
        let [own, others] = merge_postings([&self.postings, &other.postings], &mut merged.postings);
        let (mut left, mut right) = (self.entries.as_slice(), other.entries.as_slice());
        while let ([one, ..], [another, ..]) = (left, right) {
            if one.key == another.key {
                let begin = merged.entries.len();
                // Newer events are in the other one, most often all of them.
                merged.entries.extend(split_run(&mut right).iter().map(|it| it.among(&others)));
                merged.entries.extend(split_run(&mut left).iter().map(|it| it.among(&own)));
                in_order(&mut merged.entries[begin..]);
                continue;
            }
            // Which of both comes next is chance: so nothing may depend on it but what is added up.
            let is_one = one.key < another.key;
            let (next, ranks) = if is_one { (one, &own) } else { (another, &others) };
            merged.entries.push(next.among(ranks));
            left = &left[usize::from(is_one)..];
            right = &right[usize::from(!is_one)..];
        }
        merged.entries.extend(left.iter().map(|it| it.among(&own)));
        merged.entries.extend(right.iter().map(|it| it.among(&others)));
        merged
    }

    /// Counts the bytes that it has room for.
    fn room(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>() + self.postings.capacity() * size_of::<Posting>()
    }
}

/// Splits off the entries under the first key.
fn split_run<'e>(entries: &mut &'e [Entry]) -> &'e [Entry] {
    let first = entries.first().map(|it| it.key);
    let length = entries.iter().take_while(|it| Some(it.key) == first).count();
    entries.split_off(..length).unwrap_or_default()
}

/// Puts the entries under one key in order. They stand in sorted stretches.
fn in_order(run: &mut [Entry]) {
    if !run.is_sorted_by_key(|it| it.rank) {
        run.sort_by_key(|it| it.rank);
    }
}

/// Merges two lists of events into one that is empty, and returns the new rank of each.
fn merge_postings([left, right]: [&[Posting]; 2], merged: &mut Vec<Posting>) -> [Vec<u16>; 2] {
    let mut ranks = [Vec::with_capacity(left.len()), Vec::with_capacity(right.len())];
    let (mut at_left, mut at_right) = (left.iter().peekable(), right.iter().peekable());
    for rank in 0.. {
        let is_right = match (at_left.peek(), at_right.peek()) {
            (None, None) => break,
            (left, right) => left.is_none_or(|left| right.is_some_and(|right| right < left)),
        };
        merged.extend(if is_right { at_right.next() } else { at_left.next() });
        ranks[usize::from(is_right)].push(rank);
    }
    ranks
}

impl Spare {
    /// Keeps the room of some segments, and in their favour gives back what was kept for longest.
    pub(super) fn keep(&mut self, segments: impl IntoIterator<Item = Segment>) {
        for mut segment in segments {
            segment.postings.clear();
            segment.entries.clear();
            if segment.room() >= SPARE_BYTES_MIN {
                self.segments.push(segment);
            }
        }
        while self.segments.iter().map(Segment::room).sum::<usize>() > SPARE_BYTES_MAX {
            self.segments.remove(0);
        }
    }

    /// Returns an empty segment with room for so much: the tightest there is, or a new one.
    fn room(&mut self, postings: usize, entries: usize) -> Segment {
        let fits = |it: &Segment| it.postings.capacity() >= postings && it.entries.capacity() >= entries;
        let fitting = self.segments.iter().enumerate().filter(|it| fits(it.1));
        match fitting.min_by_key(|it| it.1.room()).map(|it| it.0) {
            Some(place) => self.segments.remove(place),
            None => Segment { postings: Vec::with_capacity(postings), entries: Vec::with_capacity(entries) },
        }
    }
}

/// Gives each key of some segments that have no event in common, in order, with all that is under it, in order. Is
/// quickest with the newest events first.
pub(super) fn runs<E>(
    segments: &[&Segment],
    mut put: impl FnMut(i64, &[Posting]) -> Result<(), E>,
) -> Result<(), E> {
    let mut rest: Vec<&[Entry]> = segments.iter().map(|it| it.entries.as_slice()).collect();
    let mut run = Vec::new();
    while let Some(key) = rest.iter().filter_map(|it| it.first()).map(|it| it.key).min() {
        run.clear();
        for (rest, segment) in rest.iter_mut().zip(segments) {
            if rest.first().is_some_and(|it| it.key == key) {
                run.extend(split_run(rest).iter().map(|it| segment.postings[it.event()]));
            }
        }
        // Sorted stretches, one behind the other: they are merged.
        run.sort();
        put(key, &run)?;
    }
    Ok(())
}
