//! The sockets that clients come in by: one over TCP, given by the service manager or opened here, and one in the
//! state folder for the operator's own commands.

use std::{fs, io, net::SocketAddr, os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::Context as _;
use listenfd::ListenFd;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, UnixListener};

/// Whoever may write to it may act on this host.
const SOCKET_MODE: u32 = 0o600;

/// What else the daemon has open at once: the shelf's files, the log's, fetches, the operator's commands.
const FILES_BESIDE: u64 = 512;

/// Open sockets.
pub(crate) struct Doors {
    pub(crate) tcp: Vec<TcpListener>,
    pub(crate) unix: UnixListener,
    /// Where the first TCP socket listens.
    pub(crate) address: SocketAddr,
}

/// Opens all doors. Must be called within a runtime.
pub(super) fn open(listen: SocketAddr, socket: &Path) -> anyhow::Result<Doors> {
    let mut tcp = given().context("take the sockets of the service manager")?;
    if tcp.is_empty() {
        let opened = std::net::TcpListener::bind(listen);
        let opened = opened.with_context(|| format!("listen on {listen}: choose another --listen"))?;
        tcp.push(adopt(opened).with_context(|| format!("listen on {listen}"))?);
    }
    let first = tcp.first().context("there is no socket to listen on")?;
    let address = first.local_addr().context("ask where the socket listens")?;
    // The lock on the state folder says that a socket found here is an earlier daemon's.
    match fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("remove the old socket {}", socket.display()));
        }
        _ => {}
    }
    let unix = UnixListener::bind(socket).with_context(|| {
        format!("listen on {} (a path of more than 107 bytes cannot be a socket)", socket.display())
    })?;
    fs::set_permissions(socket, fs::Permissions::from_mode(SOCKET_MODE))
        .with_context(|| format!("set the rights of {}", socket.display()))?;
    Ok(Doors { tcp, unix, address })
}

/// Lets this process have as many sockets and files at once as the system allows it: by custom it starts with few.
/// Says so if that is too few for all the connections that may stand.
pub(super) fn widen(connections_max: usize) {
    let limit = getrlimit(Resource::Nofile);
    let needed = (connections_max as u64).saturating_add(FILES_BESIDE);
    if let Some(allowed) = limit.maximum.filter(|it| *it < needed) {
        tracing::warn!(
            "The system allows this daemon {allowed} open files, and [http] connections_max = {connections_max} may need \
             {needed}: allow it more (LimitNOFILE, ulimit -n), or lower connections_max"
        );
    }
    let widest = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, widest) {
        tracing::warn!("There may be too few file descriptors: the limit could not be raised: {error}");
    }
}

/// Takes what a socket unit opened for us.
fn given() -> io::Result<Vec<TcpListener>> {
    let mut given = ListenFd::from_env();
    let mut sockets = Vec::new();
    for index in 0..given.len() {
        if let Some(socket) = given.take_tcp_listener(index)? {
            sockets.push(adopt(socket)?);
        }
    }
    Ok(sockets)
}

fn adopt(socket: std::net::TcpListener) -> io::Result<TcpListener> {
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket)
}
