//! How every model stands: kept in one world, with what has to be found quickly beside it, and shown to everybody.

use std::{collections::BTreeSet, sync::Arc};

use base::{ModelId, UnixSeconds};
use serde::Serialize;
use vault::view::RepoName;

use super::{Engine, Settled};
use crate::{
    news::{Draft, ModelNews},
    repos::{Repo, own_repo, repos_of},
    state::State,
    world::Model,
};

impl Engine {
    /// Changes a model's state; everybody hears of it, if it is news, once the world shows it.
    pub(super) fn enter(&mut self, model: &mut Model, state: State, why: Vec<String>, now: UnixSeconds) {
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
        self.tell("model", &ModelNews { id, from: Some(from), state, why, retry_at });
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

    /// Has everybody hear of something as soon as the world shows it: who heard of it and then looks must find it so.
    pub(super) fn tell(&mut self, kind: &'static str, what: &impl Serialize) {
        self.untold.extend(Draft::of(kind, what));
    }

    /// Shows the world as it is now, then tells what is new about it.
    pub(super) fn publish(&mut self) {
        self.world.sequence += 1;
        self.worlds.send_replace(Arc::new(self.world.clone()));
        for draft in self.untold.drain(..) {
            self.news.spread(draft);
        }
        for (id, end) in self.awaited.take() {
            self.news.tell("settled", &Settled { id, end });
        }
    }
}

#[cfg(test)]
mod tests {
    use base::{Clock as _, SystemClock};

    use super::*;
    use crate::{
        host::{Host, Place},
        metrics::Metrics,
        news::News,
    };

    #[test]
    fn who_hears_of_a_model_and_then_looks_finds_it_so() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("index.json"), r#"{ "models": [] }"#).unwrap();
        let config = folder.path().join("hallmark.toml");
        std::fs::write(&config, "[catalog]\nindex = \"index.json\"\n").unwrap();
        let place = Place::of(config, folder.path().join("state"));
        let (host, news) = (Host::open(&place).unwrap(), Arc::new(News::new(1, 16)));
        let (mut engine, handle) =
            Engine::new(place, host, None, Arc::clone(&news), Arc::new(Metrics::new())).unwrap();
        let (id, now) = (ModelId::parse("ajna-one-v1").unwrap(), SystemClock.now());
        let mut heard = news.watch(None).next;
        let mut model = Model::new(id.clone(), State::Queued, now);
        engine.enter(&mut model, State::Deployed, Vec::new(), now);
        assert!(heard.try_recv().is_err(), "it is told before anybody can see it");
        engine.insert(model);
        engine.publish();
        assert_eq!(heard.try_recv().unwrap().kind, "model");
        assert_eq!(handle.world().models[&id].state, State::Deployed);
    }
}
