//! A small hub on a free port of this machine. It speaks the resolve protocol, and misbehaves as an act asks.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header},
    response::IntoResponse as _,
    routing::get,
};
use base::Sha256;
use bytes::Bytes;
use futures_util::stream;
use tokio::{net::TcpListener, sync::mpsc};

use super::acts::{Act, COMMIT, Manners};

/// How long what was sent needs to be on its way before the connection breaks.
const BEFORE_THE_BREAK: Duration = Duration::from_millis(50);

/// Something the hub did that is worth telling.
#[derive(Debug)]
pub(super) struct Remark {
    pub(super) id: String,
    pub(super) text: String,
}

/// A running hub; it ends with its runtime.
pub(super) struct Hub {
    url: String,
}

#[derive(Clone)]
struct Shared(Arc<Inner>);

struct Inner {
    repositories: BTreeMap<String, Repository>,
    tell: mpsc::Sender<Remark>,
}

struct Repository {
    id: String,
    manners: Manners,
    files: BTreeMap<String, Bytes>,
    /// How many requests there were, and how many of them for bytes.
    asked: Mutex<(usize, usize)>,
}

impl Hub {
    pub(super) async fn start(acts: &[Act], tell: mpsc::Sender<Remark>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("open the demo's hub")?;
        let url = format!("http://{}", listener.local_addr().context("ask for the hub's port")?);
        let repositories = acts.iter().map(|act| {
            let files = act.files().iter().map(|(path, bytes)| ((*path).to_owned(), bytes.clone())).collect();
            let (id, manners) = (act.id.to_owned(), act.manners);
            (act.repository(), Repository { id, manners, files, asked: Mutex::default() })
        });
        let shared = Shared(Arc::new(Inner { repositories: repositories.collect(), tell }));
        let app = Router::new()
            .route("/{owner}/{name}/resolve/{revision}/{*path}", get(resolve))
            .fallback(async || refused(StatusCode::NOT_FOUND, "RepoNotFound"))
            .with_state(shared);
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!("The demo's hub ended: {error}");
            }
        });
        Ok(Self { url })
    }

    /// Returns its address, to be configured as an endpoint.
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

/// `GET` and `HEAD /{owner}/{name}/resolve/{revision}/{path}`.
async fn resolve(
    State(Shared(hub)): State<Shared>,
    Path((owner, name, revision, path)): Path<(String, String, String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Response<Body> {
    let Some(repository) = hub.repositories.get(&format!("{owner}/{name}")) else {
        return refused(StatusCode::NOT_FOUND, "RepoNotFound");
    };
    if revision != COMMIT && revision != "main" {
        return refused(StatusCode::NOT_FOUND, "RevisionNotFound");
    }
    let Some(bytes) = repository.files.get(&path) else {
        return refused(StatusCode::NOT_FOUND, "EntryNotFound");
    };
    let wants_bytes = method == Method::GET;
    let (asked, asked_bytes) = repository.count(wants_bytes);
    let from = headers.get(header::RANGE).and_then(|it| first_byte(it.to_str().ok()?)).unwrap_or(0);
    let remark = |text: String| {
        // If the teller is that far behind, one remark less is no loss.
        drop(hub.tell.try_send(Remark { id: repository.id.clone(), text }));
    };
    match repository.manners {
        Manners::Good | Manners::Empty => send(bytes, bytes, from, None),
        Manners::Tampers => {
            // Another byte each time: what spoils it is on the way, not in the catalog.
            let at = bytes.len() / 2 + asked;
            if wants_bytes {
                remark(format!("the hub announces the right digest and changes byte {at}"));
            }
            send(bytes, &flipped(bytes, at), from, None)
        }
        Manners::Fails if asked == 1 => {
            remark("the hub answers 503".to_owned());
            refused(StatusCode::SERVICE_UNAVAILABLE, "Busy")
        }
        Manners::Fails if asked_bytes == 1 && wants_bytes => {
            let until = bytes.len() / 2;
            remark(format!("the hub breaks off after {until} of {} bytes", bytes.len()));
            send(bytes, bytes, from, Some(until))
        }
        Manners::Fails => {
            if wants_bytes {
                remark(format!("the hub is asked to go on at byte {from}, and does"));
            }
            send(bytes, bytes, from, None)
        }
    }
}

impl Repository {
    fn count(&self, wants_bytes: bool) -> (usize, usize) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.0 += 1;
        asked.1 += usize::from(wants_bytes);
        *asked
    }
}

/// Sends bytes under the headers of the true file, from a place on, and breaks off if it has to.
fn send(file: &Bytes, bytes: &Bytes, from: usize, until: Option<usize>) -> Response<Body> {
    let size = file.len();
    if from >= size {
        let mut response = refused(StatusCode::RANGE_NOT_SATISFIABLE, "Range");
        response.headers_mut().extend(value(header::CONTENT_RANGE, &format!("bytes */{size}")));
        return response;
    }
    let rest = bytes.slice(from..);
    let body = match until {
        None => Body::from(rest.clone()),
        Some(until) => broken(bytes.slice(from..until.max(from))),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, rest.len().into());
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert("x-repo-commit", HeaderValue::from_static(COMMIT));
    headers.extend(value(header::ETAG, &format!("\"{}\"", Sha256::of(file))));
    if from > 0 {
        headers.extend(value(header::CONTENT_RANGE, &format!("bytes {from}-{}/{size}", size - 1)));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

fn broken(bytes: Bytes) -> Body {
    let break_off = async {
        tokio::time::sleep(BEFORE_THE_BREAK).await;
        Err(io::Error::other("broken off"))
    };
    Body::from_stream(futures_util::StreamExt::chain(stream::iter([Ok(bytes)]), stream::once(break_off)))
}

fn refused(status: StatusCode, code: &'static str) -> Response<Body> {
    (status, [("x-error-code", code)], "").into_response()
}

fn value(name: header::HeaderName, text: &str) -> Option<(header::HeaderName, HeaderValue)> {
    Some((name, HeaderValue::from_str(text).ok()?))
}

/// Reads `bytes=N-…`; what hallmark asks for always goes to the end of these small files.
fn first_byte(range: &str) -> Option<usize> {
    range.strip_prefix("bytes=")?.split('-').next()?.parse().ok()
}

fn flipped(bytes: &Bytes, at: usize) -> Bytes {
    let mut bytes = bytes.to_vec();
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 0x20;
    }
    bytes.into()
}
