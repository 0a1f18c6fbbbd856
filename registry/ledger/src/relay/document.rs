//! What the relay says about itself (NIP-11). Nothing is in it that is not so.

use base::{Address, hex};
use serde::Serialize;

use super::{Relay, SubscriptionId};
use crate::admission::Policy;

/// The relay's information document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Document {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The ETH address of who runs it: 40 hex digits. Not a Nostr key.
    pub pubkey: String,
    /// What it runs.
    pub software: String,
    /// Which version.
    pub version: String,
    /// What is on: the base, this document, AUTH, COUNT, protected events.
    pub supported_nips: [u16; 5],
    /// What is bounded, and where.
    pub limitation: Limitation,
}

/// The bounds in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "NIP-11 says what each is")]
pub struct Limitation {
    pub max_message_length: usize,
    pub max_subscriptions: usize,
    pub max_filters: usize,
    pub max_limit: u64,
    pub default_limit: u64,
    pub max_subid_length: usize,
    pub max_event_tags: usize,
    pub max_content_length: usize,
    pub min_pow_difficulty: u8,
    pub auth_required: bool,
    pub payment_required: bool,
    pub restricted_writes: bool,
    pub created_at_upper_limit: u64,
}

impl Document {
    /// Describes a relay as it is.
    pub fn of(relay: &Relay, policy: &Policy, name: &str, description: &str, owner: Address) -> Self {
        Self {
            name: name.to_owned(),
            description: description.to_owned(),
            pubkey: hex::text(owner.as_bytes()),
            software: "hallmark".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            supported_nips: [1, 11, 42, 45, 70],
            limitation: Limitation {
                max_message_length: relay.frame_bytes_max,
                max_subscriptions: relay.subscriptions_max,
                max_filters: relay.filters_max,
                max_limit: relay.limit_max,
                default_limit: relay.limit_default,
                max_subid_length: SubscriptionId::CHARS_MAX,
                max_event_tags: relay.limits.tags_max,
                max_content_length: relay.limits.event_bytes_max,
                min_pow_difficulty: 0,
                // Reading some kinds needs AUTH; nothing else does.
                auth_required: false,
                payment_required: false,
                // Signatures, subspaces and auth tags decide, for everybody alike.
                restricted_writes: !policy.keep_other_kinds,
                created_at_upper_limit: policy.ahead_max.as_secs(),
            },
        }
    }
}
