//! `/` and `/relay`: the event relay's door. What a client says goes to a session, which decides; this end owns the
//! socket, the threads and the clock.
//!
//! - One task for each client. What it sends is taken in order, its answers come in that order too.
//! - What comes into the log is told by a few criers, who send it to whoever waits for it. Only so much is kept for a
//!   client that does not read; who reads nothing in time, or falls behind by more, is let go.
//! - Signatures are checked on a few threads, whoever sends them; an event is acknowledged once it is on disk.

mod client;
mod hall;
mod line;

use std::sync::Arc;

use axum::{
    Json,
    extract::{State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use ledger::relay::Document;

pub(super) use self::hall::Hall;
use super::{App, Problem};
use crate::ledger::Ledger;

/// What is put around an event in a frame.
const ENVELOPE_BYTES_MAX: usize = 1024;
/// How much of a client's bytes is read at once. So much is cleared whenever a client is looked at, which happens with
/// each event for each of them.
const READ_BYTES: usize = 16 << 10;
/// What the relay's document is asked for by (NIP-11).
const DOCUMENT: &str = "application/nostr+json";

/// Returns the relay's routes.
pub(super) fn routes() -> axum::Router<App> {
    axum::Router::new().route("/", get(door)).route("/relay", get(door))
}

/// Lets in who wants to speak with the relay, and tells others what this is.
async fn door(
    State(app): State<App>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let accepts = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok()).unwrap_or_default();
    if accepts.contains(DOCUMENT) {
        return Ok(document(app.ledger()?));
    }
    match upgrade {
        Ok(upgrade) => enter(&app, upgrade),
        Err(rejection) if headers.contains_key(header::UPGRADE) => Err(Problem::bad_request(
            rejection.body_text(),
            "a client of the relay speaks WebSocket, version 13, over HTTP/1.1",
        )),
        Err(_) => Ok(greeting()),
    }
}

fn document(ledger: &Ledger) -> Response {
    let document = Document::of(
        ledger.relay(),
        &ledger.config().policy(),
        ledger.checkpoint_key().origin(),
        "Signed events about models: where they come from and what became of them",
        ledger.address(),
    );
    let mut response = Json(document).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(DOCUMENT));
    // Web pages look a relay up before they connect; the document says nothing that is not for everybody.
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

fn greeting() -> Response {
    "This is hallmark, a model registry. See /v1/models for its models, /openapi.json for what can be asked.\n\
     Clients of the event relay speak WebSocket here.\n"
        .into_response()
}

fn enter(app: &App, upgrade: WebSocketUpgrade) -> Result<Response, Problem> {
    let (ledger, hall) = (app.ledger()?.clone(), Arc::clone(app.hall()?));
    let seat = Arc::clone(ledger.seats()).try_acquire_owned().map_err(|_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-clients", "Too many clients of the relay")
            .detail("all places are taken")
            .remedy("come back later, or raise [ledger] clients_max")
            .retry_after(10)
    })?;
    let write_time_max = std::time::Duration::from_secs(app.settings().write_seconds_max);
    let frame_bytes_max = ledger.relay().frame_bytes_max;
    let upgrade = upgrade
        .read_buffer_size(READ_BYTES)
        .max_message_size(frame_bytes_max + ENVELOPE_BYTES_MAX)
        .max_frame_size(frame_bytes_max + ENVELOPE_BYTES_MAX);
    Ok(upgrade.on_upgrade(move |socket| async move {
        client::serve(ledger, hall, socket, write_time_max).await;
        drop(seat);
    }))
}
