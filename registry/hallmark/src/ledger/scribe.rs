//! Writes down what becomes of models: reads each world that the engine publishes and signs what is new in it.
//!
//! - Only models that are or were asked for are written about. Entries that nobody wants are in the index, signed by
//!   whoever signs that.
//! - A fact that the log has is not signed again. The log itself is asked, so that holds across restarts.
//! - The engine waits for nobody here. What lasted shorter than a look at the world is not written down.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use base::{Clock as _, ModelId, SystemClock};
use catalog::Entry;
use imbl::OrdMap;
use ledger::{
    Accepted, Draft, EventId, Filter, Kind, Outcome, Query, Tag,
    event::Tags,
    kinds::{Valid, ValidResult},
};
use tokio::{sync::watch, task::spawn_blocking, time::sleep};
use vault::Shelf;

use super::{
    Ledger,
    chain::{Finding, Occasion},
    findings::findings,
};
use crate::{
    order::Order,
    world::{Model, World},
};

/// The least time between two looks at the world.
const PAUSE: Duration = Duration::from_millis(20);
/// When to try again after the log could not be written.
const AFTER_FAILURE: Duration = Duration::from_secs(10);
/// How many events about the same bytes a model's event names as what it rests on.
const MET_MAX: usize = 8;
/// How many events about one thing are looked through for the one that says the same.
const ALIKE_MAX: u64 = 256;

/// Follows the worlds until the stop.
pub(super) async fn scribe(ledger: Ledger, shelf: Shelf, mut worlds: watch::Receiver<Arc<World>>) {
    let stop = ledger.stop().clone();
    let mut scribe = Scribe::new(ledger, shelf);
    loop {
        let world = Arc::clone(&worlds.borrow_and_update());
        let outcome = spawn_blocking(move || {
            let outcome = scribe.look(&world);
            (scribe, outcome)
        });
        let Ok((back, outcome)) = outcome.await else {
            return tracing::error!("Writing into the event log had panicked: report this");
        };
        scribe = back;
        let next = async {
            if let Err(error) = outcome {
                tracing::error!("What becomes of models could not be signed, and is tried again: {error:#}");
                // Nothing new may come, and it has to be tried again all the same.
                return sleep(AFTER_FAILURE).await;
            }
            sleep(PAUSE).await;
            if worlds.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = next => {}
        }
    }
}

pub(super) struct Scribe {
    ledger: Ledger,
    shelf: Shelf,
    /// The models as they were when they were last written about.
    seen: OrdMap<ModelId, Arc<Model>>,
    has_subspace: bool,
}

impl Scribe {
    pub(super) fn new(ledger: Ledger, shelf: Shelf) -> Self {
        Self { ledger, shelf, seen: OrdMap::new(), has_subspace: false }
    }

    /// Makes the daemon's own subspace, unless the log has it.
    fn found_subspace(&mut self) -> anyhow::Result<()> {
        if !self.has_subspace {
            let (me, sid) = (self.ledger.address(), Ledger::own_space());
            let filter = Filter::default().author(me).kind(Kind::SUBSPACE).tag("sid", sid.as_str());
            self.say(&occasion().subspace(), filter)?;
            self.has_subspace = true;
        }
        Ok(())
    }

    /// Writes down where a model comes from and, if they are, that its bytes are proven. Returns the event that says
    /// what the model is.
    pub(super) fn vouch(&mut self, order: &Order, is_proven: bool) -> anyhow::Result<EventId> {
        let ledger = self.ledger.clone();
        let _pen = ledger.pen();
        self.found_subspace()?;
        let model = self.origin(&order.listed.entry)?;
        if is_proven {
            let digest = Some(order.digest.to_string());
            let verified = Finding { result: ValidResult::Verified, digest, cause: None };
            self.find(&order.id, &verified, model)?;
        }
        Ok(model)
    }

