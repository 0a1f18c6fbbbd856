//! The event relay without a socket: a [`Session`] takes frames and returns steps, its host does them.
//!
//! - What a client sends is bounded: frames, subscriptions, filters, answers, signatures that do not hold.
//! - OK follows the commit: a session says it only when the host hands it the log's outcome.
//! - Kinds that an operator closes are read by their parties and the operator alone, after AUTH (NIP-42).

mod budget;
mod document;
#[cfg(test)]
mod flow;
mod frame;
mod read;
mod session;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, time::Duration};

use base::Address;

pub use self::{
    document::{Document, Limitation},
    frame::{ClientFrame, FrameError, SubscriptionId},
    read::{count, is_found_at_once, stored},
    session::{Session, Step},
};
use crate::event::{Kind, Leniency, Limits, Tags};

/// What holds for all sessions of a relay.
#[derive(Clone, Debug)]
pub struct Relay {
    /// How large an event may be.
    pub limits: Limits,
    /// Which signatures are taken besides the ordinary.
    pub leniency: Leniency,
    /// Kinds that only their parties and the operator read. Empty: everything is open.
    pub private_kinds: BTreeSet<Kind>,
    /// Who reads everything.
    pub operator: Option<Address>,
    /// The names of hosts that an AUTH may be meant for; empty takes any.
    pub hosts: BTreeSet<String>,
    /// The longest frame from a client.
    pub frame_bytes_max: usize,
    /// The most subscriptions of a session at a time.
    pub subscriptions_max: usize,
    /// The most filters of a subscription.
    pub filters_max: usize,
    /// The most stored events for one filter.
    pub limit_max: u64,
    /// The number of stored events for a filter that does not say.
    pub limit_default: u64,
    /// How many signatures that do not hold a session may send at once; one more is allowed every second.
    pub bad_signatures_max: u32,
    /// How old or new an AUTH may be.
    pub auth_age_max: Duration,
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            leniency: Leniency::default(),
            private_kinds: BTreeSet::new(),
            operator: None,
            hosts: BTreeSet::new(),
            frame_bytes_max: 1 << 20,
            subscriptions_max: 64,
            filters_max: 20,
            limit_max: 5000,
            limit_default: 500,
            bad_signatures_max: 20,
            auth_age_max: Duration::from_mins(10),
        }
    }
}

impl Relay {
    /// Says whether some events of a kind are not for everybody.
    fn is_closed(&self, kind: Kind) -> bool {
        self.private_kinds.contains(&kind)
    }

    /// Says whether somebody who has proved to be these addresses may read an event of a closed kind.
    fn may_read(&self, author: Address, tags: &Tags, proved: &BTreeSet<Address>) -> bool {
        let is_party = |it: &Address| *it == author || names(tags, *it);
        proved.iter().any(|it| self.operator == Some(*it) || is_party(it))
    }
}

/// Says whether an event's tags name somebody as taking part.
fn names(tags: &Tags, address: Address) -> bool {
    let parties = ["user_id", "p"].into_iter().flat_map(|it| tags.every(it));
    parties
        .filter_map(|it| Address::parse(&format!("0x{}", it.strip_prefix("0x").unwrap_or(it))).ok())
        .any(|it| it == address)
}
