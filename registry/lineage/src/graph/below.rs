//! What rests on something: all that lies below some events, and questions that need no card.

use std::collections::VecDeque;

use super::{Graph, Node};
use crate::{bits::Bits, crawl, item::Query};

/// All that rests on some events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Below {
    /// The ids: those asked for first, then what lies below them, the nearest first.
    pub ids: Vec<String>,
    /// Whether there is more than was allowed to be visited.
    pub is_cut: bool,
}

impl Graph {
    /// Lists what rests on some events and is visible at a sequence, at most `nodes_max` of it.
    pub fn below(&self, starts: &[String], at: u64, nodes_max: usize) -> Below {
        let mut seen = Bits::new(self.node_count());
        let starts = starts.iter().filter_map(|it| self.find(it)).filter(|it| self.is_visible(*it, at));
        let mut queue: VecDeque<Node> = starts.filter(|it| seen.insert(*it)).collect();
        let (mut ids, mut children) = (Vec::new(), Vec::new());
        while let Some(node) = queue.pop_front() {
            if ids.len() >= nodes_max {
                return Below { ids, is_cut: true };
            }
            ids.push(self.id(node).into_owned());
            self.children_into(node, at, &mut children);
            queue.extend(children.iter().filter(|it| seen.insert(**it)));
        }
        Below { ids, is_cut: false }
    }

    /// Lists the ids of the events that a query finds, by time and id.
    pub fn search(&self, query: &Query, at: u64) -> Vec<String> {
        crawl::find(self, query, at).into_iter().map(|it| self.id(it).into_owned()).collect()
    }

    /// Returns the kind of an event that is here.
    pub fn kind_of(&self, id: &str) -> Option<u32> {
        let node = self.find(id).filter(|it| self.is_visible(*it, u64::MAX))?;
        Some(self.kind(node))
    }

    /// Returns the place of an event that is here.
    pub fn seq_of(&self, id: &str) -> Option<u64> {
        let node = self.find(id).filter(|it| self.is_visible(*it, u64::MAX))?;
        Some(self.seq(node))
    }

    /// Returns the author of an event that is here, as it was signed.
    pub fn author_of(&self, id: &str) -> Option<String> {
        let node = self.find(id).filter(|it| self.is_visible(*it, u64::MAX))?;
        Some(self.pubkey(node).into_owned())
    }

    /// Returns the first value of an event's tag.
    pub fn tag_of(&self, id: &str, name: &str) -> Option<String> {
        let node = self.find(id).filter(|it| self.is_visible(*it, u64::MAX))?;
        let (tags, _) = self.fields(node);
        let mut first = None;
        tags.field(self.keys().get(name)?)?.flatten(&mut |it| {
            if first.is_none() {
                first = it.into_text().map(std::borrow::Cow::into_owned);
            }
        });
        first
    }

    /// Lists the ids that an event rests on: its parents, and what it means by name.
    pub fn parents_of(&self, id: &str) -> Vec<String> {
        let node = self.find(id).filter(|it| self.is_visible(*it, u64::MAX));
        node.map_or(Vec::new(), |it| self.parents(it).iter().map(|it| self.id(*it).into_owned()).collect())
    }

    /// Returns the largest sequence of an event that is here.
    pub fn newest_seq(&self) -> u64 {
        self.newest_seq
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{Event, EventFilter};

    fn graph() -> Graph {
        let event = |seq: u64, kind: u32, tags: serde_json::Value| {
            let text = serde_json::json!({ "id": format!("e{seq}"), "pubkey": "a", "created_at": 1, "kind": kind, "content": "", "seq": seq, "tags": tags });
            serde_json::from_value::<Event>(text).unwrap()
        };
        Graph::of(&[
            event(1, 30405, serde_json::json!([["dataset_id", "d"]])),
            event(2, 30409, serde_json::json!([["parent", "e1"]])),
            event(3, 30404, serde_json::json!([["parent", "e2"], ["model_id", "m", "n"]])),
            event(4, 30408, serde_json::json!([["parent", "e3", "e1"], ["host", "h"]])),
        ])
        .unwrap()
    }

    #[test]
    fn what_lies_below_is_listed_once_and_a_cut_is_said() {
        let graph = graph();
        let below = |at, max| graph.below(&["e1".to_owned(), "none".to_owned()], at, max);
        assert_eq!(
            below(4, 10),
            Below { ids: ["e1", "e2", "e4", "e3"].map(Into::into).into(), is_cut: false }
        );
        assert_eq!(
            below(4, 4),
            Below { ids: ["e1", "e2", "e4", "e3"].map(Into::into).into(), is_cut: false }
        );
        assert_eq!(below(4, 3), Below { ids: ["e1", "e2", "e4"].map(Into::into).into(), is_cut: true });
        assert_eq!(below(2, 10), Below { ids: ["e1", "e2"].map(Into::into).into(), is_cut: false });
        assert_eq!(below(0, 10), Below { ids: vec![], is_cut: false });
    }

    #[test]
    fn an_event_tells_its_kind_place_tags_and_parents() {
        let graph = graph();
        assert_eq!((graph.kind_of("e3"), graph.kind_of("none")), (Some(30404), None));
        assert_eq!((graph.seq_of("e3"), graph.author_of("e3").as_deref()), (Some(3), Some("a")));
        assert_eq!(graph.tag_of("e3", "model_id").as_deref(), Some("m"));
        assert_eq!((graph.tag_of("e3", "host"), graph.tag_of("e3", "nowhere")), (None, None));
        assert_eq!(graph.parents_of("e4"), ["e3", "e1"]);
        let kinds = Some([30405].into());
        let query = Query {
            filter: EventFilter { kinds, authors: None },
            tags: BTreeMap::from([("dataset_id".into(), "d".into())]),
        };
        assert_eq!(graph.search(&query, 4), ["e1"]);
    }
}
