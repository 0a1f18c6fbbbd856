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
mod round;

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use hyper::upgrade::OnUpgrade;
use ledger::relay::Document;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        handshake::server::create_response,
        protocol::{Role, WebSocketConfig},
    },
};

pub(super) use self::hall::Hall;
use super::{App, Problem, connection};
use crate::ledger::Ledger;

/// What is put around an event in a frame.
const ENVELOPE_BYTES_MAX: usize = 1024;
/// How much of a client's bytes is read at once. So much is cleared whenever its socket is looked at.
const READ_BYTES: usize = 16 << 10;
/// What the relay's document is asked for by (NIP-11).
const DOCUMENT: &str = "application/nostr+json";

/// Returns the relay's routes.
pub(super) fn routes() -> axum::Router<App> {
    axum::Router::new().route("/", get(door)).route("/relay", get(door))
}

/// Lets in who wants to speak with the relay, and tells others what this is.
async fn door(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let headers = request.headers();
    let accepts = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok()).unwrap_or_default();
    if accepts.contains(DOCUMENT) {
        return Ok(document(app.ledger()?));
    }
    if headers.contains_key(header::UPGRADE) { enter(&app, request) } else { Ok(greeting()) }
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

fn enter(app: &App, request: Request) -> Result<Response, Problem> {
    let (ledger, hall) = (app.ledger()?.clone(), Arc::clone(app.hall()?));
    let refuse = |why: String| {
        Problem::bad_request(why, "a client of the relay speaks WebSocket, version 13, over HTTP/1.1")
    };
    let mut request = request.map(drop);
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let response = create_response(&request).map_err(|it| refuse(it.to_string()))?;
    let upgrade = upgrade.ok_or_else(|| refuse("this connection cannot change its protocol".to_owned()))?;
    let seat = Arc::clone(ledger.seats()).try_acquire_owned().map_err(|_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-clients", "Too many clients of the relay")
            .detail("all places are taken")
            .remedy("come back later, or raise [ledger] clients_max")
            .retry_after(10)
    })?;
    let write_time_max = std::time::Duration::from_secs(app.settings().write_seconds_max);
    let message_bytes_max = Some(ledger.relay().frame_bytes_max + ENVELOPE_BYTES_MAX);
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .max_message_size(message_bytes_max)
        .max_frame_size(message_bytes_max);
    tokio::spawn(async move {
        match upgrade.await.map(connection::take_over) {
            Ok(Some((wire, read))) => {
                let socket =
                    WebSocketStream::from_partially_read(wire, read.into(), Role::Server, Some(config));
                client::serve(ledger, hall, socket.await, write_time_max).await;
            }
            Ok(None) => {
                tracing::error!("A client of the relay came over a connection of no known kind: report this");
            }
            Err(error) => tracing::debug!("A client of the relay went before it could speak: {error}"),
        }
        drop(seat);
    });
    Ok(response.map(|()| Body::empty()))
}
