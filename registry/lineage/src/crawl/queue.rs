//! The queue of a crawl: what comes next, and how the crawl came to it. Every card can be crawled for this way.

use std::collections::{BTreeMap, VecDeque};

use base::digest::Sha256;

use super::{Allowed, Crawled, Stop};
use crate::{
    bits::Bits,
    flaw::Flaw,
    gas::{self, Meter},
    graph::{Graph, Node},
    item::{Direction, Item},
};

/// The kind of a vote.
const VOTE: u32 = 30302;

/// Crawls from some events as a card says.
pub(super) fn follow(
    graph: &Graph,
    item: &Item,
    at: u64,
    starts: &[Node],
    nodes_max: u64,
    meter: &mut Meter,
) -> Result<Crawled<Vec<Node>>, Flaw> {
    let mut walk = Walk::new(graph, item, at, starts);
    let (mut visited, mut missing) = (Vec::new(), 0);
    let stop = loop {
        let Some((node, role)) = walk.queue.pop_front() else { break Stop::Exhausted };
        if visited.len() as u64 >= nodes_max {
            break Stop::Limit;
        }
        if !graph.is_visible(node, at) {
            missing += 1;
            continue;
        }
        if role == Role::Link && !walk.allows(node) {
            continue;
        }
        if walk.visit(node) {
            meter.charge(gas::VISIT)?;
            visited.push(node);
        }
        if role == Role::Link {
            walk.queue_neighbours(node, meter)?;
        }
        if walk.end == Some(node) {
            break Stop::End;
        }
    };
    Ok(Crawled { visits: visited, stop, missing })
}

/// How a crawl came to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Along a link, or as a start: the crawl goes on from it.
    Link,
    /// As a statement about another: it ends here, unless a link leads here too.
    Statement,
}

struct Walk<'g> {
    graph: &'g Graph,
    item: &'g Item,
    at: u64,
    end: Option<Node>,
    allowed: Option<Allowed>,
    statements: Option<Allowed>,
    queue: VecDeque<(Node, Role)>,
    queued: Bits,
    /// What was queued as a statement, and what was visited: only kept where there are statements, since without them
    /// nothing is queued twice.
    stated: Bits,
    visited: Bits,
    /// How many of the first nodes in the queue were named by the card, which its filter does not touch.
    starts: usize,
    children: Vec<Node>,
}

impl<'g> Walk<'g> {
    fn new(graph: &'g Graph, item: &'g Item, at: u64, starts: &[Node]) -> Self {
        let twice = item.control.statements.as_ref().map_or(0, |_| graph.node_count());
        let mut walk = Self {
            graph,
            item,
            at,
            end: item.end.as_deref().and_then(|id| graph.find(id)),
            allowed: item.control.filter.as_ref().map(|it| Allowed::of(it, graph)),
            statements: item.control.statements.as_ref().map(|it| Allowed::of(it, graph)),
            queue: VecDeque::new(),
            queued: Bits::new(graph.node_count()),
            stated: Bits::new(twice),
            visited: Bits::new(twice),
            starts: starts.len(),
            children: Vec::new(),
        };
        for start in starts {
            walk.enqueue(*start);
        }
        walk
    }

    /// Says whether an event from the queue may be visited.
    fn allows(&mut self, node: Node) -> bool {
        if self.starts > 0 {
            self.starts -= 1;
            return true;
        }
        self.allowed.as_ref().is_none_or(|it| it.holds(self.graph, node))
    }

    /// Notes that an event is visited. Returns false if it was already.
    fn visit(&mut self, node: Node) -> bool {
        self.statements.is_none() || self.visited.insert(node)
    }

    fn queue_neighbours(&mut self, node: Node, meter: &mut Meter) -> Result<(), Flaw> {
        let direction = self.item.control.direction;
        if self.statements.is_some() {
            self.queue_statements(node, meter)?;
        }
        if direction != Direction::Up {
            let mut children = std::mem::take(&mut self.children);
            self.graph.children_into(node, self.at, &mut children);
            self.queue_all(&mut children, meter)?;
            self.children = children;
        }
        if direction != Direction::Down {
            let graph = self.graph;
            match &self.item.job.seed {
                None => {
                    for parent in graph.parents(node) {
                        meter.charge(gas::EDGE)?;
                        self.enqueue(*parent);
                    }
                }
                Some(_) => self.queue_all(&mut graph.parents(node).to_vec(), meter)?,
            }
        }
        Ok(())
    }

    /// Queues what is said of an event. Whoever votes again takes the earlier vote back.
    fn queue_statements(&mut self, node: Node, meter: &mut Meter) -> Result<(), Flaw> {
        let graph = self.graph;
        let mut children = std::mem::take(&mut self.children);
        graph.children_into(node, self.at, &mut children);
        // All of them are looked at, so all are paid for.
        meter.charge(gas::EDGE.saturating_mul(children.len() as u64))?;
        children.retain(|it| self.statements.as_ref().is_some_and(|wanted| wanted.holds(graph, *it)));
        let mut last = BTreeMap::new();
        for vote in children.iter().filter(|it| graph.kind(**it) == VOTE) {
            let place = last.entry(graph.author(*vote)).or_insert(0);
            *place = graph.seq(*vote).max(*place);
        }
        // In the ledger's order: the date is what the voter says.
        let counts = |vote: Node| last.get(&graph.author(vote)) == Some(&graph.seq(vote));
        children.retain(|it| graph.kind(*it) != VOTE || counts(*it));
        if let Some(seed) = &self.item.job.seed {
            children.sort_by_cached_key(|node| seeded(seed, &graph.id(*node)));
        }
        for child in &children {
            if self.stated.insert(*child) {
                self.queue.push_back((*child, Role::Statement));
            }
        }
        self.children = children;
        Ok(())
    }

    fn queue_all(&mut self, nodes: &mut [Node], meter: &mut Meter) -> Result<(), Flaw> {
        // Paid for before it is sorted: a wide fan-in that the gas does not reach costs nothing.
        meter.charge(gas::EDGE.saturating_mul(nodes.len() as u64))?;
        if let Some(seed) = &self.item.job.seed {
            nodes.sort_by_cached_key(|node| seeded(seed, &self.graph.id(*node)));
        }
        for node in nodes {
            self.enqueue(*node);
        }
        Ok(())
    }

    fn enqueue(&mut self, node: Node) {
        if self.queued.insert(node) {
            self.queue.push_back((node, Role::Link));
        }
    }
}

/// Returns an event's place in an order that the seed draws.
fn seeded(seed: &str, id: &str) -> [u8; 32] {
    *Sha256::of(format!("hallmark/seed/1\n{seed}\n{id}").as_bytes()).as_bytes()
}
