//! `OP_AI_EVAL`: from a card, a model and the events to a result that everyone gets.

use std::borrow::Cow;

use serde::Serialize;

use crate::{
    crawl::{Crawled, Stop, crawl},
    features::{FeatureVector, Visited},
    flaw::Flaw,
    gas::Meter,
    graph::{Graph, Node},
    item::Item,
    json::{canonical, tagged_hash},
    model::{Judgement, Model},
};

/// What an evaluator allows at most, whatever a card asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Events to visit.
    pub nodes_max: u64,
    /// Gas to use.
    pub gas_max: u64,
}

impl Caps {
    /// What a daemon allows by default.
    pub const DAEMON: Self = Self { nodes_max: 100_000, gas_max: 50_000_000 };
    /// Nothing but what the card allows.
    pub const NONE: Self = Self { nodes_max: u64::MAX, gas_max: u64::MAX };
}

/// The point of the ledger that an evaluation looks from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last sequence that is visible.
    pub seq: u64,
    /// When that was, for windows that end at `@at`. Without it, the newest time that a visible event names.
    pub time: Option<u64>,
}

impl Checkpoint {
    /// Takes a sequence alone.
    pub const fn at(seq: u64) -> Self {
        Self { seq, time: None }
    }
}

/// What an evaluation gives. All of it is the same for everyone.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The last sequence that was visible.
    pub at: u64,
    /// The features.
    pub features: FeatureVector,
    /// What all of it cost.
    pub gas: u64,
    /// The card's hash.
    pub item_hash: String,
    /// The job's id.
    pub job: String,
    /// How many ids were named whose event is not visible.
    pub missing: u64,
    /// The model, as the card names it.
    pub model: String,
    /// The model's hash.
    pub model_hash: String,
    /// What the model says.
    pub result: Judgement,
    /// Why the crawl ended.
    pub stop: Stop,
    /// The ids of the events that were visited, in the crawl's order.
    pub visited: Vec<String>,
}

/// The evaluation as a line of the batch form.
#[derive(Serialize)]
struct Line<'e> {
    at: u64,
    feature_hash: String,
    fv: &'e FeatureVector,
    gas: u64,
    item: &'e str,
    jid: &'e str,
    miss: u64,
    model: &'e str,
    model_hash: &'e str,
    n: usize,
    result: &'e Judgement,
    stop: &'e str,
    visit_hash: String,
}

impl Evaluation {
    /// Returns the hash of what was visited and in which order.
    pub fn visit_hash(&self) -> String {
        tagged_hash("hallmark/visit/1\n", &self.visited.join("\n"))
    }

    /// Returns the evaluation as canonical JSON, the form of the conformance vectors.
    pub fn to_line(&self) -> String {
        canonical(&Line {
            at: self.at,
            feature_hash: self.features.hash_text(),
            fv: &self.features,
            gas: self.gas,
            item: &self.item_hash,
            jid: &self.job,
            miss: self.missing,
            model: &self.model,
            model_hash: &self.model_hash,
            n: self.visited.len(),
            result: &self.result,
            stop: self.stop.name(),
            visit_hash: self.visit_hash(),
        })
    }
}

/// What a card takes from the events, before a model judges it.
#[derive(Clone, Debug)]
pub struct Extraction<'g> {
    /// The features.
    pub features: FeatureVector,
    graph: &'g Graph,
    crawled: Crawled,
    meter: Meter,
}

impl Extraction<'_> {
    /// Returns how many events were visited.
    pub fn visited_count(&self) -> usize {
        self.crawled.visited.len()
    }

    /// Lists the ids of the events that were visited, in the crawl's order.
    pub fn visited(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.crawled.visited.iter().map(|it| self.graph.id(*it))
    }

    /// Returns what crawl and features cost.
    pub fn gas(&self) -> u64 {
        self.meter.used()
    }
}

/// Crawls and extracts, without a model.
pub fn extract<'g>(
    graph: &'g Graph,
    item: &Item,
    at: Checkpoint,
    caps: Caps,
) -> Result<Extraction<'g>, Flaw> {
    let mut meter = Meter::new(item.control.gas_max.min(caps.gas_max));
    let nodes_max = item.job.limit.min(item.control.nodes_max).min(caps.nodes_max);
    let crawled = crawl(graph, item, at.seq, nodes_max, &mut meter)?;
    let wants_time = item.job.spec.iter().any(|spec| {
        let window = spec.feature.as_ref().ok().and_then(|it| it.window);
        window.is_some_and(|it| it.from_checkpoint)
    });
    let time = wants_time.then(|| at.time.unwrap_or_else(|| graph.newest_time(at.seq)));
    let visited = Visited::new(graph, at.seq, &crawled.visited, time);
    let features = visited.extract(&item.job.spec, &mut meter)?;
    Ok(Extraction { features, graph, crawled, meter })
}

/// Evaluates a card. A model that could not be read fails when its turn comes, after the features.
///
/// That order is part of the protocol: of two things that are wrong, all evaluators must name the same one.
pub fn evaluate(
    graph: &Graph,
    item: &Item,
    model: &Result<Model, Vec<Flaw>>,
    at: Checkpoint,
    caps: Caps,
) -> Result<Evaluation, Flaw> {
    let mut extraction = extract(graph, item, at, caps)?;
    let model = model.as_ref().map_err(|flaws| first(flaws))?;
    model.check_name(&item.job.model)?;
    let result = model.judge(&extraction.features, &mut extraction.meter)?;
    let visited = extraction.visited().map(Cow::into_owned).collect();
    Ok(Evaluation {
        at: at.seq,
        gas: extraction.gas(),
        features: extraction.features,
        item_hash: item.hash_text(),
        job: item.job.id.clone(),
        missing: extraction.crawled.missing,
        model: item.job.model.to_string(),
        model_hash: model.hash_text(),
        result,
        stop: extraction.crawled.stop,
        visited,
    })
}

fn first(flaws: &[Flaw]) -> Flaw {
    let unknown = || Flaw::new(crate::Code::EModel, "", "the model is wrong");
    flaws.first().cloned().unwrap_or_else(unknown)
}

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
    let mut meter = Meter::new(item.control.gas_max.min(caps.gas_max));
    let nodes_max = item.job.limit.min(item.control.nodes_max).min(caps.nodes_max);
    let crawled = crawl(graph, item, at, nodes_max, &mut meter)?;
    let visit = |node: &Node| Visit {
        id: graph.id(*node).into_owned(),
        kind: graph.kind(*node),
        pubkey: graph.pubkey(*node).into_owned(),
        created_at: graph.created_at(*node),
        seq: graph.seq(*node),
        parents: graph.parents(*node).iter().map(|it| graph.id(*it).into_owned()).collect(),
    };
    let visited = crawled.visited.iter().map(visit).collect();
    Ok(Crawl { visited, stop: crawled.stop, missing: crawled.missing, gas: meter.used() })
}
