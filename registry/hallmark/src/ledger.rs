//! The daemon's own log of signed events: opened at the start, written by one thread, read by anybody who asks.
//!
//! - An event is acknowledged once it is on disk. Signatures are checked on a few threads, and whoever comes while
//!   all of them are busy waits.
//! - The engine knows nothing of it. What becomes of models is read off the worlds that it publishes.

pub(crate) mod chain;
mod findings;
mod onward;
mod scribe;

use std::{
    env,
    path::{Path, PathBuf},
    sync::Arc,
    thread::available_parallelism,
};

use anyhow::Context as _;
use base::{Address, SystemClock};
use ledger::{
    Accepted, AppendError, CheckpointKey, Claimed, Kind, Live, Log, Membership, Options, Outcome, Prepared,
    SecretKey, Sid, Signed, StoreError, VerifyError, log::ClaimError, relay::Relay,
};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, broadcast, oneshot, watch},
    task::spawn_blocking,
};
use tokio_util::sync::CancellationToken;
use vault::Shelf;

pub(crate) use self::onward::statuses;
use crate::{
    config::{LedgerConfig, RulesMode},
    host::Host,
    world::World,
};

/// What the service manager calls the key that it hands over.
const CREDENTIAL: &str = "signing-key";
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
    /// What came in, for those who listen.
    accepted: broadcast::Sender<Arc<Accepted>>,
    verifiers: Semaphore,
    readers: Semaphore,
    /// What holds for all clients of the relay, and their places.
    relay: Arc<Relay>,
    seats: Arc<Semaphore>,
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
    pub(crate) fn open(host: &Host, stop: CancellationToken) -> anyhow::Result<Option<Self>> {
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
        let options = Options {
            policy: config.policy(),
            clock: Arc::new(SystemClock),
            folds: vec![members.clone()],
            // It is no error if nobody listens.
            observer: Some(Box::new(move |it| drop(bell.send(Arc::clone(it))))),
        };
        let relay = Relay {
            limits: config.limits(),
            leniency: config.leniency(),
            private_kinds: config.private_kinds.iter().copied().map(Kind).collect(),
            operator: Some(key.address()),
            hosts: config.relay_hosts.iter().cloned().collect(),
            ..Relay::default()
        };
        let inner = Inner {
            log: Arc::new(Log::open(&config.file(&host.state), options)?),
            key,
            checkpoint_key,
            host: config.host.clone().unwrap_or_else(host_name),
            members,
            accepted,
            verifiers: Semaphore::new(available_parallelism().map_or(1, std::num::NonZero::get)),
            readers: Semaphore::new(READERS_MAX),
            relay: Arc::new(relay),
            seats: Arc::new(Semaphore::new(config.clients_max.min(Semaphore::MAX_PERMITS))),
            stop,
            config,
        };
        Ok(Some(Self(Arc::new(inner))))
    }

    /// Begins to write down what becomes of models, and to publish it onward; until the stop.
    pub(crate) fn work(&self, runtime: &Handle, of: &Shelf, worlds: watch::Receiver<Arc<World>>) {
        for relay in &self.config().relays {
            runtime.spawn(onward::publish_onward(self.clone(), relay.0.clone()));
        }
        runtime.spawn(scribe::scribe(self.clone(), of.clone(), worlds));
    }

    /// Checks an event and puts it into the log. Returns what became of it, when that is on disk.
    pub(crate) async fn publish(&self, json: String) -> Result<Outcome, PublishError> {
        let prepared = {
            let _seat = self.0.verifiers.acquire().await.map_err(|_| AppendError::Closed)?;
            let (limits, leniency) = (self.0.config.limits(), self.0.config.leniency());
            let verified = spawn_blocking(move || Prepared::verify(&json, &limits, leniency)).await;
            verified.map_err(|_| AppendError::Closed)??
        };
        Ok(self.submit(prepared).await?)
    }

    /// Checks the signature of an event on one of the threads for that.
    pub(crate) async fn verify(&self, claimed: Claimed) -> Result<Result<Signed, VerifyError>, AppendError> {
        let _seat = self.0.verifiers.acquire().await.map_err(|_| AppendError::Closed)?;
        let leniency = self.0.config.leniency();
        spawn_blocking(move || claimed.verify(leniency)).await.map_err(|_| AppendError::Closed)
    }

    /// Queues an event for the log at once. The future says what became of it, when that is on disk.
    pub(crate) fn submit(
        &self,
        prepared: Prepared,
    ) -> impl Future<Output = Result<Outcome, AppendError>> + Send + use<> {
        let (answer, outcome) = oneshot::channel();
        // Whoever asked may have gone away; the event stays.
        let queued = self.0.log.submit(vec![prepared], Box::new(move |it| drop(answer.send(it))));
        async move {
            queued?;
            let outcomes = outcome.await.map_err(|_| AppendError::Closed)??;
            outcomes.into_iter().next().ok_or(AppendError::Closed)
        }
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
