//! How a subspace decides: posts, proposals, votes, invitations, and credit.

use super::view::view;
use crate::event::{EventId, Kind};

view! {
    /// Something is published (30300).
    Post = Kind::POST;
    /// What the content is.
    content_type: text,
}

view! {
    /// Something is proposed, to be voted on (30301).
    Propose = Kind::PROPOSE;
    /// The proposal's name; with the subspace it is the key, and the first in the log has it.
    proposal_id: text,
    /// What it takes to pass.
    rules: text,
}

view! {
    /// A vote (30302).
    Vote = Kind::VOTE;
    /// The proposal's name, or the id of the event that made it.
    proposal_id: text,
    /// The vote, as text.
    vote: text,
}

view! {
    /// Somebody says who invited them (30303): a claim that the inviter has not signed.
    Invite = Kind::INVITE;
    /// Who invited.
    inviter_addr: text,
    /// Who is invited, in the other form of this event.
    invitee_pubkey: text,
    /// What it takes.
    rules: text,
}

view! {
    /// Credit for a subspace's work (30304).
    Mint = Kind::MINT;
    /// The token's name for people.
    token_name: text,
    /// The token's symbol.
    token_symbol: text,
    /// How many decimals it has.
    token_decimals: text,
    /// How many units are made, in whole tokens.
    initial_supply: text,
    /// What each kind of event counts, `kind:weight`.
    drop_ratio: list,
}

/// What a vote says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// For.
    Yes,
    /// Against.
    No,
    /// Neither: recorded, and counts for nothing.
    Abstain,
}

impl Vote {
    /// Reads the vote, whatever its case.
    pub fn choice(&self) -> Choice {
        match self.vote.as_deref().map(|it| it.trim().to_ascii_lowercase()).as_deref() {
            Some("yes") => Choice::Yes,
            Some("no") => Choice::No,
            _ => Choice::Abstain,
        }
    }

    /// Returns the event that made the proposal, if the vote names that and not the proposal's name.
    pub fn proposal_event(&self) -> Option<EventId> {
        EventId::parse(self.proposal_id.as_deref()?).ok()
    }
}
