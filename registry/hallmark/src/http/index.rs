//! `/v1/index`, `/v1/index/status`, `/v1/schema`: the document in force, what the last look at it found, and what it
//! is held to.

use std::sync::Arc;

use axum::{Json, extract::State, response::Response};
use base::{CommitId, Sha256, UnixSeconds};
use bytes::Bytes;
use catalog::{
    Flaw, Index, Report,
    follow::{Look, Origin, Tracking},
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    App, Problem, fresh,
    input::{Asked, Held, Nothing},
};
use crate::{host::with_causes, world::World};

/// How many flaws are listed; `hallmark validate` lists more.
const FLAWS_MAX: usize = 100;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(document)).routes(routes!(status)).routes(routes!(schema))
}

/// The text of an index, sent from where it stands.
struct Text(Arc<Index>);

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.0.text().as_bytes()
    }
}

/// Returns the index in force, as it stands in the file.
#[utoipa::path(
    get, path = "/v1/index", tag = "index",
    responses(
        (status = OK, description = "The document", body = Object, content_type = "application/json", headers(
            ("ETag" = String, description = "The sha256 of the document"),
        )),
        (status = NOT_MODIFIED, description = "The document has the tag that `If-None-Match` names"),
        (status = SERVICE_UNAVAILABLE, description = "No index is in force", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
async fn document(
    State(app): State<App>,
    Asked(Nothing {}): Asked<Nothing>,
    held: Held,
) -> Result<Response, Problem> {
    let world = app.world();
    let index = world.index().ok_or_else(Problem::no_index)?;
    let etag = fresh::etag(&index.digest());
    Ok(fresh::json(&held, &Bytes::from_owner(Text(Arc::clone(index))), &etag))
}

/// Returns the JSON Schema that the index is held to.
#[utoipa::path(
    get, path = "/v1/schema", tag = "index",
    responses(
        (status = OK, description = "The schema", body = Object, content_type = "application/json", headers(
            ("ETag" = String, description = "The sha256 of the schema"),
        )),
        (status = NOT_MODIFIED, description = "The schema has the tag that `If-None-Match` names"),
    ),
)]
async fn schema(State(app): State<App>, Asked(Nothing {}): Asked<Nothing>, held: Held) -> Response {
    let text = app.world().schema.clone();
    let etag = fresh::etag(&Sha256::of(&text));
    fresh::json(&held, &text, &etag)
}

/// Returns what is in force, and what the last look at the index found.
#[utoipa::path(
    get, path = "/v1/index/status", tag = "index",
    responses((status = OK, description = "How the index stands", body = IndexStatus)),
)]
async fn status(State(app): State<App>, Asked(Nothing {}): Asked<Nothing>) -> Json<IndexStatus> {
    Json(IndexStatus::of(&app.world()))
}

/// How the index stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct IndexStatus {
    /// Where it lives, as the config names it.
    location: String,
    /// What an operator should look at now, in one sentence; null if all is well.
    warning: Option<String>,
    /// What is in force.
    in_force: Option<InForce>,
    /// What the last look found.
    last_look: LastLook,
    /// How many times the document was read anew.
    reloads: u64,
    /// How changes are noticed.
    tracking: TrackingView,
    /// Why the last config was not taken; null if it was.
    config_trouble: Option<String>,
}

/// The document in force.
#[derive(Debug, Serialize, ToSchema)]
struct InForce {
    /// The digest of its bytes.
    #[schema(value_type = String)]
    digest: Sha256,
    /// When it came into force, in seconds since 1970.
    #[schema(value_type = u64)]
    since: UnixSeconds,
    /// How many entries it has.
    models: usize,
    /// Where in a repository it comes from; null for a file.
    commit: Option<CommitView>,
}

/// A commit of the repository that the index lives in.
#[derive(Debug, Serialize, ToSchema)]
struct CommitView {
    #[schema(value_type = String)]
    id: CommitId,
    branch: String,
    path: String,
    #[schema(value_type = u64)]
    committed_at: UnixSeconds,
}

/// What the last look at the index found.
#[derive(Debug, Serialize, ToSchema)]
struct LastLook {
    outcome: Outcome,
    /// When it was, in seconds since 1970.
    #[schema(value_type = u64)]
    looked_at: UnixSeconds,
    /// Why nothing could be read; null if something was.
    error: Option<String>,
    /// How many errors there are.
    errors: usize,
    /// How many warnings there are.
    warnings: usize,
    /// The first of them, as `hallmark validate --format json` shows them.
    #[schema(value_type = Vec<Object>, max_items = 100)]
    flaws: Vec<Flaw>,
    /// How many are not listed.
    left_out: usize,
}

/// How a look ended.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    /// What was read holds, and is in force.
    Good,
    /// What was read does not hold; the last good one stays in force.
    Bad,
    /// Nothing could be read; the last good one stays in force.
    Unreadable,
}

/// How changes are noticed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "by", rename_all = "lowercase")]
enum TrackingView {
    /// The kernel tells.
    Events,
    /// The file is looked at again and again.
    Polling {
        /// Why the kernel cannot tell.
        why: String,
    },
    /// The repository is asked on an interval.
    Fetching { every_seconds: u64 },
}

impl IndexStatus {
    fn of(world: &World) -> Self {
        let catalog = &world.catalog;
        let in_force = catalog.good.as_ref().map(|good| InForce {
            digest: good.digest,
            since: good.since,
            models: good.value.entries().len(),
            commit: match &good.origin {
                Origin::File => None,
                Origin::Commit(it) => Some(CommitView {
                    id: it.commit,
                    branch: it.branch.clone(),
                    path: it.path.clone(),
                    committed_at: it.committed_at,
                }),
            },
        });
        let none = Report::default();
        let (outcome, error, report) = match &catalog.look {
            Look::Good(report) => (Outcome::Good, None, report.as_ref()),
            Look::Bad { report, .. } => (Outcome::Bad, None, report.as_ref()),
            Look::Failed(error) => (Outcome::Unreadable, Some(with_causes(error.as_ref())), &none),
        };
        let flaws = report.flaws.iter().take(FLAWS_MAX).cloned().collect::<Vec<_>>();
        let left_out = report.errors + report.warnings - flaws.len();
        let last_look = LastLook {
            outcome,
            looked_at: catalog.looked_at,
            error,
            errors: report.errors,
            warnings: report.warnings,
            flaws,
            left_out,
        };
        let tracking = match &catalog.tracking {
            Tracking::Events => TrackingView::Events,
            Tracking::Polling { why } => TrackingView::Polling { why: why.clone() },
            Tracking::Fetching { every } => TrackingView::Fetching { every_seconds: every.as_secs() },
        };
        Self {
            location: world.location.clone(),
            warning: warning(outcome, in_force.is_some()),
            in_force,
            last_look,
            reloads: catalog.reloads,
            tracking,
            config_trouble: world.config_trouble.clone(),
        }
    }
}

fn warning(outcome: Outcome, has_good: bool) -> Option<String> {
    let trouble = match outcome {
        Outcome::Good => return None,
        Outcome::Bad => "the index does not hold: correct what last_look.flaws lists",
        Outcome::Unreadable => "the index cannot be read: see last_look.error",
    };
    let rest = if has_good { "the last good one stays in force" } else { "none is in force" };
    Some(format!("{trouble}; {rest}"))
}
