//! The engine: makes what is deployed what is wanted, and tells everybody how it stands.
//!
//! - One thread owns all decisions. What takes time is a job whose end comes back to it; nothing here waits.
//! - One model's failure never holds up another: each has its own job, its own reason and its own next try.
//! - The last good catalog stays in force; a broken one is told and changes nothing.
//! - Nothing is stored here. Started again, it finds out from the disk.

mod asks;
mod awaited;
mod ends;
mod follow;
mod plan;
mod retry;
mod review;
mod standing;
mod tell;
mod work;

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use base::{Clock as _, ModelId, SystemClock, UnixSeconds};
use catalog::{Index, Report, follow::Follower};
use futures_util::{
    FutureExt as _, StreamExt as _,
    future::{AbortHandle, Abortable},
    stream::FuturesUnordered,
};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Notify, Semaphore, mpsc, watch},
    time::{Instant, MissedTickBehavior, interval_at, sleep},
};
use tokio_util::sync::CancellationToken;
use vault::{DiskRoom, Downloader, view::RepoName};

pub(crate) use self::asks::{Ask, EngineHandle, Gone};
use self::{
    awaited::Awaited,
    plan::{Grounds, Wants, plan},
    review::Reviews,
    work::{Done, Job, Tools},
};
use crate::{
    delivery::End,
    gate::Gate,
    host::{Host, Place},
    ledger::Ledger,
    metrics::Metrics,
    news::{Draft, ModelNews, News},
    order::{Choice, Places, choose, misfiled_text, missing_text},
    state::State,
    world::World,
};

/// How many requests may wait for the engine.
const ASKS_MAX: usize = 64;
/// How often those who watch hear how far the transfers are.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// How long the engine sleeps if nothing is due.
const LONG: Duration = Duration::from_hours(24);

/// Makes what is deployed what is wanted.
pub(crate) struct Engine {
    place: Place,
    tools: Rc<Tools>,
    places: Places,
    follower: Follower<Index, Report>,
    bell: Arc<Notify>,
    /// The log of this host, if it keeps one, and what rings when it grows.
    ledger: Option<Ledger>,
    growth: Arc<Notify>,
    /// Whether the gate looks at what models rest on, and whether it has to look once more.
    reviews: Reviews,
    asks: mpsc::Receiver<Ask>,
    world: World,
    worlds: watch::Sender<Arc<World>>,
    news: Arc<News>,
    /// What is told as soon as the world shows it.
    untold: Vec<Draft>,
    metrics: Arc<Metrics>,
    jobs: FuturesUnordered<Job>,
    /// Models that are at work: which job's end counts, and how to call it off.
    at_work: BTreeMap<ModelId, (u64, AbortHandle)>,
    last_ticket: u64,
    /// Which config is in force; each new one rules anew on every model.
    config: u64,
    /// What somebody asked for beyond the config, until the daemon stops.
    also: BTreeSet<ModelId>,
    /// Models whose end somebody waits for.
    awaited: Awaited,
    /// When models are tried again.
    due: BTreeSet<(UnixSeconds, ModelId)>,
    /// Models whose bytes are coming, with how many of them were told.
    fetching: BTreeMap<ModelId, u64>,
    /// Which models have had files in a repository.
    members: BTreeMap<RepoName, BTreeSet<ModelId>>,
}

