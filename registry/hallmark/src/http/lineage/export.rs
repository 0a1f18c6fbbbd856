//! `GET /v1/lineage/models/{id}/openlineage` and `/vsa`: where a model comes from, in the words of other tools.

use axum::{Json, extract::State};
use base::{Clock as _, SystemClock};
use serde_json::Value;

use super::{
    super::{
        App, Problem,
        input::{Asked, Named, Nothing},
        sight::Sight,
    },
    look,
};
use crate::{
    export::{openlineage::runs, vsa},
    gate::Gate,
};

/// The runs that a model came from, as run events of OpenLineage.
#[utoipa::path(
    get, path = "/v1/lineage/models/{id}/openlineage", tag = "lineage",
    params(("id" = String, Path, description = "the model's id")),
    responses(
        (status = 200, description = "the run events, the earliest first; none, if no run is known", body = Vec<Object>),
        (status = 404, description = "no such model, or no log", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "the log is still being read, or the graph lacks something", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn openlineage(
    State(app): State<App>,
    sight: Sight,
    Named(id): Named,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<Vec<Value>>, Problem> {
    let ledger = sight.ledger().clone();
    let listed = super::entry(&app, &id)?;
    let runs = look(&ledger, move |ledger| runs(ledger, &listed.entry, |kind| sight.sees_number(kind)));
    Ok(Json(runs.await?))
}

/// Whether a model passes the gate, as a verification summary: an in-toto statement about its files.
#[utoipa::path(
    get, path = "/v1/lineage/models/{id}/vsa", tag = "lineage",
    params(("id" = String, Path, description = "the model's id")),
    responses(
        (status = 200, description = "the statement; nothing signs it but whoever wraps it", body = Object),
        (status = 404, description = "no such model, or no log", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "the log is still being read, or the graph lacks something", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn vsa(
    State(app): State<App>,
    Named(id): Named,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<Value>, Problem> {
    let ledger = app.ledger()?;
    let listed = super::entry(&app, &id)?;
    super::check_read(ledger)?;
    let statement = ledger.look(move |ledger| {
        let report = Gate::answer(ledger, &listed.entry)?;
        Ok::<Value, anyhow::Error>(vsa::statement(ledger, &listed.entry, &report, SystemClock.now()))
    });
    statement.await.and_then(|it| it).map(Json).map_err(|error| Problem::internal(&error))
}
