//! A client of the daemon that runs on the same state folder, over the Unix socket there.
//!
//! - A daemon runs if its socket can be connected to; a socket that nobody listens on is a leftover.
//! - Every answer is bounded. A daemon that ends half-way is an error that says so.

mod news;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;
use tokio::{net::UnixStream, runtime::Runtime, time::timeout};
use url::form_urlencoded;

pub(crate) use self::news::{Event, Events};
use crate::{gc, host::Place, out, serve::socket_path, status::Row};

/// How long the daemon may take for what it only has to look up.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// The largest answer that is taken: a page of a thousand models with all they say.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// The longest line of an answer that comes line by line.
const LINE_BYTES_MAX: usize = 4 << 20;
/// How many models to ask for at once.
const PAGE: usize = 1000;

/// The daemon of a state folder.
pub(crate) struct Remote {
    socket: PathBuf,
    runtime: Runtime,
}

/// What the daemon says when it cannot do what it was asked: an RFC 9457 problem document.
#[derive(Debug, Deserialize)]
struct Problem {
    detail: String,
    #[serde(default)]
    remedy: String,
}

#[derive(Deserialize)]
struct Page {
    models: Vec<Row>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Begun {
    models: Vec<String>,
}

/// What the daemon knows of an id.
pub(crate) enum Found {
    Model(Box<Row>),
    /// Nothing; what it says to that.
    Nothing(String),
}

impl Remote {
    /// Returns the daemon of a place, if one runs. Settings of the command line that only count without one are
    /// named.
    pub(crate) fn find(place: &Place) -> anyhow::Result<Option<Self>> {
        let state = std::path::absolute(&place.state).context("find the state folder")?;
        let found = Self::find_in(&state)?;
        if found.is_some() && place.says_what_to_do() {
            out::note("a daemon runs on this state folder: its own config rules, not --config or --index");
        }
        Ok(found)
    }

    /// Returns the daemon of a state folder, if one runs.
    pub(crate) fn find_in(state: &Path) -> anyhow::Result<Option<Self>> {
        let socket = socket_path(state);
        match std::os::unix::net::UnixStream::connect(&socket) {
            Ok(_) => {}
            Err(error) => {
                return match error.kind() {
                    // A path that is too long for a socket is none of a daemon either.
                    io::ErrorKind::NotFound
                    | io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::InvalidInput => Ok(None),
                    _ => Err(error).with_context(|| {
                        format!("ask the daemon at {}: be the user it runs as, or root", socket.display())
                    }),
                };
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Some(Self { socket, runtime: runtime.context("start the runtime")? }))
    }

    /// Runs a conversation with the daemon.
    pub(crate) fn converse<T>(&self, talk: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        self.runtime.block_on(talk)
    }

    /// Lists how every model stands.
    pub(crate) async fn rows(&self) -> anyhow::Result<Vec<Row>> {
        self.rows_with(&[]).await
    }

    /// Lists how the models stand that the host asks for and the index does not have.
    pub(crate) async fn missing(&self) -> anyhow::Result<Vec<Row>> {
        self.rows_with(&[("state", "missing")]).await
    }

    async fn rows_with(&self, filters: &[(&str, &str)]) -> anyhow::Result<Vec<Row>> {
        let mut rows = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("limit", &PAGE.to_string()).extend_pairs(filters);
            query.extend_pairs(cursor.iter().map(|it| ("cursor", it)));
            let page: Page = self.get(&format!("/v1/models?{}", query.finish())).await?;
            let came = page.models.len();
            rows.extend(page.models);
            match page.next {
                Some(next) if came > 0 => cursor = Some(next),
                _ => return Ok(rows),
            }
        }
    }

    /// Looks for one model.
    pub(crate) async fn find_model(&self, id: &str) -> anyhow::Result<Found> {
        let id = form_urlencoded::byte_serialize(id.as_bytes()).collect::<String>().replace('+', "%20");
        let path = format!("/v1/models/{id}");
        let (status, body) = within(self.send::<()>(Method::GET, &path, None)).await?;
        let bytes = within(whole(body)).await?;
        match status {
            200 => Ok(Found::Model(Box::new(parse(&bytes)?))),
            404 => Ok(Found::Nothing(parse::<Problem>(&bytes)?.detail)),
            _ => Err(refusal(&bytes)),
        }
    }

    /// Has models tried now, and returns which.
    pub(crate) async fn sync(&self, ids: &[String], all: bool) -> anyhow::Result<Vec<String>> {
        let asked = json!({ "ids": ids, "all": all });
        let (status, body) = within(self.send(Method::POST, "/v1/sync", Some(&asked))).await?;
        let begun: Begun = answer(status, &within(whole(body)).await?)?;
        Ok(begun.models)
    }

