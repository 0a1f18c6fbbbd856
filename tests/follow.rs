//! `[ledger] follow`: what another log takes in comes into this one, proven anew, and whatever breaks in between.

use std::{
    cmp::Reverse,
    io::{BufRead as _, BufReader},
    sync::{Arc, Mutex},
};

use base::UnixSeconds;
use futures_util::{SinkExt as _, StreamExt as _};
use ledger::{Signed, event::Scheme};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::{accept_async, tungstenite::Message};

use crate::support::{
    daemon::Daemon,
    host::Host,
    relay::{Client, bare, draft, key, post, quiet},
};

/// Waits until a daemon's log has all of these events.
async fn until_it_has(daemon: &Daemon, events: &[Signed]) {
    for event in events {
        let path = format!("/v1/events/{}", event.id());
        daemon.until_says(&path, "the event is here", |it| it["event"]["id"] == json!(event.id())).await;
    }
}

async fn follower(settings: &[&str], relay: &str) -> (Host, Daemon) {
    let follow = format!("follow = [\"ws://{relay}\"]");
    let settings = [&[follow.as_str()], settings].concat();
    let host = bare(&settings).await;
    let daemon = Daemon::start(&host);
    (host, daemon)
}

/// Signs a post of so many seconds ago.
fn past(number: u8, seconds: u64) -> Signed {
    let tags = json!([["d", "subspace_op"], ["sid", "0xMG"], ["op", "post"]]);
    let mut draft = draft(30300, &tags, &format!("{number}"));
    draft.created_at = UnixSeconds(draft.created_at.0 - seconds);
    key(number).sign(draft, Scheme::Sdk)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_log_has_and_what_comes_to_it_come_to_those_who_follow() {
    let (_first_host, first) = quiet(&[]).await;
    let mut client = Client::of(&first, "/").await;
    let there = [post(1, "one"), post(2, "two")];
    for event in &there {
        assert_eq!(client.publish(event).await[2], true);
    }
    let (_second_host, second) = follower(&[], &first.address()).await;
    until_it_has(&second, &there).await;
    // What the first daemon says of itself is a fact for the second.
    let own = first.json("/v1/events?kind=30100").await["events"][0]["event"]["id"].clone();
    let path = format!("/v1/events/{}", own.as_str().unwrap());
    second.until_says(&path, "its subspace is here", |it| it["event"]["id"] == own).await;
    // And what comes later, as it comes.
    let later = post(3, "three");
    assert_eq!(client.publish(&later).await[2], true);
    until_it_has(&second, &[later]).await;
    assert!(second.log().contains("is followed"), "{}", second.log());
}

/// What a relay that is full of trouble was asked.
type Asked = Arc<Mutex<Vec<Value>>>;

/// Shows its events two at a time, whatever is asked for, and breaks off its first connection after the first page.
async fn troubled(events: Vec<Value>) -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Asked::default();
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let (events, seen) = (events.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                let mut line = accept_async(stream).await.unwrap();
                while let Some(Ok(Message::Text(text))) = line.next().await {
                    let frame: Value = serde_json::from_str(text.as_str()).unwrap();
                    if frame[0] != "REQ" {
                        continue;
                    }
                    let (name, filter) = (frame[1].clone(), frame[2].clone());
                    seen.lock().unwrap().push(filter.clone());
                    let until = filter["until"].as_u64().unwrap_or(u64::MAX);
                    let shown =
                        events.iter().filter(|it| it["created_at"].as_u64().unwrap() <= until).take(2);
                    for event in shown {
                        let said = Message::text(json!(["EVENT", name, event]).to_string());
                        drop(line.send(said).await);
                    }
                    drop(line.send(Message::text(json!(["EOSE", name]).to_string())).await);
                    if number == 0 && name == "hallmark-past" {
                        return;
                    }
                }
            });
        }
    });
    (address, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_is_asked_page_by_page_and_again_and_its_word_counts_for_nothing() {
    // Two of one second, and more than one page.
    let events = [past(1, 10), past(2, 20), past(3, 30), past(4, 30), past(5, 40), past(6, 3_000_000)];
    let mut forged: Value = serde_json::to_value(past(7, 25)).unwrap();
    forged["content"] = json!("something that nobody signed");
    let mut all = events.iter().map(|it| serde_json::to_value(it).unwrap()).collect::<Vec<_>>();
    all.push(forged.clone());
    all.sort_by_key(|it| Reverse(it["created_at"].as_u64()));
    let (address, asked) = troubled(all).await;
    let (_host, daemon) = follower(&[], &address).await;
    until_it_has(&daemon, &events).await;
    let path = format!("/v1/events/{}", forged["id"].as_str().unwrap());
    assert_eq!(daemon.get(&path).await.status(), 404);
    let untils = asked.lock().unwrap().iter().filter_map(|it| it["until"].as_u64()).collect::<Vec<_>>();
    assert!(untils.len() >= 3 && untils.is_sorted_by(|one, other| one > other), "{untils:?}");
    assert!(daemon.log().contains("is followed again in"), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn following_what_shows_the_newest_first_needs_orphans() {
    let host = bare(&["follow = [\"ws://127.0.0.1:9\"]", "allow_orphans = false"]).await;
    let said = host.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(said.code, Some(2), "{said:#?}");
    assert!(said.err.contains("[ledger] follow needs allow_orphans = true"), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn how_a_followed_relay_stands_is_shown_and_a_restart_goes_on_where_it_was() {
    let (first_host, first) = quiet(&[]).await;
    let mut client = Client::of(&first, "/").await;
    let early = post(1, "early");
    assert_eq!(client.publish(&early).await[2], true);
    let (host, second) = follower(&[], &first.address()).await;
    until_it_has(&second, &[early]).await;
    let follows = |it: &Value| it["follows"][0]["stands"] == "follows" && it["follows"][0]["taken"] == 2;
    let relays = second.until_says("/v1/relays", "the relay is followed", follows).await;
    let row = &relays["follows"][0];
    assert_eq!((&row["behind_seconds"], &row["refused"]), (&json!(0), &json!(0)), "{row:#}");
    assert!(row["heard_until"].as_u64() > Some(1_700_000_000) && row["last_event"].is_u64(), "{row:#}");
    let url = row["url"].as_str().unwrap();
    host.run(&["status"]).says(&[url, "follows", "2", "-"]);
    assert_eq!(host.run(&["status", "--json"]).json()["follows"], relays["follows"]);
    let counter = |name: &str| format!("hallmark_follow_{name}{{relay=\"{url}\"}}");
    assert_eq!(second.counter(&counter("stands")).await, Some(1));
    let taken = format!("hallmark_follow_events_total{{relay=\"{url}\",state=\"taken\"}}");
    assert_eq!(second.counter(&taken).await, Some(2));
    // The tables of `--watch` have it too.
    let mut watch = host.start(&["status", "--watch"]);
    let lines = BufReader::new(watch.stdout.take().unwrap()).lines().map_while(Result::ok);
    let head = lines.take_while(|it| !it.starts_with(url)).any(|it| it.starts_with("FOLLOWED"));
    assert!(head, "no relay is drawn");
    watch.kill().unwrap();
    watch.wait().unwrap();

    // What came while nobody listened comes after the next start, late or not.
    drop(second);
    let missed = [post(2, "missed"), past(3, 5 * 3600)];
    for event in &missed {
        assert_eq!(client.publish(event).await[2], true);
    }
    let second = Daemon::start(&host);
    until_it_has(&second, &missed).await;
    second.until_says("/v1/relays", "only those were taken in", follows).await;

    // A relay that is away is said to be away, and for how long.
    assert_eq!(first.stop().0, Some(0));
    let is_away = |it: &Value| it["follows"][0]["stands"] == "waits" && it["follows"][0]["why"].is_string();
    let relays = second.until_says("/v1/relays", "it is away", is_away).await;
    assert!(relays["follows"][0]["next"].is_u64(), "{relays:#}");
    assert_eq!(second.counter(&counter("stands")).await, Some(0));
    host.run(&["status"]).says(&[url, "waits", "again"]);
    drop(first_host);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_does_not_ask_for_everything_again() {
    let events = [past(1, 10), past(2, 20), past(3, 3_000_000)];
    let all = events.iter().map(|it| serde_json::to_value(it).unwrap()).collect();
    let (address, asked) = troubled(all).await;
    let (host, daemon) = follower(&[], &address).await;
    until_it_has(&daemon, &events).await;
    let follows = |it: &Value| it["follows"][0]["stands"] == "follows";
    daemon.until_says("/v1/relays", "it is followed", follows).await;
    let pages = |asked: &Asked| {
        asked.lock().unwrap().iter().filter(|it| it["limit"] == 500).cloned().collect::<Vec<_>>()
    };
    assert!(pages(&asked).iter().all(|it| it["since"].is_null()), "{asked:?}");
    // However it ends: what it heard is on disk.
    drop(daemon);
    asked.lock().unwrap().clear();
    let daemon = Daemon::start(&host);
    daemon.until_says("/v1/relays", "it is followed again", follows).await;
    let now = past(4, 0).created_at().0;
    let sinces = pages(&asked).iter().map(|it| it["since"].as_u64()).collect::<Vec<_>>();
    assert!(
        !sinces.is_empty() && sinces.iter().all(|it| it.is_some_and(|it| it > now - 2 * 86_400)),
        "{sinces:?}"
    );
}
