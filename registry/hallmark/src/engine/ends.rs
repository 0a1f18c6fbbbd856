//! What is done about a model once it is decided, and how the jobs for it end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use base::{Clock as _, ModelId, Sha256, SystemClock, UnixSeconds};
use catalog::Index;
use vault::{Want, view::RepoName};

use super::{
    Engine,
    plan::Action,
    retry,
    work::{Done, Found},
};
use crate::{
    delivery::End,
    order::Order,
    policy::Objection,
    repos::repos_of,
    state::State,
    world::{Model, Shown},
};

impl Engine {
    pub(super) fn act(
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
            Action::Note => {
                self.world.models.insert(id.clone(), Arc::new(model));
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
    pub(super) fn leave(
        &mut self,
        model: &mut Model,
        why: &str,
        now: UnixSeconds,
        repos: &mut BTreeSet<RepoName>,
    ) {
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
    pub(super) fn take_end(&mut self, done: Done) {
        let now = SystemClock.now();
        match done {
            Done::Nothing => return,
            Done::Moved => return self.look_around(),
            Done::Looked { id, ticket, result } => {
                let Some((model, order)) = self.current(&id, ticket) else { return };
                match result {
                    Ok((found, wants)) => self.fetch(model, order, found, wants, now),
                    Err(error) => self.settle(model, End::failed(&error), None, now),
                }
            }
            Done::Settled { id, ticket, end, files } => {
                let Some((model, order)) = self.current(&id, ticket) else { return };
                self.at_work.remove(&id);
                let shown = files.map(|files| {
                    Arc::new(Shown { order, files: files.into_iter().collect(), verified: true, since: now })
                });
                self.settle(model, end, shown, now);
            }
            Done::Reviewed(changed) => return self.take_review(&changed),
            Done::Published { repo, by, hidden } => {
                self.take_hidden(&repo, &hidden);
                self.awaited.published(&by, hidden.get(by.as_str()).map(String::as_str));
            }
            Done::Viewed(Ok(ids)) => self.take_views(&ids, now),
            Done::Viewed(Err(error)) => tracing::error!("{error:#}"),
        }
        self.publish();
    }

    /// Has fetched what is not here of a model.
    fn fetch(
        &mut self,
        mut model: Model,
        order: Arc<Order>,
        found: Found,
        wants: BTreeMap<Sha256, Want>,
        now: UnixSeconds,
    ) {
        if !wants.is_empty() {
            let why = model.shown.as_ref().map(|_| "the earlier version stays deployed".to_owned());
            self.enter(&mut model, State::Fetching, why.into_iter().collect(), now);
        }
        let mut transfers = Vec::new();
        self.start(&model.id, |tools, ticket| {
            let (job, coming) = tools.fetch(order, ticket, found, wants);
            transfers = coming;
            job
        });
        model.transfers = transfers;
        self.insert(model);
    }

    /// Returns the model that a job was about, unless that job was called off.
    pub(super) fn current(&self, id: &ModelId, ticket: u64) -> Option<(Model, Arc<Order>)> {
        self.at_work.get(id).filter(|it| it.0 == ticket)?;
        let model = self.world.models.get(id)?;
        Some((Model::clone(model), Arc::clone(model.order.as_ref()?)))
    }

    /// Takes the end of a model's way.
    pub(super) fn settle(&mut self, mut model: Model, end: End, shown: Option<Arc<Shown>>, now: UnixSeconds) {
        self.at_work.remove(&model.id);
        model.transfers = Vec::new();
        let order = model.order.clone();
        let mut repos = order.as_deref().map(repos_of).unwrap_or_default();
        let stays = model.shown.as_ref().map(|_| "the earlier version stays deployed".to_owned());
        let (told, mut publishing) = (end.clone(), 0);
        model.unjudged = matches!(end, End::Deployed { unjudged: true, .. });
        match end {
            End::Deployed { flaws, verified, unjudged, .. } => {
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
                if unjudged {
                    why.push(
                        "the lineage graph is still being read: until then it stays as it was".to_owned(),
                    );
                }
                self.enter(&mut model, State::Deployed, why, now);
                for repo in &repos {
                    publishing += usize::from(self.publish_on_disk(repo, &model));
                }
            }
            End::Waiting { why } => {
                self.enter(&mut model, State::Queued, texts(&why).into_iter().chain(stays).collect(), now);
            }
            End::Held { why, keeps_previous: true } => {
                let stays = model.shown.as_ref().map(|_| "what was deployed of it before stays".to_owned());
                self.enter(&mut model, State::Held, texts(&why).into_iter().chain(stays).collect(), now);
            }
            End::Held { why, keeps_previous: false } => {
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
        if !matches!(told, End::Waiting { .. }) {
            self.awaited.ended(&model.id, &told, publishing);
        }
        self.insert(model);
        // The log may have grown since the gate looked.
        self.growth.notify_one();
        self.refresh(repos.into_iter().collect());
    }

    pub(super) fn take_hidden(&mut self, repo: &RepoName, hidden: &BTreeMap<String, String>) {
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
    pub(super) fn take_views(&mut self, ids: &[ModelId], now: UnixSeconds) {
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
}

fn texts(why: &[Objection]) -> Vec<String> {
    why.iter().map(ToString::to_string).collect()
}
