//! `hallmark serve` makes what is deployed what is wanted, and says of each model why it is not.

use std::fs;

use base::Sha256;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::{
    daemon::Daemon,
    host::{Entry, Host, digest, entry, entry_in, files, until},
    hub::{Fault, FixtureHub, Rule, Side, Way, noise},
};

const LENGTH: usize = 100_000;

/// Puts a model on the hub and returns its entry.
fn model(hub: &FixtureHub, id: &str, seed: u64) -> Entry {
    let bytes = noise(seed, LENGTH);
    hub.put(&format!("org/{id}"), "model.bin", &bytes);
    entry(id, &bytes)
}

/// Makes a host whose daemon tries again soon and whose downloads do not.
fn host(hub: &FixtureHub) -> Host {
    let mut host = Host::of(hub);
    host.vault = vec!["keep_free_bytes = 0".to_owned(), "tries_max = 0".to_owned()];
    host
}

fn wants(host: &mut Host, entries: &[Entry]) {
    host.wants(entries);
    host.deploy.push("retry_seconds_first = 1".to_owned());
}

/// Replaces the config under a running daemon.
fn rewrite(host: &Host, daemon: &Daemon) {
    // Writing out the arguments writes the config.
    host.arguments(&[]);
    daemon.signal(Signal::SIGHUP);
}

