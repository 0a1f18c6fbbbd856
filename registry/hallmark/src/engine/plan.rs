//! What has to be done, decided from what is known. Reads no disk, asks nobody, and starts nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use base::{ModelId, UnixSeconds};
use catalog::{Index, Listed};
use imbl::OrdMap;

use crate::{
    order::{Order, Places},
    policy::{Objection, PolicyConfig},
    state::State,
    world::Model,
};

/// What to do about one model.
#[derive(Debug)]
pub(crate) enum Action {
    /// Nothing but to note how its entry reads now: it is as it should be, at work, or waits for its time.
    Note,
    /// Look what is here, fetch the rest, ask the policy, deploy.
    Begin(Arc<Order>),
    /// The policy forbids even the fetch.
    Hold(Arc<Order>, Vec<Objection>),
    /// It is asked for and cannot be had until the entry or the config changes.
    Refuse(String),
    /// It holds placeholders, whether it is asked for or not.
    Stub { wanted: bool },
    /// Nobody asks for it.
    Leave,
    /// The index has lost it.
    Forget,
}

/// What this host asks for.
#[derive(Debug, Default)]
pub(crate) struct Wants {
    pub(crate) ids: BTreeSet<ModelId>,
    /// What is asked for in a way that cannot be met, and why.
    pub(crate) refused: BTreeMap<ModelId, String>,
}

/// What the decision rests on besides the models themselves.
pub(crate) struct Grounds<'g> {
    pub(crate) index: &'g Index,
    pub(crate) wants: &'g Wants,
    pub(crate) places: &'g Places,
    pub(crate) policy: &'g PolicyConfig,
    /// Grows with each config that comes into force.
    pub(crate) config: u64,
    /// Entries that say something else than when their model was looked at, and those that somebody asks to try now.
    pub(crate) changed: &'g BTreeSet<ModelId>,
    /// Whether to look again at what seems to be well.
    pub(crate) look_again: bool,
    pub(crate) now: UnixSeconds,
}

/// Decides for every model that the index lists or that is still here. Names only those about which there is
/// something to do: of ten thousand models, a reload mostly touches one.
pub(crate) fn plan(grounds: &Grounds<'_>, here: &OrdMap<ModelId, Arc<Model>>) -> Vec<(ModelId, Action)> {
    let mut both = 0;
    let mut actions = Vec::new();
    for listed in grounds.index.entries() {
        let id = &listed.entry.id;
        let known = here.get(id).map(AsRef::as_ref);
        both += usize::from(known.is_some());
        actions.extend(decide(grounds, listed, known).map(|it| (id.clone(), it)));
    }
    if both < here.len() {
        let lost = here.keys().filter(|id| grounds.index.entry(id).is_none());
        actions.extend(lost.map(|id| (id.clone(), Action::Forget)));
    }
    actions
}

fn decide(grounds: &Grounds<'_>, listed: &Arc<Listed>, here: Option<&Model>) -> Option<Action> {
    let id = &listed.entry.id;
    let wanted = grounds.wants.ids.contains(id);
    // Of an entry that reads as before, what was done about it once need not be done again, unless somebody asks.
    let noted = here.filter(|it| it.listed.as_ref().is_some_and(|old| Arc::ptr_eq(old, listed)));
    let noted = noted.filter(|_| !grounds.changed.contains(id));
    if listed.is_stub {
        let is_done = noted.is_some_and(|it| it.state == State::Stub && it.wanted == wanted);
        return (!is_done).then_some(Action::Stub { wanted });
    }
    if let Some(why) = grounds.wants.refused.get(id) {
        return Some(Action::Refuse(why.clone()));
    }
    if !wanted {
        let is_at_rest = |it: &Model| !it.wanted && matches!(it.state, State::Available | State::Withdrawn);
        return (!noted.is_some_and(is_at_rest)).then_some(Action::Leave);
    }
    let same = here.filter(|it| it.wanted && it.ruled_by == grounds.config && !grounds.changed.contains(id));
    if same.is_some_and(|it| !is_due(grounds, it)) {
        return noted.is_none().then_some(Action::Note);
    }
    let order = match Order::of(listed, grounds.places) {
        Ok(order) => Arc::new(order),
        Err(error) => return Some(Action::Refuse(format!("{:#}", anyhow::Error::from(error)))),
    };
    let ruling = grounds.policy.judge(&order.facts(None));
    Some(if ruling.forbids_fetch { Action::Hold(order, ruling.objections) } else { Action::Begin(order) })
}

/// Says whether a model that nothing changed about has to be looked at.
fn is_due(grounds: &Grounds<'_>, here: &Model) -> bool {
    match here.state {
        State::Queued | State::Fetching => false,
        State::Failed | State::Quarantined => here.retry_at.is_some_and(|it| it <= grounds.now),
        State::Deployed | State::Held => grounds.look_again,
        State::Stub | State::Available | State::Withdrawn | State::Missing => true,
    }
}

#[cfg(test)]
mod tests;
