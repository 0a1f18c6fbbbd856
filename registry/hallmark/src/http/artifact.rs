//! `/v1/models/{id}/artifact…` and `/sha256/{hex}`: proven bytes, by model or by digest.

use axum::{
    extract::{Path, Request, State, rejection::PathRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use base::{Clock as _, Sha256, SystemClock, UnixSeconds};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use vault::Object;

use super::{
    App, Problem,
    bytes::{self, Asked, Face, Unsent},
};
use crate::{
    engine::Ask,
    order::missing_text,
    state::State as At,
    world::{Model, Shown, World},
};

/// How long to wait for a model that is on its way.
const COMING_RETRY_SECONDS: u64 = 5;
/// The longest wait that a client is told.
const RETRY_SECONDS_MAX: u64 = 3600;
/// How many of a model's files are named to who asked for another one.
const NAMED_MAX: usize = 20;

#[derive(OpenApi)]
#[openapi(paths(main_file, file, object))]
struct Documented;

pub(super) fn routes() -> OpenApiRouter<App> {
    // A path of several parts is one parameter in the document, which has no word for the rest of a path.
    OpenApiRouter::with_openapi(Documented::openapi())
        .route("/v1/models/{id}/artifact", get(main_file))
        .route("/v1/models/{id}/artifact/{*path}", get(file))
        .route("/sha256/{hex}", get(object))
}

/// A model's main file.
#[utoipa::path(
    get, path = "/v1/models/{id}/artifact", tag = "bytes",
    params(("id" = String, Path, description = "The model's id")),
    responses(
        (status = 200, description = "The bytes", content_type = "application/octet-stream"),
        (status = 206, description = "The part of them that was asked for", content_type = "application/octet-stream"),
        (status = 304, description = "The client has them already"),
        (status = 404, description = "No such model or file", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The model is here and not to be had", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "A precondition does not hold", body = Problem, content_type = "application/problem+json"),
        (status = 416, description = "No byte lies in the range", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn main_file(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let asked = Asked::of(&app, &request);
    let answer = readable(id).and_then(|id| send(&app, asked, &id, None));
    answer.unwrap_or_else(Problem::into_response)
}

/// One of a model's files, by its path.
#[utoipa::path(
    get, path = "/v1/models/{id}/artifact/{path}", tag = "bytes",
    params(
        ("id" = String, Path, description = "The model's id"),
        ("path" = String, Path, description = "The file's path in the model; it may have several parts"),
    ),
    responses(
        (status = 200, description = "The bytes", content_type = "application/octet-stream"),
        (status = 206, description = "The part of them that was asked for", content_type = "application/octet-stream"),
        (status = 304, description = "The client has them already"),
        (status = 404, description = "No such model or file", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The model is here and not to be had", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "A precondition does not hold", body = Problem, content_type = "application/problem+json"),
        (status = 416, description = "No byte lies in the range", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn file(
    State(app): State<App>,
    place: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Response {
    let asked = Asked::of(&app, &request);
    let answer = readable(place).and_then(|(id, path)| send(&app, asked, &id, Some(&path)));
    answer.unwrap_or_else(Problem::into_response)
}

/// Any proven object by its digest: a hashed mirror for Nix, a mirror for other hallmarks.
#[utoipa::path(
    get, path = "/sha256/{hex}", tag = "bytes",
    params(
        ("hex" = String, Path, pattern = "^[0-9a-f]{64}$", description = "The SHA-256 of the bytes, as 64 lower-case hex digits"),
    ),
    responses(
        (status = 200, description = "The bytes", content_type = "application/octet-stream"),
        (status = 206, description = "The part of them that was asked for", content_type = "application/octet-stream"),
        (status = 304, description = "The client has them already"),
        (status = 404, description = "No such object is here", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "A precondition does not hold", body = Problem, content_type = "application/problem+json"),
        (status = 416, description = "No byte lies in the range", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn object(
    State(app): State<App>,
    hex: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let asked = Asked::of(&app, &request);
    let answer = readable(hex).and_then(|hex| send_object(&app, asked, &hex));
    answer.unwrap_or_else(Problem::into_response)
}

fn readable<T>(path: Result<Path<T>, PathRejection>) -> Result<T, Problem> {
    path.map(|Path(it)| it).map_err(|error| {
        Problem::bad_request(error.body_text(), "percent-encode what is not ASCII, as UTF-8 and once")
    })
}

fn send(app: &App, asked: Asked<'_>, id: &str, path: Option<&str>) -> Result<Response, Problem> {
    let world = app.world();
    let model = model(&world, id)?;
    let shown = model.served().ok_or_else(|| not_served(model))?;
    if !shown.verified {
        return Err(Problem::new(StatusCode::CONFLICT, "not-proven", "The model is not proven")
            .detail(format!(
                "the bytes of {id} are not what the index promises: they are for this host alone"
            ))
            .remedy("correct the index or the source, then sync again"));
    }
    let main = || shown.order.files.first().map(|it| it.path.as_str());
    let found = path.or_else(main).and_then(|it| shown.files.get_key_value(it));
    let (path, object) = found.ok_or_else(|| no_such_file(id, path.unwrap_or_default(), shown))?;
    let face = Face::of(object, Some(path.as_str()), shown.since);
    // The same address may give other bytes once the index does: each use has to ask.
    let face = face.with(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(respond(asked, &face, object, || app.engine().mention(Ask::Look { id: model.id.clone() })))
}

fn send_object(app: &App, asked: Asked<'_>, hex: &str) -> Result<Response, Problem> {
    let digest = Sha256::parse(hex).map_err(|error| {
        Problem::bad_request(
            format!("{hex:?} is no digest: {error}"),
            "ask for /sha256/ and 64 lower-case hex digits",
        )
    })?;
    let found = app.shelf().object(&digest).map_err(|error| Problem::internal(&error.into()))?;
    let object = found.ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "no-such-object", "No such object")
            .detail(format!("no object {hex} is here"))
            .remedy("ask the host that has it, or deploy a model that holds it")
    })?;
    let since = object.path().metadata().and_then(|it| it.modified());
    let since = since.ok().and_then(|it| it.duration_since(std::time::UNIX_EPOCH).ok());
    let face = Face::of(&object, None, UnixSeconds(since.unwrap_or_default().as_secs()));
    let face = face.with(header::CACHE_CONTROL, app.forever());
    Ok(respond(asked, &face, &object, || {}))
}

fn respond(asked: Asked<'_>, face: &Face, object: &Object, when_gone: impl FnOnce()) -> Response {
    match bytes::answer(asked, face, object) {
        Ok(response) => response,
        Err(unsent) => {
            if let Unsent::Gone { source, .. } = &unsent {
                tracing::error!("{unsent}: {source}");
                when_gone();
            }
            let mut response = problem(&unsent).into_response();
            unsent.dress(&mut response);
            response
        }
    }
}

fn problem(unsent: &Unsent) -> Problem {
    let (kind, title, remedy) = match unsent {
        Unsent::Precondition => (
            "precondition-failed",
            "A precondition does not hold",
            "ask again without what was kept, from the start",
        ),
        Unsent::Range { .. } => (
            "no-such-range",
            "No byte lies in the range",
            "ask for a range within the size that Content-Range tells",
        ),
        Unsent::Gone { .. } => {
            let remedy = "come back in a moment: it is looked for again; the daemon's log says why";
            return Problem::new(unsent.status(), "object-gone", "The object cannot be read")
                .detail(unsent.to_string())
                .remedy(remedy)
                .retry_after(COMING_RETRY_SECONDS);
        }
    };
    Problem::new(unsent.status(), kind, title).detail(unsent.to_string()).remedy(remedy)
}

/// Finds a model that is known here.
fn model<'w>(world: &'w World, id: &str) -> Result<&'w Model, Problem> {
    if let Some(model) = world.models.get(id) {
        return Ok(model);
    }
    let index = world.index().ok_or_else(Problem::no_index)?;
    Err(match index.find(id) {
        Err(missing) => Problem::no_such_model(missing_text(&missing)),
        Ok(_) => coming(id, "is in the index and will be looked at"),
    })
}

fn coming(id: &str, text: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-here-yet", "The model is not here yet")
        .detail(format!("{id} {text}"))
        .remedy(format!("come back in a moment; /v1/models/{id} says how far it is"))
        .retry_after(COMING_RETRY_SECONDS)
}

/// Says why nothing of a model is served.
fn not_served(model: &Model) -> Problem {
    let (id, state) = (&model.id, model.state);
    let why = if model.why.is_empty() { String::new() } else { format!(": {}", model.why.join("; ")) };
    let (status, remedy) = match state {
        At::Queued | At::Fetching => return coming(id.as_str(), &format!("is {state}{why}")),
        At::Failed => {
            let wait = model.retry_at.map(|it| it.since(SystemClock.now()).as_secs());
            // No 503: who asks again and again helps neither himself nor the daemon.
            return Problem::new(StatusCode::CONFLICT, "not-here", "The model could not be fetched")
                .detail(format!("{id} is {state}{why}"))
                .remedy("remove the cause; it is tried again by itself, or at once by `hallmark sync`")
                .retry_after(wait.unwrap_or(RETRY_SECONDS_MAX).clamp(1, RETRY_SECONDS_MAX));
        }
        At::Held => (StatusCode::CONFLICT, "change what the policy objects to, or the policy"),
        At::Quarantined => {
            (StatusCode::CONFLICT, "find out which is wrong, the index or the source, and correct it")
        }
        At::Deployed => (StatusCode::CONFLICT, "look at the daemon's log"),
        At::Stub => (StatusCode::NOT_FOUND, "give its entry real values in place of the placeholders"),
        At::Available | At::Withdrawn => {
            (StatusCode::NOT_FOUND, "add it to [deploy] models, or run `hallmark sync` with its id")
        }
        At::Missing => (StatusCode::NOT_FOUND, "look at /v1/models for the ids that there are"),
    };
    Problem::new(status, "not-served", "The model is not served here")
        .detail(format!("{id} is {state}{why}"))
        .remedy(remedy)
}

fn no_such_file(id: &str, path: &str, shown: &Shown) -> Problem {
    let names = shown.files.keys().take(NAMED_MAX).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let more = if shown.files.len() > NAMED_MAX { ", …" } else { "" };
    Problem::new(StatusCode::NOT_FOUND, "no-such-file", "No such file")
        .detail(format!("{id} has no file {path:?}"))
        .remedy(format!("ask for one of its files: {names}{more}"))
}
