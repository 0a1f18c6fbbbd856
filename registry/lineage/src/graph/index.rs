//! Finds numbers by the first bits of a digest, with one look at memory.
//!
//! Entries whose digests begin alike share a bucket that is as large as a line of a processor's cache. What finds its
//! bucket full goes into an ordered set, so whoever makes up names that crowd into few buckets makes look-ups as slow
//! as those of an ordered set, and no slower. Nothing is ever listed from here, so no answer depends on the buckets.

use std::collections::BTreeSet;

/// How many entries a bucket holds.
const SLOTS: usize = 8;
/// How many there are for each bucket, as a mean, when the buckets become twice as many. At this mean, fewer than one in
/// twenty goes into the set.
const MEAN_MAX: usize = 5;
/// The number of an empty slot.
const EMPTY: u32 = u32::MAX;

/// The first bits of a digest. Many that are equal cost whoever looks for them 2^32 tries each.
pub(super) type Tag = u32;

/// Numbers by tags; numbers of one tag are told apart by whoever asks.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// In the order of the tags: always a power of two, or none.
    buckets: Vec<Bucket>,
    crowded: BTreeSet<(Tag, u32)>,
    count: usize,
}

/// Begins where a line of a processor's cache does, so that it never stands in two.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Bucket {
    tags: [Tag; SLOTS],
    /// From the first slot on; behind the last one all are [`EMPTY`].
    numbers: [u32; SLOTS],
}

impl Bucket {
    const NEW: Self = Self { tags: [0; SLOTS], numbers: [EMPTY; SLOTS] };

    fn is_full(&self) -> bool {
        self.numbers[SLOTS - 1] != EMPTY
    }

    fn entries(&self) -> impl Iterator<Item = (Tag, u32)> {
        self.tags.into_iter().zip(self.numbers).filter(|it| it.1 != EMPTY)
    }
}

impl Index {
    /// Finds the number of a tag that is the one.
    pub(super) fn find(&self, tag: Tag, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let bucket = self.buckets.get(self.place(tag))?;
        let here = bucket.entries().find(|it| it.0 == tag && is_it(it.1)).map(|it| it.1);
        if here.is_some() || !bucket.is_full() {
            return here;
        }
        self.crowded.range((tag, 0)..=(tag, u32::MAX)).map(|it| it.1).find(|it| is_it(*it))
    }

    /// Puts in a number that is not here. [`EMPTY`] is none.
    pub(super) fn insert(&mut self, tag: Tag, number: u32) {
        if self.count >= self.buckets.len() * MEAN_MAX {
            self.double();
        }
        self.count += 1;
        self.place_entry(tag, number);
    }

    fn place_entry(&mut self, tag: Tag, number: u32) {
        let place = self.place(tag);
        let bucket = &mut self.buckets[place];
        match bucket.numbers.iter().position(|it| *it == EMPTY) {
            Some(slot) => (bucket.tags[slot], bucket.numbers[slot]) = (tag, number),
            None => _ = self.crowded.insert((tag, number)),
        }
    }

    /// Makes the buckets twice as many. The entries of one go into two, so both are filled front to back.
    fn double(&mut self) {
        let more = (self.buckets.len() * 2).max(1);
        let before = std::mem::replace(&mut self.buckets, vec![Bucket::NEW; more]);
        let crowded = std::mem::take(&mut self.crowded);
        let entries = before.iter().flat_map(Bucket::entries);
        entries.chain(crowded).for_each(|(tag, number)| self.place_entry(tag, number));
    }

    fn place(&self, tag: Tag) -> usize {
        // The upper bits of the tag: smaller than the number of buckets.
        usize::try_from((u64::from(tag) * self.buckets.len() as u64) >> Tag::BITS).unwrap_or(usize::MAX)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        // A set of this kind fills its nodes to about 70%.
        self.buckets.capacity() * size_of::<Bucket>() + self.crowded.len() * 8 * 10 / 7
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_number_is_found_by_its_tag_and_no_other_is(
            tags in prop::collection::vec(prop_oneof![any::<u32>(), 0_u32..3, Just(u32::MAX)], 0..400),
        ) {
            let mut index = Index::default();
            for (number, tag) in (0..).zip(&tags) {
                prop_assert_eq!(index.find(*tag, |it| it == number), None);
                index.insert(*tag, number);
            }
            for (number, tag) in (0..).zip(&tags) {
                prop_assert_eq!(index.find(*tag, |it| it == number), Some(number));
                prop_assert_eq!(index.find(*tag ^ 1 << 31, |it| it == number), None);
            }
        }
    }

    #[test]
    fn names_that_crowd_into_one_bucket_go_into_the_set() {
        let mut index = Index::default();
        (0..10_000).for_each(|it| index.insert(7, it));
        assert_eq!(index.crowded.len(), 10_000 - SLOTS);
        assert_eq!(index.find(7, |it| it == 9999), Some(9999));
        assert!(index.buckets.len() * SLOTS <= 10_000 * 4);
    }
}
