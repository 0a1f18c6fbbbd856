//! What every request passes before a handler sees it: who asks, how much at once, how large.

use std::net::IpAddr;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use base::Sha256;
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

use super::{App, Problem, hub};
use crate::config::HttpConfig;

/// The longest path and query.
const URI_BYTES_MAX: usize = 8 << 10;
/// The longest head of a request, all fields together.
const HEAD_BYTES_MAX: usize = 32 << 10;

/// Where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// The socket in the state folder: only who may write to it can be there.
    Operator,
    /// The network.
    Client(IpAddr),
}

pub(super) struct Guard {
    seats: Semaphore,
    read_token: Option<Sha256>,
    operator_token: Option<Sha256>,
}

impl Guard {
    pub(super) fn new(settings: &HttpConfig) -> anyhow::Result<Self> {
        let token = |file: &Option<std::path::PathBuf>| file.as_deref().map(read_token).transpose();
        Ok(Self {
            seats: Semaphore::new(settings.requests_max),
            read_token: token(&settings.read_token_file)?,
            operator_token: token(&settings.operator_token_file)?,
        })
    }
}

/// Reads a token and keeps only its digest: it cannot leak from there, and digests compare in constant time.
fn read_token(path: &std::path::Path) -> anyhow::Result<Sha256> {
    use anyhow::Context as _;
    let text = std::fs::read_to_string(path).with_context(|| format!("read the token {}", path.display()))?;
    let text = text.trim();
    anyhow::ensure!(!text.is_empty(), "the token file {} is empty: write the token into it", path.display());
    Ok(Sha256::of(text.as_bytes()))
}

/// Lets a request through, or answers it.
pub(super) async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    if let Err(problem) = admit(&app, &request) {
        let is_hub = problem.code() == StatusCode::UNAUTHORIZED && hub::is_hub(request.uri().path());
        return if is_hub { hub::Refusal::token_needed().into_response() } else { problem.into_response() };
    }
    let Ok(_seat) = app.guard().seats.try_acquire() else {
        return Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too-many-requests-at-once",
            "Too many requests at once",
        )
        .detail("all seats are taken")
        .remedy("come back in a moment, or raise [http] requests_max")
        .retry_after(1)
        .into_response();
    };
    next.run(request).await
}

fn admit(app: &App, request: &Request) -> Result<(), Problem> {
    let uri = request.uri();
    if uri.path_and_query().is_some_and(|it| it.as_str().len() > URI_BYTES_MAX) {
        return Err(Problem::new(StatusCode::URI_TOO_LONG, "uri-too-long", "The address is too long")
            .detail(format!("path and query may take {URI_BYTES_MAX} bytes"))
            .remedy("ask for less at once"));
    }
    let head = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    if head.sum::<usize>() > HEAD_BYTES_MAX {
        return Err(Problem::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "head-too-large",
            "The head is too large",
        )
        .detail(format!("all header fields together may take {HEAD_BYTES_MAX} bytes"))
        .remedy("send fewer or shorter header fields, cookies above all"));
    }
    let is_open = matches!(uri.path(), "/healthz" | "/readyz");
    if !is_open && !may_read(app, request) {
        return Err(unauthorized("reading"));
    }
    Ok(())
}

fn may_read(app: &App, request: &Request) -> bool {
    let guard = app.guard();
    match request.extensions().get::<Peer>() {
        Some(Peer::Operator) => true,
        _ => match &guard.read_token {
            None => true,
            Some(token) => {
                let given = bearer(request.headers());
                given.is_some_and(|it| {
                    same(&it, token) || guard.operator_token.as_ref().is_some_and(|token| same(&it, token))
                })
            }
        },
    }
}

/// Makes sure that whoever asks may act on this host.
pub(super) fn operator(app: &App, peer: Option<Peer>, headers: &HeaderMap) -> Result<(), Problem> {
    if peer == Some(Peer::Operator) {
        return Ok(());
    }
    let guard = app.guard();
    let Some(token) = &guard.operator_token else {
        return Err(Problem::new(StatusCode::FORBIDDEN, "operator-only", "For operators only")
            .detail("nobody may act on this host over the network")
            .remedy("use the hallmark command on the host itself, or set [http] operator_token_file"));
    };
    if bearer(headers).is_some_and(|it| same(&it, token)) {
        Ok(())
    } else {
        Err(unauthorized("acting on the host"))
    }
}

/// Says in what role somebody holds a token of this host.
pub(super) fn holder(app: &App, headers: &HeaderMap) -> Option<&'static str> {
    let (guard, given) = (app.guard(), bearer(headers)?);
    let holds = |token: &Option<Sha256>| token.as_ref().is_some_and(|it| same(&given, it));
    match (holds(&guard.operator_token), holds(&guard.read_token)) {
        (true, _) => Some("operator"),
        (false, true) => Some("reader"),
        (false, false) => None,
    }
}

fn unauthorized(what: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "token-needed", "A token is needed")
        .detail(format!("{what} needs a token, and none or another one was given"))
        .remedy("send the header `Authorization: Bearer <token>`; clients of the hub take it from HF_TOKEN")
}

fn bearer(headers: &HeaderMap) -> Option<Sha256> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Sha256::of(token.trim().as_bytes()))
}

fn same(one: &Sha256, other: &Sha256) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}
