//! What was computed not long ago: the same few authors, kinds and subspaces come again and again, and to look at their
//! bytes costs a fraction of a digest.
//!
//! What is asked for is the same whether it stands here or not.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;

/// How many values are at hand, and how long the bytes may be that they follow from. More would seldom be in the
/// processor's own memory, and to wait for them takes as long as to compute them.
const SLOTS: usize = if cfg!(test) { 4 } else { 128 };
const BYTES_MAX: usize = 80;

/// Values that follow from short bytes.
pub(crate) struct Lately<V> {
    slots: Vec<Option<Slot<V>>>,
    hasher: RandomState,
}

#[derive(Clone)]
struct Slot<V> {
    bytes: [u8; BYTES_MAX],
    length: usize,
    value: V,
}

impl<V> Default for Lately<V> {
    fn default() -> Self {
        Self { slots: Vec::new(), hasher: RandomState::default() }
    }
}

impl<V: Copy> Lately<V> {
    /// Returns what `compute` makes of some bytes.
    pub(crate) fn get(&mut self, bytes: &[u8], compute: impl FnOnce() -> V) -> V {
        if bytes.len() > BYTES_MAX {
            return compute();
        }
        // Most threads never ask.
        self.slots.resize(SLOTS, None);
        let place = usize::try_from(self.hasher.hash_one(bytes) % SLOTS as u64).unwrap_or_default();
        let slot = &mut self.slots[place];
        match slot {
            Some(known) if known.bytes[..known.length] == *bytes => known.value,
            _ => {
                let mut kept = [0; BYTES_MAX];
                kept[..bytes.len()].copy_from_slice(bytes);
                slot.insert(Slot { bytes: kept, length: bytes.len(), value: compute() }).value
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use base::Sha256;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_value_is_the_same_whatever_came_before(asked in prop::collection::vec("[ab]{0,3}|a{79,82}", 1..60)) {
            let mut lately = Lately::default();
            for text in asked {
                let value = || Sha256::of(text.as_bytes());
                prop_assert_eq!(lately.get(text.as_bytes(), value), value());
            }
        }
    }
}
