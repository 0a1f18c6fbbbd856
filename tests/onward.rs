//! Publishing onward: what is signed here reaches other relays, and how each of them stands is shown.

use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::{accept_async, tungstenite::Message};

use crate::support::{
    daemon::Daemon,
    relay::{Client, post, quiet},
    tls,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_here_reaches_another_hallmark_once() {
    let (_far_host, far) = quiet(&[]).await;
    let (host, near) = quiet(&[&format!("relays = [\"ws://{}/relay\"]", far.address())]).await;
    let status = near.until_says("/v1/relays", "all is published", |it| it["relays"][0]["taken"] == 1).await;
    assert_eq!(status["relays"][0]["pending"], json!(0), "{status:#}");
    let author = near.json("/v1/log").await["author"].as_str().unwrap().to_owned();
    let there = far.json(&format!("/v1/events?author={author}")).await;
    assert_eq!(there["events"].as_array().unwrap().len(), 1, "{there:#}");
    // What others signed stays here: they publish for themselves.
    let mut client = Client::of(&near, "/").await;
    assert_eq!(client.publish(&post(5, "not ours")).await[2], json!(true));
    assert_eq!(near.stop().0, Some(0));
    let near = Daemon::start(&host);
    near.until_says("/v1/relays", "the outbox is read", |it| it["relays"][0]["taken"] == 1).await;
    assert_eq!(far.json("/v1/log").await["size"], 2, "its own subspace and ours, once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_refuses_or_lies_is_shown_for_what_it_is() {
    let refuses = bad_relay(|id| json!(["OK", id, false, "blocked: not here"])).await;
    let lies = bad_relay(|id| json!(["OK", id, true, ""])).await;
    let relays = format!("relays = [\"ws://{refuses}/\", \"ws://{lies}/\"]");
    let (host, daemon) = quiet(&[&relays]).await;
    let seen = |it: &Value| it["relays"][0]["refused"] == 1 && it["relays"][1]["lied"] == 1;
    let status = daemon.until_says("/v1/relays", "both are known", seen).await;
    assert_eq!(status["relays"][0]["refused_for"], "blocked: not here", "{status:#}");
    assert!(status["relays"][1]["lied_about"].as_str().unwrap().contains("does not show it"), "{status:#}");
    let said = host.run(&["status"]);
    said.says(&[&refuses.to_string(), "refuses", "refused 1: blocked: not here"]);
    said.says(&[&lies.to_string(), "lies", "lied about 1: it said to have the event, and does not show it"]);
    let shown = host.run(&["status", "--json"]).json();
    assert_eq!(shown["relays"], status["relays"], "{shown:#}");
    for (relay, state) in [(refuses, "refused"), (lies, "lied")] {
        let counter =
            |state: &str| format!("hallmark_outbox_events{{relay=\"ws://{relay}/\",state=\"{state}\"}}");
        assert_eq!(daemon.counter(&counter(state)).await, Some(1), "{state}");
        assert_eq!(daemon.counter(&counter("pending")).await, Some(0), "{state}");
    }
    assert_eq!(daemon.stop().0, Some(0));
    assert_eq!(host.run(&["status", "--json"]).json()["relays"], Value::Null, "only a daemon knows");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_wss_a_certificate_that_nobody_vouches_for_is_refused_and_shown() {
    let (far_host, far) = quiet(&[]).await;
    far.until_says("/v1/log", "it has its own subspace", |it| it["size"] == 1).await;
    let Some(identity) = tls::Identity::make(&far_host.path(""), "publishing over wss") else { return };
    let port = identity.terminate(far.address().parse().unwrap()).await;
    let relay = format!("wss://localhost:{port}/relay");
    let (mut host, near) = quiet(&[&format!("relays = [\"{relay}\"]")]).await;
    let refused = |it: &Value| {
        let why = it["relays"][0]["waits_for"].as_str().unwrap_or_default();
        why.starts_with("its certificate is refused: ")
    };
    near.until_says("/v1/relays", "the certificate is refused", refused).await;
    host.run(&["status"]).says(&[&relay, "waits", "its certificate is refused", "again"]);
    assert_eq!(far.json("/v1/log").await["size"], 1, "nothing went over a line that nobody vouches for");
    assert_eq!(near.stop().0, Some(0));

    host.environment.push(("SSL_CERT_FILE", identity.certificate().to_owned()));
    let near = Daemon::start(&host);
    near.until_says("/v1/relays", "all is published", |it| it["relays"][0]["stands"] == "has all").await;
    assert_eq!(far.json("/v1/log").await["size"], 2);
    host.run(&["status"]).says(&[&relay, "has all"]);
}

/// A relay that answers every event like this and shows none.
async fn bad_relay(answer: fn(&Value) -> Value) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut line) = accept_async(stream).await else { continue };
            while let Some(Ok(message)) = line.next().await {
                let Ok(text) = message.into_text() else { continue };
                let Ok(frame) = serde_json::from_str::<Value>(&text) else { continue };
                let reply = match frame[0].as_str() {
                    Some("EVENT") => answer(&frame[1]["id"]),
                    Some("REQ") => json!(["EOSE", frame[1]]),
                    _ => continue,
                };
                if line.send(Message::text(reply.to_string())).await.is_err() {
                    break;
                }
            }
        }
    });
    address
}
