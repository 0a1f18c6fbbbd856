//! `POST /v1/lineage/evaluate`, `crawl`, `verify`: cards over the log.

use axum::{Json, extract::State};
use ledger::EventId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    super::{
        App, Problem,
        input::{Asked, Given, Nothing, event_id},
        sight::Sight,
    },
    look,
};
use crate::{
    ancestry::{self, Card, Trouble},
    ledger::Ledger,
};

/// What to evaluate.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EvaluateAsked {
    /// A card (see `hallmark schema item`), or `card`.
    #[schema(value_type = Object)]
    item: Option<Box<RawValue>>,
    /// The id of a card's event in the log.
    card: Option<String>,
    /// The model that judges; it may be left out with `card`, which finds its own.
    #[schema(value_type = Object)]
    model: Option<Box<RawValue>>,
    /// How many events of the log are visible; all, unless given.
    at: Option<u64>,
}

/// What came out. Everybody who evaluates the same card and model over the same events gets the same.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LineageEvaluation)]
pub(super) struct Evaluation {
    /// The evaluation in the form of the conformance vectors.
    #[schema(value_type = Object)]
    #[serde(rename = "evaluation")]
    line: Box<RawValue>,
    /// What is written into an UPDATE, if the card is an event of the log.
    #[schema(value_type = Option<Object>)]
    update: Option<Box<RawValue>>,
    /// The root of the log's tree at that point.
    root: String,
    /// The events that were visited, in the crawl's order.
    visited: Vec<String>,
}

/// What to crawl for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CrawlAsked {
    /// A card.
    #[schema(value_type = Object)]
    item: Option<Box<RawValue>>,
    /// How many events of the log are visible; all, unless given.
    at: Option<u64>,
}

/// What to do again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct VerifyAsked {
    /// The id of an UPDATE's event in the log.
    event: Option<String>,
    /// An UPDATE (see `hallmark schema update`), if it is not in the log.
    #[schema(value_type = Object)]
    update: Option<Box<RawValue>>,
}

/// What doing an UPDATE again gave.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LineageVerdict)]
pub(super) struct Verdict {
    /// Whether it is right, bit for bit.
    holds: bool,
    /// What differs, if anything does.
    why: Option<String>,
    /// The event of its card.
    item: String,
    /// Whether its author may change the card's value; if not, it is an attestation. Unknown for one that is no event.
    is_value: Option<bool>,
}

