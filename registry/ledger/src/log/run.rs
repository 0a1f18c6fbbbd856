//! The postings of one key in the era that is in memory.
//!
//! Most keys lead to one event. A few lead to every event of the era: for those what is new stands beside what is
//! sorted, and is sorted in now and then, which costs less than to keep an order with each event. It goes by way of a
//! shorter sorted list, so that the long one is seldom gone through.

use std::{borrow::Cow, slice};

use super::posting::{CHUNK_POSTINGS, Posting};

/// How many new postings stand beside those that are sorted.
const FRESH_MAX: usize = if cfg!(test) { 4 } else { 256 };
/// How many sorted ones stand beside the others.
const RECENT_MAX: usize = if cfg!(test) { 12 } else { 2048 };

/// The postings of one key.
#[derive(Debug)]
pub(super) enum Run {
    One(Posting),
    Many(Box<Many>),
}

/// Postings, of which the last few are in the order in which they came.
#[derive(Debug)]
pub(super) struct Many {
    sorted: Vec<Posting>,
    /// What came before the fresh ones, sorted too.
    recent: Vec<Posting>,
    fresh: Vec<Posting>,
}

impl Many {
    fn insert(&mut self, posting: Posting) {
        self.fresh.push(posting);
        if self.fresh.len() >= FRESH_MAX {
            sort_in(&mut self.fresh, &mut self.recent);
        }
        if self.recent.len() >= RECENT_MAX {
            sort_in(&mut self.recent, &mut self.sorted);
        }
    }
}

/// Moves postings to others, which are in order before and after.
fn sort_in(from: &mut Vec<Posting>, sorted: &mut Vec<Posting>) {
    sorted.append(from);
    // Two sorted stretches one behind the other are merged.
    sorted.sort();
}

impl Run {
    pub(super) fn of(posting: Posting) -> Self {
        Self::One(posting)
    }

    pub(super) fn insert(&mut self, posting: Posting) {
        match self {
            Self::One(first) => {
                let fresh = vec![*first, posting];
                *self = Self::Many(Box::new(Many { sorted: Vec::new(), recent: Vec::new(), fresh }));
            }
            Self::Many(many) => many.insert(posting),
        }
    }

    /// Returns the first postings, in order, of those that are behind some place: at most a chunk of them.
    pub(super) fn page(&self, is_behind: impl Fn(&Posting) -> bool) -> Vec<Posting> {
        match self {
            Self::One(only) => slice::from_ref(only).iter().filter(|it| is_behind(it)).copied().collect(),
            Self::Many(many) => {
                let sorted = [&many.sorted, &many.recent].into_iter().flat_map(|it| {
                    let from = it.partition_point(|it| !is_behind(it));
                    it[from..].iter().take(CHUNK_POSTINGS)
                });
                let fresh = many.fresh.iter().filter(|it| is_behind(it));
                let mut page: Vec<Posting> = sorted.chain(fresh).copied().collect();
                page.sort_unstable();
                page.truncate(CHUNK_POSTINGS);
                page
            }
        }
    }

    /// Returns all postings, in order.
    pub(super) fn in_order(&self) -> Cow<'_, [Posting]> {
        match self {
            Self::One(only) => slice::from_ref(only).into(),
            Self::Many(many) => {
                let mut all = [many.sorted.as_slice(), &many.recent, &many.fresh].concat();
                all.sort();
                all.into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pages_are_those_of_a_sorted_set(
            postings in prop::collection::vec((0_u64..6, 0_u64..6), 1..60),
            after in (0_u64..7, 0_u64..7),
        ) {
            let postings = postings.into_iter().zip(0_u16..);
            let postings: Vec<Posting> =
                postings.map(|((created_at, id), offset)| Posting { created_at, id, offset }).collect();
            let mut run = Run::of(postings[0]);
            postings[1..].iter().for_each(|it| run.insert(*it));
            let set: BTreeSet<Posting> = postings.iter().copied().collect();
            prop_assert_eq!(run.in_order().into_owned(), set.iter().copied().collect::<Vec<_>>());
            let after = Posting { created_at: after.0, id: after.1, offset: 30 };
            let expected: Vec<Posting> = set.into_iter().filter(|it| *it > after).take(CHUNK_POSTINGS).collect();
            prop_assert_eq!(run.page(|it| *it > after), expected);
        }
    }
}
