//! Finds numbers by a few bits of what they stand for, with one look at memory.
//!
//! Entries whose tags begin alike share a bucket that is as large as a line of a processor's cache. What finds its
//! bucket full goes into a set that is ordered by bits of a digest, which are asked for only then. So tags may be made
//! quickly: whoever makes up names that crowd into few buckets makes look-ups as slow as those of an ordered set, and
//! no slower. Nothing is ever listed from here, so no answer depends on the buckets.

use std::collections::BTreeSet;

use crate::bits::ones;

/// How many entries a bucket holds.
const SLOTS: usize = 8;
/// How many there are for each bucket, as a mean, when the buckets become twice as many. At this mean, fewer than one in
/// twenty goes into the set.
const MEAN_MAX: usize = 5;
/// The number of an empty slot.
const EMPTY: u32 = u32::MAX;

/// Bits that many names may share: anybody can make up such names.
pub(super) type Tag = u32;
/// Bits of a digest. Many names that share them cost whoever looks for them 2^32 tries each.
pub(super) type Firm = u32;

/// Numbers by tags; numbers of one tag are told apart by whoever asks.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// In the order of the tags: always a power of two, or none.
    buckets: Vec<Bucket>,
    crowded: BTreeSet<(Firm, Tag, u32)>,
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

    /// Lists the numbers of a tag. All slots are looked at in one step, and nearly always it ends with that.
    fn of_tag(&self, tag: Tag) -> impl Iterator<Item = u32> {
        let equal = self.tags.iter().rev().fold(0, |mask, it| mask << 1 | u64::from(*it == tag));
        ones(equal).map(|it| self.numbers[it as usize]).filter(|it| *it != EMPTY)
    }
}

impl Index {
    /// Finds the number of a tag that is the one.
    pub(super) fn find(
        &self,
        tag: Tag,
        firm: impl FnOnce() -> Firm,
        is_it: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        let bucket = self.buckets.get(self.place(tag))?;
        let here = bucket.of_tag(tag).find(|it| is_it(*it));
        if here.is_some() || !bucket.is_full() {
            return here;
        }
        let firm = firm();
        let crowded = self.crowded.range((firm, tag, 0)..=(firm, tag, u32::MAX));
        crowded.map(|it| it.2).find(|it| is_it(*it))
    }

    /// Puts in a number that is not here. [`EMPTY`] is none.
    pub(super) fn insert(&mut self, tag: Tag, firm: impl FnOnce() -> Firm, number: u32) {
        if self.count >= self.buckets.len() * MEAN_MAX {
            self.double();
        }
        self.count += 1;
        if !self.put(tag, number) {
            self.crowded.insert((firm(), tag, number));
        }
    }

    /// Puts an entry into its bucket, unless that is full.
    fn put(&mut self, tag: Tag, number: u32) -> bool {
        let place = self.place(tag);
        let bucket = &mut self.buckets[place];
        let free = bucket.numbers.iter().position(|it| *it == EMPTY);
        if let Some(slot) = free {
            (bucket.tags[slot], bucket.numbers[slot]) = (tag, number);
        }
        free.is_some()
    }

    /// Makes the buckets twice as many. The entries of one go into two, which have room for all of them.
    fn double(&mut self) {
        let more = (self.buckets.len() * 2).max(1);
        let before = std::mem::replace(&mut self.buckets, vec![Bucket::NEW; more]);
        for (tag, number) in before.iter().flat_map(Bucket::entries) {
            self.put(tag, number);
        }
        let mut crowded = std::mem::take(&mut self.crowded);
        crowded.retain(|(_, tag, number)| !self.put(*tag, *number));
        self.crowded = crowded;
    }

    /// Looks at the bucket of each tag, so that all of memory's answers come at once.
    pub(super) fn touch(&self, tags: &[Tag]) {
        let first = |tag: &Tag| self.buckets.get(self.place(*tag)).map_or(0, |it| it.tags[0]);
        // A sum that nobody wants would not be made.
        std::hint::black_box(tags.iter().map(first).fold(0, |sum, it| sum ^ it));
    }

    /// Lists the numbers that stand in the bucket of a tag and have that tag.
    pub(super) fn likely(&self, tag: Tag) -> impl Iterator<Item = u32> {
        self.buckets.get(self.place(tag)).into_iter().flat_map(move |it| it.of_tag(tag))
    }

    fn place(&self, tag: Tag) -> usize {
        // The upper bits of the tag: smaller than the number of buckets.
        usize::try_from((u64::from(tag) * self.buckets.len() as u64) >> Tag::BITS).unwrap_or(usize::MAX)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        // A set of this kind fills its nodes to about 70%.
        self.buckets.capacity() * size_of::<Bucket>() + self.crowded.len() * 12 * 10 / 7
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_number_is_found_by_its_tag_and_no_other_is(
            tags in prop::collection::vec(prop_oneof![any::<u32>(), 0_u32..3, Just(u32::MAX)], 0..400),
        ) {
            let mut index = Index::default();
            for (number, tag) in (0..).zip(&tags) {
                prop_assert_eq!(index.find(*tag, || *tag % 3, |it| it == number), None);
                index.insert(*tag, || *tag % 3, number);
            }
            for (number, tag) in (0..).zip(&tags) {
                prop_assert_eq!(index.find(*tag, || *tag % 3, |it| it == number), Some(number));
                prop_assert_eq!(index.find(*tag ^ 1 << 31, || *tag % 3, |it| it == number), None);
            }
        }
    }

    #[test]
    fn names_that_crowd_into_one_bucket_go_into_the_set_and_few_are_looked_at() {
        let mut index = Index::default();
        (0..10_000).for_each(|it| index.insert(7, || it, it));
        assert_eq!(index.crowded.len(), 10_000 - SLOTS);
        for number in 0..10_000 {
            let looks = Cell::new(0);
            let is_it = |it| {
                looks.set(looks.get() + 1);
                it == number
            };
            assert_eq!(index.find(7, || number, is_it), Some(number));
            assert!(looks.get() <= SLOTS + 1, "{number}: {} looks", looks.get());
        }
        assert!(index.buckets.len() * SLOTS <= 10_000 * 4);
    }
}
