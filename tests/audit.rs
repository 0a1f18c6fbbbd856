//! An auditor with nothing but a log's public key, and a log that lies.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::http::Uri;
use base::UnixSeconds;
use ledger::{
    SecretKey,
    event::Scheme,
    kinds::{Conversation, Operation, Post, Subspace},
};
use serde_json::json;

use crate::support::{
    daemon::Daemon,
    events::{post, publish, run},
    host::Host,
    hub::FixtureHub,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_walks_a_subspace_back_to_its_first_event_and_believes_nobody() {
    let hub = FixtureHub::start().await;
    let mut host = Host::of(&hub);
    host.index(&[]);
    host.ledger = vec!["private_kinds = [30410]".to_owned()];
    let daemon = Daemon::start(&host);
    let (me, other) = (SecretKey::from_bytes([9; 32]).unwrap(), SecretKey::from_bytes([8; 32]).unwrap());
    let space = Subspace { subspace_name: Some("audited".to_owned()), ..Subspace::default() };
    let sid = space.computed_sid();
    let operation = |content: String| {
        let created_at = UnixSeconds(1_700_000_000);
        Operation { created_at, sid: Some(sid.clone()), content, ..Operation::default() }
    };
    let genesis = me.sign(space.draft(operation(String::new())), Scheme::SpecEip191);
    publish(&daemon, &genesis.to_json()).await;
    let checkpoint = daemon.get("/checkpoint").await.text().await.unwrap();
    let checkpoint = host.write("checkpoint", checkpoint.as_bytes());
    for number in 0..620 {
        let secret = Conversation::default().draft(operation(number.to_string()));
        let open = Post::default().draft(operation(number.to_string()));
        let event =
            if number % 100 == 7 { other.sign(secret, Scheme::Sdk) } else { me.sign(open, Scheme::Sdk) };
        publish(&daemon, &event.to_json()).await;
        // Others write in between.
        if number % 50 == 0 {
            publish(&daemon, &post(&other, number)).await;
        }
    }
    let log_key = daemon.json("/v1/log").await["log_key"].as_str().unwrap().to_owned();
    let (url, sid, checkpoint) = (daemon.url(), sid.to_string(), checkpoint.to_str().unwrap().to_owned());
    let words = ["event", "audit", &sid, "--log-key", &log_key, "--since", &checkpoint];
    let told = run(&[&words[..], &["--daemon", &url, "--json"]].concat());
    assert_eq!(told.code, Some(0), "{told:#?}");
    let walked = &told.json()["walked"];
    assert_eq!((&walked["events"], &walked["closed"]), (&json!(621), &json!(7)), "{walked}");
    assert_eq!((&walked["first"], &walked["first_kind"]), (&json!(genesis.id()), &json!(30100)));
    assert!(walked["since"].as_u64().is_some_and(|it| it <= 2), "{walked}");
    // The operator sees all of it.
    let state = host.path("state");
    let told = run(&[&words[..], &["--state", state.to_str().unwrap()]].concat());
    told.says(&["holds: 621 events, each linked"]).says(&["the log has only grown since"]);
    assert!(!told.out.contains("closed"), "{told:#?}");

    // A log that rewrites, leaves out or puts in between is found out, whichever page it does it on.
    let liar = Liar::before(daemon.address().parse().unwrap()).await;
    let words = [&words[..], &["--daemon", &liar.url]].concat();
    assert_eq!(run(&words).code, Some(0), "it tells the truth so far");
    let middle = daemon.json(&format!("/v1/subspaces/{sid}/chain?limit=300")).await;
    let leaf = |at: usize| json!(middle["leaves"][at]).to_string();
    for (from, to, found) in [
        (format!("{},", leaf(250)), String::new(), "something was left out or changed"),
        (leaf(250), leaf(251), "something was left out or changed"),
        ("\\\"n\\\":5,".to_owned(), "\\\"n\\\":6,".to_owned(), "something was left out or changed"),
        (
            "\"content\":\"300\"".to_owned(),
            "\"content\":\"301\"".to_owned(),
            "is neither the SHA-256 of the event",
        ),
        ("\"next\":".to_owned(), "\"nothing\":".to_owned(), "the walk ends before"),
    ] {
        liar.say(&from, &to);
        let told = run(&words);
        assert_eq!(told.code, Some(1), "{from}: {told:#?}");
        told.says(&["does not hold", found]);
    }
    liar.say("", "");
    let wrong_key = log_key.replace("hallmark/", "hallmerk/");
    let told = run(&["event", "audit", &sid, "--log-key", &wrong_key, "--daemon", &url]);
    assert_eq!(told.code, Some(1), "{told:#?}");
    let none = run(&["event", "audit", "0xNOBODY", "--log-key", &log_key, "--daemon", &url]);
    assert_eq!(none.code, Some(2), "{none:#?}");
}

/// Stands before a daemon and changes what it says.
struct Liar {
    url: String,
    lie: Arc<Mutex<(String, String)>>,
}

impl Liar {
    async fn before(daemon: SocketAddr) -> Self {
        let lie = Arc::<Mutex<(String, String)>>::default();
        let (told, client) = (Arc::clone(&lie), reqwest::Client::builder().no_proxy().build().unwrap());
        let answer = move |uri: Uri| {
            let (told, client) = (Arc::clone(&told), client.clone());
            async move {
                let answer = client.get(format!("http://{daemon}{uri}")).send().await.unwrap();
                let (status, text) = (answer.status(), answer.text().await.unwrap());
                let (from, to) = told.lock().unwrap().clone();
                let text = if from.is_empty() { text } else { text.replacen(&from, &to, 1) };
                (status, text)
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
        Self { url, lie }
    }

    /// From now on one text is told in place of another.
    fn say(&self, from: &str, to: &str) {
        *self.lie.lock().unwrap() = (from.to_owned(), to.to_owned());
    }
}
