//! `/v1/subspaces`: their clocks, who made them, who is in them, and the chain that an auditor walks.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{RawQuery, State},
    http::StatusCode,
};
use ledger::{Author, Sid, kinds::Subspace, log::SpaceView, rules::Truth, subspace::Space};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    super::{App, Problem, input::Named},
    asked::numbers,
};
use crate::ledger::Ledger;

/// How many subspaces, members or leaves one answer has.
const LIMIT_MAX: u64 = 500;
/// How far back the clock of a subspace is counted event by event.
const PAST_MAX: u64 = 100_000;

/// A page of subspaces, in the order in which they were first named.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubspacePage)]
pub(super) struct Page {
    subspaces: Vec<Brief>,
    /// The `after` of the next page, if there is one.
    next: Option<u64>,
}

/// A subspace in short.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubspaceBrief)]
struct Brief {
    /// Its number in this log.
    no: u64,
    sid: String,
    /// Whether the sid is a digest of the subspace's own tags, which was checked, and not a symbol.
    is_verified: bool,
    /// Its name, if somebody made it.
    name: Option<String>,
    /// Who made it.
    creator: Option<String>,
    /// The event that made it: the safe name for it.
    genesis: Option<String>,
    /// How many events it has.
    tick: u64,
}

/// A subspace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Subspace)]
pub(super) struct Whole {
    #[serde(flatten)]
    brief: Brief,
    /// After how many events of the log this is.
    at: u64,
    /// How many events of each kind it has.
    clock: BTreeMap<String, u64>,
    category: Option<String>,
    /// What it takes to join, as written.
    rules: Option<String>,
    /// The kinds that it declares, by name.
    ops: BTreeMap<String, u16>,
    /// What could not be read of what it declares.
    flaws: Vec<String>,
    /// Who is in it, or asked to be.
    people: Vec<Person>,
    /// How many people are not listed here.
    people_left_out: u64,
}

/// Somebody in a subspace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubspacePerson)]
struct Person {
    address: String,
    /// `member`; `pending` if nobody knows whether the rules hold; `refused` if they do not.
    standing: &'static str,
    /// Since which place in the log.
    since: u64,
}

/// The leaves of a subspace, the newest first. Each names the hash of the one before it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubspaceChain)]
pub(super) struct Links {
    /// Each leaf in its one byte form, as the tree has it.
    leaves: Vec<String>,
    /// The `at` of the next page, until the first event.
    next: Option<u64>,
}

