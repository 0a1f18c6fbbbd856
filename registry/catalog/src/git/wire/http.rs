//! One HTTP exchange: takes a request from libgit2 in the clear, on the loopback interface, and brings it to the
//! server, encrypted if the server's URL says so.
//!
//! Each connection carries one exchange (`Connection: close` both ways), so that the answer ends where the server
//! ends it and needs no parsing. Certificates are judged by the authorities of the system.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::aws_lc_rs, pki_types::ServerName,
};

use super::{GitError, Line, TICK, is_tick};

/// The longest head of a request or an answer.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// The longest request: a list of commits to choose from, or the commits of a push.
const BODY_BYTES_MAX: usize = 64 << 20;

type Pass = Result<(), GitError>;

/// Carries one exchange; an error is why it was broken off.
pub(super) fn exchange(line: &Line, mut near: &TcpStream) -> Pass {
    let failed = |source| line.failed(source);
    near.set_read_timeout(Some(TICK)).map_err(failed)?;
    near.set_write_timeout(Some(line.limits.silence_max)).map_err(failed)?;
    let (head, mut body) = read_head(line, &mut near)?;
    let Some(request) = Request::parse(&head) else {
        // Whoever else on this machine came by here.
        return Ok(());
    };
    match request.length {
        Length::Bytes(length_bytes) => read_body(line, &mut near, &mut body, length_bytes)?,
        Length::Chunks => read_chunks(line, &mut near, &mut body)?,
    }
    let far = line.dial().map_err(failed)?;
    far.set_read_timeout(Some(TICK)).map_err(failed)?;
    far.set_write_timeout(Some(line.limits.silence_max)).map_err(failed)?;
    let sent = [request.rewritten(line).into_bytes(), body].concat();
    if line.encrypted {
        answer(line, &mut encrypt(line, far)?, near, &sent)
    } else {
        answer(line, &mut { far }, near, &sent)
    }
}

/// The head of a request, as far as it matters here.
struct Request<'a> {
    first: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    length: Length,
}

/// How the end of a request is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Bytes(usize),
    /// A push comes in chunks, and goes on as they are.
    Chunks,
}

impl<'a> Request<'a> {
    fn parse(head: &'a [u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(head).ok()?.trim_end().split("\r\n");
        let first = lines.next().filter(|it| it.starts_with("GET /") || it.starts_with("POST /"))?;
        let headers: Vec<_> = lines.filter_map(|it| it.split_once(':')).map(|(a, b)| (a, b.trim())).collect();
        let header = |name: &str| headers.iter().find(|it| it.0.eq_ignore_ascii_case(name)).map(|it| it.1);
        let length = match (header("transfer-encoding"), header("content-length")) {
            (Some(coding), _) => coding.eq_ignore_ascii_case("chunked").then_some(Length::Chunks)?,
            (None, None) => Length::Bytes(0),
            (None, Some(length)) => Length::Bytes(length.parse().ok().filter(|it| *it <= BODY_BYTES_MAX)?),
        };
        Some(Self { first, headers, length })
    }

