//! Asks a forge, with bounds on time, size and tries.
//!
//! - A question that changes nothing, or the same thing again, is put again when the network or the forge fails. One
//!   that opens something new is put once: whoever asks looks first whether it is there.
//! - No redirect is followed, so that the token goes to the address that was configured and nowhere else.

mod error;

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use base::{Clock, UnixSeconds};
use reqwest::{
    Method as HttpMethod, Response, StatusCode,
    header::{HeaderMap, HeaderValue, RETRY_AFTER},
};

pub use self::error::ClientError;
use crate::{
    address::Address,
    forge::{Forge, Method, Note, Question, Request, State, Text, Unreadable},
};

/// How many pages of pull requests or remarks are looked through.
const PAGES_MAX: u32 = 10;

/// What one question may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The time to connect.
    pub connect_max: Duration,
    /// The whole time of one try.
    pub answer_max: Duration,
    /// How large an answer may be.
    pub answer_bytes_max: usize,
    /// How often it is put.
    pub tries_max: u32,
    /// How long to wait after the first failure; each pause is twice the last.
    pub pause: Duration,
    /// The longest pause, also where the forge asks for one.
    pub pause_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_max: Duration::from_secs(10),
            answer_max: Duration::from_secs(30),
            answer_bytes_max: 16 << 20,
            tries_max: 3,
            pause: Duration::from_millis(500),
            pause_max: Duration::from_secs(30),
        }
    }
}

/// A file with a token. Read when a question is put, never printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFile(pub PathBuf);

/// Speaks with one forge about one repository.
pub struct Client {
    http: reqwest::Client,
    address: Address,
    forge: Box<dyn Forge>,
    token: TokenFile,
    limits: Limits,
    clock: Arc<dyn Clock>,
}

