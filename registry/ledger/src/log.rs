//! The log: events in the order in which they came, each once, durable before anybody hears of it.
//!
//! - One thread writes, in batches; any number of threads read, and wait for nobody.
//! - An outcome is given after the commit is on disk, and after every reader can see the event.
//! - The index grows by eras, so that an append costs the same whatever the log's size: see module `era`.
//! - No runtime: what calls in here may block, but for [`Log::submit`], which queues and answers later.

mod block;
mod check;
#[cfg(test)]
mod crash;
mod era;
mod names;
mod plan;
mod posting;
mod prepared;
mod query;
mod queue;
mod segment;
mod shared;
mod spaces;
#[cfg(test)]
mod tests;
mod view;
mod writer;

use std::{
    fs::{self, File, TryLockError},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
};

use base::Clock;

#[cfg(test)]
pub(crate) use self::era::ERA_EVENTS;
pub(crate) use self::plan::is_direct;
use self::{check::Loaded, queue::Queue, shared::Shared, writer::Writer};
pub use self::{
    prepared::{ClaimError, Prepared, verify_batch},
    query::{PageMark, Query},
    view::{SpaceView, Walk},
};
use crate::{
    admission::{Policy, Refusal},
    event::Accepted,
    fold::Derived,
    store::{OpenError, Store, StoreError, beside},
};

/// How many jobs may wait for the writer.
const QUEUE_MAX: usize = 4096;
/// How many events may wait for it in all of them.
const EVENTS_MAX: usize = 8192;

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the log, on disk.
    Accepted(Arc<Accepted>),
    /// Its body was in the log already, perhaps under another id. Here is the one that counts.
    Duplicate(Arc<Accepted>),
    /// It is not let in.
    Refused(Refusal),
}

/// Why nobody knows what became of an event: it may be sent again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// Too much waits already.
    #[error("the event log has more to write than it can; try again later")]
    Busy,
    /// The log is being closed.
    #[error("the event log is closed")]
    Closed,
    /// The file cannot be written: most often the disk is full.
    #[error("append to the event log")]
    Store(#[source] Arc<StoreError>),
}

