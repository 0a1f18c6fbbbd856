//! A path into what an event says itself, ready for one event after the other.

use super::Graph;
use crate::{selector::Path, walk::Bound};

/// A path whose names are looked up again only when fields of new names came.
#[derive(Debug)]
pub(super) struct OwnPath {
    path: Path,
    /// The path as it was when there were so many names.
    bound: Bound,
    names: usize,
}

impl OwnPath {
    pub(super) fn new(path: Path, graph: &Graph) -> Self {
        Self { bound: Bound::of(&path, graph), path, names: graph.keys().len() }
    }

    pub(super) fn is(&self, path: &Path) -> bool {
        self.path == *path
    }

    /// Returns the path for the events that a graph has taken: of their names none is ever forgotten.
    pub(super) fn bound(&mut self, graph: &Graph) -> &Bound {
        let names = graph.keys().len();
        if names != self.names {
            (self.bound, self.names) = (Bound::of(&self.path, graph), names);
        }
        &self.bound
    }
}
