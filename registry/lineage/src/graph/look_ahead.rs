//! Looking ahead: where in memory the next events will be put.
//!
//! An event's id and its parents stand anywhere in tables that are larger than any cache, and an event waits for memory
//! at each of them. Whoever has several events at hand has them looked up at once, and the waits are one.

use super::{Graph, Text};
use crate::event::{Fact, PARENT_TAG};

/// How many ids are looked up at once: what that brings into a cache stays there until it is used.
const IDS_MAX: usize = 512;

impl Graph {
    /// Looks up where the events stand that come next, so that each is taken sooner. Changes nothing else.
    pub fn look_ahead<'f, F: Fact + 'f>(&self, facts: impl IntoIterator<Item = &'f F>) {
        let parents = |fact: &'f F| {
            let tags = fact.tags().filter_map(|mut tag| (tag.next() == Some(PARENT_TAG)).then_some(tag));
            tags.flatten().map(Text::of)
        };
        let ids = facts.into_iter().flat_map(|it| std::iter::once(it.id().0).chain(parents(it)));
        self.children.touch(&self.ids.touch(ids, IDS_MAX));
    }
}
