//! `OP_AI_EVAL`: from a card, a model and the events to a result that everyone gets.

use serde::Serialize;

use crate::{
    crawl::Stop,
    extraction::{self, VisitHasher},
    features::FeatureVector,
    flaw::Flaw,
    graph::Graph,
    item::Item,
    json::canonical,
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
        let mut hasher = VisitHasher::new();
        self.visited.iter().for_each(|it| hasher.take(it.as_bytes()));
        hasher.finish()
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
    // The order is part of what comes out, so it is made at once.
    let mut extraction = extraction::in_order(graph, item, at, caps)?;
    let model = model.as_ref().map_err(|flaws| first(flaws))?;
    model.check_name(&item.job.model)?;
    let result = model.judge(&extraction.features, &mut extraction.meter)?;
    let visited = extraction.visited()?;
    let (missing, stop) = (extraction.missing(), extraction.stop());
    Ok(Evaluation {
        at: at.seq,
        gas: extraction.gas(),
        features: extraction.features,
        item_hash: item.hash_text(),
        job: item.job.id.clone(),
        missing,
        model: item.job.model.to_string(),
        model_hash: model.hash_text(),
        result,
        stop,
        visited,
    })
}

fn first(flaws: &[Flaw]) -> Flaw {
    let unknown = || Flaw::new(crate::Code::EModel, "", "the model is wrong");
    flaws.first().cloned().unwrap_or_else(unknown)
}
