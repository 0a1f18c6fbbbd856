//! What has to hold for any card over any events, seen from outside.

mod bounds;
mod crawl;
mod statements;

use lineage::{Caps, Checkpoint, Code, Evaluation, Event, Flaw, Graph, Item, Model, evaluate};
use proptest::prelude::*;

/// A small fact: its time, its kind, what it weighs if it says so, and the places of its parents before it.
#[derive(Clone, Debug)]
struct Fact {
    time: u64,
    kind: u32,
    weight: Option<i32>,
    parents: Vec<usize>,
}

fn id(place: usize) -> String {
    base::digest::Sha256::of(format!("fact {place}").as_bytes()).to_string()
}

fn events(facts: &[Fact]) -> Vec<Event> {
    let event = |(place, fact): (usize, &Fact)| {
        let content = fact.weight.map_or("words".to_owned(), |it| format!(r#"{{"w":{it}}}"#));
        let parents = fact.parents.iter().map(|it| vec!["parent".to_owned(), id(*it)]);
        Event {
            id: id(place),
            pubkey: "0xa".to_owned(),
            created_at: fact.time,
            kind: fact.kind,
            tags: parents.collect(),
            content: lineage::Content::of_text(&content),
            seq: place as u64 + 1,
        }
    };
    facts.iter().enumerate().map(event).collect()
}

fn any_facts() -> impl Strategy<Value = Vec<Fact>> {
    let fact = (
        0_u64..40,
        1_u32..4,
        prop::option::of(-50..50),
        prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    );
    prop::collection::vec(fact, 1..30).prop_map(|facts| {
        let fact = |(place, (time, kind, weight, parents)): (
            usize,
            (u64, u32, Option<i32>, Vec<prop::sample::Index>),
        )| {
            let parents =
                if place == 0 { Vec::new() } else { parents.iter().map(|it| it.index(place)).collect() };
            Fact { time, kind, weight, parents }
        };
        facts.into_iter().enumerate().map(fact).collect()
    })
}

/// A card with this specification and control.
fn card(start: &str, spec: &str, control: &str, job: &str) -> String {
    format!(
        r#"{{"v":"1","s":"{start}","j":{{"jid":"J","m":"OP_AI_EVAL","mod":"m:1","limit":1000,{job}"spec":[{spec}]}},"o":{{"ut":"UPDATE"}},"ctl":{{"maxN":1000,"gas":1000000{control}}}}}"#
    )
}

const CONSTANT: &str = r#"{"eng":"linreg","in":[],"w":[],"b":"0.5"}"#;

fn run(events: &[Event], card: &str, model: &str, at: u64) -> Result<Evaluation, Flaw> {
    let graph = Graph::of(events).unwrap();
    let item = Item::read(card).map_err(|flaws| flaws[0].clone())?;
    evaluate(&graph, &item, &Model::read(model), Checkpoint::at(at), Caps::NONE)
}

fn values(evaluation: &Evaluation) -> Vec<String> {
    evaluation.features.0.iter().map(lineage::Extracted::value_text).collect()
}

const ALL: &str = r#"{"n":"s","sel":"meta.w","agg":"sum","t":"num"},{"n":"a","sel":"meta.w","agg":"avg","t":"num"},
{"n":"c","sel":"rel.children","agg":"count","t":"num"},{"n":"f","sel":"meta.w","agg":"first","t":"num"},
{"n":"l","sel":"meta.w","agg":"last","t":"num"},{"n":"h","sel":"tx.kind","agg":"hist","t":"cat"},
{"n":"m","sel":"count(rel.parents)","agg":"max","t":"num"},{"n":"w","sel":"meta.w","agg":"sum","t":"num","w":"7s"},
{"n":"b","sel":"txid","agg":"count","t":"num","w":"5blocks"}"#;

proptest! {
    #[test]
    fn the_order_in_which_events_come_changes_no_bit(
        facts in any_facts(), start in any::<prop::sample::Index>(), swaps: Vec<(prop::sample::Index, prop::sample::Index)>,
        limit in 1_u32..40, seeded: bool,
    ) {
        let mut events = events(&facts);
        let job = if seeded { "\"seed\":\"x\"," } else { "" };
        let text = card(&id(start.index(facts.len())), ALL, "", job).replace("\"limit\":1000", &format!("\"limit\":{limit}"));
        let before = run(&events, &text, CONSTANT, 100).unwrap().to_line();
        for (left, right) in swaps {
            let (left, right) = (left.index(events.len()), right.index(events.len()));
            events.swap(left, right);
        }
        prop_assert_eq!(&run(&events, &text, CONSTANT, 100).unwrap().to_line(), &before);
        // A graph whose newest edges were not sealed answers the same.
        let mut graph = Graph::new();
        for event in &events {
            graph.push(event).unwrap();
        }
        let item = Item::read(&text).unwrap();
        let unsealed = evaluate(&graph, &item, &Model::read(CONSTANT), Checkpoint::at(100), Caps::NONE).unwrap();
        prop_assert_eq!(unsealed.to_line(), before.clone());
        // Columns, made before the events came or after, change no bit either.
        let mut kept = Graph::new();
        let (early, late) = events.split_at(events.len() / 2);
        for event in early {
            kept.push(event).unwrap();
        }
        kept.keep_for(&item);
        for event in late {
            kept.push(event).unwrap();
        }
        let kept = evaluate(&kept, &item, &Model::read(CONSTANT), Checkpoint::at(100), Caps::NONE).unwrap();
        prop_assert_eq!(kept.to_line(), before);
    }

    #[test]
    fn the_order_of_the_crawl_matters_only_if_it_is_cut_short(
        facts in any_facts(), start in any::<prop::sample::Index>(), seed in "[a-z]{1,5}",
    ) {
        let (events, start) = (events(&facts), id(start.index(facts.len())));
        let plain = run(&events, &card(&start, ALL, "", ""), CONSTANT, 100).unwrap();
        let seeded = run(&events, &card(&start, ALL, "", &format!("\"seed\":\"{seed}\",")), CONSTANT, 100).unwrap();
        prop_assert_eq!(plain.features.hash_text(), seeded.features.hash_text());
        prop_assert_eq!(plain.gas, seeded.gas);
        let sorted = |mut it: Vec<String>| { it.sort(); it };
        prop_assert_eq!(sorted(plain.visited), sorted(seeded.visited));
    }

    #[test]
    fn aggregates_and_windows_agree_with_a_naive_model(
        facts in any_facts(), start in any::<prop::sample::Index>(), at in 1_u64..30,
    ) {
        let start = start.index(facts.len());
        let text = card(&id(start), ALL, ",\"dir\":\"up\"", "");
        let result = run(&events(&facts), &text, CONSTANT, at);
        if start as u64 >= at {
            prop_assert_eq!(result.unwrap_err().code, Code::EStart);
            return Ok(());
        }
        // All ancestors; they came before, so all are visible.
        let mut found = vec![start];
        let mut next = 0;
        while let Some(place) = found.get(next).copied() {
            next += 1;
            for parent in &facts[place].parents {
                if !found.contains(parent) { found.push(*parent); }
            }
        }
        let evaluation = result.unwrap();
        prop_assert_eq!(&evaluation.visited, &found.iter().map(|it| id(*it)).collect::<Vec<_>>());
        let mut ordered = found.clone();
        ordered.sort_by_key(|it| (facts[*it].time, id(*it)));
        let weights: Vec<i32> = ordered.iter().filter_map(|it| facts[*it].weight).collect();
        let text = |it: Option<&i32>| it.map_or("null".to_owned(), ToString::to_string);
        let newest = ordered.iter().map(|it| facts[*it].time).max().unwrap();
        let recent = ordered.iter().filter(|it| facts[**it].time + 7 > newest).filter_map(|it| facts[*it].weight);
        let visible = |child: usize| (child as u64) < at;
        let children = found.iter().map(|it| {
            (0..facts.len()).filter(|child| visible(*child) && facts[*child].parents.contains(it)).count()
        });
        let last_place = found.iter().max().unwrap();
        let values = values(&evaluation);
        prop_assert_eq!(&values[0], &weights.iter().sum::<i32>().to_string());
        if weights.is_empty() { prop_assert_eq!(&values[1], "null"); }
        prop_assert_eq!(&values[2], &children.sum::<usize>().to_string());
        prop_assert_eq!(&values[3], &text(weights.first()));
        prop_assert_eq!(&values[4], &text(weights.last()));
        prop_assert_eq!(&values[7], &recent.sum::<i32>().to_string());
        prop_assert_eq!(&values[8], &found.iter().filter(|it| **it + 5 > *last_place).count().to_string());
    }

    #[test]
    fn no_card_and_no_model_makes_the_evaluator_panic(
        facts in any_facts(), cut in 0_usize..400, put in "[\\[\\]{}:,\"a-z0-9.]{0,3}", model in "[\\[\\]{}:,\"a-z0-9.]{0,40}",
    ) {
        let mut text = card(&id(0), ALL, "", "");
        let cut = (0..=cut.min(text.len() - 1)).rev().find(|it| text.is_char_boundary(*it)).unwrap_or(0);
        text.replace_range(cut..=cut, &put);
        let _ = run(&events(&facts), &text, &model, 100);
        let _ = run(&events(&facts), &text, CONSTANT, 100);
    }
}

fn one_fact(content: &str, tags: Vec<Vec<String>>) -> Vec<Event> {
    let content = lineage::Content::of_text(content);
    vec![Event {
        id: "a".to_owned(),
        pubkey: "0xa".to_owned(),
        created_at: 1,
        kind: 1,
        tags,
        content,
        seq: 1,
    }]
}

#[test]
fn every_code_of_an_evaluation_can_be_reached() {
    let spec = |it: &str| card("a", it, "", "");
    let check = |content: &str, card: &str, model: &str, code: Code| {
        let flaw = run(&one_fact(content, Vec::new()), card, model, 9).unwrap_err();
        assert_eq!(flaw.code, code, "{flaw}");
        assert!(!flaw.text.is_empty());
    };
    let sum = r#"{"n":"f","sel":"meta.w","agg":"sum","t":"num"}"#;
    let first = r#"{"n":"f","sel":"meta.w","agg":"first","t":"text"}"#;
    let of_f = r#"{"eng":"linreg","in":["f"],"w":["1000000"]}"#;
    check("", "{}", CONSTANT, Code::EItem);
    check("", &spec(sum).replace("OP_AI_EVAL", "X"), CONSTANT, Code::EEngine);
    check("", &spec(sum).replace("\"maxN\":1000", "\"maxN\":-1"), CONSTANT, Code::ELimits);
    check("", &spec(sum).replace("\"s\":\"a\"", "\"s\":\"b\""), CONSTANT, Code::EStart);
    check("", &spec(sum).replace("\"s\":\"a\"", "\"q\":{\"kinds\":[2]}"), CONSTANT, Code::EStart);
    check("", &spec(&sum.replace("meta.w", "meta")), CONSTANT, Code::ESel);
    check("", &spec(&sum.replace("\"agg\":\"sum\",", "")), CONSTANT, Code::EAgg);
    check("", &spec(&sum.replace("num", "text")), CONSTANT, Code::EType);
    check("", &spec(&sum.replace("\"num\"", "\"num\",\"w\":\"x\"")), CONSTANT, Code::EWindow);
    check("", &spec(&sum.replace("\"num\"", "\"num\",\"d\":\"x\"")), CONSTANT, Code::EDefault);
    let many: Vec<String> = (0..300).map(|it| it.to_string()).collect();
    let many = format!(r#"{{"w":[{}]}}"#, many.join(","));
    check(&many, &spec(&sum.replace("\"sum\"", "\"hist\"")), CONSTANT, Code::EHist);
    check(r#"{"w":1000000000}"#, &spec(sum), of_f, Code::EOverflow);
    check("", &spec(sum).replace("1000000", "99"), CONSTANT, Code::EGas);
    check("", &spec(sum), "{}", Code::EModel);
    check("", &spec(sum), r#"{"id":"other:1","eng":"linreg","in":[],"w":[]}"#, Code::EModel);
    check("", &spec(sum), r#"{"eng":"linreg","in":["g"],"w":["1"]}"#, Code::EFeature);
    check(r#"{"w":"x"}"#, &spec(first), of_f, Code::EFeature);
    check("", &spec(first), of_f, Code::EMissing);
}

#[test]
fn features_have_edges_filters_and_checkpoints_as_the_card_says() {
    let content = r#"{"w":[1,2,3.5,"4",-1,null],"kind":"x"}"#;
    let check = |spec: &str, control: &str, expected: &str| {
        let result = run(&one_fact(content, Vec::new()), &card("a", spec, control, ""), CONSTANT, 9);
        assert_eq!(values(&result.unwrap()), [expected], "{spec}");
    };
    let bins = r#"{"n":"h","sel":"meta.w","agg":"hist","t":"num","b":[0,"2"]}"#;
    check(bins, "", r#"{"..0":1,"0..2":1,"2..":3}"#);
    check(r#"{"n":"h","sel":"meta.w","agg":"count","t":"num","w":"1d@at"}"#, "", "5");
    check(r#"{"n":"h","sel":"count(meta.w)","t":"num"}"#, ",\"f\":{\"kinds\":[7]}", "5");
    check(r#"{"n":"h","sel":"meta[kind=x].w","agg":"max","t":"num"}"#, "", "4");
}

#[test]
fn events_that_do_not_pass_the_filter_are_not_visited_but_the_start_is() {
    let facts: Vec<Fact> = (0..6_usize)
        .map(|place| Fact {
            time: 1,
            kind: [1, 2][place % 2],
            weight: None,
            parents: (0..place).rev().take(1).collect(),
        })
        .collect();
    let visited = |control: &str| {
        run(&events(&facts), &card(&id(0), "", control, ""), CONSTANT, 100).unwrap().visited.len()
    };
    assert_eq!(visited(""), 6);
    assert_eq!(visited(",\"f\":{\"kinds\":[1,2]}"), 6);
    // What lies behind an event that is not visited is not found either.
    assert_eq!(visited(",\"f\":{\"kinds\":[2]}"), 2);
    assert_eq!(visited(",\"f\":{\"pk\":[\"0xb\"]}"), 1);
}

/// An event of a small story; the id is what it is called.
fn told(seq: u64, id: &str, kind: u32, author: &str, parents: &[&str], tags: &[(&str, &str)]) -> Event {
    let parents = parents.iter().map(|it| vec!["parent".to_owned(), (*it).to_owned()]);
    let tags = tags.iter().map(|it| vec![it.0.to_owned(), it.1.to_owned()]);
    Event {
        id: id.to_owned(),
        pubkey: author.to_owned(),
        created_at: seq,
        kind,
        tags: parents.chain(tags).collect(),
        content: lineage::Content::default(),
        seq,
    }
}

/// A dataset that was revoked, a model made of it, what was said about both, and another model.
fn story() -> Vec<Event> {
    vec![
        told(1, "data", 30405, "a", &[], &[]),
        told(2, "run", 30409, "a", &["data"], &[]),
        told(3, "model", 30404, "a", &["run"], &[]),
        told(4, "other", 30404, "a", &["run"], &[]),
        told(5, "verified", 30408, "a", &["model"], &[("valid_result", "verified")]),
        told(6, "deployed", 30408, "a", &["verified"], &[("valid_result", "deployed")]),
        told(7, "yes", 30302, "b", &["model"], &[("vote", "yes")]),
        told(8, "no", 30302, "b", &["model"], &[("vote", "no")]),
        told(9, "again", 30302, "c", &["model", "other"], &[("vote", "yes")]),
        told(10, "revoked", 30408, "d", &["data", "other"], &[("valid_result", "revoked")]),
    ]
}

#[test]
fn a_model_of_rules_says_by_how_much_a_vector_falls_short() {
    let spec = r#"{"n":"approvals","sel":"tag[vote=yes].vote","agg":"count","t":"text"},
        {"n":"revocations","sel":"tag[valid_result=revoked].valid_result","agg":"count","t":"text"},
        {"n":"licence","sel":"tag.license","agg":"last","t":"cat"}"#;
    let model = r#"{"eng":"rules","in":[],"rules":[
        {"if":[["approvals",">=","9"],["revocations",">","7"],["licence","=","MIT"]],"score":"2","label":"good"},
        {"if":[["approvals",">=","2"],["revocations","<=","0"]],"score":"1","label":"good"},
        {"if":[],"score":"0.5","label":"fair"}],"else":{"score":"0"}}"#;
    let control = r#","dir":"up","st":{"kinds":[30302,30408]}"#;
    let found = run(&story(), &card("model", spec, control, ""), model, 10).unwrap();
    let model = Model::read(model).unwrap();
    let short = |label: &str| model.shortfalls(&found.features, |it| it.label.as_deref() == Some(label));
    assert_eq!(short("good"), ["approvals 1 < 2", "revocations 1 > 0"], "by the nearest rule");
    assert_eq!(short("fair"), Vec::<String>::new());
    let enough = |score: &str| {
        let score = lineage::Num::parse(score).unwrap();
        model.shortfalls(&found.features, |it| it.score >= score)
    };
    assert_eq!(enough("2"), ["approvals 1 < 9", "revocations 1 <= 7", "licence has no value"]);
}

#[test]
fn two_spellings_of_an_address_are_one_author() {
    let (lower, mixed) = ("ab".repeat(20), "aB".repeat(20));
    assert!(lineage::is_same_author(&lower, &format!("0x{mixed}")));
    assert!(!lineage::is_same_author("addr", "ADDR"));
    assert!(!lineage::is_same_author(&lower, &"ac".repeat(20)));
}

proptest! {
    #[test]
    fn links_by_name_are_those_of_a_replay(kinds in prop::collection::vec((0_usize..4, 0_u32..3), 1..25), cut in any::<prop::sample::Index>()) {
        let names = ["d0", "d1", "d2"];
        let event = |(place, (what, name)): (usize, &(usize, u32))| {
            let name = names[*name as usize % 3];
            let hash = base::Sha256::of(name.as_bytes()).to_string();
            let (kind, tag, value) = match what {
                0 => (30405, "dataset_id", name),
                1 => (30409, "dataset_id", name),
                2 => (30404, "sha256", hash.as_str()),
                _ => (30301, "sha256", hash.as_str()),
            };
            told(place as u64 + 1, &format!("e{place}"), kind, "a", &[], &[(tag, value)])
        };
        let events: Vec<Event> = kinds.iter().enumerate().map(event).collect();
        let build = |events: &[Event]| {
            let mut graph = Graph::new();
            for event in events {
                graph.push_by_name(event).unwrap();
            }
            graph
        };
        let (whole, part) = (build(&events), build(&events[..=cut.index(events.len())]));
        for (place, event) in events.iter().enumerate().take(cut.index(events.len()) + 1) {
            // What came later changed nothing, and no link leads to it.
            prop_assert_eq!(whole.parents_of(&event.id), part.parents_of(&event.id));
            for parent in whole.parents_of(&event.id) {
                prop_assert!(whole.seq_of(&parent).unwrap() <= place as u64);
            }
        }
    }
}

#[test]
fn however_many_threads_ask_the_answers_are_the_same() {
    let cases = include_str!("../vectors/lineage-in.jsonl").lines().collect::<Vec<_>>();
    let expected = include_str!("../vectors/lineage-out.jsonl").lines().collect::<Vec<_>>();
    for threads in [1, 4] {
        let share = cases.len().div_ceil(threads);
        let found: Vec<String> = std::thread::scope(|scope| {
            let answer = |part: &[&str]| {
                part.iter().map(|it| lineage::case::run_line(it).unwrap()).collect::<Vec<String>>()
            };
            let parts: Vec<_> = cases.chunks(share).map(|part| scope.spawn(move || answer(part))).collect();
            parts.into_iter().flat_map(|it| it.join().unwrap()).collect()
        });
        assert_eq!(found, expected, "{threads} threads");
    }
}
