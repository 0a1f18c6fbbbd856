//! An index that holds: the document in force.

mod revision;

use std::{ops::Range, sync::Arc};

use base::{ModelId, Sha256};

pub(crate) use self::revision::{Kept, Revision};
use crate::{entry::Entry, hashed::HashedText};

/// How many ids are compared with one that is not there.
const COMPARED_MAX: usize = 1_000;

/// A valid index, its entries in the order of the file. To clone it is to share it.
#[derive(Clone, Debug)]
pub struct Index(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    text: String,
    digest: Sha256,
    entries: Vec<Arc<Listed>>,
    /// Where each entry stands in the text. Kept beside the entries, so that one that moves along with the text
    /// stays the same entry.
    spans: Vec<Range<usize>>,
    /// The places in `entries`, in the order of the ids.
    by_id: Vec<usize>,
}

/// An entry and what is known of it from its index.
#[derive(Debug, PartialEq)]
pub struct Listed {
    /// The entry.
    pub entry: Entry,
    /// Whether it holds placeholders: never deployed.
    pub is_stub: bool,
}

/// The text that people search for when a model is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Model '{id}' not found in index")]
pub struct NotFound {
    /// Which one.
    pub id: String,
    /// The id that was probably meant.
    pub nearest: Option<ModelId>,
}

impl Index {
    /// Puts an index together whose entries have been checked, alone and with each other.
    pub(crate) fn new(text: HashedText, listed: Vec<(Listed, Range<usize>)>) -> Self {
        let (entries, spans) =
            listed.into_iter().map(|(it, span)| (Arc::new(it), span)).unzip::<_, _, Vec<_>, _>();
        let mut by_id = (0..entries.len()).collect::<Vec<_>>();
        by_id.sort_by(|one, other| entries[*one].entry.id.cmp(&entries[*other].entry.id));
        let HashedText { text, digest } = text;
        Self(Arc::new(Parts { text, digest, entries, spans, by_id }))
    }

    /// Returns the document as it stands in the file.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Returns the digest of the document's bytes.
    pub fn digest(&self) -> Sha256 {
        self.0.digest
    }

    /// Returns an entry.
    pub fn entry(&self, id: &ModelId) -> Option<&Arc<Listed>> {
        self.place(id.as_str()).map(|at| &self.0.entries[at])
    }

    /// Returns an entry, or what to tell the person who asked for it.
    pub fn find(&self, id: &str) -> Result<&Arc<Listed>, NotFound> {
        self.place(id)
            .map(|at| &self.0.entries[at])
            .ok_or_else(|| NotFound { id: id.to_owned(), nearest: self.nearest(id) })
    }

    /// Returns the id that was probably meant. Anybody may ask for any id, so not all of a large index are compared:
    /// who mistypes an id mostly has its beginning right.
    fn nearest(&self, id: &str) -> Option<ModelId> {
        let Parts { entries, by_id, .. } = &*self.0;
        let place = by_id.partition_point(|at| entries[*at].entry.id.as_str() < id);
        let begin = place.saturating_sub(COMPARED_MAX / 2).min(by_id.len().saturating_sub(COMPARED_MAX));
        let known = by_id[begin..].iter().take(COMPARED_MAX).map(|at| entries[*at].entry.id.as_str());
        crate::schema::nearest(id, &known.collect::<Vec<_>>()).and_then(|it| ModelId::parse(it).ok())
    }

    /// Returns all entries in the order of the file.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Arc<Listed>> {
        self.0.entries.iter()
    }

    /// Returns an entry as it stands in the file.
    pub fn source(&self, id: &ModelId) -> Option<&str> {
        self.place(id.as_str()).map(|at| &self.0.text[self.0.spans[at].clone()])
    }

    /// Returns all entries as a slice, for a look at several of them at once.
    pub(crate) fn listed(&self) -> &[Arc<Listed>] {
        &self.0.entries
    }

    /// Returns the places of all entries in the text.
    pub(crate) fn spans(&self) -> &[Range<usize>] {
        &self.0.spans
    }

    fn place(&self, id: &str) -> Option<usize> {
        let Parts { entries, by_id, .. } = &*self.0;
        let found = by_id.binary_search_by(|at| entries[*at].entry.id.as_str().cmp(id));
        found.ok().map(|it| by_id[it])
    }
}
