//! Forges that stand in for GitHub, Forgejo and GitLab, and hold both sides of every exchange against what the forge
//! says of its own API.

mod github;
mod others;

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{Response, StatusCode},
};
use serde_json::{Value, json};

use super::described::{Described, queried};

/// The token that a forge knows.
pub(super) const TOKEN: &str = "s3cret-of-the-forge";

/// Which forge is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plays {
    GitHub,
    Forgejo,
    GitLab,
}

/// A forge that keeps the pull requests of `org/models`. Dropping it stops it, and fails the story if either side of
/// an exchange broke the forge's own rules.
pub(super) struct StandIn {
    pub(super) url: String,
    inner: Arc<Inner>,
    runtime: Option<tokio::runtime::Runtime>,
}

struct Inner {
    plays: Plays,
    url: String,
    described: Described,
    repository: PathBuf,
    state: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    pulls: Vec<Pull>,
    notes: Vec<(u64, u64, String)>,
    asked: Vec<String>,
    wrong: Vec<String>,
    faults: Vec<Fault>,
    meanwhile: Option<Box<dyn FnOnce() + Send>>,
}

/// A pull request as the forge keeps it.
#[derive(Clone, Debug)]
pub(super) struct Pull {
    pub(super) number: u64,
    pub(super) branch: String,
    pub(super) base: String,
    pub(super) title: String,
    pub(super) body: String,
    pub(super) is_open: bool,
    pub(super) is_merged: bool,
}

/// What goes wrong at the next request of a method: the code that it is answered with, and how often.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) method: &'static str,
    pub(super) code: u16,
    pub(super) times: usize,
}

/// What a forge is asked, sorted by what it means.
enum Asked {
    List,
    Open { branch: String, base: String, title: String, body: String },
    Change { number: u64, title: Option<String>, body: Option<String> },
    Notes { number: u64 },
    Note { number: u64, text: String },
    Renote { id: u64, text: String },
}

impl StandIn {
    /// Starts a forge for a bare repository, unless its description is missing.
    pub(super) fn start(plays: Plays, repository: &Path) -> Option<Self> {
        let described = Described::read(match plays {
            Plays::GitHub => "github",
            Plays::Forgejo => "forgejo",
            Plays::GitLab => "gitlab",
        })?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (repository, state) = (repository.to_owned(), Mutex::default());
        let inner = Arc::new(Inner { plays, url: url.clone(), described, repository, state });
        let router = axum::Router::new().fallback(answer).with_state(Arc::clone(&inner));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Some(Self { url, inner, runtime: Some(runtime) })
    }

    /// Returns the words that lead `hallmark` here.
    pub(super) fn flags(&self) -> Vec<String> {
        let kind = match self.inner.plays {
            Plays::GitHub => "github",
            Plays::Forgejo => "forgejo",
            Plays::GitLab => "gitlab",
        };
        ["--forge", kind, "--forge-url", &self.url, "--forge-repo", "org/models"].map(str::to_owned).to_vec()
    }

    pub(super) fn pulls(&self) -> Vec<Pull> {
        self.inner.state().pulls.clone()
    }

    /// Returns the remarks under a pull request.
    pub(super) fn notes(&self, number: u64) -> Vec<String> {
        self.inner.state().notes.iter().filter(|it| it.1 == number).map(|it| it.2.clone()).collect()
    }

    /// Returns the requests that changed something, and forgets them.
    pub(super) fn changes(&self) -> Vec<String> {
        let asked = std::mem::take(&mut self.inner.state().asked);
        asked.into_iter().filter(|it| !it.starts_with("GET ")).collect()
    }

    /// Changes a pull request as a person does.
    pub(super) fn decide(&self, number: u64, decide: impl FnOnce(&mut Pull)) {
        let mut state = self.inner.state();
        decide(state.pulls.iter_mut().find(|it| it.number == number).unwrap());
    }

    pub(super) fn play(&self, method: &'static str, code: u16, times: usize) {
        self.inner.state().faults.push(Fault { method, code, times });
    }

    /// Does something while the next question waits for its answer.
    pub(super) fn meanwhile(&self, act: impl FnOnce() + Send + 'static) {
        self.inner.state().meanwhile = Some(Box::new(act));
    }

