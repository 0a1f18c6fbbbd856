//! How every model stands: kept in one world, with what has to be found quickly beside it, and shown to everybody.

use std::{collections::BTreeSet, sync::Arc};

use base::{ModelId, UnixSeconds};
use vault::view::RepoName;

use super::{Engine, Settled};
use crate::{
    news::ModelNews,
    repos::{Repo, own_repo, repos_of},
    state::State,
    world::Model,
};

impl Engine {
    /// Changes a model's state and tells everybody, if it is news.
    pub(super) fn enter(&self, model: &mut Model, state: State, why: Vec<String>, now: UnixSeconds) {
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
        let (id, why, retry_at) = (model.id.to_string(), model.why.clone(), model.retry_at);
        self.news.tell("model", &ModelNews { id, from: Some(from), state, why, retry_at });
    }

    pub(super) fn was_wanted(&self, id: &ModelId) -> bool {
        self.world.models.get(id).is_some_and(|it| it.wanted)
    }

    pub(super) fn insert(&mut self, model: Model) {
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
    pub(super) fn refresh(&mut self, names: BTreeSet<RepoName>) {
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
    pub(super) fn publish_on_disk(&self, repo: &RepoName, model: &Model) -> bool {
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

    pub(super) fn publish(&mut self) {
        self.world.sequence += 1;
        self.worlds.send_replace(Arc::new(self.world.clone()));
        for (id, end) in self.awaited.take() {
            self.news.tell("settled", &Settled { id, end });
        }
    }
}
