//! What handlers take in, parsed at the door: what cannot be understood is a problem that says what is allowed.

use std::convert::Infallible;

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{HeaderValue, StatusCode, header, request::Parts},
};
use ledger::EventId;
use serde::de::DeserializeOwned;

use super::{
    App, Problem,
    guard::{self, Peer},
};

/// The query of a request: no parameter more than is known, each with a value that it can have.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let asked = Query::<T>::try_from_uri(&parts.uri);
        asked.map(|Query(it)| Self(it)).map_err(|rejection| {
            let text = rejection.body_text();
            let text = text.split_once(": ").map_or(text.as_str(), |(_, rest)| rest);
            Problem::bad_request(
                format!("the query cannot be used: {text}"),
                "correct or leave out that parameter; /openapi.json lists what there is",
            )
        })
    }
}

/// The query of a request that takes none.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// The one variable part of a path, as text.
pub(super) struct Named(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let name = Path::<String>::from_request_parts(parts, state).await;
        name.map(|Path(it)| Self(it)).map_err(|rejection| {
            Problem::bad_request(
                format!("the path cannot be used: {}", rejection.body_text()),
                "write it in UTF-8, percent-encoded once",
            )
        })
    }
}

/// Reads the id of an event.
pub(super) fn event_id(text: &str) -> Result<EventId, Problem> {
    EventId::parse(text).map_err(|error| {
        Problem::bad_request(format!("{text} is no event's id: {error}"), "an id is 64 lower-case hex digits")
    })
}

/// The tags of what the client has already.
pub(super) struct Held(Option<HeaderValue>);

impl<S: Sync> FromRequestParts<S> for Held {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.headers.get(header::IF_NONE_MATCH).cloned()))
    }
}

impl Held {
    /// Says whether the client has the answer with this tag.
    pub(super) fn has(&self, etag: &HeaderValue) -> bool {
        let Some(Ok(tags)) = self.0.as_ref().map(HeaderValue::to_str) else { return false };
        // Compared weakly, as RFC 9110 wants it here.
        tags.split(',').map(str::trim).any(|it| it == "*" || it.strip_prefix("W/").unwrap_or(it) == *etag)
    }
}

/// Proof that whoever asks may act on this host.
pub(super) struct Operator;

impl FromRequestParts<App> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<Peer>().copied();
        guard::operator(app, peer, &parts.headers).map(|()| Self)
    }
}

/// The body of a request: a JSON object without unknown fields, or nothing, which is the same as `{}`.
pub(super) struct Given<T>(pub(super) T);

impl<T: DeserializeOwned + Default> FromRequest<App> for Given<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).cloned();
        let bytes = whole_body(request, app).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        check_json(kind.as_ref())?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            Problem::bad_request(
                format!("the body cannot be used: {error}"),
                "correct it; /openapi.json describes what it may hold",
            )
        })
    }
}

/// The body of a request: JSON that is to be read as it was written.
pub(super) struct Written(pub(super) String);

impl FromRequest<App> for Written {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).cloned();
        let bytes = whole_body(request, app).await?;
        check_json(kind.as_ref())?;
        let text = String::from_utf8(bytes.into());
        text.map(Self).map_err(|_| Problem::bad_request("the body is not UTF-8", "JSON is written in UTF-8"))
    }
}

async fn whole_body(request: Request, app: &App) -> Result<Bytes, Problem> {
    let limit = app.settings().body_bytes_max;
    let bytes = tokio::time::timeout(app.settings().answer_limit(), Bytes::from_request(request, app));
    let bytes = bytes.await.map_err(|_| {
        Problem::new(StatusCode::REQUEST_TIMEOUT, "body-too-slow", "The body came too slowly")
            .detail("the whole body was not there in time")
            .remedy("send it in one go, or raise [http] answer_seconds_max")
    })?;
    bytes.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large")
                .detail(format!("a body may have {limit} bytes"))
                .remedy("send less at once, or raise [http] body_bytes_max")
        }
        _ => Problem::bad_request("the body could not be read to its end", "send the whole body"),
    })
}

fn check_json(kind: Option<&HeaderValue>) -> Result<(), Problem> {
    if kind.is_some_and(is_json) {
        return Ok(());
    }
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", "The body has to be JSON")
        .detail("the body is not said to be JSON")
        .remedy("send the header `Content-Type: application/json`"))
}

fn is_json(kind: &HeaderValue) -> bool {
    let kind = kind.to_str().unwrap_or_default();
    kind.split(';').next().is_some_and(|it| it.trim().eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_among_those_that_the_client_has() {
        let check = |held: &str, expected: bool| {
            let held = Held(Some(HeaderValue::from_str(held).unwrap()));
            assert_eq!(held.has(&HeaderValue::from_static("\"a\"")), expected);
        };
        check("\"a\"", true);
        check("W/\"a\"", true);
        check("\"b\", \"a\"", true);
        check("*", true);
        check("\"b\"", false);
        check("a", false);
        check("", false);
    }
}