/// What the thread that writes tells of its work.
#[derive(Clone, Copy, Debug)]
pub enum Told<'l> {
    /// These came into the log together, in order.
    New(&'l [Arc<Accepted>]),
    /// A write has failed: what it held is not in the log. Is told of each that fails.
    Fails(&'l Arc<StoreError>),
    /// A write has succeeded, the first since one failed.
    GoesOn,
}

/// Is called by the thread that writes: it must not wait.
pub type Observer = Box<dyn Fn(Told<'_>) + Send>;

/// Is called with the outcomes of one job, in the order of its events.
pub type Done = Box<dyn FnOnce(Result<Vec<Outcome>, AppendError>) + Send>;

/// What a log is opened with.
pub struct Options {
    /// What it lets in.
    pub policy: Policy,
    /// Its clock: for what lies in the future, and for the time of arrival.
    pub clock: Arc<dyn Clock>,
    /// The folds that follow it.
    pub folds: Vec<Arc<dyn Derived>>,
    /// Whom it tells what came in, and how writing goes.
    pub observer: Option<Observer>,
}

/// An open log.
pub struct Log {
    shared: Arc<Shared>,
    jobs: Option<SyncSender<Job>>,
    /// How many events are in the jobs that wait.
    waiting: Arc<AtomicUsize>,
    /// Each who prepares events has one more of it.
    coming: Coming,
    thread: Option<JoinHandle<()>>,
    _lock: File,
}

/// Somebody prepares events that are to be appended soon. While one of these is held, a busy log may wait for them a
/// moment, to write them with those that it has.
#[derive(Clone, Debug, Default)]
pub struct Coming(Arc<()>);

impl Coming {
    /// Says whether there is anybody but the log and its writer.
    fn is_somebody(&self) -> bool {
        Arc::strong_count(&self.0) > 2
    }
}

/// What the writer is asked for.
enum Job {
    /// Events to append, and whom to tell.
    Append(Vec<Prepared>, Done),
    /// Something else to write, between two batches.
    Write(Box<dyn FnOnce(&mut Store) + Send>),
}

impl Log {
    /// Opens the log in a file, made if it is missing. Another process that has it, or damage, is an error, and then
    /// nothing is written.
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        let lock = lock(path)?;
        let store = Store::open(path)?;
        let Loaded { shared, state, caught_up } = check::load(&store, path, &options.folds)?;
        store.trust_journal()?;
        let shared = Arc::new(shared);
        let (jobs, queue) = sync_channel(QUEUE_MAX);
        let Options { policy, clock, folds, observer } = options;
        let (waiting, state) = (Arc::<AtomicUsize>::default(), Some(state));
        let (count, own, coming) = (Arc::clone(&waiting), shared.clone(), Coming::default());
        let queue = Queue::new(queue, coming.clone());
        let writer = Writer { store, shared: own, waiting: count, policy, clock, folds, observer, state };
        let thread = std::thread::Builder::new().name("ledger-writer".to_owned());
        let io = |source| OpenError::Io { path: path.to_owned(), source };
        let thread = thread.spawn(move || writer.run(queue, caught_up)).map_err(io)?;
        Ok(Self { shared, jobs: Some(jobs), waiting, coming, thread: Some(thread), _lock: lock })
    }

    /// Says that events are being prepared that will be appended, until what this returns is dropped.
    pub fn expect(&self) -> Coming {
        self.coming.clone()
    }

    /// Queues events and returns at once; `done` hears what became of them when that is on disk.
    pub fn submit(&self, events: Vec<Prepared>, done: Done) -> Result<(), AppendError> {
        let jobs = self.jobs.as_ref().ok_or(AppendError::Closed)?;
        let count = events.len();
        if self.waiting.fetch_add(count, Ordering::Relaxed) + count > EVENTS_MAX {
            self.waiting.fetch_sub(count, Ordering::Relaxed);
            return Err(AppendError::Busy);
        }
        jobs.try_send(Job::Append(events, done)).map_err(|error| {
            self.waiting.fetch_sub(count, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => AppendError::Busy,
                TrySendError::Disconnected(_) => AppendError::Closed,
            }
        })
    }

    /// Appends events and returns what became of each, when that is on disk. Waits in the queue if there is one.
    pub fn append(&self, events: Vec<Prepared>) -> Result<Vec<Outcome>, AppendError> {
        let (answer, outcome) = sync_channel(1);
        let done: Done = Box::new(move |it| {
            // Whoever asked waits below.
            let _ = answer.send(it);
        });
        let jobs = self.jobs.as_ref().ok_or(AppendError::Closed)?;
        self.waiting.fetch_add(events.len(), Ordering::Relaxed);
        // It only fails when the writer is gone, and then nobody counts any more.
        jobs.send(Job::Append(events, done)).map_err(|_| AppendError::Closed)?;
        outcome.recv().map_err(|_| AppendError::Closed)?
    }

    /// Runs `work` in a transaction of the writer, between two batches, and returns when it is on disk.
    pub(crate) fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, AppendError> {
        let (answer, outcome) = sync_channel(1);
        let jobs = self.jobs.as_ref().ok_or(AppendError::Closed)?;
        let job = Job::Write(Box::new(move |store| {
            // Whoever asked waits below.
            let _ = answer.send(store.transact(work));
        }));
        jobs.send(job).map_err(|_| AppendError::Closed)?;
        let outcome = outcome.recv().map_err(|_| AppendError::Closed)?;
        outcome.map_err(|error| AppendError::Store(Arc::new(error)))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.jobs = None;
        // Who hears of events on the writer's own thread may be the last to hold the log: it cannot wait for itself.
        let own = |it: &JoinHandle<()>| it.thread().id() == std::thread::current().id();
        if let Some(thread) = self.thread.take().filter(|it| !own(it)) {
            // A panic in the writer has been told already, by whatever asked it last.
            let _ = thread.join();
        }
    }
}

/// Takes the file for this process. The lock is gone with the process, however it ends.
fn lock(path: &Path) -> Result<File, OpenError> {
    let name = beside(path, ".lock");
    let io = |source| OpenError::Io { path: name.clone(), source };
    if let Some(folder) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(io)?;
    }
    let file = File::options().create(true).truncate(false).write(true).open(&name).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}
