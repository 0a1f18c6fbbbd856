//! `POST /v1/sync`, `/v1/gc`, `/v1/verify`, `/v1/reload`: acting on the host. For operators only.

use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base::ModelId;
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    App, Problem,
    input::{Asked, Given, Nothing, Operator},
    models,
};
use crate::{
    engine::{Ask, Gone},
    gc, scrub,
};

/// How many lines of a verification may wait for the client.
const LINES_MAX: usize = 64;

pub(super) fn routes() -> OpenApiRouter<App> {
    let acts = OpenApiRouter::default().routes(routes!(sync)).routes(routes!(reload));
    acts.routes(routes!(collect)).routes(routes!(verify))
}

/// Which models to try now.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SyncAsked {
    /// These; without any, all that this host asks for.
    pub(crate) ids: Vec<String>,
    /// All of the index.
    pub(crate) all: bool,
}

/// Which models are tried.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct SyncBegun {
    #[schema(value_type = Vec<String>)]
    pub(crate) models: Vec<ModelId>,
}

/// How to remove what nothing wants.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GcAsked {
    /// Only say what would go.
    pub(crate) dry_run: bool,
}

/// What to hash again.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct VerifyAsked {
    /// The files of these models; without any, all that is here.
    pub(crate) ids: Vec<String>,
    /// Whether to fetch damaged pieces again.
    pub(crate) repair: bool,
}

/// A line of the answer to a verification.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Last {
    /// All was looked at.
    End { objects: u64, whole: bool },
    /// It could not be done to the end.
    Failed { why: String },
}

/// That the config was read again and is in force.
#[derive(Debug, Serialize, ToSchema)]
struct Reloaded {
    reloaded: bool,
}

