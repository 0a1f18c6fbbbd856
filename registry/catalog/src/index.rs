//! An index that holds: the document in force.

mod revision;

use std::{ops::Range, sync::Arc};

use base::{ModelId, Sha256};

pub(crate) use self::revision::{Kept, Revision};
use crate::{entry::Entry, hashed::HashedText};

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
        self.place(id).map(|at| &self.0.entries[at]).ok_or_else(|| {
            let known =
                self.0.by_id.iter().map(|at| self.0.entries[*at].entry.id.as_str()).collect::<Vec<_>>();
            let nearest = crate::schema::nearest(id, &known).and_then(|it| ModelId::parse(it).ok());
            NotFound { id: id.to_owned(), nearest }
        })
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
