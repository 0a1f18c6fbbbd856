//! Cards, models and UPDATEs at the door of the daemon's log: what is let in, and what is answered about it.

mod updates;

use std::process::Command;

use ledger::{SecretKey, event::Scheme};
use serde_json::{Value, json};

use crate::support::{
    daemon::Daemon,
    host::{Host, Said},
    hub::FixtureHub,
};

const SID: &str = "0xMG";

fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes([number; 32]).unwrap()
}

fn pubkey(key: &SecretKey) -> String {
    ledger::Author::lower(key.address()).to_string()
}

/// Signs an event; the second makes two that say the same differ.
fn signed(key: &SecretKey, kind: u16, tags: &[&[&str]], content: &str, second: u64) -> Value {
    let common: [&[&str]; 2] = [&["d", "subspace_op"], &["sid", SID]];
    let tags = common.iter().chain(tags);
    let tags = tags.map(|it| ledger::Tag::list(it[0], it[1..].iter().copied()));
    let draft = ledger::Draft {
        created_at: base::UnixSeconds(1_700_000_000 + second),
        kind: ledger::Kind(kind),
        tags: tags.collect(),
        content: content.to_owned(),
    };
    serde_json::from_str(&key.sign(draft, Scheme::SpecEip191).to_json()).unwrap()
}

async fn publish(daemon: &Daemon, event: &Value) -> (u16, Value) {
    let sent = daemon.client().post(format!("{}/v1/events", daemon.url())).json(event).send().await.unwrap();
    (sent.status().as_u16(), sent.json().await.unwrap())
}

async fn let_in(daemon: &Daemon, event: &Value) -> String {
    let (status, said) = publish(daemon, event).await;
    assert_eq!(status, 200, "{said:#}");
    said["id"].as_str().unwrap().to_owned()
}

async fn refused(daemon: &Daemon, event: &Value, words: &str) {
    let (status, said) = publish(daemon, event).await;
    assert_eq!(status, 400, "{said:#}");
    assert!(said["detail"].as_str().unwrap().contains(words), "{words}: {said:#}");
}

async fn post(daemon: &Daemon, path: &str, body: &Value) -> (u16, Value) {
    let sent = daemon.client().post(format!("{}{path}", daemon.url())).json(body).send().await.unwrap();
    (sent.status().as_u16(), sent.json().await.unwrap())
}

async fn nobody_wants_anything(hub: &FixtureHub) -> (Host, Daemon) {
    let host = Host::of(hub);
    host.index(&[]);
    let daemon = Daemon::start(&host);
    daemon.until_says("/healthz", "it is alive", |_| true).await;
    (host, daemon)
}

/// A card over datasets, from one event on.
fn card(start: &str) -> Value {
    json!({
        "v": "1", "s": start, "ctl": { "maxN": 100, "gas": 100_000, "dir": "both" },
        "j": { "jid": "J", "m": "OP_AI_EVAL", "mod": "sum:1", "limit": 100, "spec": [
            { "n": "weight", "sel": "meta.weight", "agg": "sum", "t": "num" },
            { "n": "count", "sel": "txid", "agg": "count", "t": "text" },
        ] },
        "o": { "ut": "UPDATE", "fields": ["score", "cid"] },
    })
}

fn model() -> Value {
    json!({ "v": 1, "id": "sum:1", "eng": "linreg", "in": ["weight", "count"], "w": ["1", "0.001"], "b": "0" })
}

fn card_event(key: &SecretKey, card: &Value, second: u64) -> Value {
    let tags: [&[&str]; 2] = [&["op", "compute"], &["compute_type", "lineage"]];
    signed(key, 30406, &tags, &card.to_string(), second)
}

fn model_event(key: &SecretKey, model: &Value, second: u64) -> Value {
    let tags: [&[&str]; 4] = [&["op", "algo"], &["algo_type", "linreg"], &["name", "sum"], &["version", "1"]];
    signed(key, 30407, &tags, &model.to_string(), second)
}