    /// Signs what is new in a world.
    fn look(&mut self, world: &World) -> anyhow::Result<()> {
        let ledger = self.ledger.clone();
        {
            let _pen = ledger.pen();
            self.found_subspace()?;
        }
        for (id, model) in &world.models {
            if self.seen.get(id).is_some_and(|it| Arc::ptr_eq(it, model)) {
                continue;
            }
            let _pen = ledger.pen();
            self.write(model).with_context(|| format!("write about {id}"))?;
            self.seen.insert(id.clone(), Arc::clone(model));
        }
        let gone = self.seen.keys().filter(|id| !world.models.contains_key(*id));
        for id in gone.cloned().collect::<Vec<_>>() {
            let _pen = ledger.pen();
            self.withdraw(&id, "no longer in the index")?;
            self.seen.remove(&id);
        }
        Ok(())
    }

    fn write(&self, model: &Model) -> anyhow::Result<()> {
        if !model.wanted {
            let why = if model.listed.is_some() { "no longer asked for" } else { "no longer in the index" };
            return self.withdraw(&model.id, why);
        }
        let Some(listed) = &model.listed else { return Ok(()) };
        let mut parent = self.origin(&listed.entry)?;
        for finding in findings(model, &self.shelf)? {
            parent = self.find(&model.id, &finding, parent)?;
        }
        Ok(())
    }

    /// Says where a model comes from and what it is. Returns the event that says what it is.
    fn origin(&self, entry: &Entry) -> anyhow::Result<EventId> {
        let now = occasion();
        let of = |kind: Kind| Filter::default().author(self.ledger.address()).kind(kind);
        let id = entry.id.as_str();
        let mut parent = None;
        if let Some(draft) = now.dataset(entry) {
            let name = draft.tags.first("dataset_id").unwrap_or_default().to_owned();
            let dataset = self.say(&draft, of(Kind::DATASET).tag("dataset_id", &name))?;
            if let Some(draft) = now.finetune(entry, dataset) {
                parent = Some(self.say(&draft, of(Kind::FINETUNE).tag("model_id", id))?);
            }
        }
        let digest = entry.artifact.sha256.to_string();
        let made = [Kind::PROPOSE, Kind::FINETUNE].into_iter().collect();
        let made = Filter { kinds: Some(made), ..Filter::default() }.tag("sha256", &digest);
        let mut parents: Vec<EventId> = parent.into_iter().collect();
        // Whoever proposed or trained the very same bytes: from then on it is said, and not only found by the digest.
        let mut met = self.alike(made)?;
        met.sort_by_key(|it| it.at.seq);
        parents.extend(met.iter().take(MET_MAX).map(|it| it.event.id()).filter(|it| Some(*it) != parent));
        self.say_model(&now.model(entry, parents), parent, of(Kind::MODEL).tag("model_id", id))
    }

    /// Says what a model is, unless that was said on the same grounds. Whoever speaks of the same bytes later is no new
    /// ground.
    fn say_model(&self, draft: &Draft, ground: Option<EventId>, among: Filter) -> anyhow::Result<EventId> {
        let facts =
            |tags: &Tags| tags.iter().filter(|it| it.name() != "parent").map(Tag::from).collect::<Tags>();
        let same = |it: &Accepted| {
            let rests = ground.is_none_or(|ground| it.event.parents().contains(&ground));
            rests && facts(it.event.tags()) == facts(&draft.tags) && it.event.content() == draft.content
        };
        match self.alike(among)?.into_iter().find(same) {
            Some(known) => Ok(known.event.id()),
            None => self.sign(draft.clone()),
        }
    }

    /// Says what became of a model, unless that is what was said last. It rests on `parent`, and comes after what was
    /// said before: a state that comes back within a second is a fact of its own.
    fn find(&self, id: &ModelId, finding: &Finding, parent: EventId) -> anyhow::Result<EventId> {
        let draft = |parents| occasion().valid(id.as_str(), self.ledger.host(), finding, parents);
        if finding.result == ValidResult::Verified {
            // That bytes are what was promised stays true.
            return self.say(&draft(vec![parent]), self.validations(id));
        }
        let last = self.last_state(id)?;
        if let Some(last) = last.as_ref().filter(|it| is_same_state(it, finding, parent)) {
            return Ok(last.event.id());
        }
        self.sign(draft([parent].into_iter().chain(last.map(|it| it.event.id())).collect()))
    }