    /// Returns the head for the server: its own name, and no second request on the same connection.
    fn rewritten(&self, line: &Line) -> String {
        let ours =
            |name: &str| ["host", "connection", "expect"].iter().any(|it| name.eq_ignore_ascii_case(it));
        let mut head = format!("{}\r\nHost: {}\r\nConnection: close\r\n", self.first, line.host_header);
        for (name, value) in self.headers.iter().filter(|it| !ours(it.0)) {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head + "\r\n"
    }
}

fn encrypt(line: &Line, far: TcpStream) -> Result<StreamOwned<ClientConnection, TcpStream>, GitError> {
    let failed = |error: rustls::Error| line.failed(io::Error::other(error));
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // One authority that cannot be read is no reason to distrust the others.
    roots.add_parsable_certificates(found.certs);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(failed)?.with_root_certificates(roots).with_no_client_auth();
    let name =
        ServerName::try_from(line.host.clone()).map_err(|error| line.failed(io::Error::other(error)))?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(failed)?;
    let mut far = StreamOwned::new(connection, far);
    while far.conn.is_handshaking() {
        match far.conn.complete_io(&mut far.sock) {
            Ok(_) => line.heard(),
            Err(error) if is_tick(&error) => line.check_limits()?,
            Err(error) => return Err(line.distrust(error)),
        }
    }
    Ok(far)
}

fn answer(line: &Line, far: &mut (impl Read + Write), mut near: &TcpStream, request: &[u8]) -> Pass {
    let failed = |source| line.failed(source);
    far.write_all(request).and_then(|()| far.flush()).map_err(failed)?;
    line.heard();
    let (head, rest) = read_head(line, far)?;
    if let Some(target) = redirect(&head) {
        let text = format!("the server redirects to {target}: give that address in the location instead");
        return Err(line.failed(io::Error::other(text)));
    }
    let mut buffer = vec![0; 64 << 10];
    let mut next = [head, rest].concat();
    loop {
        near.write_all(&next).map_err(failed)?;
        match read_some(line, far, &mut buffer)? {
            0 => return Ok(()),
            length => next = buffer[..length].to_vec(),
        }
    }
}

fn redirect(head: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(head);
    let status = head.split(' ').nth(1)?;
    let name = |it: &str| it.get(..9).is_some_and(|it| it.eq_ignore_ascii_case("location:"));
    let target = head.split("\r\n").find(|it| name(it))?;
    // Without what a server may put into the query, such as a session.
    let target = target[9..].trim().split(['?', '#']).next()?;
    status.starts_with('3').then(|| target.to_owned())
}

/// Reads up to the empty line; returns what came after it too.
fn read_head(line: &Line, from: &mut impl Read) -> Result<(Vec<u8>, Vec<u8>), GitError> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 16 << 10];
    loop {
        if let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Ok((bytes, rest));
        }
        match read_some(line, from, &mut buffer)? {
            0 => return Err(line.failed(io::ErrorKind::UnexpectedEof.into())),
            _ if bytes.len() > HEAD_BYTES_MAX => return Err(line.failed(io::ErrorKind::InvalidData.into())),
            length => bytes.extend_from_slice(&buffer[..length]),
        }
    }
}

fn read_body(line: &Line, from: &mut impl Read, body: &mut Vec<u8>, length_bytes: usize) -> Pass {
    let mut buffer = vec![0; 16 << 10];
    while body.len() < length_bytes {
        match read_some(line, from, &mut buffer)? {
            0 => return Err(line.failed(io::ErrorKind::UnexpectedEof.into())),
            length => body.extend_from_slice(&buffer[..length]),
        }
    }
    Ok(())
}

/// Reads chunks as they stand, up to the empty one and the line after it.
fn read_chunks(line: &Line, from: &mut impl Read, body: &mut Vec<u8>) -> Result<(), GitError> {
    let mut buffer = vec![0; 16 << 10];
    let mut at = 0;
    loop {
        while let Some(end) = body.get(at..).and_then(|it| it.windows(2).position(|it| it == b"\r\n")) {
            let size = std::str::from_utf8(&body[at..at + end]).ok();
            let size = size.and_then(|it| usize::from_str_radix(it.trim(), 16).ok());
            let size = size.ok_or_else(|| line.failed(io::ErrorKind::InvalidData.into()))?;
            // The size's line, the chunk, and the end of its line.
            let next = size.checked_add(at + end + 4).filter(|it| *it <= BODY_BYTES_MAX);
            let next = next.ok_or_else(|| line.failed(io::ErrorKind::InvalidData.into()))?;
            if body.len() < next {
                break;
            }
            if size == 0 {
                return Ok(());
            }
            at = next;
        }
        match read_some(line, from, &mut buffer)? {
            0 => return Err(line.failed(io::ErrorKind::UnexpectedEof.into())),
            _ if body.len() > BODY_BYTES_MAX => return Err(line.failed(io::ErrorKind::InvalidData.into())),
            length => body.extend_from_slice(&buffer[..length]),
        }
    }
}

/// Reads what there is, waiting as long as the limits allow; 0 is the end.
fn read_some(line: &Line, from: &mut impl Read, buffer: &mut [u8]) -> Result<usize, GitError> {
    loop {
        line.check_limits()?;
        match from.read(buffer) {
            Ok(length) => {
                line.heard();
                return Ok(length);
            }
            Err(error) if is_tick(&error) => {}
            // A server that hangs up without a farewell; git's own checksums find what is missing.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
            Err(error) => return Err(line.failed(error)),
        }
    }
}
