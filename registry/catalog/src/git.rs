//! Follows an index on a branch of a repository.
//!
//! - What is in force is the index of the newest commit that held, and survives outages and restarts: see `memory`.
//! - A newer commit is taken only if it descends from the one in force. A branch that was rewritten is refused, unless
//!   [`GitOptions::accept_rewritten_history`] says otherwise: whoever can push by force must not change what a fleet
//!   runs without a trace. A commit whose index did not hold was never in force, so rewriting that one away is fine.
//! - One connection at a time, with limits on its time and on what it may send: see `wire`.
//! - The clone is a cache: it begins shallow, and is thrown away when it breaks.

use std::{
    fmt, fs,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use base::{Clock, CommitId, UnixSeconds};
use rand::Rng as _;

use self::{
    clone::{Clone as GitClone, Fault, Tip},
    login::Guard,
    memory::Memory,
    wire::Wire,
};
pub use self::{
    commit::{Author, Change, WorkError},
    error::GitError,
    login::GitLogin,
    push::PushError,
    sign::{SignError, SigningKey},
    workbench::{Proposed, Standing, Workbench},
};
use crate::{
    follow::{Desk, Follower, Listener, Origin, Reader, Rung, Tracking},
    hashed::Hashed,
    location::GitLocation,
    watch::INDEX_BYTES_MAX,
};

mod clone;
mod commit;
mod error;
mod known_hosts;
mod login;
mod memory;
mod push;
mod sign;
mod wire;
mod workbench;

/// How a branch is followed.
#[derive(Clone, Debug)]
pub struct GitOptions {
    /// A folder of its own for the clone and for what survives a restart. Made if it is missing.
    pub state: PathBuf,
    /// How often the branch is asked for; each time a tenth more or less, so that a fleet does not ask as one.
    pub every: Duration,
    /// Which files hold the credentials.
    pub login: GitLogin,
    /// Take a branch whose history was rewritten.
    pub accept_rewritten_history: bool,
    /// What one fetch may take.
    pub limits: GitLimits,
}

/// What one fetch may take.
#[derive(Clone, Debug)]
pub struct GitLimits {
    /// The time to connect.
    pub connect_max: Duration,
    /// The time in which nothing comes.
    pub silence_max: Duration,
    /// The whole time of one fetch.
    pub fetch_max: Duration,
    /// The bytes of one fetch.
    pub transfer_bytes_max: u64,
}

impl GitOptions {
    /// Returns the usual options, with the state in a folder.
    pub fn in_folder(state: impl Into<PathBuf>) -> Self {
        Self {
            state: state.into(),
            every: Duration::from_mins(5),
            login: GitLogin::default(),
            accept_rewritten_history: false,
            limits: GitLimits::default(),
        }
    }
}

impl Default for GitLimits {
    fn default() -> Self {
        Self {
            connect_max: Duration::from_secs(10),
            silence_max: Duration::from_mins(1),
            fetch_max: Duration::from_mins(15),
            transfer_bytes_max: 2 << 30,
        }
    }
}

/// Where in a repository an index came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The commit.
    pub commit: CommitId,
    /// The branch it was the newest of.
    pub branch: String,
    /// The index's path in it.
    pub path: String,
    /// When it was committed, as its author's machine told the time.
    pub committed_at: UnixSeconds,
    /// When it came into force here.
    pub taken_at: UnixSeconds,
}

impl fmt::Display for Provenance {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} at {} of {}", self.path, self.commit, self.branch)
    }
}

/// Takes the index that was in force before, then follows the branch on a thread of its own until the [`Follower`]
/// goes. Does not wait for the network: the first fetch is over when [`Follower::reload_now`] returns.
pub fn follow_git<T: Send + Sync + 'static, R: Send + Sync + 'static>(
    place: GitLocation,
    options: GitOptions,
    clock: Arc<dyn Clock>,
    read: Reader<T, R>,
    tell: Listener<T, R>,
) -> Result<Follower<T, R>, GitError> {
    let state = options.state.clone();
    let failed = |source| GitError::State { folder: state.clone(), source };
    fs::create_dir_all(&state).map_err(failed)?;
    let source = place.to_string();
    let memory = Memory::load(&state, &source);
    let tracking = Tracking::Fetching { every: options.every };
    let desk = Desk::new(tracking, read, tell, Arc::clone(&clock));
    let board = Arc::clone(&desk.board);
    let mut branch = Branch { place, source, options, clock, desk, memory };
    branch.remember();
    Follower::start("index fetch", board, move || branch.run()).map_err(failed)
}

