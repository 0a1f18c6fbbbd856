//! An index that holds: the document in force.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use base::{ModelId, Sha256};

use crate::entry::Entry;

/// A valid index, its entries in the order of the file.
#[derive(Clone, Debug)]
pub struct Index {
    text: Arc<str>,
    digest: Sha256,
    entries: Vec<Arc<Listed>>,
    places: BTreeMap<ModelId, usize>,
}

/// An entry and what is known of it from its place in the index.
#[derive(Debug)]
pub struct Listed {
    /// The entry.
    pub entry: Entry,
    /// Whether it holds placeholders: never deployed.
    pub is_stub: bool,
    span: Range<usize>,
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
    pub(crate) fn new(text: Arc<str>, entries: Vec<Listed>) -> Self {
        let entries = entries.into_iter().map(Arc::new).collect::<Vec<_>>();
        let places = entries.iter().enumerate().map(|(at, it)| (it.entry.id.clone(), at)).collect();
        Self { digest: Sha256::of(text.as_bytes()), text, entries, places }
    }

    /// Returns the document as it stands in the file.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the digest of the document's bytes.
    pub fn digest(&self) -> Sha256 {
        self.digest
    }

    /// Returns an entry.
    pub fn entry(&self, id: &ModelId) -> Option<&Arc<Listed>> {
        self.places.get(id).map(|at| &self.entries[*at])
    }

    /// Returns an entry, or what to tell the person who asked for it.
    pub fn find(&self, id: &str) -> Result<&Arc<Listed>, NotFound> {
        self.places.get(id).map(|at| &self.entries[*at]).ok_or_else(|| {
            let known = self.places.keys().map(ModelId::as_str).collect::<Vec<_>>();
            let nearest = crate::schema::nearest(id, &known).and_then(|it| ModelId::parse(it).ok());
            NotFound { id: id.to_owned(), nearest }
        })
    }

    /// Returns all entries in the order of the file.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Arc<Listed>> {
        self.entries.iter()
    }

    /// Returns an entry as it stands in the file.
    pub fn source(&self, listed: &Listed) -> &str {
        &self.text[listed.span.clone()]
    }
}

impl Listed {
    pub(crate) fn new(entry: Entry, is_stub: bool, span: Range<usize>) -> Self {
        Self { entry, is_stub, span }
    }
}
