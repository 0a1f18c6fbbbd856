//! What a card takes from the events, before a model judges it: crawl and features together.

use std::borrow::Cow;

use base::digest::Hasher;

use crate::{
    crawl::{Bounds, Crawled, Stop, Visits, crawl, crawl_as_set},
    evaluate::{Caps, Checkpoint},
    features::{FeatureVector, Visited},
    flaw::Flaw,
    gas::Meter,
    graph::{Graph, Node},
    item::Item,
    json::hash_text,
};

/// What a card takes from the events, before a model judges it.
///
/// The features are a function of which events were visited, so their order is only made for whoever asks for it.
#[derive(Clone, Debug)]
pub struct Extraction<'g> {
    /// The features.
    pub features: FeatureVector,
    graph: &'g Graph,
    item: &'g Item,
    bounds: Bounds,
    crawled: Crawled<Visits>,
    pub(crate) meter: Meter,
}

impl Extraction<'_> {
    /// Returns how many events were visited.
    pub fn visited_count(&self) -> usize {
        self.crawled.visits.count()
    }

    /// Returns why the crawl ended.
    pub fn stop(&self) -> Stop {
        self.crawled.stop
    }

    /// Returns how many ids were named whose event is not visible.
    pub fn missing(&self) -> u64 {
        self.crawled.missing
    }

    /// Lists the ids of the events that were visited, in the crawl's order. This crawls again if the order was not
    /// needed so far, and fails only where [`extract`] did.
    pub fn visited(&self) -> Result<Vec<String>, Flaw> {
        let nodes = self.nodes()?;
        Ok(nodes.iter().map(|it| self.graph.id(*it).into_owned()).collect())
    }

    /// Returns the hash of what was visited and in which order.
    pub fn visit_hash(&self) -> Result<String, Flaw> {
        let nodes = self.nodes()?;
        let mut hasher = VisitHasher::new();
        let mut id = Vec::new();
        for node in nodes.iter() {
            id.clear();
            self.graph.append_id(*node, &mut id);
            hasher.take(&id);
        }
        Ok(hasher.finish())
    }

    /// Returns what crawl and features cost.
    pub fn gas(&self) -> u64 {
        self.meter.used()
    }

    fn nodes(&self) -> Result<Cow<'_, [Node]>, Flaw> {
        if let Visits::InOrder(list) = &self.crawled.visits {
            return Ok(Cow::Borrowed(list));
        }
        // What the crawl costs was paid for.
        let again = crawl(self.graph, self.item, self.bounds, &mut Meter::new(u64::MAX))?;
        Ok(Cow::Owned(again.visits))
    }
}

/// Crawls and extracts, without a model.
pub fn extract<'g>(
    graph: &'g Graph,
    item: &'g Item,
    at: Checkpoint,
    caps: Caps,
) -> Result<Extraction<'g>, Flaw> {
    over(graph, item, at, caps, crawl_as_set)
}

/// Crawls and extracts likewise, for whoever needs the order too.
pub(crate) fn in_order<'g>(
    graph: &'g Graph,
    item: &'g Item,
    at: Checkpoint,
    caps: Caps,
) -> Result<Extraction<'g>, Flaw> {
    over(graph, item, at, caps, |graph, item, bounds, meter| Ok(crawl(graph, item, bounds, meter)?.kept()))
}

/// Crawls in one of the ways, and extracts over what that found.
fn over<'g>(
    graph: &'g Graph,
    item: &'g Item,
    at: Checkpoint,
    caps: Caps,
    crawl: impl FnOnce(&Graph, &Item, Bounds, &mut Meter) -> Result<Crawled<Visits>, Flaw>,
) -> Result<Extraction<'g>, Flaw> {
    let (bounds, mut meter) = bounds(item, at.seq, caps);
    let crawled = crawl(graph, item, bounds, &mut meter)?;
    let wants_time = item.job.spec.iter().any(|spec| {
        let window = spec.feature.as_ref().ok().and_then(|it| it.window);
        window.is_some_and(|it| it.from_checkpoint)
    });
    let time = wants_time.then(|| at.time.unwrap_or_else(|| graph.newest_time(at.seq)));
    let visited = Visited::new(graph, at.seq, &crawled.visits, time);
    let features = visited.extract(&item.job.spec, &mut meter)?;
    Ok(Extraction { features, graph, item, bounds, crawled, meter })
}

/// Returns what card and evaluator allow together.
pub(crate) fn bounds(item: &Item, at: u64, caps: Caps) -> (Bounds, Meter) {
    let nodes_max = item.job.limit.min(item.control.nodes_max).min(caps.nodes_max);
    (Bounds { at, nodes_max }, Meter::new(item.control.gas_max.min(caps.gas_max)))
}

/// Hashes the ids of what was visited, in order.
pub(crate) struct VisitHasher {
    hasher: Hasher,
    /// What was not hashed yet: a hasher likes large pieces.
    waiting: Vec<u8>,
    is_first: bool,
}

impl VisitHasher {
    const PIECE_BYTES: usize = 8192;

    pub(crate) fn new() -> Self {
        Self { hasher: Hasher::new(), waiting: b"hallmark/visit/1\n".to_vec(), is_first: true }
    }

    pub(crate) fn take(&mut self, id: &[u8]) {
        if !std::mem::take(&mut self.is_first) {
            self.waiting.push(b'\n');
        }
        self.waiting.extend_from_slice(id);
        if self.waiting.len() >= Self::PIECE_BYTES {
            self.hasher.update(&self.waiting);
            self.waiting.clear();
        }
    }

    pub(crate) fn finish(mut self) -> String {
        self.hasher.update(&self.waiting);
        hash_text(self.hasher.finish())
    }
}
