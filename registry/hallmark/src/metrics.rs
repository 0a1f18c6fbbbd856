//! Everything that is counted: names, units and what they mean, on this one page.
//!
//! Nothing here names a model or a client, so the number of series does not grow with either. Relays are named: the
//! config has them, and not many.

mod present;

use std::time::Duration;

use anyhow::Context as _;
use axum::extract::MatchedPath;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

pub(crate) use self::present::{Present, Seated};
use crate::{state::State, world::World};

/// All counters of the daemon. To count is cheap and needs no other lock than a counter's own.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    reloads: Family<Outcome, Counter>,
    index_holds: Gauge,
    index_in_force_since: Gauge,
    index_models: Gauge,
    models: Family<InState, Gauge>,
    fetches: Family<Outcome, Counter>,
    fetched: Counter,
    served: Counter,
    requests: Family<Asked, Histogram, fn() -> Histogram>,
    refused: Family<Reason, Counter>,
    connections: Gauge,
    watchers: Gauge,
    events: Family<Outcome, Counter>,
    append: Histogram,
    log_size: Gauge,
    log_fails: Gauge,
    graph_size: Gauge,
    sessions: Gauge,
    subscriptions: Gauge,
    sessions_ended: Family<Why, Counter>,
    outbox: Family<Outbound, Gauge>,
    followed: Family<Outbound, Counter>,
    follows: Family<ByRelay, Gauge>,
    behind: Family<ByRelay, Gauge>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(exponential_buckets(0.000_1, 4.0, 9));
        let mut it = Self {
            registry: Registry::with_prefix("hallmark"),
            reloads: Family::default(),
            index_holds: Gauge::default(),
            index_in_force_since: Gauge::default(),
            index_models: Gauge::default(),
            models: Family::default(),
            fetches: Family::default(),
            fetched: Counter::default(),
            served: Counter::default(),
            requests: Family::new_with_constructor(histogram),
            refused: Family::default(),
            connections: Gauge::default(),
            watchers: Gauge::default(),
            events: Family::default(),
            append: Histogram::new(exponential_buckets(0.000_1, 4.0, 9)),
            log_size: Gauge::default(),
            log_fails: Gauge::default(),
            graph_size: Gauge::default(),
            sessions: Gauge::default(),
            subscriptions: Gauge::default(),
            sessions_ended: Family::default(),
            outbox: Family::default(),
            followed: Family::default(),
            follows: Family::default(),
            behind: Family::default(),
        };
        it.register();
        it
    }

    #[rustfmt::skip]
    fn register(&mut self) {
        let it = &mut self.registry;
        it.register("reloads", "Looks at the index that found something else than before, by outcome: good, bad, unreadable", self.reloads.clone());
        it.register("index_holds", "1 if the last look at the index was good; 0 if an earlier index, or none, is in force", self.index_holds.clone());
        it.register_with_unit("index_in_force_since", "When the index in force was taken, as seconds since 1970; 0 if there is none", Unit::Seconds, self.index_in_force_since.clone());
        it.register("index_models", "Entries of the index in force", self.index_models.clone());
        it.register("models", "Models by their state on this host", self.models.clone());
        it.register("fetches", "Files that were fetched, by outcome: came, failed, wrong (other bytes than promised)", self.fetches.clone());
        it.register_with_unit("fetched", "Bytes of files that came and were proven", Unit::Bytes, self.fetched.clone());
        it.register_with_unit("served", "Bytes of artifacts that were handed to clients' connections", Unit::Bytes, self.served.clone());
        it.register_with_unit("request", "From a request's head to its answer's head, by route, method and class of status", Unit::Seconds, self.requests.clone());
        it.register("refused", "Requests and connections that a limit turned away, by limit: rate, requests, connections", self.refused.clone());
        it.register("connections", "Connections that stand", self.connections.clone());
        it.register("watchers", "Clients that watch /v1/watch", self.watchers.clone());
        it.register("ledger_events", "Signed events that came, by outcome: accepted, duplicate, or the word that they were refused with", self.events.clone());
        it.register_with_unit("ledger_append", "From an event's turn in the queue of the log to its commit on disk", Unit::Seconds, self.append.clone());
        it.register("ledger_size", "Events in the log", self.log_size.clone());
        it.register("ledger_fails", "1 if the last write to the log failed", self.log_fails.clone());
        it.register("ledger_graph_size", "Events of the log that the lineage graph has; after a start it is less than ledger_size until the log has been read", self.graph_size.clone());
        it.register("relay_sessions", "Clients of the event relay that are connected", self.sessions.clone());
        it.register("relay_subscriptions", "Subscriptions that they hold together", self.subscriptions.clone());
        it.register("relay_sessions_ended", "Clients of the event relay that are no longer connected, by cause: gone, stopped, slow, bound", self.sessions_ended.clone());
        it.register("outbox_events", "Events for the relays of the config, by relay and state: pending, taken, refused, lied", self.outbox.clone());
        it.register("follow_events", "Events that followed relays showed and that were not here, by relay and state: taken, refused", self.followed.clone());
        it.register("follow_stands", "1 while what comes to a followed relay comes here at once", self.follows.clone());
        it.register_with_unit("follow_behind", "For how long nothing was heard of a followed relay that may have come to it; 0 while it is followed, -1 if it was never heard", Unit::Seconds, self.behind.clone());
    }

    pub(crate) fn reload(&self, outcome: &'static str) {
        self.reloads.get_or_create(&Outcome { outcome }).inc();
    }

    /// Counts a file that came, or its end without bytes.
    pub(crate) fn fetch(&self, outcome: &'static str, bytes: u64) {
        self.fetches.get_or_create(&Outcome { outcome }).inc();
        self.fetched.inc_by(bytes);
    }

    /// Counts bytes of an artifact that went out.
    pub(crate) fn serve(&self, bytes: u64) {
        self.served.inc_by(bytes);
    }

    pub(crate) fn request(&self, asked: &Asked, took: Duration) {
        self.requests.get_or_create(asked).observe(took.as_secs_f64());
    }

    pub(crate) fn refuse(&self, limit: &'static str) {
        self.refused.get_or_create(&Reason { limit }).inc();
    }

    /// Counts a connection for as long as the answer is held.
    pub(crate) fn connection(&self) -> Present {
        Present::of(&self.connections)
    }

    /// Counts a watcher for as long as the answer is held.
    pub(crate) fn watcher(&self) -> Present {
        Present::of(&self.watchers)
    }

    /// Counts a signed event that came, by what became of it.
    pub(crate) fn event(&self, outcome: &'static str) {
        self.events(outcome, 1);
    }

    /// Counts events that came to the same end.
    pub(crate) fn events(&self, outcome: &'static str, count: u64) {
        self.events.get_or_create(&Outcome { outcome }).inc_by(count);
    }

    /// Counts the time that an event took to be on disk.
    pub(crate) fn append(&self, took: Duration) {
        self.append.observe(took.as_secs_f64());
    }

    /// Notes how the log stands.
    pub(crate) fn log(&self, size: u64, fails: bool) {
        self.log_size.set(size.cast_signed());
        self.log_fails.set(fails.into());
    }

    /// Notes how many events of the log the lineage graph has.
    pub(crate) fn graph(&self, size: u64) {
        self.graph_size.set(size.cast_signed());
    }

    /// Notes how many events for a relay are in a state.
    pub(crate) fn outbox(&self, relay: &str, state: &'static str, count: u64) {
        let relay = relay.to_owned();
        self.outbox.get_or_create(&Outbound { relay, state }).set(count.cast_signed());
    }

    /// Counts an event that a followed relay showed, by what became of it.
    pub(crate) fn followed_event(&self, relay: &str, state: &'static str) {
        let relay = relay.to_owned();
        self.followed.get_or_create(&Outbound { relay, state }).inc();
    }

    /// Notes how a followed relay stands.
    pub(crate) fn followed(&self, relay: &str, follows: bool, behind: Option<u64>) {
        let relay = ByRelay { relay: relay.to_owned() };
        self.follows.get_or_create(&relay).set(follows.into());
        self.behind.get_or_create(&relay).set(behind.map_or(-1, u64::cast_signed));
    }

    /// Counts a client of the relay, and what it holds, for as long as the answer is held.
    pub(crate) fn session(&self) -> Seated {
        Seated::of(&self.sessions, &self.subscriptions)
    }

    /// Counts a client of the relay that is no longer there.
    pub(crate) fn session_ended(&self, cause: &'static str) {
        self.sessions_ended.get_or_create(&Why { cause }).inc();
    }

    /// Writes all of it as Prometheus reads it; what a world tells is taken from this one.
    pub(crate) fn text(&self, world: &World) -> anyhow::Result<String> {
        let counts = world.counts();
        for state in State::ALL {
            let count = counts.get(&state).copied().unwrap_or(0);
            self.models.get_or_create(&InState { state: state.name() }).set(count.cast_signed());
        }
        let good = world.catalog.good.as_ref();
        let holds = matches!(world.catalog.look, catalog::follow::Look::Good(_));
        self.index_holds.set(holds.into());
        self.index_in_force_since.set(good.map_or(0, |it| it.since.0.cast_signed()));
        self.index_models
            .set(good.map_or(0, |it| i64::try_from(it.value.entries().len()).unwrap_or(i64::MAX)));
        let mut text = String::new();
        encode(&mut text, &self.registry).context("write the metrics")?;
        Ok(text)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    limit: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Why {
    cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outbound {
    relay: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByRelay {
    relay: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    state: &'static str,
}

/// What was asked, and how it was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Asked {
    pub(crate) route: Route,
    pub(crate) method: &'static str,
    pub(crate) status: &'static str,
}

/// The template of a route; what matches none is counted together, so that clients cannot make series.
#[derive(Clone, Debug)]
pub(crate) struct Route(pub(crate) Option<MatchedPath>);

impl Route {
    pub(crate) fn name(&self) -> &str {
        self.0.as_ref().map_or("none", MatchedPath::as_str)
    }
}

impl PartialEq for Route {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Route {}

impl std::hash::Hash for Route {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl EncodeLabelValue for Route {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.name().encode(encoder)
    }
}
