//! `GET /v1/lineage/cards/{id}`: a card of the log and what stands of it.

use axum::{Json, http::StatusCode};
use ledger::EventId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    super::{
        Problem,
        input::{Asked, Named, Nothing, event_id},
        sight::Sight,
    },
    look,
};
use crate::{
    ancestry::{Card, Trouble},
    ledger::Ledger,
};

/// A card of the log: what it asks, its value, and who else found the same.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = LineageCard)]
pub(crate) struct CardView {
    /// The id of its event.
    pub(crate) event: String,
    /// Who signed it.
    pub(crate) author: String,
    /// The name that its author gave it.
    pub(crate) name: Option<String>,
    /// Its job's name.
    pub(crate) jid: String,
    /// The model that judges.
    pub(crate) model: String,
    /// What names all that it asks.
    pub(crate) item_hash: String,
    /// The UPDATE that counts: of those by someone who may change the value, the one at the highest sequence.
    pub(crate) value: Option<ValueView>,
    /// Right UPDATEs by others, those at the highest sequences first, up to a hundred. They change nothing.
    pub(crate) attestations: Vec<AttestationView>,
    /// How many of those there are.
    pub(crate) attestation_count: u64,
}

/// A card's value.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = LineageValue)]
pub(crate) struct ValueView {
    /// The id of the UPDATE's event.
    pub(crate) event: String,
    /// Who signed it.
    pub(crate) author: String,
    /// How many events of the log were visible to it.
    pub(crate) seq: u64,
    /// The root of the log's tree at that point.
    pub(crate) root: String,
    /// Score, label and action, under the keys that the card gives them.
    #[schema(value_type = Object)]
    pub(crate) result: Box<RawValue>,
    /// The whole UPDATE.
    #[schema(value_type = Object)]
    pub(crate) update: Box<RawValue>,
}

/// Somebody found the same.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = LineageAttestation)]
pub(crate) struct AttestationView {
    /// The id of the UPDATE's event.
    pub(crate) event: String,
    /// Who signed it.
    pub(crate) author: String,
    /// How many events of the log were visible to it.
    pub(crate) seq: u64,
}

/// A card of the log, its value now, and who else found the same.
#[utoipa::path(
    get, path = "/v1/lineage/cards/{id}", tag = "lineage",
    params(("id" = String, Path, pattern = "^[0-9a-f]{64}$", description = "the id of the card's event")),
    responses(
        (status = 200, description = "what stands of it", body = CardView),
        (status = 400, description = "that is no event's id", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "the log has no such card, or this host keeps no log", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "the log is still being read, or the graph lacks something", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    sight: Sight,
    Named(id): Named,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<CardView>, Problem> {
    let ledger = sight.ledger().clone();
    let id = event_id(&id)?;
    let is_open = [::lineage::CARD, ::lineage::VALIDATION].iter().all(|it| sight.sees_number(*it));
    let seen = if is_open { look(&ledger, move |ledger| view(ledger, id)).await? } else { None };
    let unknown = || {
        Problem::new(StatusCode::NOT_FOUND, "no-such-card", "The log has no such card")
            .detail(format!("no card {id} is in the log, or it is for the operator alone"))
            .remedy("look at /v1/events?kind=30406 for what there is; a card has compute_type lineage")
    };
    seen.map(Json).ok_or_else(unknown)
}

fn view(ledger: &Ledger, id: EventId) -> Result<Option<CardView>, Trouble> {
    let ancestry = ledger.ancestry();
    let Some(standing) = ancestry.standing(id)? else { return Ok(None) };
    let Card { item, author } = ancestry.card(id)?;
    let value = standing.current().map(|it| value(ledger, &it.event)).transpose()?;
    let attestation = |it: &::lineage::Written| AttestationView {
        event: it.event.clone(),
        author: it.author.clone(),
        seq: it.seq,
    };
    Ok(Some(CardView {
        event: id.to_string(),
        author,
        name: item.id.clone(),
        jid: item.job.id.clone(),
        model: item.job.model.to_string(),
        item_hash: item.hash_text(),
        value,
        attestations: standing.attestations().map(attestation).collect(),
        attestation_count: standing.attestation_count(),
    }))
}

fn value(ledger: &Ledger, event: &str) -> Result<ValueView, Trouble> {
    let unknown =
        || ::lineage::Flaw::new(::lineage::Code::EMismatch, "", format!("the log has no UPDATE {event}"));
    let id = EventId::parse(event).map_err(|_| unknown())?;
    let (event, update) = ledger.ancestry().update_of(id)?;
    let raw = |text: String| RawValue::from_string(text).map_err(|_| unknown());
    let result = update.result().map_or_else(|| "null".to_owned(), ::lineage::json::Json::canonical);
    Ok(ValueView {
        event: id.to_string(),
        author: event.author().as_str().to_owned(),
        seq: update.seq(),
        root: update.root().to_owned(),
        result: raw(result)?,
        update: raw(update.canonical())?,
    })
}
