//! What others ask of the engine, over a bounded queue; every answer comes back over a channel of its own.

use std::{collections::BTreeSet, sync::Arc};

use anyhow::Context as _;
use base::{Clock as _, ModelId, SystemClock};
use tokio::sync::{mpsc, oneshot, watch};

use super::{Engine, Tools, equip, follow};
use crate::{gc, host::Host, news::News, order::missing_text, scrub, state::State, world::World};

/// Something that is asked of the engine.
pub(crate) enum Ask {
    /// Try now: these models, or all that are wanted. Answers with the ids that it tries, or says which one it cannot.
    Sync { ids: Vec<String>, all: bool, answer: oneshot::Sender<Result<Vec<ModelId>, String>> },
    /// Remove what nothing wants.
    Gc { dry_run: bool, answer: oneshot::Sender<anyhow::Result<gc::Done>> },
    /// Hash again what is here. Each object's health is told as it is known, and `None` at the end.
    Verify { ids: Vec<String>, repair: bool, answer: mpsc::Sender<anyhow::Result<Option<scrub::Said>>> },
    /// Read the config again, and look at the index.
    Reload { answer: oneshot::Sender<anyhow::Result<()>> },
    /// Answers as soon as its turn comes: the engine is alive.
    Ping { answer: oneshot::Sender<()> },
    /// Somebody asked for a file of this model and it was not where it belongs.
    Look { id: ModelId },
}

/// How the rest of the daemon speaks with the engine.
#[derive(Clone)]
pub(crate) struct EngineHandle {
    pub(super) asks: mpsc::Sender<Ask>,
    pub(super) worlds: watch::Receiver<Arc<World>>,
    pub(super) news: Arc<News>,
}

/// The engine has ended: the daemon is stopping.
#[derive(Debug, thiserror::Error)]
#[error("the daemon is stopping")]
pub(crate) struct Gone;

impl EngineHandle {
    /// Returns what is known now.
    pub(crate) fn world(&self) -> Arc<World> {
        Arc::clone(&self.worlds.borrow())
    }

    /// Returns a receiver that hears of every new world.
    pub(crate) fn worlds(&self) -> watch::Receiver<Arc<World>> {
        self.worlds.clone()
    }

    pub(crate) fn news(&self) -> &Arc<News> {
        &self.news
    }

    /// Asks, and waits if the engine has much to answer.
    pub(crate) async fn ask(&self, ask: Ask) -> Result<(), Gone> {
        self.asks.send(ask).await.map_err(|_| Gone)
    }

    /// Says whether the engine answers.
    pub(crate) async fn is_alive(&self) -> bool {
        let (answer, done) = oneshot::channel();
        self.ask(Ask::Ping { answer }).await.is_ok() && done.await.is_ok()
    }

    /// Mentions something; if the engine has too much to answer, it will find out by itself.
    pub(crate) fn mention(&self, ask: Ask) {
        drop(self.asks.try_send(ask));
    }
}

impl Engine {
    pub(super) fn answer(&mut self, ask: Ask) {
        // Whoever asked may have gone away; that is theirs to know.
        match ask {
            Ask::Sync { ids, all, answer } => drop(answer.send(self.sync_now(&ids, all))),
            Ask::Gc { dry_run, answer } => self.collect(dry_run, answer),
            Ask::Verify { ids, repair, answer } => self.verify(ids, repair, answer),
            Ask::Reload { answer } => drop(answer.send(self.reload())),
            Ask::Ping { answer } => drop(answer.send(())),
            Ask::Look { id } => self.try_again(&BTreeSet::from([id])),
        }
    }

    fn sync_now(&mut self, ids: &[String], all: bool) -> Result<Vec<ModelId>, String> {
        let index = self.world.index().cloned().ok_or("no index is in force yet: see /v1/index/status")?;
        let mut asked = BTreeSet::new();
        for id in ids {
            let listed = index.find(id).map_err(|it| missing_text(&it))?;
            asked.insert(listed.entry.id.clone());
        }
        if all {
            asked.extend(index.entries().filter(|it| !it.is_stub).map(|it| it.entry.id.clone()));
        }
        if ids.is_empty() && !all {
            asked.extend(self.world.models.values().filter(|it| it.wanted).map(|it| it.id.clone()));
        } else {
            let unwanted = asked.iter().filter(|id| !self.world.models.get(*id).is_some_and(|it| it.wanted));
            self.also.extend(unwanted.cloned().collect::<Vec<_>>());
        }
        for id in &asked {
            self.awaited.add(id.clone());
        }
        self.follower.ask_reload();
        self.try_again(&asked);
        Ok(asked.into_iter().collect())
    }

