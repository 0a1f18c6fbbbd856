//! Gas: what the work costs, as a pure function of card, model and events.
//!
//! All evaluators charge in the same order, so all agree on who ran out.

use crate::flaw::{Code, Flaw};

/// To visit an event.
pub(crate) const VISIT: u64 = 100;
/// To look at a neighbour.
pub(crate) const EDGE: u64 = 5;
/// To enter a field of one element.
pub(crate) const STEP: u64 = 2;
/// To test one element with a filter.
pub(crate) const FILTER: u64 = 2;
/// To take in one value.
pub(crate) const VALUE: u64 = 3;
/// To run any model.
pub(crate) const MODEL: u64 = 1000;
/// For each weight of a linear model.
pub(crate) const WEIGHT: u64 = 5;
/// For each node of a tree on the way.
pub(crate) const TREE_NODE: u64 = 5;
/// For each condition of a rule that is looked at.
pub(crate) const CONDITION: u64 = 3;
/// For each product in a layer.
pub(crate) const PRODUCT: u64 = 1;
/// For each neuron.
pub(crate) const NEURON: u64 = 5;

/// Counts gas up to a limit.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    used: u64,
    limit: u64,
}

impl Meter {
    pub(crate) fn new(limit: u64) -> Self {
        Self { used: 0, limit }
    }

    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// Charges for work that is about to be done, or was and is bounded by one event's size.
    pub(crate) fn charge(&mut self, gas: u64) -> Result<(), Flaw> {
        self.used = self.used.saturating_add(gas);
        if self.used > self.limit {
            let text = format!("the work costs more than the {} gas that the card allows", self.limit);
            return Err(Flaw::new(Code::EGas, "/ctl/gas", text));
        }
        Ok(())
    }
}
