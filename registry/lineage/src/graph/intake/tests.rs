//! What of an event comes into the graph, against a plain reading of it.

use std::collections::{BTreeMap, BTreeSet};

use base::Sha256;
use proptest::prelude::*;

use super::super::{
    Graph, Node,
    pack::tests::{any_json, unpack},
};
use crate::{
    event::{Event, Fact, Id},
    json::Json,
};

/// An event that is borrowed, as whoever has it in a form of its own hands it in.
struct Borrowed<'e> {
    event: &'e Event,
    content: &'e str,
}

impl Fact for Borrowed<'_> {
    fn id(&self) -> Id<'_> {
        let digest = Sha256::parse(&self.event.id);
        digest.map_or_else(|_| Id::from(self.event.id.as_str()), Id::from)
    }

    fn pubkey(&self) -> &str {
        &self.event.pubkey
    }

    fn created_at(&self) -> u64 {
        self.event.created_at
    }

    fn kind(&self) -> u32 {
        self.event.kind
    }

    fn tags(&self) -> impl Iterator<Item = impl Iterator<Item = &str>> {
        self.event.tags.iter().map(|it| it.iter().map(String::as_str))
    }

    fn content(&self) -> &str {
        self.content
    }

    fn seq(&self) -> u64 {
        self.event.seq
    }
}

/// All that a graph has of a node.
fn held(graph: &Graph, node: Node) -> impl PartialEq + std::fmt::Debug {
    let (tags, content) = graph.fields(node);
    let parents: Vec<String> = graph.parents(node).iter().map(|it| graph.id(*it).into_owned()).collect();
    let mut children = Vec::new();
    graph.children_into(node, u64::MAX, &mut children);
    let children: Vec<String> = children.iter().map(|it| graph.id(*it).into_owned()).collect();
    let fields = (unpack(tags, graph.keys()), unpack(content, graph.keys()));
    let said = (graph.pubkey(node).into_owned(), graph.created_at(node), graph.kind(node), graph.seq(node));
    (graph.id(node).into_owned(), said, parents, children, fields)
}

/// The fields that the tags make: a name with one value, or with a list of all its values.
fn plain_tags(event: &Event) -> Json {
    let mut fields: BTreeMap<String, Vec<Json>> = BTreeMap::new();
    for tag in &event.tags {
        let Some((name, values)) = tag.split_first() else { continue };
        if !["auth", "d", "sid", "op", "parent"].contains(&name.as_str()) {
            fields.entry(name.clone()).or_default().extend(values.iter().cloned().map(Json::Text));
        }
    }
    let one_or_list = |mut it: Vec<Json>| if it.len() == 1 { it.remove(0) } else { Json::List(it) };
    Json::Map(fields.into_iter().map(|(name, values)| (name, one_or_list(values))).collect())
}

/// Whom the tags name as parents, each once.
fn plain_parents(event: &Event) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let tags = event.tags.iter().filter(|it| it.first().is_some_and(|name| name == "parent"));
    tags.flat_map(|it| &it[1..]).filter(|it| seen.insert(*it)).cloned().collect()
}

fn any_id() -> impl Strategy<Value = String> {
    (0_u32..40, any::<bool>()).prop_map(|(number, is_short)| {
        if is_short { format!("e{number}") } else { Sha256::of(&number.to_be_bytes()).to_string() }
    })
}

fn any_tag() -> impl Strategy<Value = Vec<String>> {
    let name = prop::sample::select(vec![
        "d",
        "sid",
        "op",
        "auth",
        "parent",
        "dataset_id",
        "project_id",
        "task_id",
        "commit",
        "session_id",
        "proposal_id",
        "interaction_hash",
        "sha256",
        "artifact",
        "digest",
        "k",
        "w",
        "",
        "é",
    ]);
    let value = prop_oneof![any_id(), "[ab]{0,1}", ".{0,200}"];
    let tag = (name, prop::collection::vec(value, 0..4))
        .prop_map(|(name, values)| [name.to_owned()].into_iter().chain(values).collect());
    prop_oneof![20 => tag, 1 => Just(Vec::new())]
}