fn update_event(key: &SecretKey, card: &str, update: &Value, second: u64) -> Value {
    let tags: [&[&str]; 4] =
        [&["op", "valid"], &["valid_result", "1"], &["item_id", card], &["parent", card]];
    signed(key, 30408, &tags, &update.to_string(), second)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_or_model_that_breaks_a_rule_is_refused_with_its_code() {
    let hub = FixtureHub::start().await;
    let (_host, daemon) = nobody_wants_anything(&hub).await;
    let author = key(1);
    let good = card(&"ab".repeat(32));
    let broken: [(&str, Value, &str); 12] = [
        ("/v", json!("2"), "invalid: E_ITEM at /v: "),
        ("/surplus", json!(1), "E_ITEM at /surplus: unknown key"),
        ("/j/m", json!("OTHER"), "E_ENGINE at /j/m: "),
        ("/ctl/maxN", json!(0), "E_LIMITS at /ctl/maxN: "),
        ("/ctl/gas", Value::Null, "E_LIMITS at /ctl/gas: "),
        ("/j/spec/0/sel", json!("meta..weight"), "E_SEL at /j/spec/0/sel: "),
        ("/j/spec/0/agg", json!("median"), "E_AGG at /j/spec/0/agg: "),
        ("/j/spec/0/t", json!("text"), "E_TYPE at /j/spec/0/t: "),
        ("/j/spec/0/w", json!("0d"), "E_WINDOW at /j/spec/0/w: "),
        ("/j/spec/0/d", json!("much"), "E_DEFAULT at /j/spec/0/d: "),
        ("/j/spec/0/b", json!([2, 1]), "E_HIST at /j/spec/0/b: "),
        ("/j/mod", json!("no version"), "E_MODEL at /j/mod: "),
    ];
    for (second, (place, value, words)) in (0..).zip(broken) {
        let mut card = good.clone();
        let (parent, name) = place.rsplit_once('/').unwrap();
        let parent = card.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        parent.insert(name.to_owned(), value);
        refused(&daemon, &card_event(&author, &card, second), words).await;
    }
    let mut bad = model();
    bad["w"] = json!(["1"]);
    refused(&daemon, &model_event(&author, &bad, 20), "E_MODEL at /w").await;
    for bad in ["NaN", r#"{"a":1,"a":1}"#, r#"{"eng":"linreg","b":1e400}"#] {
        let tags: [&[&str]; 2] = [&["algo_type", "linreg"], &["name", "sum"]];
        refused(&daemon, &signed(&author, 30407, &tags, bad, 21), "E_MODEL").await;
    }
    // Other computations and algorithms are none of its business.
    let other = signed(&author, 30406, &[&["compute_type", "training"]], "{not json", 30);
    let_in(&daemon, &other).await;
    let_in(&daemon, &signed(&author, 30407, &[&["algo_type", "sorting"]], "", 31)).await;
    // Whose card it is, and that a name is used once.
    let mut named = good.clone();
    named["p"] = json!({ "creator": pubkey(&key(2)), "nonce": "1" });
    refused(&daemon, &card_event(&author, &named, 40), "E_ITEM at /p/creator: ").await;
    named["p"]["creator"] = json!(format!("0x{}", pubkey(&author)));
    named["id"] = json!("gate");
    let_in(&daemon, &card_event(&author, &named, 41)).await;
    refused(&daemon, &card_event(&author, &named, 42), "E_ITEM at /id: ").await;
    named["id"] = json!("other");
    refused(&daemon, &card_event(&author, &named, 43), "E_ITEM at /p/nonce: ").await;
    named["p"] = json!({ "creator": pubkey(&key(2)), "nonce": "1" });
    named["id"] = json!("gate");
    let_in(&daemon, &card_event(&key(2), &named, 44)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_daemon_and_over_files_the_answer_is_the_same_to_the_byte() {
    let hub = FixtureHub::start().await;
    let (host, daemon) = nobody_wants_anything(&hub).await;
    let author = key(1);
    let first =
        let_in(&daemon, &signed(&author, 30405, &[&["dataset_id", "corpus"], &["weight", "1.5"]], "", 1))
            .await;
    // By its name alone.
    let_in(&daemon, &signed(&author, 30409, &[&["dataset_id", "corpus"], &["weight", "2"]], "", 2)).await;
    let state = host.path("state");
    // The same evaluation over the daemon and over files, to the byte.
    let (card_file, model_file) = (
        host.write("card.json", card(&first).to_string().as_bytes()),
        host.write("model.json", model().to_string().as_bytes()),
    );
    let seq = daemon.json("/v1/log").await["size"].to_string();
    let events = daemon.json("/v1/events?limit=500").await;
    let mut lines: Vec<Value> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            let mut event = it["event"].clone();
            event["seq"] = json!(it["position"]["seq"].as_u64().unwrap() + 1);
            event
        })
        .collect();
    lines.sort_by_key(|it| it["seq"].as_u64());
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    let ledger = host.write("events.jsonl", lines.join("\n").as_bytes());
    let eval = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hallmark"));
        command.args(["lineage", "eval", "--json", "--at", &seq]);
        command.args(["--item", card_file.to_str().unwrap(), "--model", model_file.to_str().unwrap()]);
        let said = Said::from(command.args(words).output().unwrap());
        assert_eq!(said.code, Some(0), "{said:#?}");
        said.out
    };
    let here = eval(&["--ledger", ledger.to_str().unwrap(), "--by-name"]);
    assert!(here.contains("\"n\":2"), "{here}");
    let strangers = eval(&["--ledger", ledger.to_str().unwrap()]);
    assert!(strangers.contains("\"n\":1"), "without names there is no link: {strangers}");
    assert_eq!(eval(&["--daemon", &daemon.url()]), here);
    assert_eq!(eval(&["--state", state.to_str().unwrap(), "--daemon"]), here);
}

