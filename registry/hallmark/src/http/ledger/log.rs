//! The log itself: how far it is, its signed checkpoint, its tiles, and that it only grows.

use axum::{
    Json,
    extract::{RawQuery, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use url::form_urlencoded;
use utoipa::ToSchema;

use super::super::{App, Problem, input::Named};
use crate::ledger::Ledger;

/// The log, and whom to trust about it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Log)]
pub(super) struct About {
    /// Its name in checkpoints.
    origin: String,
    /// What its checkpoints and proofs are checked with.
    log_key: String,
    /// How many events it has.
    size: u64,
    /// The root of the tree over them.
    root: String,
    /// Whom the daemon signs as.
    author: String,
    /// The subspace that the daemon signs in.
    sid: String,
    /// What this host is called in what the daemon signs.
    host: String,
}

/// A proof that the log of one size begins with the log of another.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConsistencyProof)]
pub(super) struct Consistency {
    old: u64,
    size: u64,
    /// The hashes of the proof, as RFC 6962 has them.
    proof: Vec<String>,
}

/// How far the log is, and what it is checked with.
#[utoipa::path(
    get, path = "/v1/log", tag = "ledger",
    responses(
        (status = 200, description = "the log", body = About),
        (status = 404, description = "this host keeps no log", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(State(app): State<App>) -> Result<Json<About>, Problem> {
    let ledger = app.ledger()?;
    let (size, root) = ledger.log().head();
    Ok(Json(About {
        origin: ledger.checkpoint_key().origin().to_owned(),
        log_key: ledger.checkpoint_key().public().to_owned(),
        size,
        root: root.to_string(),
        author: ledger::Author::lower(ledger.address()).to_string(),
        sid: Ledger::own_space().to_string(),
        host: ledger.host().to_owned(),
    }))
}

/// A proof that the log only grew.
#[utoipa::path(
    get, path = "/v1/log/consistency", tag = "ledger",
    params(
        ("old" = u64, Query, minimum = 1, description = "how many events the older checkpoint has"),
        ("size" = Option<u64>, Query, description = "how many events the younger one has; all, unless given"),
    ),
    responses(
        (status = 200, description = "the proof", body = Consistency),
        (status = 400, description = "sizes that cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "the log never had these sizes, or this host keeps none", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn consistency(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Json<Consistency>, Problem> {
    let ledger = app.ledger()?;
    let wrong = || {
        Problem::bad_request("the sizes cannot be read", "ask with old=<number> and perhaps size=<number>")
    };
    let (mut old, mut size) = (None, ledger.log().head().0);
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let number = value.parse().map_err(|_| wrong())?;
        match &*name {
            "old" => old = Some(number),
            "size" => size = number,
            _ => return Err(wrong()),
        }
    }
    let old = old.ok_or_else(wrong)?;
    let proof = ledger.read(move |ledger| ledger.log().consistency(old, size)).await;
    let proof = proof.map_err(|error| Problem::internal(&error))?.ok_or_else(|| {
        let (have, _) = ledger.log().head();
        Problem::new(StatusCode::NOT_FOUND, "no-such-size", "No such sizes")
            .detail(format!("the log never had {old} events and then {size}"))
            .remedy(format!("ask with 1 <= old <= size <= {have}"))
    })?;
    Ok(Json(Consistency { old, size, proof: proof.iter().map(ToString::to_string).collect() }))
}

/// The log's size and root, signed (C2SP tlog-checkpoint).
#[utoipa::path(
    get, path = "/checkpoint", tag = "ledger",
    responses(
        (status = 200, description = "a signed note", body = String, content_type = "text/plain"),
        (status = 404, description = "this host keeps no log", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn checkpoint(State(app): State<App>) -> Result<Response, Problem> {
    let ledger = app.ledger()?;
    let note = ledger.log().checkpoint(ledger.checkpoint_key());
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    Ok((headers, note).into_response())
}

/// A tile of the log's tree (C2SP tlog-tiles).
#[utoipa::path(
    get, path = "/tile/{path}", tag = "ledger",
    params(("path" = String, Path, description = "`<level>/<number>`, or `entries/<number>`, perhaps with `.p/<width>`")),
    responses(
        (status = 200, description = "the tile's bytes", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 404, description = "no such tile yet", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn tile(State(app): State<App>, Named(path): Named) -> Result<Response, Problem> {
    let ledger = app.ledger()?;
    let name = format!("tile/{path}");
    let bytes = ledger.read(move |ledger| ledger.log().tile(&name)).await;
    let bytes = bytes.map_err(|error| Problem::internal(&error))?.ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "no-such-tile", "No such tile")
            .detail("the tree has no such tile yet")
            .remedy("read /checkpoint for the size of the tree, and ask as C2SP tlog-tiles says")
    })?;
    // What a tile says never changes, a partial one's neither: it is asked for by its width.
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    Ok((headers, bytes).into_response())
}
