//! Asks web servers: one request at a time, redirects by hand, and the token to one origin only.

use std::{
    ops::Range,
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use reqwest::{
    Method, RequestBuilder, Response, StatusCode,
    header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, HeaderMap, IF_RANGE, LOCATION, RANGE},
};
use url::Url;

use crate::{
    backoff::Hosts,
    fault::{Fault, Shown, SourceError},
    reply,
    settings::Settings,
    source::HubEndpoint,
    token::TokenFile,
};

const HOPS_MAX: usize = 10;
const USER_AGENT: &str = concat!("hallmark/", env!("CARGO_PKG_VERSION"));

/// The way to the web.
pub(crate) struct Web {
    /// Made when it is first needed: reading what the machine trusts takes time and memory, and a host whose models
    /// are all there needs neither. A failure is not kept, so mending the machine is enough.
    http: OnceLock<reqwest::Client>,
    connect_time_max: Duration,
    connections_max: usize,
    endpoint: HubEndpoint,
    token: Option<TokenFile>,
    idle_time_max: Duration,
    asked_pause_max: Duration,
    tries_max: u32,
    pub(crate) hosts: Hosts,
}

/// Where a file is: the address to begin at, and the one that it last led to.
#[derive(Debug)]
pub(crate) struct Place {
    start: Url,
    direct: Mutex<Option<Url>>,
    page: Option<String>,
}

impl Place {
    pub(crate) fn new(start: Url, page: Option<String>) -> Self {
        Self { start, direct: Mutex::new(None), page }
    }

    pub(crate) fn shown(&self) -> Shown {
        Shown::of(&self.start)
    }

    /// Returns the host that counts for pauses.
    pub(crate) fn host(&self) -> String {
        self.start.origin().ascii_serialization()
    }

    fn direct(&self) -> Option<Url> {
        self.direct.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_direct(&self, url: Option<Url>) {
        *self.direct.lock().unwrap_or_else(PoisonError::into_inner) = url;
    }
}

/// Which bytes to ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) span: &'a Range<u64>,
    pub(crate) if_range: Option<&'a str>,
}

impl Web {
    pub(crate) fn new(settings: &Settings, hosts: Hosts) -> Self {
        Self {
            http: OnceLock::new(),
            connect_time_max: settings.connect_time_max,
            connections_max: settings.parts_max.saturating_mul(settings.files_max),
            endpoint: settings.endpoint.clone(),
            token: settings.token.clone(),
            idle_time_max: settings.idle_time_max,
            asked_pause_max: settings.asked_pause_max,
            tries_max: settings.tries_max,
            hosts,
        }
    }

    /// Returns the client, which is made if there is none yet.
    fn http(&self) -> Result<&reqwest::Client, Fault> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let made = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            // Several ranges of one file are to use several connections, and the plain protocol costs least.
            .http1_only()
            .no_proxy()
            .referer(false)
            .connect_timeout(self.connect_time_max)
            .pool_max_idle_per_host(self.connections_max)
            .build();
        let http = made.map_err(|source| Fault::Final(SourceError::Unprepared { source }))?;
        Ok(self.http.get_or_init(|| http))
    }

    /// Sends one request and returns the answer, whatever it is.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: &Url,
        ask: Option<Ask<'_>>,
    ) -> Result<Response, Fault> {
        let mut request = self.http()?.request(method, url.clone()).header(ACCEPT_ENCODING, "identity");
        if let Some(ask) = ask {
            request = request.header(RANGE, format!("bytes={}-{}", ask.span.start, ask.span.end - 1));
            if let Some(etag) = ask.if_range {
                request = request.header(IF_RANGE, etag);
            }
        }
        if let Some(file) = self.token.as_ref().filter(|_| self.endpoint.is_origin_of(url)) {
            let token = file.read().await.map_err(|it| Fault::Final(it.into()))?;
            request = request.header(AUTHORIZATION, token.header());
        }
        match tokio::time::timeout(self.idle_time_max, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(Fault::again(broken(url, error))),
            Err(_) => {
                Err(Fault::again(SourceError::Silent { url: Shown::of(url), limit: self.idle_time_max }))
            }
        }
    }

    /// Begins a request that carries something. The token goes with it where the address is the hub's own.
    pub(crate) async fn begin(&self, method: Method, url: &Url) -> Result<RequestBuilder, Fault> {
        let request = self.http()?.request(method, url.clone());
        let Some(file) = self.token.as_ref().filter(|_| self.endpoint.is_origin_of(url)) else {
            return Ok(request);
        };
        let token = file.read().await.map_err(|it| Fault::Final(it.into()))?;
        Ok(request.header(AUTHORIZATION, token.header()))
    }

    /// Asks for bytes, follows redirects, and returns an answer that has them: 200, or 206 if a range was asked for.
    pub(crate) async fn get(&self, place: &Place, ask: Option<Ask<'_>>) -> Result<Response, Fault> {
        let mut known = place.direct();
        let mut url = known.clone().unwrap_or_else(|| place.start.clone());
        for _ in 0..HOPS_MAX {
            let response = self.send(Method::GET, &url, ask).await?;
            let status = response.status();
            if let Some(target) = redirect(&response, &url)? {
                url = target;
                continue;
            }
            if matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
                plain(&response, &url)?;
                place.set_direct(Some(url).filter(|it| *it != place.start));
                return Ok(response);
            }
            let elsewhere = url.origin() != place.start.origin();
            if elsewhere && matches!(status.as_u16(), 401 | 403 | 410) {
                // A signed address is good for a while. The one we kept may be too old: ask for a new one.
                place.set_direct(None);
                if known.take().is_some() {
                    url = place.start.clone();
                    continue;
                }
                return Err(Fault::again(SourceError::Expired { url: Shown::of(&url), status }));
            }
            return Err(self.refusal(&response, &url, place.page.as_deref()));
        }
        Err(Fault::Final(SourceError::Confused { url: place.shown(), what: "it redirects without end" }))
    }

    /// Reads a status that is not the wished-for one.
    pub(crate) fn refusal(&self, response: &Response, url: &Url, page: Option<&str>) -> Fault {
        let (status, headers) = (response.status(), response.headers());
        let (shown, page, code) = (Shown::of(url), page.map(str::to_owned), error_code(headers));
        match status.as_u16() {
            401 => Fault::Final(SourceError::Denied { url: shown, code, page }),
            403 => Fault::Final(SourceError::Gated { url: shown, code, page }),
            404 | 410 => Fault::Final(SourceError::Missing { url: shown, code, page }),
            416 => {
                let size_bytes = reply::content_range(headers).and_then(|it| it.total);
                Fault::Final(SourceError::Announced { url: shown, size_bytes, digest: None })
            }
            408 | 425 | 429 | 500 | 502..=599 => {
                let asked = reply::asked_pause(headers, self.hosts.now());
                Fault::Again { error: SourceError::Busy { url: shown, status, asked }, asked }
            }
            _ => Fault::Final(SourceError::Answer { url: shown, status }),
        }
    }

    /// Does a step again until it works, is final, or has failed too often.
    pub(crate) async fn persist<T, F>(
        &self,
        host: &str,
        tries: &mut Tries<'_>,
        mut step: F,
    ) -> Result<T, Fault>
    where
        F: AsyncFnMut() -> Result<(T, u64), (Fault, u64)>,
    {
        loop {
            let closed = self.hosts.closed_for(host);
            if !closed.is_zero() {
                (tries.tell)(closed, &format!("{host} asked for a pause"));
                self.hosts.sleep(closed).await;
            }
            let (fault, gained_bytes) = match step().await {
                Ok((value, _)) => {
                    self.hosts.worked(host);
                    return Ok(value);
                }
                Err(it) => it,
            };
            let Fault::Again { error, asked } = fault else { return Err(fault) };
            tries.count(gained_bytes);
            if tries.failed > self.tries_max || asked.is_some_and(|it| it > self.asked_pause_max) {
                return Err(Fault::Again { error, asked });
            }
            let pause = self.hosts.failed(host, asked);
            (tries.tell)(pause, &with_cause(&error));
            self.hosts.sleep(pause).await;
        }
    }
}

