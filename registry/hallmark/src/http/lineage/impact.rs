//! `GET /v1/lineage/impact`: every model and host below something.

use axum::Json;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    super::{Problem, input::Asked, sight::Sight},
    look,
};
use crate::ancestry::Impact;

/// The longest name of something.
const NAME_CHARS_MAX: usize = 512;

/// What lies below what.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ImpactAsked {
    /// An event's id, a sha256, a dataset's name (perhaps with `@commit`), or a model's id.
    #[param(min_length = 1, max_length = 512)]
    of: String,
    /// Whether to list the events too.
    #[serde(default)]
    events: bool,
}

/// Lists every model and host below a dataset, an artifact or an event, and says whether that is all.
#[utoipa::path(
    get, path = "/v1/lineage/impact", tag = "lineage", params(ImpactAsked),
    responses(
        (status = 200, description = "what rests on it; nothing, if the log does not know it", body = Impact),
        (status = 400, description = "a name that cannot be one", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "this host keeps no log", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "the log is still being read, or the graph lacks something", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(sight: Sight, Asked(asked): Asked<ImpactAsked>) -> Result<Json<Impact>, Problem> {
    let ledger = sight.ledger().clone();
    if !(1..=NAME_CHARS_MAX).contains(&asked.of.chars().count()) {
        let text = format!("a name has 1 to {NAME_CHARS_MAX} characters");
        return Err(Problem::bad_request(text, "name an event, a sha256, a dataset or a model"));
    }
    let impact = look(&ledger, move |ledger| {
        let ancestry = ledger.ancestry();
        let mut impact = ancestry.impact(ancestry.target(&asked.of)?)?;
        if asked.events {
            let sees = |id: &String, graph: &::lineage::Graph| {
                graph.kind_of(id).is_some_and(|it| sight.sees_number(it))
            };
            ancestry.look(|graph| impact.events.retain(|id| sees(id, graph)))?;
        } else {
            impact.events.clear();
        }
        Ok(impact)
    });
    Ok(Json(impact.await?))
}