    /// Puts a remark there as somebody else does.
    pub(super) fn says(&self, number: u64, text: &str) {
        let mut state = self.inner.state();
        let id = 1 + state.notes.len() as u64;
        state.notes.push((id, number, text.to_owned()));
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.runtime.take().unwrap().shutdown_timeout(std::time::Duration::from_secs(5));
        let wrong = std::mem::take(&mut self.inner.state().wrong);
        assert!(
            std::thread::panicking() || wrong.is_empty(),
            "against the forge's own description: {wrong:#?}"
        );
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, Kept> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_branch(&self, branch: &str) -> bool {
        let mut git = Command::new("git");
        git.arg("--git-dir").arg(&self.repository).args(["rev-parse", "-q", "--verify", branch]);
        git.output().unwrap().status.success()
    }

    /// Does what is asked for, and returns status and body.
    fn act(&self, asked: Option<Asked>, query: &[(String, String)]) -> (u16, Value) {
        let mut state = self.state();
        match asked {
            None => (404, json!({ "message": "Not Found" })),
            Some(Asked::List) => (200, self.list(&state, query)),
            Some(Asked::Open { branch, base, title, body }) => {
                let twice = state.pulls.iter().any(|it| it.is_open && it.branch == branch && it.base == base);
                if twice || !self.has_branch(&branch) || !self.has_branch(&base) {
                    return self.refusal(twice);
                }
                let number = 1 + state.pulls.len() as u64;
                let pull = Pull { number, branch, base, title, body, is_open: true, is_merged: false };
                state.pulls.push(pull.clone());
                (201, self.show(&pull, "POST"))
            }
            Some(Asked::Change { number, title, body }) => {
                let Some(pull) = state.pulls.iter_mut().find(|it| it.number == number) else {
                    return (404, json!({ "message": "Not Found" }));
                };
                pull.title = title.unwrap_or_else(|| pull.title.clone());
                pull.body = body.unwrap_or_else(|| pull.body.clone());
                let code = if self.plays == Plays::Forgejo { 201 } else { 200 };
                (code, self.show(&pull.clone(), "PATCH"))
            }
            Some(Asked::Notes { number }) => {
                let notes = state.notes.iter().filter(|it| it.1 == number);
                let is_first = query.iter().all(|it| it.0 != "page" || it.1 == "1");
                (200, notes.filter(|_| is_first).map(|it| self.show_note(it.0, &it.2)).collect())
            }
            Some(Asked::Note { number, text }) => {
                let id = 1 + state.notes.len() as u64;
                state.notes.push((id, number, text.clone()));
                (201, self.show_note(id, &text))
            }
            Some(Asked::Renote { id, text }) => {
                let Some(note) = state.notes.iter_mut().find(|it| it.0 == id) else {
                    return (404, json!({ "message": "Not Found" }));
                };
                note.2.clone_from(&text);
                (200, self.show_note(id, &text))
            }
        }
    }

    fn refusal(&self, twice: bool) -> (u16, Value) {
        let why = if twice { "A pull request already exists for org:branch." } else { "no such branch" };
        match self.plays {
            Plays::GitHub => (
                422,
                json!({ "message": "Validation Failed", "documentation_url": "https://docs.github.com", "errors": [
                    { "resource": "PullRequest", "code": "custom", "message": why }
                ] }),
            ),
            Plays::Forgejo => {
                (if twice { 409 } else { 404 }, json!({ "message": why, "url": "https://example.org" }))
            }
            Plays::GitLab => (409, json!({ "message": [why] })),
        }
    }

    fn list(&self, state: &Kept, query: &[(String, String)]) -> Value {
        match self.plays {
            Plays::GitHub => github::list(self, &state.pulls, query),
            Plays::Forgejo => others::list_forgejo(self, &state.pulls, query),
            Plays::GitLab => others::list_gitlab(self, &state.pulls, query),
        }
    }

    fn show(&self, pull: &Pull, method: &str) -> Value {
        match self.plays {
            Plays::GitHub => github::show(self, pull, method),
            Plays::Forgejo => others::show_forgejo(self, pull),
            Plays::GitLab => others::show_gitlab(self, pull),
        }
    }

    fn show_note(&self, id: u64, text: &str) -> Value {
        match self.plays {
            Plays::GitHub => github::show_note(self, id, text),
            Plays::Forgejo | Plays::GitLab => json!({ "id": id, "body": text }),
        }
    }

    /// Takes the API's own prefix off a path.
    fn path<'p>(&self, path: &'p str) -> Option<&'p str> {
        path.strip_prefix(match self.plays {
            Plays::GitHub => "/api/v3",
            Plays::Forgejo => "/api/v1",
            Plays::GitLab => "/api/v4",
        })
    }

    fn is_known(&self, request: &axum::http::request::Parts) -> bool {
        let shown = |name: &str| request.headers.get(name).and_then(|it| it.to_str().ok()).map(str::to_owned);
        match self.plays {
            Plays::GitHub => shown("authorization") == Some(format!("Bearer {TOKEN}")),
            Plays::Forgejo => shown("authorization") == Some(format!("token {TOKEN}")),
            Plays::GitLab => shown("private-token") == Some(TOKEN.to_owned()),
        }
    }
}

async fn answer(State(inner): State<Arc<Inner>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let (method, whole) = (parts.method.as_str(), parts.uri.path());
    let told = |code: u16, body: &Value| {
        let response = Response::builder().status(StatusCode::from_u16(code).unwrap());
        response.header("content-type", "application/json").body(Body::from(body.to_string())).unwrap()
    };
    inner.state().asked.push(format!("{method} {}", parts.uri));
    let meanwhile = inner.state().meanwhile.take();
    if let Some(act) = meanwhile {
        act();
    }
    let fault = {
        let mut state = inner.state();
        let found = state.faults.iter_mut().find(|it| it.method == method && it.times > 0);
        found.map(|it| {
            it.times -= 1;
            it.code
        })
    };
    if let Some(code) = fault {
        return told(code, &json!({ "message": "played" }));
    }
    let Some(path) = inner.path(whole) else { return told(404, &Value::Null) };
    if !inner.is_known(&parts) {
        return told(401, &json!({ "message": "Bad credentials" }));
    }
    let query = queried(parts.uri.query());
    let value = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    let mut checks = vec![inner.described.request(method, path, &query, &value)];
    let asked = match inner.plays {
        // Forgejo took its API's form from GitHub.
        Plays::GitHub | Plays::Forgejo => github::read(method, path, &value),
        Plays::GitLab => others::read_gitlab(method, path, &value),
    };
    let (code, body) = inner.act(asked, &query);
    checks.push(inner.described.answer(method, path, code, &body));
    inner.state().wrong.extend(checks.into_iter().filter_map(Result::err));
    told(code, &body)
}
