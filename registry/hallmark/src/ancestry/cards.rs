//! What the log has of cards and models, by name: enough to find the one that is meant, and to refuse a second of the
//! same name. The documents themselves stay in the log.

use std::collections::{BTreeMap, BTreeSet};

use ::lineage::{
    Claim, Item, ModelName, Standing, Written,
    tiers::{Heavy, Policy, Said},
};
use base::{Address, Sha256};
use ledger::{Accepted, EventId, Signed};

use super::tags_of;

/// How heavy results are accepted: see the second tier of lineage. A checkpoint is a place in the log here.
pub(super) fn heavy_policy() -> Policy {
    Policy { reveal_after: 1, quorum: 3, challenge: 10_000, drawn: None }
}

/// A card that the log has.
#[derive(Clone, Debug)]
pub(crate) struct Card {
    pub(crate) item: Item,
    /// Who made it, as it was signed.
    pub(crate) author: String,
}

/// A model that the log has.
#[derive(Clone, Copy, Debug)]
pub(super) struct ModelAt {
    /// Its place, from 1.
    pub(super) seq: u64,
    pub(super) event: EventId,
    pub(super) author: Address,
    pub(super) hash: Sha256,
}

/// Cards and models by name.
#[derive(Debug, Default)]
pub(super) struct Cards {
    /// The models of each name and version, in the log's order.
    models: BTreeMap<(String, u64), Vec<ModelAt>>,
    /// What an author may use once, as digests.
    taken: BTreeSet<(Address, Sha256)>,
    /// What stands of each card.
    standings: BTreeMap<EventId, Standing>,
    heavy: Heavy,
}

impl Cards {
    /// Takes an event that is in the log.
    pub(super) fn take(&mut self, accepted: &Accepted) {
        let event = &accepted.event;
        match claim(event) {
            Some(Claim::Card(item)) => {
                self.taken.extend(names(&item).into_iter().map(|it| (event.author().address(), it.1)));
                self.standings.insert(event.id(), Standing::of(&item, event.author().as_str()));
            }
            Some(Claim::Update(update)) => {
                let card = EventId::parse(update.item()).ok();
                // Admission lets none in whose card is not here.
                if let Some(standing) = card.and_then(|it| self.standings.get_mut(&it)) {
                    let author = event.author().as_str().to_owned();
                    standing.take(Written { seq: update.seq(), event: event.id().to_string(), author });
                }
            }
            Some(Claim::Model(model, name)) => {
                let at = ModelAt {
                    seq: accepted.at.seq + 1,
                    event: event.id(),
                    author: event.author().address(),
                    hash: model.hash(),
                };
                self.models.entry((name.name().to_owned(), name.version())).or_default().push(at);
            }
            Some(Claim::Phase(phase)) => {
                let said = said(event, accepted.at.seq + 1, phase);
                // What was let in fits; what an older hallmark let in changes nothing.
                let _ = self.heavy.take(&heavy_policy(), said);
            }
            _ => {}
        }
    }

    /// Returns the place in a card whose name its author has used already.
    pub(super) fn used(&self, author: Address, item: &Item) -> Option<&'static str> {
        names(item).into_iter().find(|it| self.taken.contains(&(author, it.1))).map(|it| it.0)
    }

    /// Returns the model that a card asks for at a place: the very document if it is pinned, else the newest of that
    /// name by somebody who may say.
    pub(super) fn model(
        &self,
        wanted: &ModelName,
        at: u64,
        may_say: impl Fn(Address) -> bool,
    ) -> Option<ModelAt> {
        let all = self.models.get(&(wanted.name().to_owned(), wanted.version()))?;
        let is_meant = |it: &&ModelAt| match wanted.pinned() {
            Some(hash) => it.hash == hash,
            None => may_say(it.author),
        };
        all.iter().rev().filter(|it| it.seq <= at).find(is_meant).copied()
    }

    /// Returns what stands of a card.
    pub(super) fn standing(&self, card: EventId) -> Option<&Standing> {
        self.standings.get(&card)
    }

    /// Returns the results of heavy models.
    pub(super) fn heavy(&self) -> &Heavy {
        &self.heavy
    }
}

/// Reads what an event claims to be; nothing if it is not what it claims.
fn claim(event: &Signed) -> Option<Claim> {
    let kind = u32::from(event.kind().0);
    // Most events are of other kinds, and need no look.
    matches!(kind, ::lineage::CARD | ::lineage::MODEL | ::lineage::VALIDATION)
        .then(|| Claim::read(kind, &tags_of(event), event.content()).ok())
        .flatten()
}

/// Returns what one event of the second tier says.
pub(super) fn said(event: &Signed, seq: u64, phase: ::lineage::tiers::Phase) -> Said {
    let author = event.author().address().to_string();
    Said { event: event.id().to_string(), author, checkpoint: seq, phase }
}

/// Lists what of a card its author may use once, with the place it stands at.
pub(super) fn names(item: &Item) -> Vec<(&'static str, Sha256)> {
    let name = |what: &str, text: &str| Sha256::of(format!("{what}\n{text}").as_bytes());
    let alias = item.id.as_ref().map(|it| ("/id", name("id", it)));
    let nonce = item.provenance.as_ref().and_then(|it| it.nonce.as_ref());
    alias.into_iter().chain(nonce.map(|it| ("/p/nonce", name("nonce", it)))).collect()
}
