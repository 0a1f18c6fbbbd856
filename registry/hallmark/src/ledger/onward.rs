//! Publishing onward: what the daemon signed goes to every relay that the operator named.
//!
//! - The outbox says what is due and keeps what became of it; this end owns the connection. One task for each relay,
//!   so that one that is away holds up no other.
//! - After the answers a relay is asked for what it said to have: one that does not show it has lied.

pub(super) mod line;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use base::{Clock as _, SystemClock, UnixSeconds};
use futures_util::StreamExt as _;
use ledger::{
    EventId, StoreError,
    outbox::{self, Answer, Due, Outbox, RelayStatus, Verdict},
};
use serde_json::json;
use tokio::{
    sync::broadcast::error::RecvError,
    task::spawn_blocking,
    time::{sleep, timeout},
};
use url::Url;

use self::line::{Line, PATIENCE};
use super::Ledger;

/// How many events are sent before their answers are waited for.
const BATCH: u64 = 100;
/// How many frames that answer nothing are read for one batch.
const FRAMES_MAX: usize = 10_000;
/// The name of the subscription that asks for what was sent.
const CHECK: &str = "hallmark-check";
/// How long to sleep at most, whatever is due.
const LONG: Duration = Duration::from_mins(10);

/// Publishes to one relay until the stop.
pub(super) async fn publish_onward(ledger: Ledger, relay: Url) {
    let stop = ledger.stop().clone();
    let mut bell = ledger.accepted();
    let mut onward = Onward { outbox: Outbox::new(Arc::clone(ledger.log())), ledger, relay, failures: 0 };
    let work = async {
        loop {
            let pause = match onward.round().await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::error!("The outbox for {} cannot be used: {error:#}", onward.relay);
                    outbox::wait(4)
                }
            };
            // A relay that is away is not tried again for each new event.
            if onward.failures > 0 {
                sleep(pause).await;
                continue;
            }
            tokio::select! {
                () = sleep(pause) => {}
                heard = bell.recv() => if matches!(heard, Err(RecvError::Closed)) { return },
            }
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = work => {}
    }
}

/// Returns how every relay stands.
pub(crate) fn statuses(ledger: &Ledger) -> Result<Vec<RelayStatus>, StoreError> {
    let outbox = Outbox::new(Arc::clone(ledger.log()));
    ledger.config().relays.iter().map(|it| outbox.status(it.0.as_str())).collect()
}

struct Onward {
    ledger: Ledger,
    relay: Url,
    outbox: Outbox,
    /// How many connections in a row came to nothing.
    failures: u32,
}

impl Onward {
    /// Sends what is due. Returns how long nothing will be.
    async fn round(&mut self) -> anyhow::Result<Duration> {
        let me = self.ledger.address();
        self.at_disk(move |outbox, relay| Ok(outbox.catch_up(relay, me)?)).await?;
        let now = SystemClock.now();
        let due = self.at_disk(move |outbox, relay| Ok(outbox.due(relay, now, BATCH)?)).await?;
        if due.is_empty() {
            let status = self.at_disk(|outbox, relay| Ok(outbox.status(relay)?)).await?;
            let until = status.next.map_or(LONG, |it| it.since(SystemClock.now()));
            return Ok(until.clamp(Duration::from_millis(100), LONG));
        }
        let (answered, trouble) = match line::connect(&self.relay).await {
            Ok(mut line) => self.send(&mut line, &due).await,
            Err(error) => (Vec::new(), Some(error)),
        };
        let settled: BTreeSet<EventId> = answered.iter().map(|it| it.0.id).collect();
        let why =
            trouble.as_ref().map_or_else(|| "the relay did not answer".to_owned(), |it| format!("{it:#}"));
        let left = due.into_iter().filter(|it| !settled.contains(&it.id));
        let left = left.map(|it| (it, Verdict::Later(why.clone()))).collect::<Vec<_>>();
        if let Some(error) = &trouble {
            tracing::warn!("{} could not be published to, and is tried again: {error:#}", self.relay);
        }
        self.failures = if trouble.is_some() { self.failures.saturating_add(1) } else { 0 };
        self.settle(answered.into_iter().chain(left).collect(), SystemClock.now()).await?;
        Ok(if trouble.is_some() { outbox::wait(self.failures - 1) } else { Duration::ZERO })
    }

