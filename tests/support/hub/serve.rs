//! How the hub answers one request.

use std::{
    ops::Range,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use super::{Access, Fault, HubFile, Inner, Seen, Side, State, Way, store};

type Answer = Response<Body>;

/// How much of a body goes out at once.
const PIECE_BYTES: usize = 64 << 10;
/// More than a story uploads at once.
const BODY_BYTES_MAX: usize = 256 << 20;

/// Answers, and lets the faults that apply spoil the answer.
pub(super) async fn answer(inner: Arc<Inner>, side: Side, request: Request) -> Answer {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let query = request.uri().query().unwrap_or_default().to_owned();
    let headers = request.headers().clone();
    let body = axum::body::to_bytes(request.into_body(), BODY_BYTES_MAX).await.unwrap_or_default();
    let (faults, reply) = {
        let mut state = inner.state();
        state.seen.push(seen(side, &method, &path, &headers));
        let rules = state
            .rules
            .iter_mut()
            .filter_map(|it| it.applies(side, method.as_str(), &path).then(|| it.fault.clone()));
        let faults = rules.collect::<Vec<_>>();
        // What is spoilt by a status has no effect either.
        let refused = faults.iter().any(|it| matches!(it, Fault::Status(..)));
        let taken = match side {
            _ if refused => None,
            Side::Hub => store::to_hub(&mut state, &inner, (&method, &path), &headers, &body),
            Side::Cdn => store::to_cdn(&mut state, (&method, &path), &body),
        };
        let reply = taken.unwrap_or_else(|| match side {
            Side::Hub => from_hub(&state, &inner, &path, &headers),
            Side::Cdn => from_cdn(&state, &path, &query),
        });
        (faults, reply)
    };
    if faults.iter().any(|it| matches!(it, Fault::Hang)) {
        std::future::pending::<()>().await;
    }
    let answer = reply.send(&method, &headers, &faults);
    answer.map(|body| counted(body, inner))
}

/// Counts the bytes of a body as they go out.
fn counted(body: Body, inner: Arc<Inner>) -> Body {
    let count = move |bytes: &Result<Bytes, _>| {
        let length = bytes.as_ref().map_or(0, |it| it.len() as u64);
        inner.served_bytes.fetch_add(length, Ordering::SeqCst);
    };
    Body::from_stream(body.into_data_stream().inspect(count))
}

fn seen(side: Side, method: &Method, path: &str, headers: &HeaderMap) -> Seen {
    let text = |it: &HeaderValue| String::from_utf8_lossy(it.as_bytes()).into_owned();
    let headers = headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    Seen { side, method: method.to_string(), path: path.to_owned(), headers }
}

/// An answer before range, method and faults are applied to it.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
}

impl Reply {
    /// Says no, in words.
    pub(super) fn refusal(status: StatusCode, words: &str) -> Self {
        let body = Bytes::from(format!("{{\"error\":\"{words}\"}}"));
        Self { status, headers: Vec::new(), body }
    }

    pub(super) fn error(status: StatusCode, code: &str) -> Self {
        let headers = vec![("x-error-code", code.to_owned())];
        Self { status, headers, body: Bytes::from(format!("{{\"error\":\"{code}\"}}")) }
    }

