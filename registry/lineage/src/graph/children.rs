//! Who names a node as parent: compact rows for what was sealed, a small set for what came since.

use std::cmp::Ordering;

use super::{ABSENT, Node};

/// How many edges may wait, and what share of all, before the rows are built anew.
const WAITING_MIN: usize = 4096;
const WAITING_SHARE: usize = 4;

/// Where a row stands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

/// The reverse of the parent links.
#[derive(Debug, Default)]
pub(crate) struct Children {
    /// Where the row of each node ends.
    ends: Vec<u32>,
    edges: Vec<Node>,
    waiting: Waiting,
}

/// Edges that came since the rows were built.
#[derive(Debug, Default)]
struct Waiting {
    /// The place of the last edge of each parent.
    last: Vec<u32>,
    /// A child, and the place of the edge before it that has the same parent.
    edges: Vec<(Node, u32)>,
}

impl Waiting {
    fn add(&mut self, parent: Node, child: Node) {
        let index = parent as usize;
        if index >= self.last.len() {
            self.last.resize(index + 1, ABSENT);
        }
        // Rows are built anew long before there are so many.
        let place = u32::try_from(self.edges.len()).unwrap_or(ABSENT);
        let before = std::mem::replace(&mut self.last[index], place);
        self.edges.push((child, before));
    }

    fn of(&self, parent: Node) -> impl Iterator<Item = Node> {
        let edge = |place: u32| self.edges.get(place as usize).copied();
        let last = self.last.get(parent as usize).copied();
        std::iter::successors(last.and_then(edge), move |it| edge(it.1)).map(|it| it.0)
    }

    fn memory_bytes(&self) -> usize {
        self.edges.capacity() * size_of::<(Node, u32)>() + self.last.capacity() * size_of::<u32>()
    }
}

/// Returns a place among the edges. So many that it does not fit take more than 48 GiB.
fn place(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(ABSENT)
}

impl Children {
    /// Puts the edges that wait into the rows, each of which is in an order.
    pub(super) fn seal(&mut self, nodes: usize, compare: impl Fn(&Node, &Node) -> Ordering) {
        let old = std::mem::take(self);
        let mut ends: Vec<u32> = Vec::with_capacity(nodes);
        let mut edges = Vec::with_capacity(old.edges.len() + old.waiting.edges.len());
        let (mut taken, mut moved) = (0, 0);
        for (node, number) in (0..nodes).zip(0..) {
            let until = old.ends.get(node).copied().unwrap_or(place(old.edges.len()));
            if old.waiting.last.get(node).is_none_or(|it| *it == ABSENT) {
                ends.push(until + moved);
                continue;
            }
            // The rows before it had no news: they are taken over together with what there was of its own.
            let start = ends.last().map_or(0, |it| *it as usize);
            edges.extend_from_slice(&old.edges[taken..until as usize]);
            let sealed = edges.len();
            edges.extend(old.waiting.of(number));
            // Those that wait are told from the last on. Two parts that are in order are merged by a stable sort.
            edges[sealed..].reverse();
            edges[start..].sort_by(&compare);
            (taken, moved) = (until as usize, moved + place(edges.len() - sealed));
            ends.push(place(edges.len()));
        }
        edges.extend_from_slice(&old.edges[taken..]);
        *self = Self { ends, edges, waiting: Waiting::default() };
    }

    /// Looks at memory where children of some nodes are about to be added.
    pub(super) fn touch(&self, nodes: &[Node]) {
        let last = |node: &Node| self.waiting.last.get(*node as usize).copied().unwrap_or_default();
        std::hint::black_box(nodes.iter().map(last).fold(0, |sum, it| sum ^ it));
    }

    pub(super) fn add(&mut self, parent: Node, child: Node) {
        self.waiting.add(parent, child);
    }

    /// Says whether so many edges wait that building the rows anew costs little for each.
    pub(super) fn wants_sealing(&self) -> bool {
        self.waiting.edges.len() > WAITING_MIN.max(self.edges.len() / WAITING_SHARE)
    }

    /// Says whether no edge waits: all children of a node stand in its row.
    pub(crate) fn is_sealed(&self) -> bool {
        self.waiting.edges.is_empty()
    }

    /// Looks up where the rows of some nodes stand, and touches each, so that all of memory's answers come at once.
    pub(crate) fn look_up(&self, nodes: &[Node], spans: &mut [Span]) {
        for (span, node) in spans.iter_mut().zip(nodes) {
            *span = self.span(*node);
        }
        let first = |span: &Span| self.edges.get(span.start as usize).copied().unwrap_or_default();
        // A sum that nobody wants would not be made.
        std::hint::black_box(spans.iter().take(nodes.len()).map(first).fold(0, |sum, it| sum ^ it));
    }

    /// Returns the row that stands at a place.
    pub(crate) fn row(&self, span: Span) -> &[Node] {
        &self.edges[span.start as usize..span.end as usize]
    }

    /// Returns where the row of a node stands; a node that came since has an empty one.
    fn span(&self, node: Node) -> Span {
        let index = node as usize;
        let before = index.checked_sub(1).and_then(|it| self.ends.get(it)).copied().unwrap_or(0);
        let end = self.ends.get(index).copied().unwrap_or(before);
        Span { start: before.min(end), end }
    }

    /// Returns the sealed children of a node.
    pub(super) fn sealed(&self, node: Node) -> &[Node] {
        self.row(self.span(node))
    }

    /// Lists the children of a node that came since, in no order that means anything.
    pub(super) fn waiting(&self, node: Node) -> impl Iterator<Item = Node> {
        self.waiting.of(node)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        (self.ends.capacity() + self.edges.capacity()) * 4 + self.waiting.memory_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_are_those_of_a_plain_list_whenever_they_are_sealed(
            steps in prop::collection::vec((0_u32..12, 0_u32..60, prop::bool::weighted(0.2)), 0..80),
        ) {
            // Any order that is not that of the numbers.
            let order = |node: &Node| (node % 7, *node);
            let (mut children, mut edges, mut nodes) = (Children::default(), Vec::new(), 0);
            for (parent, child, is_sealed) in steps {
                nodes = nodes.max(parent as usize + 1);
                if !edges.contains(&(parent, child)) {
                    children.add(parent, child);
                    edges.push((parent, child));
                }
                if is_sealed {
                    children.seal(nodes, |left, right| order(left).cmp(&order(right)));
                    prop_assert!(children.is_sealed());
                }
                for node in 0..13 {
                    let mut row: Vec<Node> = edges.iter().filter(|it| it.0 == node).map(|it| it.1).collect();
                    let sealed = children.sealed(node).to_vec();
                    prop_assert!(sealed.is_sorted_by_key(order));
                    let mut found: Vec<Node> = sealed.into_iter().chain(children.waiting(node)).collect();
                    row.sort_by_key(order);
                    found.sort_by_key(order);
                    prop_assert_eq!(found, row);
                }
            }
        }
    }
}
