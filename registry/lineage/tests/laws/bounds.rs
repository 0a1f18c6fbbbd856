//! Cards and graphs that are out to cost much: time and memory stay within what the card allows.

use super::*;

#[test]
fn a_wide_fan_in_a_cycle_and_a_lie_about_limits_end_in_bounded_time() {
    let mut all = one_fact("", vec![vec!["parent".to_owned(), "a".to_owned(), "b".to_owned()]]);
    let child = |place: usize, parent: &str| Event {
        id: format!("c{place}"),
        pubkey: "0xb".to_owned(),
        created_at: 1,
        kind: 1,
        tags: vec![vec!["parent".to_owned(), parent.to_owned()]],
        content: lineage::Content::default(),
        seq: place as u64 + 2,
    };
    all.extend((0..100_000).map(|place| child(place, "a")));
    // An event that is its own parent, and two that name each other.
    all.push(Event { id: "b".to_owned(), ..child(100_000, "c7") });
    all[8].tags.push(vec!["parent".to_owned(), "b".to_owned()]);
    let gas = run(&all, &card("a", "", ",\"dir\":\"down\"", ""), CONSTANT, 1 << 40);
    assert_eq!(gas.unwrap().stop.name(), "limit");
    let poor = card("a", "", ",\"dir\":\"down\"", "").replace("1000000", "400000");
    assert_eq!(run(&all, &poor, CONSTANT, 1 << 40).unwrap_err().code, Code::EGas);
    let seeded = card("a", "", ",\"dir\":\"down\"", "\"seed\":\"s\",");
    assert_eq!(run(&all, &seeded, CONSTANT, 1 << 40).unwrap().visited.len(), 1000);
    let cycle = run(&all, &card("b", "", ",\"dir\":\"up\"", ""), CONSTANT, 1 << 40).unwrap();
    assert_eq!((cycle.visited.len(), cycle.stop.name(), cycle.missing), (3, "exhausted", 0));
    let greedy =
        card("a", "", "", "").replace("1000000", "9007199254740992").replace("1000", "9007199254740992");
    let graph = Graph::of(&all).unwrap();
    let caps = Caps { nodes_max: 10, gas_max: 50_000_000 };
    let capped = evaluate(
        &graph,
        &Item::read(&greedy).unwrap(),
        &Model::read(CONSTANT),
        Checkpoint::at(1 << 40),
        caps,
    );
    assert_eq!(capped.unwrap().visited.len(), 10);
}

#[test]
fn a_fan_in_of_a_hundred_thousand_is_bounded_by_the_card() {
    const WIDTH: u64 = 100_000;
    let mut graph = Graph::new();
    graph.push(&told(1, "root", 30405, "a", &[], &[])).unwrap();
    for place in 2..WIDTH + 2 {
        let id = format!("child {place}");
        graph.push(&told(place, &id, 30408, "a", &["root"], &[("valid_result", "verified")])).unwrap();
    }
    graph.seal();
    let ask = |control: &str, limit: &str| {
        let count = r#"{"n":"c","sel":"txid","agg":"count","t":"text"}"#;
        let text = card("root", count, control, "")
            .replace("\"limit\":1000", limit)
            .replace("\"maxN\":1000", "\"maxN\":200000");
        let (item, model) = (Item::read(&text).unwrap(), Model::read(CONSTANT));
        evaluate(&graph, &item, &model, Checkpoint::at(WIDTH + 1), Caps::NONE)
    };
    // All children are paid for before any of them is looked at.
    assert_eq!(ask("", "\"limit\":1000").unwrap().visited.len(), 1000);
    let dear = ask(",\"dir\":\"up\",\"st\":{\"kinds\":[1]}", "\"limit\":1000").unwrap();
    assert_eq!((dear.visited.len(), dear.gas >= 5 * WIDTH), (1, true));
    let poor = card("root", "", "", "").replace("\"gas\":1000000", "\"gas\":400000");
    let poor = evaluate(
        &graph,
        &Item::read(&poor).unwrap(),
        &Model::read(CONSTANT),
        Checkpoint::at(u64::MAX),
        Caps::NONE,
    );
    assert_eq!(poor.unwrap_err().code, Code::EGas);
    let whole = r#","dir":"up","st":{"kinds":[30408]}"#;
    let item = card("root", "", whole, "")
        .replace("\"gas\":1000000", "\"gas\":100000000")
        .replace("1000,", "200000,");
    let item = Item::read(&item).unwrap();
    let all = evaluate(&graph, &item, &Model::read(CONSTANT), Checkpoint::at(u64::MAX), Caps::NONE).unwrap();
    assert_eq!((all.visited.len() as u64, all.stop.name()), (WIDTH + 1, "exhausted"));
    let capped =
        evaluate(&graph, &item, &Model::read(CONSTANT), Checkpoint::at(u64::MAX), Caps::DAEMON).unwrap();
    assert_eq!((capped.visited.len(), capped.stop.name()), (100_000, "limit"));
}
