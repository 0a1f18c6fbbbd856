//! `/v1/sessions/{id}`: a session of conversations, from its start to its end, and how its parts are linked.

use std::collections::BTreeSet;

use axum::{Json, extract::RawQuery, http::StatusCode};
use ledger::{
    Accepted, Filter, Kind, StoreError,
    kinds::{self, Conversation, Interaction, Lifecycle, Link, Message, Session},
};
use serde::Serialize;
use serde_json::{Value, json};
use url::form_urlencoded;
use utoipa::ToSchema;

use super::{
    super::{Problem, input::Named},
    Place, Reader,
};

/// How many events of one session are shown.
const EVENTS_MAX: u64 = 1000;

/// A session.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(super) struct Course {
    session_id: String,
    sid: Option<String>,
    /// `unknown`, `open` or `closed`.
    #[schema(value_type = String)]
    stage: kinds::Stage,
    /// Its events in the log's order: the session's own and its conversations.
    events: Vec<Step>,
    /// Whether there are more events than are shown.
    is_cut: bool,
}

/// One event of a session.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionStep)]
struct Step {
    id: String,
    kind: u16,
    author: String,
    created_at: u64,
    position: Place,
    /// What its tags say.
    #[schema(value_type = Object)]
    says: Value,
    /// What is out of order about it, if anything is. It stands all the same.
    disorder: Option<String>,
    /// What was said.
    #[schema(value_type = Option<Vec<Object>>)]
    messages: Option<Vec<Message>>,
    /// Whether its hash is the one of its content: `verified`, `unverified` or `absent`.
    interaction: Option<&'static str>,
    /// The interactions that it names as coming before it.
    previous: Vec<Before>,
}

/// An interaction that another names as coming before it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionLink)]
struct Before {
    /// The event, or the name that leads to none.
    name: String,
    /// `verified`: nobody can have changed it since; `unverified`: only a name; `missing`: it did not come earlier.
    link: &'static str,
}

/// Whatever was found of a session.
enum Found {
    Nothing,
    /// Several subspaces have a session of this name.
    Several(BTreeSet<String>),
    One(Course),
}

/// A session of conversations.
#[utoipa::path(
    get, path = "/v1/sessions/{id}", tag = "ledger",
    params(
        ("id" = String, Path, description = "the session's name"),
        ("sid" = Option<String>, Query, description = "its subspace; needed if several have a session of this name"),
        ("at" = Option<u64>, Query, description = "as it was when the log had so many events"),
    ),
    responses(
        (status = 200, description = "the session", body = Course),
        (status = 400, description = "several subspaces have one, or a condition that cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "no such session", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    reader: Reader,
    Named(id): Named,
    RawQuery(query): RawQuery,
) -> Result<Json<Course>, Problem> {
    let (mut sid, mut at) = (None, None);
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*name {
            "sid" => sid = Some(value.into_owned()),
            // SQLite's numbers end there.
            "at" if value.parse::<i64>().is_ok_and(|it| it >= 0) => at = value.parse().ok(),
            _ => {
                let remedy = "it knows sid, and at, which is a number";
                return Err(Problem::bad_request("this page cannot be asked for that", remedy));
            }
        }
    }
    let name = id.clone();
    let found = reader.at(at).read(move |reader| course(reader, &name, sid.as_deref())).await;
    match found? {
        Found::One(course) => Ok(Json(course)),
        Found::Several(sids) => Err(Problem::bad_request(
            format!("several subspaces have a session {id}"),
            format!("ask with sid, one of {}", sids.into_iter().collect::<Vec<_>>().join(", ")),
        )),
        Found::Nothing => Err(Problem::new(StatusCode::NOT_FOUND, "no-such-session", "No such session")
            .detail(format!("the log has no session {id} that you may see"))
            .remedy("look at /v1/events?kind=30411 for those that there are")),
    }
}

fn course(reader: &Reader, id: &str, sid: Option<&str>) -> Result<Found, StoreError> {
    let mut filter = Filter::default().tag("session_id", id).limit(EVENTS_MAX + 1);
    if let Some(sid) = sid {
        filter = filter.tag("sid", sid);
    }
    let kinds = [Kind::SESSION, Kind::CONVERSATION].into_iter();
    filter.kinds = Some(kinds.filter(|it| reader.sees(*it)).collect());
    let stored = reader.find(filter)?;
    let mut events = stored.iter().map(ledger::Stored::event).collect::<Result<Vec<_>, _>>()?;
    let is_cut = events.len() as u64 > EVENTS_MAX;
    events.truncate(usize::try_from(EVENTS_MAX).unwrap_or(usize::MAX));
    events.sort_by_key(|it| it.at.seq);
    let sids: BTreeSet<String> =
        events.iter().map(|it| it.event.sid().map_or_else(String::new, ToString::to_string)).collect();
    if sids.len() > 1 {
        return Ok(Found::Several(sids.into_iter().take(20).collect()));
    }
    let Some(sid) = sids.into_iter().next() else { return Ok(Found::Nothing) };
    let (steps, lifecycle) = steps(&events);
    Ok(Found::One(Course {
        session_id: id.to_owned(),
        sid: Some(sid).filter(|it| !it.is_empty()),
        stage: lifecycle.stage(),
        events: steps,
        is_cut,
    }))
}

fn steps(events: &[Accepted]) -> (Vec<Step>, Lifecycle) {
    let conversations = events.iter().filter(|it| it.event.kind() == Kind::CONVERSATION);
    let mut links = kinds::chain(conversations.map(|it| &it.event)).links.into_iter();
    let mut lifecycle = Lifecycle::default();
    let mut steps = Vec::new();
    for accepted in events {
        let event = &accepted.event;
        let mut step = Step {
            id: event.id().to_string(),
            kind: event.kind().0,
            author: event.author().to_string(),
            created_at: event.created_at().0,
            position: Place::of(event.kind(), &accepted.at),
            says: Value::Null,
            disorder: None,
            messages: None,
            interaction: None,
            previous: Vec::new(),
        };
        if event.kind() == Kind::SESSION {
            let view = Session::read(event.tags());
            step.disorder = lifecycle.step(view.action.as_deref()).map(|it| it.to_string());
            step.says = json!(view);
        } else {
            let view = Conversation::read(event.tags());
            step.disorder = lifecycle.conversation().map(|it| it.to_string());
            step.interaction = Some(match view.interaction(event.content()) {
                Interaction::Verified => "verified",
                Interaction::Unverified => "unverified",
                Interaction::Absent => "absent",
            });
            step.says = json!(view);
            step.messages = Some(Conversation::messages(event.content()));
            step.previous = links.next().into_iter().flat_map(|it| it.1).map(before).collect();
        }
        steps.push(step);
    }
    (steps, lifecycle)
}

fn before(link: Link) -> Before {
    match link {
        Link::Verified(id) => Before { name: id.to_string(), link: "verified" },
        Link::Unverified(id) => Before { name: id.to_string(), link: "unverified" },
        Link::Missing(name) => Before { name, link: "missing" },
    }
}