impl Client {
    /// Prepares to speak with a forge. Asks nothing yet.
    pub fn new(
        address: Address,
        token: TokenFile,
        limits: Limits,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ClientError> {
        let http = reqwest::Client::builder()
            .connect_timeout(limits.connect_max)
            .timeout(limits.answer_max)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("hallmark/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(ClientError::SetUp)?;
        Ok(Self { http, forge: address.forge(), address, token, limits, clock })
    }

    /// Returns the forge's language.
    pub fn forge(&self) -> &dyn Forge {
        &*self.forge
    }

    /// Returns the newest pull request from a branch; one that is open comes before all others.
    pub async fn newest(&self, branch: &str) -> Result<Option<Request>, ClientError> {
        let mut newest: Option<Request> = None;
        for page in 1..=PAGES_MAX {
            let body = self.ask(&self.forge.find(branch, page)).await?;
            let found = self.read(self.forge.found(branch, &body))?;
            for request in found.requests {
                if request.state == State::Open {
                    return Ok(Some(request));
                }
                newest = newest.or(Some(request));
            }
            if !found.has_more {
                break;
            }
        }
        Ok(newest)
    }

    /// Opens a pull request.
    pub async fn open(&self, branch: &str, base: &str, text: &Text) -> Result<Request, ClientError> {
        let body = self.ask(&self.forge.open(branch, base, text)).await?;
        self.read(self.forge.request(&body))
    }

    /// Changes what a pull request says.
    pub async fn update(&self, number: u64, text: &Text) -> Result<Request, ClientError> {
        let body = self.ask(&self.forge.update(number, text)).await?;
        self.read(self.forge.request(&body))
    }

    /// Puts a remark under a pull request, or in the place of ours: the one that begins with `mark`. Says whether
    /// anything had to be done.
    pub async fn remark(&self, number: u64, mark: &str, text: &str) -> Result<bool, ClientError> {
        let known = self.remarked(number, mark).await?;
        let question = match &known {
            Some(it) if it.body.replace("\r\n", "\n").trim() == text.trim() => return Ok(false),
            Some(it) => self.forge.renote(number, it.id, text),
            None => self.forge.note(number, text),
        };
        self.ask(&question).await.map(|_| true)
    }

    async fn remarked(&self, number: u64, mark: &str) -> Result<Option<Note>, ClientError> {
        for page in 1..=PAGES_MAX {
            let Some(question) = self.forge.notes(number, page) else { break };
            let notes = self.read(self.forge.noted(&self.ask(&question).await?))?;
            if notes.is_empty() {
                break;
            }
            if let Some(ours) = notes.into_iter().find(|it| it.body.starts_with(mark)) {
                return Ok(Some(ours));
            }
        }
        Ok(None)
    }

    fn read<T>(&self, answer: Result<T, Unreadable>) -> Result<T, ClientError> {
        answer.map_err(|source| ClientError::Unreadable { forge: self.address.to_string(), source })
    }

    async fn ask(&self, question: &Question) -> Result<Vec<u8>, ClientError> {
        let headers = self.headers(question)?;
        let mut pause = self.limits.pause;
        let mut tries = 0;
        loop {
            tries += 1;
            let error = match self.try_once(question, headers.clone()).await {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            let may_again = question.method.is_repeatable() || error.was_not_heard();
            if !error.passes() || !may_again || tries >= self.limits.tries_max {
                return Err(error);
            }
            let asked = error.wait();
            if asked.is_some_and(|it| it > self.limits.pause_max) {
                return Err(error);
            }
            tokio::time::sleep(asked.unwrap_or(pause)).await;
            pause = (pause * 2).min(self.limits.pause_max);
        }
    }

    fn headers(&self, question: &Question) -> Result<HeaderMap, ClientError> {
        let path = &self.token.0;
        let token = fs::read_to_string(path)
            .map_err(|source| ClientError::Token { path: path.clone(), source: source.into() })?;
        let (name, value) = self.forge.credentials(token.trim());
        let mut value = HeaderValue::from_str(&value)
            .ok()
            .filter(|_| !token.trim().is_empty())
            .ok_or_else(|| ClientError::Token { path: path.clone(), source: None })?;
        value.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(name, value);
        headers.insert("accept", HeaderValue::from_static(question.accept));
        if question.accept.contains("github") {
            headers.insert("x-github-api-version", HeaderValue::from_static("2022-11-28"));
        }
        Ok(headers)
    }

    async fn try_once(&self, question: &Question, headers: HeaderMap) -> Result<Vec<u8>, ClientError> {
        let forge = || self.address.to_string();
        let method = match question.method {
            Method::Get => HttpMethod::GET,
            Method::Post => HttpMethod::POST,
            Method::Patch => HttpMethod::PATCH,
            Method::Put => HttpMethod::PUT,
        };
        let mut request = self.http.request(method, &question.url).headers(headers);
        if let Some(body) = &question.body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let broken =
            |source: reqwest::Error| ClientError::Broken { forge: forge(), source: source.without_url() };
        let response = request.send().await.map_err(broken)?;
        let status = response.status();
        let wait = wait(response.headers(), self.clock.now());
        let is_spent = response.headers().get("x-ratelimit-remaining").is_some_and(|it| it == "0");
        let target = response.headers().get("location").and_then(|it| it.to_str().ok()).map(str::to_owned);
        let body = self.body(response).await?;
        if status.is_success() {
            return Ok(body);
        }
        let said = error::said(&body);
        Err(match status {
            StatusCode::UNAUTHORIZED => ClientError::Unknown { forge: forge(), path: self.token.0.clone() },
            StatusCode::TOO_MANY_REQUESTS => ClientError::Limited { forge: forge(), wait },
            StatusCode::FORBIDDEN if is_spent || wait.is_some() => {
                ClientError::Limited { forge: forge(), wait }
            }
            StatusCode::FORBIDDEN => ClientError::Forbidden { forge: forge(), said },
            StatusCode::NOT_FOUND => ClientError::Missing { forge: forge() },
            StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST => {
                ClientError::Refused { forge: forge(), said }
            }
            _ if status.is_redirection() => {
                let target =
                    target.as_deref().and_then(|it| it.split(['?', '#']).next()).unwrap_or("elsewhere");
                ClientError::Moved { forge: forge(), target: target.chars().take(200).collect() }
            }
            _ => ClientError::Failed { forge: forge(), code: status.as_u16(), said, wait },
        })
    }

    /// Reads an answer up to its bound.
    async fn body(&self, mut response: Response) -> Result<Vec<u8>, ClientError> {
        let forge = || self.address.to_string();
        let mut body = Vec::new();
        loop {
            let piece = response.chunk().await;
            let broken =
                |it: reqwest::Error| ClientError::Broken { forge: forge(), source: it.without_url() };
            let Some(piece) = piece.map_err(broken)? else { return Ok(body) };
            if body.len() + piece.len() > self.limits.answer_bytes_max {
                return Err(ClientError::TooLarge {
                    forge: forge(),
                    bytes_max: self.limits.answer_bytes_max,
                });
            }
            body.extend_from_slice(&piece);
        }
    }
}

/// Returns how long a forge asks to be left alone: in seconds, or until a time.
fn wait(headers: &HeaderMap, now: UnixSeconds) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let until = UnixSeconds(until.duration_since(UNIX_EPOCH).ok()?.as_secs());
    Some(until.since(now))
}
