//! The crawl: which events a card is about.
//!
//! - Breadth first, children before parents. Each event is queued once, so cycles end and memory is bounded.
//! - The order of neighbours comes from the events or from the card's seed, never from arrival.
//! - What others say of an event (that it was verified, approved, revoked) names it as parent, so it lies below it. A
//!   crawl that goes up sees such statements if the card asks for them: they are visited, and nothing is followed from
//!   them, so nobody draws anything else in by saying something.

mod allowed;
mod descent;
mod queue;
mod sweep;

use allowed::Allowed;
pub(crate) use allowed::find;

use crate::{
    bits::Bits,
    flaw::{Code, Flaw},
    gas::{self, Meter},
    graph::{Graph, Node},
    item::{Direction, Item, Start},
};

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
pub(crate) struct Crawled<V> {
    /// The events that were visited.
    pub(crate) visits: V,
    pub(crate) stop: Stop,
    /// How many ids were named whose event is not visible.
    pub(crate) missing: u64,
}

impl Crawled<Vec<Node>> {
    /// Keeps the order for whoever asks for it later.
    pub(crate) fn kept(self) -> Crawled<Visits> {
        Crawled { visits: Visits::InOrder(self.visits), stop: self.stop, missing: self.missing }
    }
}

/// The events that were visited, in order if it was needed to find them.
#[derive(Clone, Debug)]
pub(crate) enum Visits {
    /// One after the other.
    InOrder(Vec<Node>),
    /// As a set, by a crawl whose order nobody asked for.
    Set(Bits),
}

impl Visits {
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::InOrder(list) => list.len(),
            Self::Set(set) => set.count(),
        }
    }
}

/// What bounds a crawl.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The last sequence that is visible.
    pub(crate) at: u64,
    /// The most events to visit.
    pub(crate) nodes_max: u64,
}

/// Crawls from the start of a card over the events that are visible, in the order that the protocol sets.
pub(crate) fn crawl(
    graph: &Graph,
    item: &Item,
    bounds: Bounds,
    meter: &mut Meter,
) -> Result<Crawled<Vec<Node>>, Flaw> {
    let starts = starts(graph, item, bounds.at, meter)?;
    in_order(graph, item, bounds, &starts, meter)
}

/// Crawls likewise, for whoever can do without the order. All else is the same: which events, why it ended, what it
/// cost, and with which error it failed.
pub(crate) fn crawl_as_set(
    graph: &Graph,
    item: &Item,
    bounds: Bounds,
    meter: &mut Meter,
) -> Result<Crawled<Visits>, Flaw> {
    let starts = starts(graph, item, bounds.at, meter)?;
    match swept(graph, item, bounds, &starts, meter)? {
        Some(found) => Ok(found),
        None => Ok(in_order(graph, item, bounds, &starts, meter)?.kept()),
    }
}

/// A share of all events, below which it is quicker to follow links than to go through all.
const FEW: u64 = 32;

/// Finds what a crawl down visits, unless something cuts the crawl short: then only its order says what it visits.
fn swept(
    graph: &Graph,
    item: &Item,
    bounds: Bounds,
    starts: &[Node],
    meter: &mut Meter,
) -> Result<Option<Crawled<Visits>>, Flaw> {
    let few = graph.node_count() as u64 / FEW;
    if item.control.direction != Direction::Down || bounds.nodes_max <= few {
        return Ok(None);
    }
    // The first steps are those of the whole crawl, so what fails here fails there.
    let mut paid = meter.clone();
    let first = in_order(graph, item, Bounds { nodes_max: few, ..bounds }, starts, &mut paid)?;
    if first.stop != Stop::Limit {
        *meter = paid;
        return Ok(Some(first.kept()));
    }
    let allowed = item.control.filter.as_ref().map(|it| Allowed::of(it, graph));
    let swept = sweep::sweep(graph, bounds.at, starts, allowed.as_ref());
    let count = swept.set.count() as u64;
    let end = item.end.as_deref().and_then(|id| graph.find(id));
    // At the limit itself the crawl may still have in its queue what it would pass over.
    if count >= bounds.nodes_max || end.is_some_and(|it| swept.set.holds(it)) {
        return Ok(None);
    }
    // What is paid only grows, so it exceeds what there is on the way if it does at the end.
    let cost = gas::VISIT.saturating_mul(count).saturating_add(gas::EDGE.saturating_mul(swept.edges));
    meter.charge(cost)?;
    // Only children that are visible are listed, so nothing is missing below.
    Ok(Some(Crawled { visits: Visits::Set(swept.set), stop: Stop::Exhausted, missing: 0 }))
}

/// Finds where a card starts: visible events, each once.
fn starts(graph: &Graph, item: &Item, at: u64, meter: &mut Meter) -> Result<Vec<Node>, Flaw> {
    match &item.start {
        Start::Event(id) => {
            let node = graph.find(id).filter(|it| graph.is_visible(*it, at));
            let unknown = || Flaw::new(Code::EStart, "/s", format!("no event {id:?} is visible at {at}"));
            Ok(vec![node.ok_or_else(unknown)?])
        }
        Start::Query(query) => {
            let found = find(graph, query, at);
            meter.charge(gas::EDGE.saturating_mul(found.len() as u64))?;
            if found.is_empty() {
                let text = format!("the query finds no event that is visible at {at}");
                return Err(Flaw::new(Code::EStart, "/q", text));
            }
            Ok(found)
        }
    }
}

fn in_order(
    graph: &Graph,
    item: &Item,
    Bounds { at, nodes_max }: Bounds,
    starts: &[Node],
    meter: &mut Meter,
) -> Result<Crawled<Vec<Node>>, Flaw> {
    let control = &item.control;
    let is_plain = control.filter.is_none() && control.statements.is_none() && item.job.seed.is_none();
    if control.direction == Direction::Down && is_plain {
        let end = item.end.as_deref().and_then(|id| graph.find(id));
        return descent::descend(graph, at, starts, end, nodes_max, meter);
    }
    queue::follow(graph, item, at, starts, nodes_max, meter)
}
