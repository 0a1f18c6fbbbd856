//! A start on a long log: the daemon serves at once, and reads for the lineage graph what the log had meanwhile.

use std::{fs, os::unix::fs::MetadataExt as _, process::Command, sync::Arc};

use base::{SystemClock, UnixSeconds};
use ledger::{Draft, Kind, Live, Log, Membership, Options, Outcome, Policy, Prepared, Tag, event::Scheme};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{
    daemon::Daemon,
    host::{Host, Said, entry},
    hub::{FixtureHub, noise},
    relay::{Client, key},
};

const OLD: &str = "ajna-old-v1";
const NEW: &str = "ajna-new-v1";
const LENGTH: usize = 20_000;
/// How many events make the reading last for so long that it can be watched.
const EVENTS: u64 = 8000;

/// Puts many events into the log of a host whose daemon is down, each with much to keep.
fn fill(host: &Host) {
    let options = Options {
        policy: Policy::default(),
        clock: Arc::new(SystemClock),
        folds: vec![Arc::new(Live::<Membership>::default())],
        observer: None,
    };
    let log = Log::open(&host.path("state/ledger.sqlite"), options).unwrap();
    let author = key(9);
    for from in (0..EVENTS).step_by(500) {
        let event = |number: u64| {
            let mut tags = vec![Tag::pair("d", "subspace_op"), Tag::pair("sid", "0xMG")];
            tags.extend((0..60).map(|it| Tag::pair(&format!("fact-{it}"), &format!("{number} of {it}"))));
            let created_at = UnixSeconds(1_700_000_000 + number);
            let tags = tags.into_iter().collect();
            let draft = Draft { created_at, kind: Kind::DATASET, tags, content: String::new() };
            Prepared::from(author.sign(draft, Scheme::SpecEip191))
        };
        let outcomes = log.append((from..from + 500).map(event).collect()).unwrap();
        assert!(outcomes.iter().all(|it| matches!(it, Outcome::Accepted(_))));
    }
}

/// Runs a command about the daemon of a host.
fn ask(host: &Host, words: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hallmark"));
    command.args(words).args(["--state", host.path("state").to_str().unwrap()]).current_dir(host.path(""));
    command.output().unwrap().into()
}

/// Has an event signed by the daemon's own key, published over HTTP. Returns the status and the answer.
async fn publish(host: &Host, daemon: &Daemon, draft: &Value) -> (u16, Value) {
    let path = host.write("draft.json", draft.to_string().as_bytes());
    let signed = ask(host, &["event", "sign", path.to_str().unwrap()]);
    assert_eq!(signed.code, Some(0), "{signed:#?}");
    let sent = daemon.client().post(format!("{}/v1/events", daemon.url())).json(&signed.json());
    let sent = sent.send().await.unwrap();
    (sent.status().as_u16(), sent.json().await.unwrap())
}

fn draft(kind: u16, sid: &str, tags: &Value, content: &str) -> Value {
    let mut all = vec![json!(["d", "subspace_op"]), json!(["sid", sid])];
    all.extend(tags.as_array().unwrap().iter().cloned());
    json!({ "kind": kind, "content": content, "tags": all })
}

/// Says whether the log is still being read, and how far.
async fn reading(daemon: &Daemon) -> Option<(u64, u64)> {
    let graph = daemon.json("/readyz").await["graph"].clone();
    Some((graph["read"].as_u64()?, graph["events"].as_u64()?))
}

/// What this host signed about a model, in the log's order.
async fn states(daemon: &Daemon, id: &str) -> Vec<String> {
    let graph = daemon.json(&format!("/v1/models/{id}/provenance")).await;
    let says = graph["nodes"].as_array().unwrap().iter();
    says.filter_map(|it| it["says"]["valid_result"].as_str().map(str::to_owned)).collect()
}

