//! The gate on what a model rests on: it holds, says why, opens when that changes, and closes again.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

use crate::support::{
    daemon::Daemon,
    host::{Entry, Host, Said, entry},
    hub::{FixtureHub, noise},
    peers,
};

const ID: &str = "ajna-good-v1";
const LENGTH: usize = 20_000;

/// A host that wants one model, and whose policy asks what it rests on.
fn guarded(hub: &FixtureHub, policy: &[&str]) -> (Host, Entry) {
    hub.put(&format!("org/{ID}"), "model.bin", &noise(1, LENGTH));
    let wanted = entry(ID, &noise(1, LENGTH));
    let mut host = Host::of(hub);
    host.policy = policy.iter().map(|it| (*it).to_owned()).collect();
    host.wants(std::slice::from_ref(&wanted));
    (host, wanted)
}

/// Runs a command about the daemon of a host.
fn ask(host: &Host, words: &[&str]) -> Said {
    let state = host.path("state");
    let mut command = Command::new(env!("CARGO_BIN_EXE_hallmark"));
    command.args(words).args(["--state", state.to_str().unwrap()]).current_dir(host.path(""));
    command.output().unwrap().into()
}

/// Signs a draft with a key and publishes it. Returns the id of the event.
fn publish(host: &Host, key: Option<&Path>, draft: &Value) -> String {
    let path = host.write("draft.json", draft.to_string().as_bytes());
    let mut words = vec!["event", "sign", path.to_str().unwrap()];
    words.extend(key.into_iter().flat_map(|it| ["--key", it.to_str().unwrap()]));
    let signed = ask(host, &words);
    assert_eq!(signed.code, Some(0), "{signed:#?}");
    let path = host.write("event.json", signed.out.as_bytes());
    let published = ask(host, &["event", "publish", path.to_str().unwrap()]);
    assert_eq!(published.code, Some(0), "{published:#?}");
    signed.json()["id"].as_str().unwrap().to_owned()
}

fn vote(parent: &str, vote: &str, sid: &str) -> Value {
    json!({
        "kind": 30302, "content": "",
        "tags": [["d", "subspace_op"], ["sid", sid], ["op", "vote"], ["parent", parent], ["vote", vote]],
    })
}

