//! One case of the conformance vectors: a ledger, a card and a model in, a result or an error code out.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    evaluate::{Caps, Checkpoint, Evaluation, evaluate},
    event::Event,
    flaw::Flaw,
    graph::{Graph, GraphError},
    item::Item,
    json::canonical,
    model::Model,
};

/// The case's parts; card and model stay text, since it is part of the case whether they are right.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    events: Vec<Event>,
    item: Box<RawValue>,
    model: Box<RawValue>,
    at: u64,
}

/// Why a line is no case.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// It is not the JSON of a case.
    #[error("read the case")]
    Json(#[from] serde_json::Error),
    /// Its events make no ledger.
    #[error("build the ledger")]
    Graph(#[from] GraphError),
}

/// Runs one line and returns the line that belongs to it, without its end.
pub fn run_line(line: &str) -> Result<String, CaseError> {
    let case: Case = serde_json::from_str(line)?;
    let graph = Graph::of(&case.events)?;
    Ok(match run(&graph, &case) {
        Ok(evaluation) => evaluation.to_line(),
        Err(flaw) => canonical(&serde_json::json!({ "err": flaw.code.name() })),
    })
}

fn run(graph: &Graph, case: &Case) -> Result<Evaluation, Flaw> {
    let unknown = |it: &Vec<Flaw>| it.first().cloned();
    let item = match Item::read(case.item.get()) {
        Ok(item) => item,
        Err(flaws) => {
            let none = || Flaw::new(crate::Code::EItem, "", "the card is wrong");
            return Err(unknown(&flaws).unwrap_or_else(none));
        }
    };
    let model = Model::read(case.model.get());
    evaluate(graph, &item, &model, Checkpoint::at(case.at), Caps::NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IN: &str = include_str!("../tests/vectors/lineage-in.jsonl");
    const OUT: &str = include_str!("../tests/vectors/lineage-out.jsonl");

    #[test]
    fn all_conformance_vectors_hold_to_the_byte() {
        assert_eq!(IN.lines().count(), OUT.lines().count());
        for (index, (line, expected)) in IN.lines().zip(OUT.lines()).enumerate() {
            assert_eq!(run_line(line).unwrap(), expected, "vector {index}");
        }
    }
}
