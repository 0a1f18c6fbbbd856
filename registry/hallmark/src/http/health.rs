//! `/healthz` and `/readyz`.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::App;
use crate::state;

/// Whether the daemon can be sent clients, and what is not here yet.
#[derive(Debug, Serialize)]
pub(crate) struct Readiness {
    /// An index is in force, so every question can be answered.
    ready: bool,
    /// What keeps it from being ready.
    missing: Vec<String>,
    /// Models that are asked for and not deployed, by state; the daemon is ready without them.
    waiting: std::collections::BTreeMap<state::State, Vec<String>>,
}

/// `GET /healthz`: the daemon is alive.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: whether the daemon can be sent clients, and what is not here yet.
pub(super) async fn ready(State(app): State<App>) -> Response {
    let world = app.world();
    let mut readiness =
        Readiness { ready: true, missing: Vec::new(), waiting: std::collections::BTreeMap::new() };
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
