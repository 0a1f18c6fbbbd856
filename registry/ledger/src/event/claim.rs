//! An event as a stranger sent it: the shape is right, nothing is proved.

use std::{borrow::Cow, fmt};

use base::{UnixSeconds, hex::HexError};
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};
use serde_json::value::RawValue;

use super::{Author, AuthorError, Draft, EventId, Kind, Signature, SignatureError, Tags, name::SidError};

/// The largest whole number that every JSON reader keeps: 2^53 - 1.
const SECONDS_MAX: u64 = (1 << 53) - 1;

/// How large an event may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest event, as JSON.
    pub event_bytes_max: usize,
    /// The most tags.
    pub tags_max: usize,
    /// The longest element of a tag that is indexed, which is its first value.
    pub tag_value_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { event_bytes_max: 512 << 10, tags_max: 2000, tag_value_bytes_max: 64 << 10 }
    }
}

/// An event of the right shape. Whether its author said this is not known yet.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub(super) id: EventId,
    pub(super) author: Author,
    /// All but the content, which stands beside it until one reading of it has proved right.
    pub(super) draft: Draft,
    pub(super) content: Content,
    pub(super) signature: Signature,
}

/// The content, or the readings of it that may have been signed.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Text(String),
    /// A JSON object in place of a text: as it came, and without the white space outside its strings.
    Object {
        raw: String,
        compact: String,
    },
}