#[tokio::test(flavor = "multi_thread")]
async fn heavy_results_come_by_commit_reveal_and_attest() {
    let hub = FixtureHub::start().await;
    let (_host, daemon) = nobody_wants_anything(&hub).await;
    let (author, other) = (key(1), key(2));
    let first = let_in(&daemon, &signed(&author, 30405, &[&["weight", "1"]], "", 1)).await;
    let mut heavy = card(&first);
    heavy["ctl"]["det"] = json!(false);
    let id = let_in(&daemon, &card_event(&author, &heavy, 2)).await;
    let core = json!({ "result": { "score": 0.5, "label": "ok" } });
    let digest =
        lineage::tiers::Phase::commit_digest(&lineage::json::Json::parse(&core.to_string()).unwrap(), "salt");
    let phase = |key: &SecretKey, parent: &str, said: Value, second: u64| {
        signed(key, 30408, &[&["parent", parent]], &said.to_string(), second)
    };
    let commit = json!({ "phase": "commit", "item": id, "commit": format!("0x{digest}") });
    let nowhere = json!({ "phase": "commit", "item": first, "commit": format!("0x{digest}") });
    refused(&daemon, &phase(&author, &first, nowhere, 3), "E_ITEM at /item: ").await;
    let commit = let_in(&daemon, &phase(&author, &id, commit, 4)).await;
    let reveal = |salt: &str| json!({ "phase": "reveal", "commit": commit, "core": core, "salt": salt });
    refused(&daemon, &phase(&other, &commit, reveal("salt"), 5), "E_UPDATER at /commit: ").await;
    refused(&daemon, &phase(&author, &commit, reveal("pepper"), 6), "E_MISMATCH at /core: ").await;
    let reveal = let_in(&daemon, &phase(&author, &commit, reveal("salt"), 7)).await;
    let attest = json!({ "phase": "attest", "reveal": reveal, "core": core });
    refused(&daemon, &phase(&author, &reveal, attest.clone(), 8), "E_UPDATER").await;
    let_in(&daemon, &phase(&other, &reveal, attest, 9)).await;
    refused(&daemon, &phase(&other, &id, json!({ "phase": "vote", "item": id }), 10), "E_MISMATCH at /phase")
        .await;
    // Nobody gets past that with an UPDATE.
    let_in(&daemon, &model_event(&author, &model(), 11)).await;
    let (_, answer) = post(&daemon, "/v1/lineage/evaluate", &json!({ "card": id })).await;
    let update = update_event(&author, &id, &answer["update"], 12);
    refused(&daemon, &update, "E_MISMATCH at /item: the card is not deterministic").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cards_that_starve_explode_or_lie_get_a_code_and_the_daemon_goes_on() {
    let hub = FixtureHub::start().await;
    let mut host = Host::of(&hub);
    host.index(&[]);
    host.ledger = vec!["private_kinds = [30410]".to_owned()];
    let daemon = Daemon::start(&host);
    let author = key(1);
    let first = let_in(&daemon, &signed(&author, 30405, &[&["weight", "1"]], "", 1)).await;
    // Two conversations that name each other, and one that is for its parties alone.
    let talk = |hash: &str, before: &str, second: u64| {
        let content = json!({ "context": { "previous_interactions": [before] } }).to_string();
        signed(&author, 30410, &[&["interaction_hash", hash]], &content, second)
    };
    let_in(&daemon, &talk("aa", "bb", 2)).await;
    let last = let_in(&daemon, &talk("bb", "aa", 3)).await;
    for second in 10..60 {
        let tags: [&[&str]; 2] = [&["parent", &first], &["weight", "1"]];
        let_in(&daemon, &signed(&author, 30405, &tags, "", second)).await;
    }
    let ask = async |change: &dyn Fn(&mut Value, &mut Value)| {
        let (mut card, mut model) = (card(&first), model());
        change(&mut card, &mut model);
        post(&daemon, "/v1/lineage/evaluate", &json!({ "item": card, "model": model })).await
    };
    let check = async |change: &dyn Fn(&mut Value, &mut Value), words: &str| {
        let (status, said) = ask(change).await;
        assert_eq!(status, 400, "{said:#}");
        assert!(said["detail"].as_str().unwrap().contains(words), "{words}: {said:#}");
    };
    check(&|card, _| card["ctl"]["gas"] = json!(1), "E_GAS").await;
    check(&|card, _| card["s"] = json!("ab".repeat(32)), "E_START at /s").await;
    check(&|_, model| model["in"] = json!(["weight", "nothing"]), "E_FEATURE at /in/1").await;
    check(&|_, model| model["w"] = json!(["999999999999", "1"]), "E_OVERFLOW").await;
    check(
        &|card, _| {
            card["j"]["spec"][0] = json!({ "n": "weight", "sel": "meta.none", "agg": "max", "t": "num" });
        },
        "E_MISSING at /imp/0",
    )
    .await;
    check(&|_, model| model["id"] = json!("other:1"), "E_MODEL at /id").await;
    check(
        &|_, model| {
            let nodes = json!([{ "s": "1" }, { "f": 0, "t": "1", "y": 0, "n": 0 }]);
            *model = json!({ "id": "sum:1", "eng": "tree", "in": ["weight"], "nodes": nodes });
        },
        "E_MODEL at /nodes/1",
    )
    .await;
    check(
        &|_, model| {
            let many: Vec<Value> = (0..2000).map(|_| json!({ "s": "1" })).collect();
            *model = json!({ "id": "sum:1", "eng": "tree", "in": ["weight"], "nodes": many });
        },
        "E_MODEL at /nodes",
    )
    .await;
    // Whatever a card asks for, a daemon has its own bounds, and the card's smaller ones hold.
    let (status, said) = ask(&|card, _| {
        card["ctl"]["gas"] = json!(9_007_199_254_740_991_u64);
        card["ctl"]["maxN"] = json!(9_007_199_254_740_991_u64);
        card["j"]["limit"] = json!(7);
    })
    .await;
    assert_eq!(
        (status, &said["evaluation"]["n"], &said["evaluation"]["stop"]),
        (200, &json!(7), &json!("limit"))
    );
    // Names that mean each other make no cycle; what is closed is closed to cards too.
    let crawl = json!({ "item": { "v": "1", "s": last, "o": { "ut": "U" }, "ctl": { "maxN": 9, "gas": 9999 },
        "j": { "jid": "J", "m": "OP_AI_EVAL", "mod": "sum:1", "limit": 9, "spec": [] } } });
    let (status, said) = post(&daemon, "/v1/lineage/crawl", &crawl).await;
    assert_eq!((status, said["detail"].as_str().unwrap().contains("30410")), (403, true), "{said:#}");
    let raw = |body: &'static str| {
        let sent = daemon.client().post(format!("{}/v1/lineage/evaluate", daemon.url()));
        sent.header("content-type", "application/json").body(body).send()
    };
    for body in ["{}", "[]", r#"{"item":{"v":"1","v":"1"},"model":{}}"#, r#"{"item":1,"card":"a"}"#] {
        assert_eq!(raw(body).await.unwrap().status(), 400, "{body}");
    }
    // Many at once: each gets an answer.
    let (item, model) = (card(&first), model());
    let asked = json!({ "item": item, "model": model });
    let many = futures_util::future::join_all((0..40).map(|_| post(&daemon, "/v1/lineage/evaluate", &asked)));
    let answers = many.await;
    assert!(answers.iter().all(|it| it.0 == 200 && it.1["evaluation"] == answers[0].1["evaluation"]));
    assert_eq!(daemon.stop().0, Some(0));
}
