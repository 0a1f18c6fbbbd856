//! `POST /v1/events`: a signed event goes into the log. Its signature is the authority; no token is needed.

use axum::{Json, extract::State, http::StatusCode};
use ledger::{AppendError, Outcome, Refusal};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    super::{App, Problem, input::Written},
    Place,
};
use crate::{host::with_causes, ledger::PublishError};

/// What became of an event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Published)]
pub(super) struct Published {
    /// The id under which the log has it; another one than the event's own if its body was there already.
    id: String,
    /// Whether the log had it already.
    duplicate: bool,
    position: Place,
}

/// Puts a signed event into the log; the answer comes when it is on disk.
#[utoipa::path(
    post, path = "/v1/events", tag = "ledger",
    request_body(content = Object, content_type = "application/json", description = "an event: id, pubkey, created_at, kind, tags, content, sig"),
    responses(
        (status = 200, description = "it is in the log, now or already", body = Published),
        (status = 400, description = "it is no event, its signature does not hold, or it is not let in; the detail names the rule", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "this host keeps no log", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "the log has too much to write or cannot be written, or the lineage graph that the event is held against is still being read: come back", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn publish(
    State(app): State<App>,
    Written(body): Written,
) -> Result<Json<Published>, Problem> {
    let outcome = app.ledger()?.publish(body).await.map_err(problem)?;
    let (accepted, duplicate) = match outcome {
        Outcome::Accepted(it) => (it, false),
        Outcome::Duplicate(it) => (it, true),
        Outcome::Refused(why @ Refusal::NotYet(_)) => {
            return Err(Problem::graph_being_read(format!("{}: {why}", why.prefix())));
        }
        Outcome::Refused(why) => {
            return Err(refused(format!("{}: {why}", why.prefix())));
        }
    };
    let id = accepted.event.id().to_string();
    Ok(Json(Published { id, duplicate, position: Place::of(accepted.event.kind(), &accepted.at) }))
}

fn problem(error: PublishError) -> Problem {
    match error {
        PublishError::Claim(error) => refused(format!("invalid: {}", with_causes(&error))),
        PublishError::Append(error @ (AppendError::Busy | AppendError::Closed)) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "log-busy", "The event log is busy")
                .detail(error.to_string())
                .remedy("send the event again: it is stored once, however often it comes")
                .retry_after(1)
        }
        // Why the disk fails is for the operator, who is told once and not with every event.
        PublishError::Append(AppendError::Store(_)) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "log-fails", "The event log cannot be written")
                .detail("the event was not stored: the log of this daemon cannot be written at the moment")
                .remedy("send the event again: it is stored once, however often it comes")
                .retry_after(30)
        }
    }
}

fn refused(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "event-refused", "The event is not let in")
        .detail(detail)
        .remedy("mend the event and sign it again; `hallmark event verify` checks one before it is sent")
}
