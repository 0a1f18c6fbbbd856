//! All events in memory, ready to be crawled: who names whom as parent, in both directions, and their fields packed.
//!
//! - The order in which events are pushed changes no answer: children come by time and id, never by arrival.
//! - An event is visible at a sequence if its own is not larger. Nothing invisible is counted, visited or listed.
//! - No JSON is parsed after [`Graph::push`].
//! - About 150 bytes an event with 120 bytes of content and totals for two features; `tests/bench/lineage` prints it.

mod below;
pub(crate) mod children;
pub(crate) mod columns;
mod index;
mod intake;
mod lately;
mod links;
mod look_ahead;
mod names;
mod own_path;
pub(crate) mod pack;
mod parents;
pub(crate) mod totals;

use std::{borrow::Cow, cmp::Ordering, collections::BTreeMap};

pub use below::Below;
use children::Children;
use columns::Column;
pub use intake::GraphError;
use links::Bearers;
use names::Names;
pub(crate) use names::Text;
use pack::{Keys, Values, View};
use parents::Parents;
use totals::Totals;

use crate::event::Fact;

/// A node's place in the graph's tables. A node without event is an id that somebody named as parent.
pub(crate) type Node = u32;

/// The sequence of a node whose event never came.
const ABSENT: u32 = u32::MAX;

/// The events of a ledger as a graph.
#[derive(Debug, Default)]
pub struct Graph {
    ids: Names,
    people: Names,
    keys: Keys,
    bearers: Bearers,
    seq: Vec<u32>,
    /// In seconds; [`ABSENT`] for the few that do not fit, whose times are in `odd_times`.
    created_at: Vec<u32>,
    odd_times: BTreeMap<Node, u64>,
    /// Which pair of kind and author: there are few, and many events of each.
    voice: Vec<u32>,
    voices: Vec<(u32, u32)>,
    voice_numbers: BTreeMap<(u32, u32), u32>,
    parents: Parents,
    /// Where a node's packed fields stand in `packed`.
    packed_at: Vec<u32>,
    packed: Vec<u8>,
    children: Children,
    columns: Vec<Column>,
    totals: Vec<Totals>,
    events: usize,
    /// The largest sequence: at it and after it, all that came is visible.
    newest_seq: u64,
}

impl Graph {
    /// Starts without events.
    pub fn new() -> Self {
        Self::default()
    }

    /// Builds the graph of some events, in whatever order they come.
    pub fn of<'e, F: Fact + 'e>(events: impl IntoIterator<Item = &'e F>) -> Result<Self, GraphError> {
        let mut graph = Self::new();
        for event in events {
            graph.push(event)?;
        }
        graph.settle();
        Ok(graph)
    }

    /// Puts the newest edges among the others, which makes crawling fast. Answers stay the same.
    pub fn seal(&mut self) {
        let mut children = std::mem::take(&mut self.children);
        children.seal(self.ids.len(), |left, right| self.compare(*left, *right));
        self.children = children;
    }

    /// Seals, and gives back the memory that growing took ahead. Worth it after many events.
    pub fn settle(&mut self) {
        self.seal();
        self.seq.shrink_to_fit();
        self.created_at.shrink_to_fit();
        self.voice.shrink_to_fit();
        self.parents.shrink();
        self.packed_at.shrink_to_fit();
        self.packed.shrink_to_fit();
        self.ids.shrink();
        self.bearers.shrink();
        self.columns.iter_mut().for_each(Column::shrink);
        self.totals.iter_mut().for_each(Totals::shrink);
    }

    /// Returns how many events there are.
    pub fn len(&self) -> usize {
        self.events
    }

    /// Says whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// Returns about how many bytes of memory the graph takes.
    pub fn memory_bytes(&self) -> usize {
        let tables = self.seq.capacity() * 4
            + self.created_at.capacity() * 4
            + self.voice.capacity() * 4
            + self.voices.len() * 32
            + self.odd_times.len() * 24
            + self.bearers.memory_bytes()
            + self.packed_at.capacity() * 4;
        let edges = self.parents.memory_bytes() + self.children.memory_bytes();
        let columns: usize = self.columns.iter().map(Column::memory_bytes).sum();
        let totals: usize = self.totals.iter().map(Totals::memory_bytes).sum();
        columns
            + totals
            + tables
            + edges
            + self.packed.capacity()
            + self.ids.memory_bytes()
            + self.people.memory_bytes()
    }