#[tokio::test(flavor = "multi_thread")]
async fn good_tampered_flaky_and_stubbed_models_end_each_in_its_own_way_with_its_reason() {
    let hub = FixtureHub::start().await;
    let (good, flaky) = (model(&hub, "ajna-good-v1", 1), model(&hub, "ajna-flaky-v1", 2));
    hub.put("org/ajna-tampered-v1", "model.bin", &noise(77, LENGTH));
    hub.change("org/ajna-tampered-v1", "model.bin", |it| it.way = Way::Cdn { linked: false });
    let tampered = entry("ajna-tampered-v1", &noise(3, LENGTH));
    let stub = entry("ajna-stub-v1", b"").artifact("sha256", json!("0".repeat(64)));
    hub.play(Rule::times(1, Fault::Status(503, &[])).under("flaky"));
    hub.play(Rule::times(1, Fault::Cut(LENGTH / 2)).on("GET").under("flaky"));
    let mut host = host(&hub);
    wants(&mut host, &[good, tampered, flaky, stub]);
    let daemon = Daemon::start(&host);
    for (id, state) in [
        ("ajna-good-v1", "deployed"),
        ("ajna-tampered-v1", "quarantined"),
        ("ajna-flaky-v1", "deployed"),
        ("ajna-stub-v1", "stub"),
    ] {
        daemon.until(id, state).await;
    }
    host.done(&["status"])
        .says(&["ajna-good-v1", "1.0.0", "deployed", "97.66 KiB"])
        .says(&["ajna-tampered-v1", "quarantined", "Model checksum verification failed", "again in"])
        .says(&["ajna-flaky-v1", "deployed"])
        .says(&["ajna-stub-v1", "stub", "its entry holds placeholders"]);
    let (code, log) = daemon.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("ajna-flaky-v1 is failed") && log.contains("ajna-flaky-v1 is deployed"), "{log}");
    let ranges = hub.ranges();
    assert!(ranges.contains(&format!("bytes={}-{}", LENGTH / 2, LENGTH - 1)), "{ranges:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_id_says_so_and_is_picked_up_when_it_appears() {
    let hub = FixtureHub::start().await;
    let (good, late) = (model(&hub, "ajna-good-v1", 1), model(&hub, "ajna-late-v1", 2));
    let mut host = host(&hub);
    host.index(std::slice::from_ref(&good));
    host.declares(&["ajna-good-v1", "ajna-late-v1"]);
    let daemon = Daemon::start(&host);
    daemon.until("ajna-good-v1", "deployed").await;
    host.done(&["status"]).says(&["ajna-late-v1", "missing", "Model 'ajna-late-v1' not found in index"]);
    assert!(daemon.log().contains("Model 'ajna-late-v1' not found in index"));
    host.index(&[good, late]);
    daemon.until("ajna-late-v1", "deployed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_under_a_chakra_that_it_is_not_filed_under_is_refused_and_the_others_come() {
    let hub = FixtureHub::start().await;
    let entries = [model(&hub, "ajna-one-v1", 1), model(&hub, "ajna-two-v1", 2)];
    let mut host = host(&hub);
    host.index(&entries);
    host.deploy = vec![r#"by_chakra = { muladhara = ["ajna-one-v1"], ajna = ["ajna-two-v1"] }"#.to_owned()];
    let daemon = Daemon::start(&host);
    daemon.until("ajna-two-v1", "deployed").await;
    daemon.until("ajna-one-v1", "failed").await;
    host.done(&["status"]).says(&["ajna-one-v1", "failed", "under muladhara", "filed under ajna"]);
    host.deploy = vec![r#"by_chakra = { ajna = ["ajna-one-v1", "ajna-two-v1"] }"#.to_owned()];
    rewrite(&host, &daemon);
    daemon.until("ajna-one-v1", "deployed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_holds_a_model_back_with_every_reason_and_lets_it_go_without_a_new_request() {
    let hub = FixtureHub::start().await;
    // A pickle, whatever it is called.
    let pickle = [b"\x80\x04\x95\x0b\0\0\0\0\0\0\0\x8c\x02os\x94." as &[u8], &noise(1, 500)].concat().into();
    hub.put("org/r", "model.safetensors", &pickle);
    let mut held = entry_in("ajna-held-v1", "org/r", "model.safetensors", &pickle);
    held.0["license"] = json!("CC-BY-NC-4.0");
    let large = model(&hub, "ajna-large-v1", 2);
    let mut host = host(&hub);
    wants(&mut host, &[held, large]);
    host.policy = vec![
        r#"licenses = ["Apache-2.0", "MIT"]"#.to_owned(),
        r#"formats = ["safetensors", "unknown"]"#.to_owned(),
        "size_bytes_max = 50_000".to_owned(),
    ];
    let daemon = Daemon::start(&host);
    daemon.until("ajna-held-v1", "held").await;
    daemon.until("ajna-large-v1", "held").await;
    host.done(&["status"])
        .says(&["ajna-held-v1", "held", "CC-BY-NC-4.0 is not allowed", "model.safetensors is"])
        .says(&["ajna-large-v1", "held", "its 100000 bytes are more than the 50000"]);
    for id in ["ajna-held-v1", "ajna-large-v1"] {
        assert!(!host.store().join(id).exists(), "{id} is visible");
        assert!(!host.cached(&format!("hallmark/{id}"), "model.bin").exists());
    }
    assert!(!host.cached("org/r", "model.safetensors").exists());
    assert!(!hub.seen().iter().any(|it| it.path.contains("large")), "what may not come was fetched");
    let asked = hub.seen().len();
    host.policy = vec!["size_bytes_max = 50_000".to_owned()];
    rewrite(&host, &daemon);
    daemon.until("ajna-held-v1", "deployed").await;
    assert_eq!(hub.seen().len(), asked, "fetched again");
    assert!(host.view("ajna-held-v1", "model.safetensors").exists());
    // The policy is tightened again: what it no longer allows goes out of sight, and the bytes stay.
    host.policy.push(r#"licenses = ["MIT"]"#.to_owned());
    rewrite(&host, &daemon);
    daemon.until("ajna-held-v1", "held").await;
    assert!(!host.store().join("ajna-held-v1").exists());
    assert!(!host.cached("org/r", "model.safetensors").exists());
    assert!(host.object(&Sha256::of(&pickle)).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_the_policy_does_not_list_is_never_asked() {
    let hub = FixtureHub::start().await;
    let far = model(&hub, "ajna-far-v1", 1);
    let mut host = host(&hub);
    wants(&mut host, &[far]);
    host.policy = vec![r#"sources = ["https://models.example.org"]"#.to_owned()];
    let daemon = Daemon::start(&host);
    let held = daemon.until("ajna-far-v1", "held").await;
    assert!(held["why"][0].as_str().unwrap().contains("which is not one of https://models.example.org"));
    assert!(hub.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_that_does_not_hold_changes_nothing_and_is_told() {
    let hub = FixtureHub::start().await;
    let good = model(&hub, "ajna-good-v1", 1);
    let mut host = host(&hub);
    wants(&mut host, &[good]);
    let daemon = Daemon::start(&host);
    daemon.until("ajna-good-v1", "deployed").await;
    host.policy = vec![r#"licences = ["MIT"]"#.to_owned()];
    rewrite(&host, &daemon);
    let told = |it: &serde_json::Value| it["config_trouble"].as_str().is_some();
    let status = daemon.until_says("/v1/index/status", "the config is refused", told).await;
    assert!(status["config_trouble"].as_str().unwrap().contains("did you mean `licenses`?"), "{status}");
    assert_eq!(daemon.state("ajna-good-v1").await["state"], "deployed");
    assert!(daemon.log().contains("the one before stays in force"));
    host.policy.clear();
    rewrite(&host, &daemon);
    daemon.until_says("/v1/index/status", "the config holds", |it| it["config_trouble"].is_null()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_takes_the_place_of_the_old_one_only_once_it_is_here() {
    let (hub, old) = (FixtureHub::start().await, noise(1, LENGTH));
    hub.put("org/ajna-good-v1", "model.bin", &old);
    let mut host = host(&hub);
    wants(&mut host, &[entry("ajna-good-v1", &old)]);
    let daemon = Daemon::start(&host);
    daemon.until("ajna-good-v1", "deployed").await;
    let new = noise(2, LENGTH);
    hub.play(Rule::times(1, Fault::HangAfter(LENGTH / 2)).on("GET"));
    hub.put("org/ajna-good-v1", "model.bin", &new);
    let mut entry = entry("ajna-good-v1", &new);
    entry.0["version"] = json!("1.1.0");
    host.index(&[entry]);
    let coming = daemon.until("ajna-good-v1", "fetching").await;
    assert_eq!(coming["deployed_version"], "1.0.0", "{coming}");
    assert_eq!(digest(&host.view("ajna-good-v1", "model.bin")), Sha256::of(&old));
    host.done(&["status"]).says(&["ajna-good-v1", "fetching", "the earlier version stays deployed"]);
    // The hub never goes on; told to stop, the daemon does, and its next start does the rest.
    until("the hub to hang", || hub.ranges().len() == 2);
    let (code, log) = daemon.stop();
    assert_eq!(code, Some(0), "{log}");
    let daemon = Daemon::start(&host);
    daemon.until("ajna-good-v1", "deployed").await;
    assert_eq!(digest(&host.view("ajna-good-v1", "model.bin")), Sha256::of(&new));
    let cached = || fs::read(host.cached("org/ajna-good-v1", "model.bin")).is_ok_and(|it| it == *new);
    until("the new version in the cache", cached);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_finds_everything_deployed_and_asks_nobody() {
    let hub = FixtureHub::start().await;
    let good = model(&hub, "ajna-good-v1", 1);
    let mut host = host(&hub);
    wants(&mut host, &[good]);
    let daemon = Daemon::start(&host);
    daemon.until("ajna-good-v1", "deployed").await;
    assert_eq!(daemon.stop().0, Some(0));
    let asked = hub.seen().len();
    let daemon = Daemon::start(&host);
    daemon.until("ajna-good-v1", "deployed").await;
    assert_eq!(hub.seen().len(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_failed_comes_once_the_hub_is_back() {
    let hub = FixtureHub::start().await;
    let good = model(&hub, "ajna-good-v1", 1);
    hub.play(Rule::times(4, Fault::Status(502, &[])).at(Side::Hub));
    let mut host = host(&hub);
    wants(&mut host, &[good]);
    host.deploy.push("retry_seconds_max = 1".to_owned());
    let daemon = Daemon::start(&host);
    let failed = daemon.until("ajna-good-v1", "failed").await;
    assert!(failed["retry_at"].as_u64().is_some() && failed["why"][0].as_str().unwrap().contains("502"));
    daemon.until("ajna-good-v1", "deployed").await;
    assert_eq!(files(&host.store().join("partials")).len(), 0);
}
