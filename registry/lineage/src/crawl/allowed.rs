//! Which events a card allows, and which a query finds.

use crate::{
    graph::{Graph, Node},
    item::{EventFilter, Query},
};

/// Which event may be visited, as numbers of the graph.
pub(super) struct Allowed {
    kinds: Option<Vec<u32>>,
    authors: Option<Vec<u32>>,
}

impl Allowed {
    pub(super) fn of(filter: &EventFilter, graph: &Graph) -> Self {
        let authors = filter.authors.as_ref();
        Self {
            kinds: filter.kinds.as_ref().map(|it| it.iter().copied().collect()),
            authors: authors.map(|it| it.iter().filter_map(|pubkey| graph.find_author(pubkey)).collect()),
        }
    }

    pub(super) fn holds(&self, graph: &Graph, node: Node) -> bool {
        let kind = self.kinds.as_ref().is_none_or(|it| it.contains(&graph.kind(node)));
        kind && self.authors.as_ref().is_none_or(|it| it.contains(&graph.author(node)))
    }
}

/// Finds the events of a query, by time and id.
pub(crate) fn find(graph: &Graph, query: &Query, at: u64) -> Vec<Node> {
    let allowed = Allowed::of(&query.filter, graph);
    let has_tags = |node: Node| {
        let (tags, _) = graph.fields(node);
        query.tags.iter().all(|(name, wanted)| {
            let mut found = false;
            if let Some(value) = graph.keys().get(name).and_then(|key| tags.field(key)) {
                value.flatten(&mut |it| found |= it.into_text().is_some_and(|text| text == wanted.as_str()));
            }
            found
        })
    };
    let mut nodes: Vec<Node> =
        graph.visible(at).filter(|it| allowed.holds(graph, *it) && has_tags(*it)).collect();
    nodes.sort_unstable_by(|left, right| graph.compare(*left, *right));
    nodes
}