    /// Looks at models at once, whatever their time is.
    pub(super) fn try_again(&mut self, ids: &BTreeSet<ModelId>) {
        // What is queued without a job waits for the gate.
        let is_at_work =
            |id: &ModelId| self.at_work.contains_key(id) && self.state(id).is_some_and(State::is_moving);
        let at_rest = |id: &&ModelId| !is_at_work(id);
        let again = ids.iter().filter(at_rest).cloned().collect();
        self.reconcile(&again, false);
    }

    fn reload(&mut self) -> anyhow::Result<()> {
        let taken = self.take_config();
        self.world.config_trouble = taken.as_ref().err().map(|error| format!("{error:#}"));
        match &taken {
            Ok(()) => tracing::info!("The config was read again"),
            Err(error) => {
                tracing::error!("The config was not taken, the one before stays in force: {error:#}");
            }
        }
        self.tell("config", &serde_json::json!({ "error": self.world.config_trouble }));
        self.follower.ask_reload();
        self.publish();
        taken
    }

    fn take_config(&mut self) -> anyhow::Result<()> {
        let host = Host::open(&self.place)?;
        let old = &self.tools.host;
        if host.shelf != old.shelf || host.cache.root() != old.cache.root() {
            anyhow::bail!("[vault] store or cache has moved: restart the daemon for that");
        }
        let elsewhere = host.config.catalog != old.config.catalog;
        let followed = if elsewhere { Some(follow::follow(&host, Arc::clone(&self.bell))?) } else { None };
        let location = host.config.catalog.index.to_string();
        let (places, tools) = equip(host, self.ledger.as_ref(), &self.metrics, self.tools.disk())?;
        // What is at work was started under the old config.
        for id in self.at_work.keys().cloned().collect::<Vec<_>>() {
            self.call_off(&id);
        }
        (self.places, self.tools) = (places, tools);
        self.config += 1;
        if let Some((follower, schema)) = followed {
            (self.follower, self.world.location, self.world.schema) = (follower, location, schema);
            self.take_catalog(false);
        } else {
            self.reconcile(&BTreeSet::new(), false);
        }
        Ok(())
    }

    fn collect(&mut self, dry_run: bool, answer: oneshot::Sender<anyhow::Result<gc::Done>>) {
        let Some(index) = self.world.index().cloned() else {
            let error = anyhow::anyhow!("no index is in force, so nothing is known to be unwanted");
            return drop(answer.send(Err(error)));
        };
        let host = Arc::clone(&self.tools.host);
        let also = self.also.clone();
        self.jobs.push(Tools::in_background(move || {
            drop(answer.send(gc::collect(&host, &index, &also, dry_run, SystemClock.now())));
        }));
    }

    fn verify(
        &mut self,
        ids: Vec<String>,
        repair: bool,
        answer: mpsc::Sender<anyhow::Result<Option<scrub::Said>>>,
    ) {
        let Some(index) = self.world.index().cloned() else {
            let error = anyhow::anyhow!("no index is in force: see /v1/index/status");
            return drop(answer.try_send(Err(error)));
        };
        let host = Arc::clone(&self.tools.host);
        self.jobs.push(Tools::in_background(move || {
            let each = |said| drop(answer.blocking_send(Ok(Some(said))));
            let done = scrub::all(&host, &index, &ids, repair, each).context("hash what is here");
            drop(answer.blocking_send(done.map(|()| None)));
        }));
    }

    /// Looks at everything again after something was done to the disk.
    pub(super) fn look_around(&mut self) {
        self.jobs.push(self.tools.views());
        let whole = |it: &&Arc<crate::world::Model>| matches!(it.state, State::Deployed | State::Held);
        let ids = self.world.models.values().filter(whole).map(|it| it.id.clone()).collect();
        self.try_again(&ids);
    }
}
