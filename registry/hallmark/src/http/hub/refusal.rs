//! How the hub's protocol says no: a status, a code and a message in headers, and the message as JSON.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base::CommitId;
use serde_json::json;

use super::{COMMIT, place::Unclear};

const CODE: HeaderName = HeaderName::from_static("x-error-code");
const MESSAGE: HeaderName = HeaderName::from_static("x-error-message");
/// Some clients print the header, some refuse long ones.
const MESSAGE_BYTES_MAX: usize = 512;
/// How long to wait for what is on its way. Clients add a second of their own and try a few times.
const COMING_RETRY_SECONDS: u64 = 5;

/// Why a client of the hub does not get what it asks for.
#[derive(Debug)]
pub(in crate::http) struct Refusal {
    status: StatusCode,
    /// What clients tell their own errors by.
    code: Option<&'static str>,
    message: String,
    commit: Option<CommitId>,
    retry_after: Option<u64>,
}

impl Refusal {
    fn new(status: StatusCode, code: Option<&'static str>, message: String) -> Self {
        Self { status, code, message, commit: None, retry_after: None }
    }

    /// No such repository is shown here.
    pub(super) fn no_repo(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, Some("RepoNotFound"), message.into())
    }

    /// The repository has no such branch or commit.
    pub(super) fn no_revision(repo: &str, revision: &str) -> Self {
        let message =
            format!("{repo} has no revision {revision:?} here; /api/models/{repo}/refs lists its branches");
        Self::new(StatusCode::NOT_FOUND, Some("RevisionNotFound"), message)
    }

    /// The revision has no such file. Clients may remember that, so they are told which commit that is true for.
    pub(super) fn no_entry(repo: &str, commit: CommitId, path: &str) -> Self {
        let message =
            format!("{repo} has no {path:?} at {commit}; /api/models/{repo}/tree/{commit} lists its files");
        let refusal = Self::new(StatusCode::NOT_FOUND, Some("EntryNotFound"), message);
        Self { commit: Some(commit), ..refusal }
    }

    /// It is on its way.
    pub(super) fn coming(message: String) -> Self {
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, None, message);
        Self { retry_after: Some(COMING_RETRY_SECONDS), ..refusal }
    }

    /// The bytes cannot be sent, for a reason that has its own status.
    pub(super) fn unsent(status: StatusCode, message: String) -> Self {
        let retry_after = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(COMING_RETRY_SECONDS);
        Self { retry_after, ..Self::new(status, None, message) }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, None, message.into())
    }

    pub(super) fn no_such_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, None, "this page can only be read".to_owned())
    }

    /// Reading needs a token, and none or another one was given.
    pub(in crate::http) fn token_needed() -> Self {
        let message = "a token is needed to read here: set HF_TOKEN to the one that the operator gave out";
        Self::new(StatusCode::UNAUTHORIZED, Some("GatedRepo"), message.to_owned())
    }
}

impl From<Unclear> for Refusal {
    fn from(unclear: Unclear) -> Self {
        match unclear {
            Unclear::Form => {
                Self::new(StatusCode::NOT_FOUND, Some("EntryNotFound"), "there is no such page".to_owned())
            }
            Unclear::Encoding => Self::bad_request("the address is not UTF-8, percent-encoded once"),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({ "error": self.message }))).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(MESSAGE, printable(&self.message));
        if let Some(code) = self.code {
            headers.insert(CODE, HeaderValue::from_static(code));
        }
        let commit = self.commit.and_then(|it| HeaderValue::try_from(it.to_string()).ok());
        headers.extend(commit.map(|it| (COMMIT, it)));
        headers.extend(self.retry_after.map(|it| (header::RETRY_AFTER, it.into())));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Returns the header whose text clients show to people.
pub(in crate::http) fn message(text: &str) -> (HeaderName, HeaderValue) {
    (MESSAGE, printable(text))
}

/// Returns as much of a message as may stand in a header.
fn printable(message: &str) -> HeaderValue {
    let plain = |it: char| if it == ' ' || it.is_ascii_graphic() { it } else { '?' };
    let text = message.chars().take(MESSAGE_BYTES_MAX).map(plain).collect::<String>();
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("refused"))
}
