//! The daemon's own log of signed events: opened at the start, written by one thread, read by anybody who asks.
//!
//! - An event is acknowledged once it is on disk. Signatures are checked on a few threads, and whoever comes while
//!   all of them are busy waits.
//! - The engine knows nothing of it. What becomes of models is read off the worlds that it publishes.

pub(crate) mod chain;
mod checkers;
mod findings;
mod graph;
mod inward;
mod onward;
mod opening;
mod publishing;
mod scribe;
mod trouble;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use anyhow::Context as _;
use base::{Address, Clock as _, SystemClock};
use catalog::Entry;
use ledger::{
    Accepted, CheckpointKey, EventId, Filter, Kind, Live, Log, Membership, Query, SecretKey, Sid, StoreError,
    relay::Relay,
};
use tokio::{
    runtime::Handle,
    sync::{Notify, Semaphore, broadcast, watch},
    task::{block_in_place, spawn_blocking},
};
use tokio_util::sync::CancellationToken;
use vault::Shelf;

use self::checkers::Checkers;
pub(crate) use self::{
    inward::{Followed, Following, Stands},
    onward::statuses,
    publishing::PublishError,
};
use crate::{
    ancestry::Ancestry, config::LedgerConfig, gate::Gate, metrics::Metrics, order::Order, world::World,
};

/// The log and who signs in it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Ledger(Arc<Inner>);

struct Inner {
    log: Arc<Log>,
    key: SecretKey,
    checkpoint_key: CheckpointKey,
    config: LedgerConfig,
    host: String,
    /// Who is in which subspace.
    members: Arc<Live<Membership>>,
    /// How the relays stand that are followed.
    followed: Followed,
    /// Who rests on whom.
    ancestry: Arc<Ancestry>,
    /// What came in, for those who listen.
    accepted: broadcast::Sender<Arc<Accepted>>,
    /// Rings when the log grows by something that a gate may see.
    growth: Arc<Notify>,
    gate: RwLock<Option<Arc<Gate>>>,
    pen: Mutex<()>,
    shelf: Shelf,
    checkers: Checkers,
    /// Who may do an UPDATE again before its turn: one at a time, so that nobody else's events wait for it.
    examiners: Semaphore,
    readers: Semaphore,
    lookers: Arc<Semaphore>,
    /// What holds for all clients of the relay, and their places.
    relay: Arc<Relay>,
    seats: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
}

impl Ledger {
    /// Begins to read the log for the lineage graph, to write down what becomes of models, to publish it onward, and to
    /// take in what others have; until the stop.
    pub(crate) fn work(&self, runtime: &Handle, of: &Shelf, worlds: watch::Receiver<Arc<World>>) {
        let (ledger, timers) = (self.clone(), runtime.clone());
        runtime.spawn_blocking(move || graph::read(&ledger, &timers));
        for relay in &self.config().relays {
            runtime.spawn(onward::publish_onward(self.clone(), relay.0.clone()));
        }
        for relay in &self.config().follow {
            runtime.spawn(inward::follow(self.clone(), relay.0.clone()));
        }
        runtime.spawn(scribe::scribe(self.clone(), of.clone(), worlds));
    }

    /// Writes down what this host knows of a model that is to be judged. Returns the event that says what it is.
    pub(crate) fn vouch(&self, order: &Order, is_proven: bool) -> anyhow::Result<EventId> {
        scribe::Scribe::new(self.clone(), self.0.shelf.clone()).vouch(order, is_proven)
    }

    /// Returns the newest event by which this host says what a model is, as its entry has it.
    pub(crate) fn model_event(&self, entry: &Entry) -> anyhow::Result<Option<EventId>> {
        let filter = Filter::default().author(self.address()).kind(Kind::MODEL);
        let filter =
            filter.tag("model_id", entry.id.as_str()).tag("sha256", &entry.artifact.sha256.to_string());
        let found = self.log().query(&Query { filter: filter.limit(64), ..Query::default() });
        let found = found.context("read the event log")?;
        Ok(found.into_iter().max_by_key(|it| it.at.seq).map(|it| it.id))
    }

    /// Takes the pen: whoever looks whether something was said, and says it if not, must be alone.
    pub(crate) fn pen(&self) -> MutexGuard<'_, ()> {
        self.0.pen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a gate in the place of the one before.
    pub(crate) fn set_gate(&self, gate: Option<Arc<Gate>>) {
        *self.0.gate.write().unwrap_or_else(PoisonError::into_inner) = gate;
    }

