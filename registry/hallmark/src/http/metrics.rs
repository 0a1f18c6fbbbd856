//! `/metrics`: what is counted, for Prometheus.

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{App, Problem};

const KIND: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(metrics))
}

/// Returns all counters as Prometheus reads them.
#[utoipa::path(
    get, path = "/metrics", tag = "health",
    responses((status = OK, description = "The counters, as OpenMetrics text", body = String,
        content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8")),
)]
async fn metrics(State(app): State<App>) -> Result<Response, Problem> {
    if let Ok(ledger) = app.ledger() {
        ledger.measure().await.map_err(|error| Problem::internal(&error))?;
    }
    let text = app.metrics().text(&app.world()).map_err(|error| Problem::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, KIND)], text).into_response())
}
