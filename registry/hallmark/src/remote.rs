//! A client of the daemon: of the one that runs on the same state folder, over the Unix socket there, or of any over
//! the network.
//!
//! - A daemon runs if its socket can be connected to; a socket that nobody listens on is a leftover.
//! - Every answer is bounded. A daemon that ends half-way is an error that says so.

mod lines;
mod news;
mod wire;

use std::{io, path::Path};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use hyper::{Method, Request, body::Incoming};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;
use tokio::runtime::Runtime;
use url::{Url, form_urlencoded};

pub(crate) use self::{
    lines::Lines,
    news::{Event, Events},
    wire::{parse, refusal},
};
use self::{
    lines::lines,
    wire::{Peer, Problem, answer, request, whole, within},
};
use crate::{
    gc,
    host::Place,
    http::GraphStanding,
    out,
    serve::socket_path,
    status::{Follow, Relay, Row},
};

/// How many models to ask for at once.
const PAGE: usize = 1000;

/// A daemon.
pub(crate) struct Remote {
    peer: Peer,
    runtime: Runtime,
}

#[derive(Deserialize)]
struct Page {
    models: Vec<Row>,
    next: Option<String>,
}

/// The relays that the daemon has to do with.
#[derive(Default, Deserialize)]
pub(crate) struct Relays {
    pub(crate) relays: Vec<Relay>,
    pub(crate) follows: Vec<Follow>,
}

/// What keeps a daemon from doing all that it is for: nothing, if all is well.
#[derive(Default, Deserialize)]
pub(crate) struct Ailments {
    /// Why the event log cannot be written.
    pub(crate) log: Option<String>,
    /// How far the lineage graph is that is not whole.
    pub(crate) graph: Option<GraphStanding>,
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
        let found = Self::on(&place.state)?;
        if found.is_some() && place.says_what_to_do() {
            out::note("a daemon runs on this state folder: its own config rules, not --config or --index");
        }
        Ok(found)
    }

    /// Returns the daemon of a state folder, if one runs.
    pub(crate) fn on(state: &Path) -> anyhow::Result<Option<Self>> {
        let state = std::path::absolute(state).context("find the state folder")?;
        let socket = socket_path(&state);
        // Most often no daemon runs, and nobody has to be asked for that.
        if matches!(socket.try_exists(), Ok(false)) {
            return Ok(None);
        }
        match std::os::unix::net::UnixStream::connect(&socket) {
            Ok(_) => Self::of(Peer::Socket(socket)).map(Some),
            Err(error) => match error.kind() {
                // A path that is too long for a socket is none of a daemon either.
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::InvalidInput => {
                    Ok(None)
                }
                _ => Err(error).with_context(|| {
                    format!("ask the daemon at {}: be the user it runs as, or root", socket.display())
                }),
            },
        }
    }

    /// Returns the daemon at an address of the network.
    pub(crate) fn at(url: &Url) -> anyhow::Result<Self> {
        if url.scheme() != "http" {
            bail!("{url} is not http://: what stands before the daemon and speaks TLS is for other clients");
        }
        let host = url.host_str().context("the daemon's address has no host")?;
        Self::of(Peer::Net(format!("{host}:{}", url.port_or_known_default().unwrap_or(80))))
    }

    fn of(peer: Peer) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self { peer, runtime: runtime.context("start the runtime")? })
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

    /// Lists how the relays stand that the daemon publishes to and follows: none if it keeps no log.
    pub(crate) async fn relays(&self) -> anyhow::Result<Relays> {
        let (status, body) = within(self.send::<()>(Method::GET, "/v1/relays", None)).await?;
        let bytes = within(whole(body)).await?;
        if status == 404 { Ok(Relays::default()) } else { answer(status, &bytes) }
    }

    /// Asks what ails the daemon itself.
    pub(crate) async fn ailments(&self) -> anyhow::Result<Ailments> {
        let (_, body) = within(self.send::<()>(Method::GET, "/readyz", None)).await?;
        // Ready or not, the answer has the same form.
        parse(&within(whole(body)).await?)
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
        let (status, body) = within(self.peer.exchange(Request::from_parts(parts, body))).await?;
        let mut events = Events::new(lines(status, body).await?);
        // Nothing is missed from here on.
        within(async { events.next().await.context("watch the daemon") }).await?;
        Ok(events)
    }

    /// Publishes a signed event. Returns the status and what the daemon said.
    pub(crate) async fn publish<E: Serialize + ?Sized>(&self, event: &E) -> anyhow::Result<(u16, Bytes)> {
        self.post("/v1/events", event).await
    }

    /// Asks something. Returns the status and what the daemon said.
    pub(crate) async fn post<Q: Serialize + ?Sized>(
        &self,
        path: &str,
        question: &Q,
    ) -> anyhow::Result<(u16, Bytes)> {
        let (status, body) = within(self.send(Method::POST, path, Some(question))).await?;
        Ok((status, within(whole(body)).await?))
    }

    /// Asks for a page that has to be there, and reads it.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let (status, body) = within(self.send::<()>(Method::GET, path, None)).await?;
        answer(status, &within(whole(body)).await?)
    }

    async fn send<T: Serialize + ?Sized>(
        &self,
        method: Method,
        path: &str,
        body: Option<&T>,
    ) -> anyhow::Result<(u16, Incoming)> {
        self.peer.exchange(request(method, path, body)?).await
    }
}
