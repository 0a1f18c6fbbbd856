//! `/v1/watch`: events as they happen, and after a pause.

use futures_util::StreamExt as _;
use reqwest::Response;
use serde_json::Value;

use super::problem;
use crate::support::{
    daemon::Daemon,
    host::{Host, entry},
    hub::{FixtureHub, noise},
};

/// Reads events off an answer.
struct Events {
    bytes: std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    text: String,
}

#[derive(Debug)]
struct Event {
    kind: String,
    id: String,
    data: Value,
}

impl Events {
    async fn of(daemon: &Daemon, last: Option<&str>) -> Self {
        let mut request = daemon.client().get(format!("{}/v1/watch", daemon.url()));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let answer: Response = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self { bytes: Box::pin(answer.bytes_stream()), text: String::new() }
    }

    /// Returns the next event or comment as it stands; `None` at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let rest = self.text.split_off(end + 2);
                return Some(std::mem::replace(&mut self.text, rest));
            }
            self.text += std::str::from_utf8(&self.bytes.next().await?.ok()?).unwrap();
        }
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            let block = self.block().await?;
            let field = |name: &str| block.lines().find_map(|it| it.strip_prefix(name)).map(str::trim);
            let Some(kind) = field("event:") else { continue };
            let data = serde_json::from_str(field("data:").unwrap()).unwrap();
            return Some(Event { kind: kind.to_owned(), id: field("id:").unwrap().to_owned(), data });
        }
    }

    async fn until(&mut self, is: impl Fn(&Event) -> bool) -> Event {
        loop {
            let event = self.next().await.expect("the watch ended");
            if is(&event) {
                return event;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_hears_of_reloads_and_of_each_step_of_a_model() {
    let (hub, weights) = (FixtureHub::start().await, noise(1, 70_000));
    hub.put("org/ajna-good-v1", "model.bin", &weights);
    let mut host = Host::of(&hub);
    host.index(&[]);
    host.declares(&["ajna-good-v1"]);
    let daemon = Daemon::start(&host);
    let mut events = Events::of(&daemon, None).await;
    assert_eq!(events.next().await.unwrap().kind, "hello");
    host.index(&[entry("ajna-good-v1", &weights)]);
    let reload = events.until(|it| it.kind == "reload").await;
    assert_eq!(reload.data["outcome"], "good");
    let mut states = Vec::new();
    while states.last().is_none_or(|it| it != "deployed") {
        let event = events.until(|it| it.kind == "model" && it.data["id"] == "ajna-good-v1").await;
        states.push(event.data["state"].as_str().unwrap().to_owned());
    }
    assert_eq!(states, ["queued", "fetching", "deployed"]);
    // A stop ends the watch; nobody waits for it.
    assert_eq!(daemon.stop().0, Some(0));
    while events.next().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_comes_back_gets_what_it_missed_or_a_reset() {
    let hub = FixtureHub::start().await;
    let mut host = Host::of(&hub);
    host.http = vec!["events_kept = 16".into()];
    host.index(&[]);
    let daemon = Daemon::start(&host);
    let mut events = Events::of(&daemon, None).await;
    let reload = async |events: &mut Events, count: usize| {
        for number in 0..count {
            host.index(&[entry(&format!("ajna-{number}-{count}-v1"), b"1")]);
            events.until(|it| it.kind == "reload" && it.data["outcome"] == "good").await;
        }
    };
    reload(&mut events, 1).await;
    host.index(&[]);
    let seen = events.until(|it| it.kind == "reload" && it.data["counts"].is_null()).await;
    drop(events);
    // A second watcher tells when something has happened.
    let mut witness = Events::of(&daemon, None).await;
    reload(&mut witness, 3).await;
    let mut again = Events::of(&daemon, Some(&seen.id)).await;
    assert_eq!(again.next().await.unwrap().kind, "hello");
    let (run, number) = seen.id.split_once('-').unwrap();
    let next = again.next().await.unwrap();
    assert_eq!(next.id, format!("{run}-{}", number.parse::<u64>().unwrap() + 1));
    // What lies too far back is gone, and so is what another run of the daemon said.
    reload(&mut witness, 17).await;
    for last in [seen.id.as_str(), "1-1", "what is this"] {
        let mut lost = Events::of(&daemon, Some(last)).await;
        assert_eq!(lost.next().await.unwrap().kind, "hello");
        assert_eq!(lost.next().await.unwrap().kind, "reset", "after {last}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_watch_has_a_heartbeat_and_there_are_only_so_many_watchers() {
    let hub = FixtureHub::start().await;
    let mut host = Host::of(&hub);
    host.http = vec!["heartbeat_seconds = 1".into(), "watchers_max = 1".into()];
    host.index(&[]);
    let daemon = Daemon::start(&host);
    let mut events = Events::of(&daemon, None).await;
    let refused = problem(daemon.get("/v1/watch").await, 503, "too-many-watchers").await;
    assert_eq!(refused["retry_after_seconds"], 30);
    let mut block = events.block().await.unwrap();
    while !block.starts_with(':') {
        block = events.block().await.unwrap();
    }
    drop(events);
    // The seat is free again as soon as the daemon sees that nobody reads any more.
    while daemon.get("/v1/watch").await.status() != 200 {
        tokio::task::yield_now().await;
    }
}
