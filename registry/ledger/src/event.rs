//! What an event is, from the text that a stranger sent to a place in the log.
//!
//! - [`Claimed`] has the right shape and proves nothing yet. [`Claimed::verify`] is the only way from outside to
//!   a [`Signed`]; [`crate::SecretKey::sign`] is the only one from inside.
//! - What is signed is the serialized body, `[0,pubkey,created_at,kind,tags,content]`. One body is one fact,
//!   whatever its id: [`BodyId`] is what the log keeps apart.

mod body;
mod claim;
mod name;
mod place;
mod prove;
mod signature;
mod signers;
mod tag;
mod together;

use base::UnixSeconds;
use serde::{Serialize, Serializer, ser::SerializeStruct as _};

pub(crate) use self::{
    body::{Digests, Serialized, append_json, json_of, personal_digest},
    signature::{Signature, address_of},
    together::TOGETHER_MAX,
};
pub use self::{
    body::{Leniency, Scheme},
    claim::{Claimed, Limits, ParseError},
    name::{Author, AuthorError, BodyId, EventId, Kind, Sid, SidError},
    place::{Accepted, Leaf, Position},
    prove::VerifyError,
    signature::SignatureError,
    tag::{Tag, TagView, Tags, TagsError},
};

/// What somebody wants to say, not signed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// When, by the author's word.
    pub created_at: UnixSeconds,
    /// What kind of fact it is.
    pub kind: Kind,
    /// The facts that machines read.
    pub tags: Tags,
    /// The rest, as text.
    pub content: String,
}

/// An event whose id and signature hold. It is a fact that its author said this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    id: EventId,
    author: Author,
    draft: Draft,
    signature: Signature,
    body: BodyId,
    scheme: Scheme,
    sid: Option<Sid>,
}

impl Signed {
    /// Puts together what was just signed or verified.
    pub(crate) fn new(
        id: EventId,
        author: Author,
        draft: Draft,
        signature: Signature,
        body: BodyId,
        scheme: Scheme,
    ) -> Self {
        // Asked for again and again on the way into the log.
        let sid = draft.tags.first("sid").and_then(|it| Sid::parse(it).ok());
        Self { id, author, draft, signature, body, scheme, sid }
    }

    /// Returns the id that its author gave it.
    pub fn id(&self) -> EventId {
        self.id
    }

    /// Returns the digest of what was signed: the same for two ids of one body.
    pub fn body(&self) -> BodyId {
        self.body
    }

    /// Returns who signed it.
    pub fn author(&self) -> &Author {
        &self.author
    }

    /// Returns when it was signed, by its author's word.
    pub fn created_at(&self) -> UnixSeconds {
        self.draft.created_at
    }

    /// Returns its kind.
    pub fn kind(&self) -> Kind {
        self.draft.kind
    }

    /// Returns its tags.
    pub fn tags(&self) -> &Tags {
        &self.draft.tags
    }

    /// Returns its content, as text.
    pub fn content(&self) -> &str {
        &self.draft.content
    }

    /// Returns how it was signed.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the subspace that it names: the first `sid` tag.
    pub fn sid(&self) -> Option<&Sid> {
        self.sid.as_ref()
    }

    /// Lists the events that its author says it follows: every 64-digit element of every `parent` tag.
    pub fn parents(&self) -> Vec<EventId> {
        let mut parents: Vec<EventId> =
            self.draft.tags.every("parent").filter_map(|it| EventId::parse(it).ok()).collect();
        parents.sort_unstable();
        parents.dedup();
        parents
    }

    /// Returns the bytes that the signature covers.
    pub fn serialized(&self) -> Vec<u8> {
        Serialized::of(&self.author, &self.draft).into_bytes()
    }

    /// Returns the event as JSON, the `id` first: clients look for it there.
    pub fn to_json(&self) -> String {
        Serialized::of(&self.author, &self.draft).event_json(self)
    }
}

/// For JSON that an event is a part of. Its own text, [`Signed::to_json`], is the same and quicker made.
impl Serialize for Signed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut event = serializer.serialize_struct("Event", 7)?;
        event.serialize_field("id", &self.id)?;
        event.serialize_field("pubkey", self.author.as_str())?;
        event.serialize_field("created_at", &self.draft.created_at.0)?;
        event.serialize_field("kind", &self.draft.kind)?;
        event.serialize_field("tags", &self.draft.tags)?;
        event.serialize_field("content", &self.draft.content)?;
        event.serialize_field("sig", &self.signature.to_string())?;
        event.end()
    }
}

#[cfg(test)]
mod tests;
