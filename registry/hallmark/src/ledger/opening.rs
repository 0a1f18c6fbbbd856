//! How the log of this host is opened, with its keys and with all that follows from it.

use std::{
    env,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, RwLock},
};

use anyhow::Context as _;
use base::{Address, SystemClock};
use ledger::{
    Accepted, CheckpointKey, Kind, Live, Log, Membership, Options, SecretKey, Told,
    kinds::{Valid, ValidResult},
    relay::Relay,
};
use tokio::sync::{Notify, Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

use super::{Followed, Inner, Ledger, checkers::Checkers, trouble::Trouble};
use crate::{
    ancestry::Ancestry,
    config::{LedgerConfig, RulesMode},
    host::Host,
    metrics::Metrics,
};

/// What the service manager calls the key that it hands over.
const CREDENTIAL: &str = "signing-key";
/// How many may look at the graph at once: evaluating a card keeps a core busy.
const LOOKERS_MAX: usize = 2;
/// How many events those who listen to the log may be behind before they have to read on in it.
const NEWS_MAX: usize = 1024;
/// How many readers may be at the file at once.
const READERS_MAX: usize = 16;

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
        let accepted = broadcast::Sender::new(NEWS_MAX);
        let (members, bell) = (Arc::new(Live::<Membership>::default()), accepted.clone());
        let (growth, own) = (Arc::new(Notify::new()), key.address());
        let grows = Arc::clone(&growth);
        let closed = config.private_kinds.iter().map(|it| u32::from(*it)).collect();
        let ancestry = Arc::new(Ancestry::new(config.graph_bytes_max, closed));
        let (counted, trouble) = (Arc::clone(&metrics), Trouble::default());
        let options = Options {
            policy: config.policy(),
            clock: Arc::new(SystemClock),
            folds: vec![members.clone(), ancestry.clone()],
            observer: Some(Box::new(move |told| {
                let new = match told {
                    Told::New(new) => new,
                    Told::Fails(error) => return trouble.fails(error),
                    Told::GoesOn => return trouble.goes_on(),
                };
                counted.events("accepted", new.len() as u64);
                for it in new {
                    // It is no error if nobody listens.
                    drop(bell.send(Arc::clone(it)));
                }
                // How a model stands follows from the gate: if that moved the gate again, it would never rest.
                if new.iter().any(|it| !is_own_state(it, own)) {
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
        let checkers =
            Checkers::start(config.leniency()).context("start the threads that check signatures")?;
        let inner = Inner {
            log,
            followed: Followed::new(config.follow.iter().map(|it| it.0.to_string())),
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
            checkers,
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
