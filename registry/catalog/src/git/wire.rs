//! The one connection that a fetch may use, with the time limits that libgit2 does not offer to safe code.
//!
//! libgit2 waits for a silent server for ever; its own limits are global C variables. So it talks to a relay on the
//! loopback interface, and the relay talks to the server: it connects within a time, ends a silence, a fetch that
//! takes too long, and everything at once when the daemon stops. Encryption and the checks of keys stay end to end:
//! the relay sees what any router sees. It leads to one server only, also when that one redirects elsewhere.

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

/// How often a waiting relay looks whether it should end.
const TICK: Duration = Duration::from_millis(100);

/// The longest head of a `CONNECT` request.
const HEAD_BYTES_MAX: usize = 16 << 10;

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
    tunnel: bool,
    limits: GitLimits,
    began: Instant,
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
            tunnel: url.scheme() == "https",
            limits: limits.clone(),
            began: Instant::now(),
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

    /// Returns the URL for libgit2. Through a tunnel it is the true one, since certificates name hosts.
    pub(super) fn url(&self) -> String {
        let mut url = self.url.clone();
        if !self.line.tunnel {
            // Both can only fail on URLs without a host, and there is no wire for those.
            let _ = url.set_ip_host(self.local.ip());
            let _ = url.set_port(Some(self.local.port()));
        }
        url.into()
    }

    /// Returns the proxy for libgit2, if this wire is one.
    pub(super) fn proxy(&self) -> Option<String> {
        self.line.tunnel.then(|| format!("http://{}", self.local))
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
        let far = match self.connect(near) {
            Ok(far) => far,
            Err(error) => return self.break_off(Some(error), &[near]),
        };
        let heard_ms = AtomicU64::new(self.now_ms());
        std::thread::scope(|scope| {
            scope.spawn(|| self.pump(near, &far, &heard_ms));
            self.pump(&far, near, &heard_ms);
        });
    }

    fn connect(&self, near: &TcpStream) -> Result<TcpStream, GitError> {
        let failed = |source| GitError::Connect { url: self.shown.clone(), source };
        near.set_read_timeout(Some(self.limits.silence_max)).map_err(failed)?;
        if self.tunnel {
            self.expect_connect(near).map_err(failed)?;
        }
        let far = self.dial().map_err(failed)?;
        for stream in [near, &far] {
            stream.set_read_timeout(Some(TICK)).map_err(failed)?;
            stream.set_write_timeout(Some(self.limits.silence_max)).map_err(failed)?;
            stream.set_nodelay(true).map_err(failed)?;
        }
        if self.tunnel {
            let mut near = near;
            near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").map_err(failed)?;
        }
        Ok(far)
    }

    /// Reads a `CONNECT` to the one server that this wire leads to.
    fn expect_connect(&self, mut near: &TcpStream) -> io::Result<()> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() >= HEAD_BYTES_MAX || near.read(&mut byte)? == 0 {
                return Err(io::ErrorKind::InvalidData.into());
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head);
        let target = head.strip_prefix("CONNECT ").and_then(|it| it.split(' ').next()).unwrap_or_default();
        let (host, port) = target.rsplit_once(':').unwrap_or((target, ""));
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.eq_ignore_ascii_case(&self.host) && port == self.port.to_string() {
            return Ok(());
        }
        near.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")?;
        let text = format!("the server redirects to {target}: give that address in the location instead");
        Err(io::Error::other(text))
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
    fn pump(&self, from: &TcpStream, to: &TcpStream, heard_ms: &AtomicU64) {
        let (mut source, mut sink) = (from, to);
        let mut buffer = vec![0; 64 << 10];
        loop {
            if let Err(why) = self.check_limits(heard_ms) {
                return self.break_off(Some(why), &[from, to]);
            }
            if self.over() {
                return self.break_off(None, &[from, to]);
            }
            match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => {
                    heard_ms.store(self.now_ms(), Ordering::Relaxed);
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

    fn check_limits(&self, heard_ms: &AtomicU64) -> Result<(), GitError> {
        let url = self.shown.clone();
        let silence = Duration::from_millis(self.now_ms().saturating_sub(heard_ms.load(Ordering::Relaxed)));
        let limit = match () {
            () if (self.stop)() => return Err(GitError::Stopped { url }),
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

    fn wire(url: &str) -> Wire {
        Wire::open(&Url::parse(url).unwrap(), &GitLimits::default(), || false).unwrap().unwrap()
    }

    fn ask(wire: &Wire, request: &str) -> (TcpStream, String) {
        let mut stream = TcpStream::connect(wire.local).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        (stream, String::from_utf8_lossy(&answer).into_owned())
    }

    #[test]
    fn a_tunnel_carries_both_ways_and_leads_to_its_server_only() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let wire = wire(&format!("https://{address}/r"));
        assert_eq!(wire.url(), format!("https://{address}/r"));
        assert_eq!(wire.proxy().unwrap(), format!("http://{}", wire.local));

        let (mut near, answer) =
            ask(&wire, &format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\n"));
        assert_eq!(answer, "HTTP/1.1 200");
        let (mut far, _) = server.accept().unwrap();
        far.write_all(b"from the server").unwrap();
        drop(far);
        let mut rest = String::new();
        near.read_to_string(&mut rest).unwrap();
        assert!(rest.ends_with("\r\n\r\nfrom the server"), "{rest}");
        assert!(wire.verdict().is_none());

        let (_, answer) = ask(&wire, "CONNECT elsewhere.example:443 HTTP/1.1\r\n\r\n");
        assert_eq!(answer, "HTTP/1.1 403");
        drop(near);
        let shared = Arc::clone(&wire.line);
        drop(wire);
        let verdict = shared.verdict.lock().unwrap().take();
        let Some(GitError::Connect { source, .. }) = verdict else { panic!("{verdict:?}") };
        assert!(source.to_string().contains("redirects to elsewhere.example:443"), "{source}");
    }
}