    /// Has what nothing wants removed, or told.
    pub(crate) fn gc(&self, dry_run: bool) -> anyhow::Result<gc::Done> {
        self.converse(async {
            // This takes as long as the disk does.
            let (status, body) =
                self.send(Method::POST, "/v1/gc", Some(&json!({ "dry_run": dry_run }))).await?;
            answer(status, &whole(body).await?)
        })
    }

    /// Has what is here hashed again; the answer comes line by line.
    pub(crate) async fn verify(&self, ids: &[String], repair: bool) -> anyhow::Result<Lines> {
        let asked = json!({ "ids": ids, "repair": repair });
        let (status, body) = self.send(Method::POST, "/v1/verify", Some(&asked)).await?;
        lines(status, body).await
    }

    /// Watches what happens, from now on or after an event that was seen.
    pub(crate) async fn watch(&self, after: Option<&str>) -> anyhow::Result<Events> {
        let request = request::<()>(Method::GET, "/v1/watch", None)?;
        let (mut parts, body) = request.into_parts();
        if let Some(id) = after {
            let id = id.parse().context("name the last event")?;
            parts.headers.insert("last-event-id", id);
        }
        let (status, body) = within(self.exchange(Request::from_parts(parts, body))).await?;
        let mut events = Events::new(lines(status, body).await?);
        // Nothing is missed from here on.
        within(async { events.next().await.context("watch the daemon") }).await?;
        Ok(events)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let (status, body) = within(self.send::<()>(Method::GET, path, None)).await?;
        answer(status, &within(whole(body)).await?)
    }

    async fn send<T: Serialize>(
        &self,
        method: Method,
        path: &str,
        body: Option<&T>,
    ) -> anyhow::Result<(u16, Incoming)> {
        self.exchange(request(method, path, body)?).await
    }

    /// Sends one request over a connection of its own.
    async fn exchange(&self, request: Request<Full<Bytes>>) -> anyhow::Result<(u16, Incoming)> {
        let stream = UnixStream::connect(&self.socket).await.context(ENDED)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.context(ENDED)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("The connection to the daemon broke: {error}");
            }
        });
        let response = sender.send_request(request).await.context(ENDED)?;
        Ok((response.status().as_u16(), response.into_body()))
    }
}

/// The daemon went away.
const ENDED: &str = "the daemon ended before it answered; look at its log, and ask again once it runs";

fn request<T: Serialize>(
    method: Method,
    path: &str,
    body: Option<&T>,
) -> anyhow::Result<Request<Full<Bytes>>> {
    let request = Request::builder().method(method).uri(path).header("host", "localhost");
    let request = match body {
        Some(body) => {
            let body = serde_json::to_vec(body).context("write the request as JSON")?;
            request.header("content-type", "application/json").body(Full::from(body))
        }
        None => request.body(Full::default()),
    };
    request.context("write a request to the daemon")
}

async fn within<T>(answer: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let late = || format!("the daemon did not answer for {} s: look at its log", ANSWER_MAX.as_secs());
    timeout(ANSWER_MAX, answer).await.with_context(late)?
}

async fn whole(body: Incoming) -> anyhow::Result<Bytes> {
    match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) => Err(anyhow::Error::from_boxed(error).context(ENDED)),
    }
}

fn answer<T: DeserializeOwned>(status: u16, bytes: &[u8]) -> anyhow::Result<T> {
    if (200..300).contains(&status) { parse(bytes) } else { Err(refusal(bytes)) }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> anyhow::Result<T> {
    serde_json::from_slice(bytes).context("read the daemon's answer: is it the same version of hallmark?")
}

fn refusal(bytes: &[u8]) -> anyhow::Error {
    match parse::<Problem>(bytes) {
        Ok(problem) if problem.remedy.is_empty() => anyhow::Error::msg(problem.detail),
        Ok(problem) => anyhow::anyhow!("{}: {}", problem.detail, problem.remedy),
        Err(error) => error,
    }
}

async fn lines(status: u16, body: Incoming) -> anyhow::Result<Lines> {
    if status != 200 {
        return Err(refusal(&whole(body).await?));
    }
    Ok(Lines { body, buffer: BytesMut::new(), is_over: false })
}

/// An answer that comes line by line.
pub(crate) struct Lines {
    body: Incoming,
    buffer: BytesMut,
    is_over: bool,
}

impl Lines {
    /// Returns the next line without its end; nothing when the answer is over.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<String>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|it| *it == b'\n') {
                let line = self.buffer.split_to(end + 1);
                let line = std::str::from_utf8(&line).context("read the daemon's answer")?;
                return Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()));
            }
            if self.is_over {
                return Ok(None);
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                bail!("a line of the daemon's answer is longer than {LINE_BYTES_MAX} bytes");
            }
            match self.body.frame().await {
                Some(frame) => {
                    let frame = frame.context(ENDED)?;
                    self.buffer.extend(frame.data_ref().into_iter().flatten());
                }
                None => self.is_over = true,
            }
        }
    }
}
