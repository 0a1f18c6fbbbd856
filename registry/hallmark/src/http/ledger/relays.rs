//! `/v1/relays`: the relays that this daemon publishes to and those that it follows, and how each stands.

use axum::{Json, extract::State};
use base::{Clock as _, SystemClock};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::{App, Problem};
use crate::{
    ledger::statuses,
    status::{Follow, Relay},
};

/// The relays that this daemon has to do with.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Relays {
    /// Those that it publishes to.
    relays: Vec<Relay>,
    /// Those that it follows.
    follows: Vec<Follow>,
}

/// The relays that this daemon publishes to and those that it follows, and how each stands.
#[utoipa::path(
    get, path = "/v1/relays", tag = "ledger",
    responses(
        (status = 200, description = "the relays", body = Relays),
        (status = 404, description = "this host keeps no log", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(State(app): State<App>) -> Result<Json<Relays>, Problem> {
    let ledger = app.ledger()?;
    let found = ledger.read(statuses).await.map_err(|error| Problem::internal(&error))?;
    let now = SystemClock.now();
    let follows = ledger.followed().list().into_iter().map(|it| Follow::of(it, now)).collect();
    Ok(Json(Relays { relays: found.into_iter().map(Relay::from).collect(), follows }))
}
