//! Follows an index wherever it lives, and publishes what is known of it.
//!
//! - The last good value stays in force: a look that fails, or bytes that do not hold, change only what is reported.
//! - Bytes that did not change are not read again: a reload costs one read, one parse, one validation.
//! - Two sources feed this: [`crate::watch`] (a file) and [`crate::git`] (a branch of a repository). Each owns one
//!   thread, and [`Follower`] owns the source: dropping it ends the thread.
//!
//! What "read" means is the caller's: a function from bytes to a value, if they hold, and a report on them.

use std::{
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::Duration,
};

use base::{Sha256, UnixSeconds};

pub(crate) use self::{
    board::{Board, Rung},
    desk::Desk,
};
use crate::{
    git::{GitError, Provenance},
    hashed::Hashed,
    watch::ReadError,
};

mod board;
mod desk;

/// Turns bytes into a value, if they hold, and a report in any case. What it wants to know of earlier bytes, it
/// remembers itself: [`crate::reader()`] does.
pub type Reader<T, R> = Box<dyn FnMut(Hashed) -> (Option<T>, R) + Send>;

/// Hears of each change, on the follower's own thread; it should be quick.
pub type Listener<T, R> = Box<dyn FnMut(&Arc<Snapshot<T, R>>) + Send>;

/// All that is known at one moment.
#[derive(Debug)]
pub struct Snapshot<T, R> {
    /// The value in force: the last one that held.
    pub good: Option<Good<T>>,
    /// What the last look found.
    pub look: Look<R>,
    /// When that look was.
    pub looked_at: UnixSeconds,
    /// How many times bytes went through the reader.
    pub reloads: u64,
    /// How changes are noticed.
    pub tracking: Tracking,
    /// Grows with each change that listeners hear of.
    pub sequence: u64,
}

/// A value that held.
#[derive(Debug)]
pub struct Good<T> {
    /// The value itself.
    pub value: Arc<T>,
    /// The digest of the bytes it came from.
    pub digest: Sha256,
    /// Where those bytes stand.
    pub origin: Origin,
    /// When they came into force here.
    pub since: UnixSeconds,
}

/// What one look at the source found.
#[derive(Debug)]
pub enum Look<R> {
    /// Bytes that hold: they are in force. The report may still warn.
    Good(Arc<R>),
    /// Bytes that do not hold: the report says why, and the last good ones stay in force.
    Bad {
        /// The digest of the bytes.
        digest: Sha256,
        /// Where they came from.
        origin: Origin,
        /// What is wrong with them.
        report: Arc<R>,
    },
    /// No bytes. The last good ones stay in force, and the source is asked again by itself.
    Failed(Arc<FollowError>),
}

/// Why a look gave no bytes.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The file could not be read. A later change to it, or to any folder on the way, leads to a new look.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The branch could not be followed. It is asked again by itself.
    #[error(transparent)]
    Git(#[from] GitError),
    /// No look has ended yet. Wait.
    #[error("the index has not been looked at yet: wait for the first look to end")]
    NotYet,
}

/// Where bytes of an index came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file on this machine.
    File,
    /// A commit of a repository.
    Commit(Provenance),
}

/// How changes are noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tracking {
    /// The kernel tells.
    Events,
    /// The file is looked at again and again, because the kernel cannot tell.
    Polling {
        /// Why, and what to do about it.
        why: String,
    },
    /// The repository is asked on an interval.
    Fetching {
        /// About how long it is.
        every: Duration,
    },
}

// Written out, since a derive would ask for `R: Clone`; the report is shared, never copied.
impl<R> Clone for Look<R> {
    fn clone(&self) -> Self {
        match self {
            Self::Good(report) => Self::Good(Arc::clone(report)),
            Self::Bad { digest, origin, report } => {
                Self::Bad { digest: *digest, origin: origin.clone(), report: Arc::clone(report) }
            }
            Self::Failed(error) => Self::Failed(Arc::clone(error)),
        }
    }
}

/// Owns the thread that follows one source.
#[derive(Debug)]
pub struct Follower<T, R> {
    board: Arc<Board<T, R>>,
    thread: Option<JoinHandle<()>>,
}

impl<T, R> Follower<T, R> {
    /// Returns what is known now.
    pub fn latest(&self) -> Arc<Snapshot<T, R>> {
        self.board.latest()
    }

    /// Waits until what is known meets a condition, or gives up and returns `None`.
    pub fn wait_until(
        &self,
        patience: Duration,
        condition: impl Fn(&Snapshot<T, R>) -> bool,
    ) -> Option<Arc<Snapshot<T, R>>> {
        self.board.wait_until(patience, |state| condition(&state.snapshot))
    }

    /// Asks for a look at once, without waiting for it.
    pub fn ask_reload(&self) {
        self.board.ask();
    }

    /// Looks at once, and returns what is known after a look that began after this call; `None` if that takes too long.
    pub fn reload_now(&self, patience: Duration) -> Option<Arc<Snapshot<T, R>>> {
        let ticket = self.board.ask();
        self.board.wait_until(patience, |state| state.answered >= ticket)
    }

    /// Ends the thread and waits for it. Dropping does the same.
    pub fn stop(self) {
        drop(self);
    }
}

impl<T: Send + Sync + 'static, R: Send + Sync + 'static> Follower<T, R> {
    pub(crate) fn start(
        name: &str,
        board: Arc<Board<T, R>>,
        run: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Self> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self { board, thread: Some(thread) })
    }
}

impl<T, R> Drop for Follower<T, R> {
    fn drop(&mut self) {
        self.board.stop.store(true, Ordering::SeqCst);
        self.board.ring();
        let Some(thread) = self.thread.take() else { return };
        if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
            tracing::error!(
                "The thread that followed the index had panicked; restart the daemon and report this"
            );
        }
    }
}
