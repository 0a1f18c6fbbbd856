//! The daemon's own log of signed events: opened at the start, written by one thread, read by anybody who asks.
//!
//! - An event is acknowledged once it is on disk. Signatures are checked on a few threads, and whoever comes while
//!   all of them are busy waits.
//! - The engine knows nothing of it. What becomes of models is read off the worlds that it publishes.

pub(crate) mod chain;
mod findings;
mod inward;
mod onward;
mod scribe;

use std::{
    env,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    thread::available_parallelism,
    time::Instant,
};

use anyhow::Context as _;
use base::{Address, SystemClock};
use catalog::Entry;
use ledger::{
    Accepted, AppendError, CheckpointKey, Claimed, EventId, Filter, Kind, Live, Log, Membership, Options,
    Outcome, Prepared, Query, SecretKey, Sid, Signed, StoreError, VerifyError,
    kinds::{Valid, ValidResult},
    log::ClaimError,
    relay::Relay,
};
use tokio::{
    runtime::Handle,
    sync::{Notify, Semaphore, broadcast, oneshot, watch},
    task::spawn_blocking,
};
use tokio_util::sync::CancellationToken;
use vault::Shelf;

pub(crate) use self::onward::statuses;
use crate::{
    ancestry::Ancestry,
    config::{LedgerConfig, RulesMode},
    gate::Gate,
    host::Host,
    metrics::Metrics,
    order::Order,
    world::World,
};

/// What the service manager calls the key that it hands over.
const CREDENTIAL: &str = "signing-key";
/// How many may look at the graph at once: evaluating a card keeps a core busy.
const LOOKERS_MAX: usize = 2;
/// How many readers may be at the file at once.
const READERS_MAX: usize = 16;

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
    /// Who rests on whom.
    ancestry: Arc<Ancestry>,
    /// What came in, for those who listen.
    accepted: broadcast::Sender<Arc<Accepted>>,
    /// Rings when the log grows by something that a gate may see.
    growth: Arc<Notify>,
    gate: RwLock<Option<Arc<Gate>>>,
    pen: Mutex<()>,
    shelf: Shelf,
    verifiers: Semaphore,
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

