//! The gate: whether what a model rests on is good enough for this host, by a card over the daemon's log.
//!
//! - The card starts at the model's own event, and anybody with the same log gets the same answer: the report names the
//!   card, the model that judged, the point of the log, and the hashes of what was found.
//! - Before it looks, what this host knows is written down: where the model comes from, and that its bytes are proven.
//! - It looks again whenever the log grows, and says for which models the answer is another one now.
//! - What cannot be evaluated does not pass. After a start, while the log is still being read, nothing new passes, and
//!   what was let through by the same question before stays as it is.

mod card;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use ::lineage::{Item, Model, explain, json::Json};
use anyhow::Context as _;
use base::{Address, ModelId, Sha256};
use catalog::Entry;
use ledger::{Author, EventId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    ancestry::{Ancestry, Asked, Evaluated, NotWhole, Trouble},
    host::with_causes,
    ledger::Ledger,
    order::Order,
    policy::{CardSource, Descent, Judged, LineageRule, OnFail},
};

/// A gate that is open for questions.
pub(crate) struct Gate {
    rule: LineageRule,
    ledger: Ledger,
    /// The card, unless it is in the log.
    card: Option<Json>,
    /// The model, unless it is in the log.
    model: Option<Model>,
    /// What names all that is asked.
    digest: Sha256,
    /// What the policy was told last of each model.
    told: Mutex<BTreeMap<ModelId, Option<String>>>,
}

/// What the gate says of a model, and what that rests on.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = GateReport)]
pub(crate) struct Report {
    pub(crate) model_id: String,
    /// Whether the model may run, as far as what it rests on goes.
    pub(crate) passes: bool,
    /// Why not: which feature falls short, and by how much.
    pub(crate) why: Option<String>,
    /// Whether the policy of this host asks this gate. If not, the card that hallmark ships answered.
    pub(crate) in_force: bool,
    /// What becomes of a model that does not pass: `hold` or `keep-previous`.
    #[schema(value_type = String)]
    pub(crate) on_fail: OnFail,
    /// The event that says what the model is: where the crawl starts.
    pub(crate) event: Option<String>,
    /// What was evaluated; nothing if that was not possible.
    pub(crate) evaluation: Option<Found>,
}

/// An evaluation, as far as a gate needs it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = GateEvaluation)]
pub(crate) struct Found {
    /// The card in plain words.
    pub(crate) card: String,
    pub(crate) item_hash: String,
    pub(crate) model: String,
    pub(crate) model_hash: String,
    /// How many events the log had.
    pub(crate) seq: u64,
    /// Their root.
    pub(crate) root: String,
    pub(crate) score: String,
    pub(crate) label: Option<String>,
    pub(crate) action: Option<String>,
    pub(crate) features: Vec<Feature>,
    /// By how much features fall short.
    pub(crate) shortfalls: Vec<String>,
    /// Why the crawl ended: `e`, `exhausted` or `limit`.
    pub(crate) stop: String,
    /// How many events were visited.
    pub(crate) n: usize,
    /// How many were named and are not here.
    pub(crate) miss: u64,
    pub(crate) gas: u64,
    pub(crate) feature_hash: String,
    pub(crate) visit_hash: String,
    /// The events that were visited.
    pub(crate) visited: Vec<String>,
}

/// A feature and its value.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = GateFeature)]
pub(crate) struct Feature {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl Gate {
    /// Opens the gate that a policy asks for. A card that does not hold is refused with its flaws.
    pub(crate) fn open(rule: &LineageRule, ledger: &Ledger) -> anyhow::Result<Self> {
        let (card, model) = card::documents(rule)?;
        let (rule, ledger, told) = (rule.clone(), ledger.clone(), Mutex::default());
        let mut gate = Self { rule, ledger, card, model, digest: Sha256::of(b""), told };
        let card = match &gate.card {
            Some(card) => {
                let item = gate.place(card, "the model's event").map_err(|it| anyhow::anyhow!("{it}"))?;
                item.canonical().to_owned()
            }
            None => format!("{:?}", gate.rule.item),
        };
        let asked = json!({
            "card": card,
            "model": gate.model.as_ref().map(|it| it.hash().to_string()),
            "trusted": gate.trusted().map(|it| it.to_string()).collect::<BTreeSet<_>>(),
            "min_score": gate.rule.min_score.map(|it| it.0.to_string()),
            "label": gate.rule.label(),
        });
        gate.digest = Sha256::of(asked.to_string().as_bytes());
        Ok(gate)
    }

    /// Returns what names all that is asked: who passed another gate has not passed this one.
    pub(crate) fn digest(&self) -> Sha256 {
        self.digest
    }

    /// Keeps what the card asks for at hand, since it is in force now.
    pub(crate) fn comes_into_force(&self) {
        if let Some(item) = self.card.as_ref().and_then(|it| self.place(it, "the model's event").ok()) {
            self.ancestry().keep_for(&item);
        }
    }

    /// Reports on a model by the gate of the policy or, where that asks none, by the card that hallmark ships.
    pub(crate) fn answer(ledger: &Ledger, entry: &Entry) -> anyhow::Result<Report> {
        Ok(match ledger.gate() {
            Some(gate) => gate.report(entry, true),
            None => Self::open(&LineageRule::default(), ledger)?.report(entry, false),
        })
    }

    /// Says what a model rests on that is to be deployed now.
    pub(crate) fn descent(&self, order: &Order, is_proven: bool) -> Descent {
        let vouched = self.ledger.vouch(order, is_proven).context("write down where the model comes from");
        let descent = match vouched {
            Ok(event) => self.judge(event).map_or_else(|error| unknown(&error), |it| Descent::Judged(it.0)),
            Err(error) => Descent::Unknown(format!("{error:#}")),
        };
        let told = self.key(&descent);
        self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(order.id.clone(), told);
        descent
    }

