//! Who made a subspace and who is in it: a fold over the log.
//!
//! - The first valid create is the genesis, and its author the first member. Later creates of the same sid change
//!   nothing and are counted.
//! - A join takes effect if there are no rules or they hold. If nobody knows, it is pending and stays recorded.
//! - Whoever replays the log gets the same members, digest for digest.

use std::collections::BTreeMap;

use base::Address;
use serde::{Deserialize, Serialize};

use crate::{
    event::{Accepted, EventId, Kind, Sid},
    fold::Fold,
    kinds::Subspace,
    rules::{self, Truth},
};

/// The subspaces of a log and their members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    spaces: BTreeMap<Sid, Space>,
}

/// One subspace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// Its first event, which is the safe name for it; `None` while only others' events name it.
    pub genesis: Option<Genesis>,
    /// How many more times somebody made it. Without effect.
    pub creates_again: u64,
    /// Everybody who is in it or asked to be.
    pub people: BTreeMap<Address, Standing>,
}

/// What the first event of a subspace says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// The event.
    pub event: EventId,
    /// Its place in the log.
    pub seq: u64,
    /// Who made the subspace.
    pub creator: Address,
    /// Its name.
    pub name: Option<String>,
    /// What it is about.
    pub category: Option<String>,
    /// The operations it declares, as written; [`Subspace::declared`] reads them.
    pub ops: Option<String>,
    /// What it takes to join, as written.
    pub rules: Option<String>,
}

/// How somebody stands to a subspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Whether the rules held: a member if so, pending if nobody knows.
    pub rules: Truth,
    /// Since which place in the log.
    pub since: u64,
}

impl Membership {
    /// Returns a subspace.
    pub fn space(&self, sid: &Sid) -> Option<&Space> {
        self.spaces.get(sid)
    }

    /// Lists the subspaces by their sids.
    pub fn spaces(&self) -> impl Iterator<Item = (&Sid, &Space)> {
        self.spaces.iter()
    }

    /// Says whether somebody is a member.
    pub fn is_member(&self, sid: &Sid, address: &Address) -> bool {
        self.space(sid).is_some_and(|it| it.is_member(address))
    }
}

impl Space {
    /// Says whether somebody is a member.
    pub fn is_member(&self, address: &Address) -> bool {
        self.people.get(address).is_some_and(|it| it.rules == Truth::True)
    }

    /// Lists the members.
    pub fn members(&self) -> impl Iterator<Item = &Address> {
        self.people.iter().filter(|it| it.1.rules == Truth::True).map(|it| it.0)
    }

    fn create(&mut self, accepted: &Accepted) {
        if self.genesis.is_some() {
            self.creates_again += 1;
            return;
        }
        let (event, seq) = (&accepted.event, accepted.at.seq);
        let Subspace { subspace_name: name, category, ops, rules } = Subspace::read(event.tags());
        let creator = event.author().address();
        self.genesis = Some(Genesis { event: event.id(), seq, creator, name, category, ops, rules });
        // Who asked before the subspace was known here is answered now: logs exchange events in any order.
        for address in self.people.keys().copied().collect::<Vec<_>>() {
            self.join(address, seq);
        }
        self.people.insert(creator, Standing { rules: Truth::True, since: seq });
    }

    fn join(&mut self, address: Address, seq: u64) {
        if self.is_member(&address) {
            return;
        }
        let rules = match &self.genesis {
            // What gives energy is not part of this fold: a rule about it has no answer yet.
            Some(genesis) => rules::evaluate(genesis.rules.as_deref(), |_| None),
            None => Truth::Unknown,
        };
        let standing = self.people.entry(address).or_insert(Standing { rules, since: seq });
        if standing.rules != rules {
            *standing = Standing { rules, since: seq };
        }
    }
}

impl Fold for Membership {
    const NAME: &'static str = "membership";
    const VERSION: u32 = 1;