/// Waits until a model is held for a reason that has these words.
async fn until_held(daemon: &Daemon, words: &str) -> Value {
    let held = |it: &Value| {
        it["state"] == "held"
            && it["why"].as_array().unwrap().iter().any(|it| it.as_str().unwrap().contains(words))
    };
    daemon.until_says(&format!("/v1/models/{ID}"), &format!("held: {words}"), held).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_waits_for_its_approval_and_falls_with_its_dataset() {
    let hub = FixtureHub::start().await;
    let (host, wanted) = guarded(&hub, &["lineage.item = \"default\""]);
    let daemon = Daemon::start(&host);
    // The model, its run, its dataset, and that its bytes are proven.
    let held = until_held(&daemon, "approvals 0 < 1, stop=exhausted, n=4").await;
    assert_eq!(held["why"], json!(["approvals 0 < 1, stop=exhausted, n=4 (policy: lineage)"]));
    assert_eq!(daemon.get(&format!("/v1/models/{ID}/artifact")).await.status(), 409, "held is not served");

    let gate = ask(&host, &["lineage", "gate", ID, "--explain"]);
    assert_eq!(gate.code, Some(1), "{gate:#?}");
    gate.says(&[ID, "does not pass: approvals 0 < 1"]).says(&["approvals", "= 0", "falls short"]);
    gate.says(&["verified_hosts = 1"]).says(&["With each it visits what is said about it"]);
    let report = daemon.json(&format!("/v1/lineage/gate/{ID}")).await;
    assert_eq!((&report["passes"], &report["in_force"]), (&json!(false), &json!(true)), "{report:#}");
    let model = report["event"].as_str().unwrap();
    let sid = daemon.json("/v1/log").await["sid"].as_str().unwrap().to_owned();

    // Nobody whom the host does not trust is heard.
    let stranger = host.path("stranger.key");
    assert_eq!(ask(&host, &["key", "new", stranger.to_str().unwrap()]).code, Some(0));
    publish(&host, Some(&stranger), &vote(model, "yes", &sid));
    publish(&host, None, &vote(model, "no", &sid));
    let report = daemon.json(&format!("/v1/lineage/gate/{ID}")).await;
    assert_eq!(report["why"], "approvals 0 < 1, stop=exhausted, n=5", "a no is a word, and no approval");

    publish(&host, None, &vote(model, "yes", &sid));
    daemon.until(ID, "deployed").await;
    host.check(&[wanted]);
    assert_eq!(ask(&host, &["lineage", "gate", ID]).code, Some(0));
    // The same answer from files alone, by anybody who has the log: the card, the events, no daemon.
    let evaluated = daemon.json(&format!("/v1/lineage/gate/{ID}")).await["evaluation"].clone();
    assert_eq!((&evaluated["label"], &evaluated["score"]), (&json!("trusted"), &json!("1")));

    // What the world shows is in the log a moment later, and who revokes is told what the log says.
    let is_deployed = |graph: &Value| {
        let mut results =
            graph["nodes"].as_array().into_iter().flatten().map(|it| &it["says"]["valid_result"]);
        results.any(|it| it == "deployed")
    };
    daemon.until_says(&format!("/v1/models/{ID}/provenance"), "it is signed", is_deployed).await;
    let revoked = ask(&host, &["event", "revoke", "example/corpus", "--why", "it holds secrets"]);
    assert_eq!(revoked.code, Some(0), "{revoked:#?}");
    revoked.says(&["revoked by"]).says(&["model", ID]).says(&["host", ID, "deployed"]);
    until_held(&daemon, "revocations 1 > 0").await;
    assert_eq!(daemon.get(&format!("/v1/models/{ID}/artifact")).await.status(), 409);
    assert!(!host.view(ID, "model.bin").exists());
    let unknown = ask(&host, &["event", "revoke", "nobody/knows"]);
    assert_eq!(unknown.code, Some(2), "{unknown:#?}");

    // What the daemon signs about itself moves no gate: it says once that the model is held, and why.
    let is_said = |graph: &Value| {
        let last = graph["nodes"].as_array().and_then(|it| it.last()).map(|it| it["says"].clone());
        last.is_some_and(|it| it["cause"].as_str().is_some_and(|it| it.contains("revocations 1 > 0")))
    };
    let graph = daemon.until_says(&format!("/v1/models/{ID}/provenance"), "it is said", is_said).await;
    let states =
        graph["nodes"].as_array().unwrap().iter().filter_map(|it| it["says"]["valid_result"].as_str());
    assert_eq!(states.collect::<Vec<_>>(), ["verified", "held", "deployed", "held"], "{graph:#}");
    // As it was when the log had its subspace, the dataset, the run and the model, and no word about this host.
    let path = format!("/v1/models/{ID}/provenance?at=");
    let past = daemon.json(&format!("{path}4")).await;
    let kinds = past["nodes"].as_array().unwrap().iter().map(|it| it["kind"].as_u64().unwrap());
    assert_eq!(kinds.collect::<Vec<_>>(), [30405, 30409, 30404], "{past:#}");
    assert_eq!(past["missing"], json!([]), "{past:#}");
    assert_eq!(daemon.json(&format!("{path}1")).await["nodes"], json!([]));
    assert_eq!(daemon.get(&format!("{path}yesterday")).await.status(), 400);
    // And after a restart it is what it was.
    assert_eq!(daemon.stop().0, Some(0));
    let daemon = Daemon::start(&host);
    until_held(&daemon, "revocations 1 > 0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deployed_stays_where_the_operator_wants_that() {
    let hub = FixtureHub::start().await;
    let key = Host::of(&hub);
    let trusted = key.path("reviewer.key");
    assert_eq!(ask(&key, &["key", "new", trusted.to_str().unwrap()]).code, Some(0));
    let address = ask(&key, &["key", "show", trusted.to_str().unwrap(), "--json"]).json();
    let list = format!("lineage.trusted = [{}]", address["pubkey"]);
    let (host, wanted) =
        guarded(&hub, &["lineage.item = \"default\"", "lineage.on_fail = \"keep-previous\"", &list]);
    let daemon = Daemon::start(&host);
    until_held(&daemon, "approvals 0 < 1").await;
    let report = daemon.json(&format!("/v1/lineage/gate/{ID}")).await;
    let sid = daemon.json("/v1/log").await["sid"].as_str().unwrap().to_owned();
    publish(&host, Some(&trusted), &vote(report["event"].as_str().unwrap(), "yes", &sid));
    daemon.until(ID, "deployed").await;
    // The approval is taken back: the later vote of the two counts.
    publish(&host, Some(&trusted), &vote(report["event"].as_str().unwrap(), "no", &sid));
    let held = until_held(&daemon, "approvals 0 < 1").await;
    assert_eq!(held["why"][1], "what was deployed of it before stays", "{held:#}");
    assert_eq!(daemon.get(&format!("/v1/models/{ID}/artifact")).await.status(), 200);
    host.check(&[wanted]);
    assert!(host.view(ID, "model.bin").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_of_ones_own_judges_by_its_score() {
    let hub = FixtureHub::start().await;
    let (mut host, _) = guarded(&hub, &[]);
    let card = json!({
        "v": "1", "s": "anything", "o": { "ut": "UPDATE" }, "ctl": { "maxN": 50, "gas": 100_000, "dir": "up" },
        "j": { "jid": "own", "m": "OP_AI_EVAL", "mod": "own:1", "limit": 50, "spec": [
            { "n": "events", "sel": "txid", "agg": "count", "t": "text" },
        ] },
    });
    let model = json!({ "v": 1, "id": "own:1", "eng": "linreg", "in": ["events"], "w": ["0.1"], "b": "0", "link": "id" });
    host.write("card.json", card.to_string().as_bytes());
    host.write("model.json", model.to_string().as_bytes());
    let set = |host: &mut Host, least: &str| {
        let line = |key: &str, value: String| format!("lineage.{key} = {value}");
        let path = |name: &str| json!(host.path(name)).to_string();
        host.policy = vec![
            line("item", path("card.json")),
            line("model", path("model.json")),
            line("min_score", least.to_owned()),
        ];
        host.arguments(&[]);
    };
    set(&mut host, "0.4");
    let daemon = Daemon::start(&host);
    until_held(&daemon, "score 0.3 < 0.4, stop=exhausted, n=3").await;
    set(&mut host, "0.3");
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    daemon.until(ID, "deployed").await;
    // A card that does not hold changes nothing that runs.
    host.write("card.json", card.to_string().replace("\"maxN\":50", "\"maxN\":0").as_bytes());
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    crate::support::host::until("the card is refused", || daemon.log().contains("E_LIMITS at /ctl/maxN"));
    assert_eq!(daemon.state(ID).await["state"], "deployed");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_daemon_nobody_can_say_what_a_model_rests_on() {
    let hub = FixtureHub::start().await;
    let (host, _) = guarded(&hub, &["lineage.item = \"default\""]);
    let said = host.run(&["sync"]);
    assert_eq!(said.code, Some(1), "{said:#?}");
    said.says(&[ID, "held", "start `hallmark serve`"]);
    assert!(!host.view(ID, "model.bin").exists());
    let gate = ask(&host, &["lineage", "gate", ID]);
    assert_eq!(gate.code, Some(2), "{gate:#?}");
    let check = |line: &str, part: &str| {
        let path = host.write("wrong.toml", format!("[policy.lineage]\n{line}\n").as_bytes());
        let said = ask_plain(&["check-config", path.to_str().unwrap()]);
        assert_eq!(said.code, Some(2), "{said:#?}");
        assert!(said.err.contains(part), "{said:#?}");
    };
    check("item = \"card.json\"", "asks nothing of its card");
    check("item = \"default\"\non_fail = \"panic\"", "expected `hold` or `keep-previous`");
    check("item = \"default\"\nmin_scores = 1", "did you mean `min_score`?");
    check("min_score = 1", "item");
    fs::remove_file(host.path("wrong.toml")).unwrap();
}

fn ask_plain(words: &[&str]) -> Said {
    Command::new(env!("CARGO_BIN_EXE_hallmark")).args(words).output().unwrap().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_host_under_a_revoked_dataset_is_found() {
    let hub = FixtureHub::start().await;
    let (mut first, _) = guarded(&hub, &["lineage.item = \"default\""]);
    first.ledger = vec!["host = \"alpha\"".to_owned()];
    let alpha = Daemon::start(&first);
    until_held(&alpha, "approvals 0 < 1").await;
    let (mut second, _) = guarded(&hub, &[]);
    let address = alpha.url().replace("http://", "ws://");
    second.ledger = vec!["host = \"beta\"".to_owned(), format!("relays = [\"{address}\"]")];
    let beta = Daemon::start(&second);
    beta.until(ID, "deployed").await;

    // What beta signed reaches alpha; there both hosts rest on the dataset, each by its own word.
    let both = |it: &Value| it["hosts"].as_array().is_some_and(|it| it.len() == 2);
    let impact = "/v1/lineage/impact?of=example%2Fcorpus&events=true";
    let found = alpha.until_says(impact, "both hosts are below the dataset", both).await;
    let place = |host: &str| {
        let hosts = found["hosts"].as_array().unwrap();
        hosts.iter().find(|it| it["host"] == host).unwrap_or_else(|| panic!("no {host} in {found:#}")).clone()
    };
    assert_eq!(place("alpha")["state"], "held");
    assert!(["verified", "deployed"].contains(&place("beta")["state"].as_str().unwrap()), "{found:#}");
    assert_eq!(found["is_complete"], true);
    assert_eq!(found["models"].as_array().unwrap().len(), 2, "each host says what the model is: {found:#}");
    assert_eq!(found["target"], json!({ "sort": "dataset", "name": "example/corpus" }));

    let revoked = ask(&first, &["event", "revoke", "example/corpus"]);
    assert_eq!(revoked.code, Some(0), "{revoked:#?}");
    revoked.says(&["host alpha", ID]).says(&["host beta", ID]).says(&["complete: all that the log had"]);
    until_held(&alpha, "revocations 1 > 0").await;
    // The same by the bytes, by the model, and by an event; and what nobody knows.
    let digest = base::Sha256::of(&noise(1, LENGTH)).to_string();
    for name in [digest.as_str(), ID, found["starts"][0].as_str().unwrap()] {
        let said = ask(&first, &["lineage", "impact", name, "--json"]);
        assert_eq!(said.code, Some(0), "{said:#?}");
        let hosts = said.json()["hosts"].as_array().unwrap().len();
        assert!(hosts >= 1, "{name}: {said:#?}");
    }
    let down = ask(&first, &["lineage", "impact", "example/corpus", "--down"]);
    assert!(
        down.out.matches("\n  event ").count() as u64 > found["events_count"].as_u64().unwrap(),
        "{down:#?}"
    );
    let unknown = ask(&first, &["lineage", "impact", "nobody/knows"]);
    assert_eq!(unknown.code, Some(1), "{unknown:#?}");
    unknown.says(&["the log does not know it"]);
}

/// Builds each event out of the classes that OpenLineage makes of its schema, strictly, and writes it back.
const READ_BACK: &str = r#"
import json, sys
from openlineage.client.generated.base import EventType, InputDataset, Job, OutputDataset, Run, RunEvent
from openlineage.client.generated.dataset_version_dataset import DatasetVersionDatasetFacet
from openlineage.client.serde import Serde

def facets(dataset):
    made = {}
    for name, facet in dataset.pop("facets", {}).items():
        assert name == "version", name
        made[name] = DatasetVersionDatasetFacet(datasetVersion=facet["datasetVersion"], producer=facet["_producer"])
        assert made[name]._schemaURL == facet["_schemaURL"], facet
    return made

for line in sys.stdin:
    said = json.loads(line)
    event = json.loads(line)
    schema = event.pop("schemaURL")
    event["eventType"] = EventType[event["eventType"]]
    event["run"], event["job"] = Run(**event["run"]), Job(**event["job"])
    event["inputs"] = [InputDataset(facets=facets(it), **it) for it in event["inputs"]]
    event["outputs"] = [OutputDataset(facets=facets(it), **it) for it in event["outputs"]]
    again = RunEvent(**event)
    assert again.schemaURL == schema, again.schemaURL
    wrote = json.loads(Serde.to_json(again))
    def bare(it):
        if isinstance(it, dict):
            return {k: bare(v) for k, v in it.items() if v not in ({}, [], None)}
        return [bare(v) for v in it] if isinstance(it, list) else it
    assert bare(wrote) == bare(said), (wrote, said)
    print("read", said["eventType"])
"#;

#[tokio::test(flavor = "multi_thread")]
async fn where_a_model_comes_from_is_told_in_the_words_of_others() {
    let hub = FixtureHub::start().await;
    let (host, _) = guarded(&hub, &["lineage.item = \"default\""]);
    let daemon = Daemon::start(&host);
    until_held(&daemon, "approvals 0 < 1").await;
    let runs = ask(&host, &["lineage", "export", ID, "--openlineage"]);
    assert_eq!(runs.code, Some(0), "{runs:#?}");
    let events = runs.events();
    let types = events.iter().map(|it| it["eventType"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(types, ["START", "COMPLETE"], "{events:#?}");
    assert_eq!(events[1]["inputs"][0]["name"], "example/corpus");
    assert_eq!(events[1]["outputs"][0]["name"], ID);
    assert_eq!(events[0]["run"], events[1]["run"]);

    let summary = ask(&host, &["lineage", "export", ID, "--vsa"]).json();
    assert_eq!(summary["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(summary["predicateType"], "https://slsa.dev/verification_summary/v1");
    let digest = base::Sha256::of(&noise(1, LENGTH)).to_string();
    assert_eq!(summary["subject"], json!([{ "name": "model.bin", "digest": { "sha256": digest } }]));
    assert_eq!(summary["predicate"]["verificationResult"], "FAILED");
    let report = daemon.json(&format!("/v1/lineage/gate/{ID}")).await;
    let hash = report["evaluation"]["item_hash"].as_str().unwrap();
    assert_eq!(summary["predicate"]["policy"]["digest"]["sha256"], hash.trim_start_matches("0x"));
    let sid = daemon.json("/v1/log").await["sid"].as_str().unwrap().to_owned();
    publish(&host, None, &vote(report["event"].as_str().unwrap(), "yes", &sid));
    daemon.until(ID, "deployed").await;
    let summary = ask(&host, &["lineage", "export", ID, "--vsa"]).json();
    assert_eq!(summary["predicate"]["verificationResult"], "PASSED");

    let Some(python) =
        peers::require("openlineage/bin/python", "the check against OpenLineage's own classes")
    else {
        return;
    };
    let path = host.write("runs.jsonl", runs.out.as_bytes());
    let mut command = Command::new(python);
    command.args(["-c", READ_BACK]).stdin(fs::File::open(path).unwrap());
    let answer = Said::from(command.output().unwrap());
    assert_eq!(answer.out, "read START\nread COMPLETE\n", "{answer:#?}");
}
