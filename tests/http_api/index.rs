//! `/v1/index`: what is in force, and what is said when the file breaks under a running daemon.

use std::fs;

use serde_json::{Value, json};

use super::problem;
use crate::support::{
    daemon::Daemon,
    host::{Host, entry},
    hub::FixtureHub,
};

async fn until_outcome(daemon: &Daemon, outcome: &str) -> Value {
    let is = |it: &Value| it["last_look"]["outcome"] == outcome;
    daemon.until_says("/v1/index/status", &format!("the last look is {outcome}"), is).await
}

async fn metric(daemon: &Daemon, name: &str) -> Option<u64> {
    let text = daemon.get("/metrics").await.text().await.unwrap();
    text.lines().find_map(|it| it.strip_prefix(name)?.trim().parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_index_changes_nothing_that_is_served_and_is_plain_to_see() {
    let hub = FixtureHub::start().await;
    let host = Host::of(&hub);
    host.index(&[entry("ajna-one-v1", b"1")]);
    let good = fs::read(host.path("index.json")).unwrap();
    let daemon = Daemon::start(&host);
    let well = daemon.json("/v1/index/status").await;
    assert_eq!((&well["warning"], &well["in_force"]["models"]), (&Value::Null, &json!(1)));
    assert_eq!(well["tracking"], json!({ "by": "events" }));
    let still_served = async |what: &str| {
        assert_eq!(daemon.get("/v1/index").await.bytes().await.unwrap(), good, "{what}");
        assert_eq!(daemon.state("ajna-one-v1").await["state"], "available", "{what}");
        assert_eq!(daemon.json("/readyz").await["ready"], true, "{what}");
        assert_eq!(metric(&daemon, "hallmark_index_holds").await, Some(0), "{what}");
        let status = daemon.json("/v1/index/status").await;
        let warning = status["warning"].as_str().unwrap().to_owned();
        assert!(warning.ends_with("the last good one stays in force"), "{what}: {warning}");
        assert_eq!(status["in_force"], well["in_force"], "{what}");
    };
    // Broken: one flaw, with its place.
    let mut broken = entry("ajna-one-v1", b"1");
    broken.0["version"] = json!("one");
    host.index(&[broken]);
    let status = until_outcome(&daemon, "bad").await;
    let flaws = status["last_look"]["flaws"].as_array().unwrap();
    let flaw = flaws.iter().find(|it| it["severity"] == "error").unwrap();
    assert_eq!(flaw["pointer"], "/models/0/version", "{status}");
    assert!(flaw["line"].as_u64() > Some(1) && flaw["message"].is_string(), "{flaw}");
    still_served("broken").await;
    // Emptied.
    host.write("index.json", b"");
    let empty = |it: &Value| {
        it["last_look"]["flaws"][0]["rule"] == "syntax" || it["last_look"]["outcome"] == "unreadable"
    };
    daemon.until_says("/v1/index/status", "the index is empty", empty).await;
    still_served("emptied").await;
    // Unreadable: a folder in its place, as for root every file can be read.
    fs::remove_file(host.path("index.json")).unwrap();
    fs::create_dir(host.path("index.json")).unwrap();
    let status = until_outcome(&daemon, "unreadable").await;
    assert!(status["last_look"]["error"].as_str().is_some_and(|it| it.contains("index.json")), "{status}");
    still_served("a folder").await;
    // Deleted.
    fs::remove_dir(host.path("index.json")).unwrap();
    until_outcome(&daemon, "unreadable").await;
    still_served("deleted").await;
    // Restored, with one more.
    host.index(&[entry("ajna-one-v1", b"1"), entry("ajna-two-v1", b"2")]);
    let status = until_outcome(&daemon, "good").await;
    assert_eq!((&status["warning"], &status["in_force"]["models"]), (&Value::Null, &json!(2)));
    assert_eq!(daemon.state("ajna-two-v1").await["state"], "available");
    assert_eq!(metric(&daemon, "hallmark_index_holds").await, Some(1));
    assert!(metric(&daemon, "hallmark_reloads_total{outcome=\"bad\"}").await >= Some(1));
    assert!(daemon.stop().1.contains("the last good one stays in force"));
}

#[tokio::test(flavor = "multi_thread")]
async fn before_any_index_holds_the_daemon_serves_and_says_what_is_missing() {
    let hub = FixtureHub::start().await;
    let host = Host::of(&hub);
    host.write("index.json", b"{");
    let daemon = Daemon::start(&host);
    assert_eq!(daemon.get("/healthz").await.status(), 200);
    assert_eq!(daemon.get("/readyz").await.status(), 503);
    problem(daemon.get("/v1/index").await, 503, "no-index").await;
    problem(daemon.get("/v1/models/ajna-one-v1").await, 503, "no-index").await;
    let status = daemon.json("/v1/index/status").await;
    assert_eq!((&status["in_force"], &status["last_look"]["outcome"]), (&Value::Null, &json!("bad")));
    assert!(status["warning"].as_str().unwrap().ends_with("none is in force"), "{status}");
    host.index(&[entry("ajna-one-v1", b"1")]);
    daemon.until("ajna-one-v1", "available").await;
    assert_eq!(daemon.get("/readyz").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_is_the_one_that_the_index_is_held_to() {
    let hub = FixtureHub::start().await;
    let host = Host::of(&hub);
    host.index(&[]);
    let daemon = Daemon::start(&host);
    let schema = daemon.json("/v1/schema").await;
    assert!(schema["definitions"]["model"].is_object(), "{schema}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_flaws_are_counted_and_the_first_hundred_listed() {
    let hub = FixtureHub::start().await;
    let host = Host::of(&hub);
    let bad = |number: usize| {
        let mut entry = entry(&format!("ajna-bad-{number}-v1"), b"1");
        entry.0["version"] = json!("one");
        entry
    };
    host.index(&(0..150).map(bad).collect::<Vec<_>>());
    let daemon = Daemon::start(&host);
    let look = daemon.json("/v1/index/status").await["last_look"].clone();
    assert_eq!(look["flaws"].as_array().unwrap().len(), 100);
    let counted = look["errors"].as_u64().unwrap() + look["warnings"].as_u64().unwrap();
    assert_eq!(look["left_out"].as_u64().unwrap(), counted - 100);
    assert!(look["errors"].as_u64() >= Some(150), "{}", look["errors"]);
}
