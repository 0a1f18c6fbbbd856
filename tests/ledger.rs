//! What the daemon signs, what its log lets in, and what others can check of it.

mod copies;
mod full_disk;
mod killed;
mod on_disk;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::Arc,
};

use base::{Sha256, SystemClock};
use ledger::{Derived as _, Fold as _, Live, Log, Membership, Options, Policy, SecretKey};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{
    daemon::Daemon,
    events::{fed, post, publish, run},
    host::{Entry, Host, digest, entry},
    hub::{FixtureHub, Way, noise},
};

const LENGTH: usize = 20_000;

/// A host that wants a good model, one that is tampered with on its way, and one that its policy holds.
fn three_fates(hub: &FixtureHub) -> Host {
    let ids = ["ajna-good-v1", "ajna-held-v1", "ajna-tampered-v1"];
    let mut entries = Vec::new();
    for (id, seed) in ids.iter().zip(1..) {
        hub.put(&format!("org/{id}"), "model.bin", &noise(seed, LENGTH));
        entries.push(entry(id, &noise(seed, LENGTH)));
    }
    hub.put("org/ajna-tampered-v1", "model.bin", &noise(77, LENGTH));
    // A hub that announces nothing, so that only the bytes themselves tell.
    hub.change("org/ajna-tampered-v1", "model.bin", |it| it.way = Way::Cdn { linked: false });
    entries[1].0["license"] = json!("GPL-3.0-only");
    let mut host = Host::of(hub);
    host.policy = vec!["licenses = [\"Apache-2.0\"]".to_owned()];
    host.wants(&entries);
    host
}

/// Waits until the last thing that was said of a model is this, and returns its graph.
async fn until_said(daemon: &Daemon, id: &str, result: &str) -> Value {
    let path = format!("/v1/models/{id}/provenance");
    let said = |graph: &Value| {
        let nodes = graph["nodes"].as_array();
        nodes.and_then(|it| it.last()).is_some_and(|it| it["says"]["valid_result"] == result)
    };
    daemon.until_says(&path, &format!("{id} is said to be {result}"), said).await
}

