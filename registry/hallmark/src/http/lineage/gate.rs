//! `GET /v1/lineage/gate/{id}`: what the gate says of a model.

use axum::{Json, extract::State};

use super::super::{
    App, Problem,
    input::{Asked, Named, Nothing},
    sight::Sight,
};
use crate::gate::{Gate, Report};

/// What the gate says of a model now, feature by feature. Where the policy of this host asks no gate, the card that
/// hallmark ships answers.
#[utoipa::path(
    get, path = "/v1/lineage/gate/{id}", tag = "lineage",
    params(("id" = String, Path, description = "the model's id")),
    responses(
        (status = 200, description = "whether it passes, and why not", body = Report),
        (status = 404, description = "no such model, or no log", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "the log is still being read, or the graph lacks something", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    State(app): State<App>,
    sight: Sight,
    Named(id): Named,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<Report>, Problem> {
    let ledger = sight.ledger().clone();
    let listed = super::entry(&app, &id)?;
    super::check_read(&ledger)?;
    let report = ledger.look(move |ledger| Gate::answer(ledger, &listed.entry));
    let report = report.await.and_then(|it| it);
    let mut report = report.map_err(|error| Problem::internal(&error))?;
    if let Some(found) = &mut report.evaluation {
        let ids = std::mem::take(&mut found.visited);
        let seen = super::look(&ledger, move |ledger| {
            let sees = |id: &String, graph: &::lineage::Graph| {
                graph.kind_of(id).is_some_and(|it| sight.sees_number(it))
            };
            Ok(ledger.ancestry().look(|graph| ids.into_iter().filter(|id| sees(id, graph)).collect())?)
        });
        found.visited = seen.await?;
    }
    Ok(Json(report))
}
