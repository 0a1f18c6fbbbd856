//! Acting on the host: who may, and what comes of it.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
};

use reqwest::Response;
use serde_json::{Value, json};

use super::problem;
use crate::support::{
    daemon::Daemon,
    host::{Host, entry},
    hub::{FixtureHub, noise},
};

const TOKEN: &str = "secret-of-operators";

async fn post(daemon: &Daemon, path: &str, token: Option<&str>, body: &str) -> Response {
    let mut request = daemon.client().post(format!("{}{path}", daemon.url())).body(body.to_owned());
    request = request.header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.send().await.unwrap()
}

async fn value(answer: Response, status: u16) -> Value {
    let (found, body) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(found, status, "{body}");
    serde_json::from_str(&body).unwrap()
}

fn with_token(host: &mut Host) {
    host.write("operator", TOKEN.as_bytes());
    host.http = vec!["operator_token_file = \"operator\"".into()];
}

#[tokio::test(flavor = "multi_thread")]
async fn only_operators_may_act_and_the_socket_in_the_state_folder_makes_one() {
    let hub = FixtureHub::start().await;
    let mut host = Host::of(&hub);
    host.index(&[]);
    let daemon = Daemon::start(&host);
    for path in ["/v1/sync", "/v1/gc", "/v1/verify", "/v1/reload"] {
        problem(post(&daemon, path, None, "").await, 403, "operator-only").await;
        problem(post(&daemon, path, Some(TOKEN), "").await, 403, "operator-only").await;
    }
    let mut socket = UnixStream::connect(host.path("state/daemon.sock")).unwrap();
    socket.write_all(b"POST /v1/reload HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    drop(daemon);
    with_token(&mut host);
    let daemon = Daemon::start(&host);
    for path in ["/v1/sync", "/v1/gc", "/v1/verify", "/v1/reload"] {
        problem(post(&daemon, path, None, "").await, 401, "token-needed").await;
        problem(post(&daemon, path, Some("secret-of-nobody"), "").await, 401, "token-needed").await;
    }
    value(post(&daemon, "/v1/reload", Some(TOKEN), "").await, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_syncs_verifies_and_collects() {
    let (hub, weights) = (FixtureHub::start().await, noise(1, 70_000));
    hub.put("org/ajna-good-v1", "model.bin", &weights);
    let mut host = Host::of(&hub);
    host.index(&[entry("ajna-good-v1", &weights)]);
    host.declares(&[]);
    with_token(&mut host);
    let daemon = Daemon::start(&host);
    assert_eq!(daemon.state("ajna-good-v1").await["state"], "available");
    let begun =
        value(post(&daemon, "/v1/sync", Some(TOKEN), "{\"ids\":[\"ajna-good-v1\"]}").await, 202).await;
    assert_eq!(begun, json!({ "models": ["ajna-good-v1"] }));
    daemon.until("ajna-good-v1", "deployed").await;
    let lines = async |body: &str| {
        let answer = post(&daemon, "/v1/verify", Some(TOKEN), body).await;
        assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
        let text = answer.text().await.unwrap();
        text.lines().map(|it| serde_json::from_str(it).unwrap()).collect::<Vec<Value>>()
    };
    let well = lines("").await;
    assert_eq!((well.len(), &well[0]["health"]), (2, &json!("whole")), "{well:?}");
    assert_eq!(well[1], json!({ "event": "end", "objects": 1, "whole": true }));
    // Rotted on disk: found, mended, and whole again.
    let object = host.object(&base::Sha256::of(&weights));
    let mut rotten = weights.to_vec();
    rotten[0] ^= 1;
    std::fs::remove_file(&object).unwrap();
    std::fs::write(&object, rotten).unwrap();
    let mended = lines("{\"ids\":[\"ajna-good-v1\"],\"repair\":true}").await;
    assert_eq!((&mended[0]["health"], &mended[1]["whole"]), (&json!("damaged"), &json!(true)), "{mended:?}");
    let gone = value(post(&daemon, "/v1/gc", Some(TOKEN), "{\"dry_run\":true}").await, 200).await;
    assert_eq!((&gone["dry_run"], &gone["models"]), (&json!(true), &json!([])), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_cannot_be_used_is_refused_with_a_reason() {
    let hub = FixtureHub::start().await;
    let mut host = Host::of(&hub);
    host.index(&[entry("ajna-calm-v1", b"1")]);
    with_token(&mut host);
    host.http.push("body_bytes_max = 1000".into());
    let daemon = Daemon::start(&host);
    let refused = async |body: &str, status: u16, kind: &str| {
        problem(post(&daemon, "/v1/sync", Some(TOKEN), body).await, status, kind).await["detail"].to_string()
    };
    assert!(
        refused("{\"colour\":1}", 400, "bad-request")
            .await
            .contains("unknown field `colour`, expected `ids` or `all`")
    );
    assert!(refused("{\"ids\":\"x\"}", 400, "bad-request").await.contains("expected a sequence"));
    assert!(refused("{", 400, "bad-request").await.contains("EOF"));
    assert!(refused(&" ".repeat(1001), 413, "body-too-large").await.contains("1000 bytes"));
    let unknown = refused("{\"ids\":[\"ajna-calm-v2\"]}", 404, "no-such-model").await;
    assert!(
        unknown.contains("Model 'ajna-calm-v2' not found in index; did you mean 'ajna-calm-v1'?"),
        "{unknown}"
    );
    let plain = daemon.client().post(format!("{}/v1/gc", daemon.url())).body("{}").bearer_auth(TOKEN);
    problem(plain.send().await.unwrap(), 415, "not-json").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_that_does_not_hold_is_refused_and_shown() {
    let hub = FixtureHub::start().await;
    let mut host = Host::of(&hub);
    host.index(&[]);
    with_token(&mut host);
    let daemon = Daemon::start(&host);
    host.write("hallmark.toml", b"[deploy]\nmodel = []\n");
    let refused = problem(post(&daemon, "/v1/reload", Some(TOKEN), "").await, 409, "config-refused").await;
    assert!(refused["detail"].as_str().unwrap().contains("model"), "{refused}");
    let status = daemon.json("/v1/index/status").await;
    assert!(status["config_trouble"].is_string(), "{status}");
    drop(host.arguments(&[]));
    value(post(&daemon, "/v1/reload", Some(TOKEN), "").await, 200).await;
    assert_eq!(daemon.json("/v1/index/status").await["config_trouble"], Value::Null);
}