    /// Returns the gate that the policy in force asks, if it asks one.
    pub(crate) fn gate(&self) -> Option<Arc<Gate>> {
        self.0.gate.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns what rings when the log grows by something that a gate may see.
    pub(crate) fn growth(&self) -> &Arc<Notify> {
        &self.0.growth
    }

    /// Says why the log cannot be written, if the last write failed.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.0.log.failure().map(|it| trouble::why(&it))
    }

    /// Returns the counters.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Notes how the log and the outbox stand, for whoever reads the counters next.
    pub(crate) async fn measure(&self) -> anyhow::Result<()> {
        let relays = self.read(statuses).await?;
        for it in relays {
            let states =
                [("pending", it.pending), ("taken", it.taken), ("refused", it.refused), ("lied", it.lied)];
            for (state, count) in states {
                self.0.metrics.outbox(&it.relay, state, count);
            }
        }
        self.0.metrics.log(self.0.log.head().0, self.0.log.failure().is_some());
        self.0.metrics.graph(self.0.ancestry.progress().read);
        let now = SystemClock.now();
        for it in self.0.followed.list() {
            self.0.metrics.followed(&it.relay, it.stands == Stands::Follows, it.behind(now));
        }
        Ok(())
    }

    /// Reads the log on a thread that may wait for the disk.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Ledger) -> Result<T, StoreError> + Send + 'static,
    ) -> anyhow::Result<T> {
        let _seat = self.0.readers.acquire().await.context("wait for the log")?;
        let ledger = self.clone();
        spawn_blocking(move || look(&ledger)).await.context("read on a thread")?.context("read the log")
    }

    /// Reads the log on this very thread, whose other tasks go on elsewhere: most answers take less time than it takes
    /// to wake a thread and to be woken by it.
    pub(crate) async fn read_here<T>(
        &self,
        look: impl FnOnce(&Ledger) -> Result<T, StoreError>,
    ) -> anyhow::Result<T> {
        let _seat = self.0.readers.acquire().await.context("wait for the log")?;
        block_in_place(|| look(self)).context("read the log")
    }

    /// Does the same while the thread's other tasks wait: only for what takes hardly longer than to call somebody to
    /// take them over.
    pub(crate) async fn read_at_once<T>(
        &self,
        look: impl FnOnce(&Ledger) -> Result<T, StoreError>,
    ) -> anyhow::Result<T> {
        let _seat = self.0.readers.acquire().await.context("wait for the log")?;
        look(self).context("read the log")
    }

    /// Looks at the graph on a thread of its own, a few at once.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Ledger) -> T + Send + 'static,
    ) -> anyhow::Result<T> {
        let seat = Arc::clone(&self.0.lookers).acquire_owned().await.context("wait for the graph")?;
        let ledger = self.clone();
        let look = move || {
            let found = look(&ledger);
            // Whoever asked may be gone: until the work has ended, its seat is taken.
            drop(seat);
            found
        };
        spawn_blocking(look).await.context("look on a thread")
    }

    /// Returns what holds for all clients of the relay.
    pub(crate) fn relay(&self) -> &Arc<Relay> {
        &self.0.relay
    }

    /// Returns the places for clients of the relay.
    pub(crate) fn seats(&self) -> &Arc<Semaphore> {
        &self.0.seats
    }

    /// Returns what says that the daemon stops.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// Returns how the relays stand that are followed.
    pub(crate) fn followed(&self) -> &Followed {
        &self.0.followed
    }

    /// Returns the log as a graph.
    pub(crate) fn ancestry(&self) -> &Arc<Ancestry> {
        &self.0.ancestry
    }

    pub(crate) fn log(&self) -> &Arc<Log> {
        &self.0.log
    }

    pub(crate) fn config(&self) -> &LedgerConfig {
        &self.0.config
    }

    pub(crate) fn checkpoint_key(&self) -> &CheckpointKey {
        &self.0.checkpoint_key
    }

    pub(crate) fn members(&self) -> &Live<Membership> {
        &self.0.members
    }

    /// Returns the daemon's own name among authors.
    pub(crate) fn address(&self) -> Address {
        self.0.key.address()
    }

    /// Returns what this host is called in what the daemon signs.
    pub(crate) fn host(&self) -> &str {
        &self.0.host
    }

    /// Returns the subspace that the daemon signs in.
    pub(crate) fn own_space() -> Sid {
        chain::own_subspace().computed_sid()
    }

    /// Begins to hear of every event that comes in.
    pub(crate) fn accepted(&self) -> broadcast::Receiver<Arc<Accepted>> {
        self.0.accepted.subscribe()
    }

    /// Says whether only its parties and the operator may read a kind.
    pub(crate) fn is_private(&self, kind: Kind) -> bool {
        self.0.config.is_private(kind)
    }
}
