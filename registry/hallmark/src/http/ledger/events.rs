//! `GET /v1/events`, `/v1/events/{id}` and its proof.

use axum::{
    Json,
    extract::RawQuery,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    super::{
        Problem,
        input::{Named, event_id},
    },
    Item, Reader,
    asked::{Asked, Found, NoPage, Pages},
    no_such_event,
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
        ("kind" = Option<u16>, Query, maximum = 65535, description = "Of this kind; several times for one of several, as `author`, `id` and `sid`. `tag.<name>` asks likewise for any tag's first value."),
        ("id" = Option<String>, Query, pattern = "^[0-9a-f]{64}$", description = "With this id."),
        ("since" = Option<u64>, Query, description = "Signed not before this second."),
        ("until" = Option<u64>, Query, description = "Signed not after this second."),
        Pages,
    ),
    responses((status = 200, description = "a page of events", body = Page), NoPage),
)]
pub(super) async fn list(reader: Reader, RawQuery(query): RawQuery) -> Result<Json<Page>, Problem> {
    let names = ["kind", "author", "id", "sid", "since", "until", "tag.*"];
    let asked = Asked::parse(query.as_deref(), &names)?;
    let write = |_: &Reader, found: Found| {
        let events = found.events.iter().map(Item::of).collect::<Result<_, _>>()?;
        Ok(Page { events, next: found.next })
    };
    asked.page(reader, write).await
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
pub(super) async fn show(reader: Reader, Named(id): Named) -> Result<Json<Item>, Problem> {
    let id = event_id(&id)?;
    let item = reader.read(move |reader| {
        let found = reader.ledger().log().by_id(id)?.filter(|it| reader.sees(it.kind));
        found.as_ref().map(Item::of).transpose()
    });
    item.await?.map(Json).ok_or_else(|| no_such_event(id))
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
pub(super) async fn prove(reader: Reader, Named(id): Named) -> Result<Response, Problem> {
    let id = event_id(&id)?;
    let bundle = reader.read(move |reader| {
        let ledger = reader.ledger();
        if ledger.log().by_id(id)?.is_none_or(|it| !reader.sees(it.kind)) {
            return Ok(None);
        }
        ledger.log().prove(id, ledger.checkpoint_key())
    });
    let bundle = bundle.await?.ok_or_else(|| no_such_event(id))?;
    let json = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, json)], bundle.to_json()).into_response())
}