struct Branch<T, R> {
    place: GitLocation,
    source: String,
    options: GitOptions,
    clock: Arc<dyn Clock>,
    desk: Desk<T, R>,
    memory: Option<Memory>,
}

impl<T: Send + Sync + 'static, R: Send + Sync + 'static> Branch<T, R> {
    /// Puts the index of the remembered commit in force.
    fn remember(&mut self) {
        let Some(memory) = &self.memory else { return };
        if let Some(found) = memory.found(&self.options.state) {
            self.desk.take(found, Origin::Commit(memory.provenance()));
        }
    }

    fn run(mut self) {
        loop {
            self.look();
            let jitter = rand::rng().random_range(0.9..1.1);
            let next = Instant::now() + self.options.every.mul_f64(jitter);
            match self.desk.board.sleep(next.saturating_duration_since(Instant::now())) {
                Rung::Stop => return,
                Rung::Asked | Rung::Stirred | Rung::Silence => {}
            }
        }
    }

    fn look(&mut self) {
        let (ticket, _) = self.desk.board.begin();
        if let Err(error) = self.take_newest() {
            self.desk.fail(error.into());
        }
        self.desk.board.end(ticket);
    }

    fn take_newest(&mut self) -> Result<(), GitError> {
        let (tip, bytes) = match self.fetch() {
            Err(Fault::Clone(error)) => {
                tracing::warn!(%error, "The clone of {} is broken and is made anew", self.source);
                let folder = self.clone_folder();
                GitClone::remove(&folder).map_err(|source| self.state_failed(source))?;
                self.fetch().map_err(|fault| match fault {
                    Fault::Clone(source) => GitError::Clone { folder, source },
                    Fault::Other(error) => error,
                })?
            }
            Err(Fault::Other(error)) => return Err(error),
            Ok(found) => found,
        };
        self.take(&tip, Hashed::of(bytes))
    }

    fn fetch(&self) -> Result<(Tip, Vec<u8>), Fault> {
        let (url, limits) = (self.place.url(), &self.options.limits);
        let guard = Guard::new(url, &self.options.login)?;
        let board = Arc::clone(&self.desk.board);
        let wire = Wire::open(url, limits, move || board.stop.load(Ordering::SeqCst))
            .map_err(|source| GitError::Connect { url: url.to_string(), source })?;
        let clone = GitClone::open(&self.clone_folder())?;
        let in_force = self.memory.as_ref().map(|it| it.commit);
        let tip = clone.fetch(&self.place, &guard, wire.as_ref(), limits, in_force)?;
        if let Some(old) = in_force.filter(|_| !self.options.accept_rewritten_history)
            && !clone.descends(tip.commit, old)
        {
            let (url, branch) = (url.to_string(), tip.branch);
            return Err(GitError::Rewritten { url, branch, old, new: tip.commit }.into());
        }
        let bytes = clone.read(&tip, self.place.path(), INDEX_BYTES_MAX)?;
        Ok((tip, bytes))
    }

    fn take(&mut self, tip: &Tip, found: Hashed) -> Result<(), GitError> {
        let digest = found.digest();
        let known = self.memory.as_ref().filter(|it| it.commit == tip.commit && it.digest == digest);
        let provenance = known.map_or_else(|| self.provenance(tip), Memory::provenance);
        let memory = Memory::new(&self.source, &provenance, digest);
        // Kept for the disk: the reader makes the index of the bytes themselves.
        let bytes = (self.memory.as_ref() != Some(&memory)).then(|| found.bytes().to_vec());
        if self.desk.take(found, Origin::Commit(provenance))
            && let Some(bytes) = bytes
        {
            memory.store(&self.options.state, &bytes).map_err(|source| self.state_failed(source))?;
            self.memory = Some(memory);
        }
        Ok(())
    }

    fn provenance(&self, tip: &Tip) -> Provenance {
        Provenance {
            commit: tip.commit,
            branch: tip.branch.clone(),
            path: self.place.path().to_owned(),
            committed_at: tip.committed_at,
            taken_at: self.clock.now(),
        }
    }

    fn clone_folder(&self) -> PathBuf {
        self.options.state.join("clone.git")
    }

    fn state_failed(&self, source: std::io::Error) -> GitError {
        GitError::State { folder: self.options.state.clone(), source }
    }
}
