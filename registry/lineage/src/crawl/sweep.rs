//! All that lies below some events, as a set: one pass over the nodes, in order.
//!
//! A node is numbered when it is first seen, which is before its children for all but a few. So whoever goes through
//! the nodes in order and marks those that have a marked parent has marked all that lies below; memory is read from
//! front to back, which is many times as fast as following links. What the few are below is found by following links.
//!
//! The set is that of a crawl that nothing cuts short, and so is what it costs; only the order is unknown.

use super::Allowed;
use crate::{
    bits::Bits,
    graph::{Graph, Node},
};

/// What lies below.
pub(super) struct Swept {
    /// The events, with those it began at.
    pub(super) set: Bits,
    /// How many pairs of an event in the set and a visible child there are: what a crawl looks at and pays for.
    pub(super) edges: u64,
}

/// Finds what is visible and lies below some events, which are visible too. The filter does not touch those.
pub(super) fn sweep(graph: &Graph, at: u64, starts: &[Node], allowed: Option<&Allowed>) -> Swept {
    let mut set = Bits::of(graph.node_count(), starts);
    let first = starts.iter().min().copied().unwrap_or(0);
    let allows = |node: Node| allowed.is_none_or(|it| it.holds(graph, node));
    let nodes = first..graph.nodes_end();
    let mut edges = if allowed.is_none() && graph.sees_all(at) {
        // A node without event has no parents, so it is never marked.
        mark(graph, &mut set, nodes, |_| true, |_| true)
    } else {
        mark(graph, &mut set, nodes, |it| graph.is_visible(it, at), allows)
    };
    if !graph.parent_links().backward().is_empty() {
        follow_backward(graph, &mut set, at, allows);
        let all = (0..graph.nodes_end()).filter(|it| graph.is_visible(*it, at));
        edges = all.map(|it| graph.parent_links().count_in(it, &set)).sum();
    }
    Swept { set, edges }
}

/// Marks each node that has a marked parent. Returns how many marked parents were found.
fn mark(
    graph: &Graph,
    set: &mut Bits,
    nodes: std::ops::Range<Node>,
    sees: impl Fn(Node) -> bool,
    allows: impl Fn(Node) -> bool,
) -> u64 {
    let parents = graph.parent_links();
    let mut edges = 0;
    for node in nodes {
        if !sees(node) {
            continue;
        }
        let found = parents.count_in(node, set);
        edges += found;
        set.insert_if(node, found > 0 && allows(node));
    }
    edges
}

/// Marks what lies below the nodes that came before one of their parents.
fn follow_backward(graph: &Graph, set: &mut Bits, at: u64, allows: impl Fn(Node) -> bool) {
    let parents = graph.parent_links();
    let is_below = |node: Node, set: &Bits| parents.count_in(node, set) > 0 && graph.is_visible(node, at);
    let (mut next, mut children) = (Vec::new(), Vec::new());
    for node in parents.backward() {
        if !set.holds(*node) && is_below(*node, set) && allows(*node) {
            set.insert(*node);
            next.push(*node);
        }
        while let Some(node) = next.pop() {
            graph.children_into(node, at, &mut children);
            next.extend(children.iter().filter(|it| allows(**it) && set.insert(**it)));
        }
    }
}