impl Engine {
    /// Prepares everything and takes a first look at the index. Starts no work yet.
    pub(crate) fn new(
        place: Place,
        host: Host,
        ledger: Option<Ledger>,
        news: Arc<News>,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<(Self, EngineHandle)> {
        let bell = Arc::new(Notify::new());
        let (follower, schema) = follow::follow(&host, Arc::clone(&bell))?;
        let location = host.config.catalog.index.to_string();
        let (places, tools) = equip(host, ledger.as_ref(), &metrics, Tools::turns())?;
        let growth = ledger.as_ref().map(|it| Arc::clone(it.growth())).unwrap_or_default();
        let (sender, asks) = mpsc::channel(ASKS_MAX);
        let world = World {
            location,
            schema,
            catalog: follower.latest(),
            models: imbl::OrdMap::new(),
            missing: BTreeMap::new(),
            repos: imbl::OrdMap::new(),
            config_trouble: None,
            sequence: 0,
        };
        let (worlds, seen) = watch::channel(Arc::new(world.clone()));
        let handle = EngineHandle { asks: sender, worlds: seen, news: Arc::clone(&news) };
        let mut engine = Self {
            place,
            tools,
            places,
            follower,
            bell,
            ledger,
            growth,
            reviews: Reviews::default(),
            asks,
            world,
            worlds,
            news,
            untold: Vec::new(),
            metrics,
            jobs: FuturesUnordered::new(),
            at_work: BTreeMap::new(),
            last_ticket: 0,
            config: 1,
            also: BTreeSet::new(),
            awaited: Awaited::default(),
            due: BTreeSet::new(),
            fetching: BTreeMap::new(),
            members: BTreeMap::new(),
        };
        engine.take_catalog(true);
        Ok((engine, handle))
    }

    /// Works until it is told to stop. What is being fetched then is parked: the next start goes on there.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        self.jobs.push(self.tools.views());
        let mut progress = interval_at(Instant::now() + PROGRESS_EVERY, PROGRESS_EVERY);
        progress.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look_again = Instant::now() + self.look_again_after();
        let (bell, growth) = (Arc::clone(&self.bell), Arc::clone(&self.growth));
        loop {
            let until_due = self.until_due();
            let is_fetching = !self.fetching.is_empty();
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = bell.notified() => self.take_catalog(false),
                ask = self.asks.recv() => match ask {
                    Some(ask) => self.answer(ask),
                    None => return,
                },
                Some(done) = self.jobs.next() => self.take_end(done),
                () = growth.notified() => self.review(),
                () = sleep(until_due) => self.reconcile(&BTreeSet::new(), false),
                () = tokio::time::sleep_until(look_again) => {
                    look_again = Instant::now() + self.look_again_after();
                    self.reconcile(&BTreeSet::new(), true);
                }
                _ = progress.tick(), if is_fetching => self.tell_progress(),
            }
        }
    }

    fn state(&self, id: &ModelId) -> Option<State> {
        self.world.models.get(id).map(|it| it.state)
    }

    fn look_again_after(&self) -> Duration {
        Duration::from_secs(self.tools.host.config.deploy.look_again_seconds.get())
    }

    fn until_due(&self) -> Duration {
        self.due.first().map_or(LONG, |(at, _)| at.since(SystemClock.now()))
    }

    /// Takes what the last look at the index found.
    fn take_catalog(&mut self, is_first: bool) {
        let latest = self.follower.latest();
        // A bell may ring for what is known already.
        if !is_first
            && latest.sequence == self.world.catalog.sequence
            && Arc::ptr_eq(&latest, &self.world.catalog)
        {
            return;
        }
        let before = std::mem::replace(&mut self.world.catalog, latest);
        let after = Arc::clone(&self.world.catalog);
        let old = before.good.as_ref().filter(|_| !is_first);
        let (old_index, new_index) = (old.map(|it| &it.value), after.good.as_ref().map(|it| &it.value));
        let Some(new) = new_index else {
            self.tell_reload(&after, None);
            return self.publish();
        };
        let mut touched = BTreeSet::new();
        match old_index {
            Some(old) if Arc::ptr_eq(old, new) => self.tell_reload(&after, None),
            Some(old) => {
                let changes = catalog::diff(old, new);
                self.tell_reload(&after, Some(&changes));
                touched.extend(changes.added);
                touched.extend(changes.revised.into_iter().map(|it| it.id));
            }
            None => self.tell_reload(&after, None),
        }
        self.reconcile(&touched, false);
    }

    /// Decides what has to be done, and starts it.
    fn reconcile(&mut self, changed: &BTreeSet<ModelId>, look_again: bool) {
        let now = SystemClock.now();
        let Some(index) = self.world.index().map(Arc::clone) else { return self.publish() };
        let host = Arc::clone(&self.tools.host);
        let (wants, missing) = self.wants(&host, &index);
        let known = std::mem::replace(&mut self.world.missing, missing.clone());
        for (id, text) in missing.into_iter().filter(|(id, _)| !known.contains_key(id)) {
            tracing::warn!("{text}");
            let why = vec![text];
            self.tell("model", &ModelNews { id, from: None, state: State::Missing, why, retry_at: None });
        }
        let grounds = Grounds {
            index: &index,
            wants: &wants,
            places: &self.places,
            policy: &host.config.policy,
            config: self.config,
            changed,
            look_again,
            now,
        };
        let actions = plan(&grounds, &self.world.models);
        let mut repos = BTreeSet::new();
        for (id, action) in actions {
            self.act(&index, &id, action, now, &mut repos);
        }
        self.refresh(repos);
        self.publish();
    }

    fn wants(&self, host: &Host, index: &Index) -> (Wants, BTreeMap<String, String>) {
        let (mut wants, mut missing) = (Wants::default(), BTreeMap::new());
        for choice in choose(&host.config, index, &[], false) {
            match choice {
                Choice::Model(listed) => drop(wants.ids.insert(listed.entry.id.clone())),
                Choice::Stub(id) => drop(wants.ids.insert(id)),
                Choice::Missing(it) => drop(missing.insert(it.id.clone(), missing_text(&it))),
                Choice::Misfiled { id, listed, filed } => {
                    let text = misfiled_text(&listed, filed.as_deref());
                    wants.refused.insert(id, text);
                }
            }
        }
        wants.ids.extend(self.also.iter().cloned());
        (wants, missing)
    }

    /// Starts a job for a model; the one before it, if there is one, no longer counts.
    fn start(&mut self, id: &ModelId, job: impl FnOnce(&Rc<Tools>, u64) -> Job) {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        let (abort, registration) = AbortHandle::new_pair();
        let job = Abortable::new(job(&self.tools, ticket), registration);
        self.jobs.push(job.map(|done| done.unwrap_or(Done::Nothing)).boxed_local());
        self.at_work.insert(id.clone(), (ticket, abort));
    }

    /// Stops a model's work. What was fetched of it stays, for the next time.
    fn call_off(&mut self, id: &ModelId) {
        if let Some((_, abort)) = self.at_work.remove(id) {
            abort.abort();
        }
    }
}

/// Tells those who wait for it how a model ended.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Settled {
    pub(crate) id: ModelId,
    #[serde(flatten)]
    pub(crate) end: End,
}

/// Opens what jobs work with.
fn equip(
    host: Host,
    ledger: Option<&Ledger>,
    metrics: &Arc<Metrics>,
    disk: Arc<Semaphore>,
) -> anyhow::Result<(Places, Rc<Tools>)> {
    let settings = host.config.settings().map_err(anyhow::Error::msg)?;
    let places = Places::of(&host.config)?;
    let downloader = Downloader::new(settings, Arc::new(SystemClock), Arc::new(DiskRoom));
    let gate = match (&host.config.policy.lineage, ledger) {
        (Some(rule), Some(ledger)) => Some(Arc::new(Gate::open(rule, ledger)?)),
        _ => None,
    };
    if let Some(ledger) = ledger {
        if let Some(gate) = &gate {
            gate.comes_into_force();
        }
        ledger.set_gate(gate.clone());
    }
    let tools = Tools::new(Arc::new(host), gate, downloader, Arc::clone(metrics), disk);
    Ok((places, Rc::new(tools)))
}
