//! Whom each node names as parent: up to two stand in the node's own place, longer lists apart.
//!
//! Nearly all events have no more than two parents, so whoever goes through all nodes in order reads memory in order.

use super::Node;
use crate::bits::Bits;

/// No parent in this place. It is the number of no node.
const NONE: Node = u32::MAX;
/// In the second place: the first is where a list begins in `lists`, the rest of this is how long it is.
const LISTED: u32 = 1 << 31;

/// The parent links of a graph.
#[derive(Debug, Default)]
pub(crate) struct Parents {
    places: Vec<[u32; 2]>,
    lists: Vec<Node>,
    /// The nodes of which a parent does not have a smaller number: it was named before it came, or is the node itself.
    backward: Vec<Node>,
}

impl Parents {
    /// How many nodes there may be, and how many parents in lists.
    const ROOM: usize = LISTED as usize - 1;

    /// Makes room for one more node, without parents.
    pub(super) fn grow(&mut self) {
        self.places.push([NONE; 2]);
    }

    /// Says whether a node and so many parents of it fit in.
    pub(super) fn fits(&self, node: Node, parents: usize) -> bool {
        (node as usize) < Self::ROOM && parents < Self::ROOM - self.lists.len()
    }

    /// Notes the parents of a node, which [`Parents::fits`] allowed.
    pub(super) fn set(&mut self, node: Node, parents: &[Node]) {
        self.places[node as usize] = match parents {
            [] => [NONE; 2],
            [only] => [*only, NONE],
            [first, second] => [*first, *second],
            more => {
                let [start, length] = [self.lists.len(), more.len()].map(|it| u32::try_from(it).unwrap_or(0));
                self.lists.extend_from_slice(more);
                [start, length | LISTED]
            }
        };
        if parents.iter().any(|it| *it >= node) {
            self.backward.push(node);
        }
    }

    /// Returns the parents of a node, in the order in which it names them.
    pub(crate) fn of_node(&self, node: Node) -> &[Node] {
        match &self.places[node as usize] {
            [NONE, _] => &[],
            [start, length] if is_listed(*length) => {
                &self.lists[*start as usize..][..(*length & !LISTED) as usize]
            }
            place => &place[..if place[1] == NONE { 1 } else { 2 }],
        }
    }

    /// Returns how many parents of a node are in a set. There is no branch on them, which nobody could foretell.
    #[inline]
    pub(crate) fn count_in(&self, node: Node, set: &Bits) -> u64 {
        let [first, second] = self.places[node as usize];
        if is_listed(second) {
            return self.of_node(node).iter().map(|it| set.bit(*it)).sum();
        }
        set.bit(first) + set.bit(second)
    }

    /// Lists the nodes that a walk through all of them comes to before it came to each of their parents.
    pub(crate) fn backward(&self) -> &[Node] {
        &self.backward
    }

    pub(super) fn shrink(&mut self) {
        self.places.shrink_to_fit();
        self.lists.shrink_to_fit();
        self.backward.shrink_to_fit();
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.places.capacity() * 8 + (self.lists.capacity() + self.backward.capacity()) * 4
    }
}

fn is_listed(second: u32) -> bool {
    second != NONE && second & LISTED != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parents_come_back_as_they_were_named(rows in prop::collection::vec(prop::collection::vec(0_u32..40, 0..5), 1..40), marked: u64) {
            let mut parents = Parents::default();
            let mut set = Bits::new(64);
            (0..64).for_each(|it| set.insert_if(it, marked >> it & 1 == 1));
            for _ in &rows {
                parents.grow();
            }
            for (node, row) in (0..).zip(&rows) {
                prop_assert!(parents.fits(node, row.len()));
                parents.set(node, row);
            }
            for (node, row) in (0..).zip(&rows) {
                prop_assert_eq!(parents.of_node(node), row.as_slice());
                prop_assert_eq!(parents.count_in(node, &set), row.iter().filter(|it| set.holds(**it)).count() as u64);
                prop_assert_eq!(parents.backward().contains(&node), row.iter().any(|it| *it >= node));
            }
        }
    }
}