    /// Says that a model is no longer asked for, if the last that was said of it is something else.
    fn withdraw(&self, id: &ModelId, why: &str) -> anyhow::Result<()> {
        let Some(last) = self.last_state(id)? else { return Ok(()) };
        let view = Valid::read(last.event.tags());
        if view.result() == Some(ValidResult::Withdrawn) {
            return Ok(());
        }
        let finding = Finding {
            result: ValidResult::Withdrawn,
            digest: view.digest.filter(|_| view.valid_result.as_deref() != Some("mismatch")),
            cause: Some(why.to_owned()),
        };
        let draft = occasion().valid(id.as_str(), self.ledger.host(), &finding, vec![last.event.id()]);
        self.sign(draft).map(drop)
    }

    /// Asks for all that was said of a model on this host.
    fn validations(&self, id: &ModelId) -> Filter {
        let filter = Filter::default().author(self.ledger.address()).kind(Kind::VALID);
        filter.tag("model_id", id.as_str()).tag("host", self.ledger.host())
    }

    /// Returns the last event that said how a model stands on this host.
    fn last_state(&self, id: &ModelId) -> anyhow::Result<Option<Accepted>> {
        let mut found = self.alike(self.validations(id))?;
        // The clock may have been set back: the log's own order counts.
        found.sort_by_key(|it| it.at.seq);
        let is_state = |it: &Accepted| Valid::read(it.event.tags()).result() != Some(ValidResult::Verified);
        Ok(found.into_iter().rev().find(is_state))
    }

    fn alike(&self, filter: Filter) -> anyhow::Result<Vec<Accepted>> {
        let query = Query { filter: filter.limit(ALIKE_MAX), ..Query::default() };
        let found = self.ledger.log().query(&query).context("read the event log")?;
        found.iter().map(|it| it.event().context("read the event log")).collect()
    }

    /// Returns the event that says this, signed now if there is none yet.
    fn say(&self, draft: &Draft, among: Filter) -> anyhow::Result<EventId> {
        let same = |it: &Accepted| it.event.tags() == &draft.tags && it.event.content() == draft.content;
        match self.alike(among)?.into_iter().find(same) {
            Some(known) => Ok(known.event.id()),
            None => self.sign(draft.clone()),
        }
    }

    fn sign(&self, draft: Draft) -> anyhow::Result<EventId> {
        let ledger = &self.ledger.0;
        let event = ledger.key.sign(draft, ledger.config.scheme());
        let kind = event.kind();
        let outcomes = ledger.log.append(vec![event.into()]).context("sign what was found")?;
        match outcomes.into_iter().next() {
            Some(Outcome::Accepted(it) | Outcome::Duplicate(it)) => Ok(it.event.id()),
            Some(Outcome::Refused(why)) => {
                Err(why).with_context(|| format!("put an event of kind {kind} into our own log"))
            }
            None => anyhow::bail!("the event log did not answer"),
        }
    }
}

/// Returns the daemon's own subspace and this moment.
fn occasion() -> Occasion {
    Occasion { sid: Ledger::own_space(), now: SystemClock.now() }
}

/// Says whether an event says this about how a model stands, on the same grounds. Where wrong bytes came from does not
/// count: any mirror may have given the same ones.
fn is_same_state(last: &Accepted, finding: &Finding, parent: EventId) -> bool {
    let said = Valid::read(last.event.tags());
    let same_cause = finding.result == ValidResult::Mismatch || said.cause == finding.cause;
    let same = said.result() == Some(finding.result) && said.digest == finding.digest && same_cause;
    same && last.event.parents().contains(&parent)
}
