//! One request to the hub, and again where that helps.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt as _;
use reqwest::{
    Method, Response, StatusCode,
    header::{ACCEPT, CONTENT_LENGTH, HeaderMap, HeaderName},
};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;
use url::Url;

use super::{Bytes, UploadError, error::Said};
use crate::{
    client::{Tries, Web, broken},
    fault::{Fault, Shown, SourceError},
    reply,
};

/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 << 20;
const PIECE_BYTES: usize = 256 << 10;

pub(super) struct Asker<'w> {
    pub(super) web: &'w Web,
    pub(super) idle: Duration,
}

/// What is sent.
#[derive(Clone)]
pub(super) enum Body {
    Here(bytes::Bytes),
    /// A part of an addition.
    Part {
        bytes: Bytes,
        offset: u64,
        length: u64,
    },
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Here(bytes.into())
    }
}

/// What the hub answered with success.
pub(super) struct Answer {
    url: Url,
    pub(super) headers: HeaderMap,
    bytes: Vec<u8>,
}

impl Answer {
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, UploadError> {
        let what = "its answer is not the JSON that a hub answers with";
        serde_json::from_slice(&self.bytes)
            .map_err(|_| UploadError::Confused { url: Shown::of(&self.url), what })
    }
}

impl Asker<'_> {
    pub(super) async fn post(
        &self,
        url: Url,
        headers: &[(HeaderName, &str)],
        body: Body,
    ) -> Result<Answer, UploadError> {
        self.send(Method::POST, url, headers, body).await
    }

    /// Reads a file that may not be there.
    pub(super) async fn read(&self, url: Url, bytes_max: u64) -> Result<Option<Vec<u8>>, UploadError> {
        match self.send(Method::GET, url.clone(), &[], Vec::new().into()).await {
            Ok(answer) if answer.bytes.len() as u64 > bytes_max => {
                Err(UploadError::Confused { url: Shown::of(&url), what: "it is longer than any such text" })
            }
            Ok(answer) => Ok(Some(answer.bytes)),
            Err(UploadError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends a request until it is answered with success, or with a refusal that no repeat changes. The token goes with
    /// it where the address is the hub's own.
    pub(super) async fn send(
        &self,
        method: Method,
        url: Url,
        headers: &[(HeaderName, &str)],
        body: Body,
    ) -> Result<Answer, UploadError> {
        let host = url.origin().ascii_serialization();
        let silent = |_: Duration, _: &str| {};
        let mut tries = Tries::new(&silent);
        let mut own = None;
        let sent = self.web.persist(&host, &mut tries, async || {
            match self.once(&method, &url, headers, &body).await {
                Ok(answer) => Ok((answer, 0)),
                Err(Failure::Fault(fault)) => Err((fault, 0)),
                Err(Failure::Own(error)) => {
                    // What is wrong on this side ends it as a final fault would; the reason is the one that was kept.
                    own = Some(*error);
                    let what = "the request was not sent";
                    Err((Fault::Final(SourceError::Confused { url: Shown::of(&url), what }), 0))
                }
            }
        });
        let response = match sent.await {
            Ok(response) => response,
            Err(fault) => return Err(own.unwrap_or_else(|| UploadError::of(fault, &url))),
        };
        self.answered(url, response).await
    }

    async fn once(
        &self,
        method: &Method,
        url: &Url,
        headers: &[(HeaderName, &str)],
        body: &Body,
    ) -> Result<Response, Failure> {
        let mut request = self.web.begin(method.clone(), url).await?.header(ACCEPT, "application/json");
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let moved = Arc::new(AtomicU64::new(0));
        if *method != Method::GET {
            let (length, body) = open(body, &moved).await.map_err(|it| Failure::Own(Box::new(it)))?;
            request = request.header(CONTENT_LENGTH, length).body(body);
        }
        let mut sending = std::pin::pin!(request.send());
        let mut before = 0;
        let response = loop {
            match tokio::time::timeout(self.idle, &mut sending).await {
                Ok(Ok(response)) => break response,
                Ok(Err(error)) => return Err(Fault::again(broken(url, error)).into()),
                Err(_) if moved.load(Ordering::Relaxed) > before => before = moved.load(Ordering::Relaxed),
                Err(_) => {
                    let silent = SourceError::Silent { url: Shown::of(url), limit: self.idle };
                    return Err(Fault::again(silent).into());
                }
            }
        };
        let status = response.status().as_u16();
        if matches!(status, 408 | 425 | 429 | 500 | 502..=599) {
            return Err(self.web.refusal(&response, url, None).into());
        }
        Ok(response)
    }

    /// Reads an answer, and turns one without success into its error.
    async fn answered(&self, url: Url, response: Response) -> Result<Answer, UploadError> {
        let (status, headers) = (response.status(), response.headers().clone());
        let mut bytes = Vec::new();
        let mut stream = response.bytes_stream();
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|it| UploadError::Hub(Box::new(broken(&url, it))))?;
            bytes.extend_from_slice(&piece);
            if bytes.len() > ANSWER_BYTES_MAX {
                let what = "its answer does not end";
                return Err(UploadError::Confused { url: Shown::of(&url), what });
            }
        }
        if status.is_success() {
            return Ok(Answer { url, headers, bytes });
        }
        let (url, said) = (Shown::of(&url), said(&headers, &bytes));
        Err(match status {
            StatusCode::UNAUTHORIZED => UploadError::Denied { url, said },
            StatusCode::FORBIDDEN => UploadError::Forbidden { url, said },
            StatusCode::NOT_FOUND | StatusCode::GONE => UploadError::Missing { url, said },
            StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => UploadError::Moved { url, said },
            _ => UploadError::Refused { url, status, said },
        })
    }
}

/// Why a request has no answer.
enum Failure {
    Fault(Fault),
    /// It was not even sent.
    Own(Box<UploadError>),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Makes a body that tells how far it got.
async fn open(body: &Body, moved: &Arc<AtomicU64>) -> Result<(u64, reqwest::Body), UploadError> {
    let (place, offset, length) = match body {
        Body::Here(bytes) => return Ok((bytes.len() as u64, bytes.clone().into())),
        Body::Part { bytes: Bytes::Here(bytes), offset, length } => {
            let from = usize::try_from(*offset).unwrap_or(usize::MAX);
            let part = bytes.iter().skip(from).take(usize::try_from(*length).unwrap_or(usize::MAX));
            return Ok((*length, part.copied().collect::<Vec<_>>().into()));
        }
        Body::Part { bytes: Bytes::File { place, .. }, offset, length } => (place, *offset, *length),
    };
    let failed = |source| UploadError::File { path: place.clone(), source };
    let mut file = tokio::fs::File::open(place).await.map_err(failed)?;
    file.seek(std::io::SeekFrom::Start(offset)).await.map_err(failed)?;
    let moved = Arc::clone(moved);
    let stream = ReaderStream::with_capacity(file.take(length), PIECE_BYTES).inspect(move |piece| {
        let length = piece.as_ref().map_or(0, |it| it.len() as u64);
        moved.fetch_add(length, Ordering::Relaxed);
    });
    Ok((length, reqwest::Body::wrap_stream(stream)))
}

/// Returns what the hub says about a refusal.
fn said(headers: &HeaderMap, body: &[u8]) -> Said {
    #[derive(serde::Deserialize)]
    struct Reason {
        error: String,
    }
    let in_body = || Some(Said::of(&serde_json::from_slice::<Reason>(body).ok()?.error));
    reply::text(headers, "x-error-message").map(Said::of).or_else(in_body).unwrap_or_default()
}
