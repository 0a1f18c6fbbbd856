//! Blocks of the index: short runs of postings, packed one behind the other in the order of their keys.
//!
//! Most keys lead to one or two events. A row of its own for each would cost more than what it says.

use std::cmp::Ordering;

use super::{
    era::{SEAL_BYTES, seal, unseal},
    posting::{POSTING_BYTES, Posting},
};

/// The longest run that goes into a block.
pub(super) const SHORT_MAX: usize = if cfg!(test) { 2 } else { 16 };

/// How large a block may get before its seal: a few of them fill a page of the file.
const BLOCK_BYTES_MAX: usize = if cfg!(test) { 200 } else { 3900 };

/// The bytes before the postings of a run: its key, and how many they are.
const HEAD_BYTES: usize = 9;

/// A block that is finished.
#[derive(Debug)]
pub(super) struct Block {
    /// The last key in it.
    pub(super) last: i64,
    pub(super) bytes: Vec<u8>,
}

/// Packs runs into blocks. The runs have to come in the order of their keys.
#[derive(Debug, Default)]
pub(super) struct Packer {
    last: i64,
    bytes: Vec<u8>,
}

impl Packer {
    /// Adds a run of at most [`SHORT_MAX`] postings. Returns the block before it, if that had no room for it.
    pub(super) fn add(&mut self, key: i64, postings: &[Posting]) -> Option<Block> {
        let length = HEAD_BYTES + postings.len() * POSTING_BYTES;
        let full = if self.bytes.len() + length > BLOCK_BYTES_MAX { self.finish() } else { None };
        self.last = key;
        // Taken once for all that comes into the block; what was taken before is gone with the block before.
        self.bytes.reserve(BLOCK_BYTES_MAX + SEAL_BYTES - self.bytes.len());
        self.bytes.extend(key.to_be_bytes());
        // Short runs have fewer than 256 postings.
        self.bytes.push(u8::try_from(postings.len()).unwrap_or(u8::MAX));
        for posting in postings {
            posting.write(&mut self.bytes);
        }
        full
    }

    /// Returns the block that was begun, if there is one.
    pub(super) fn finish(&mut self) -> Option<Block> {
        if self.bytes.is_empty() {
            return None;
        }
        let mut bytes = std::mem::take(&mut self.bytes);
        seal(&mut bytes);
        Some(Block { last: self.last, bytes })
    }
}

/// Why a block says nothing: it is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damaged;

/// Returns the postings of a key in a block, or `None` if it has no run of that key.
pub(super) fn find(block: &[u8], key: i64) -> Result<Option<Vec<Posting>>, Damaged> {
    let mut rest = unseal(block).ok_or(Damaged)?;
    while !rest.is_empty() {
        let (own, postings, next) = split(rest).ok_or(Damaged)?;
        match own.cmp(&key) {
            Ordering::Less => rest = next,
            Ordering::Equal => return Ok(Some(Posting::read_all(postings))),
            Ordering::Greater => break,
        }
    }
    Ok(None)
}

/// Splits off the first run: its key, its postings, and what comes behind it.
fn split(runs: &[u8]) -> Option<(i64, &[u8], &[u8])> {
    let (key, rest) = runs.split_first_chunk()?;
    let (count, rest) = rest.split_first()?;
    let (postings, rest) = rest.split_at_checked(usize::from(*count) * POSTING_BYTES)?;
    Some((i64::from_be_bytes(*key), postings, rest))
}

/// Returns all runs of a block.
#[cfg(test)]
pub(super) fn unpack(block: &[u8]) -> Option<Vec<(i64, Vec<Posting>)>> {
    let (mut runs, mut rest) = (Vec::new(), unseal(block)?);
    while !rest.is_empty() {
        let (key, postings, next) = split(rest)?;
        runs.push((key, Posting::read_all(postings)));
        rest = next;
    }
    Some(runs)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn any_runs() -> impl Strategy<Value = BTreeMap<i64, Vec<Posting>>> {
        let posting = (any::<u64>(), any::<u64>(), any::<u16>())
            .prop_map(|(created_at, id, offset)| Posting { created_at, id, offset });
        let key = prop_oneof![-20_i64..20, any::<i64>()];
        prop::collection::btree_map(key, prop::collection::vec(posting, 1..=SHORT_MAX), 0..60)
    }

    fn blocks(runs: &BTreeMap<i64, Vec<Posting>>) -> Vec<Block> {
        let mut packer = Packer::default();
        let mut blocks: Vec<Block> =
            runs.iter().filter_map(|(key, postings)| packer.add(*key, postings)).collect();
        blocks.extend(packer.finish());
        blocks
    }

    proptest! {
        #[test]
        fn what_is_packed_is_found_in_the_first_block_that_ends_there_or_later(
            runs in any_runs(),
            other: i64,
            flip in any::<prop::sample::Index>(),
        ) {
            let blocks = blocks(&runs);
            prop_assert!(blocks.is_sorted_by(|one, other| one.last < other.last));
            prop_assert!(blocks.iter().all(|it| it.bytes.len() <= BLOCK_BYTES_MAX + 4));
            for key in runs.keys().chain([&other]) {
                let block = blocks.iter().find(|it| it.last >= *key);
                let found = block.and_then(|it| find(&it.bytes, *key).unwrap());
                prop_assert_eq!(found.as_ref(), runs.get(key));
            }
            if let Some(first) = blocks.first() {
                let mut damaged = first.bytes.clone();
                damaged[flip.index(first.bytes.len())] ^= 1;
                prop_assert_eq!(find(&damaged, first.last), Err(Damaged));
                prop_assert_eq!(find(&first.bytes[1..], first.last), Err(Damaged));
            }
        }
    }
}
