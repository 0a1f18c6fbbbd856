//! `GET /v1/models/{id}/provenance`: the events about a model, and how they rest on one another.

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    Json,
    extract::{RawQuery, State},
};
use base::ModelId;
use ledger::{Accepted, EventId, Filter, Kind, StoreError, Stored};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    super::{App, Problem, input::Named},
    Place, Reader,
    asked::numbers,
};
use crate::ledger::Ledger;

/// How many events a graph may have.
const NODES_MAX: usize = 1000;
/// Tags that say nothing about the model itself.
const FORMAL: [&str; 5] = ["auth", "d", "sid", "op", "parent"];

/// A model's events and their graph.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Provenance)]
pub(super) struct Graph {
    model_id: String,
    /// The events, in the log's order.
    nodes: Vec<Node>,
    /// Which event rests on which.
    edges: Vec<Edge>,
    /// Events that others rest on and that this log does not have.
    missing: Vec<String>,
    /// Whether there are more events than are shown.
    is_cut: bool,
    /// Whom this daemon signs as.
    own_author: String,
}

/// One event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProvenanceNode)]
struct Node {
    id: String,
    kind: u16,
    /// What the protocol calls the kind.
    name: Option<String>,
    /// Who signed it.
    author: String,
    /// Whether that is this daemon.
    is_own: bool,
    created_at: u64,
    position: Place,
    /// What its tags say, but for the formal ones: the first value of each.
    says: BTreeMap<String, String>,
    /// The whole event.
    url: String,
}

/// One event rests on another.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProvenanceEdge)]
struct Edge {
    /// The event that was there first.
    from: String,
    /// The one that rests on it.
    to: String,
}

/// The events about a model, who signed each, where the log has them, and which rests on which.
#[utoipa::path(
    get, path = "/v1/models/{id}/provenance", tag = "ledger",
    params(
        ("id" = String, Path, description = "the model's id"),
        ("at" = Option<u64>, Query, description = "as it was when the log had so many events"),
    ),
    responses(
        (status = 200, description = "the graph", body = Graph),
        (status = 400, description = "a condition that cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "no such model, or no log", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    State(app): State<App>,
    reader: Reader,
    Named(id): Named,
    RawQuery(query): RawQuery,
) -> Result<Json<Graph>, Problem> {
    let name = id.clone();
    let at = numbers(query.as_deref(), &["at"])?.remove("at");
    let graph = reader.at(at).read(move |reader| graph(reader, &name)).await?;
    let is_known = ModelId::parse(&id).is_ok_and(|id| app.world().models.contains_key(&id));
    if graph.nodes.is_empty() && !is_known {
        return Err(Problem::no_such_model(format!("neither the index nor the log knows {id}")));
    }
    Ok(Json(graph))
}

fn graph(reader: &Reader, model: &str) -> Result<Graph, StoreError> {
    let ledger = reader.ledger();
    let about = [Kind::MODEL, Kind::FINETUNE, Kind::VALID].into_iter().filter(|it| reader.sees(*it));
    let mut filter = Filter::default().tag("model_id", model).limit(NODES_MAX as u64 + 1);
    filter.kinds = Some(about.collect());
    let mut waiting = reader.find(filter)?;
    let mut is_cut = waiting.len() > NODES_MAX;
    waiting.truncate(NODES_MAX);
    let mut found: BTreeMap<EventId, (Stored, Accepted)> = BTreeMap::new();
    let mut missing = BTreeSet::new();
    // Then all that those rest on, however far back.
    while let Some(stored) = waiting.pop() {
        if found.contains_key(&stored.id) {
            continue;
        }
        let accepted = stored.event()?;
        for parent in accepted.event.parents().into_iter().filter(|it| !found.contains_key(it)) {
            match ledger.log().by_id(parent)?.filter(|it| reader.sees(it.kind) && reader.had(it.at.seq)) {
                Some(_) if found.len() + waiting.len() > NODES_MAX => is_cut = true,
                Some(parent) => waiting.push(parent),
                None => drop(missing.insert(parent)),
            }
        }
        found.insert(stored.id, (stored, accepted));
    }
    let mut in_order = found.values().collect::<Vec<_>>();
    in_order.sort_by_key(|it| it.0.at.seq);
    let edges = in_order.iter().flat_map(|(stored, accepted)| {
        let parents = accepted.event.parents().into_iter();
        parents.map(|it| Edge { from: it.to_string(), to: stored.id.to_string() })
    });
    Ok(Graph {
        model_id: model.to_owned(),
        edges: edges.collect(),
        nodes: in_order.iter().map(|(stored, accepted)| node(ledger, stored, accepted)).collect(),
        missing: missing.iter().map(ToString::to_string).collect(),
        is_cut,
        own_author: ledger::Author::lower(ledger.address()).to_string(),
    })
}

fn node(ledger: &Ledger, stored: &Stored, accepted: &Accepted) -> Node {
    let mut says = BTreeMap::new();
    for tag in accepted.event.tags().iter() {
        if let Some(value) = tag.value().filter(|_| !FORMAL.contains(&tag.name())) {
            says.entry(tag.name().to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    Node {
        id: stored.id.to_string(),
        kind: stored.kind.0,
        name: stored.kind.name().map(str::to_owned),
        author: accepted.event.author().to_string(),
        is_own: stored.author == ledger.address(),
        created_at: stored.created_at.0,
        position: Place::of(stored.kind, &stored.at),
        says,
        url: format!("/v1/events/{}", stored.id),
    }
}
