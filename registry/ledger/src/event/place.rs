//! Where an accepted event stands: what the log asserts about it, and the leaf that says so in the tree.

use base::{Address, Sha256, UnixSeconds, hex};
use serde::{Deserialize, Serialize};

use super::{BodyId, EventId, Kind, Sid, Signed};

/// An event that the log has, durably, at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The event as its author signed it.
    pub event: Signed,
    /// Where the log put it.
    pub at: Position,
    json: Box<str>,
}

impl Accepted {
    /// Joins an event, its place, and the JSON that both are written with.
    pub(crate) fn new(event: Signed, at: Position, json: impl Into<Box<str>>) -> Self {
        Self { event, at, json: json.into() }
    }

    /// Returns the event as JSON, made once: what every subscriber is sent.
    pub fn json(&self) -> &str {
        &self.json
    }
}

/// A place in one log. Nothing of it is signed by the author but what `depth` is computed from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Place in the whole log: 0, 1, 2 and so on.
    pub seq: u64,
    /// How many events of this kind the subspace has, with this one.
    pub n: u64,
    /// How many events of any kind the subspace has, with this one.
    pub tick: u64,
    /// One more than the deepest of its parents that the log had; 0 without any.
    pub depth: u64,
    /// The leaf of the event before it in the same subspace: the chain that an auditor walks.
    pub prev: Option<Sha256>,
    /// When it came, by the word of the log's own clock.
    pub received: UnixSeconds,
}

/// What the tree holds of one event: all that the log asserts, and no content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The event's id.
    pub id: EventId,
    /// The digest of its body.
    pub body: BodyId,
    /// Who signed it.
    pub author: Address,
    /// Its subspace; `None` stands for all events outside of any, which share one chain.
    pub sid: Option<Sid>,
    /// Its kind.
    pub kind: Kind,
    /// Its place.
    pub at: Position,
}

impl Leaf {
    /// Returns what the tree is to say about an event at a place.
    pub fn of(event: &Signed, at: Position) -> Self {
        let author = event.author().address();
        Self { id: event.id(), body: event.body(), author, sid: event.sid().cloned(), kind: event.kind(), at }
    }

    /// Returns the leaf's one byte form: JSON with fixed fields in fixed order, no white space, no fraction.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { id, body, author, sid, kind, at } = self;
        let mut bytes = Vec::with_capacity(480);
        let mut add = |name: &str, value: Value<'_>| {
            bytes.extend_from_slice(name.as_bytes());
            value.append(&mut bytes);
        };
        let Position { seq, n, tick, depth, prev, received } = at;
        add(r#"{"v":"#, Value::Number(1));
        add(r#","seq":"#, Value::Number(*seq));
        add(r#","id":"#, Value::Bytes(id.as_bytes()));
        add(r#","body":"#, Value::Bytes(body.digest().as_bytes()));
        add(r#","pubkey":"#, Value::Bytes(author.as_bytes()));
        add(r#","sid":"#, Value::Text(sid.as_ref().map_or("", Sid::as_str)));
        add(r#","key":"#, Value::Number(kind.0.into()));
        add(r#","n":"#, Value::Number(*n));
        add(r#","tick":"#, Value::Number(*tick));
        add(r#","depth":"#, Value::Number(*depth));
        add(r#","prev":"#, Value::Bytes(prev.as_ref().map_or(&[], |it| it.as_bytes())));
        add(r#","t":"#, Value::Number(received.0));
        bytes.push(b'}');
        bytes
    }

    /// Reads a leaf's bytes, if they are in its one form.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let wire: Wire = serde_json::from_slice(bytes).ok()?;
        let digest = |it: &str| Sha256::parse(it).ok();
        let leaf = Self {
            id: EventId::parse(&wire.id).ok()?,
            body: BodyId::from_digest(digest(&wire.body)?),
            author: Address::parse(&format!("0x{}", wire.pubkey)).ok()?,
            sid: Sid::parse(&wire.sid).ok(),
            kind: Kind(wire.key),
            at: Position {
                seq: wire.seq,
                n: wire.n,
                tick: wire.tick,
                depth: wire.depth,
                prev: if wire.prev.is_empty() { None } else { Some(digest(&wire.prev)?) },
                received: UnixSeconds(wire.t),
            },
        };
        (leaf.to_bytes() == bytes).then_some(leaf)
    }
}

/// What a leaf says of an event, one thing of it.
enum Value<'l> {
    Number(u64),
    Text(&'l str),
    /// Is written as the text of its hex digits.
    Bytes(&'l [u8]),
}

impl Value<'_> {
    fn append(self, bytes: &mut Vec<u8>) {
        match self {
            Self::Number(number) => super::append_json(bytes, &number),
            Self::Text(text) => super::append_json(bytes, text),
            Self::Bytes(value) => {
                bytes.push(b'"');
                hex::append(value, bytes);
                bytes.push(b'"');
            }
        }
    }
}

/// A leaf's fields as they are written.
#[derive(Deserialize)]
struct Wire {
    seq: u64,
    id: String,
    body: String,
    pubkey: String,
    sid: String,
    key: u16,
    n: u64,
    tick: u64,
    depth: u64,
    prev: String,
    t: u64,
}