    /// Returns the largest time that a visible event says it was made at, 0 without any.
    pub(crate) fn newest_time(&self, at: u64) -> u64 {
        self.visible(at).map(|node| self.created_at(node)).max().unwrap_or(0)
    }

    /// Lists the visible events, in no order that means anything.
    pub(crate) fn visible(&self, at: u64) -> impl Iterator<Item = Node> {
        (0..self.nodes_end()).filter(move |node| self.is_visible(*node, at))
    }

    pub(crate) fn node_count(&self) -> usize {
        self.ids.len()
    }

    /// Returns the number that the next node will have.
    pub(crate) fn nodes_end(&self) -> Node {
        u32::try_from(self.ids.len()).unwrap_or(ABSENT)
    }

    /// Says whether every event that came is visible at a sequence.
    pub(crate) fn sees_all(&self, at: u64) -> bool {
        at >= self.newest_seq
    }

    pub(crate) fn find(&self, id: &str) -> Option<Node> {
        self.ids.find(Text::of(id))
    }

    pub(crate) fn is_visible(&self, node: Node, at: u64) -> bool {
        let seq = self.seq[node as usize];
        seq != ABSENT && u64::from(seq) <= at
    }

    pub(crate) fn id(&self, node: Node) -> Cow<'_, str> {
        self.ids.text(node)
    }

    /// Appends the id of a node.
    pub(crate) fn append_id(&self, node: Node, out: &mut Vec<u8>) {
        self.ids.append_text(node, out);
    }

    pub(crate) fn pubkey(&self, node: Node) -> Cow<'_, str> {
        self.people.text(self.author(node))
    }

    pub(crate) fn author(&self, node: Node) -> u32 {
        self.voices[self.voice[node as usize] as usize].1
    }

    pub(crate) fn find_author(&self, pubkey: &str) -> Option<u32> {
        self.people.find(Text::of(pubkey))
    }

    pub(crate) fn seq(&self, node: Node) -> u64 {
        u64::from(self.seq[node as usize])
    }

    pub(crate) fn created_at(&self, node: Node) -> u64 {
        match self.created_at[node as usize] {
            ABSENT => self.odd_times.get(&node).copied().unwrap_or(0),
            seconds => u64::from(seconds),
        }
    }

    pub(crate) fn kind(&self, node: Node) -> u32 {
        self.voices[self.voice[node as usize] as usize].0
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) fn parents(&self, node: Node) -> &[Node] {
        self.parents.of_node(node)
    }

    pub(crate) fn parent_links(&self) -> &Parents {
        &self.parents
    }

    pub(crate) fn rows(&self) -> &Children {
        &self.children
    }

    /// Puts the visible children of a node into a list, by time and id.
    pub(crate) fn children_into(&self, node: Node, at: u64, list: &mut Vec<Node>) {
        list.clear();
        // A child is an event that came, so a sequence that sees all sees it.
        let sees = |child: &Node| self.sees_all(at) || self.is_visible(*child, at);
        list.extend(self.children.sealed(node).iter().copied().filter(sees));
        if self.children.is_sealed() {
            return;
        }
        let sealed = list.len();
        list.extend(self.children.waiting(node).filter(sees));
        if list.len() > sealed {
            list.sort_unstable_by(|left, right| self.compare(*left, *right));
        }
    }

    /// Orders events by time and id, which is the order of `first` and `last`.
    pub(crate) fn compare(&self, left: Node, right: Node) -> Ordering {
        let by_time = self.created_at(left).cmp(&self.created_at(right));
        by_time.then_with(|| self.ids.compare(left, right))
    }

    /// Returns the fields of the tags, and those of the content.
    pub(crate) fn fields(&self, node: Node) -> (View<'_>, View<'_>) {
        let mut values = Values::of(&self.packed[self.packed_at[node as usize] as usize..]);
        let tags = values.next().unwrap_or(View::Null);
        (tags, values.next().unwrap_or(View::Null))
    }
}
