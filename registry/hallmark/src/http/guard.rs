//! What every request passes before a handler sees it: who asks, how much at once, how large.

mod rate;

use std::{
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use base::Sha256;
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

use self::rate::Rate;
use super::{App, Problem, hub};
use crate::{
    config::HttpConfig,
    metrics::{Asked, Route},
};

/// The longest path and query.
const URI_BYTES_MAX: usize = 8 << 10;
/// The longest head of a request, all fields together.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// The longest id that a client may give its request.
const REQUEST_ID_BYTES_MAX: usize = 128;
/// Removes what nothing wants, for as long as that takes.
const LONG: &str = "/v1/gc";

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

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
    rate: Rate,
    /// What this run calls requests that have no name of their own: its own number, then theirs.
    run: u32,
    requests: AtomicU64,
}

impl Guard {
    pub(super) fn new(settings: &HttpConfig) -> anyhow::Result<Self> {
        let token = |file: &Option<std::path::PathBuf>| file.as_deref().map(read_token).transpose();
        Ok(Self {
            seats: Semaphore::new(settings.requests_max),
            read_token: token(&settings.read_token_file)?,
            operator_token: token(&settings.operator_token_file)?,
            rate: Rate::new(settings),
            run: rand::random(),
            requests: AtomicU64::new(0),
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

/// Lets a request through or answers it, and counts it.
pub(super) async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let route = Route(request.extensions().get::<MatchedPath>().cloned());
    let method = method(request.method());
    let id = request_id(app.guard(), request.headers());
    let is_hub = hub::is_hub(request.uri().path());
    let answer = answer(&app, request, next, &route).await;
    let mut response = answer.unwrap_or_else(|problem| refuse(problem, is_hub));
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    let status = class(response.status());
    app.metrics().request(&Asked { route, method, status }, begun.elapsed());
    response
}

/// Says no, on the hub's routes in a way that its clients show to people.
fn refuse(problem: Problem, is_hub: bool) -> Response {
    match problem.code() {
        StatusCode::UNAUTHORIZED if is_hub => hub::Refusal::token_needed().into_response(),
        _ if is_hub => {
            let message = hub::message(problem.text());
            let mut response = problem.into_response();
            response.headers_mut().extend([message]);
            response
        }
        _ => problem.into_response(),
    }
}

async fn answer(app: &App, request: Request, next: Next, route: &Route) -> Result<Response, Problem> {
    admit(app, &request)?;
    // Operators, and those who only ask whether the daemon is well, are never turned away by what others do.
    let is_free = is_open(&request) || request.extensions().get() == Some(&Peer::Operator);
    let seat = app.guard().seats.try_acquire();
    if seat.is_err() && !is_free {
        app.metrics().refuse("requests");
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too-many-requests-at-once",
            "Too many requests at once",
        )
        .detail("all seats are taken")
        .remedy("come back in a moment, or raise [http] requests_max")
        .retry_after(1));
    }
    if route.name() == LONG {
        return Ok(next.run(request).await);
    }
    let answer = tokio::time::timeout(app.settings().answer_limit(), next.run(request)).await;
    answer.map_err(|_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-slow", "It took too long")
            .detail("the answer was not there in time")
            .remedy("come back in a moment; if it goes on, look at the daemon's log")
            .retry_after(5)
    })
}

/// Takes the client's name for its request, if that can stand in a log, or makes one.
fn request_id(guard: &Guard, headers: &HeaderMap) -> HeaderValue {
    let is_sane = |it: &&HeaderValue| {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:=+/".contains(byte);
        (1..=REQUEST_ID_BYTES_MAX).contains(&it.len()) && it.as_bytes().iter().all(plain)
    };
    headers.get(REQUEST_ID).filter(is_sane).cloned().unwrap_or_else(|| {
        let number = guard.requests.fetch_add(1, Ordering::Relaxed);
        // Hex digits and a hyphen are a header's value in any case.
        HeaderValue::try_from(format!("{:08x}-{number:x}", guard.run))
            .unwrap_or(HeaderValue::from_static("none"))
    })
}

/// Returns a method's name; clients cannot make up names that are counted.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}

fn is_open(request: &Request) -> bool {
    matches!(request.uri().path(), "/healthz" | "/readyz")
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
    if let Some(Peer::Client(client)) = request.extensions().get() {
        let rate = &app.guard().rate;
        rate.take(*client).map_err(|wait| {
            app.metrics().refuse("rate");
            // Whole seconds are all that Retry-After can say.
            let seconds = wait.as_secs() + 1;
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests")
                .detail(format!("one client may make {} requests a second", rate.per_second()))
                .remedy("slow down, or raise [http] client_requests_per_second")
                .retry_after(seconds)
                .rate(rate.per_second())
        })?;
    }
    if !is_open(request) && !may_read(app, request) {
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
