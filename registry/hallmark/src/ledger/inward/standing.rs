//! How the relays stand that are followed, for those who ask.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use base::UnixSeconds;

/// What is done about a relay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stands {
    /// It was not reached yet.
    #[default]
    Connects,
    /// What it had while nobody listened is being taken in.
    CatchesUp,
    /// What comes to it comes here at once.
    Follows,
    /// It could not be followed, and is tried again.
    Waits,
}

/// How one relay stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Following {
    pub(crate) relay: String,
    pub(crate) stands: Stands,
    /// Until when all is here that it had, if it was ever heard to the end.
    pub(crate) heard_until: Option<UnixSeconds>,
    /// How many of its events were taken in, and how many were not let in, since the daemon started.
    pub(crate) taken: u64,
    pub(crate) refused: u64,
    /// When the last one was taken in.
    pub(crate) last: Option<UnixSeconds>,
    /// When it is tried again, and why it could not be followed.
    pub(crate) next: Option<UnixSeconds>,
    pub(crate) why: Option<String>,
}

impl Following {
    /// Returns for how long nothing was heard that may have come; nothing where that was never known.
    pub(crate) fn behind(&self, now: UnixSeconds) -> Option<u64> {
        match self.stands {
            Stands::Follows => Some(0),
            _ => self.heard_until.map(|it| now.since(it).as_secs()),
        }
    }
}

/// All relays that are followed, in the config's order.
#[derive(Debug)]
pub(crate) struct Followed {
    order: Vec<String>,
    each: Mutex<BTreeMap<String, Following>>,
}

impl Followed {
    pub(in crate::ledger) fn new(relays: impl Iterator<Item = String>) -> Self {
        let order: Vec<String> = relays.collect();
        let begin = |it: &String| (it.clone(), Following { relay: it.clone(), ..Following::default() });
        let each = Mutex::new(order.iter().map(begin).collect());
        Self { order, each }
    }

    /// Changes how a relay stands.
    pub(super) fn change(&self, relay: &str, change: impl FnOnce(&mut Following)) {
        if let Some(following) = self.lock().get_mut(relay) {
            change(following);
        }
    }

    /// Lists how each stands.
    pub(crate) fn list(&self) -> Vec<Following> {
        let each = self.lock();
        self.order.iter().filter_map(|it| each.get(it).cloned()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Following>> {
        self.each.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