/// Evaluates a card over the log, within what a daemon allows.
#[utoipa::path(
    post, path = "/v1/lineage/evaluate", tag = "lineage", request_body = EvaluateAsked,
    responses(
        (status = 200, description = "what came out", body = Evaluation),
        (status = 400, description = "the card, the model or the events give no answer; the detail begins with the code", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "the card visits events that only the operator may see", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "this host keeps no log", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "the log is still being read, or the graph lacks something", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn evaluate(
    sight: Sight,
    Asked(Nothing {}): Asked<Nothing>,
    Given(asked): Given<EvaluateAsked>,
) -> Result<Json<Evaluation>, Problem> {
    let ledger = sight.ledger().clone();
    let id = asked.card.as_deref().map(event_id).transpose()?;
    let (item, model) = (asked.item.map(text), asked.model.map(text));
    match (&item, id, &model) {
        (Some(_), None, Some(_)) | (None, Some(_), _) => {}
        _ => {
            let remedy = "give `item` and `model`, or the id of a `card` in the log";
            return Err(Problem::bad_request("there is no card to evaluate, or two", remedy));
        }
    }
    let at = asked.at;
    let answer = look(&ledger, move |ledger| {
        let ancestry = ledger.ancestry();
        let card = match (id, item) {
            (Some(id), _) => ancestry.card(id)?,
            (None, item) => {
                let item = ::lineage::Item::admit(&item.unwrap_or_default())?;
                Card { item, author: String::new() }
            }
        };
        let seen = ancestry.point(at)?.seq;
        let model = match model {
            Some(text) => ::lineage::Model::read(&text)?,
            None => ancestry.model_of(&card, seen)?,
        };
        if !sight.is_operator() {
            ancestry.check_open(&card.item, Some(seen))?;
        }
        let asked = ancestry::Asked { item: &card.item, model: &model, at: Some(seen) };
        let evaluated = ancestry.evaluate(&asked)?;
        let update = id.map(|id| evaluated.update(&card.item, &id.to_string()).canonical());
        Ok((evaluated, update))
    });
    let (evaluated, update) = answer.await?;
    Ok(Json(Evaluation {
        line: raw(evaluated.evaluation.to_line())?,
        update: update.map(raw).transpose()?,
        root: format!("0x{}", evaluated.at.root),
        visited: evaluated.evaluation.visited,
    }))
}

/// Lists what a card visits.
#[utoipa::path(
    post, path = "/v1/lineage/crawl", tag = "lineage", request_body = CrawlAsked,
    responses(
        (status = 200, description = "the events in the crawl's order, why it ended, and what it cost", body = Object),
        (status = 400, description = "the card gives no answer; the detail begins with the code", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "the card visits events that only the operator may see", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "this host keeps no log", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "the log is still being read, or the graph lacks something", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn crawl(
    sight: Sight,
    Asked(Nothing {}): Asked<Nothing>,
    Given(asked): Given<CrawlAsked>,
) -> Result<Json<::lineage::Crawl>, Problem> {
    let ledger = sight.ledger().clone();
    let item = asked.item.map(text).unwrap_or_default();
    let at = asked.at;
    let crawled = look(&ledger, move |ledger| {
        let item = ::lineage::Item::admit(&item)?;
        let ancestry = ledger.ancestry();
        if !sight.is_operator() {
            ancestry.check_open(&item, at)?;
        }
        ancestry.crawl(&item, at)
    });
    Ok(Json(crawled.await?))
}

/// Does an UPDATE again, and says whether it is right, bit for bit.
#[utoipa::path(
    post, path = "/v1/lineage/verify", tag = "lineage", request_body = VerifyAsked,
    responses(
        (status = 200, description = "whether it is right", body = Verdict),
        (status = 400, description = "it is no UPDATE, or cannot be done again", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "this host keeps no log", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "the log is still being read, or the graph lacks something", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn verify(
    State(app): State<App>,
    Asked(Nothing {}): Asked<Nothing>,
    Given(asked): Given<VerifyAsked>,
) -> Result<Json<Verdict>, Problem> {
    let ledger = app.ledger()?;
    let verdict = match (asked.event, asked.update.map(text)) {
        (Some(event), None) => {
            let id = event_id(&event)?;
            look(ledger, move |ledger| of_event(ledger, id)).await?
        }
        (None, Some(update)) => look(ledger, move |ledger| of_text(ledger, &update)).await?,
        _ => {
            let remedy = "give the id of an `event`, or an `update`";
            return Err(Problem::bad_request("there is no UPDATE to verify, or two", remedy));
        }
    };
    Ok(Json(verdict))
}

fn of_event(ledger: &Ledger, id: EventId) -> Result<Verdict, Trouble> {
    let ancestry = ledger.ancestry();
    let (event, update) = ancestry.update_of(id)?;
    let card = card_of(ledger, update.item())?;
    let is_value = ::lineage::may_write(&card.item, &card.author, event.author().as_str()).is_ok();
    verdict(&update, ancestry.do_again(&event, &update), Some(is_value))
}

fn of_text(ledger: &Ledger, text: &str) -> Result<Verdict, Trouble> {
    let update = ::lineage::Update::read(text)?;
    let card = card_of(ledger, update.item())?;
    let id = EventId::parse(update.item()).map_err(|_| no_card(update.item()))?;
    verdict(&update, ledger.ancestry().repeat(id, &card, &update), None)
}

fn card_of(ledger: &Ledger, id: &str) -> Result<Card, Trouble> {
    ledger.ancestry().card(EventId::parse(id).map_err(|_| no_card(id))?)
}

fn no_card(id: &str) -> Trouble {
    ::lineage::Flaw::new(::lineage::Code::EItem, "/item", format!("the log has no card {id}")).into()
}

fn verdict(
    update: &::lineage::Update,
    again: Result<(), Trouble>,
    is_value: Option<bool>,
) -> Result<Verdict, Trouble> {
    let why = match again {
        Ok(()) => None,
        Err(Trouble::Flaw(flaw)) if flaw.code == ::lineage::Code::EMismatch => Some(flaw.to_string()),
        Err(trouble) => return Err(trouble),
    };
    Ok(Verdict { holds: why.is_none(), why, item: update.item().to_owned(), is_value })
}

fn text(raw: Box<RawValue>) -> String {
    Box::<str>::from(raw).into()
}

fn raw(json: String) -> Result<Box<RawValue>, Problem> {
    RawValue::from_string(json).map_err(|error| Problem::internal(&error.into()))
}