    /// Says for which models the answer is another one than the policy was told.
    pub(crate) fn changed(&self, models: &[Arc<catalog::Listed>]) -> BTreeSet<ModelId> {
        let is_changed = |entry: &&Entry| {
            let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).get(&entry.id).cloned();
            told.is_some_and(|told| told != self.key(&self.look(entry).1))
        };
        models.iter().map(|it| &it.entry).filter(is_changed).map(|it| it.id.clone()).collect()
    }

    /// Reports on a model as the log has it now.
    fn report(&self, entry: &Entry, in_force: bool) -> Report {
        let (event, descent, found) = self.look(entry);
        let why = self.rule.objection(&descent);
        Report {
            model_id: entry.id.to_string(),
            passes: why.is_none(),
            why,
            in_force,
            on_fail: self.rule.on_fail,
            event: event.map(|it| it.to_string()),
            evaluation: found.map(|it| *it),
        }
    }

    fn look(&self, entry: &Entry) -> (Option<EventId>, Descent, Option<Box<Found>>) {
        let event = match self.ledger.model_event(entry) {
            Ok(Some(event)) => event,
            Ok(None) => {
                let why =
                    "no event of this host says yet what it is: it is signed once the model is asked for";
                return (None, Descent::Unknown(why.to_owned()), None);
            }
            Err(error) => return (None, Descent::Unknown(format!("{error:#}")), None),
        };
        match self.judge(event) {
            Ok((judged, found)) => (Some(event), Descent::Judged(judged), Some(found)),
            Err(error) => (Some(event), unknown(&error), None),
        }
    }

    /// Evaluates the card from a model's event on.
    fn judge(&self, event: EventId) -> Result<(Judged, Box<Found>), Trouble> {
        let (item, model) = self.documents(event)?;
        let asked = Asked { item: &item, model: &model, at: None };
        let evaluated = self.ancestry().evaluate(&asked)?;
        let evaluation = &evaluated.evaluation;
        let shortfalls = if self.rule.is_enough(&evaluation.result) {
            Vec::new()
        } else {
            model.shortfalls(&evaluation.features, |it| self.rule.is_enough(it))
        };
        let judged = Judged {
            judgement: evaluation.result.clone(),
            shortfalls,
            stop: evaluation.stop.name(),
            visited: evaluation.visited.len(),
        };
        let found = Box::new(found(&item, &evaluated, &judged));
        Ok((judged, found))
    }

    /// Returns the card for a model, and the model that judges.
    fn documents(&self, event: EventId) -> Result<(Item, Model), Trouble> {
        let ancestry = self.ancestry();
        let template = match (&self.card, &self.rule.item) {
            (Some(card), _) => card.clone(),
            (None, CardSource::Event(id)) => {
                // What stands in the log was read strictly.
                Json::parse(ancestry.card(*id)?.item.canonical()).unwrap_or_default()
            }
            (None, _) => Json::Null,
        };
        let item = self.place(&template, &event.to_string())?;
        let model = if let Some(model) = &self.model {
            model.clone()
        } else {
            let is_trusted = |it: Address| self.trusted().any(|trusted| trusted == it);
            ancestry.find_model(&item.job.model, u64::MAX, is_trusted)?
        };
        Ok((item, model))
    }

    /// Puts a model's event and those who are trusted into a card.
    fn place(&self, card: &Json, event: &str) -> Result<Item, Trouble> {
        // Authors are compared as they signed, and sign in one of two spellings.
        let spellings =
            self.trusted().flat_map(|it| [Author::lower(it).to_string(), Author::checksum(it).to_string()]);
        Ok(card::place(card, event, &spellings.collect::<Vec<_>>())?)
    }

    fn trusted(&self) -> impl Iterator<Item = Address> {
        std::iter::once(self.ledger.address()).chain(self.rule.trusted.iter().map(|it| it.0))
    }

    /// Returns what makes two answers the same: how many events were visited does not.
    fn key(&self, descent: &Descent) -> Option<String> {
        match descent {
            Descent::Judged(judged) if !judged.shortfalls.is_empty() => Some(judged.shortfalls.join(", ")),
            other => self.rule.objection(other),
        }
    }

    fn ancestry(&self) -> &Ancestry {
        self.ledger.ancestry()
    }
}

fn unknown(trouble: &Trouble) -> Descent {
    if matches!(trouble, Trouble::NotWhole(NotWhole::BeingRead(_))) {
        return Descent::BeingRead;
    }
    let text = with_causes(trouble);
    Descent::Unknown(format!("what it rests on could not be evaluated: {text}"))
}

fn found(item: &Item, evaluated: &Evaluated, judged: &Judged) -> Found {
    let evaluation = &evaluated.evaluation;
    let feature = |it: &::lineage::Extracted| Feature { name: it.name.clone(), value: it.value_text() };
    Found {
        card: explain(item),
        item_hash: evaluation.item_hash.clone(),
        model: evaluation.model.clone(),
        model_hash: evaluation.model_hash.clone(),
        seq: evaluated.at.seq,
        root: format!("0x{}", evaluated.at.root),
        score: evaluation.result.score.to_string(),
        label: evaluation.result.label.clone(),
        action: evaluation.result.action.clone(),
        features: evaluation.features.0.iter().map(feature).collect(),
        shortfalls: judged.shortfalls.clone(),
        stop: evaluation.stop.name().to_owned(),
        n: evaluation.visited.len(),
        miss: evaluation.missing,
        gas: evaluation.gas,
        feature_hash: evaluation.features.hash_text(),
        visit_hash: evaluation.visit_hash(),
        visited: evaluation.visited.clone(),
    }
}
