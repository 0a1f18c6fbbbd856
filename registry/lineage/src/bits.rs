//! A set of nodes: one bit each, so that a million of them fit into a processor's cache.

use crate::graph::Node;

/// A set of nodes of one graph.
#[derive(Clone, Debug)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    /// Makes an empty set of nodes below `nodes`. There is always room for one more, which is never put in.
    pub(crate) fn new(nodes: usize) -> Self {
        Self(vec![0; nodes / 64 + 1])
    }

    /// Makes a set of some nodes.
    pub(crate) fn of(nodes: usize, wanted: &[Node]) -> Self {
        let mut set = Self::new(nodes);
        for node in wanted {
            set.insert(*node);
        }
        set
    }

    /// Puts a node in. Returns false if it was in.
    pub(crate) fn insert(&mut self, node: Node) -> bool {
        let (word, bit) = (&mut self.0[node as usize / 64], 1 << (node % 64));
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Puts a node in if a condition holds, without a branch on it.
    pub(crate) fn insert_if(&mut self, node: Node, condition: bool) {
        self.0[node as usize / 64] |= u64::from(condition) << (node % 64);
    }

    /// Returns 1 for a node that is in, 0 for one that is not, and 0 for a number that is no node, without a branch.
    pub(crate) fn bit(&self, node: Node) -> u64 {
        // The last bit belongs to no node.
        let index = (node as usize).min(self.0.len() * 64 - 1);
        self.0[index / 64] >> (index % 64) & 1
    }

    pub(crate) fn holds(&self, node: Node) -> bool {
        self.bit(node) == 1
    }

    /// Returns how many are in.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(|it| it.count_ones() as usize).sum()
    }

    /// Returns the set in words of 64 nodes.
    pub(crate) fn words(&self) -> &[u64] {
        &self.0
    }

    /// Lists what is in, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Node> {
        let words = (0_u32..).step_by(64).zip(&self.0);
        words.flat_map(|(first, word)| ones(*word).map(move |it| first + it))
    }
}

/// Lists the places of the bits of a word that are set.
pub(crate) fn ones(mut word: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros())?;
        word &= word - 1;
        Some(bit)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_holds_what_was_put_in(nodes in 1_u32..200, wanted in prop::collection::vec(any::<prop::sample::Index>(), 0..50)) {
            let wanted: Vec<Node> = wanted.iter().map(|it| u32::try_from(it.index(nodes as usize)).unwrap()).collect();
            let (mut bits, mut plain) = (Bits::new(nodes as usize), BTreeSet::new());
            for node in &wanted {
                prop_assert_eq!(bits.insert(*node), plain.insert(*node));
                bits.insert_if(*node, true);
                bits.insert_if(node / 2, plain.contains(&(node / 2)));
            }
            prop_assert_eq!(bits.iter().collect::<Vec<_>>(), plain.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(bits.count(), plain.len());
            prop_assert_eq!(Bits::of(nodes as usize, &wanted).words().len(), nodes as usize / 64 + 1);
            for node in (0..nodes + 130).chain([u32::MAX]) {
                prop_assert_eq!(bits.holds(node), plain.contains(&node));
            }
        }
    }
}
