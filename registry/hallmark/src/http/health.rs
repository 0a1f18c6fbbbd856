//! `/healthz` and `/readyz`.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::App;
use crate::{
    ancestry::{Ancestry, Progress},
    ledger::Ledger,
    state,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(alive)).routes(routes!(ready))
}

/// Whether the daemon can be sent clients, and what is not here yet.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// An index is in force, so every question can be answered.
    ready: bool,
    /// What keeps it from being ready.
    missing: Vec<String>,
    /// Models that are asked for and not deployed, by state; the daemon is ready without them.
    #[schema(value_type = std::collections::BTreeMap<String, Vec<String>>)]
    waiting: std::collections::BTreeMap<state::State, Vec<String>>,
    /// Why the event log cannot be written, if the last write failed; the daemon is ready without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    /// Why nothing can be said yet of what models rest on; the daemon is ready without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    graph: Option<GraphStanding>,
}

/// How far the lineage graph is that is not whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct GraphStanding {
    /// How many events of the log it has.
    pub(crate) read: u64,
    /// How many the log has.
    pub(crate) events: u64,
    /// What keeps it, in words.
    pub(crate) why: String,
}

impl GraphStanding {
    /// Says how far a graph is; nothing once it is whole.
    fn of(ancestry: &Ancestry) -> Option<Self> {
        let why = ancestry.check_whole().err()?.to_string();
        let Progress { read, events } = ancestry.progress();
        Some(Self { read, events, why })
    }
}

/// Says that the daemon is alive.
#[utoipa::path(
    get, path = "/healthz", tag = "health", operation_id = "healthz",
    responses((status = OK, description = "It is", body = String, content_type = "text/plain; charset=utf-8")),
)]
async fn alive() -> &'static str {
    "ok\n"
}

/// Says whether the daemon can be sent clients, and what is not here yet.
#[utoipa::path(
    get, path = "/readyz", tag = "health", operation_id = "readyz",
    responses(
        (status = OK, description = "An index is in force", body = Readiness),
        (status = SERVICE_UNAVAILABLE, description = "None is", body = Readiness),
    ),
)]
async fn ready(State(app): State<App>) -> Response {
    let world = app.world();
    let ledger = app.ledger().ok();
    let mut readiness = Readiness {
        ready: true,
        missing: Vec::new(),
        waiting: std::collections::BTreeMap::new(),
        log: ledger.and_then(Ledger::trouble),
        graph: ledger.and_then(|it| GraphStanding::of(it.ancestry())),
    };
    if world.index().is_none() {
        readiness.ready = false;
        readiness.missing.push(format!("an index that holds at {}: see /v1/index/status", world.location));
    }
    for model in world.models.values().filter(|it| it.wanted && it.state != state::State::Deployed) {
        readiness.waiting.entry(model.state).or_default().push(model.id.to_string());
    }
    if !world.missing.is_empty() {
        readiness.waiting.insert(state::State::Missing, world.missing.keys().cloned().collect());
    }
    let code = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(readiness)).into_response()
}
