//! A hub of our own on 127.0.0.1 that speaks the resolve protocol and plays every fault that real ones have.
//!
//! It has two origins, as the real one does: the hub itself, and the place where large files are (here `cdn`).
//! Bodies are pseudo-random and the same in every run; what was asked is recorded.

mod fault;
mod serve;
mod store;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::Router;
use base::{CommitId, Sha256};
use bytes::Bytes;
use tokio::{net::TcpListener, task::JoinHandle};
use url::Url;

pub(crate) use self::fault::{Fault, Rule};

/// Which of the hub's two origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Hub,
    Cdn,
}

/// How the hub answers a GET or HEAD of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Way {
    /// The bytes at once.
    #[default]
    Direct,
    /// A redirect on the hub's own origin, as for a renamed repository.
    Relative,
    /// A redirect to a signed address elsewhere, with or without the `X-Linked-*` headers.
    Cdn { linked: bool },
}

/// Who may read a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Access {
    #[default]
    Open,
    /// Without this token it does not exist.
    Private(String),
    /// It is known; without this token it cannot be read.
    Gated(String),
}

/// A file of the hub.
#[derive(Clone, Debug)]
pub(crate) struct HubFile {
    pub(crate) bytes: Bytes,
    /// Of the bytes; known once, since large files are asked for in many ranges.
    digest: Sha256,
    pub(crate) way: Way,
    /// Whether it is announced with a Xet hash.
    pub(crate) xet: bool,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) side: Side,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
}

/// A running hub. Dropping it stops it.
pub(crate) struct FixtureHub {
    url: Url,
    inner: Arc<Inner>,
    tasks: Vec<JoinHandle<()>>,
}

pub(crate) struct Inner {
    hub: Url,
    cdn: Url,
    state: Mutex<State>,
    served_bytes: AtomicU64,
}

#[derive(Default)]
pub(crate) struct State {
    /// By repository, then by path.
    repositories: BTreeMap<String, Repository>,
    rules: Vec<Rule>,
    seen: Vec<Seen>,
    /// Large files that were sent here.
    store: store::Store,
    /// Signed addresses of an earlier number have expired.
    signature: u64,
}

pub(crate) struct Repository {
    commit: CommitId,
    access: Access,
    /// Whose token may write; anybody's, unless there is one.
    writer: Option<String>,
    /// How many commits were made by uploads.
    commits: usize,
    files: BTreeMap<String, HubFile>,
}

impl Default for Repository {
    fn default() -> Self {
        let commit = CommitId::from_bytes([0xab; 20]);
        Self { commit, access: Access::Open, writer: None, commits: 0, files: BTreeMap::new() }
    }
}

/// Returns bytes that look random and are the same in every run.
pub(crate) fn noise(seed: u64, length: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

impl FixtureHub {
    /// Starts an empty hub on two free ports.
    pub(crate) async fn start() -> Self {
        let (hub, cdn) = (listen().await, listen().await);
        let url = origin(&hub);
        let inner = Arc::new(Inner {
            hub: url.clone(),
            cdn: origin(&cdn),
            state: Mutex::default(),
            served_bytes: AtomicU64::new(0),
        });
        let serve = |listener, side| {
            let inner = Arc::clone(&inner);
            let app = Router::new().fallback(move |request| serve::answer(Arc::clone(&inner), side, request));
            tokio::spawn(async move { axum::serve(listener, app).await.expect("serve") })
        };
        let tasks = vec![serve(hub, Side::Hub), serve(cdn, Side::Cdn)];
        Self { url, inner, tasks }
    }

    /// Returns the hub's address, to be configured as an endpoint.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Puts a file into a repository, or another one in its place.
    pub(crate) fn put(&self, repository: &str, path: &str, bytes: &Bytes) -> Sha256 {
        let digest = Sha256::of(bytes);
        let file = HubFile { bytes: bytes.clone(), digest, way: Way::Direct, xet: false };
        self.state().repository(repository).files.insert(path.to_owned(), file);
        digest
    }

    /// Changes how a file is served.
    pub(crate) fn change(&self, repository: &str, path: &str, change: impl FnOnce(&mut HubFile)) {
        let mut state = self.state();
        let file = state.repository(repository).files.get_mut(path).expect("a file that was put");
        change(file);
        file.digest = Sha256::of(&file.bytes);
    }

    /// Moves the repository's branch to another commit.
    pub(crate) fn commit(&self, repository: &str, commit: CommitId) {
        self.state().repository(repository).commit = commit;
    }

    /// Closes a repository.
    pub(crate) fn close(&self, repository: &str, access: Access) {
        self.state().repository(repository).access = access;
    }

    /// Makes an empty repository that only this token may write to.
    pub(crate) fn make(&self, repository: &str, writer: &str) {
        self.state().repository(repository).writer = Some(writer.to_owned());
    }

    /// Wants large files in parts of this length.
    pub(crate) fn wants_parts(&self, part_bytes: usize) {
        self.state().store.part_bytes = Some(part_bytes);
    }

    /// Returns the branch's commit, and how many uploads made it.
    pub(crate) fn tip(&self, repository: &str) -> (CommitId, usize) {
        let mut state = self.state();
        let repository = state.repository(repository);
        (repository.commit, repository.commits)
    }

    /// Returns a file as it stands.
    pub(crate) fn file(&self, repository: &str, path: &str) -> Option<Bytes> {
        self.state().repository(repository).files.get(path).map(|it| it.bytes.clone())
    }

    /// Plays a fault whenever the rule applies.
    pub(crate) fn play(&self, rule: Rule) {
        self.state().rules.push(rule);
    }

    /// Returns all requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// Returns how many requests of a method one side has seen.
    pub(crate) fn count(&self, side: Side, method: &str) -> usize {
        self.state().seen.iter().filter(|it| it.side == side && it.method == method).count()
    }

    /// Returns how many bytes of bodies went out, to within what the connections hold.
    pub(crate) fn served_bytes(&self) -> u64 {
        self.inner.served_bytes.load(Ordering::SeqCst)
    }

    /// Returns the ranges that were asked for, in order.
    pub(crate) fn ranges(&self) -> Vec<String> {
        let seen = self.seen();
        seen.iter()
            .filter(|it| it.method == "GET")
            .map(|it| it.header("range").unwrap_or("-").to_owned())
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state()
    }
}

impl Drop for FixtureHub {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }
}

impl Seen {
    /// Returns a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a free port")
}

fn origin(listener: &TcpListener) -> Url {
    let address = listener.local_addr().expect("an address");
    Url::parse(&format!("http://{address}")).expect("a URL")
}
