//! The wire to a daemon: one request over a connection of its own, and what is made of the answer.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request,
    body::Incoming,
    client::conn::http1,
    header::{HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};

/// How long the daemon may take for what it only has to look up.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// The largest answer that is taken: a page of a thousand models with all they say.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// The daemon went away.
pub(super) const ENDED: &str =
    "the daemon ended before it answered; look at its log, and ask again once it runs";

/// Where a daemon listens.
pub(super) enum Peer {
    /// On a socket of this machine.
    Socket(PathBuf),
    /// On the network: host and port.
    Net(String),
}

/// What the daemon says when it cannot do what it was asked: an RFC 9457 problem document.
#[derive(Debug, Deserialize)]
pub(super) struct Problem {
    pub(super) detail: String,
    #[serde(default)]
    remedy: String,
}

impl Peer {
    /// Sends one request over a connection of its own.
    pub(super) async fn exchange(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> anyhow::Result<(u16, Incoming)> {
        match self {
            Self::Socket(socket) => {
                request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
                speak(UnixStream::connect(socket).await.context(ENDED)?, request).await
            }
            Self::Net(authority) => {
                let host = HeaderValue::from_str(authority).context("name the daemon's host")?;
                request.headers_mut().insert(HOST, host);
                let stream = within(async { TcpStream::connect(authority).await.map_err(Into::into) }).await;
                let ask = || format!("reach the daemon at {authority}: does `hallmark serve` run there?");
                let stream = stream.with_context(ask)?;
                speak(stream, request).await
            }
        }
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<(u16, Incoming)> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.context(ENDED)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!("The connection to the daemon broke: {error}");
        }
    });
    let response = sender.send_request(request).await.context(ENDED)?;
    Ok((response.status().as_u16(), response.into_body()))
}

pub(super) fn request<T: Serialize + ?Sized>(
    method: Method,
    path: &str,
    body: Option<&T>,
) -> anyhow::Result<Request<Full<Bytes>>> {
    let request = Request::builder().method(method).uri(path);
    let request = match body {
        Some(body) => {
            let body = serde_json::to_vec(body).context("write the request as JSON")?;
            request.header("content-type", "application/json").body(Full::from(body))
        }
        None => request.body(Full::default()),
    };
    request.context("write a request to the daemon")
}

pub(super) async fn within<T>(answer: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let late = || format!("the daemon did not answer for {} s: look at its log", ANSWER_MAX.as_secs());
    timeout(ANSWER_MAX, answer).await.with_context(late)?
}

pub(super) async fn whole(body: Incoming) -> anyhow::Result<Bytes> {
    match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) => Err(anyhow::Error::from_boxed(error).context(ENDED)),
    }
}

pub(super) fn answer<T: DeserializeOwned>(status: u16, bytes: &[u8]) -> anyhow::Result<T> {
    if (200..300).contains(&status) { parse(bytes) } else { Err(refusal(bytes)) }
}

/// Reads what the daemon said.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> anyhow::Result<T> {
    serde_json::from_slice(bytes).context("read the daemon's answer: is it the same version of hallmark?")
}

/// Returns what the daemon said was wrong, and what to do.
pub(crate) fn refusal(bytes: &[u8]) -> anyhow::Error {
    match parse::<Problem>(bytes) {
        Ok(problem) if problem.remedy.is_empty() => anyhow::Error::msg(problem.detail),
        Ok(problem) => anyhow::anyhow!("{}: {}", problem.detail, problem.remedy),
        Err(error) => error,
    }
}
