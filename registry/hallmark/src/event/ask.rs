//! One question to the daemon: over the socket in its state folder, or over the network.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, StatusCode, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use url::Url;

use super::Whom;
use crate::serve::socket_path;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// How large one answer may be.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// What the daemon said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: StatusCode,
    pub(crate) body: Bytes,
}

/// Asks questions of one daemon.
pub(crate) struct Asker {
    runtime: tokio::runtime::Runtime,
    whom: Peer,
}

enum Peer {
    Socket(std::path::PathBuf),
    Net { authority: String },
}

impl Asker {
    pub(crate) fn new(whom: &Whom) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("start the runtime")?;
        let whom = match &whom.daemon {
            Some(url) => Peer::Net { authority: authority(url)? },
            None => Peer::Socket(socket_path(&whom.state)),
        };
        Ok(Self { runtime, whom })
    }

    /// Asks one thing and waits for the whole answer.
    pub(crate) fn ask(&self, method: &Method, path: &str, body: String) -> anyhow::Result<Answer> {
        let answer = async {
            match &self.whom {
                Peer::Socket(path_of) => {
                    let stream = UnixStream::connect(path_of).await.with_context(|| no_daemon(path_of))?;
                    exchange(stream, "localhost", method, path, body).await
                }
                Peer::Net { authority } => {
                    let stream = TcpStream::connect(authority).await;
                    let stream = stream.with_context(|| format!("reach the daemon at {authority}"))?;
                    exchange(stream, authority, method, path, body).await
                }
            }
        };
        let answer = async { timeout(PATIENCE, answer).await };
        match self.runtime.block_on(answer) {
            Ok(answer) => answer.with_context(|| format!("ask the daemon for {path}")),
            Err(_) => bail!("the daemon did not answer {path} within {} s", PATIENCE.as_secs()),
        }
    }

    /// Asks for a page that has to be there.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Bytes> {
        let answer = self.ask(&Method::GET, path, String::new())?;
        if answer.code == StatusCode::OK { Ok(answer.body) } else { bail!("{}", answer.problem()) }
    }
}

impl Answer {
    /// Returns what is wrong, in the daemon's words.
    pub(crate) fn problem(&self) -> String {
        let said: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let part = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or_default();
        match part("detail") {
            "" => format!("the daemon answered {}", self.code),
            detail => format!("{}: {detail}; {}", part("title"), part("remedy")),
        }
    }
}

fn no_daemon(socket: &Path) -> String {
    format!("reach the daemon at {}: start `hallmark serve`, or give --state or --daemon", socket.display())
}

fn authority(url: &Url) -> anyhow::Result<String> {
    if url.scheme() != "http" {
        bail!("{url} is not http://: what stands before the daemon and speaks TLS is for other clients");
    }
    let host = url.host_str().context("the daemon's address has no host")?;
    Ok(format!("{host}:{}", url.port_or_known_default().unwrap_or(80)))
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    host: &str,
    method: &Method,
    path: &str,
    body: String,
) -> anyhow::Result<Answer> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.context("speak HTTP")?;
    // Its end is the answer's, or the error that the answer gives.
    let connection = tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header(header::HOST, host);
    let request = request.header(header::CONTENT_TYPE, "application/json");
    let request = request.body(Full::new(Bytes::from(body))).context("put the question")?;
    let response = sender.send_request(request).await.context("send the question")?;
    let code = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    connection.abort();
    let body = body.map_err(|error| anyhow::anyhow!("read the answer: {error}"))?.to_bytes();
    Ok(Answer { code, body })
}