    pub(super) fn json(body: String) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { status: StatusCode::OK, headers, body: body.into() }
    }

    fn send(mut self, method: &Method, asked: &HeaderMap, faults: &[Fault]) -> Answer {
        let mut body = self.body.clone();
        for fault in faults {
            match fault {
                Fault::Status(status, headers) => {
                    self.status = StatusCode::from_u16(*status).expect("a status");
                    self.headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
                    body = Bytes::from_static(b"<html>the hub has a bad day</html>");
                }
                Fault::Flip(at) => body = flip(&body, *at),
                Fault::Long(more) => body = [&body[..], &vec![7; *more][..]].concat().into(),
                _ => {}
            }
        }
        let ranged = !faults.iter().any(|it| matches!(it, Fault::IgnoreRange));
        if self.status == StatusCode::OK && ranged {
            body = self.narrow(body, asked, faults);
        }
        let mut answer = Response::builder().status(self.status).body(Body::empty()).expect("an answer");
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_LENGTH, body.len().into());
        for (name, value) in &self.headers {
            headers.insert(HeaderName::from_static(name), value.parse().expect("a header's value"));
        }
        for fault in faults {
            match fault {
                Fault::Without(name) => drop(headers.remove(*name)),
                Fault::With(name, value) => {
                    drop(headers.insert(*name, value.parse().expect("a header's value")));
                }
                Fault::Short(_) | Fault::Long(_) => drop(headers.remove(header::CONTENT_LENGTH)),
                _ => {}
            }
        }
        if method != Method::HEAD {
            *answer.body_mut() = spoilt(body, faults);
        } else if !answer.headers().contains_key(header::CONTENT_LENGTH) {
            // A body of unknown length, or the server would announce 0.
            *answer.body_mut() = Body::from_stream(stream::empty::<Result<Bytes, std::io::Error>>());
        }
        answer
    }

    /// Applies `Range` and `If-Range`.
    fn narrow(&mut self, body: Bytes, asked: &HeaderMap, faults: &[Fault]) -> Bytes {
        let etag = self.headers.iter().find(|(name, _)| *name == "etag").map(|it| it.1.as_str());
        let condition = asked.get(header::IF_RANGE).map(|it| it.to_str().ok());
        let range = asked.get(header::RANGE).and_then(|it| it.to_str().ok());
        let Some(range) = range.filter(|_| condition.is_none_or(|it| it == etag)) else { return body };
        let Some(mut span) = span(range, body.len()) else {
            self.status = StatusCode::RANGE_NOT_SATISFIABLE;
            self.headers.push(("content-range", format!("bytes */{}", body.len())));
            return Bytes::new();
        };
        if faults.iter().any(|it| matches!(it, Fault::WrongRange)) {
            span.start = span.start.saturating_sub(1);
        }
        self.status = StatusCode::PARTIAL_CONTENT;
        let claim = format!("bytes {}-{}/{}", span.start, span.end - 1, body.len());
        self.headers.push(("content-range", claim));
        body.slice(span)
    }
}

/// Reads `bytes=a-b` or `bytes=a-`.
fn span(range: &str, length: usize) -> Option<Range<usize>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let first = first.parse::<usize>().ok()?;
    let end =
        if last.is_empty() { length } else { last.parse::<usize>().ok()?.saturating_add(1).min(length) };
    (first < end).then_some(first..end)
}

fn flip(body: &Bytes, at: usize) -> Bytes {
    let mut bytes = body.to_vec();
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 0x20;
    }
    bytes.into()
}

fn spoilt(body: Bytes, faults: &[Fault]) -> Body {
    for fault in faults {
        match *fault {
            Fault::Cut(after) if after < body.len() => {
                let cut = std::io::Error::other("cut");
                // What was sent has to be on its way before the connection breaks.
                let pause = tokio::time::sleep(Duration::from_millis(20));
                let end = stream::once(pause).map(move |()| Err(std::io::Error::other(cut.to_string())));
                return Body::from_stream(stream::iter([Ok(body.slice(..after))]).chain(end));
            }
            Fault::Short(after) => {
                let some = body.slice(..after.min(body.len()));
                return Body::from_stream(stream::iter([Ok::<_, std::io::Error>(some)]));
            }
            Fault::Long(_) => return Body::from_stream(stream::iter([Ok::<_, std::io::Error>(body)])),
            Fault::Trickle(piece, pause) => {
                let pieces = (0..body.len()).step_by(piece);
                let pieces =
                    pieces.map(move |at| body.slice(at..(at + piece).min(body.len()))).collect::<Vec<_>>();
                let slow = stream::iter(pieces).then(move |it| async move {
                    tokio::time::sleep(pause).await;
                    Ok::<_, std::io::Error>(it)
                });
                return Body::from_stream(slow);
            }
            Fault::HangAfter(after) => {
                let some = body.slice(..after.min(body.len()));
                return Body::from_stream(
                    stream::iter([Ok::<_, std::io::Error>(some)]).chain(stream::pending()),
                );
            }
            _ => {}
        }
    }
    let pieces = (0..body.len()).step_by(PIECE_BYTES);
    let pieces = pieces.map(move |at| Ok(body.slice(at..(at + PIECE_BYTES).min(body.len()))));
    Body::from_stream(stream::iter(pieces.collect::<Vec<Result<_, std::io::Error>>>()))
}

