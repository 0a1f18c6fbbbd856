//! `GET /v1/events`, `/v1/events/{id}` and its proof.

use axum::{
    Extension, Json,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    super::{App, Problem, guard::Peer, input::Named},
    Item, Sight,
    asked::Asked,
    event_id, no_such_event,
};

/// A page of events, the newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventPage)]
pub(super) struct Page {
    events: Vec<Item>,
    /// The `cursor` of the next page, if there is one.
    next: Option<String>,
}

/// Events that are asked for by their parts, the newest first.
#[utoipa::path(
    get, path = "/v1/events", tag = "ledger",
    params(
        ("kind" = Option<u16>, Query, maximum = 65535, description = "of this kind; several times for one of several"),
        ("author" = Option<String>, Query, pattern = "^(0x)?[0-9A-Fa-f]{40}$", description = "by this address; several times for one of several"),
        ("id" = Option<String>, Query, pattern = "^[0-9a-f]{64}$", description = "with this id; several times for one of several"),
        ("sid" = Option<String>, Query, description = "in this subspace; `tag.<name>` asks likewise for any tag's first value"),
        ("since" = Option<u64>, Query, description = "signed not before this second"),
        ("until" = Option<u64>, Query, description = "signed not after this second"),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 500, description = "how many; 100 unless given"),
        ("cursor" = Option<String>, Query, pattern = "^[0-9]{1,15}-[0-9a-f]{64}$", description = "the next page: what the one before gave as `next`"),
    ),
    responses(
        (status = 200, description = "a page of events", body = Page),
        (status = 400, description = "a condition that cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "this host keeps no log", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let names = ["kind", "author", "id", "sid", "since", "until", "tag.*"];
    let (ledger, sight) = (app.ledger()?, Sight::of(&app, peer, &headers));
    let asked = Asked::parse(query.as_deref(), &names)?;
    let read = move |ledger: &crate::ledger::Ledger| {
        let found = asked.find(ledger, sight)?;
        let events = found.events.iter().map(Item::of).collect::<Result<_, _>>()?;
        Ok(Page { events, next: found.next })
    };
    let page = ledger.read(read).await.map_err(|error| Problem::internal(&error))?;
    Ok(Json(page).into_response())
}

/// One event, and where the log has it.
#[utoipa::path(
    get, path = "/v1/events/{id}", tag = "ledger",
    params(("id" = String, Path, description = "the event's id", pattern = "^[0-9a-f]{64}$")),
    responses(
        (status = 200, description = "the event", body = Item),
        (status = 400, description = "not an id", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "no such event", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    State(app): State<App>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    Named(id): Named,
) -> Result<Json<Item>, Problem> {
    let (ledger, sight, id) = (app.ledger()?, Sight::of(&app, peer, &headers), event_id(&id)?);
    let read = move |ledger: &crate::ledger::Ledger| {
        let found = ledger.log().by_id(id)?.filter(|it| sight.sees(ledger, it.kind));
        found.as_ref().map(Item::of).transpose()
    };
    let item = ledger.read(read).await.map_err(|error| Problem::internal(&error))?;
    item.map(Json).ok_or_else(|| no_such_event(id))
}

/// A proof that the log has an event: anybody can check it with the log's public key and no log at hand.
#[utoipa::path(
    get, path = "/v1/events/{id}/proof", tag = "ledger",
    params(("id" = String, Path, description = "the event's id", pattern = "^[0-9a-f]{64}$")),
    responses(
        (status = 200, description = "a proof bundle: event, leaf, path to the root, signed checkpoint", body = Object),
        (status = 400, description = "not an id", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "no such event", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn prove(
    State(app): State<App>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    Named(id): Named,
) -> Result<Response, Problem> {
    let (ledger, sight, id) = (app.ledger()?, Sight::of(&app, peer, &headers), event_id(&id)?);
    let read = move |ledger: &crate::ledger::Ledger| {
        if ledger.log().by_id(id)?.is_none_or(|it| !sight.sees(ledger, it.kind)) {
            return Ok(None);
        }
        ledger.log().prove(id, ledger.checkpoint_key())
    };
    let bundle = ledger.read(read).await.map_err(|error| Problem::internal(&error))?;
    let bundle = bundle.ok_or_else(|| no_such_event(id))?;
    let json = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, json)], bundle.to_json()).into_response())
}
