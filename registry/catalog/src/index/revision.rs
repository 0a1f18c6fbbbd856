//! The next index from the one before, where most entries stay.

use std::{collections::HashMap, ops::Range, sync::Arc};

use base::Sha256;

use super::{Index, Listed, Parts};
use crate::{entry::SizeBytes, hashed::HashedText};

/// How many entries at the beginning and at the end of an index stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) head: usize,
    pub(crate) tail: usize,
}

/// What stands between the entries that stay, checked against them.
pub(crate) struct Revision {
    kept: Kept,
    entries: Vec<Arc<Listed>>,
    spans: Vec<Range<usize>>,
    /// The places in the new list, in the order of the ids.
    by_id: Vec<usize>,
}

impl Revision {
    /// Puts entries, which have been checked with each other, in the place of those that do not stay. `None` if one of
    /// them and one that stays contradict each other: an id would stand twice, or a digest have two sizes.
    pub(crate) fn of(old: &Index, kept: Kept, fresh: Vec<(Listed, Range<usize>)>) -> Option<Self> {
        let (entries, spans) =
            fresh.into_iter().map(|(it, span)| (Arc::new(it), span)).unzip::<_, _, Vec<_>, _>();
        let by_id = ids_in_order(old, kept, &entries)?;
        sizes_agree(old, kept, &entries).then_some(Self { kept, entries, spans, by_id })
    }

    /// Returns how many of the entries are stubs, and how many of those were whose place they take.
    pub(crate) fn stubs(&self, old: &Index) -> (usize, usize) {
        let count = |it: &[Arc<Listed>]| it.iter().filter(|it| it.is_stub).count();
        (count(&self.entries), count(&old.listed()[self.kept.gone(old)]))
    }
}

impl Kept {
    /// Returns the places of the entries that do not stay.
    pub(crate) fn gone(self, old: &Index) -> Range<usize> {
        self.head..old.listed().len() - self.tail
    }
}

impl Index {
    /// Returns the index that stands in a new text: the entries that stay are the same ones.
    pub(crate) fn revised(&self, text: HashedText, revision: Revision) -> Self {
        let Revision { kept, entries, spans, by_id } = revision;
        let gone = kept.gone(self);
        let HashedText { text, digest } = text;
        let (old_length, new_length) = (self.text().len(), text.len());
        let moved = |it: &Range<usize>| it.start + new_length - old_length..it.end + new_length - old_length;
        let (old, old_spans) = (self.listed(), self.spans());
        let entries = [&old[..gone.start], &entries, &old[gone.end..]].concat();
        let tail_spans = old_spans[gone.end..].iter().map(moved);
        let spans = old_spans[..gone.start].iter().cloned().chain(spans).chain(tail_spans).collect();
        Self(Arc::new(Parts { text, digest, entries, spans, by_id }))
    }
}

/// Returns the places in the new list in the order of the ids, or `None` if an id stands twice.
fn ids_in_order(old: &Index, kept: Kept, fresh: &[Arc<Listed>]) -> Option<Vec<usize>> {
    let gone = kept.gone(old);
    let after = |at: usize| at - gone.len() + fresh.len();
    let staying = old.0.by_id.iter().filter(|at| !gone.contains(at)).copied().collect::<Vec<_>>();
    let new_place = |at: &usize| if *at < gone.start { *at } else { after(*at) };
    let mut order = (0..fresh.len()).collect::<Vec<_>>();
    order.sort_by(|one, other| fresh[*one].entry.id.cmp(&fresh[*other].entry.id));
    let mut by_id = Vec::with_capacity(staying.len() + fresh.len());
    let mut rest = &staying[..];
    for at in order {
        let id = &fresh[at].entry.id;
        let before = rest.partition_point(|it| old.listed()[*it].entry.id < *id);
        if rest.get(before).is_some_and(|it| old.listed()[*it].entry.id == *id) {
            return None;
        }
        by_id.extend(rest[..before].iter().map(new_place));
        by_id.push(gone.start + at);
        rest = &rest[before..];
    }
    by_id.extend(rest.iter().map(new_place));
    Some(by_id)
}

/// Says that no digest has one size in the new entries and another in those that stay.
fn sizes_agree(old: &Index, kept: Kept, fresh: &[Arc<Listed>]) -> bool {
    let gone = kept.gone(old);
    // What the entries before them said already agreed with the rest.
    let known = old.listed()[gone.clone()].iter().flat_map(|it| files(it)).collect::<HashMap<_, _>>();
    let news = fresh.iter().flat_map(|it| files(it)).filter(|(digest, size)| known.get(digest) != Some(size));
    let news = news.collect::<HashMap<_, _>>();
    let agree =
        |it: &Arc<Listed>| files(it).all(|(digest, size)| news.get(&digest).is_none_or(|it| *it == size));
    news.is_empty()
        || (old.listed()[..gone.start].iter().all(agree) && old.listed()[gone.end..].iter().all(agree))
}

/// Returns the digests and sizes of an entry's files; all stubs share the zero digest, whatever size they claim.
fn files(listed: &Listed) -> impl Iterator<Item = (Sha256, SizeBytes)> {
    let artifact = &listed.entry.artifact;
    let companions = artifact.files.iter().map(|it| (it.sha256, it.size_bytes));
    std::iter::once((artifact.sha256, artifact.size_bytes)).chain(companions).filter(|it| !it.0.is_zero())
}
