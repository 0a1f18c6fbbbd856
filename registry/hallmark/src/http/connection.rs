//! Connections: accepted, bounded, served over HTTP/1.1 or h2c, and let go.

mod leash;
mod outbox;
mod stream;

use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::IntoResponse as _,
};
use bytes::Bytes;
use hyper::{Request, Version, body::Incoming, service::service_fn, upgrade::Upgraded};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto::{Builder, upgrade::downcast},
        graceful::GracefulShutdown,
    },
};
use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use self::stream::{Patience, Socket, Stream};
pub(super) use self::{
    leash::{Leash, Reading},
    outbox::{Outbox, PART_BYTES_MAX},
    stream::{Passed, Wire},
};
use super::{App, Problem, guard::Peer};
use crate::{metrics::Metrics, quiet::Quiet, serve::Doors};

/// How much of a request's head is buffered; more is refused by the protocol itself.
const HEAD_BUFFER_BYTES: usize = 256 << 10;
const HEADERS_MAX: usize = 100;
/// How many connections the operator's own commands may have at once; those of clients do not count there.
const OPERATORS_MAX: usize = 64;
/// How many connections may be told at once that there are too many; more are closed without a word.
const REFUSALS_MAX: usize = 64;
/// How long that may take.
const REFUSAL: Duration = Duration::from_secs(2);
/// How long to wait after the system had no socket left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How the bytes of an answer leave.
#[derive(Clone, Debug)]
pub(super) enum Channel {
    /// One answer after the other, so the kernel can send files: HTTP/1.
    Kernel(Outbox),
    /// Several answers take turns, each piece in a frame of its own: HTTP/2.
    Frames(Leash),
}

struct Host {
    router: Router,
    builder: Builder<TokioExecutor>,
    seats: Arc<Semaphore>,
    operators: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    graceful: GracefulShutdown,
    patience: Patience,
}

/// Serves until the stop, then lets requests that run end.
pub(super) async fn serve(doors: Doors, router: Router, app: &App, stop: CancellationToken) {
    let settings = app.settings();
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(settings.header_seconds_max))
        // What a body gives has to reach the stream as it is.
        .writev(true)
        .max_buf_size(HEAD_BUFFER_BYTES)
        .max_headers(HEADERS_MAX)
        // Who has said all it has to say still gets its answer.
        .half_close(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .max_header_list_size(64 << 10)
        .max_concurrent_streams(128);
    let seats = Arc::new(Semaphore::new(settings.connections_max));
    let patience = Patience {
        opening: Duration::from_secs(settings.header_seconds_max),
        write: Duration::from_secs(settings.write_seconds_max),
    };
    let host = Arc::new(Host {
        router,
        builder,
        seats,
        operators: Arc::new(Semaphore::new(OPERATORS_MAX)),
        refusals: Arc::new(Semaphore::new(REFUSALS_MAX)),
        metrics: Arc::clone(&app.0.metrics),
        graceful: GracefulShutdown::new(),
        patience,
    });
    let mut loops = doors
        .tcp
        .into_iter()
        .map(|it| tokio::spawn(accept_tcp(it, Arc::clone(&host), stop.clone())))
        .collect::<Vec<_>>();
    loops.push(tokio::spawn(accept_unix(doors.unix, Arc::clone(&host), stop.clone())));
    for it in loops {
        if it.await.is_err() {
            tracing::error!(
                "The loop that accepts connections had panicked: restart the daemon and report this"
            );
        }
    }
    // Everybody else has let go of the host by now, except connections, which do not hold it.
    if let Ok(host) = Arc::try_unwrap(host).map_err(drop) {
        host.graceful.shutdown().await;
    }
}

async fn accept_tcp(listener: TcpListener, host: Arc<Host>, stop: CancellationToken) {
    accept(
        stop,
        |cx| listener.poll_accept(cx),
        |(stream, address)| {
            // Small answers must not wait for each other.
            drop(stream.set_nodelay(true));
            host.take(stream, Peer::Client(plain(address.ip())));
        },
    )
    .await;
}

async fn accept_unix(listener: UnixListener, host: Arc<Host>, stop: CancellationToken) {
    accept(stop, |cx| listener.poll_accept(cx), |(stream, _)| host.take(stream, Peer::Operator)).await;
}

/// Takes one connection after the other until the stop.
async fn accept<C>(
    stop: CancellationToken,
    next: impl Fn(&mut Context<'_>) -> Poll<io::Result<C>>,
    take: impl Fn(C),
) {
    let quiet = Quiet::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = poll_fn(&next) => accepted,
        };
        match accepted {
            Ok(connection) => take(connection),
            Err(error) => {
                if quiet.is_over() {
                    tracing::warn!(
                        "A connection could not be accepted: {error}. Clients wait until there is room: allow the \
                         daemon more open files, or lower [http] connections_max"
                    );
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Host {
    /// Serves one connection on a task of its own.
    fn take(&self, socket: impl Socket, peer: Peer) {
        let seats = if peer == Peer::Operator { &self.operators } else { &self.seats };
        let Ok(seat) = Arc::clone(seats).try_acquire_owned() else { return self.refuse(socket) };
        let counted = self.metrics.connection();
        let (outbox, leash) = (Outbox::default(), Leash::new(self.patience.write));
        let frames = leash.clone();
        let stream = Stream::new(socket, outbox.clone(), self.patience);
        let router = self.router.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            let channel = match request.version() {
                Version::HTTP_2 => Channel::Frames(frames.clone()),
                _ => Channel::Kernel(outbox.clone()),
            };
            request.extensions_mut().insert(channel);
            router.clone().oneshot(request.map(Body::new))
        });
        let connection =
            self.builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        let connection = self.graceful.watch(connection);
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = leash.is_cut() => tracing::debug!("A connection was let go: its client reads no more"),
                ended = connection => if let Err(error) = ended {
                    tracing::debug!("A connection ended early: {error}");
                },
            }
            drop((seat, counted));
        });
    }

    /// Tells a client that there are too many, if there is time for that.
    fn refuse(&self, socket: impl Socket) {
        self.metrics.refuse("connections");
        tracing::debug!("A connection was turned away: [http] connections_max is reached");
        let Ok(seat) = Arc::clone(&self.refusals).try_acquire_owned() else { return };
        let service = service_fn(|_: Request<Incoming>| async {
            let problem =
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-connections", "Too many connections")
                    .detail("as many connections stand as may")
                    .remedy("close some, come back in a moment, or raise [http] connections_max")
                    .retry_after(1);
            let mut response = problem.into_response();
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            Ok::<_, Infallible>(response)
        });
        let connection = self.builder.serve_connection(TokioIo::new(socket), service).into_owned();
        tokio::spawn(async move {
            // Whatever becomes of it, the client is gone afterwards.
            drop(timeout(REFUSAL, connection).await);
            drop(seat);
        });
    }
}

/// Takes a connection that speaks another protocol from now on out of the HTTP library, with what was read of it; `None`
/// if it is none of ours.
pub(super) fn take_over(upgraded: Upgraded) -> Option<(Box<dyn Wire>, Bytes)> {
    wire::<TcpStream>(upgraded).or_else(wire::<UnixStream>).ok()
}

fn wire<S: Socket>(upgraded: Upgraded) -> Result<(Box<dyn Wire>, Bytes), Upgraded> {
    let parts = downcast::<TokioIo<Stream<S>>>(upgraded)?;
    Ok((Box::new(parts.io.into_inner()), parts.read_buf))
}

/// Takes an address for what it is, even if it came in over a socket for both kinds.
fn plain(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}
