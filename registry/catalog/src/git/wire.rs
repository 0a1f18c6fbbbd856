//! The one connection that a fetch may use, with the time limits that libgit2 does not offer to safe code.
//!
//! libgit2 waits for a silent server for ever; its own limits are global C variables. So it talks to a relay on the
//! loopback interface, and the relay talks to the server: it connects within a time, ends a silence, a fetch that
//! takes too long, and everything at once when the daemon stops. It leads to one server only, also when that one
//! redirects elsewhere. ssh passes through as it is, so the check of the host key stays end to end. For https, the
//! relay itself encrypts and checks the certificate: see `http`. (To be a proxy for libgit2's own encryption is no
//! way: when a certificate is refused behind a proxy, libgit2 1.9 uses memory that it has freed.)

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use url::Url;

use super::{GitError, GitLimits};

mod http;

/// How often a waiting relay looks whether it should end.
const TICK: Duration = Duration::from_millis(100);

/// How many connections one fetch may open.
const CONNECTIONS_MAX: usize = 256;

pub(super) struct Wire {
    line: Arc<Line>,
    local: SocketAddr,
    url: Url,
    thread: Option<JoinHandle<()>>,
}

/// What the relay's threads share.
struct Line {
    shown: String,
    host: String,
    port: u16,
    host_header: String,
    web: bool,
    encrypted: bool,
    limits: GitLimits,
    began: Instant,
    /// When a byte came last, counted from `began`.
    heard_ms: AtomicU64,
    closed: AtomicBool,
    stop: Box<dyn Fn() -> bool + Send + Sync>,
    /// The first reason why the relay broke a connection.
    verdict: Mutex<Option<GitError>>,
}

impl Wire {
    /// Opens a relay to the server of a URL; `None` where there is no server.
    pub(super) fn open(
        url: &Url,
        limits: &GitLimits,
        stop: impl Fn() -> bool + Send + Sync + 'static,
    ) -> io::Result<Option<Self>> {
        let Some(host) = url.host_str().filter(|_| url.scheme() != "file") else { return Ok(None) };
        let default_port = if url.scheme() == "ssh" { Some(22) } else { url.port_or_known_default() };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let line = Arc::new(Line {
            shown: url.to_string(),
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port().or(default_port).unwrap_or_default(),
            host_header: url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
            web: url.scheme() != "ssh",
            encrypted: url.scheme() == "https",
            limits: limits.clone(),
            began: Instant::now(),
            heard_ms: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            stop: Box::new(stop),
            verdict: Mutex::new(None),
        });
        let local = listener.local_addr()?;
        let shared = Arc::clone(&line);
        let thread = std::thread::Builder::new()
            .name("git wire".to_owned())
            .spawn(move || accept(&shared, &listener))?;
        Ok(Some(Self { line, local, url: url.clone(), thread: Some(thread) }))
    }

    /// Returns the URL for libgit2, which leads to the relay.
    pub(super) fn url(&self) -> String {
        let mut url = self.url.clone();
        // These can only fail on URLs without a host, and there is no wire for those.
        let _ = url.set_ip_host(self.local.ip());
        let _ = url.set_port(Some(self.local.port()));
        if self.line.encrypted {
            let _ = url.set_scheme("http");
        }
        url.into()
    }

    /// Returns why the relay broke off, if it did.
    pub(super) fn verdict(&self) -> Option<GitError> {
        self.line.verdict.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.line.closed.store(true, Ordering::SeqCst);
        // The listener sleeps in `accept`; a connection wakes it up to see that it is closed.
        let woken = TcpStream::connect(self.local);
        if let Some(thread) = self.thread.take()
            && woken.is_ok()
        {
            let _ = thread.join();
        }
    }
}

fn accept(line: &Arc<Line>, listener: &TcpListener) {
    let mut relays = Vec::new();
    while relays.len() < CONNECTIONS_MAX {
        let Ok((near, _)) = listener.accept() else { break };
        if line.over() {
            break;
        }
        let line = Arc::clone(line);
        relays.push(std::thread::spawn(move || line.relay(&near)));
    }
    for relay in relays {
        let _ = relay.join();
    }
}

impl Line {
    fn relay(&self, near: &TcpStream) {
        self.heard();
        let passed = if self.web { http::exchange(self, near) } else { self.pass_through(near) };
        self.break_off(passed.err(), &[near]);
    }

