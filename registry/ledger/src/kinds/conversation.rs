//! Conversations: each interaction names itself by a hash of its content, and those before it by theirs.
//!
//! So they form a chain that anyone can check from the events alone.

use std::collections::BTreeMap;

use base::Sha256;
use serde::Deserialize;

use super::content::Message;
use super::view::view;
use crate::event::{EventId, Kind, Signed};

view! {
    /// An interaction of a user and a model (30410).
    Conversation = Kind::CONVERSATION;
    /// The session it belongs to.
    session_id: text,
    /// The user.
    user_id: text,
    /// The model.
    model_id: text,
    /// When, as text: some write seconds, some milliseconds.
    timestamp: text,
    /// The hash that names this interaction.
    interaction_hash: text,
}

/// Whether an interaction's hash is the one of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interaction {
    /// It is the SHA-256 of the content.
    Verified,
    /// It is something else: still a name, which proves nothing.
    Unverified,
    /// It has none.
    Absent,
}

/// The links between the interactions of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// For each interaction that was given, in that order, what it names as coming before it.
    pub links: Vec<(EventId, Vec<Link>)>,
}

/// What one name of an earlier interaction leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// To an earlier event whose hash is verified: nobody can have changed it since.
    Verified(EventId),
    /// To an earlier event whose hash is only a name.
    Unverified(EventId),
    /// To nothing that came earlier in this session.
    Missing(String),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Content {
    messages: Vec<Message>,
    context: Context,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Context {
    previous_interactions: Vec<String>,
}

impl Conversation {
    /// Checks the hash against the content.
    pub fn interaction(&self, content: &str) -> Interaction {
        match self.interaction_hash.as_deref().map(plain) {
            None => Interaction::Absent,
            Some(hash) if hash == Sha256::of(content.as_bytes()).to_string() => Interaction::Verified,
            Some(_) => Interaction::Unverified,
        }
    }

    /// Returns the hash that names content such as this.
    pub fn hash_of(content: &str) -> String {
        Sha256::of(content.as_bytes()).to_string()
    }

    /// Returns the messages in the content, none if it is not JSON of that shape.
    pub fn messages(content: &str) -> Vec<Message> {
        serde_json::from_str::<Content>(content).unwrap_or_default().messages
    }

    /// Returns the hashes of the interactions that the content says came before.
    pub fn previous(content: &str) -> Vec<String> {
        serde_json::from_str::<Content>(content).unwrap_or_default().context.previous_interactions
    }
}

/// Links the interactions of one session, given in the log's order.
pub fn chain<'e>(events: impl IntoIterator<Item = &'e Signed>) -> Chain {
    let mut seen: BTreeMap<String, (EventId, Interaction)> = BTreeMap::new();
    let mut chain = Chain::default();
    for event in events {
        let links =
            Conversation::previous(event.content()).into_iter().map(|name| match seen.get(plain(&name)) {
                Some((id, Interaction::Verified)) => Link::Verified(*id),
                Some((id, _)) => Link::Unverified(*id),
                None => Link::Missing(name),
            });
        chain.links.push((event.id(), links.collect()));
        let view = Conversation::read(event.tags());
        let checked = view.interaction(event.content());
        if let Some(hash) = view.interaction_hash {
            // A verified owner of a name is not pushed off it by somebody who only says so.
            let entry = seen.entry(plain(&hash).to_owned()).or_insert((event.id(), checked));
            if entry.1 != Interaction::Verified && checked == Interaction::Verified {
                *entry = (event.id(), checked);
            }
        }
    }
    chain
}

fn plain(hash: &str) -> &str {
    hash.strip_prefix("0x").unwrap_or(hash)
}
