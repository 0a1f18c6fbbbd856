//! Which cards, models and UPDATEs the log takes.
//!
//! - A card or a model that breaks a rule is refused with the rule's code. Nobody's name for one is used twice.
//! - An UPDATE is done again at its own point of the log, and refused if the core differs. Since the past does not
//!   change, that can be done before its turn comes, away from the thread that writes: see [`Ancestry::foresee`].
//! - While the log is still being read after a start, nobody can say any of that: such events are to be sent again.
//! - Whoever may not write a card's value may still attest it: a right UPDATE of anybody is taken.

use std::collections::{BTreeMap, VecDeque};

use ::lineage::{Claim, Code, Flaw, Update, is_same_author, tiers::Phase};
use ledger::{Accepted, EventId, Objection, Refusal, Signed, event::BodyId, signed_text};

use super::{
    Ancestry, Asked, Trouble,
    cards::{heavy_policy, names, said},
    tags_of,
};

/// How many verdicts on UPDATEs are kept for the moment when their turn comes.
const VERDICTS_MAX: usize = 4096;

/// Verdicts on UPDATEs that will not change, by the digests of their bodies.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    known: BTreeMap<BodyId, Result<(), Objection>>,
    order: VecDeque<BodyId>,
}

impl Verdicts {
    fn keep(&mut self, body: BodyId, verdict: Result<(), Objection>) {
        if self.known.insert(body, verdict).is_none() {
            self.order.push_back(body);
        }
        if self.order.len() > VERDICTS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

impl Ancestry {
    /// Says whether looking at an event takes so long that it should be foreseen.
    pub(crate) fn is_heavy(event: &Signed) -> bool {
        u32::from(event.kind().0) == ::lineage::VALIDATION && !event.content().is_empty()
    }

    /// Does an UPDATE again and keeps the verdict for when its turn comes. Called away from the thread that writes.
    pub(crate) fn foresee(&self, event: &Signed) {
        // Over half a log the verdict would be another one.
        if self.check_read().is_err() {
            return;
        }
        let claim = Claim::read(::lineage::VALIDATION, &tags_of(event), event.content());
        if let Ok(Claim::Update(update)) = claim {
            // What cannot be answered yet is asked again in its turn.
            let verdict = match self.do_again(event, &update) {
                Ok(()) => Ok(()),
                Err(Trouble::Flaw(flaw)) if flaw.code == Code::EMismatch && flaw.place != "/at/seq" => {
                    Err(objection(&flaw))
                }
                Err(_) => return,
            };
            self.verdicts
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .keep(event.body(), verdict);
        }
    }

    /// Says whether an event may come into the log.
    pub(super) fn admit(
        &self,
        event: &Signed,
        pending: &mut dyn Iterator<Item = &Accepted>,
    ) -> Result<(), Refusal> {
        let kind = u32::from(event.kind().0);
        if !matches!(kind, ::lineage::CARD | ::lineage::MODEL | ::lineage::VALIDATION) {
            return Ok(());
        }
        let refuse = |flaws: Vec<Flaw>| flaws.first().map_or_else(unknown, objection);
        let claim = Claim::read(kind, &tags_of(event), event.content()).map_err(refuse)?;
        if matches!(claim, Claim::Card(_) | Claim::Update(_) | Claim::Phase(_)) {
            self.check_read().map_err(|error| Refusal::NotYet(error.to_string()))?;
        }
        Ok(match claim {
            Claim::Card(item) => self.admit_card(event, &item, pending),
            Claim::Update(update) => {
                let known = self
                    .verdicts
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .known
                    .get(&event.body())
                    .cloned();
                known.unwrap_or_else(|| {
                    self.do_again(event, &update).map_err(|trouble| match trouble {
                        Trouble::Flaw(flaw) => objection(&flaw),
                        other => Objection { code: "E_UPDATE", text: crate::host::with_causes(&other) },
                    })
                })
            }
            Claim::Phase(phase) => self.admit_phase(event, phase),
            Claim::Model(..) | Claim::Other => Ok(()),
        }?)
    }

    fn admit_card(
        &self,
        event: &Signed,
        item: &::lineage::Item,
        pending: &mut dyn Iterator<Item = &Accepted>,
    ) -> Result<(), Objection> {
        let author = event.author();
        if let Some(provenance) = &item.provenance
            && !is_same_author(&provenance.creator, author.as_str())
        {
            let text = format!("the creator is {}, the card is signed by {author}", provenance.creator);
            return Err(objection(&Flaw::new(Code::EItem, "/p/creator", text)));
        }
        let own = names(item);
        let in_this_batch = || {
            let other = pending.filter(|it| it.event.author() == author);
            let other = other.filter_map(|it| {
                let event = &it.event;
                Claim::read(u32::from(event.kind().0), &tags_of(event), event.content()).ok()
            });
            let taken = other.flat_map(|it| match it {
                Claim::Card(item) => names(&item),
                _ => Vec::new(),
            });
            taken.filter(|it| own.contains(it)).map(|it| it.0).next()
        };
        let again = self.cards().used(author.address(), item).or_else(in_this_batch);
        match again {
            Some(place) => {
                let text = format!("{author} has a card of that name already; take another one");
                Err(objection(&Flaw::new(Code::EItem, place, text)))
            }
            None => Ok(()),
        }
    }

    fn admit_phase(&self, event: &Signed, phase: Phase) -> Result<(), Objection> {
        if let Phase::Commit { item, .. } = &phase {
            let card = EventId::parse(item).ok().and_then(|it| self.card(it).ok());
            if card.is_none() {
                let text = format!("the log has no card {item}");
                return Err(objection(&Flaw::new(Code::EItem, "/item", text)));
            }
        }
        let said = said(event, self.size.load(std::sync::atomic::Ordering::Acquire) + 1, phase);
        self.cards().heavy().check(&heavy_policy(), &said).map_err(|flaw| objection(&flaw))
    }

    /// Does an UPDATE again, bit for bit, and says what differs.
    pub(crate) fn do_again(&self, event: &Signed, update: &Update) -> Result<(), Trouble> {
        let wrong = |place: &str, text: String| Err(Flaw::new(Code::EMismatch, place, text).into());
        let Ok(id) = EventId::parse(update.item()) else {
            return wrong("/item", "the id of a card's event has 64 hex digits".to_owned());
        };
        let card = self.card(id)?;
        let output = &card.item.output;
        if event.tags().first(&output.reference) != Some(update.item()) {
            return wrong("/item", format!("the tag {} has to name the same card", output.reference));
        }
        if !event.parents().contains(&id) {
            return wrong("/item", "a tag parent has to name the card".to_owned());
        }
        let is_signed = || {
            let signature = update.signature().unwrap_or_default();
            signed_text(&update.message(), signature, event.author().address())
        };
        if output.signed && !is_signed() {
            let text = format!("the card asks for a signature by {} over the UPDATE itself", event.author());
            return wrong("/sig", text);
        }
        self.repeat(id, &card, update)
    }

    /// Evaluates a card where an UPDATE did, and compares the cores.
    pub(crate) fn repeat(&self, id: EventId, card: &super::Card, update: &Update) -> Result<(), Trouble> {
        if !card.item.control.deterministic {
            let text = "the card is not deterministic: its results come by commit, reveal and attest";
            return Err(Flaw::new(Code::EMismatch, "/item", text).into());
        }
        self.check_open(&card.item, Some(update.seq()))?;
        let model = self.model_of(card, update.seq())?;
        let asked = Asked { item: &card.item, model: &model, at: Some(update.seq()) };
        let again = self.evaluate(&asked)?.update(&card.item, &id.to_string());
        Ok(update.verify(&again)?)
    }
}

fn objection(flaw: &Flaw) -> Objection {
    // The code stands before it; a caret on a line of its own has no place in an answer of one line.
    let text = flaw.text.lines().next().unwrap_or_default();
    let place = if flaw.place.is_empty() { String::new() } else { format!("at {}: ", flaw.place) };
    Objection { code: flaw.code.name(), text: format!("{place}{text}") }
}

fn unknown() -> Objection {
    Objection { code: Code::EItem.name(), text: "the document is wrong".to_owned() }
}
