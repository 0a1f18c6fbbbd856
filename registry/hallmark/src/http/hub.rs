//! The Hugging Face protocol, for clients that know nothing of hallmark: models only, and only what is deployed.
//!
//! - Every file that is shown was proven. What is still coming is told as such, and never as missing.
//! - Paths are split as they came and decoded once; what they name is looked up in memory, never on the disk.
//! - Nothing here ever speaks of Xet.

mod found;
mod info;
mod page;
mod place;
mod refusal;
mod resolve;
mod tree;

use std::ops::Bound;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, Method, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use serde_json::json;
use url::form_urlencoded;

pub(super) use self::refusal::{Refusal, message};
use self::{
    page::{Page, linked},
    place::Question,
};
use super::{App, guard};
use crate::repos::MAIN;

const COMMIT: HeaderName = HeaderName::from_static("x-repo-commit");
/// How many paths may be asked for at once.
const PATHS_MAX: usize = 1000;
const API: &str = "/api/models/";

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/{name}/resolve/{*rest}", get(resolve::file))
        .route("/{org}/{name}/resolve/{*rest}", get(resolve::file))
        .route("/api/models", get(list))
        .route("/api/models/{*rest}", get(ask).post(ask_paths))
        .route("/api/whoami-v2", get(who))
        .route("/api/datasets/{*rest}", get(models_only).post(models_only))
        .route("/api/spaces/{*rest}", get(models_only).post(models_only))
        .route("/datasets/{*rest}", get(models_only))
        .route("/spaces/{*rest}", get(models_only))
}

/// Says whether a path is one of the hub's protocol, whose clients want to be refused in their own way.
pub(super) fn is_hub(path: &str) -> bool {
    let first = |word: &str| path.strip_prefix('/').and_then(|it| it.split('/').next()) == Some(word);
    place::file(path).is_ok() || first("api") || first("datasets") || first("spaces")
}

/// `GET /api/models/{repository}…`: what is asked about a repository.
async fn ask(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Result<Response, Refusal> {
    let (repo, question) = place::question(uri.path().strip_prefix(API).unwrap_or_default())?;
    let (world, page) = (app.world(), Page::of(&uri, &headers));
    match question {
        Question::Info => info::info(&world, &repo, MAIN, page.flag("blobs")),
        Question::Revision(revision) => info::info(&world, &repo, &revision, page.flag("blobs")),
        Question::Refs => info::refs(&world, &repo),
        Question::Tree { revision, folder } => tree::tree(&world, &repo, &revision, &folder, &page),
        Question::Paths(_) => Err(Refusal::no_such_method()),
    }
}

/// `POST /api/models/{repository}/paths-info/{revision}`: what is known about some paths.
async fn ask_paths(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let (repo, question) = place::question(uri.path().strip_prefix(API).unwrap_or_default())?;
    let Question::Paths(revision) = question else { return Err(Refusal::no_such_method()) };
    let asked = Paths::read(&headers, &body)?;
    tree::paths(&app.world(), &repo, &revision, &asked.paths, asked.expand)
}

/// The paths that a client asks about.
#[derive(Debug, Default)]
struct Paths {
    paths: Vec<String>,
    expand: bool,
}

#[derive(Deserialize)]
struct PathsBody {
    paths: OneOrMany,
    #[serde(default)]
    expand: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Paths {
    /// Reads JSON or a form, whichever the client says that it sends.
    fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
        let asked = if kind.starts_with("application/json") {
            let body = serde_json::from_slice::<PathsBody>(body)
                .map_err(|error| Refusal::bad_request(format!("the body is no list of paths: {error}")))?;
            let paths = match body.paths {
                OneOrMany::One(it) => vec![it],
                OneOrMany::Many(them) => them,
            };
            Self { paths, expand: body.expand }
        } else {
            let mut asked = Self::default();
            for (key, value) in form_urlencoded::parse(body) {
                match &*key {
                    "paths" => asked.paths.push(value.into_owned()),
                    "expand" => asked.expand = value.eq_ignore_ascii_case("true"),
                    _ => {}
                }
            }
            asked
        };
        if asked.paths.len() > PATHS_MAX {
            return Err(Refusal::bad_request(format!("at most {PATHS_MAX} paths can be asked for at once")));
        }
        Ok(asked)
    }
}

/// `GET /api/models`: the repositories that are shown here.
async fn list(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Response {
    let (world, page) = (app.world(), Page::of(&uri, &headers));
    let search = page.value("search").unwrap_or_default().to_lowercase();
    let author = page.value("author");
    let after = page.cursor().map_or(Bound::Unbounded, Bound::Excluded);
    let mut found = world.repos.range::<_, str>((after, Bound::Unbounded)).filter(|(name, _)| {
        let org = name.split_once('/').map(|it| it.0);
        name.to_lowercase().contains(&search) && author.is_none_or(|it| org == Some(it))
    });
    let mut listed = Vec::new();
    let mut last = None;
    for (name, repo) in found.by_ref() {
        if let Some(about) = info::in_list(&world, repo) {
            listed.push(about);
            last = Some(name.as_str());
        }
        if listed.len() == page.limit() {
            break;
        }
    }
    let next = found.next().and(last);
    linked(Json(listed).into_response(), &page, next)
}

/// `GET /api/whoami-v2`: whom the token belongs to, for clients that log in.
async fn who(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    let role = guard::holder(&app, request.headers()).ok_or_else(Refusal::token_needed)?;
    let token = json!({ "displayName": role, "role": "read" });
    let about = json!({
        "type": "user", "id": role, "name": role, "fullname": role, "isPro": false, "orgs": [],
        "auth": { "type": "access_token", "accessToken": token }
    });
    Ok(Json(about).into_response())
}

/// The answer about data sets and spaces.
async fn models_only(_: Method) -> Refusal {
    Refusal::no_repo("only models are kept here")
}