    fn pass_through(&self, near: &TcpStream) -> Result<(), GitError> {
        let far = self.dial().map_err(|source| self.failed(source))?;
        for stream in [near, &far] {
            let set = stream.set_read_timeout(Some(TICK)).and_then(|()| {
                stream.set_write_timeout(Some(self.limits.silence_max))?;
                stream.set_nodelay(true)
            });
            set.map_err(|source| self.failed(source))?;
        }
        std::thread::scope(|scope| {
            scope.spawn(|| self.pump(near, &far));
            self.pump(&far, near);
        });
        Ok(())
    }

    fn dial(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, self.limits.connect_max) {
                Ok(far) => return Ok(far),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Carries bytes one way until they end, or until a limit is hit.
    fn pump(&self, from: &TcpStream, to: &TcpStream) {
        let (mut source, mut sink) = (from, to);
        let mut buffer = vec![0; 64 << 10];
        loop {
            if let Err(why) = self.check_limits() {
                return self.break_off(Some(why), &[from, to]);
            }
            match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => {
                    self.heard();
                    if sink.write_all(&buffer[..length]).is_err() {
                        return self.break_off(None, &[from, to]);
                    }
                }
                Err(error) if is_tick(&error) => {}
                Err(_) => return self.break_off(None, &[from, to]),
            }
        }
        // The other way may still have something to carry.
        let _ = to.shutdown(Shutdown::Write);
    }

    fn check_limits(&self) -> Result<(), GitError> {
        let url = self.shown.clone();
        let silence =
            Duration::from_millis(self.now_ms().saturating_sub(self.heard_ms.load(Ordering::Relaxed)));
        let limit = match () {
            () if (self.stop)() || self.over() => return Err(GitError::Stopped { url }),
            () if silence > self.limits.silence_max => {
                format!("it was silent for {:?}", self.limits.silence_max)
            }
            () if self.began.elapsed() > self.limits.fetch_max => {
                format!("it did not finish within {:?}", self.limits.fetch_max)
            }
            () => return Ok(()),
        };
        Err(GitError::Slow { url, limit })
    }

    fn break_off(&self, why: Option<GitError>, streams: &[&TcpStream]) {
        if let Some(why) = why {
            self.verdict.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        }
        for stream in streams {
            // Already closed is closed.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn heard(&self) {
        self.heard_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    fn failed(&self, source: io::Error) -> GitError {
        GitError::Connect { url: self.shown.clone(), source }
    }

    /// Tells a certificate that is refused from a connection that breaks.
    fn distrust(&self, error: io::Error) -> GitError {
        let cause = error.get_ref().and_then(|it| it.downcast_ref::<rustls::Error>());
        let Some(rustls::Error::InvalidCertificate(why)) = cause else { return self.failed(error) };
        let remedy = format!(
            "its certificate is refused ({why}): correct the server's certificate, or install its authority's in this \
             system"
        );
        GitError::Untrusted { url: self.shown.clone(), remedy }
    }

    fn over(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

fn is_tick(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_goes_to_its_server_under_its_name_and_a_redirect_leads_nowhere() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let url = Url::parse(&format!("http://localhost:{}/r", address.port())).unwrap();
        let wire = Wire::open(&url, &GitLimits::default(), || false).unwrap().unwrap();
        assert_eq!(wire.url(), format!("http://{}/r", wire.local));
        let ask = |answer: &str| {
            let mut near = TcpStream::connect(wire.local).unwrap();
            near.write_all(b"POST /r HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\n\r\nbo").unwrap();
            near.write_all(b"dy").unwrap();
            let (mut far, _) = server.accept().unwrap();
            let mut request = vec![0; 256];
            let mut length = 0;
            while !request[..length].ends_with(b"body") {
                length += far.read(&mut request[length..]).unwrap();
            }
            far.write_all(answer.as_bytes()).unwrap();
            drop(far);
            let mut given = String::new();
            near.read_to_string(&mut given).unwrap();
            (String::from_utf8_lossy(&request[..length]).into_owned(), given)
        };
        let (request, given) = ask("HTTP/1.1 200 OK\r\n\r\nyes");
        let host = format!(
            "Host: localhost:{}\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody",
            address.port()
        );
        assert_eq!(request, format!("POST /r HTTP/1.1\r\n{host}"));
        assert_eq!(given, "HTTP/1.1 200 OK\r\n\r\nyes");
        assert!(wire.verdict().is_none());

        let (_, given) = ask("HTTP/1.1 302 Found\r\nLocation: http://elsewhere.example/r?token=x\r\n\r\n");
        assert_eq!(given, "");
        let Some(GitError::Connect { source, .. }) = wire.verdict() else { panic!() };
        assert_eq!(
            source.to_string(),
            "the server redirects to http://elsewhere.example/r: give that address in the location instead"
        );
    }
}
