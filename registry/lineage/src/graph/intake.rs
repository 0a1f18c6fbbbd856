//! How an event comes into the graph: whom it names, what it says, and what of that is kept for cards in force.
//!
//! An event is read where it stands: nothing of it is copied but what the graph keeps.

use std::collections::BTreeSet;

use super::{
    ABSENT, Graph, Node,
    links::{self, Names},
    names::Text,
    pack,
};
use crate::event::{Fact, PARENT_TAG};

/// Why an event was not taken.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// A table is full: this graph holds no more events.
    #[error("no room for event {id}: the graph is full")]
    Full {
        /// Which event was not taken.
        id: String,
    },
    /// Its place in the ledger is not from 1 to 4294967294.
    #[error("event {id} has no place in the ledger: seq is {seq}")]
    Sequence {
        /// Which event was not taken.
        id: String,
        /// The place it said it has.
        seq: u64,
    },
    /// It was to be linked by name, and its place is before that of another.
    #[error("event {id} at {seq} comes after {newest}: names are looked up in the ledger's order")]
    Order {
        /// Which event was not taken.
        id: String,
        /// Its place.
        seq: u64,
        /// The last place so far.
        newest: u64,
    },
}

/// An event for which there is room: its fields are packed, and it is in no list yet.
struct Begun {
    node: Node,
    seq: u32,
    /// Whom it names, each once.
    parents: Vec<Node>,
}

impl Graph {
    /// Takes an event. Returns false if it was here already; it is not taken twice.
    pub fn push(&mut self, fact: &impl Fact) -> Result<bool, GraphError> {
        self.push_with_links(fact, &[])
    }

    /// Takes an event, and links it to the events before it that it means by name. Events have to come in the order of
    /// their places, so that everybody means the same ones.
    pub fn push_by_name(&mut self, fact: &impl Fact) -> Result<bool, GraphError> {
        if fact.seq() <= self.newest_seq {
            let newest = self.newest_seq;
            return Err(GraphError::Order { id: fact.id().0.to_string(), seq: fact.seq(), newest });
        }
        let Some(mut begun) = self.begin(fact, &[])? else { return Ok(false) };
        let names = Names::of(fact, || (self.fields(begun.node).1, &self.keys));
        for name in &names.used {
            // A link may lead where a tag does.
            if let Some(parent) = self.meant(name).filter(|it| !begun.parents.contains(it)) {
                begun.parents.push(parent);
            }
        }
        self.bearers.take(&names.borne, begun.node);
        self.complete(fact, &begun);
        Ok(true)
    }

    /// Takes an event, and ids of further parents that were found by the names in it.
    pub fn push_with_links(&mut self, fact: &impl Fact, links: &[String]) -> Result<bool, GraphError> {
        let begun = self.begin(fact, links)?;
        if let Some(begun) = &begun {
            self.complete(fact, begun);
        }
        Ok(begun.is_some())
    }

    /// Returns the event before that a name means.
    fn meant(&self, name: &links::Name) -> Option<Node> {
        let of_kind =
            |kind: u32| move |node: &Node| self.is_visible(*node, u64::MAX) && self.kind(*node) == kind;
        let by_id = name.as_id().and_then(|(kind, id)| self.ids.find(Text::Hex(id)).filter(of_kind(kind)));
        by_id.or_else(|| self.bearers.find(name))
    }

    /// Makes room for an event with further parents, and packs what it says. `None` if it was here already.
    fn begin(&mut self, fact: &impl Fact, links: &[String]) -> Result<Option<Begun>, GraphError> {
        let id = fact.id().0;
        let seq = u32::try_from(fact.seq()).ok().filter(|it| *it != 0 && *it != ABSENT);
        let seq = seq.ok_or_else(|| GraphError::Sequence { id: id.to_string(), seq: fact.seq() })?;
        let full = || GraphError::Full { id: id.to_string() };
        let node = self.ids.intern(id).ok_or_else(full)?;
        self.make_room(node);
        if self.seq[node as usize] != ABSENT {
            return Ok(None);
        }
        let mut parents = Vec::new();
        for tag in fact.tags() {
            let mut texts = tag.fuse();
            if texts.next() == Some(PARENT_TAG) {
                for parent in texts {
                    parents.push(self.parent(parent).ok_or_else(full)?);
                }
            }
        }
        for parent in links {
            parents.push(self.parent(parent).ok_or_else(full)?);
        }
        keep_first(&mut parents);
        let author = self.people.intern_again(Text::of(fact.pubkey())).ok_or_else(full)?;
        let voice = self.voice(fact.kind(), author).ok_or_else(full)?;
        let packed_at = u32::try_from(self.packed.len()).map_err(|_| full())?;
        if !self.parents.fits(node, parents.len() + links::NAMES_MAX) {
            return Err(full());
        }
        pack::pack_tags(&mut self.keys, &mut self.packed, fact);
        pack::pack_content(&mut self.keys, &mut self.packed, fact.content());
        let index = node as usize;
        self.packed_at[index] = packed_at;
        self.voice[index] = voice;
        Ok(Some(Begun { node, seq, parents }))
    }

    /// Puts an event into the lists: from here on it is seen.
    fn complete(&mut self, fact: &impl Fact, begun: &Begun) {
        let (node, index) = (begun.node, begun.node as usize);
        self.created_at[index] = u32::try_from(fact.created_at()).unwrap_or(ABSENT);
        if self.created_at[index] == ABSENT {
            self.odd_times.insert(node, fact.created_at());
        }
        for parent in &begun.parents {
            self.children.add(*parent, node);
        }
        self.parents.set(node, &begun.parents);
        self.seq[index] = begun.seq;
        self.events += 1;
        self.newest_seq = self.newest_seq.max(u64::from(begun.seq));
        self.fill_columns(node);
        if self.children.wants_sealing() {
            self.seal();
        }
    }

    /// Returns the node of a parent: most came not long ago.
    fn parent(&mut self, id: &str) -> Option<Node> {
        let node = self.ids.intern_again(Text::of(id))?;
        self.make_room(node);
        Some(node)
    }

    /// Makes room for a node, if it is the next.
    fn make_room(&mut self, node: Node) {
        if node as usize == self.seq.len() {
            self.seq.push(ABSENT);
            self.created_at.push(0);
            self.voice.push(0);
            self.parents.grow();
            self.packed_at.push(0);
        }
    }

    /// Returns the number of a pair of kind and author.
    fn voice(&mut self, kind: u32, author: u32) -> Option<u32> {
        let next = u32::try_from(self.voices.len()).ok()?;
        let number = *self.voice_numbers.entry((kind, author)).or_insert(next);
        if number == next {
            self.voices.push((kind, author));
        }
        Some(number)
    }
}

/// Leaves each node where it stands first.
fn keep_first(nodes: &mut Vec<Node>) {
    match nodes.as_slice() {
        [] | [_] => {}
        [first, second] if first != second => {}
        _ => {
            let mut seen = BTreeSet::new();
            nodes.retain(|it| seen.insert(*it));
        }
    }
}

#[cfg(test)]
mod tests;
