//! How an event comes into the graph: whom it names, what it says, and what of that is kept for cards in force.

use super::{ABSENT, Graph, Node, links, pack};
use crate::event::Event;

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

impl Graph {
    /// Takes an event. Returns false if it was here already; it is not taken twice.
    pub fn push(&mut self, event: &Event) -> Result<bool, GraphError> {
        self.push_with_links(event, &[])
    }

    /// Takes an event, and links it to the events before it that it means by name. Events have to come in the order of
    /// their places, so that everybody means the same ones.
    pub fn push_by_name(&mut self, event: &Event) -> Result<bool, GraphError> {
        if event.seq <= self.newest_seq {
            let newest = self.newest_seq;
            return Err(GraphError::Order { id: event.id.clone(), seq: event.seq, newest });
        }
        let is_kind = |node: Node, kind: u32| self.is_visible(node, u64::MAX) && self.kind(node) == kind;
        let meant = |name: links::Name| {
            let by_id = name.as_id().and_then(|(kind, id)| self.find(id).filter(|it| is_kind(*it, kind)));
            by_id.or_else(|| self.bearers.find(&name))
        };
        let links: Vec<Node> = links::used(event).into_iter().filter_map(meant).collect();
        let node = self.take(event, |_| Some(links))?;
        if let Some(node) = node {
            self.bearers.take(event, node);
        }
        Ok(node.is_some())
    }

    /// Takes an event, and ids of further parents that were found by the names in it.
    pub fn push_with_links(&mut self, event: &Event, links: &[String]) -> Result<bool, GraphError> {
        let node = self.take(event, |graph| links.iter().map(|id| graph.node(id)).collect())?;
        Ok(node.is_some())
    }

    /// Takes an event with further parents. Returns its node, or `None` if it was here already.
    fn take(
        &mut self,
        event: &Event,
        links: impl FnOnce(&mut Self) -> Option<Vec<Node>>,
    ) -> Result<Option<Node>, GraphError> {
        let seq = u32::try_from(event.seq).ok().filter(|it| *it != 0 && *it != ABSENT);
        let seq = seq.ok_or_else(|| GraphError::Sequence { id: event.id.clone(), seq: event.seq })?;
        let full = || GraphError::Full { id: event.id.clone() };
        let node = self.node(&event.id).ok_or_else(full)?;
        if self.seq[node as usize] != ABSENT {
            return Ok(None);
        }
        let named = event.parents().into_iter().map(|id| self.node(id));
        let mut parents: Vec<Node> = named.collect::<Option<_>>().ok_or_else(full)?;
        // The tags name each parent once; a link may lead where a tag does.
        for parent in links(self).ok_or_else(full)? {
            if !parents.contains(&parent) {
                parents.push(parent);
            }
        }
        let author = self.people.intern(&event.pubkey).ok_or_else(full)?;
        let voice = self.voice(event.kind, author).ok_or_else(full)?;
        let packed_at = u32::try_from(self.packed.len()).map_err(|_| full())?;
        if !self.parents.fits(node, parents.len()) {
            return Err(full());
        }
        self.pack(event);
        let index = node as usize;
        self.created_at[index] = u32::try_from(event.created_at).unwrap_or(ABSENT);
        if self.created_at[index] == ABSENT {
            self.odd_times.insert(node, event.created_at);
        }
        self.voice[index] = voice;
        self.packed_at[index] = packed_at;
        for parent in &parents {
            self.children.add(*parent, node);
        }
        self.parents.set(node, &parents);
        self.seq[index] = seq;
        self.events += 1;
        self.newest_seq = self.newest_seq.max(event.seq);
        self.fill_columns(node);
        if self.children.wants_sealing() {
            self.seal();
        }
        Ok(Some(node))
    }

    fn node(&mut self, id: &str) -> Option<Node> {
        let node = self.ids.intern(id)?;
        if node as usize == self.seq.len() {
            self.seq.push(ABSENT);
            self.created_at.push(0);
            self.voice.push(0);
            self.parents.grow();
            self.packed_at.push(0);
        }
        Some(node)
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

    fn pack(&mut self, event: &Event) {
        let tags = event.tag_fields();
        let tags = tags.iter().map(|(name, value)| (*name, value));
        pack::pack_map(&mut self.keys, &mut self.packed, tags);
        match event.content.fields() {
            Some(fields) => {
                let fields = fields.iter().map(|(name, value)| (name.as_str(), value));
                pack::pack_map(&mut self.keys, &mut self.packed, fields);
            }
            None => pack::pack_nothing(&mut self.packed),
        }
    }
}