/// Tries models now: looks at the disk, fetches what is missing, deploys. Ids beyond the config are kept until the
/// daemon stops. Watch `/v1/watch` or `/v1/models/{id}` for what comes of it.
#[utoipa::path(
    post, path = "/v1/sync", tag = "operator", request_body = SyncAsked, security(("operator" = [])),
    responses(
        (status = ACCEPTED, description = "These models are tried", body = SyncBegun),
        (status = BAD_REQUEST, description = "The body cannot be used", body = Problem,
            content_type = "application/problem+json"),
        (status = NOT_FOUND, description = "An id is not in the index", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
async fn sync(
    _: Operator,
    State(app): State<App>,
    Asked(Nothing {}): Asked<Nothing>,
    Given(asked): Given<SyncAsked>,
) -> Result<(StatusCode, Json<SyncBegun>), Problem> {
    check_ids(&app, &asked.ids)?;
    let (answer, begun) = oneshot::channel();
    app.engine().ask(Ask::Sync { ids: asked.ids, all: asked.all, answer }).await.map_err(stopping)?;
    let models = begun.await.map_err(|_| stopping(Gone))?;
    // The index may have changed in between; the engine has the last word.
    let models = models.map_err(Problem::no_such_model)?;
    Ok((StatusCode::ACCEPTED, Json(SyncBegun { models })))
}

/// Removes what nothing wants any more, or says what it would remove.
#[utoipa::path(
    post, path = "/v1/gc", tag = "operator", request_body = GcAsked, security(("operator" = [])),
    responses(
        (status = OK, description = "What went or would go, as `hallmark gc --json` shows it", body = Object),
        (status = BAD_REQUEST, description = "The body cannot be used", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
async fn collect(
    _: Operator,
    State(app): State<App>,
    Asked(Nothing {}): Asked<Nothing>,
    Given(asked): Given<GcAsked>,
) -> Result<Json<gc::Done>, Problem> {
    app.world().index().ok_or_else(Problem::no_index)?;
    let (answer, done) = oneshot::channel();
    app.engine().ask(Ask::Gc { dry_run: asked.dry_run, answer }).await.map_err(stopping)?;
    let done = done.await.map_err(|_| stopping(Gone))?;
    done.map(Json).map_err(|error| failed("gc-failed", "Not all could be removed", &error))
}

/// Hashes again what is here. Answers with one JSON object a line: one for each object, then `end` or `failed`.
#[utoipa::path(
    post, path = "/v1/verify", tag = "operator", request_body = VerifyAsked, security(("operator" = [])),
    responses(
        (status = OK, description = "One JSON object a line, as `hallmark verify --json` shows them", body = String,
            content_type = "application/x-ndjson"),
        (status = BAD_REQUEST, description = "The body cannot be used", body = Problem,
            content_type = "application/problem+json"),
        (status = NOT_FOUND, description = "An id is not in the index", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
async fn verify(
    _: Operator,
    State(app): State<App>,
    Asked(Nothing {}): Asked<Nothing>,
    Given(asked): Given<VerifyAsked>,
) -> Result<Response, Problem> {
    check_ids(&app, &asked.ids)?;
    let (answer, said) = mpsc::channel(LINES_MAX);
    app.engine().ask(Ask::Verify { ids: asked.ids, repair: asked.repair, answer }).await.map_err(stopping)?;
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"))];
    Ok((kind, Body::from_stream(lines(said))).into_response())
}

/// Reads the config again, and looks at the index.
#[utoipa::path(
    post, path = "/v1/reload", tag = "operator", security(("operator" = [])),
    responses(
        (status = OK, description = "The config is in force; the index is being looked at", body = Reloaded),
        (status = CONFLICT, description = "The config does not hold; the one before stays in force", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
async fn reload(
    _: Operator,
    State(app): State<App>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<Reloaded>, Problem> {
    let (answer, done) = oneshot::channel();
    app.engine().ask(Ask::Reload { answer }).await.map_err(stopping)?;
    let done = done.await.map_err(|_| stopping(Gone))?;
    done.map(|()| Json(Reloaded { reloaded: true })).map_err(|error| {
        Problem::new(StatusCode::CONFLICT, "config-refused", "The config was not taken")
            .detail(format!("{error:#}"))
            .remedy("correct the config and ask again; until then the one before is in force")
    })
}

/// Turns what the engine says into lines, and the end of it into the last line.
fn lines(
    said: mpsc::Receiver<anyhow::Result<Option<scrub::Said>>>,
) -> impl futures_util::Stream<Item = Result<Bytes, serde_json::Error>> {
    let begin = Some((said, 0_u64, true));
    stream::unfold(begin, |state| async {
        let (mut said, objects, whole) = state?;
        match said.recv().await {
            Some(Ok(Some(one))) => Some((line(&one), Some((said, objects + 1, whole && one.holds())))),
            Some(Ok(None)) => Some((line(&Last::End { objects, whole }), None)),
            Some(Err(error)) => Some((line(&Last::Failed { why: format!("{error:#}") }), None)),
            None => {
                let why = "the work broke off; the daemon's log says why".to_owned();
                Some((line(&Last::Failed { why }), None))
            }
        }
    })
    .boxed()
}

fn line(what: &impl Serialize) -> Result<Bytes, serde_json::Error> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    Ok(line.into())
}

fn check_ids(app: &App, ids: &[String]) -> Result<(), Problem> {
    let world = app.world();
    let index = world.index().ok_or_else(Problem::no_index)?;
    let unknown = ids.iter().find(|id| index.find(id).is_err());
    unknown.map_or(Ok(()), |id| Err(models::no_such_model(&world, id)))
}

fn stopping(_: Gone) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "The daemon is stopping")
        .detail("the daemon was told to stop")
        .remedy("ask again once it has started")
        .retry_after(5)
}

/// Trouble that an operator may know all about.
fn failed(kind: &str, title: &'static str, error: &anyhow::Error) -> Problem {
    tracing::error!("{title}: {error:#}");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, kind, title)
        .detail(format!("{error:#}"))
        .remedy("look at the disk; the daemon's log says more")
}
