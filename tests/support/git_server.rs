//! Repositories in a folder, served as a forge does: git's own CGI behind HTTP, with passwords if they are set.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{Response, StatusCode, header},
};
use tokio::io::AsyncWriteExt as _;

use super::tls::Identity;

/// A server of repositories. Dropping it stops it.
pub(crate) struct GitServer {
    pub(crate) address: SocketAddr,
    /// How many requests came.
    pub(crate) asked: Arc<AtomicUsize>,
    runtime: Option<tokio::runtime::Runtime>,
}

/// Who may do what: the values of `Authorization`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Doors {
    /// May read and write. Anybody may if it is not set.
    pub(crate) writer: Option<String>,
    /// May read only.
    pub(crate) reader: Option<String>,
}

#[derive(Clone)]
struct Serving {
    folder: PathBuf,
    doors: Doors,
    asked: Arc<AtomicUsize>,
}

impl GitServer {
    /// Serves a folder, on a free port.
    pub(crate) fn start(folder: &Path, password: Option<&str>) -> Self {
        Self::start_at(folder, password, "127.0.0.1:0".parse().unwrap())
    }

    /// Serves a folder at an address.
    pub(crate) fn start_at(folder: &Path, password: Option<&str>, address: SocketAddr) -> Self {
        let doors = Doors { writer: password.map(str::to_owned), reader: None };
        Self::start_with(folder, doors, address)
    }

    /// Serves a folder to whom the doors let in.
    pub(crate) fn start_with(folder: &Path, doors: Doors, address: SocketAddr) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let serving = Serving { folder: folder.to_owned(), doors, asked: Arc::clone(&asked) };
        let listener = runtime.block_on(tokio::net::TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        let router = axum::Router::new().fallback(backend).with_state(serving);
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { address, asked, runtime: Some(runtime) }
    }

    /// Returns the location of `models.git` there.
    pub(crate) fn place(&self, rest: &str) -> String {
        format!("git+http://{}/models.git{rest}", self.address)
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.runtime.take().unwrap().shutdown_timeout(Duration::from_secs(5));
    }
}

/// Returns the status that a request is turned away with.
fn turned_away(doors: &Doors, shown: &str, may_change: bool) -> Option<StatusCode> {
    let writer = doors.writer.as_deref()?;
    let reads = doors.reader.as_deref() == Some(shown);
    match () {
        () if shown == writer || (reads && !may_change) => None,
        () if reads => Some(StatusCode::FORBIDDEN),
        () => Some(StatusCode::UNAUTHORIZED),
    }
}

async fn backend(State(serving): State<Serving>, request: Request) -> Response<Body> {
    serving.asked.fetch_add(1, Ordering::SeqCst);
    let (parts, body) = request.into_parts();
    let header = |name: header::HeaderName| {
        parts.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned()
    };
    let changes = parts.uri.to_string().contains("git-receive-pack");
    if let Some(status) = turned_away(&serving.doors, &header(header::AUTHORIZATION), changes) {
        let refused = Response::builder().status(status);
        return refused
            .header(header::WWW_AUTHENTICATE, "Basic realm=\"forge\"")
            .body(Body::empty())
            .unwrap();
    }
    let mut cgi = tokio::process::Command::new("git");
    cgi.arg("http-backend")
        .env("GIT_PROJECT_ROOT", &serving.folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_COUNT", "2")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("GIT_CONFIG_KEY_1", "http.receivepack")
        .env("GIT_CONFIG_VALUE_1", "true")
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", header(header::CONTENT_TYPE))
        .env("HTTP_CONTENT_ENCODING", header(header::CONTENT_ENCODING))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let mut child = cgi.env("CONTENT_LENGTH", body.len().to_string()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&body).await.unwrap();
    let output = child.wait_with_output().await.unwrap().stdout;
    let split = output.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
    let mut response = Response::builder();
    for line in std::str::from_utf8(&output[..split]).unwrap().lines() {
        let (name, value) = line.split_once(": ").unwrap();
        response = match name {
            "Status" => response.status(value[..3].parse::<u16>().unwrap()),
            _ => response.header(name, value),
        };
    }
    response.body(Body::from(output[split + 4..].to_vec())).unwrap()
}

impl GitServer {
    /// Puts encryption in front of this server, and returns the port.
    pub(crate) fn encrypt(&self, identity: &Identity) -> u16 {
        self.runtime.as_ref().unwrap().block_on(identity.terminate(self.address))
    }
}
