//! What a crawl alone finds, event by event, for people to look at.

use serde::Serialize;

use crate::{
    crawl::{Stop, crawl},
    evaluate::Caps,
    extraction::bounds,
    flaw::Flaw,
    graph::{Graph, Node},
    item::Item,
};

/// What a crawl alone finds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Crawl {
    /// The events, in the crawl's order.
    pub visited: Vec<Visit>,
    /// Why it ended.
    pub stop: Stop,
    /// How many ids were named whose event is not visible.
    pub missing: u64,
    /// What it cost.
    pub gas: u64,
}

/// One event of a crawl.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Visit {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: u32,
    /// Who made it.
    pub pubkey: String,
    /// When its author says it was made.
    pub created_at: u64,
    /// Its place in the ledger.
    pub seq: u64,
    /// The ids of its parents.
    pub parents: Vec<String>,
}

/// Crawls for a card and lists what was visited.
pub fn list(graph: &Graph, item: &Item, at: u64, caps: Caps) -> Result<Crawl, Flaw> {
    let (bounds, mut meter) = bounds(item, at, caps);
    let crawled = crawl(graph, item, bounds, &mut meter)?;
    let visit = |node: &Node| Visit {
        id: graph.id(*node).into_owned(),
        kind: graph.kind(*node),
        pubkey: graph.pubkey(*node).into_owned(),
        created_at: graph.created_at(*node),
        seq: graph.seq(*node),
        parents: graph.parents(*node).iter().map(|it| graph.id(*it).into_owned()).collect(),
    };
    let visited = crawled.visits.iter().map(visit).collect();
    Ok(Crawl { visited, stop: crawled.stop, missing: crawled.missing, gas: meter.used() })
}
