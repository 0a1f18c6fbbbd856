//! What a client is told when something is wrong: an RFC 9457 problem document, with a remedy.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

/// The media type of a problem.
pub(super) const KIND: &str = "application/problem+json";

/// Why a request was not answered as asked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Which kind of problem; stable, for programs.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in words.
    title: &'static str,
    status: u16,
    /// What is wrong with this request.
    detail: String,
    /// What to do.
    remedy: String,
    /// When to come back, if that helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u64>,
    #[serde(skip)]
    #[schema(ignore)]
    code: StatusCode,
    /// How often one may ask, where that is the problem.
    #[serde(skip)]
    #[schema(ignore)]
    per_second: Option<u32>,
}

impl Problem {
    /// Begins a problem: its status, its kind as a word, and the kind in words.
    pub(crate) fn new(code: StatusCode, kind: &str, title: &'static str) -> Self {
        Self {
            kind: format!("urn:hallmark:problem:{kind}"),
            title,
            status: code.as_u16(),
            detail: String::new(),
            remedy: String::new(),
            retry_after_seconds: None,
            code,
            per_second: None,
        }
    }

    /// Says what is wrong with this request.
    pub(crate) fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..self }
    }

    /// Says what to do.
    pub(crate) fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: remedy.into(), ..self }
    }

    /// Says when to come back.
    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after_seconds: Some(seconds), ..self }
    }

    /// Says how often one client may ask in a second.
    pub(crate) fn rate(self, per_second: u32) -> Self {
        Self { per_second: Some(per_second), ..self }
    }

    /// A model that the index does not list.
    pub(crate) fn no_such_model(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "no-such-model", "No such model")
            .detail(text)
            .remedy("look at /v1/models for the ids that there are")
    }

    /// Something in the request that cannot be understood.
    pub(crate) fn bad_request(detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "Bad request").detail(detail).remedy(remedy)
    }

    /// Nothing can be answered as long as no index is in force.
    pub(crate) fn no_index() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "no-index", "No index is in force")
            .detail("the index has not been read yet, or does not hold")
            .remedy("look at /v1/index/status for the reason")
            .retry_after(5)
    }

    /// The log is still being read after a start, and what is asked for follows from all of it.
    pub(crate) fn graph_being_read(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "graph-being-read",
            "The lineage graph is still being read",
        )
        .detail(detail)
        .remedy("come back: after a start the daemon reads its log once; /readyz says how far it is")
        .retry_after(1)
    }

    /// Trouble on this side. The client learns no more than that; the log says why.
    pub(crate) fn internal(error: &anyhow::Error) -> Self {
        tracing::error!("A request failed: {error:#}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error")
            .detail("the daemon could not answer this")
            .remedy("the daemon's log says why")
    }

    pub(crate) fn code(&self) -> StatusCode {
        self.code
    }

    /// Returns what is wrong with this request.
    pub(crate) fn text(&self) -> &str {
        &self.detail
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (code, retry, rate) = (self.code, self.retry_after_seconds, self.per_second);
        let mut response = (code, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(KIND));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = retry {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        // Clients of the hub wait for as long as these say.
        if let (Some(per_second), Some(seconds)) = (rate, retry) {
            let limit = format!("\"requests\";r=0;t={seconds}");
            let policy = format!("\"fixed window\";\"requests\";q={per_second};w=1");
            for (name, value) in [("ratelimit", limit), ("ratelimit-policy", policy)] {
                headers.extend(HeaderValue::try_from(value).map(|it| (HeaderName::from_static(name), it)));
            }
        }
        if code == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The answer where there is nothing.
pub(super) async fn no_such_route(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no-such-page", "Not found")
        .detail(format!("there is nothing at {}", uri.path()))
        .remedy("look at /openapi.json for what there is")
}

/// The answer to a method that a page does not have.
pub(super) async fn no_such_method(method: Method, uri: Uri) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no-such-method", "Method not allowed")
        .detail(format!("{method} is not possible on {}", uri.path()))
        .remedy("the Allow header lists the methods that are")
}