fn from_hub(state: &State, inner: &Inner, path: &str, headers: &HeaderMap) -> Reply {
    if let Some(hex) = path.strip_prefix("/sha256/") {
        return by_digest(state, hex);
    }
    if let Some(rest) = path.strip_prefix("/api/models/") {
        return listing(state, rest);
    }
    let renamed = path.strip_prefix("/renamed").unwrap_or(path);
    let parts = renamed.trim_start_matches('/').split_once("/resolve/");
    let Some((name, (revision, file))) = parts.and_then(|(name, rest)| Some((name, rest.split_once('/')?)))
    else {
        return Reply::error(StatusCode::NOT_FOUND, "RepoNotFound");
    };
    let Some(repository) = state.repositories.get(name) else {
        return Reply::error(StatusCode::UNAUTHORIZED, "RepoNotFound");
    };
    let token = headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok()?.strip_prefix("Bearer "));
    match &repository.access {
        Access::Private(needed) if token != Some(needed) => {
            return Reply::error(StatusCode::UNAUTHORIZED, "RepoNotFound");
        }
        Access::Gated(needed) if token != Some(needed) => {
            let status = if token.is_some() { StatusCode::FORBIDDEN } else { StatusCode::UNAUTHORIZED };
            return Reply::error(status, "GatedRepo");
        }
        Access::Open | Access::Private(_) | Access::Gated(_) => {}
    }
    let commit = repository.commit.to_string();
    if revision != "main" && revision != commit {
        return Reply::error(StatusCode::NOT_FOUND, "RevisionNotFound");
    }
    let Some(found) = repository.files.get(file) else {
        let mut reply = Reply::error(StatusCode::NOT_FOUND, "EntryNotFound");
        reply.headers.push(("x-repo-commit", commit));
        return reply;
    };
    let mut reply = match found.way {
        Way::Relative if renamed == path => redirect(found, false, format!("/renamed{path}")),
        Way::Direct | Way::Relative => bytes_of(found),
        Way::Cdn { linked } => {
            let digest = found.digest;
            redirect(found, linked, format!("{}{digest}?signature={}", inner.cdn, state.signature))
        }
    };
    if found.way != Way::Relative || renamed == path {
        reply.headers.push(("x-repo-commit", commit));
    }
    if found.xet {
        reply.headers.push(("x-xet-hash", "0".repeat(64)));
    }
    reply
}

fn from_cdn(state: &State, path: &str, query: &str) -> Reply {
    if query != format!("signature={}", state.signature) {
        return Reply {
            status: StatusCode::FORBIDDEN,
            headers: Vec::new(),
            body: Bytes::from_static(b"expired"),
        };
    }
    by_digest(state, path.trim_start_matches('/'))
}

fn by_digest(state: &State, hex: &str) -> Reply {
    let mut files = state.repositories.values().flat_map(|it| it.files.values());
    match files.find(|it| it.digest.to_string() == hex) {
        Some(file) => bytes_of(file),
        None => Reply::error(StatusCode::NOT_FOUND, "EntryNotFound"),
    }
}

fn bytes_of(file: &HubFile) -> Reply {
    let etag = format!("\"{}\"", file.digest);
    let headers = vec![("etag", etag), ("accept-ranges", "bytes".to_owned())];
    Reply { status: StatusCode::OK, headers, body: file.bytes.clone() }
}

fn redirect(file: &HubFile, linked: bool, target: String) -> Reply {
    let mut headers = vec![("location", target), ("etag", "\"of the redirect\"".to_owned())];
    if linked {
        headers.push(("x-linked-size", file.bytes.len().to_string()));
        headers.push(("x-linked-etag", format!("\"{}\"", file.digest)));
    }
    Reply { status: StatusCode::FOUND, headers, body: Bytes::from_static(b"Found") }
}

/// `/api/models/{repo}[/revision/{rev}]` and `/api/models/{repo}/tree/{rev}`.
fn listing(state: &State, rest: &str) -> Reply {
    let name = rest.split("/tree/").next().and_then(|it| it.split("/revision/").next()).unwrap_or(rest);
    let Some(repository) = state.repositories.get(name) else {
        return Reply::error(StatusCode::NOT_FOUND, "RepoNotFound");
    };
    let entry = |(path, file): (&String, &HubFile)| {
        let (digest, size) = (file.digest, file.bytes.len());
        format!(
            r#"{{"type":"file","path":"{path}","size":{size},"oid":"{}","lfs":{{"oid":"{digest}","sha256":"{digest}","size":{size},"pointerSize":134,"pointer_size":134}}}}"#,
            &digest.to_string()[..40],
        )
    };
    if rest.contains("/tree/") {
        let entries = repository.files.iter().map(entry).collect::<Vec<_>>();
        return Reply::json(format!("[{}]", entries.join(",")));
    }
    let siblings = repository.files.keys().map(|it| format!(r#"{{"rfilename":"{it}"}}"#)).collect::<Vec<_>>();
    Reply::json(format!(
        r#"{{"id":"{name}","sha":"{}","siblings":[{}]}}"#,
        repository.commit,
        siblings.join(",")
    ))
}
