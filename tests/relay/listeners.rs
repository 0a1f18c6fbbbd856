//! Those who listen while others publish: they miss nothing, hear nothing twice, and do not hold each other up.

use std::{collections::BTreeSet, time::Duration};

use futures_util::{SinkExt as _, future::join_all};
use ledger::Signed;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{
    daemon::Daemon,
    relay::{Client, bare, post, quiet},
};

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
async fn a_client_that_never_reads_is_let_go_and_the_others_miss_nothing() {
    let mut host = bare(&["client_queue_max = 64"]).await;
    host.http = vec!["write_seconds_max = 1".to_owned()];
    let daemon = Daemon::start(&host);
    let mut deaf = Client::with_little_room(&daemon).await;
    deaf.say(&json!(["REQ", "w", { "kinds": [30300] }])).await;
    let mut watcher = Client::of(&daemon, "/").await;
    watcher.say(&json!(["REQ", "w", { "kinds": [30300] }])).await;
    assert_eq!(watcher.hear().await, json!(["EOSE", "w"]));
    let mut author = Client::of(&daemon, "/").await;
    let let_go = "hallmark_relay_sessions_ended_total{cause=\"slow\"}";
    // What the system keeps for the deaf one has an end, and then the relay's patience has.
    for number in 0..200 {
        let event = post(1, &format!("{number}{}", "x".repeat(400_000)));
        assert_eq!(author.publish(&event).await[2], json!(true));
        assert_eq!(watcher.hear().await[2]["id"], json!(event.id()));
        if daemon.counter(let_go).await == Some(1) {
            assert_eq!(daemon.counter("hallmark_relay_sessions").await, Some(2));
            assert_eq!(daemon.counter("hallmark_relay_subscriptions").await, Some(1));
            return;
        }
    }
    panic!("the deaf one is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_slowly_hears_of_everything_in_order_and_is_answered_in_between() {
    let (_host, daemon) = quiet(&[]).await;
    let mut slow = Client::with_little_room(&daemon).await;
    slow.say(&json!(["REQ", "w", { "kinds": [30300], "limit": 0 }])).await;
    assert_eq!(slow.hear().await, json!(["EOSE", "w"]));
    let mut author = Client::of(&daemon, "/").await;
    // Far more than the system keeps for it.
    let events: Vec<_> = (0..60).map(|it| post(1, &format!("{it} {}", "x".repeat(200_000)))).collect();
    for event in &events {
        assert_eq!(author.publish(event).await[2], json!(true));
    }
    slow.say(&json!(["COUNT", "c", { "kinds": [30300] }])).await;
    let mut heard = Vec::new();
    let mut counted = None;
    while heard.len() < events.len() || counted.is_none() {
        let frame = slow.hear().await;
        match frame[0].as_str() {
            Some("EVENT") => heard.push(frame[2]["id"].clone()),
            _ => counted = Some(frame),
        }
    }
    assert_eq!(counted, Some(json!(["COUNT", "c", { "count": events.len() }])));
    assert_eq!(heard, events.iter().map(|it| json!(it.id())).collect::<Vec<_>>());
}

/// How many authors flood the log, with how many events each.
const AUTHORS: u8 = 4;
const EACH: usize = 750;

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_in_the_middle_of_a_flood_misses_nothing_and_hears_nothing_twice() {
    let (_host, daemon) = quiet(&[]).await;
    let posts = |author| (0..EACH).map(|it| post(author, &it.to_string())).collect::<Vec<_>>();
    let events: Vec<Vec<Signed>> = (1..=AUTHORS).map(posts).collect();
    let sent: BTreeSet<String> = events.iter().flatten().map(|it| it.id().to_string()).collect();
    let flood = async {
        join_all(events.iter().map(|events| publish_all(&daemon, events))).await;
    };
    // Each comes when the log has grown by another part.
    let listening = (0..12).map(|number| {
        let (daemon, sent) = (&daemon, &sent);
        async move {
            let from = number * sent.len() / 12;
            daemon.until_says("/v1/log", "events came", |it| it["size"].as_u64() >= Some(from as u64)).await;
            let mut listener = Client::of(daemon, "/").await;
            listener.say(&json!(["REQ", "w", { "kinds": [30300], "limit": sent.len() }])).await;
            let mut heard = BTreeSet::new();
            while heard.len() < sent.len() {
                let frame = listener.hear().await;
                if frame[0] == "EVENT" {
                    let id = frame[2]["id"].as_str().unwrap().to_owned();
                    assert!(heard.insert(id), "listener {number} heard twice of {frame}");
                } else {
                    assert_eq!(frame, json!(["EOSE", "w"]));
                }
            }
            assert!(heard == *sent);
        }
    });
    let all = async { tokio::join!(flood, join_all(listening)) };
    timeout(Duration::from_mins(2), all).await.expect("everybody has heard of everything");
}

async fn publish_all(daemon: &Daemon, events: &[Signed]) {
    let mut author = Client::of(daemon, "/").await;
    for event in events {
        author.0.feed(Message::text(json!(["EVENT", event]).to_string())).await.unwrap();
    }
    author.0.flush().await.unwrap();
    for _ in events {
        let answer: Value = author.hear().await;
        assert_eq!(answer[2], json!(true), "{answer}");
    }
}