    fn apply(&mut self, accepted: &Accepted) {
        let event = &accepted.event;
        let Some(sid) = event.sid() else {
            return;
        };
        match event.kind() {
            Kind::SUBSPACE => self.spaces.entry(sid.clone()).or_default().create(accepted),
            Kind::JOIN => {
                let space = self.spaces.entry(sid.clone()).or_default();
                space.join(event.author().address(), accepted.at.seq);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use base::{UnixSeconds, time::HandClock};

    use super::*;
    use crate::{
        Live, Log, Options, Outcome, Policy,
        event::{Scheme, Signed},
        key::SecretKey,
        kinds::{Join, Operation, Project},
    };

    fn key(number: u8) -> SecretKey {
        SecretKey::from_bytes([number; 32]).unwrap()
    }

    fn operation(sid: Sid) -> Operation {
        Operation { created_at: UnixSeconds(1), sid: Some(sid), ..Operation::default() }
    }

    fn subspace(rules: Option<&str>) -> Subspace {
        Subspace {
            subspace_name: Some("space".to_owned()),
            rules: rules.map(str::to_owned),
            ..Subspace::default()
        }
    }

    fn create(author: u8, rules: Option<&str>) -> Signed {
        let subspace = subspace(rules);
        let operation = operation(subspace.computed_sid());
        key(author).sign(subspace.draft(operation), Scheme::SpecEip191)
    }

    fn join(author: u8, rules: Option<&str>) -> Signed {
        let operation = operation(subspace(rules).computed_sid());
        key(author).sign(Join::default().draft(operation), Scheme::Sdk)
    }

    /// Appends all events and returns the fold as the log has it.
    fn folded(events: Vec<Signed>) -> Membership {
        let folder = tempfile::tempdir().unwrap();
        let live: Arc<Live<Membership>> = Arc::default();
        let options = || Options {
            policy: Policy::default(),
            clock: Arc::new(HandClock::at(UnixSeconds(10))),
            folds: vec![live.clone()],
            observer: None,
        };
        let path = folder.path().join("ledger.sqlite");
        let log = Log::open(&path, options()).unwrap();
        let outcomes = log.append(events.into_iter().map(Into::into).collect()).unwrap();
        assert!(outcomes.iter().all(|it| matches!(it, Outcome::Accepted(_))), "{outcomes:?}");
        let state = live.read(|it, _| it.clone());
        drop(log);
        let _log = Log::open(&path, options()).unwrap();
        assert_eq!(live.read(|it, _| it.digest()), state.digest(), "a restart changes nothing");
        state
    }

    #[test]
    fn without_rules_whoever_joins_is_in() {
        let state = folded(vec![create(1, None), join(2, None), create(3, None)]);
        let sid = subspace(None).computed_sid();
        let space = state.space(&sid).unwrap();
        assert_eq!(space.genesis.as_ref().unwrap().creator, key(1).address());
        assert_eq!(space.creates_again, 1);
        assert_eq!(space.members().count(), 2);
        assert!(state.is_member(&sid, &key(2).address()) && !state.is_member(&sid, &key(3).address()));
    }

    #[test]
    fn with_rules_that_nobody_can_answer_a_join_is_pending() {
        for rules in ["energy>500", "rule1"] {
            let state = folded(vec![create(1, Some(rules)), join(2, Some(rules))]);
            let space = state.space(&subspace(Some(rules)).computed_sid()).unwrap();
            assert_eq!(
                space.people.get(&key(2).address()),
                Some(&Standing { rules: Truth::Unknown, since: 1 })
            );
            assert_eq!(
                space.members().collect::<Vec<_>>(),
                [&key(1).address()],
                "the creator needs no energy"
            );
        }
    }

    #[test]
    fn those_whom_a_project_names_are_no_members_of_its_subspace() {
        let sid = subspace(None).computed_sid();
        let named = key(2).address();
        let project =
            Project { members: vec![named.to_string(), "0xAlice".to_owned()], ..Project::default() };
        let project = key(1).sign(project.draft(operation(sid.clone())), Scheme::SpecEip191);
        let state = folded(vec![create(1, None), project]);
        assert!(!state.is_member(&sid, &named));
    }

    #[test]
    fn a_join_that_came_too_early_counts_from_the_genesis_on() {
        let state = folded(vec![join(2, None), create(1, None)]);
        let space = state.space(&subspace(None).computed_sid()).unwrap();
        assert_eq!(space.people.get(&key(2).address()), Some(&Standing { rules: Truth::True, since: 1 }));
    }
}