/// How often something failed in a row, and who is told about the pauses.
pub(crate) struct Tries<'a> {
    failed: u32,
    tell: &'a (dyn Fn(Duration, &str) + Sync),
}

impl<'a> Tries<'a> {
    pub(crate) fn new(tell: &'a (dyn Fn(Duration, &str) + Sync)) -> Self {
        Self { failed: 0, tell }
    }

    fn count(&mut self, gained_bytes: u64) {
        const WORTH_A_TRY: u64 = 1 << 20;
        self.failed = if gained_bytes >= WORTH_A_TRY { 1 } else { self.failed + 1 };
    }
}

/// Says what went wrong and what lies at the bottom of it, such as a refused connection.
fn with_cause(error: &SourceError) -> String {
    let mut deepest = std::error::Error::source(error);
    while let Some(below) = deepest.and_then(std::error::Error::source) {
        deepest = Some(below);
    }
    deepest.map_or_else(|| error.to_string(), |it| format!("{error}: {it}"))
}

/// Wraps a transport error without the address, which may be signed.
pub(crate) fn broken(url: &Url, error: reqwest::Error) -> SourceError {
    SourceError::Broken { url: Shown::of(url), source: error.without_url() }
}

/// Returns where a redirect leads, or `None` if the answer is no redirect.
pub(crate) fn redirect(response: &Response, url: &Url) -> Result<Option<Url>, Fault> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let confused = |what| Fault::Final(SourceError::Confused { url: Shown::of(url), what });
    let location = reply::text(response.headers(), LOCATION.as_str());
    let location = location.ok_or_else(|| confused("it redirects without saying where"))?;
    let target = url.join(location).map_err(|_| confused("it redirects to what is no address"))?;
    match (url.scheme(), target.scheme()) {
        (_, "https") | ("http", "http") => Ok(Some(target)),
        _ => Err(confused("it redirects to an address that is not https")),
    }
}

/// Refuses a body that was compressed: its ranges and its length are not the file's.
fn plain(response: &Response, url: &Url) -> Result<(), Fault> {
    match reply::text(response.headers(), CONTENT_ENCODING.as_str()) {
        None | Some("identity" | "") => Ok(()),
        Some(_) => {
            let what = "it compresses the file although it was asked not to";
            Err(Fault::Final(SourceError::Confused { url: Shown::of(url), what }))
        }
    }
}

/// Returns the hub's own name for an error. Only plain words are believed.
fn error_code(headers: &HeaderMap) -> Option<String> {
    let code = reply::text(headers, "x-error-code")?;
    let word = code.len() <= 64 && code.bytes().all(|it| it.is_ascii_alphanumeric());
    word.then(|| code.to_owned())
}
