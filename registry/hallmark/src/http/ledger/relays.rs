//! `/v1/relays`: the relays that this daemon publishes to, and how each stands.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::{App, Problem};
use crate::{ledger::statuses, status::Relay};

/// The relays that this daemon publishes to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Relays {
    relays: Vec<Relay>,
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
    let found = app.ledger()?.read(statuses).await.map_err(|error| Problem::internal(&error))?;
    Ok(Json(Relays { relays: found.into_iter().map(Relay::from).collect() }))
}
