//! Which events names lead to.

use super::*;
use crate::{Event, Graph};

fn event(seq: u64, kind: u32, tags: &str, content: &str) -> Event {
    let text = serde_json::json!({
        "id": format!("{seq}"), "pubkey": "a", "created_at": seq, "kind": kind, "content": content, "seq": seq,
        "tags": serde_json::from_str::<serde_json::Value>(tags).unwrap(),
    });
    serde_json::from_value(text).unwrap()
}

fn parents(events: &[Event]) -> Vec<Vec<String>> {
    let mut graph = Graph::new();
    for event in events {
        graph.push_by_name(event).unwrap();
    }
    let of = |event: &Event| {
        let node = graph.find(&event.id).unwrap();
        graph.parents(node).iter().map(|it| graph.id(*it).into_owned()).collect()
    };
    events.iter().map(of).collect()
}

#[test]
fn a_name_means_the_newest_event_before_that_bears_it() {
    let found = parents(&[
        event(1, 30409, r#"[["dataset_id","corpus"]]"#, ""),
        event(2, 30405, r#"[["dataset_id","corpus"],["commit","1"]]"#, ""),
        event(3, 30405, r#"[["dataset_id","corpus"],["commit","2"]]"#, ""),
        event(4, 30409, r#"[["dataset_id","corpus"]]"#, ""),
        event(5, 30405, r#"[["dataset_id","corpus"],["commit","1"]]"#, ""),
        event(6, 30409, r#"[["dataset_id","other"]]"#, ""),
    ]);
    let none: [&str; 0] = [];
    assert_eq!(found[0], none, "what comes later is not meant");
    assert_eq!(found[2], none, "another commit is another dataset");
    assert_eq!(found[3], ["3"]);
    assert_eq!(found[4], ["2"], "the same commit is the same dataset");
    assert_eq!(found[5], none);
}

#[test]
fn every_kind_has_its_names() {
    let hash = "ab".repeat(32);
    let found = parents(&[
        event(1, 30101, r#"[["project_id","p"]]"#, ""),
        event(2, 30102, r#"[["project_id","p"],["task_id","t"]]"#, ""),
        event(3, 30405, r#"[["project_id","p"],["task_id","t"],["dataset_id","d"]]"#, ""),
        event(4, 30411, r#"[["session_id","s"],["action","create"]]"#, ""),
        event(5, 30410, r#"[["session_id","s"],["interaction_hash","0xaa"]]"#, "{}"),
        event(6, 30410, r#"[["session_id","s"]]"#, r#"{"context":{"previous_interactions":["aa","0xbb"]}}"#),
        event(7, 30411, r#"[["session_id","s"],["action","close"]]"#, ""),
        event(8, 30301, &format!(r#"[["sid","0xMG"],["proposal_id","add"],["sha256","{hash}"]]"#), ""),
        event(9, 30301, r#"[["sid","0xMG"],["proposal_id","add"]]"#, ""),
        event(10, 30302, r#"[["sid","0xMG"],["proposal_id","add"],["vote","yes"]]"#, ""),
        event(11, 30302, r#"[["sid","0xFT"],["proposal_id","add"],["vote","yes"]]"#, ""),
        event(12, 30404, &format!(r#"[["sha256","{hash}"],["parent","3"]]"#), ""),
        event(13, 30408, &format!(r#"[["digest","{hash}"]]"#), ""),
        event(14, 30408, &format!(r#"[["digest","{hash}"],["parent","12"]]"#), ""),
        event(15, 30404, &format!(r#"[["sha256","{hash}"]]"#), ""),
    ]);
    let expected: [&[&str]; 15] = [
        &[],
        &["1"],
        &["1", "2"],
        &[],
        &["4"],
        &["4", "5"],
        &["4"],
        &[],
        &[],
        &["8"],
        &[],
        &["3", "8"],
        &["12"],
        &["12"],
        &["12"],
    ];
    assert_eq!(found, expected);
}

#[test]
fn names_that_mean_each_other_make_no_cycle() {
    // Each says that the other came before it.
    let one = r#"{"context":{"previous_interactions":["bb"]}}"#;
    let other = r#"{"context":{"previous_interactions":["aa","bb"]}}"#;
    let found = parents(&[
        event(1, 30410, r#"[["interaction_hash","aa"]]"#, one),
        event(2, 30410, r#"[["interaction_hash","bb"]]"#, other),
    ]);
    assert_eq!(found, [vec![], vec!["1".to_owned()]]);
}

#[test]
fn an_event_out_of_its_order_is_not_taken_by_name() {
    let mut graph = Graph::new();
    graph.push_by_name(&event(2, 30405, "[]", "")).unwrap();
    let error = graph.push_by_name(&event(1, 30405, "[]", "")).unwrap_err();
    assert_eq!(error.to_string(), "event 1 at 1 comes after 2: names are looked up in the ledger's order");
}

#[test]
fn of_very_many_names_each_means_its_own_newest() {
    let mut graph = Graph::new();
    let mut seq = 0;
    let mut push = |graph: &mut Graph, kind: u32, name: u32| {
        seq += 1;
        let tags = format!(r#"[["dataset_id","d{name}"]]"#);
        graph.push_by_name(&event(seq, kind, &tags, "")).unwrap();
        graph.parents_of(&seq.to_string())
    };
    let last = 2 * 3000;
    for name in (0..3000).chain(0..3000) {
        push(&mut graph, 30405, name);
    }
    for name in (0..3000).step_by(7) {
        assert_eq!(push(&mut graph, 30409, name), [format!("{}", last / 2 + name + 1)]);
    }
}

#[test]
fn names_whose_keys_begin_alike_are_told_apart() {
    let name = |rest| Name { sort: Sort::Task, key: Key { tag: 7, rest: [0, rest] }, id: None };
    let mut bearers = Bearers::default();
    bearers.take(&[name(1)], 10);
    bearers.take(&[name(2)], 20);
    assert_eq!([1, 2, 3].map(|it| bearers.find(&name(it))), [Some(10), Some(20), None]);
}
