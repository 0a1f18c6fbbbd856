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

impl Children {
    /// Builds the rows. `edges` are pairs of parent and child.
    pub(super) fn of(nodes: usize, edges: impl Iterator<Item = (Node, Node)> + Clone) -> Self {
        let mut ends = vec![0_u32; nodes];
        edges.clone().for_each(|(parent, _)| ends[parent as usize] += 1);
        let mut total = 0;
        for end in &mut ends {
            // Each row starts where the one before ends; filling it moves its mark to its own end.
            let length = std::mem::replace(end, total);
            total += length;
        }
        let mut rows = vec![0; total as usize];
        for (parent, child) in edges {
            let end = &mut ends[parent as usize];
            rows[*end as usize] = child;
            *end += 1;
        }
        Self { ends, edges: rows, waiting: Waiting::default() }
    }

    /// Brings every row into an order.
    pub(super) fn sort_rows(&mut self, compare: impl Fn(&Node, &Node) -> Ordering) {
        let mut start = 0;
        for end in &self.ends {
            self.edges[start..*end as usize].sort_unstable_by(&compare);
            start = *end as usize;
        }
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
