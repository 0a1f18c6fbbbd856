//! The crawl that goes down and asks for nothing else, in order: what it queues is what it visits.
//!
//! The links of a graph lie all over memory, and waiting for one after the other is what such a crawl does most of
//! the time. So the rows of the next nodes in the queue are looked up before the first of them is visited: the memory
//! answers them all at once. That changes when something is read, and nothing else.

use super::{Crawled, Stop};
use crate::{
    bits::Bits,
    flaw::Flaw,
    gas::{self, Meter},
    graph::{Graph, Node, children::Span},
};

/// How many nodes are looked up at once.
const AHEAD: usize = 64;

/// Crawls down from visible events, with no filter, no seed and no statements.
pub(super) fn descend(
    graph: &Graph,
    at: u64,
    starts: &[Node],
    end: Option<Node>,
    nodes_max: u64,
    meter: &mut Meter,
) -> Result<Crawled<Vec<Node>>, Flaw> {
    let nodes_max = usize::try_from(nodes_max).unwrap_or(usize::MAX);
    let mut seen = Bits::new(graph.node_count());
    // What is visited, and after `visited` of them what is queued.
    let mut list: Vec<Node> = starts.iter().copied().filter(|it| seen.insert(*it)).collect();
    let mut children = Vec::new();
    let mut visited = 0;
    let is_plain = graph.sees_all(at) && graph.rows().is_sealed();
    let mut spans = [Span::default(); AHEAD];
    let stop = loop {
        if visited == list.len() {
            break Stop::Exhausted;
        }
        if visited >= nodes_max {
            break Stop::Limit;
        }
        let ahead = AHEAD.min(list.len() - visited).min(nodes_max - visited);
        graph.rows().look_up(&list[visited..visited + ahead], &mut spans);
        for span in &spans[..ahead] {
            let node = list[visited];
            visited += 1;
            meter.charge(gas::VISIT)?;
            let row = if is_plain {
                graph.rows().row(*span)
            } else {
                graph.children_into(node, at, &mut children);
                &children
            };
            meter.charge(gas::EDGE.saturating_mul(row.len() as u64))?;
            list.extend(row.iter().filter(|it| seen.insert(**it)));
            if end == Some(node) {
                list.truncate(visited);
                return Ok(Crawled { visits: list, stop: Stop::End, missing: 0 });
            }
        }
    };
    list.truncate(visited);
    Ok(Crawled { visits: list, stop, missing: 0 })
}
