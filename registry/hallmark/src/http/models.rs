//! `/v1/models`: the catalog with each model's state on this host.
//!
//! - A model that is at rest is written once and sent as it is from then on.
//! - A page is put together from such models: filters look at all of them, only the page is written.

mod list;
mod view;

use axum::{extract::State, http::HeaderValue, response::Response};
use base::Sha256;
use bytes::Bytes;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::{
    list::{Filters, Page, Row},
    view::ModelView,
};
use super::{
    App, Problem, fresh,
    input::{Asked, Held, Named, Nothing},
};
use crate::world::{Model, Rendered, World};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list_models)).routes(routes!(show))
}

/// Lists models in the order of their ids, page by page.
#[utoipa::path(
    get, path = "/v1/models", tag = "models", params(Filters),
    responses(
        (status = OK, description = "One page of models", body = Page, headers(
            ("ETag" = String, description = "Changes with the page"),
            ("Link" = String, description = "The next page, if there is one: `<…>; rel=\"next\"`"),
        )),
        (status = NOT_MODIFIED, description = "The page has the tag that `If-None-Match` names"),
        (status = BAD_REQUEST, description = "A parameter cannot be used", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
async fn list_models(
    State(app): State<App>,
    Asked(filters): Asked<Filters>,
    held: Held,
) -> Result<Response, Problem> {
    let world = app.world();
    let found = list::find(&world, &filters);
    let body = Bytes::from(list::write(&world, &found)?);
    let etag = fresh::etag(&Sha256::of(&body));
    let mut response = fresh::json(&held, &body, &etag);
    if let Some(next) = found.next.and_then(|cursor| filters.link(cursor)) {
        response.headers_mut().insert(axum::http::header::LINK, next);
    }
    Ok(response)
}

/// Shows one model: its entry, and how it stands on this host.
#[utoipa::path(
    get, path = "/v1/models/{id}", tag = "models",
    params(("id" = String, Path, description = "The model's id, such as `ajna-insight-v2`")),
    responses(
        (status = OK, description = "The model", body = ModelView, headers(
            ("ETag" = String, description = "Changes with the model"),
        )),
        (status = NOT_MODIFIED, description = "The model has the tag that `If-None-Match` names"),
        (status = NOT_FOUND, description = "Nobody lists it or asks for it", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
async fn show(
    State(app): State<App>,
    Named(id): Named,
    Asked(Nothing {}): Asked<Nothing>,
    held: Held,
) -> Result<Response, Problem> {
    let world = app.world();
    let row = Row::of(&world, &id).ok_or_else(|| no_such_model(&world, &id))?;
    let written = written(&world, row)?;
    Ok(fresh::json(&held, &written.body, &written.etag))
}

/// Says that there is no such model, and which one may have been meant.
pub(super) fn no_such_model(world: &World, id: &str) -> Problem {
    let Some(index) = world.index() else { return Problem::no_index() };
    match index.find(id) {
        Err(missing) => Problem::no_such_model(crate::order::missing_text(&missing)),
        // It is in the index and the engine has not come to it yet.
        Ok(_) => Problem::no_index(),
    }
}

/// Returns the answer about one model, and keeps it with the model if that is at rest.
fn written(world: &World, row: Row<'_>) -> Result<Rendered, Problem> {
    if let Row::Known(model) = row
        && is_at_rest(world, model)
    {
        if let Some(written) = model.rendered.get() {
            return Ok(written.clone());
        }
        let fresh = write(world, row)?;
        return Ok(model.rendered.get_or_init(|| fresh).clone());
    }
    write(world, row)
}

/// Says whether all that is told about a model is in the model itself.
fn is_at_rest(world: &World, model: &Model) -> bool {
    model.transfers.is_empty() && !world.missing.contains_key(model.id.as_str())
}

fn write(world: &World, row: Row<'_>) -> Result<Rendered, Problem> {
    let view = match row {
        Row::Known(model) => ModelView::of(world, model),
        Row::Missing(id, why) => ModelView::missing(id, why),
    };
    let mut body = serde_json::to_vec(&view).map_err(|error| Problem::internal(&error.into()))?;
    // It may be kept for long, and writing has left room behind it.
    body.shrink_to_fit();
    let etag: HeaderValue = fresh::etag(&Sha256::of(&body));
    Ok(Rendered { body: body.into(), etag })
}
