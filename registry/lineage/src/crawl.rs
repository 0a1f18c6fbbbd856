//! The crawl: which events a card is about.
//!
//! - Breadth first, children before parents. Each event is queued once, so cycles end and memory is bounded.
//! - The order of neighbours comes from the events or from the card's seed, never from arrival.
//! - What others say of an event (that it was verified, approved, revoked) names it as parent, so it lies below it. A
//!   crawl that goes up sees such statements if the card asks for them: they are visited, and nothing is followed from
//!   them, so nobody draws anything else in by saying something.

use std::collections::{BTreeMap, VecDeque};

use base::digest::Sha256;

use crate::{
    flaw::{Code, Flaw},
    gas::{self, Meter},
    graph::{Graph, Node},
    item::{Direction, EventFilter, Item, Query, Start},
};

/// The kind of a vote.
const VOTE: u32 = 30302;

/// Why a crawl ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It came to the event that ends it.
    End,
    /// Nothing was left.
    Exhausted,
    /// It visited as many events as it may.
    Limit,
}

impl Stop {
    /// Returns the word that an UPDATE has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::End => "e",
            Self::Exhausted => "exhausted",
            Self::Limit => "limit",
        }
    }
}

impl serde::Serialize for Stop {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What a crawl found.
#[derive(Clone, Debug)]
pub(crate) struct Crawled {
    /// The events, in the order in which they were visited.
    pub(crate) visited: Vec<Node>,
    pub(crate) stop: Stop,
    /// How many ids were named whose event is not visible.
    pub(crate) missing: u64,
}

/// Crawls from the start of a card over the events that are visible at a sequence.
pub(crate) fn crawl(
    graph: &Graph,
    item: &Item,
    at: u64,
    nodes_max: u64,
    meter: &mut Meter,
) -> Result<Crawled, Flaw> {
    let mut walk = Walk::new(graph, item, at);
    walk.start(meter)?;
    let (mut visited, mut missing) = (Vec::new(), 0);
    while let Some((node, role)) = walk.queue.pop_front() {
        if visited.len() as u64 >= nodes_max {
            return Ok(Crawled { visited, stop: Stop::Limit, missing });
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
            return Ok(Crawled { visited, stop: Stop::End, missing });
        }
    }
    Ok(Crawled { visited, stop: Stop::Exhausted, missing })
}

/// Which event may be visited, as numbers of the graph.
struct Allowed {
    kinds: Option<Vec<u32>>,
    authors: Option<Vec<u32>>,
}

impl Allowed {
    fn of(filter: &EventFilter, graph: &Graph) -> Self {
        let authors = filter.authors.as_ref();
        Self {
            kinds: filter.kinds.as_ref().map(|it| it.iter().copied().collect()),
            authors: authors.map(|it| it.iter().filter_map(|pubkey| graph.find_author(pubkey)).collect()),
        }
    }

    fn holds(&self, graph: &Graph, node: Node) -> bool {
        let kind = self.kinds.as_ref().is_none_or(|it| it.contains(&graph.kind(node)));
        kind && self.authors.as_ref().is_none_or(|it| it.contains(&graph.author(node)))
    }
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
    fn new(graph: &'g Graph, item: &'g Item, at: u64) -> Self {
        let twice = item.control.statements.as_ref().map_or(0, |_| graph.node_count());
        Self {
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
            starts: 0,
            children: Vec::new(),
        }
    }

    fn start(&mut self, meter: &mut Meter) -> Result<(), Flaw> {
        match &self.item.start {
            Start::Event(id) => {
                let node = self.graph.find(id).filter(|it| self.graph.is_visible(*it, self.at));
                let node = node.ok_or_else(|| {
                    Flaw::new(Code::EStart, "/s", format!("no event {id:?} is visible at {}", self.at))
                })?;
                self.enqueue(node);
            }
            Start::Query(query) => {
                let found = find(self.graph, query, self.at);
                meter.charge(gas::EDGE.saturating_mul(found.len() as u64))?;
                for node in found {
                    self.enqueue(node);
                }
                if self.queue.is_empty() {
                    let text = format!("the query finds no event that is visible at {}", self.at);
                    return Err(Flaw::new(Code::EStart, "/q", text));
                }
            }
        }
        self.starts = self.queue.len();
        Ok(())
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

/// Finds the events of a query, by time and id.
pub(crate) fn find(graph: &Graph, query: &Query, at: u64) -> Vec<Node> {
    let allowed = Allowed::of(&query.filter, graph);
    let has_tags = |node: Node| {
        let (tags, _) = graph.fields(node);
        query.tags.iter().all(|(name, wanted)| {
            let mut found = false;
            if let Some(value) = graph.keys().get(name).and_then(|key| tags.field(key)) {
                value.flatten(&mut |it| found |= it.into_text().is_some_and(|text| text == wanted.as_str()));
            }
            found
        })
    };
    let mut nodes: Vec<Node> =
        graph.visible(at).filter(|it| allowed.holds(graph, *it) && has_tags(*it)).collect();
    nodes.sort_unstable_by(|left, right| graph.compare(*left, *right));
    nodes
}

/// A set of nodes.
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    pub(crate) fn new(nodes: usize) -> Self {
        Self(vec![0; nodes.div_ceil(64)])
    }

    /// Puts a node in. Returns false if it was in.
    pub(crate) fn insert(&mut self, node: Node) -> bool {
        let (word, bit) = (&mut self.0[node as usize / 64], 1 << (node % 64));
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Lists what is in, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Node> {
        let words = (0_u32..).step_by(64).zip(&self.0);
        words.flat_map(|(first, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros())?;
                left &= left - 1;
                Some(first + bit)
            })
        })
    }
}
