//! The event relay as its clients meet it: over a real WebSocket, with real signatures.

mod listeners;

use std::{cmp::Reverse, collections::BTreeMap, path::Path, process::Command, time::Duration};

use base::{Clock as _, Sha256, SystemClock, UnixSeconds};
use futures_util::SinkExt as _;
use ledger::{Author, Signed, event::Scheme};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::{connect_async, tungstenite::Message};

use crate::support::{
    daemon::Daemon,
    host::Said,
    peers,
    relay::{Client, draft, key, post, quiet},
};

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
    // The same pages, as of the moment before.
    let size = daemon.json("/v1/log").await["size"].as_u64().unwrap();
    let before = daemon.json(&format!("/v1/proposals?sid=0xMG&at={}", size - 1)).await;
    assert_eq!(before["proposals"], json!([]), "{before:#}");
    let before = daemon.json(&format!("/v1/sessions/session_001?at={}", size - 2)).await;
    assert_eq!(before["stage"], "open", "{before:#}");
    assert_eq!(daemon.json("/v1/projects").await["items"][0]["says"]["project_id"], "proj_001");
    assert_eq!(daemon.json("/v1/finetunes?sid=0xFT").await["items"].as_array().unwrap().len(), 1);
    let dataset = &daemon.json("/v1/datasets?sid=0xMG").await["items"][0];
    assert_eq!((&dataset["more"]["samples"], &dataset["says"]["category"]), (&json!(1), &json!("Sales")));
    let found = client.stored(&json!({ "#sid": ["0xMG"], "kinds": [30411] })).await;
    assert_eq!(found.len(), 2);
    client.say(&json!(["COUNT", "c", { "#sid": ["0xMG"] }])).await;
    assert_eq!(client.hear().await, json!(["COUNT", "c", { "count": 6 }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_speak_websocket_is_told_what_is_spoken_here() {
    let (_host, daemon) = quiet(&[]).await;
    let url = format!("http://{}/relay", daemon.address());
    let good = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let wrong = [("connection", "close"), ("upgrade", "h2c"), ("sec-websocket-version", "12")];
    for (name, value) in wrong {
        let headers = good.map(|it| if it.0 == name { (name, value) } else { it });
        let request =
            headers.into_iter().fold(daemon.client().get(&url), |it, (name, value)| it.header(name, value));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 400, "{name}: {value}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["remedy"], "a client of the relay speaks WebSocket, version 13, over HTTP/1.1");
    }
    let request =
        good.into_iter().fold(daemon.client().get(&url), |it, (name, value)| it.header(name, value));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 101);
    assert_eq!(answer.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
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
async fn what_the_relay_says_of_itself_is_so() {
    let (_host, daemon) = quiet(&["tags_max = 50", "event_bytes_max = 100000"]).await;
    let asked = daemon.client().get(daemon.url()).header("accept", "application/nostr+json");
    let answer = asked.send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/nostr+json");
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    let document: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(document["supported_nips"], json!([1, 11, 42, 45, 70]));
    assert_eq!(document["pubkey"], daemon.json("/v1/log").await["author"]);
    assert!(daemon.get("/").await.text().await.unwrap().contains("hallmark"));

    // Each bound is held up to, and no further.
    let bound = |name: &str| usize::try_from(document["limitation"][name].as_u64().unwrap()).unwrap();
    let mut client = Client::of(&daemon, "/").await;
    // Of a kind that never comes: the daemon may still sign its own first event.
    let filter = json!({ "kinds": [1] });
    for number in 0..bound("max_subscriptions") {
        client.say(&json!(["REQ", number.to_string(), filter])).await;
        assert_eq!(client.hear().await[0], "EOSE");
    }
    client.say(&json!(["REQ", "one more", filter])).await;
    assert_eq!(client.hear().await[0], "CLOSED");
    let mut client = Client::of(&daemon, "/").await;
    for (length, verb) in [(0, "EOSE"), (1, "CLOSED")] {
        let filters = vec![filter.clone(); bound("max_filters") + length];
        client.say(&json!([vec![json!("REQ"), json!("f")], filters].concat())).await;
        assert_eq!(client.hear().await[0], verb);
        let id = "i".repeat(bound("max_subid_length") + length);
        client.say(&json!(["REQ", id, filter])).await;
        assert_eq!(client.hear().await[0], if length == 0 { "EOSE" } else { "NOTICE" });
        let tags = vec![json!(["t"]); bound("max_event_tags") - 2 + length];
        let tags = [vec![json!(["d", "subspace_op"]), json!(["sid", "0xMG"])], tags].concat();
        let event = key(1).sign(draft(30300, &json!(tags), ""), Scheme::Sdk);
        assert_eq!(client.publish(&event).await[2], json!(length == 0));
        let late = |seconds: usize| {
            let mut draft = draft(30300, &json!([["d", "subspace_op"], ["sid", "0xMG"]]), "");
            draft.created_at.0 += u64::try_from(seconds).unwrap();
            key(1).sign(draft, Scheme::Sdk)
        };
        // A slow machine takes less than this from one line to the next.
        let seconds = bound("created_at_upper_limit") - 5 + 120 * length;
        assert_eq!(client.publish(&late(seconds)).await[2], json!(length == 0));
    }
    let long = post(1, &"x".repeat(bound("max_content_length") + 1));
    assert_eq!(client.publish(&long).await[2], json!(false));
    // NIP-70: what is protected is taken from its author alone. NIP-45: COUNT counts.
    let tags = json!([["d", "subspace_op"], ["sid", "0xMG"], ["-"]]);
    let protected = key(1).sign(draft(30300, &tags, ""), Scheme::Sdk);
    assert!(client.publish(&protected).await[3].as_str().unwrap().starts_with("auth-required:"));
    client.say(&json!(["COUNT", "c", { "#sid": ["0xMG"] }])).await;
    assert_eq!(client.hear().await, json!(["COUNT", "c", { "count": 2 }]));
    let note = key(1).sign(draft(1, &json!([]), "not a ledger's kind"), Scheme::Sdk);
    assert_eq!(document["limitation"]["restricted_writes"], json!(true));
    assert!(client.publish(&note).await[3].as_str().unwrap().starts_with("blocked:"));
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
    let mut sent = 0;
    // It may be sent away before it has said all of it, and what it was told may be lost with the connection.
    while sent < 1000 && flood.0.send(Message::text(json!(["EVENT", bad]).to_string())).await.is_ok() {
        sent += 1;
    }
    for _ in 0..sent {
        if flood.text().await.is_none() {
            break;
        }
    }
    // Some are looked at, those that were on their way at the time included; then it is slowed down or sent away.
    let events = |it: &str| format!("hallmark_ledger_events_total{{outcome=\"{it}\"}}");
    let invalid = daemon.counter(&events("invalid")).await;
    assert!(invalid.is_some_and(|it| (1..300).contains(&it)), "{invalid:?}");
    let slowed = daemon.counter(&events("rate-limited")).await;
    let sent_away = daemon.counter("hallmark_relay_sessions_ended_total{cause=\"bound\"}").await;
    assert!(slowed.or(sent_away).is_some_and(|it| it > 0), "neither slowed down nor sent away");
    let mut honest = Client::of(&daemon, "/").await;
    assert_eq!(honest.publish(&post(1, "good")).await[2], json!(true));
    let mut late = draft(30300, &json!([["d", "subspace_op"], ["sid", "0xMG"]]), "late");
    late.created_at = UnixSeconds(SystemClock.now().0 + 100_000);
    let refused = honest.publish(&key(1).sign(late, Scheme::SpecEip191)).await;
    assert!(refused[3].as_str().unwrap().starts_with("invalid: created_at"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_events_among_many_are_refused_and_no_others() {
    let (_host, daemon) = quiet(&[]).await;
    let mut client = Client::of(&daemon, "/").await;
    let events: Vec<_> =
        (0..300_u16).map(|it| post(1 + u8::try_from(it % 3).unwrap(), &it.to_string())).collect();
    let is_forged = |place: usize| place % 70 == 69;
    for (place, event) in events.iter().enumerate() {
        let mut event = json!(event);
        if is_forged(place) {
            // By the same author, over something else.
            event["sig"] = json!(events[place - 3])["sig"].clone();
        }
        client.say(&json!(["EVENT", event])).await;
    }
    let mut answers = BTreeMap::new();
    for _ in &events {
        let answer = client.hear().await;
        answers.insert(answer[1].as_str().unwrap().to_owned(), answer);
    }
    for (place, event) in events.iter().enumerate() {
        let answer = &answers[&event.id().to_string()];
        assert_eq!(answer[2], json!(!is_forged(place)), "{answer}");
        if is_forged(place) {
            let why = format!("invalid: the signature of {} is not by {}", event.id(), event.author());
            assert_eq!(answer[3], json!(why));
        }
    }
    let stored = client.stored(&json!({ "kinds": [30300], "limit": 1000 })).await;
    assert_eq!(stored.len(), answers.values().filter(|it| it[2] == json!(true)).count());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_all_that_is_asked_for_however_large_it_is() {
    let (_host, daemon) = quiet(&[]).await;
    let mut client = Client::of(&daemon, "/").await;
    let mut events = Vec::new();
    for number in 0..60_usize {
        let length = if number % 3 == 0 { 100_000 } else { 10 };
        let event = post(1 + u8::try_from(number % 2).unwrap(), &format!("{number} {}", "x".repeat(length)));
        assert_eq!(client.publish(&event).await[2], json!(true));
        events.push(event);
    }
    events.sort_by_key(|it| (Reverse(it.created_at()), it.id()));
    let author = events[0].author();
    let wanted = |filter: &dyn Fn(&&Signed) -> bool, limit: usize| {
        events.iter().filter(filter).take(limit).map(|it| json!(it)).collect::<Vec<_>>()
    };
    let of_author = |it: &&Signed| it.author() == author;
    for limit in [1, 3, 100] {
        let asked = json!({ "#sid": ["0xMG"], "kinds": [30300], "limit": limit });
        assert_eq!(client.stored(&asked).await, wanted(&|_| true, limit), "of a subspace, {limit}");
        let asked = json!({ "authors": [author.as_str()], "limit": limit });
        assert_eq!(client.stored(&asked).await, wanted(&of_author, limit), "of an author, {limit}");
        let asked = json!({ "#sid": ["0xMG"], "authors": [author.as_str()], "limit": limit });
        assert_eq!(client.stored(&asked).await, wanted(&of_author, limit), "of both, {limit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_events_than_are_taken_at_once_are_all_answered_in_their_order() {
    let (_host, daemon) = quiet(&[]).await;
    let events: Vec<_> = (0..1000).map(|it| post(1, &it.to_string())).collect();
    all_answered_in_order(&daemon, &events).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_bytes_than_are_taken_at_once_are_all_answered_in_their_order() {
    let (_host, daemon) = quiet(&[]).await;
    // A few that fill all the room there is, and some that come in between.
    let content =
        |it: usize| if it % 4 == 3 { it.to_string() } else { format!("{it} {}", "x".repeat(200_000)) };
    let events: Vec<_> = (0..40).map(|it| post(1, &content(it))).collect();
    all_answered_in_order(&daemon, &events).await;
}

/// Publishes all of some events before any answer is heard.
async fn all_answered_in_order(daemon: &Daemon, events: &[Signed]) {
    let mut author = Client::of(daemon, "/").await;
    for event in events {
        author.say(&json!(["EVENT", event])).await;
    }
    let answers = async {
        for (place, event) in events.iter().enumerate() {
            let answer = author.hear().await;
            assert_eq!((&answer[1], &answer[2]), (&json!(event.id()), &json!(true)), "{answer}");
            assert!(answer[3].as_str().unwrap().ends_with(&format!("clock=30300:{}", place + 1)), "{answer}");
        }
    };
    // A relay that has forgotten a client remembers it at its next ping, half a minute after the first.
    timeout(Duration::from_secs(20), answers).await.expect("nobody is left waiting for a ping");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_client_publishes_hears_and_proves_who_it_is() {
    let what = "the relay's JavaScript client";
    let Some(package) = peers::require("npm/node_modules/nostr-tools", what) else { return };
    let Some(node) = peers::program("node", what) else { return };
    let (_host, daemon) = quiet(&["signs_as = \"sdk\"", "private_kinds = [30410]"]).await;
    daemon.until_says("/v1/log", "the subspace is made", |it| it["size"] == 1).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/relay.mjs");
    let folder = package.parent().and_then(Path::parent).unwrap();
    let mut command = Command::new(node);
    command.arg(script).arg(folder).arg(format!("ws://{}/", daemon.address()));
    let said = Said::from(command.output().unwrap());
    assert_eq!(said.code, Some(0), "{said:#?}");
    let mut seen = said.json();
    let address = seen["address"].take();
    assert_ne!(address, json!(address.as_str().unwrap().to_lowercase()), "it writes the checksum's case");
    let mut say = |name: &str| seen[name].take().as_str().unwrap().to_owned();
    assert!(say("again").starts_with("duplicate: stored as "));
    assert!(say("refused").starts_with("invalid: id "));
    assert!(say("closed").starts_with("auth-required: "));
    let expected = json!({
        "address": null, "again": null, "refused": null, "closed": null,
        "taken": ["seq=1 clock=30300:1", "seq=2 clock=30300:2", "seq=3 clock=30300:3"],
        "refusedInTime": true,
        // Its ids for letters that are not ASCII are its own, and it gets them back as they are.
        "stored": ["by a wallet", "child", "größer 🙂 \u{2028}", "plain"],
        "byId": ["größer 🙂 \u{2028}"],
        // It shows an author only in the spelling that was asked for, and a parent only in the first place.
        "live": ["plain", "größer 🙂 \u{2028}", "child"],
        "byLowerCase": ["by a wallet"], "byFirstParent": 1, "bySecondParent": 0,
        "count": 4, "subspaces": ["modelgraph"], "opened": 1,
    });
    assert_eq!(seen, expected);
}