/// Subspaces in the order in which they were first named.
#[utoipa::path(
    get, path = "/v1/subspaces", tag = "ledger",
    params(
        ("after" = Option<u64>, Query, description = "behind this number"),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 500, description = "how many; 100 unless given"),
    ),
    responses(
        (status = 200, description = "a page of subspaces", body = Page),
        (status = 400, description = "a condition that cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "this host keeps no log", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Json<Page>, Problem> {
    let asked = numbers(query.as_deref(), &["after", "limit"])?;
    let (after, limit) = (asked.get("after").copied().unwrap_or(0), limit(&asked)?);
    let read = move |ledger: &Ledger| {
        let views = ledger.log().spaces(after, limit)?;
        let next = (views.len() as u64 == limit).then(|| views.last().map(|it| it.no)).flatten();
        // What is outside of any subspace is counted too, and is none.
        let subspaces = views.iter().filter(|it| it.sid.is_some());
        Ok(Page { subspaces: subspaces.map(|it| brief(ledger, it)).collect(), next })
    };
    app.ledger()?.read(read).await.map(Json).map_err(|error| Problem::internal(&error))
}

/// A subspace: its clock, who made it, who is in it.
#[utoipa::path(
    get, path = "/v1/subspaces/{id}", tag = "ledger",
    params(
        ("id" = String, Path, description = "the sid: `0x` and 64 hex digits, or a symbol", min_length = 1, max_length = 128),
        ("at" = Option<u64>, Query, description = "as it was when the log had so many events"),
    ),
    responses(
        (status = 200, description = "the subspace", body = Whole),
        (status = 400, description = "a condition that cannot be read, or too far back", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "no such subspace", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    State(app): State<App>,
    Named(sid): Named,
    RawQuery(query): RawQuery,
) -> Result<Json<Whole>, Problem> {
    let ledger = app.ledger()?;
    let asked = numbers(query.as_deref(), &["at"])?;
    let (name, sid) = (sid.clone(), parse(&sid)?);
    let size = ledger.log().head().0;
    let at = asked.get("at").copied();
    if at.is_some_and(|it| size.saturating_sub(it) > PAST_MAX) {
        return Err(Problem::bad_request(
            format!("that is more than {PAST_MAX} events back"),
            "the leaves of its /chain have the clock at every event",
        ));
    }
    let read = move |ledger: &Ledger| {
        let view = ledger.log().space(Some(&sid), at)?;
        Ok(view.map(|it| whole(ledger, &it, at.unwrap_or(size).min(size))))
    };
    let found = ledger.read(read).await.map_err(|error| Problem::internal(&error))?;
    found.map(Json).ok_or_else(|| no_such_space(&name))
}

/// The chain of a subspace, from its newest event back to the one that made it.
#[utoipa::path(
    get, path = "/v1/subspaces/{id}/chain", tag = "ledger",
    params(
        ("id" = String, Path, description = "the sid: `0x` and 64 hex digits, or a symbol", min_length = 1, max_length = 128),
        ("at" = Option<u64>, Query, description = "from this place in the log back; what the page before gave as `next`"),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 500, description = "how many; 100 unless given"),
    ),
    responses(
        (status = 200, description = "leaves, the newest first", body = Links),
        (status = 400, description = "a condition that cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "no such subspace", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn chain(
    State(app): State<App>,
    Named(sid): Named,
    RawQuery(query): RawQuery,
) -> Result<Json<Links>, Problem> {
    let asked = numbers(query.as_deref(), &["at", "limit"])?;
    let (name, sid) = (sid.clone(), parse(&sid)?);
    let (at, limit) = (asked.get("at").copied(), limit(&asked)?);
    let read = move |ledger: &Ledger| {
        ledger.log().chain(Some(&sid), at, usize::try_from(limit).unwrap_or(usize::MAX))
    };
    let found = app.ledger()?.read(read).await;
    let (leaves, next) = found.map_err(|error| Problem::internal(&error))?;
    if leaves.is_empty() {
        return Err(no_such_space(&name));
    }
    let leaves = leaves.iter().map(|it| String::from_utf8_lossy(&it.to_bytes()).into_owned());
    Ok(Json(Links { leaves: leaves.collect(), next }))
}

fn brief(ledger: &Ledger, view: &SpaceView) -> Brief {
    let sid = view.sid.clone();
    let genesis = sid
        .as_ref()
        .and_then(|sid| ledger.members().read(|it, _| it.space(sid).and_then(|space| space.genesis.clone())));
    Brief {
        no: view.no,
        sid: sid.map_or_else(String::new, |it| it.to_string()),
        is_verified: view.is_verified,
        name: genesis.as_ref().and_then(|it| it.name.clone()),
        creator: genesis.as_ref().map(|it| Author::lower(it.creator).to_string()),
        genesis: genesis.map(|it| it.event.to_string()),
        tick: view.tick,
    }
}

fn whole(ledger: &Ledger, view: &SpaceView, at: u64) -> Whole {
    let space = view.sid.as_ref().and_then(|sid| ledger.members().read(|it, _| it.space(sid).cloned()));
    let mut brief = brief(ledger, view);
    // What came after that moment had not happened yet.
    let genesis = space.as_ref().and_then(|it| it.genesis.clone()).filter(|it| it.seq < at);
    if genesis.is_none() {
        (brief.name, brief.creator, brief.genesis) = (None, None, None);
    }
    let declared =
        Subspace { ops: genesis.as_ref().and_then(|it| it.ops.clone()), ..Subspace::default() }.declared();
    let (people, people_left_out) = people(space.as_ref(), at);
    Whole {
        brief,
        at,
        clock: view.clock.iter().map(|(kind, n)| (kind.to_string(), *n)).collect(),
        category: genesis.as_ref().and_then(|it| it.category.clone()),
        rules: genesis.and_then(|it| it.rules),
        ops: declared.kinds.into_iter().map(|(name, kind)| (name, kind.0)).collect(),
        flaws: declared.flaws,
        people,
        people_left_out,
    }
}

fn people(space: Option<&Space>, at: u64) -> (Vec<Person>, u64) {
    let there = || space.into_iter().flat_map(|it| &it.people).filter(|it| it.1.since < at);
    let people = there().take(usize::try_from(LIMIT_MAX).unwrap_or(usize::MAX)).map(|(address, standing)| {
        let word = match standing.rules {
            Truth::True => "member",
            Truth::Unknown => "pending",
            Truth::False => "refused",
        };
        Person { address: Author::lower(*address).to_string(), standing: word, since: standing.since }
    });
    let people = people.collect::<Vec<_>>();
    let left_out = (there().count() - people.len()) as u64;
    (people, left_out)
}

fn parse(sid: &str) -> Result<Sid, Problem> {
    Sid::parse(sid)
        .map_err(|error| Problem::bad_request(error.to_string(), "look at /v1/subspaces for the sids"))
}

fn no_such_space(sid: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no-such-subspace", "No such subspace")
        .detail(format!("no event of the log names the subspace {sid}"))
        .remedy("look at /v1/subspaces for those that there are")
}

fn limit(asked: &BTreeMap<String, u64>) -> Result<u64, Problem> {
    let limit = asked.get("limit").copied().unwrap_or(100);
    if (1..=LIMIT_MAX).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::bad_request(
        format!("limit={limit} cannot be answered"),
        format!("limit is a number from 1 to {LIMIT_MAX}"),
    ))
}
