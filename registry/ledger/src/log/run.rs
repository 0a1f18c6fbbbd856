//! The postings of one key in the era that is in memory.
//!
//! Most keys lead to one event. A few lead to every event of the era: for those what is new stands beside what is
//! sorted, and is sorted in now and then, which costs less than to keep an order with each event.

use std::{borrow::Cow, slice};

use super::posting::{CHUNK_POSTINGS, Posting};

/// How many new postings stand beside those that are sorted.
const FRESH_MAX: usize = if cfg!(test) { 4 } else { 256 };

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
    fresh: Vec<Posting>,
}

impl Run {
    pub(super) fn of(posting: Posting) -> Self {
        Self::One(posting)
    }

    pub(super) fn insert(&mut self, posting: Posting) {
        match self {
            Self::One(first) => {
                *self = Self::Many(Box::new(Many { sorted: Vec::new(), fresh: vec![*first, posting] }));
            }
            Self::Many(many) => {
                many.fresh.push(posting);
                if many.fresh.len() >= FRESH_MAX {
                    many.sorted.append(&mut many.fresh);
                    // Two sorted stretches one behind the other are merged.
                    many.sorted.sort();
                }
            }
        }
    }

    /// Returns the first postings, in order, of those that are behind some place: at most a chunk of them.
    pub(super) fn page(&self, is_behind: impl Fn(&Posting) -> bool) -> Vec<Posting> {
        match self {
            Self::One(only) => slice::from_ref(only).iter().filter(|it| is_behind(it)).copied().collect(),
            Self::Many(many) => {
                let from = many.sorted.partition_point(|it| !is_behind(it));
                let sorted = many.sorted.get(from..).unwrap_or_default().iter().take(CHUNK_POSTINGS);
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
                let mut all = [many.sorted.as_slice(), many.fresh.as_slice()].concat();
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
