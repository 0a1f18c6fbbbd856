//! An event as lineage sees it: a fact with a place in the ledger, tags, content, and links to its parents.
//!
//! - A [`Fact`] is read where it stands, once: the graph keeps of it what it needs. Whoever has events in a form of
//!   their own copies nothing for that. [`Event`] is one that came as JSON.
//! - Lineage trusts that id and signature were checked by whoever hands the event in.

use base::Sha256;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::graph::Text;

/// The tag whose values are ids of parents.
pub(crate) const PARENT_TAG: &str = "parent";
/// Tags that carry no field of their own: they belong to the protocol.
pub(crate) const STRUCTURAL_TAGS: [&str; 5] = ["auth", "d", "sid", "op", PARENT_TAG];

/// A signed fact at its place in the ledger.
pub trait Fact {
    /// Returns its id.
    fn id(&self) -> Id<'_>;
    /// Returns who made it.
    fn pubkey(&self) -> &str;
    /// Returns when its author says it was made, in seconds since 1970.
    fn created_at(&self) -> u64;
    /// Returns what kind of fact it is.
    fn kind(&self) -> u32;
    /// Returns its tags: of each the name, then the values. What has no name is none.
    fn tags(&self) -> impl Iterator<Item = impl Iterator<Item = &str>>;
    /// Returns what it says. What is not strictly a JSON object has no fields.
    fn content(&self) -> &str;
    /// Returns its place in the ledger, from 1; 0 if it does not say.
    fn seq(&self) -> u64;
}

/// An event's id: any text. One of 64 hex digits is the 32 bytes that they stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id<'e>(pub(crate) Text<'e>);

impl<'e> From<&'e str> for Id<'e> {
    fn from(text: &'e str) -> Self {
        Self(Text::of(text))
    }
}

impl From<Sha256> for Id<'_> {
    fn from(digest: Sha256) -> Self {
        Self(Text::Hex(digest))
    }
}

/// A fact that was read from JSON.
#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    /// The event's id.
    pub id: String,
    /// Who made it.
    pub pubkey: String,
    /// When its author says it was made, in seconds since 1970.
    pub created_at: u64,
    /// What kind of fact it is.
    pub kind: u32,
    /// Its tags: a name, then values.
    pub tags: Vec<Vec<String>>,
    /// What it says.
    pub content: Content,
    /// Its place in the ledger, from 1; 0 if it does not say.
    #[serde(default)]
    pub seq: u64,
}

/// What an event says, as text: of an object, its JSON.
#[derive(Clone, Debug, Default)]
pub struct Content(String);

impl Content {
    /// Takes a content as it was signed.
    pub fn of_text(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl<'de> Deserialize<'de> for Content {
    /// Takes a content as text that holds JSON, as events are signed, or as the object itself.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str::<String>(raw.get()).unwrap_or_else(|_| raw.get().to_owned())))
    }
}

impl Fact for Event {
    fn id(&self) -> Id<'_> {
        self.id.as_str().into()
    }

    fn pubkey(&self) -> &str {
        &self.pubkey
    }

    fn created_at(&self) -> u64 {
        self.created_at
    }

    fn kind(&self) -> u32 {
        self.kind
    }

    fn tags(&self) -> impl Iterator<Item = impl Iterator<Item = &str>> {
        self.tags.iter().map(|it| it.iter().map(String::as_str))
    }

    fn content(&self) -> &str {
        &self.content.0
    }

    fn seq(&self) -> u64 {
        self.seq
    }
}
