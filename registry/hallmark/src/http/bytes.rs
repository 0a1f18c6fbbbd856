//! How an object's bytes are answered, whatever the path that they were asked for by.
//!
//! - Only objects of the shelf are sent, which were proven before they came there; never compressed, never changed.
//! - The tag of an object is its digest, so it is strong and the same on every host.
//! - What does not fit the promise, such as a file that has lost bytes, ends the connection: no client takes it for whole.

mod body;
mod conditions;
mod name;
mod range;

use std::{fs::File, io};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use base::{Sha256, UnixSeconds};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use rustix::fs::Advice;
use vault::Object;

use self::{
    body::FileBody,
    conditions::{Validators, Verdict, judge},
    range::{Part, Span},
};
use super::{App, connection::Channel};

const REPR_DIGEST: &str = "repr-digest";
/// From here on the system is told that a file will be read from front to back.
const LARGE_BYTES: u64 = 1 << 20;

/// What clients are told about an object before its bytes: made once, sent often.
#[derive(Clone, Debug)]
pub(crate) struct Face {
    size_bytes: u64,
    since: UnixSeconds,
    etag: String,
    headers: HeaderMap,
}

/// What of a request counts here.
#[derive(Clone, Copy)]
pub(super) struct Asked<'r> {
    pub(super) method: &'r Method,
    headers: &'r HeaderMap,
    channel: Option<&'r Channel>,
    app: &'r App,
}

impl<'r> Asked<'r> {
    /// Takes what counts out of a request.
    pub(super) fn of(app: &'r App, request: &'r Request) -> Self {
        let (method, headers) = (request.method(), request.headers());
        Self { method, headers, channel: request.extensions().get(), app }
    }
}

/// Why the bytes were not sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsent {
    /// The client wants something else than what is here.
    #[error("the object is not the one that the request is about")]
    Precondition,
    /// Nothing of the object lies in what was asked for.
    #[error("the object has {size_bytes} bytes, and none of them were asked for")]
    Range { size_bytes: u64 },
    /// The object left the shelf or lost bytes.
    #[error("open the object {digest}")]
    Gone { digest: Sha256, source: io::Error },
}

impl Face {
    /// Describes an object: its path as clients know it, if it has one, and since when it has been here.
    pub(crate) fn of(object: &Object, path: Option<&str>, since: UnixSeconds) -> Self {
        let etag = format!("\"{}\"", object.digest());
        let digest = BASE64_STANDARD.encode(object.digest().as_bytes());
        let date = std::time::UNIX_EPOCH + std::time::Duration::from_secs(since.0);
        let mut headers = HeaderMap::with_capacity(16);
        headers.insert(header::CONTENT_LENGTH, object.size_bytes().into());
        headers.insert(header::CONTENT_TYPE, name::content_type(path.unwrap_or_default()));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if let Some(path) = path {
            headers.insert(header::CONTENT_DISPOSITION, name::disposition(path));
        }
        let computed = [
            (header::ETAG, etag.clone()),
            (header::LAST_MODIFIED, httpdate::fmt_http_date(date)),
            (header::HeaderName::from_static(REPR_DIGEST), format!("sha-256=:{digest}:")),
        ];
        headers.extend(computed.into_iter().filter_map(|(name, it)| Some((name, it.try_into().ok()?))));
        Self { size_bytes: object.size_bytes(), since, etag, headers }
    }

    /// Adds what else is told with it.
    pub(super) fn with(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

/// Answers with an object's bytes, or with a part of them.
pub(super) fn answer(asked: Asked<'_>, face: &Face, object: &Object) -> Result<Response, Unsent> {
    let validators = Validators { etag: &face.etag, since: face.since };
    let span = match judge(asked.method, asked.headers, &validators, face.size_bytes) {
        Verdict::Failed => return Err(Unsent::Precondition),
        Verdict::NotModified => return Ok(not_modified(face)),
        Verdict::Send(Part::Nothing) => return Err(Unsent::Range { size_bytes: face.size_bytes }),
        Verdict::Send(Part::Whole) => None,
        Verdict::Send(Part::Of(span)) => Some(span),
    };
    let mut response = Response::new(Body::empty());
    *response.headers_mut() = face.headers.clone();
    if let Some(span) = span {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, span.length().into());
        headers.insert(header::CONTENT_RANGE, content_range(span, face.size_bytes));
    }
    if asked.method == Method::GET {
        let gone = |source| Unsent::Gone { digest: object.digest(), source };
        let file = open(object, face.size_bytes).map_err(gone)?;
        let span = span.unwrap_or(Span { start: 0, end: face.size_bytes });
        *response.body_mut() = FileBody::of(file, span, asked.channel, asked.app).map_err(gone)?;
        asked.app.uses().note(asked.app.shelf(), object.digest());
    }
    Ok(response)
}

impl Unsent {
    /// Returns the status that says so.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Precondition => StatusCode::PRECONDITION_FAILED,
            Self::Range { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Gone { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Adds the headers that belong to that status.
    pub(super) fn dress(&self, response: &mut Response) {
        if let Self::Range { size_bytes } = self {
            let range = HeaderValue::try_from(format!("bytes */{size_bytes}"));
            response.headers_mut().extend(range.ok().map(|it| (header::CONTENT_RANGE, it)));
        }
    }
}

fn not_modified(face: &Face) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    *response.headers_mut() = face.headers.clone();
    for name in [header::CONTENT_LENGTH, header::CONTENT_TYPE, header::CONTENT_DISPOSITION] {
        response.headers_mut().remove(name);
    }
    response
}

fn content_range(span: Span, size_bytes: u64) -> HeaderValue {
    let text = format!("bytes {}-{}/{size_bytes}", span.start, span.end - 1);
    // Digits may stand in a header.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("bytes"))
}

/// Opens an object. This takes some microseconds, less than to hand it to another thread.
fn open(object: &Object, size_bytes: u64) -> io::Result<File> {
    let file = File::open(object.path())?;
    let found = file.metadata()?.len();
    if found != size_bytes {
        return Err(io::Error::other(format!("it has {found} bytes in place of {size_bytes}")));
    }
    if size_bytes >= LARGE_BYTES {
        // Advice only: without it the file is read as well.
        let _ = rustix::fs::fadvise(&file, 0, None, Advice::Sequential);
    }
    Ok(file)
}