/// Why a text is no event. What to tell its sender: all of it, with the sources.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// Too long to look at.
    #[error("an event has at most {max} bytes, not {found}")]
    Long {
        /// The limit.
        max: usize,
        /// The length.
        found: usize,
    },
    /// Not JSON, a field is missing, twice there, or of the wrong type.
    #[error("not an event")]
    Shape(#[source] serde_json::Error),
    /// The id is not one.
    #[error("id is not valid")]
    Id(#[source] HexError),
    /// The author is nobody.
    #[error("pubkey is not valid")]
    Author(#[source] AuthorError),
    /// Content is neither a text nor an object.
    #[error("content is a text, or a JSON object whose text was signed")]
    Content,
    /// More tags than are taken.
    #[error("an event has at most {max} tags, not {found}")]
    Tags {
        /// The limit.
        max: usize,
        /// The number.
        found: usize,
    },
    /// A tag's value is too long for an index.
    #[error("the first value of tag `{name}` has at most {max} bytes, not {found}")]
    TagValue {
        /// Which tag.
        name: String,
        /// The limit.
        max: usize,
        /// The length.
        found: usize,
    },
    /// The `sid` tag names no subspace.
    #[error("tag `sid` is not valid")]
    Sid(#[source] SidError),
    /// The signature is none.
    #[error("sig is not valid")]
    Signature(#[source] SignatureError),
}

/// The fields as they are sent. Others are let go: what is not signed is not kept.
#[derive(Deserialize)]
#[serde(expecting = "an event: an object with id, pubkey, created_at, kind, tags, content and sig")]
struct Wire<'t> {
    #[serde(borrow)]
    id: Cow<'t, str>,
    #[serde(borrow)]
    pubkey: Cow<'t, str>,
    #[serde(deserialize_with = "seconds")]
    created_at: UnixSeconds,
    #[serde(deserialize_with = "kind")]
    kind: Kind,
    tags: Tags,
    #[serde(borrow)]
    content: &'t RawValue,
    #[serde(borrow)]
    sig: Cow<'t, str>,
}

impl Claimed {
    /// Reads one event from JSON.
    pub fn parse(json: &str, limits: &Limits) -> Result<Self, ParseError> {
        if json.len() > limits.event_bytes_max {
            return Err(ParseError::Long { max: limits.event_bytes_max, found: json.len() });
        }
        let wire: Wire<'_> = serde_json::from_str(json).map_err(ParseError::Shape)?;
        check_tags(&wire.tags, limits)?;
        Ok(Self {
            id: EventId::parse(&wire.id).map_err(ParseError::Id)?,
            author: Author::parse(&wire.pubkey).map_err(ParseError::Author)?,
            content: content(wire.content.get())?,
            signature: Signature::parse(&wire.sig).map_err(ParseError::Signature)?,
            draft: Draft {
                created_at: wire.created_at,
                kind: wire.kind,
                tags: wire.tags,
                content: String::new(),
            },
        })
    }

    /// Reads an event that was accepted before, when limits may have been others.
    pub(crate) fn parse_stored(json: &str) -> Result<Self, ParseError> {
        let limits =
            Limits { event_bytes_max: usize::MAX, tags_max: usize::MAX, tag_value_bytes_max: usize::MAX };
        Self::parse(json, &limits)
    }

    /// Takes an event for verified, since it was when it was stored.
    pub(crate) fn trust(self, body: super::BodyId, scheme: super::Scheme) -> super::Signed {
        let Self { id, author, mut draft, content, signature } = self;
        draft.content = match content {
            Content::Text(text) => text,
            Content::Object { raw, .. } => raw,
        };
        super::Signed::new(id, author, draft, signature, body, scheme)
    }

    /// Returns the id that the event says it has.
    pub fn id(&self) -> EventId {
        self.id
    }

    /// Returns about how many bytes it has: those that are hashed to check it.
    pub fn bytes(&self) -> usize {
        let (Content::Text(content) | Content::Object { raw: content, .. }) = &self.content;
        content.len() + self.draft.tags.json_bytes()
    }

    /// Returns when it says it was signed.
    pub(crate) fn created_at(&self) -> UnixSeconds {
        self.draft.created_at
    }

    /// Returns its tags.
    pub(crate) fn tags(&self) -> &Tags {
        &self.draft.tags
    }

    /// Returns the kind that it says it has.
    pub fn kind(&self) -> Kind {
        self.draft.kind
    }

    /// Finds the id in something that is no event otherwise, to answer its sender by.
    pub fn id_in(json: &str) -> Option<EventId> {
        #[derive(Deserialize)]
        struct OnlyId<'t> {
            #[serde(borrow)]
            id: Cow<'t, str>,
        }
        let only: OnlyId<'_> = serde_json::from_str(json).ok()?;
        EventId::parse(&only.id).ok()
    }
}

fn check_tags(tags: &Tags, limits: &Limits) -> Result<(), ParseError> {
    if tags.len() > limits.tags_max {
        return Err(ParseError::Tags { max: limits.tags_max, found: tags.len() });
    }
    for tag in tags.iter() {
        let found = tag.value().map_or(0, str::len).max(tag.name().len());
        if found > limits.tag_value_bytes_max {
            let name = tag.name().chars().take(40).collect();
            return Err(ParseError::TagValue { name, max: limits.tag_value_bytes_max, found });
        }
    }
    match tags.first("sid") {
        Some(sid) => super::Sid::check(sid).map_err(ParseError::Sid),
        None => Ok(()),
    }
}

fn content(raw: &str) -> Result<Content, ParseError> {
    match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw).map(Content::Text).map_err(ParseError::Shape),
        Some(b'{') => Ok(Content::Object { raw: raw.to_owned(), compact: without_space(raw) }),
        _ => Err(ParseError::Content),
    }
}

/// Drops the white space between the tokens of a valid JSON text, and touches nothing else.
fn without_space(json: &str) -> String {
    let (mut inside, mut escaped) = (false, false);
    let kept = json.chars().filter(|it| {
        if inside {
            (inside, escaped) = (escaped || *it != '"', !escaped && *it == '\\');
            return true;
        }
        inside = *it == '"';
        !matches!(it, ' ' | '\t' | '\n' | '\r')
    });
    kept.collect()
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UnixSeconds, D::Error> {
    let what = "created_at as whole seconds since 1970, a number from 0 to 9007199254740991";
    deserializer.deserialize_u64(Whole { max: SECONDS_MAX, what }).map(UnixSeconds)
}

fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Kind, D::Error> {
    let whole = Whole { max: u16::MAX.into(), what: "kind as a whole number from 0 to 65535" };
    let number = deserializer.deserialize_u64(whole)?;
    u16::try_from(number).map(Kind).map_err(de::Error::custom)
}

/// Takes a whole number up to `max`, written without fraction or exponent.
struct Whole {
    max: u64,
    what: &'static str,
}

impl Visitor<'_> for Whole {
    type Value = u64;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.what)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<u64, E> {
        if number <= self.max {
            Ok(number)
        } else {
            Err(E::invalid_value(de::Unexpected::Unsigned(number), &self))
        }
    }
}