fn any_content() -> impl Strategy<Value = String> {
    let talk = prop::collection::vec(prop_oneof![any_id(), "[ab]"], 0..3)
        .prop_map(|it| format!(r#"{{"context":{{"previous_interactions":{}}}}}"#, serde_json::json!(it)));
    prop_oneof![
        3 => any_json().prop_map(|it| format!(r#"{{"value":{}}}"#, it.canonical())),
        2 => talk,
        1 => any_json().prop_map(|it| it.canonical()),
        1 => ".{0,9}",
        1 => Just(r#"{"a":1,"a":2}"#.to_owned()),
    ]
}

/// Events as JSON, and the contents apart.
fn any_events() -> impl Strategy<Value = Vec<(String, String)>> {
    let kind = prop::sample::select(vec![
        1_u32, 30101, 30102, 30300, 30301, 30302, 30404, 30405, 30406, 30408, 30409, 30410, 30411,
    ]);
    let tags = prop::collection::vec(any_tag(), 0..9);
    let time = prop_oneof![0_u64..9, Just(u64::from(u32::MAX)), Just(1 << 40)];
    let event = (any_id(), "[pq]", time, kind, tags, any_content());
    prop::collection::vec(event, 1..20).prop_map(|events| {
        let event = |(seq, (id, pubkey, created_at, kind, tags, content))| {
            let json = serde_json::json!({
                "id": id, "pubkey": pubkey, "created_at": created_at, "kind": kind, "tags": tags,
                "content": content, "seq": seq,
            });
            (json.to_string(), content)
        };
        (1_u64..).zip(events).map(event).collect()
    })
}

proptest! {
    #[test]
    fn however_an_event_is_held_the_graph_has_of_it_what_it_says(events in any_events(), by_name: bool) {
        let read = |(json, content): &(String, String)| (serde_json::from_str(json).unwrap(), content.clone());
        let events: Vec<(Event, String)> = events.iter().map(read).collect();
        let (mut owned, mut borrowed, mut first) = (Graph::new(), Graph::new(), BTreeSet::new());
        for (event, content) in &events {
            owned.look_ahead(events.iter().map(|it| &it.0));
            let lent = Borrowed { event, content };
            let taken = if by_name {
                [owned.push_by_name(event).unwrap(), borrowed.push_by_name(&lent).unwrap()]
            } else {
                [owned.push(event).unwrap(), borrowed.push(&lent).unwrap()]
            };
            let is_new = first.insert(&event.id);
            prop_assert_eq!(taken, [is_new; 2]);
            let node = owned.find(&event.id).unwrap();
            if !is_new {
                continue;
            }
            let (tags, fields) = owned.fields(node);
            prop_assert_eq!(unpack(tags, owned.keys()), plain_tags(event));
            let plain = Json::parse(content).ok().filter(|it| matches!(it, Json::Map(_)));
            prop_assert_eq!(unpack(fields, owned.keys()), plain.unwrap_or_default());
            let parents = owned.parents_of(&event.id);
            let named = plain_parents(event);
            prop_assert_eq!(&parents[..named.len()], &named);
            prop_assert!(by_name || parents.len() == named.len());
            prop_assert_eq!(parents.iter().collect::<BTreeSet<_>>().len(), parents.len());
        }
        prop_assert_eq!(owned.nodes_end(), borrowed.nodes_end());
        for node in (0..owned.nodes_end()).filter(|it| owned.is_visible(*it, u64::MAX)) {
            prop_assert_eq!(held(&owned, node), held(&borrowed, node));
        }
        prop_assert_eq!(&owned.packed, &borrowed.packed);
        prop_assert_eq!(owned.memory_bytes(), borrowed.memory_bytes());
    }
}

#[test]
fn an_event_of_very_many_parents_is_looked_ahead_for_as_any_other() {
    let event = |id: &str, seq: u64| {
        let tag: Vec<String> =
            ["parent".to_owned()].into_iter().chain((0..5000).map(|it| format!("e{it}"))).collect();
        let tags = [tag];
        let text = serde_json::json!({"id": id, "pubkey": "p", "created_at": 1, "kind": 2, "content": "", "seq": seq, "tags": tags});
        serde_json::from_value::<Event>(text).unwrap()
    };
    let events = [event("a", 1), event("b", 2)];
    let mut graph = Graph::new();
    for event in &events {
        graph.look_ahead(&events);
        graph.push(event).unwrap();
    }
    assert_eq!(graph.parents_of("a").len(), 5000);
    assert_eq!(graph.parents_of("a"), graph.parents_of("b"));
}

#[test]
fn tags_make_fields_and_parents() {
    let text = r#"{"id":"a","pubkey":"p","created_at":1,"kind":2,"content":"","seq":3,"tags":[["d","x"],["parent","b","c"],["parent","b","d"],["k","1"],["k"],["v"],["w","1","2"],["w","3"],[]]}"#;
    let graph = Graph::of(&[serde_json::from_str::<Event>(text).unwrap()]).unwrap();
    assert_eq!(graph.parents_of("a"), ["b", "c", "d"]);
    let (tags, _) = graph.fields(graph.find("a").unwrap());
    assert_eq!(unpack(tags, graph.keys()).canonical(), r#"{"k":"1","v":[],"w":["1","2","3"]}"#);
}

#[test]
fn a_content_is_text_that_holds_json_or_the_object_itself() {
    let check = |content: &str, has_fields: bool| {
        let text = format!(
            r#"{{"id":"a","pubkey":"p","created_at":1,"kind":2,"tags":[],"content":{content},"seq":3}}"#
        );
        let graph = Graph::of(&[serde_json::from_str::<Event>(&text).unwrap()]).unwrap();
        let (_, fields) = graph.fields(graph.find("a").unwrap());
        assert_eq!(matches!(unpack(fields, graph.keys()), Json::Map(_)), has_fields, "{content}");
    };
    check(r#""{\"a\":1}""#, true);
    check(r#"{"a":1}"#, true);
    check(r#""{\"a\":1,\"a\":2}""#, false);
    check(r#"{"a":1,"a":2}"#, false);
    check(r#""{\"a\":1e400}""#, false);
    check(r#""[1]""#, false);
    check(r#""free text {""#, false);
    check("null", false);
}
