//! Answers with a tag: who has them already is told so, and gets no body.

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use base::Sha256;

use super::input::Held;

/// Every answer may be kept, and has to be asked for again: what it says can change at any time.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Makes the tag of a body out of its digest.
pub(super) fn etag(digest: &Sha256) -> HeaderValue {
    // Hex digits between quotes are a header's value in any case.
    HeaderValue::try_from(format!("\"{digest}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Answers with JSON, or says that the client has it.
pub(super) fn json(held: &Held, body: &Bytes, etag: &HeaderValue) -> Response {
    let is_held = held.has(etag);
    let mut response = Response::new(if is_held { Body::empty() } else { Body::from(body.clone()) });
    if is_held {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    }
    response.headers_mut().insert(header::ETAG, etag.clone());
    response.headers_mut().insert(header::CACHE_CONTROL, ASK_AGAIN);
    response
}
