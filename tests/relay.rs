//! The event relay as its clients meet it: over a real WebSocket, with real signatures.

use std::{collections::BTreeSet, time::Duration};

use base::{Clock as _, Sha256, SystemClock, UnixSeconds};
use futures_util::{SinkExt as _, StreamExt as _};
use ledger::{
    Author, Draft, Kind, SecretKey, Signed,
    event::{Scheme, Tags},
};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, accept_async, connect_async, tungstenite::Message};

use crate::support::{daemon::Daemon, host::Host, hub::FixtureHub};

/// How long a story waits for a frame.
const PATIENCE: Duration = Duration::from_mins(1);

/// A client of a relay.
struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    async fn of(daemon: &Daemon, path: &str) -> Self {
        Self(connect_async(format!("ws://{}{path}", daemon.address())).await.unwrap().0)
    }

    async fn say(&mut self, frame: &Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// Returns the next frame as its text; `None` if the relay has closed.
    async fn text(&mut self) -> Option<String> {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("a frame in time") {
                Some(Ok(Message::Text(text))) => return Some(text.to_string()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    async fn hear(&mut self) -> Value {
        serde_json::from_str(&self.text().await.expect("a frame")).unwrap()
    }

    /// Sends an event and returns the OK.
    async fn publish(&mut self, event: &Signed) -> Value {
        self.say(&json!(["EVENT", event])).await;
        self.hear().await
    }

    /// Returns all stored events that a filter asks for.
    async fn stored(&mut self, filter: &Value) -> Vec<Value> {
        self.say(&json!(["REQ", "stored", filter])).await;
        let mut found = Vec::new();
        loop {
            let frame = self.hear().await;
            match frame[0].as_str().unwrap() {
                "EVENT" => found.push(frame[2].clone()),
                "EOSE" => break,
                _ => panic!("{frame}"),
            }
        }
        self.say(&json!(["CLOSE", "stored"])).await;
        found
    }
}

fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes([number; 32]).unwrap()
}

fn draft(kind: u16, tags: &Value, content: &str) -> Draft {
    let tags: Tags = serde_json::from_value(tags.clone()).unwrap();
    Draft { created_at: SystemClock.now(), kind: Kind(kind), tags, content: content.to_owned() }
}

fn post(number: u8, content: &str) -> Signed {
    let tags = json!([["d", "subspace_op"], ["sid", "0xMG"], ["op", "post"]]);
    key(number).sign(draft(30300, &tags, content), Scheme::Sdk)
}

/// The tags that every operation has, then its own: `name=value` with `;` between.
fn operation(kind: u16, op: &str, sid: &str, own: &str) -> Value {
    let action = if kind == 30301 { "action=2" } else { "action=3" };
    let mut tags = vec![
        json!(["auth", action, format!("key={kind}"), "exp=500000"]),
        json!(["d", "subspace_op"]),
        json!(["op", op]),
        json!(["sid", sid]),
    ];
    tags.extend(own.split(';').map(|it| json!(it.splitn(2, '=').collect::<Vec<_>>())));
    json!(tags)
}

/// The seven steps of the specification's application flow, with its own tags.
fn flow() -> Vec<(u16, Value, String)> {
    let dataset = r#"{"dataset": [{"messages": [{"role": "user", "content": "How?"}]}], "generate": {"topic": ["AI"], "num_samples": 3}}"#;
    let talk = r#"{"messages": [{"role": "user", "content": "How can I improve my sales pitch?"}], "context": {"previous_interactions": []}}"#;
    let session = "session_id=session_001;user_id=u";
    let hash = Sha256::of(talk.as_bytes());
    let project = "project_id=proj_001;name=Sales Assistant Model;members=0xAlice,0xBob;status=active";
    let data = "project_id=proj_001;task_id=task_001;category=Sales;format=jsonl;contributors=first,second";
    let tuning = "project_id=proj_001;task_id=task_001;dataset_id=d;provider_id=p";
    let proposal = "proposal_id=model_upgrade_001;rules=min_votes>5,min_energy>1000";
    let create = format!("{session};action=create;start_time=1");
    let talked = format!("{session};model_id=m;timestamp=2;interaction_hash={hash}");
    let close = format!("{session};action=close;end_time=3");
    let steps = [
        (30101, "project", "0xMG", project, ""),
        (30405, "dataset", "0xMG", data, dataset),
        (30409, "finetune", "0xFT", tuning, r#"{"name":"Fine-tuning Experiment 1"}"#),
        (30411, "session", "0xMG", &create, ""),
        (30410, "conversation", "0xMG", &talked, talk),
        (30411, "session", "0xMG", &close, ""),
        (30301, "propose", "0xMG", proposal, "Proposal to upgrade the model"),
    ];
    steps
        .map(|(kind, op, sid, own, content)| (kind, operation(kind, op, sid, own), content.to_owned()))
        .into()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_flow_of_the_specification_goes_through_the_relay() {
    let (_host, daemon) = quiet(&[]).await;
    let mut watcher = Client::of(&daemon, "/relay").await;
    watcher
        .say(&json!(["REQ", "w", { "kinds": [30101, 30405, 30409, 30410, 30411, 30301], "limit": 0 }]))
        .await;
    assert_eq!(watcher.hear().await, json!(["EOSE", "w"]));
    let mut client = Client::of(&daemon, "/").await;
    let schemes = [Scheme::SpecEip191, Scheme::SpecRaw, Scheme::Sdk];
    for ((kind, tags, content), scheme) in flow().into_iter().zip(schemes.into_iter().cycle()) {
        let event = key(1).sign(draft(kind, &tags, &content), scheme);
        if content.starts_with('{') {
            // As the specification writes it: the content is an object, not a text.
            let object = event.to_json().replace(&json!(content).to_string(), &content);
            client.0.send(Message::text(format!("[\"EVENT\",{object}]"))).await.unwrap();
        } else {
            client.say(&json!(["EVENT", event])).await;
        }
        let ok = client.hear().await;
        assert_eq!((&ok[0], &ok[1], &ok[2]), (&json!("OK"), &json!(event.id()), &json!(true)), "{ok}");
        assert!(ok[3].as_str().unwrap().contains(&format!("clock={kind}:")), "{ok}");
        // Whoever watches gets it live, byte for byte, in the shape that clients search as text.
        let live = watcher.text().await.unwrap();
        assert_eq!(live, format!("[\"EVENT\",\"w\",{}]", event.to_json()));
        assert!(live.starts_with("[\"EVENT\",\"w\",{\"id\":\""), "{live}");
    }
    let session = daemon.json("/v1/sessions/session_001").await;
    assert_eq!(session["stage"], "closed", "{session:#}");
    let steps = session["events"].as_array().unwrap();
    assert!(steps.iter().all(|it| it["disorder"].is_null()), "{session:#}");
    assert_eq!(steps[1]["interaction"], "verified");
    assert_eq!(steps[1]["messages"][0]["role"], "user");
    let proposals = daemon.json("/v1/proposals?sid=0xMG").await;
    assert_eq!(proposals["proposals"][0]["says"]["rules"], "min_votes>5,min_energy>1000");
    assert_eq!(daemon.json("/v1/projects").await["items"][0]["says"]["project_id"], "proj_001");
    assert_eq!(daemon.json("/v1/finetunes?sid=0xFT").await["items"].as_array().unwrap().len(), 1);
    let dataset = &daemon.json("/v1/datasets?sid=0xMG").await["items"][0];
    assert_eq!((&dataset["more"]["samples"], &dataset["says"]["category"]), (&json!(1), &json!("Sales")));
    let found = client.stored(&json!({ "#sid": ["0xMG"], "kinds": [30411] })).await;
    assert_eq!(found.len(), 2);
    client.say(&json!(["COUNT", "c", { "#sid": ["0xMG"] }])).await;
    assert_eq!(client.hear().await, json!(["COUNT", "c", { "count": 6 }]));
}

/// A host with no models whose ledger has these settings, and its daemon.
async fn quiet(settings: &[&str]) -> (Host, Daemon) {
    let hub = FixtureHub::start().await;
    let mut host = Host::of(&hub);
    host.index(&[]);
    host.ledger = settings.iter().map(|it| (*it).to_owned()).collect();
    let daemon = Daemon::start(&host);
    (host, daemon)
}

#[tokio::test(flavor = "multi_thread")]
async fn authors_come_back_as_they_were_written_and_are_found_in_any_case() {
    let (_host, daemon) = quiet(&[]).await;
    let mut client = Client::of(&daemon, "/").await;
    let event = post(3, "hello");
    let written = event.author().as_str().to_owned();
    assert_ne!(written, written.to_ascii_lowercase(), "in the case of its checksum");
    client.publish(&event).await;
    for author in [written.clone(), written.to_ascii_lowercase()] {
        let found = client.stored(&json!({ "authors": [author] })).await;
        assert_eq!(found[0]["pubkey"], json!(written));
    }
    let again = client.publish(&event).await;
    assert!(again[3].as_str().unwrap().starts_with("duplicate: stored as"), "{again}");
    let broken = json!(event).to_string().replace("hello", "hallo");
    client.0.send(Message::text(format!("[\"EVENT\",{broken}]"))).await.unwrap();
    let refused = client.hear().await;
    assert_eq!(refused[2], json!(false));
    assert!(refused[3].as_str().unwrap().starts_with("invalid: id"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relay_says_what_it_is_to_those_who_ask() {
    let (_host, daemon) = quiet(&[]).await;
    let asked = daemon.client().get(daemon.url()).header("accept", "application/nostr+json");
    let answer = asked.send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/nostr+json");
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    let document: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(document["supported_nips"], json!([1, 11, 42, 45, 70]));
    assert_eq!(document["pubkey"], daemon.json("/v1/log").await["author"]);
    assert!(daemon.get("/").await.text().await.unwrap().contains("hallmark"));
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_kinds_are_seen_by_their_parties_alone() {
    let (host, daemon) = quiet(&["private_kinds = [30410, 30411]"]).await;
    let me = Author::lower(key(2).address()).to_string();
    let tags = json!([["d", "subspace_op"], ["sid", "0xMG"], ["session_id", "s"], ["user_id", me]]);
    let talk = key(1).sign(draft(30410, &tags, "a secret"), Scheme::SpecEip191);
    let mut author = Client::of(&daemon, "/").await;
    assert_eq!(author.hear().await[0], "AUTH");
    assert_eq!(author.publish(&talk).await[2], json!(true));
    for (who, sees) in [(2, true), (3, false)] {
        let mut client = Client::of(&daemon, "/").await;
        let challenge = client.hear().await[1].as_str().unwrap().to_owned();
        client.say(&json!(["REQ", "x", { "kinds": [30410] }])).await;
        client.hear().await;
        assert!(client.hear().await[2].as_str().unwrap().starts_with("auth-required:"));
        let relay = format!("ws://{}/", daemon.address());
        let tags = json!([["relay", relay], ["challenge", challenge]]);
        let auth = key(who).sign(draft(22242, &tags, ""), Scheme::Sdk);
        client.say(&json!(["AUTH", auth])).await;
        assert_eq!(client.hear().await[2], json!(true));
        let found = client.stored(&json!({ "kinds": [30410] })).await;
        assert_eq!(found.len(), usize::from(sees), "{who}");
    }
    // Over HTTP nobody proves to be a party, so nobody but the operator sees it.
    let id = talk.id();
    for path in [&format!("/v1/events/{id}"), &format!("/v1/events/{id}/proof"), "/v1/sessions/s"] {
        assert_eq!(daemon.get(path).await.status(), 404, "{path}");
    }
    assert_eq!(daemon.json("/v1/events?sid=0xMG").await["events"], json!([]));
    let state = host.path("state");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hallmark"));
    command.args(["event", "query", "--sid", "0xMG", "--state", state.to_str().unwrap()]);
    let operator = command.output().unwrap();
    let seen: Value = serde_json::from_slice(&operator.stdout).unwrap();
    assert_eq!(seen.as_array().unwrap().len(), 1, "the operator sees it over the socket");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_keeps_to_no_bound_is_let_go() {
    let (_host, daemon) = quiet(&["clients_max = 3"]).await;
    let mut client = Client::of(&daemon, "/").await;
    // The relay may hang up before all of it is sent.
    let sent = client.0.send(Message::text("x".repeat(3 << 20))).await;
    let is_refused = sent.is_err() || client.text().await.is_none_or(|it| it.contains("NOTICE"));
    assert!(is_refused, "too long a frame");
    let mut client = Client::of(&daemon, "/").await;
    let mut said = 0;
    for _ in 0..200 {
        if client.0.send(Message::text("nonsense")).await.is_err() {
            break;
        }
    }
    while let Some(text) = client.text().await {
        assert!(text.contains("NOTICE"), "{text}");
        said += 1;
    }
    assert!(said < 60, "{said} answers to nonsense");
    let mut all = Vec::new();
    let full = loop {
        match connect_async(format!("ws://{}/", daemon.address())).await {
            Ok((line, _)) => all.push(line),
            Err(error) => break error.to_string(),
        }
        assert!(all.len() <= 3, "more clients than there are places");
    };
    assert!(full.contains("503"), "{full}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_bad_signatures_is_answered_and_others_are_served() {
    let (_host, daemon) = quiet(&[]).await;
    let mut flood = Client::of(&daemon, "/").await;
    let (good, other) = (json!(post(1, "good")), json!(post(2, "other")));
    let mut bad = good.clone();
    bad["sig"] = other["sig"].clone();
    for _ in 0..100 {
        // It may be sent away before it has said all of it.
        drop(flood.0.send(Message::text(json!(["EVENT", bad]).to_string())).await);
    }
    // So many are looked at, then the flood is told to slow down or sent away.
    let mut looked_at = 0;
    for _ in 0..100 {
        let Some(text) = flood.text().await else { break };
        looked_at += usize::from(text.contains("invalid: "));
    }
    assert!((1..50).contains(&looked_at), "{looked_at}");
    let mut honest = Client::of(&daemon, "/").await;
    assert_eq!(honest.publish(&post(1, "good")).await[2], json!(true));
    let mut late = draft(30300, &json!([["d", "subspace_op"], ["sid", "0xMG"]]), "late");
    late.created_at = UnixSeconds(SystemClock.now().0 + 100_000);
    let refused = honest.publish(&key(1).sign(late, Scheme::SpecEip191)).await;
    assert!(refused[3].as_str().unwrap().starts_with("invalid: created_at"), "{refused}");
}

/// How many clients watch at once.
const WATCHERS: usize = 1000;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_watchers_hear_of_everything_though_one_never_reads() {
    let (_host, daemon) = quiet(&[]).await;
    let mut deaf = Client::of(&daemon, "/").await;
    deaf.say(&json!(["REQ", "w", { "kinds": [30300] }])).await;
    let mut watchers = Vec::new();
    for _ in 0..WATCHERS {
        let mut watcher = Client::of(&daemon, "/").await;
        watcher.say(&json!(["REQ", "w", { "kinds": [30300], "limit": 0 }])).await;
        watchers.push(watcher);
    }
    for watcher in &mut watchers {
        assert_eq!(watcher.hear().await, json!(["EOSE", "w"]));
    }
    let mut author = Client::of(&daemon, "/").await;
    let mut sent = BTreeSet::new();
    for number in 0..5 {
        let event = post(1, &format!("{number}{}", "x".repeat(100_000)));
        assert_eq!(author.publish(&event).await[2], json!(true));
        sent.insert(event.id().to_string());
    }
    for watcher in &mut watchers {
        let mut heard = BTreeSet::new();
        for _ in 0..sent.len() {
            heard.insert(watcher.hear().await[2]["id"].as_str().unwrap().to_owned());
        }
        assert_eq!(heard, sent);
    }
}

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
    let (_host, daemon) = quiet(&[&relays]).await;
    let seen = |it: &Value| it["relays"][0]["refused"] == 1 && it["relays"][1]["lied"] == 1;
    let status = daemon.until_says("/v1/relays", "both are known", seen).await;
    assert_eq!(status["relays"][0]["refused_for"], "blocked: not here", "{status:#}");
    assert!(status["relays"][1]["lied_about"].as_str().unwrap().contains("does not show it"), "{status:#}");
}

/// A relay that answers every event like this and shows none.
async fn bad_relay(answer: fn(&Value) -> Value) -> std::net::SocketAddr {
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