/// Makes sure of all that holds while the log is being read.
async fn check_meanwhile(host: &Host, daemon: &Daemon, made: u64) {
    let path = format!("/v1/models/{OLD}");
    let old = daemon.until(OLD, "deployed").await;
    assert!(old["why"][0].as_str().unwrap().contains("until then it stays as it was"), "{old:#}");
    assert_eq!(daemon.get(&format!("{path}/artifact")).await.status(), 200);
    assert_eq!(fs::symlink_metadata(host.view(OLD, "model.bin")).unwrap().ino(), made, "shown anew");
    let is_told = |it: &Value| it["why"][0].as_str().is_some_and(|it| it.contains("still being read"));
    let new = daemon.until_says(&format!("/v1/models/{NEW}"), "it waits", is_told).await;
    assert_eq!(new["state"], "queued", "{new:#}");
    assert_ne!(daemon.get(&format!("/v1/models/{NEW}/artifact")).await.status(), 200);
    assert!(!host.view(NEW, "model.bin").exists());
    for route in [
        format!("/v1/lineage/gate/{OLD}"),
        format!("/v1/lineage/models/{OLD}/vsa"),
        "/v1/lineage/impact?of=x".to_owned(),
    ] {
        let answer = daemon.get(&route).await;
        assert_eq!(answer.status(), 503, "{route}");
        assert_eq!(answer.headers()["retry-after"], "1");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["type"], "urn:hallmark:problem:graph-being-read", "{problem:#}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with("lineage graph: ") && detail.ends_with(" events read"), "{detail}");
    }
    let told = ask(host, &["status"]);
    told.says(&["lineage graph: ", " events read"]);
    let (read, events) = reading(daemon).await.expect("the log is too short to see how it is read");
    assert!(read < events && events > EVENTS, "{read} of {events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_serves_while_it_reads_a_long_log_and_nothing_flaps() {
    let hub = FixtureHub::start().await;
    let wanted = [(OLD, 1), (NEW, 2)].map(|(id, seed)| {
        hub.put(&format!("org/{id}"), "model.bin", &noise(seed, LENGTH));
        entry(id, &noise(seed, LENGTH))
    });
    let mut host = Host::of(&hub);
    host.policy = vec!["lineage.item = \"default\"".to_owned()];
    host.wants(&wanted[..1]);
    let daemon = Daemon::start(&host);
    daemon.until(OLD, "held").await;
    let sid = daemon.json("/v1/log").await["sid"].as_str().unwrap().to_owned();
    let event = daemon.json(&format!("/v1/lineage/gate/{OLD}")).await["event"].clone();
    let yes = draft(30302, &sid, &json!([["op", "vote"], ["parent", event], ["vote", "yes"]]), "");
    assert_eq!(publish(&host, &daemon, &yes).await.0, 200);
    daemon.until(OLD, "deployed").await;
    let path = format!("/v1/models/{OLD}/provenance");
    let is_signed = |it: &Value| {
        it["nodes"].as_array().is_some_and(|it| it.iter().any(|it| it["says"]["valid_result"] == "deployed"))
    };
    daemon.until_says(&path, "it is signed", is_signed).await;
    let before = states(&daemon, OLD).await;
    assert_eq!(daemon.stop().0, Some(0));
    let made = fs::symlink_metadata(host.view(OLD, "model.bin")).unwrap().ino();
    fill(&host);
    host.wants(&wanted);

    let daemon = Daemon::start(&host);
    assert!(reading(&daemon).await.is_some(), "the log was read before the daemon served");
    check_meanwhile(&host, &daemon, made).await;
    // What needs no look at the graph comes in; what does is to be sent again.
    let dataset = draft(30405, &sid, &json!([["dataset_id", "meanwhile"]]), "");
    let (status, dataset) = publish(&host, &daemon, &dataset).await;
    assert_eq!(status, 200, "{dataset:#}");
    let card =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema/gate-card.json")).unwrap();
    let card = card.replace("$model", event.as_str().unwrap());
    let card = draft(30406, &sid, &json!([["op", "compute"], ["compute_type", "lineage"]]), &card);
    let (status, problem) = publish(&host, &daemon, &card).await;
    assert_eq!(
        (status, &problem["type"]),
        (503, &json!("urn:hallmark:problem:graph-being-read")),
        "{problem:#}"
    );
    let stranger = {
        let tags = serde_json::from_value(card["tags"].clone()).unwrap();
        let content = card["content"].as_str().unwrap().to_owned();
        Draft { created_at: UnixSeconds(1_700_000_000), kind: Kind::COMPUTE, tags, content }
    };
    let signed = key(9).sign(stranger, Scheme::SpecEip191);
    let mut client = Client::of(&daemon, "/").await;
    let ok = client.publish(&signed).await;
    assert_eq!(ok[2], false, "{ok}");
    let text = ok[3].as_str().unwrap();
    assert!(text.starts_with("error: lineage graph: ") && text.ends_with("; send the event again"), "{text}");
    assert!(reading(&daemon).await.is_some(), "the log is too short to see how it is read");

    // Killed in the midst of it, and again, and stopped in the midst of it.
    drop(daemon);
    let daemon = Daemon::start(&host);
    check_meanwhile(&host, &daemon, made).await;
    daemon.signal(Signal::SIGTERM);
    let (code, log) = daemon.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("were cut off") && !log.contains("The lineage graph has all"), "{log}");

    let daemon = Daemon::start(&host);
    let wait = ask(&host, &["sync", OLD, NEW]);
    // Whoever waits for an end waits for the graph too.
    wait.says(&[OLD, "deployed"]).says(&[NEW, "approvals 0 < 1"]);
    assert_eq!(reading(&daemon).await, None);
    let old =
        daemon.until_says(&format!("/v1/models/{OLD}"), "it was judged", |it| it["why"] == json!([])).await;
    assert_eq!(old["state"], "deployed", "{old:#}");
    daemon.until(NEW, "held").await;
    assert_eq!(states(&daemon, OLD).await, before, "waiting is nothing to sign");
    assert_eq!(fs::symlink_metadata(host.view(OLD, "model.bin")).unwrap().ino(), made, "shown anew");
    let report = daemon.json(&format!("/v1/lineage/gate/{OLD}")).await;
    assert_eq!((&report["passes"], &report["event"]), (&json!(true), &event), "{report:#}");
    let impact = daemon.json(&format!("/v1/lineage/impact?of={}", dataset["id"].as_str().unwrap())).await;
    assert_eq!((&impact["events_count"], &impact["is_complete"]), (&json!(1), &json!(true)), "{impact:#}");
    let (status, card) = publish(&host, &daemon, &card).await;
    assert_eq!(status, 200, "{card:#}");
    // The daemon still signs what became of the new one, so the log may have grown since.
    let seq = card["position"]["seq"].as_u64().unwrap();
    let read = daemon.counter("hallmark_ledger_graph_size").await.unwrap();
    assert!(read > seq, "{read} events are read, and this one is the {seq}th: {card:#}");
    let mut client = Client::of(&daemon, "/").await;
    assert_eq!(client.publish(&signed).await[2], true);
    assert_eq!(daemon.stop().0, Some(0));

    // Whoever passed an easier gate has not passed a harder one.
    host.policy.push("lineage.require_label = \"beyond doubt\"".to_owned());
    host.arguments(&[]);
    let daemon = Daemon::start(&host);
    let is_told = |it: &Value| it["why"][0].as_str().is_some_and(|it| it.contains("still being read"));
    let old = daemon.until_says(&format!("/v1/models/{OLD}"), "it waits", is_told).await;
    assert_eq!(old["state"], "queued", "{old:#}");
    assert!(reading(&daemon).await.is_some(), "the log is too short to see how it is read");
    let old = daemon.until(OLD, "held").await;
    assert!(old["why"][0].as_str().unwrap().contains("not beyond doubt"), "{old:#}");
}
