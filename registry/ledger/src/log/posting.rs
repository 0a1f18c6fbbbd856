//! Postings: under which keys an event is found, and in which order.
//!
//! Keys are hashes; two things may share one. So what a key leads to is always held against the filter itself.

use std::{cell::RefCell, cmp::Ordering};

use base::{Address, Sha256};

use crate::{
    event::{Kind, Signed},
    filter::PARENT,
    lately::Lately,
};

/// The key under which every event is.
pub(super) const EVERYTHING: u64 = 0;

/// The bytes of a posting in a chunk.
pub(super) const POSTING_BYTES: usize = 18;

/// How much room a thread keeps to put a key together.
const BUFFER_BYTES: usize = 1024;

/// How many postings a chunk has.
pub(super) const CHUNK_POSTINGS: usize = if cfg!(test) { 8 } else { 128 };

/// One event under one key, ordered as subscribers get events: the newest first, then the lowest id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Posting {
    pub(super) created_at: u64,
    /// The first eight bytes of the id.
    pub(super) id: u64,
    /// The place within its era.
    pub(super) offset: u16,
}

impl Posting {
    pub(super) fn new(event: &Signed, offset: u16) -> Self {
        Self { created_at: event.created_at().0, id: prefix(event.id().as_bytes()), offset }
    }

    /// Returns what postings of several eras are merged by.
    pub(super) fn rank(&self) -> Rank {
        Rank { created_at: self.created_at, id: self.id }
    }

    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.created_at.to_be_bytes());
        bytes.extend_from_slice(&self.id.to_be_bytes());
        bytes.extend_from_slice(&self.offset.to_be_bytes());
    }

    /// Reads postings that stand one behind the other.
    pub(super) fn read_all(bytes: &[u8]) -> Vec<Self> {
        bytes.as_chunks().0.iter().map(Self::read).collect()
    }

    fn read(bytes: &[u8; POSTING_BYTES]) -> Self {
        let (created_at, id, offset) = (number(&bytes[..8]), number(&bytes[8..16]), number(&bytes[16..]));
        // Two bytes hold no more.
        Self { created_at, id, offset: u16::try_from(offset).unwrap_or(u16::MAX) }
    }
}

/// Reads up to eight bytes as a number, the highest first.
pub(super) fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

impl Ord for Posting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank()).then(self.offset.cmp(&other.offset))
    }
}

impl PartialOrd for Posting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A place in the order of subscribers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rank {
    pub(super) created_at: u64,
    pub(super) id: u64,
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        other.created_at.cmp(&self.created_at).then(self.id.cmp(&other.id))
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Returns the first eight bytes of a digest as a number.
pub(super) fn prefix(digest: &[u8; 32]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(bytes)
}

/// Returns the numbers under which an event's id and body are known. They are one for most.
pub(super) fn names(event: &Signed) -> (u64, u64) {
    (prefix(event.id().as_bytes()), prefix(event.body().digest().as_bytes()))
}

/// Lists the keys of an event, each once.
pub(super) fn keys(event: &Signed) -> Vec<u64> {
    let (kind, author) = (event.kind(), event.author().address());
    let mut keys = Vec::with_capacity(event.tags().len() + 8);
    keys.extend([EVERYTHING, of_kind(kind), of_author(author), of_author_kind(author, kind)]);
    for tag in event.tags().iter() {
        let indexed = if tag.name() == PARENT { tag.values().len() } else { 1 };
        for value in tag.values().take(indexed) {
            keys.push(of_tag(tag.name(), value));
            if tag.name() == "sid" {
                keys.push(of_sid_kind(value, kind));
            }
        }
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

pub(super) fn of_kind(kind: Kind) -> u64 {
    key(&[b"kind", &kind.0.to_be_bytes()])
}

pub(super) fn of_author(author: Address) -> u64 {
    key(&[b"author", author.as_bytes()])
}

pub(super) fn of_author_kind(author: Address, kind: Kind) -> u64 {
    key(&[b"author-kind", author.as_bytes(), &kind.0.to_be_bytes()])
}

pub(super) fn of_sid_kind(sid: &str, kind: Kind) -> u64 {
    key(&[b"sid-kind", sid.as_bytes(), &kind.0.to_be_bytes()])
}

pub(super) fn of_tag(name: &str, value: &str) -> u64 {
    key(&[b"tag", name.as_bytes(), value.as_bytes()])
}

thread_local! {
    static KEYS: RefCell<Keys> = RefCell::default();
}

/// Puts keys together, for one thread.
#[derive(Default)]
struct Keys {
    /// What is hashed: an event has some dozen keys, nearly all of them short.
    bytes: Vec<u8>,
    lately: Lately<u64>,
}

impl Keys {
    fn key(&mut self, parts: &[&[u8]]) -> u64 {
        self.bytes.clear();
        // One long text is no reason to keep so much for ever.
        self.bytes.shrink_to(BUFFER_BYTES);
        for part in parts {
            self.bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            self.bytes.extend_from_slice(part);
        }
        let bytes = self.bytes.as_slice();
        self.lately.get(bytes, || prefix(Sha256::of(bytes).as_bytes()).max(1))
    }
}

/// Hashes some parts with their lengths, so that no two lists of parts are the same bytes.
fn key(parts: &[&[u8]]) -> u64 {
    KEYS.with_borrow_mut(|it| it.key(parts))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_key_is_the_same_whatever_came_before(
            tags in prop::collection::vec(("[a-c]{0,2}", "[a-c]{0,2}|.{0,300}"), 1..60),
        ) {
            for (name, value) in tags {
                let parts = ["tag", &name, &value];
                let plain = parts.map(|it| [&(it.len() as u64).to_be_bytes(), it.as_bytes()].concat()).concat();
                prop_assert_eq!(of_tag(&name, &value), prefix(Sha256::of(&plain).as_bytes()).max(1));
            }
        }
    }
}
