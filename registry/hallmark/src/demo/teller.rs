//! Tells what happens, in plain words, from the daemon's own news.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use anyhow::Context as _;
use base::{Clock as _, SystemClock};
use tokio::{sync::mpsc, task::spawn_blocking, time::Instant};

use super::{
    acts::{Act, id_width},
    gate::approve,
    hub::Remark,
};
use crate::{
    engine::EngineHandle,
    news::{Item, ModelNews},
    out::{self, Tone},
    state::State,
    status::{again, tone},
};

/// Tells the acts, and knows how far each is.
pub(super) struct Teller<'a> {
    acts: &'a [Act],
    begun: Instant,
    in_colour: bool,
    /// Each model's state, and how many tries have failed.
    seen: BTreeMap<String, (State, u32)>,
    /// The models that their gate held until somebody approved them.
    approved: BTreeSet<String>,
    /// Where the daemon keeps its own.
    state: PathBuf,
}

impl<'a> Teller<'a> {
    pub(super) fn new(acts: &'a [Act], state: PathBuf) -> Self {
        let (seen, approved) = (BTreeMap::new(), BTreeSet::new());
        Self { acts, begun: Instant::now(), in_colour: out::in_colour(), seen, approved, state }
    }

    /// Tells all news until every act has ended as it has to, and the daemon's answers say so too.
    pub(super) async fn tell(
        &mut self,
        engine: &EngineHandle,
        remarks: &mut mpsc::Receiver<Remark>,
    ) -> anyhow::Result<()> {
        let news = engine.news();
        let mut watch = news.watch(Some((news.run, 0)));
        for item in std::mem::take(&mut watch.missed) {
            self.take(&item)?;
        }
        self.approve().await?;
        while !self.broken_promises().is_empty() {
            tokio::select! {
                biased;
                Some(remark) = remarks.recv() => self.line(&remark.id, Tone::Quiet, &remark.text)?,
                item = watch.next.recv() => {
                    let item: Arc<Item> = item.context("follow the daemon's news")?;
                    self.take(&item)?;
                    self.approve().await?;
                }
            }
        }
        let ended = |world: &Arc<crate::world::World>| {
            let state =
                |act: &Act| world.models.values().any(|it| it.id.as_str() == act.id && it.state == act.ends);
            self.acts.iter().all(state)
        };
        engine.worlds().wait_for(ended).await.context("follow the daemon")?;
        Ok(())
    }

    /// Approves what waits for that.
    async fn approve(&mut self) -> anyhow::Result<()> {
        let acts = self.acts.iter().filter(|it| it.needs_approval);
        let held = acts.filter(|it| self.seen.get(it.id).is_some_and(|it| it.0 == State::Held));
        for id in held.map(|it| it.id).collect::<Vec<_>>() {
            if self.approved.insert(id.to_owned()) {
                let state = self.state.clone();
                spawn_blocking(move || approve(&state, id)).await.context("approve on a thread")??;
                self.line(id, Tone::Strong, "somebody approves it: a signed vote (30302) for its event")?;
            }
        }
        Ok(())
    }

    /// Lists the acts that have not ended as they have to.
    pub(super) fn broken_promises(&self) -> Vec<String> {
        let broken = self.acts.iter().filter_map(|act| {
            let (state, failures) = self.seen.get(act.id).copied().unwrap_or((State::Queued, 0));
            let was_held = !act.needs_approval || self.approved.contains(act.id);
            let holds = state == act.ends && failures >= act.failures_min && was_held;
            let failures = out::counted(failures.into(), "failure");
            (!holds).then(|| format!("{} is {state} after {failures}, not {}", act.id, act.ends))
        });
        broken.collect()
    }

    fn take(&mut self, item: &Item) -> anyhow::Result<()> {
        if item.kind != "model" {
            return Ok(());
        }
        let news: ModelNews = serde_json::from_str(&item.json).context("read the daemon's news")?;
        let (before, failures) = self.seen.get(&news.id).copied().unwrap_or((State::Available, 0));
        let failures = failures + u32::from(news.state == State::Failed);
        self.seen.insert(news.id.clone(), (news.state, failures));
        if news.state == State::Queued || (before, failures) == (news.state, 0) {
            return Ok(());
        }
        let again = news.retry_at.map(|at| again(at, SystemClock.now()));
        let whys = news.why.iter().flat_map(|it| it.lines().map(|it| it.trim().to_owned())).chain(again);
        let whys = whys.map(|it| format!("\n{:12}{it}", "")).collect::<Vec<_>>().concat();
        let state = if self.in_colour {
            out::paint(tone(news.state), news.state.name())
        } else {
            news.state.name().to_owned()
        };
        let meaning = meaning(news.state);
        self.line(&news.id, Tone::Strong, &format!("{state}: {meaning}{whys}"))
    }

    fn line(&self, id: &str, tone: Tone, text: &str) -> anyhow::Result<()> {
        let seconds = self.begun.elapsed().as_secs_f32();
        let name = format!("{id:width$}", width = id_width(self.acts));
        let name = if self.in_colour { out::paint(tone, &name) } else { name };
        out::print(&format!("{seconds:6.1} s  {name}  {text}\n"))
    }
}

/// Says what a state means for whoever waits for the model.
fn meaning(state: State) -> &'static str {
    match state {
        State::Stub => "never fetched",
        State::Available => "not asked for",
        State::Queued => "its turn comes",
        State::Fetching => "its bytes are coming",
        State::Held => "proven, and kept out of sight by the policy",
        State::Deployed => "every byte proven, visible to programs and to clients of the hub",
        State::Failed => "it did not come; what came of it is kept",
        State::Quarantined => "its bytes are not what the catalog promises; nobody gets to see them",
        State::Withdrawn => "no longer asked for",
        State::Missing => "not in the catalog",
    }
}
