//! `/v1/proposals`: proposals and the votes on them, as recorded. Nothing is counted out here.

use axum::{Json, extract::RawQuery};
use ledger::{
    Accepted, Filter, Kind, Query, StoreError,
    kinds::{Choice, Propose, Vote},
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    super::Problem,
    Reader,
    asked::{Asked, Found, NoPage, Pages},
    lists::Said,
};

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
    params(("proposal_id" = Option<String>, Query, description = "Of this name."), Pages),
    responses((status = 200, description = "a page", body = Page), NoPage),
)]
pub(super) async fn list(reader: Reader, RawQuery(query): RawQuery) -> Result<Json<Page>, Problem> {
    let asked = Asked::parse(query.as_deref(), &["sid", "author", "proposal_id"])?.kind(Kind::PROPOSE);
    let write = |reader: &Reader, found: Found| {
        let mut proposals = Vec::new();
        for stored in &found.events {
            let accepted = stored.event()?;
            let view = Propose::read(accepted.event.tags());
            let (votes, is_cut) = votes(reader, &accepted, &view)?;
            let is_conflict = is_conflict(reader, &accepted, &view)?;
            let more = json!({ "content": accepted.event.content() });
            let said = Said::of(stored, &accepted, json!(view), more);
            proposals.push(Proposal { said, is_conflict, votes, is_cut });
        }
        Ok(Page { proposals, next: found.next })
    };
    asked.page(reader, write).await
}

fn votes(reader: &Reader, proposal: &Accepted, view: &Propose) -> Result<(Vec<Ballot>, bool), StoreError> {
    let (Some(sid), true) = (proposal.event.sid(), reader.sees(Kind::VOTE)) else {
        return Ok((Vec::new(), false));
    };
    // A vote names the proposal, or the event that made it.
    let mut filter = Filter::default().kind(Kind::VOTE).tag("sid", sid.as_str()).limit(VOTES_MAX + 1);
    filter = filter.tag("proposal_id", &proposal.event.id().to_string());
    if let Some(id) = &view.proposal_id {
        filter = filter.tag("proposal_id", id);
    }
    let mut found = reader.find(filter)?;
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
        let standing = reader
            .ledger()
            .members()
            .read(|it, _| it.space(sid).and_then(|space| space.people.get(&author.address()).copied()));
        let is_member =
            standing.is_some_and(|it| it.rules == ledger::rules::Truth::True && it.since < stored.at.seq);
        let voter = author.to_string();
        ballots.push(Ballot { event: stored.id.to_string(), voter, choice, seq: stored.at.seq, is_member });
    }
    Ok((ballots, is_cut))
}

fn is_conflict(reader: &Reader, proposal: &Accepted, view: &Propose) -> Result<bool, StoreError> {
    let (Some(sid), Some(id)) = (proposal.event.sid(), &view.proposal_id) else { return Ok(false) };
    let filter = Filter::default().kind(Kind::PROPOSE).tag("sid", sid.as_str()).tag("proposal_id", id);
    let query = Query { filter: filter.limit(1), size: Some(proposal.at.seq), after: None };
    Ok(!reader.ledger().log().query(&query)?.is_empty())
}