    async fn settle(&self, verdicts: Vec<(Due, Verdict)>, now: UnixSeconds) -> anyhow::Result<()> {
        self.at_disk(move |outbox, relay| {
            let mut settled = verdicts.into_iter();
            Ok(settled.try_for_each(|(due, verdict)| outbox.settle(relay, &due, verdict, now))?)
        })
        .await
    }

    async fn at_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Outbox, &str) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let (outbox, relay) = (self.outbox.clone(), self.relay.to_string());
        spawn_blocking(move || work(&outbox, &relay)).await.context("work on a thread")?
    }

    /// Sends events and takes the answers. Returns what was answered, and what went wrong if something did.
    async fn send(&self, line: &mut Line, due: &[Due]) -> (Vec<(Due, Verdict)>, Option<anyhow::Error>) {
        let mut answered = Vec::new();
        let trouble = self.exchange(line, due, &mut answered).await.err();
        let trouble = match trouble {
            None => self.look_again(line, &mut answered).await.err(),
            some => some,
        };
        // Whoever closes politely loses nothing; what does not answer is dropped.
        drop(timeout(Duration::from_secs(1), line.close(None)).await);
        (answered, trouble)
    }

    async fn exchange(
        &self,
        line: &mut Line,
        due: &[Due],
        answered: &mut Vec<(Due, Verdict)>,
    ) -> anyhow::Result<()> {
        for one in due {
            line::say(line, one.frame.clone()).await?;
        }
        let mut frames = 0;
        while answered.len() < due.len() {
            frames += 1;
            anyhow::ensure!(frames < FRAMES_MAX, "the relay says much and answers little");
            match self.hear(line).await? {
                Answer::Ok(id, verdict) => {
                    let known = |it: &(Due, Verdict)| it.0.id == id;
                    if let Some(one) =
                        due.iter().find(|it| it.id == id).filter(|_| !answered.iter().any(known))
                    {
                        answered.push((one.clone(), verdict));
                    }
                }
                Answer::Notice(text) => tracing::info!("{} says: {text}", self.relay),
                Answer::Auth(_) | Answer::Event(_) | Answer::Eose | Answer::Other => {}
            }
        }
        Ok(())
    }

    /// Asks for what the relay said to have. What it does not show, it does not have.
    async fn look_again(&self, line: &mut Line, answered: &mut Vec<(Due, Verdict)>) -> anyhow::Result<()> {
        let taken =
            answered.iter().filter(|it| it.1 == Verdict::Taken).map(|it| it.0.clone()).collect::<Vec<_>>();
        if taken.is_empty() {
            return Ok(());
        }
        let ids = taken.iter().map(|it| it.id).collect::<Vec<_>>();
        line::say(line, json!(["REQ", CHECK, { "ids": ids, "limit": ids.len() }]).to_string()).await?;
        let mut shown = BTreeSet::new();
        for _ in 0..FRAMES_MAX {
            match self.hear(line).await? {
                Answer::Event(id) => drop(shown.insert(id)),
                Answer::Eose => {
                    let hidden = taken.into_iter().filter(|it| !shown.contains(&it.id));
                    let lies = hidden.map(|it| {
                        (it, Verdict::Lied("it said to have the event, and does not show it".to_owned()))
                    });
                    answered.extend(lies.collect::<Vec<_>>());
                    return Ok(());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Hears the next frame. A relay that asks who we are is told at once.
    async fn hear(&self, line: &mut Line) -> anyhow::Result<Answer> {
        loop {
            let Ok(heard) = timeout(PATIENCE, line.next()).await else {
                bail!("no answer within {} s", PATIENCE.as_secs());
            };
            let Some(text) = line::text(heard)? else { continue };
            let answer = Answer::parse(text.as_str());
            if let Answer::Auth(challenge) = &answer {
                line::say(line, line::auth(&self.ledger, &self.relay, challenge)).await?;
            }
            return Ok(answer);
        }
    }
}
