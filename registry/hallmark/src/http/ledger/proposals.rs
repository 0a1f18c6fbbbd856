//! `/v1/proposals`: proposals and the votes on them, as recorded. Nothing is counted out here.

use axum::{
    Extension, Json,
    extract::{RawQuery, State},
    http::HeaderMap,
};
use ledger::{
    Accepted, Filter, Kind, Query, StoreError,
    kinds::{Choice, Propose, Vote},
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    super::{App, Problem, guard::Peer},
    Sight,
    asked::Asked,
    lists::Said,
};
use crate::ledger::Ledger;

/// How many votes are listed with a proposal.
const VOTES_MAX: u64 = 500;

/// A page of proposals, the newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProposalPage)]
pub(super) struct Page {
    proposals: Vec<Proposal>,
    /// The `cursor` of the next page, if there is one.
    next: Option<String>,
}

/// A proposal.
#[derive(Debug, Serialize, ToSchema)]
struct Proposal {
    #[serde(flatten)]
    said: Said,
    /// Whether an earlier proposal of this subspace has the same name: then this one has no effect.
    is_conflict: bool,
    /// The votes that name it, in the log's order.
    votes: Vec<Ballot>,
    /// Whether there are more votes than are listed.
    is_cut: bool,
}

/// A vote, as recorded.
#[derive(Debug, Serialize, ToSchema)]
struct Ballot {
    event: String,
    voter: String,
    /// `yes`, `no` or `abstain`.
    choice: &'static str,
    /// Its place in the log.
    seq: u64,
    /// Whether the voter was a member of the subspace by then.
    is_member: bool,
}

/// Proposals and the votes on them, as recorded.
#[utoipa::path(
    get, path = "/v1/proposals", tag = "ledger",
    params(
        ("sid" = Option<String>, Query, description = "in this subspace"),
        ("author" = Option<String>, Query, pattern = "^(0x)?[0-9A-Fa-f]{40}$", description = "by this address"),
        ("proposal_id" = Option<String>, Query, description = "of this name"),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 500, description = "how many; 100 unless given"),
        ("cursor" = Option<String>, Query, pattern = "^[0-9]{1,15}-[0-9a-f]{64}$", description = "the next page"),
    ),
    responses(
        (status = 200, description = "a page", body = Page),
        (status = 400, description = "a condition that cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "this host keeps no log", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Json<Page>, Problem> {
    let (ledger, sight) = (app.ledger()?, Sight::of(&app, peer, &headers));
    let asked = Asked::parse(query.as_deref(), &["sid", "author", "proposal_id"])?.kind(Kind::PROPOSE);
    let read = move |ledger: &Ledger| {
        let found = asked.find(ledger, sight)?;
        let mut proposals = Vec::new();
        for stored in &found.events {
            let accepted = stored.event()?;
            let view = Propose::read(accepted.event.tags());
            let (votes, is_cut) = votes(ledger, sight, &accepted, &view)?;
            let is_conflict = is_conflict(ledger, &accepted, &view)?;
            let more = json!({ "content": accepted.event.content() });
            let said = Said::of(stored, &accepted, json!(view), more);
            proposals.push(Proposal { said, is_conflict, votes, is_cut });
        }
        Ok(Page { proposals, next: found.next })
    };
    ledger.read(read).await.map(Json).map_err(|error| Problem::internal(&error))
}

fn votes(
    ledger: &Ledger,
    sight: Sight,
    proposal: &Accepted,
    view: &Propose,
) -> Result<(Vec<Ballot>, bool), StoreError> {
    let (Some(sid), true) = (proposal.event.sid(), sight.sees(ledger, Kind::VOTE)) else {
        return Ok((Vec::new(), false));
    };
    // A vote names the proposal, or the event that made it.
    let mut filter = Filter::default().kind(Kind::VOTE).tag("sid", sid.as_str()).limit(VOTES_MAX + 1);
    filter = filter.tag("proposal_id", &proposal.event.id().to_string());
    if let Some(id) = &view.proposal_id {
        filter = filter.tag("proposal_id", id);
    }
    let mut found = ledger.log().query(&Query { filter, ..Query::default() })?;
    let is_cut = found.len() as u64 > VOTES_MAX;
    found.truncate(usize::try_from(VOTES_MAX).unwrap_or(usize::MAX));
    found.sort_by_key(|it| it.at.seq);
    let mut ballots = Vec::new();
    for stored in found {
        let accepted = stored.event()?;
        let choice = match Vote::read(accepted.event.tags()).choice() {
            Choice::Yes => "yes",
            Choice::No => "no",
            Choice::Abstain => "abstain",
        };
        let author = accepted.event.author();
        let standing = ledger
            .members()
            .read(|it, _| it.space(&sid).and_then(|space| space.people.get(&author.address()).copied()));
        let is_member =
            standing.is_some_and(|it| it.rules == ledger::rules::Truth::True && it.since < stored.at.seq);
        let voter = author.to_string();
        ballots.push(Ballot { event: stored.id.to_string(), voter, choice, seq: stored.at.seq, is_member });
    }
    Ok((ballots, is_cut))
}

fn is_conflict(ledger: &Ledger, proposal: &Accepted, view: &Propose) -> Result<bool, StoreError> {
    let (Some(sid), Some(id)) = (proposal.event.sid(), &view.proposal_id) else { return Ok(false) };
    let filter = Filter::default().kind(Kind::PROPOSE).tag("sid", sid.as_str()).tag("proposal_id", id);
    let query = Query { filter: filter.limit(1), size: Some(proposal.at.seq), after: None };
    Ok(!ledger.log().query(&query)?.is_empty())
}
