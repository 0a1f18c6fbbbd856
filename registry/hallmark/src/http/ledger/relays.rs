//! `/v1/relays`: the relays that this daemon publishes to, and how each stands.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::{App, Problem};
use crate::ledger::statuses;

/// The relays that this daemon publishes to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Relays {
    relays: Vec<Relay>,
}

/// How one relay stands.
#[derive(Debug, Serialize, ToSchema)]
struct Relay {
    url: String,
    /// How many events are still to be sent.
    pending: u64,
    /// How many it has.
    taken: u64,
    /// How many it refused for good.
    refused: u64,
    /// How many it said to have, and did not show.
    lied: u64,
    /// When the next one is due, in seconds.
    next: Option<u64>,
    /// Why the last one waits.
    waits_for: Option<String>,
    /// Why the last one was refused.
    refused_for: Option<String>,
    /// What it did in place of what it said.
    lied_about: Option<String>,
}

/// The relays that this daemon publishes to, and how each stands.
#[utoipa::path(
    get, path = "/v1/relays", tag = "ledger",
    responses(
        (status = 200, description = "the relays", body = Relays),
        (status = 404, description = "this host keeps no log", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(State(app): State<App>) -> Result<Json<Relays>, Problem> {
    let ledger = app.ledger()?.clone();
    let found = tokio::task::spawn_blocking(move || statuses(&ledger)).await;
    let found = found.map_err(anyhow::Error::from).and_then(|it| it.map_err(anyhow::Error::from));
    let found = found.map_err(|error| Problem::internal(&error))?;
    let relays = found.into_iter().map(|it| Relay {
        url: it.relay,
        pending: it.pending,
        taken: it.taken,
        refused: it.refused,
        lied: it.lied,
        next: it.next.map(|it| it.0),
        waits_for: it.waits_for,
        refused_for: it.refused_for,
        lied_about: it.lied_about,
    });
    Ok(Json(Relays { relays: relays.collect() }))
}
