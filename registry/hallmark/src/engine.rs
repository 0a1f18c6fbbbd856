//! The engine: makes what is deployed what is wanted, and tells everybody how it stands.
//!
//! - One thread owns all decisions. What takes time is a job whose end comes back to it; nothing here waits.
//! - One model's failure never holds up another: each has its own job, its own reason and its own next try.
//! - The last good catalog stays in force; a broken one is told and changes nothing.
//! - Nothing is stored here. Started again, it finds out from the disk.

mod asks;
mod awaited;
mod follow;
mod plan;
mod retry;
mod work;

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use base::{Clock as _, ModelId, SystemClock, UnixSeconds};
use catalog::{
    Index, Report,
    follow::{Follower, Look, Snapshot},
};
use futures_util::{
    FutureExt as _, StreamExt as _,
    future::{AbortHandle, Abortable},
    stream::FuturesUnordered,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, MissedTickBehavior, interval_at, sleep},
};
use tokio_util::sync::CancellationToken;
use vault::{DiskRoom, Downloader, view::RepoName};

pub(crate) use self::asks::{Ask, EngineHandle, Gone};
use self::{
    awaited::Awaited,
    plan::{Action, Grounds, Wants, plan},
    work::{Done, Job, Tools},
};
use crate::{
    delivery::End,
    host::{Host, Place},
    metrics::Metrics,
    news::News,
    order::{Choice, Places, choose, misfiled_text, missing_text},
    out,
    policy::Objection,
    repos::{Repo, own_repo, repos_of},
    state::State,
    world::{Model, Shown, World},
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
    asks: mpsc::Receiver<Ask>,
    world: World,
    worlds: watch::Sender<Arc<World>>,
    news: Arc<News>,
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
        news: Arc<News>,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<(Self, EngineHandle)> {
        let bell = Arc::new(Notify::new());
        let (follower, schema) = follow::follow(&host, Arc::clone(&bell))?;
        let location = host.config.catalog.index.to_string();
        let (places, tools) = equip(host, &metrics)?;
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
            asks,
            world,
            worlds,
            news,
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
        let bell = Arc::clone(&self.bell);
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

    fn tell_reload(&self, after: &Snapshot<Index, Report>, changes: Option<&catalog::Changes>) {
        let place = &self.world.location;
        let (outcome, error) = match &after.look {
            Look::Good(report) => {
                let news = changes.map_or_else(String::new, |it| {
                    format!(
                        ": {} added, {} removed, {} revised",
                        it.added.len(),
                        it.removed.len(),
                        it.revised.len()
                    )
                });
                tracing::info!(
                    "{place} is in force with {}{news}",
                    out::counted(report.models as u64, "model")
                );
                ("good", None)
            }
            Look::Bad { report, .. } => {
                let first = report.flaws.first().map_or_else(String::new, |it| {
                    format!("; the first at line {}: {}", it.place.line, it.message)
                });
                let text = format!(
                    "{place} does not hold ({}{first}); {}; run `hallmark validate` to see all",
                    out::counted((report.errors.max(1)) as u64, "error"),
                    if after.good.is_some() {
                        "the last good one stays in force"
                    } else {
                        "nothing is in force yet"
                    },
                );
                tracing::warn!("{text}");
                ("bad", Some(text))
            }
            Look::Failed(error) => {
                let text = crate::host::with_causes(error.as_ref());
                tracing::warn!(
                    "{text}; {}",
                    if after.good.is_some() {
                        "the last good index stays in force"
                    } else {
                        "nothing is in force yet"
                    }
                );
                ("unreadable", Some(text))
            }
        };
        self.metrics.reload(outcome);
        let digest = after.good.as_ref().map(|it| it.digest.to_string());
        self.news.tell(
            "reload",
            &json!({ "outcome": outcome, "error": error, "digest": digest, "changes": changes.map(summary) }),
        );
    }

    /// Decides what has to be done, and starts it.
    fn reconcile(&mut self, changed: &BTreeSet<ModelId>, look_again: bool) {
        let now = SystemClock.now();
        let Some(index) = self.world.index().map(Arc::clone) else { return self.publish() };
        let host = Arc::clone(&self.tools.host);
        let (wants, missing) = self.wants(&host, &index);
        for (id, text) in missing.iter().filter(|(id, _)| !self.world.missing.contains_key(*id)) {
            tracing::warn!("{text}");
            self.news.tell("model", &json!({ "id": id, "state": State::Missing, "why": [text] }));
        }
        self.world.missing = missing;
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

    fn act(
        &mut self,
        index: &Arc<Index>,
        id: &ModelId,
        action: Action,
        now: UnixSeconds,
        repos: &mut BTreeSet<RepoName>,
    ) {
        let known = self.world.models.get(id).cloned();
        let mut model =
            known.as_deref().cloned().unwrap_or_else(|| Model::new(id.clone(), State::Available, now));
        let listed = index.entry(id).cloned();
        let is_same_entry = match (&model.listed, &listed) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (None, None) => true,
            _ => false,
        };
        model.listed = listed;
        match action {
            Action::Keep => {
                if !is_same_entry {
                    self.world.models.insert(id.clone(), Arc::new(model));
                }
                return;
            }
            Action::Begin(order) => {
                self.call_off(id);
                // What is being tried again for the same bytes goes on counting its tries.
                if model.order.as_ref().is_none_or(|it| it.digest != order.digest) {
                    model.tries = 0;
                }
                repos.extend(repos_of(&order));
                (model.wanted, model.ruled_by, model.retry_at) = (true, self.config, None);
                (model.order, model.transfers) = (Some(Arc::clone(&order)), Vec::new());
                // A second look at what is well does not make it look unwell.
                if !matches!(model.state, State::Deployed | State::Held) || !is_same_entry {
                    let why = model.shown.as_ref().map(|_| "the earlier version stays deployed".to_owned());
                    self.enter(&mut model, State::Queued, why.into_iter().collect(), now);
                }
                self.start(id, |tools, ticket| tools.look(order, ticket));
            }
            Action::Hold(order, why) => {
                self.call_off(id);
                repos.extend(repos_of(&order));
                repos.extend(model.shown.iter().flat_map(|it| repos_of(&it.order)));
                (model.wanted, model.ruled_by, model.retry_at, model.shown) = (true, self.config, None, None);
                (model.order, model.transfers) = (Some(Arc::clone(&order)), Vec::new());
                self.enter(&mut model, State::Held, texts(&why), now);
                self.start(id, |tools, ticket| tools.hold(order, ticket, why));
            }
            Action::Refuse(why) => {
                self.call_off(id);
                (model.wanted, model.ruled_by, model.retry_at) = (true, self.config, None);
                model.transfers = Vec::new();
                self.awaited.ended(id, &End::Failed { why: why.clone(), is_final: true }, 0);
                self.enter(&mut model, State::Failed, vec![why], now);
            }
            Action::Stub { wanted } => {
                self.call_off(id);
                let why = "its entry holds placeholders; `hallmark validate` names them".to_owned();
                let orders = [model.order.take(), model.shown.take().map(|it| Arc::clone(&it.order))];
                repos.extend(orders.iter().flatten().flat_map(|it| repos_of(it)));
                (model.wanted, model.retry_at, model.transfers) = (wanted, None, Vec::new());
                self.awaited.ended(id, &End::Stub { why: why.clone() }, 0);
                self.enter(&mut model, State::Stub, vec![why], now);
            }
            Action::Leave => self.leave(&mut model, "no longer asked for; gc removes it", now, repos),
            Action::Forget => {
                self.leave(&mut model, "no longer in the index; gc removes it", now, repos);
                if model.state == State::Available {
                    self.world.models.remove(id);
                    return;
                }
            }
        }
        self.insert(model);
    }

    /// Stops asking for a model. What is here of it stays until gc.
    fn leave(&mut self, model: &mut Model, why: &str, now: UnixSeconds, repos: &mut BTreeSet<RepoName>) {
        self.call_off(&model.id);
        if let Some(order) = model.order.take() {
            repos.extend(repos_of(&order));
        }
        if let Some(shown) = &model.shown {
            repos.extend(repos_of(&shown.order));
        }
        let is_here = model.shown.is_some() || model.state == State::Withdrawn;
        (model.wanted, model.retry_at, model.transfers) = (false, None, Vec::new());
        let (state, why) =
            if is_here { (State::Withdrawn, vec![why.to_owned()]) } else { (State::Available, Vec::new()) };
        let end = End::Failed { why: "it is no longer asked for".to_owned(), is_final: true };
        self.awaited.ended(&model.id, &end, 0);
        self.enter(model, state, why, now);
    }

    /// Takes the end of a job.
    fn take_end(&mut self, done: Done) {
        let now = SystemClock.now();
        match done {
            Done::Nothing => return,
            Done::Moved => return self.look_around(),
            Done::Looked { id, ticket, result } => {
                let Some((mut model, order)) = self.current(&id, ticket) else { return };
                let (found, wants) = match result {
                    Ok(it) => it,
                    Err(error) => return self.settle(model, End::failed(&error), None, now),
                };
                if !wants.is_empty() {
                    let why = model.shown.as_ref().map(|_| "the earlier version stays deployed".to_owned());
                    self.enter(&mut model, State::Fetching, why.into_iter().collect(), now);
                }
                let mut transfers = Vec::new();
                self.start(&id, |tools, ticket| {
                    let (job, coming) = tools.fetch(order, ticket, found, wants);
                    transfers = coming;
                    job
                });
                model.transfers = transfers;
                self.insert(model);
            }
            Done::Settled { id, ticket, end, files } => {
                let Some((model, order)) = self.current(&id, ticket) else { return };
                self.at_work.remove(&id);
                let shown = files.map(|files| {
                    Arc::new(Shown { order, files: files.into_iter().collect(), verified: true, since: now })
                });
                self.settle(model, end, shown, now);
            }
            Done::Published { repo, by, hidden } => {
                self.take_hidden(&repo, &hidden);
                self.awaited.published(&by, hidden.get(by.as_str()).map(String::as_str));
            }
            Done::Viewed(Ok(ids)) => self.take_views(&ids, now),
            Done::Viewed(Err(error)) => tracing::error!("{error:#}"),
        }
        self.publish();
    }

    /// Returns the model that a job was about, unless that job was called off.
    fn current(&self, id: &ModelId, ticket: u64) -> Option<(Model, Arc<crate::order::Order>)> {
        self.at_work.get(id).filter(|it| it.0 == ticket)?;
        let model = self.world.models.get(id)?;
        Some((Model::clone(model), Arc::clone(model.order.as_ref()?)))
    }

    /// Takes the end of a model's way.
    fn settle(&mut self, mut model: Model, end: End, shown: Option<Arc<Shown>>, now: UnixSeconds) {
        self.at_work.remove(&model.id);
        model.transfers = Vec::new();
        let order = model.order.clone();
        let mut repos = order.as_deref().map(repos_of).unwrap_or_default();
        let stays = model.shown.as_ref().map(|_| "the earlier version stays deployed".to_owned());
        let (told, mut publishing) = (end.clone(), 0);
        match end {
            End::Deployed { flaws, verified, .. } => {
                model.tries = 0;
                repos.extend(model.shown.iter().flat_map(|it| repos_of(&it.order)));
                let unproven =
                    |order| Arc::new(Shown { order, files: BTreeMap::new(), verified, since: now });
                let shown = shown.or_else(|| order.map(unproven));
                // A second look at the same bytes does not make them new.
                let is_new = |it: &Arc<Shown>| model.shown.as_ref().is_none_or(|old| old.files != it.files);
                model.shown = shown.filter(is_new).or(model.shown.take());
                let mut why = flaws;
                if !verified {
                    why.insert(0, "UNVERIFIED: its bytes are not what the index promises".to_owned());
                }
                self.enter(&mut model, State::Deployed, why, now);
                for repo in &repos {
                    publishing += usize::from(self.publish_on_disk(repo, &model));
                }
            }
            End::Held { why } => {
                if let Some(shown) = model.shown.take() {
                    repos.extend(repos_of(&shown.order));
                    // Others that share a repository with it went out of sight too.
                    for repo in &repos {
                        publishing += usize::from(self.publish_on_disk(repo, &model));
                    }
                }
                self.enter(&mut model, State::Held, texts(&why), now);
            }
            End::Failed { why, is_final } => {
                model.tries += 1;
                model.retry_at =
                    Some(retry::next(&self.tools.host.config.deploy, model.tries, is_final, now));
                self.enter(
                    &mut model,
                    State::Failed,
                    [Some(why), stays].into_iter().flatten().collect(),
                    now,
                );
            }
            End::Quarantined { why } => {
                model.tries += 1;
                model.retry_at = Some(retry::next(&self.tools.host.config.deploy, model.tries, true, now));
                self.enter(
                    &mut model,
                    State::Quarantined,
                    [Some(why), stays].into_iter().flatten().collect(),
                    now,
                );
            }
            End::Stub { why } | End::Missing { why } => self.enter(&mut model, State::Failed, vec![why], now),
        }
        self.awaited.ended(&model.id, &told, publishing);
        self.insert(model);
        self.refresh(repos.into_iter().collect());
    }

    /// Changes a model's state and tells everybody, if it is news.
    fn enter(&self, model: &mut Model, state: State, why: Vec<String>, now: UnixSeconds) {
        if model.state == state && model.why == why && model.wanted == self.was_wanted(&model.id) {
            return;
        }
        let from = model.state;
        (model.state, model.why) = (state, why);
        if from != state {
            model.since = now;
        }
        // Ten thousand models that nobody asks for are no news.
        if model.state == State::Available && !self.world.models.contains_key(&model.id) {
            return;
        }
        let text = model.why.join("; ");
        match state {
            State::Failed | State::Quarantined | State::Held => {
                tracing::warn!("{} is {state}: {text}", model.id);
            }
            State::Deployed => tracing::info!("{} is deployed", model.id),
            _ => tracing::debug!("{} is {state}", model.id),
        }
        let retry_at = model.retry_at;
        self.news.tell(
            "model",
            &json!({ "id": model.id, "from": from, "state": state, "why": model.why, "retry_at": retry_at }),
        );
    }

    fn was_wanted(&self, id: &ModelId) -> bool {
        self.world.models.get(id).is_some_and(|it| it.wanted)
    }

    fn insert(&mut self, model: Model) {
        let id = model.id.clone();
        if let Some(at) = self.world.models.get(&id).and_then(|it| it.retry_at) {
            self.due.remove(&(at, id.clone()));
        }
        if let Some(at) = model.retry_at {
            self.due.insert((at, id.clone()));
        }
        if model.state == State::Fetching {
            self.fetching.entry(id.clone()).or_insert(0);
        } else {
            self.fetching.remove(&id);
        }
        let orders = [model.order.as_deref(), model.shown.as_ref().map(|it| it.order.as_ref())];
        for repo in orders.into_iter().flatten().flat_map(repos_of) {
            self.members.entry(repo).or_default().insert(id.clone());
        }
        self.world.models.insert(id, Arc::new(model));
    }

    /// Puts together what clients of the hub find, for repositories where something changed.
    fn refresh(&mut self, names: BTreeSet<RepoName>) {
        for name in names {
            let members = self.members.get(&name).into_iter().flatten();
            let members = members.filter_map(|id| self.world.models.get(id)).map(AsRef::as_ref);
            match Repo::of(&name, members) {
                Some(repo) => drop(self.world.repos.insert(name.to_string(), Arc::new(repo))),
                None => drop(self.world.repos.remove(name.as_str())),
            }
        }
    }

    /// Shows a model's files in the cache on disk, together with those that share the repository. Says whether
    /// there is anything to show.
    fn publish_on_disk(&self, repo: &RepoName, model: &Model) -> bool {
        // The repository of one model alone is shown with its view.
        if own_repo(&model.id).as_ref() == Some(repo) {
            return false;
        }
        let others = self.members.get(repo).into_iter().flatten().filter(|id| **id != model.id);
        let others = others.filter_map(|id| self.world.models.get(id)?.served());
        let all = others.chain(model.served()).filter(|it| it.verified).cloned().collect::<Vec<_>>();
        if all.is_empty() {
            return false;
        }
        self.jobs.push(self.tools.publish(repo.clone(), model.id.clone(), all));
        true
    }

    fn take_hidden(&mut self, repo: &RepoName, hidden: &BTreeMap<String, String>) {
        for (id, why) in hidden {
            tracing::warn!("{id} is not shown in the cache on disk as {repo}: {why}");
            let model = ModelId::parse(id).ok().and_then(|id| self.world.models.get(&id).cloned());
            if let Some(model) = model.filter(|it| it.state == State::Deployed && !it.why.contains(why)) {
                let mut model = Model::clone(&model);
                model.why.push(why.clone());
                self.insert(model);
            }
        }
    }

    /// Takes note of views on disk that nobody asks for.
    fn take_views(&mut self, ids: &[ModelId], now: UnixSeconds) {
        let here = ids.iter().cloned().collect::<BTreeSet<_>>();
        let withdrawn =
            self.world.models.values().filter(|it| it.state == State::Withdrawn && !here.contains(&it.id));
        for model in withdrawn.cloned().collect::<Vec<_>>() {
            // gc removed what was left of it.
            let mut model = Model::clone(&model);
            model.shown = None;
            if model.listed.is_none() {
                self.world.models.remove(&model.id);
                continue;
            }
            self.enter(&mut model, State::Available, Vec::new(), now);
            self.insert(model);
        }
        for id in here {
            let known = self.world.models.get(&id).map(|it| Model::clone(it));
            let mut model = known.unwrap_or_else(|| Model::new(id.clone(), State::Available, now));
            if model.wanted || model.state == State::Stub {
                continue;
            }
            let why = match model.listed {
                Some(_) => "no longer asked for; gc removes it",
                None => "no longer in the index; gc removes it",
            };
            self.enter(&mut model, State::Withdrawn, vec![why.to_owned()], now);
            self.insert(model);
        }
    }

    fn tell_progress(&mut self) {
        for (id, told) in &mut self.fetching {
            let Some(model) = self.world.models.get(id) else { continue };
            // Those that wait for their turn have nothing to tell.
            let Some((bytes, size_bytes)) = model.progress().filter(|it| it.0 != *told) else { continue };
            *told = bytes;
            let phases = model.transfers.iter().filter(|it| it.bytes() < it.size_bytes);
            let phase = phases.map(|it| it.phase()).find(|it| !it.is_empty());
            self.news.tell(
                "progress",
                &json!({ "id": id, "bytes": bytes, "size_bytes": size_bytes, "phase": phase }),
            );
        }
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

    fn publish(&mut self) {
        self.world.sequence += 1;
        self.worlds.send_replace(Arc::new(self.world.clone()));
        for (id, end) in self.awaited.take() {
            self.news.tell("settled", &Settled { id, end });
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
fn equip(host: Host, metrics: &Arc<Metrics>) -> anyhow::Result<(Places, Rc<Tools>)> {
    let settings = host.config.settings().map_err(anyhow::Error::msg)?;
    let places = Places::of(&host.config)?;
    let downloader =
        Downloader::new(settings, Arc::new(SystemClock), Arc::new(DiskRoom)).context("set up downloads")?;
    Ok((places, Rc::new(Tools::new(Arc::new(host), downloader, Arc::clone(metrics)))))
}

fn texts(why: &[Objection]) -> Vec<String> {
    why.iter().map(ToString::to_string).collect()
}

/// Tells what changed, by id; what exactly, the catalog's own answers say.
fn summary(changes: &catalog::Changes) -> serde_json::Value {
    let revised = changes.revised.iter().map(|it| &it.id).collect::<Vec<_>>();
    let few = |ids: Vec<&ModelId>| (ids.len(), ids.into_iter().take(100).cloned().collect::<Vec<_>>());
    let (added, removed, revised) =
        (few(changes.added.iter().collect()), few(changes.removed.iter().collect()), few(revised));
    json!({
        "added": added.1, "removed": removed.1, "revised": revised.1,
        "counts": { "added": added.0, "removed": removed.0, "revised": revised.0 }
    })
}