/// Why nobody knows what became of an event, or why it is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    /// It is no event, or its author did not sign it.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// It may be sent again.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl Ledger {
    /// Opens the log of this host and makes its keys if they are missing; `None` if the operator wants no log.
    pub(crate) fn open(
        host: &Host,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> anyhow::Result<Option<Self>> {
        let config = host.config.ledger.clone();
        if !config.enabled {
            return Ok(None);
        }
        if config.rules_mode == RulesMode::Enforce {
            // To let everything in and call it enforced would be worse than to say so.
            anyhow::bail!(
                "[ledger] rules_mode = \"enforce\" has nothing to enforce yet: no source of energy can be named; use \"record\""
            );
        }
        let key = SecretKey::read_or_create(&key_file(&config, &host.state))?;
        let own_name = format!("hallmark/{}", ledger::Author::lower(key.address()));
        let origin = config.origin.as_deref().unwrap_or(&own_name);
        let checkpoint_key = CheckpointKey::read_or_create(&config.checkpoint_key_file(&host.state), origin)?;
        if config.origin.as_deref().is_some_and(|it| it != checkpoint_key.origin()) {
            tracing::warn!(
                "The log keeps its name {}: it is part of every checkpoint that it signed",
                checkpoint_key.origin()
            );
        }
        let accepted = broadcast::Sender::new(config.client_queue_max.max(16));
        let (members, bell) = (Arc::new(Live::<Membership>::default()), accepted.clone());
        let (growth, own) = (Arc::new(Notify::new()), key.address());
        let grows = Arc::clone(&growth);
        let closed = config.private_kinds.iter().map(|it| u32::from(*it)).collect();
        let ancestry = Arc::new(Ancestry::new(config.graph_bytes_max, closed));
        let counted = Arc::clone(&metrics);
        let options = Options {
            policy: config.policy(),
            clock: Arc::new(SystemClock),
            folds: vec![members.clone(), ancestry.clone()],
            observer: Some(Box::new(move |it| {
                counted.event("accepted");
                // It is no error if nobody listens.
                drop(bell.send(Arc::clone(it)));
                // How a model stands follows from the gate: if that moved the gate again, it would never rest.
                if !is_own_state(it, own) {
                    grows.notify_one();
                }
            })),
        };
        let relay = Relay {
            limits: config.limits(),
            leniency: config.leniency(),
            private_kinds: config.private_kinds.iter().copied().map(Kind).collect(),
            operator: Some(key.address()),
            hosts: config.relay_hosts.iter().cloned().collect(),
            ..Relay::default()
        };
        let log = Arc::new(Log::open(&config.file(&host.state), options)?);
        ancestry.follow(&log);
        let inner = Inner {
            log,
            ancestry,
            growth,
            gate: RwLock::default(),
            pen: Mutex::default(),
            shelf: host.shelf.clone(),
            examiners: Semaphore::new(1),
            key,
            checkpoint_key,
            host: config.host.clone().unwrap_or_else(host_name),
            members,
            accepted,
            verifiers: Semaphore::new(available_parallelism().map_or(1, std::num::NonZero::get)),
            readers: Semaphore::new(READERS_MAX),
            lookers: Arc::new(Semaphore::new(LOOKERS_MAX)),
            relay: Arc::new(relay),
            seats: Arc::new(Semaphore::new(config.clients_max.min(Semaphore::MAX_PERMITS))),
            metrics,
            stop,
            config,
        };
        Ok(Some(Self(Arc::new(inner))))
    }

    /// Begins to write down what becomes of models, to publish it onward, and to take in what others have; until the
    /// stop.
    pub(crate) fn work(&self, runtime: &Handle, of: &Shelf, worlds: watch::Receiver<Arc<World>>) {
        for relay in &self.config().relays {
            runtime.spawn(onward::publish_onward(self.clone(), relay.0.clone()));
        }
        for relay in &self.config().follow {
            runtime.spawn(inward::follow(self.clone(), relay.0.clone()));
        }
        runtime.spawn(scribe::scribe(self.clone(), of.clone(), worlds));
    }

    /// Checks an event and puts it into the log. Returns what became of it, when that is on disk.
    pub(crate) async fn publish(&self, json: String) -> Result<Outcome, PublishError> {
        let prepared = {
            let _seat = self.0.verifiers.acquire().await.map_err(|_| AppendError::Closed)?;
            let (limits, leniency) = (self.0.config.limits(), self.0.config.leniency());
            let verified = spawn_blocking(move || Prepared::verify(&json, &limits, leniency)).await;
            verified.map_err(|_| AppendError::Closed)?.inspect_err(|_| self.0.metrics.event("invalid"))?
        };
        self.foresee(prepared.event()).await?;
        Ok(self.submit(prepared).await?)
    }

    /// Does an UPDATE again before its turn comes, away from the thread that writes.
    async fn foresee(&self, event: &Signed) -> Result<(), AppendError> {
        if Ancestry::is_heavy(event) {
            let _seat = self.0.examiners.acquire().await.map_err(|_| AppendError::Closed)?;
            let (ancestry, event) = (self.0.ancestry.clone(), event.clone());
            spawn_blocking(move || ancestry.foresee(&event)).await.map_err(|_| AppendError::Closed)?;
        }
        Ok(())
    }

    /// Checks the signature of an event on one of the threads for that.
    pub(crate) async fn verify(&self, claimed: Claimed) -> Result<Result<Signed, VerifyError>, AppendError> {
        let seat = self.0.verifiers.acquire().await.map_err(|_| AppendError::Closed)?;
        let leniency = self.0.config.leniency();
        let verified =
            spawn_blocking(move || claimed.verify(leniency)).await.map_err(|_| AppendError::Closed)?;
        drop(seat);
        if let Ok(event) = &verified {
            self.foresee(event).await?;
        }
        Ok(verified)
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

    /// Queues an event for the log at once. The future says what became of it, when that is on disk.
    pub(crate) fn submit(
        &self,
        prepared: Prepared,
    ) -> impl Future<Output = Result<Outcome, AppendError>> + Send + use<> {
        let (answer, outcome) = oneshot::channel();
        let (metrics, begun) = (Arc::clone(&self.0.metrics), Instant::now());
        // Whoever asked may have gone away; the event stays.
        let queued = self.0.log.submit(vec![prepared], Box::new(move |it| drop(answer.send(it))));
        async move {
            let outcome = async {
                queued?;
                let outcomes = outcome.await.map_err(|_| AppendError::Closed)??;
                outcomes.into_iter().next().ok_or(AppendError::Closed)
            };
            let outcome = outcome.await;
            match &outcome {
                Ok(Outcome::Accepted(_)) => metrics.append(begun.elapsed()),
                Ok(Outcome::Duplicate(_)) => metrics.event("duplicate"),
                Ok(Outcome::Refused(why)) => metrics.event(why.prefix()),
                Err(_) => metrics.event("error"),
            }
            outcome
        }
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

/// Says whether an event is this host's own word on how a model stands.
fn is_own_state(accepted: &Accepted, own: Address) -> bool {
    let event = &accepted.event;
    let state = || Valid::read(event.tags()).result();
    let is_state = |it: Option<ValidResult>| {
        matches!(it, Some(ValidResult::Deployed | ValidResult::Held | ValidResult::Withdrawn))
    };
    event.kind() == Kind::VALID && event.author().address() == own && is_state(state())
}

/// Returns the key's file: the operator's, the service manager's, or our own.
fn key_file(config: &LedgerConfig, state: &Path) -> PathBuf {
    let given = || {
        let path = PathBuf::from(env::var_os("CREDENTIALS_DIRECTORY")?).join(CREDENTIAL);
        path.exists().then_some(path)
    };
    config.key_file.clone().or_else(given).unwrap_or_else(|| state.join("daemon.key"))
}

/// Returns what this machine calls itself.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}