fn kinds(graph: &Value) -> Vec<u64> {
    graph["nodes"].as_array().unwrap().iter().map(|it| it["kind"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_each_model_is_a_graph_of_signed_events() {
    let hub = FixtureHub::start().await;
    let mut host = three_fates(&hub);
    let daemon = Daemon::start(&host);
    let log = daemon.json("/v1/log").await;
    let mut events = Vec::new();
    let fates = [
        ("ajna-good-v1", "deployed", vec![30405, 30409, 30404, 30408, 30408]),
        ("ajna-held-v1", "held", vec![30405, 30409, 30404, 30408, 30408]),
        ("ajna-tampered-v1", "mismatch", vec![30405, 30409, 30404, 30408]),
    ];
    for (id, result, expected) in fates {
        let graph = until_said(&daemon, id, result).await;
        assert_eq!(kinds(&graph), expected, "{graph:#}");
        let nodes = graph["nodes"].as_array().unwrap();
        let edges = graph["edges"].as_array().unwrap();
        // Each rests on the one before it, from the dataset to what became of the model here.
        let chain = nodes.windows(2).map(|it| json!({ "from": it[0]["id"], "to": it[1]["id"] }));
        assert_eq!(*edges, chain.collect::<Vec<_>>());
        assert_eq!(graph["missing"], json!([]));
        for node in nodes {
            assert_eq!((&node["author"], &node["is_own"]), (&log["author"], &json!(true)), "{node:#}");
            events.push(daemon.json(node["url"].as_str().unwrap()).await["event"].clone());
        }
        let last = &nodes.last().unwrap()["says"];
        assert_eq!(last["host"], log["host"]);
        if result == "mismatch" {
            let found = Sha256::of(&noise(77, LENGTH)).to_string();
            assert_eq!(last["digest"], json!(found));
            assert!(last["cause"].as_str().unwrap().contains("came in place of"), "{last}");
        } else if result == "held" {
            assert!(last["cause"].as_str().unwrap().contains("GPL-3.0-only"), "{last}");
        }
    }
    let all = host.write("events.json", json!(events).to_string().as_bytes());
    let said = run(&["event", "verify", all.to_str().unwrap()]);
    assert_eq!((said.code, said.out.lines().count()), (Some(0), events.len()), "{said:#?}");
    events[2]["content"] = json!("something else");
    host.write("events.json", json!(events).to_string().as_bytes());
    let said = run(&["event", "verify", all.to_str().unwrap()]);
    assert_eq!(said.code, Some(1), "{said:#?}");
    said.says(&["event 3 (", "does not hold", "is neither the SHA-256 of the event"]);

    // An entry that nobody wants is not written about, and a model that is no longer wanted is.
    host.declares(&["ajna-held-v1", "ajna-tampered-v1"]);
    host.arguments(&[]);
    daemon.signal(Signal::SIGHUP);
    until_said(&daemon, "ajna-good-v1", "withdrawn").await;
    host.declares(&["ajna-good-v1", "ajna-held-v1", "ajna-tampered-v1"]);
    host.arguments(&[]);
    daemon.signal(Signal::SIGHUP);
    let graph = until_said(&daemon, "ajna-good-v1", "deployed").await;
    assert_eq!(kinds(&graph), [30405, 30409, 30404, 30408, 30408, 30408, 30408], "{graph:#}");
    // It rests on the bytes that were proved, and comes after the withdrawal.
    let nodes = graph["nodes"].as_array().unwrap();
    for from in [3, 5] {
        let edge = json!({ "from": nodes[from]["id"], "to": nodes[6]["id"] });
        assert!(graph["edges"].as_array().unwrap().contains(&edge), "{graph:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_signs_nothing_again() {
    let hub = FixtureHub::start().await;
    let mut host = three_fates(&hub);
    let daemon = Daemon::start(&host);
    for (id, result) in
        [("ajna-good-v1", "deployed"), ("ajna-held-v1", "held"), ("ajna-tampered-v1", "mismatch")]
    {
        until_said(&daemon, id, result).await;
    }
    let before = daemon.json("/v1/log").await;
    // The subspace, one dataset for all, and for each model where it comes from, what it is, what became of it.
    assert_eq!(before["size"], json!(1 + 1 + 3 * 2 + 2 + 2 + 1), "{before:#}");
    assert_eq!(daemon.stop().0, Some(0));
    for _ in 0..2 {
        let daemon = Daemon::start(&host);
        let at_rest = json!({ "held": ["ajna-held-v1"], "quarantined": ["ajna-tampered-v1"] });
        daemon.until_says("/readyz", "all have come to rest", |it| it["waiting"] == at_rest).await;
        // A new model is written about after those that came to rest before it was there.
        let name = format!("ajna-late-v{}", daemon.json("/v1/log").await["size"]);
        let mut index: Value = serde_json::from_slice(&fs::read(host.path("index.json")).unwrap()).unwrap();
        let size = daemon.json("/v1/log").await["size"].as_u64().unwrap();
        hub.put(&format!("org/{name}"), "model.bin", &noise(5, LENGTH));
        let late = entry(&name, &noise(5, LENGTH));
        let models = index["models"].as_array_mut().unwrap();
        models.push(late.0);
        let entries = models.iter().cloned().map(Entry).collect::<Vec<_>>();
        host.wants(&entries);
        host.arguments(&[]);
        daemon.signal(Signal::SIGHUP);
        until_said(&daemon, &name, "deployed").await;
        let after = daemon.json("/v1/log").await["size"].as_u64().unwrap();
        assert_eq!(after, size + 4, "only the new model was written about");
        assert_eq!(daemon.stop().0, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_signed_sent_found_and_proved_to_somebody_who_has_only_a_key() {
    let hub = FixtureHub::start().await;
    let host = Host::of(&hub);
    host.index(&[]);
    let daemon = Daemon::start(&host);
    let state = host.path("state");
    let state = state.to_str().unwrap();
    let key = host.path("mine.key");
    let key = key.to_str().unwrap();
    assert_eq!(run(&["key", "new", key]).code, Some(0));
    assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    let again = run(&["key", "new", key]);
    assert_eq!(again.code, Some(2), "a key is never written over");
    let mine = run(&["key", "show", key, "--json"]).json();

    let mut draft = json!({
        "kind": 30300, "tags": [["d", "subspace_op"], ["sid", "0xMG"], ["op", "post"]],
        "content": { "text": "größer" }
    });
    for scheme in ["spec", "spec-raw", "sdk"] {
        // Two that say the same in one second would be one event.
        draft["content"]["scheme"] = json!(scheme);
        let signed = fed(&["event", "sign", "-", "--key", key, "--as", scheme], &draft.to_string());
        assert_eq!(signed.code, Some(0), "{signed:#?}");
        let event = signed.json();
        assert!(event["pubkey"].as_str().unwrap().eq_ignore_ascii_case(mine["pubkey"].as_str().unwrap()));
        assert_eq!(event["content"], json!(draft["content"].to_string()));
        fed(&["event", "verify"], &signed.out).says(&["holds", "kind 30300"]);
        let id = event["id"].as_str().unwrap();
        // Over the socket, and over the network the second time.
        fed(&["event", "publish", "--state", state], &signed.out).says(&["is in the log", id]);
        fed(&["event", "publish", "--daemon", &daemon.url()], &signed.out).says(&["was there already", id]);
        let broken = signed.out.replace("größer", "kleiner");
        let refused = fed(&["event", "publish", "--state", state], &broken);
        assert_eq!(refused.code, Some(1), "{refused:#?}");
        refused.says(&["was refused", "invalid: id"]);

        let bundle = run(&["event", "prove", id, "--state", state]);
        assert_eq!(bundle.code, Some(0), "{bundle:#?}");
        let log = run(&["key", "show", "--state", state, "--json"]).json();
        let log_key = log["log_key"].as_str().unwrap();
        fed(&["event", "verify", "--log-key", log_key], &bundle.out).says(&[
            "holds",
            id,
            "events in the log hallmark/",
        ]);
        let leaf = bundle.out.replace("\\\"seq\\\":", "\\\"seq\\\":1");
        let wrong = fed(&["event", "verify", "--log-key", log_key], &leaf);
        assert_eq!(wrong.code, Some(1), "{wrong:#?}");
        let other = log_key.replace("hallmark/", "hallmerk/");
        assert_eq!(fed(&["event", "verify", "--log-key", &other], &bundle.out).code, Some(1));
        assert_eq!(fed(&["event", "verify"], &bundle.out).code, Some(2), "a bundle needs a key");
    }
    let found = run(&["event", "query", "--sid", "0xMG", "--state", state, "--kind", "30300"]);
    assert_eq!(found.json().as_array().unwrap().len(), 3, "{found:#?}");
    assert_eq!(fed(&["event", "verify"], &found.out).code, Some(0));
    let none = run(&["event", "query", "--tag", "sid=0xMG", "--tag", "op=vote", "--state", state]);
    assert_eq!(none.json(), json!([]));
    let address = format!("http://{}", daemon.address());
    drop(daemon);
    let gone = run(&["event", "query", "--state", state]);
    assert_eq!((gone.code, gone.out.as_str()), (Some(2), ""), "{gone:#?}");
    assert!(gone.err.contains("start `hallmark serve`"), "{gone:#?}");
    let gone = run(&["event", "query", "--daemon", &address]);
    assert_eq!((gone.code, gone.out.as_str()), (Some(2), ""), "{gone:#?}");
    assert!(gone.err.contains("does `hallmark serve` run there?"), "{gone:#?}");
}

#[test]
fn the_vectors_of_other_programs_hold() {
    let vectors: Value =
        serde_json::from_str(include_str!("../registry/ledger/vectors/events.json")).unwrap();
    let vectors = vectors["vectors"].as_array().unwrap();
    let events = vectors.iter().map(|it| &it["event"]).collect::<Vec<_>>();
    let said = fed(&["event", "verify", "--json"], &json!(events).to_string());
    assert_eq!(said.code, Some(0), "{said:#?}");
    for (checked, vector) in said.json().as_array().unwrap().iter().zip(vectors) {
        assert_eq!(checked["id"], vector["event"]["id"]);
        let is_sdk = checked["scheme"].as_str().unwrap().starts_with("sdk");
        assert_eq!(is_sdk, vector["scheme"] == "sdk", "{checked}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_show_what_the_log_knows() {
    let hub = FixtureHub::start().await;
    let host = Host::of(&hub);
    host.index(&[]);
    let daemon = Daemon::start(&host);
    let own = daemon.json("/v1/log").await["sid"].as_str().unwrap().to_owned();
    let path = format!("/v1/subspaces/{own}");
    let space = daemon.until_says(&path, "the subspace is made", |it| it["name"] == "modelgraph").await;
    assert_eq!(space["clock"], json!({ "30100": 1 }));
    assert_eq!(space["ops"]["finetune"], json!(30409));
    assert_eq!(space["people"][0]["standing"], "member");
    assert_eq!(space["people"][0]["address"], space["creator"]);
    let chain = daemon.json(&format!("{path}/chain")).await;
    assert_eq!((chain["leaves"].as_array().unwrap().len(), &chain["next"]), (1, &Value::Null));
    let past = daemon.get(&format!("{path}?at=0")).await;
    assert_eq!(past.status(), 404, "nobody had made it then");

    let key = SecretKey::from_bytes([9; 32]).unwrap();
    for number in 0..5 {
        let event = post(&key, number);
        let answer = publish(&daemon, &event).await;
        assert_eq!(answer["position"]["clock"], json!(format!("30300:{}", number + 1)));
    }
    let page = daemon.json("/v1/events?sid=0xMG&limit=2").await;
    assert_eq!(page["events"].as_array().unwrap().len(), 2);
    let rest = format!("/v1/events?sid=0xMG&limit=3&cursor={}", page["next"].as_str().unwrap());
    let rest = daemon.json(&rest).await;
    assert_eq!((rest["events"].as_array().unwrap().len(), &rest["next"]), (3, &Value::Null));
    assert_eq!(daemon.json("/v1/subspaces").await["subspaces"].as_array().unwrap().len(), 2);
    let checkpoint = daemon.get("/checkpoint").await.text().await.unwrap();
    assert!(checkpoint.starts_with("hallmark/"), "{checkpoint}");
    assert_eq!(daemon.get("/tile/0/000.p/6").await.bytes().await.unwrap().len(), 6 * 32);
    // The leaves as the tiles have them make the root that the checkpoint has: by another program's tree.
    let entries = daemon.get("/tile/entries/000.p/6").await.bytes().await.unwrap();
    let mut tree = ct_merkle::mem_backed_tree::MemoryBackedTree::<sha2::Sha256, Vec<u8>>::new();
    let mut rest = &entries[..];
    while let Some((length, tail)) = rest.split_first_chunk() {
        let (leaf, tail) = tail.split_at(u16::from_be_bytes(*length).into());
        tree.push(leaf.to_vec());
        rest = tail;
    }
    let root = Sha256::parse(daemon.json("/v1/log").await["root"].as_str().unwrap()).unwrap();
    assert_eq!(tree.root().as_bytes()[..], root.as_bytes()[..]);
    // As it was when the log had so many events.
    for at in 0..=6_usize {
        let page = daemon.json(&format!("/v1/events?sid=0xMG&at={at}")).await;
        assert_eq!(page["events"].as_array().unwrap().len(), at.saturating_sub(1), "{at}");
    }
    let proof = daemon.json("/v1/log/consistency?old=2&size=6").await;
    assert!(!proof["proof"].as_array().unwrap().is_empty());
    for (path, status) in [
        ("/v1/events?colour=red", 400),
        ("/v1/events?limit=0", 400),
        ("/v1/events?at=-1", 400),
        ("/v1/proposals?at=x", 400),
        ("/v1/sessions/none?at=x", 400),
        ("/v1/events?kind=x", 400),
        ("/v1/events/xyz", 400),
        (&format!("/v1/events/{}", "0".repeat(64)), 404),
        (&format!("/v1/events/{}/proof", "0".repeat(64)), 404),
        ("/v1/subspaces/0xNOBODY", 404),
        ("/v1/sessions/none", 404),
        ("/v1/models/nobody-knows-v1/provenance", 404),
        ("/tile/0/999", 404),
        ("/v1/log/consistency?old=0", 404),
        ("/v1/log/consistency?old=x", 400),
    ] {
        let answer = daemon.get(path).await;
        assert_eq!(answer.status(), status, "{path}");
        let problem: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert!(problem["remedy"].as_str().is_some_and(|it| !it.is_empty()), "{path}: {problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_a_log_says_so_and_serves_the_rest() {
    let hub = FixtureHub::start().await;
    let mut host = Host::of(&hub);
    host.index(&[]);
    host.ledger = vec!["enabled = false".to_owned()];
    let daemon = Daemon::start(&host);
    let answer = daemon.get("/v1/events").await;
    assert_eq!(answer.status(), 404);
    assert!(answer.text().await.unwrap().contains("[ledger] enabled = true"));
    assert_eq!(daemon.get("/healthz").await.status(), 200);
    assert!(!host.path("state/ledger.sqlite").exists() && !host.path("state/daemon.key").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_and_an_open_key_end_the_start_and_change_nothing() {
    let hub = FixtureHub::start().await;
    let host = Host::of(&hub);
    host.index(&[]);
    let daemon = Daemon::start(&host);
    daemon.until_says("/v1/log", "the subspace is made", |it| it["size"] == 1).await;
    assert_eq!(daemon.stop().0, Some(0));
    let key = host.path("state/daemon.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let said = host.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("can be read by anybody; close it: chmod 600"), "{}", said.err);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();

    let path = host.path("state/ledger.sqlite");
    let whole = fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle..].fill(0x5a);
    fs::write(&path, &damaged).unwrap();
    let said = host.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(said.code, Some(2), "{said:#?}");
    assert!(said.err.contains("is damaged, and is left as it is"), "{}", said.err);
    assert_eq!(digest(&path), Sha256::of(&damaged), "not a byte was changed");
    fs::write(&path, b"this was never a database").unwrap();
    let said = host.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(said.err.contains("it is not an SQLite database"), "{}", said.err);
    fs::write(&path, &whole).unwrap();
    let daemon = Daemon::start(&host);
    assert_eq!(daemon.json("/v1/log").await["size"], 1);
}
