//! Following: what other logs take in is taken in here too.
//!
//! - Who showed an event counts for nothing: it comes in by the same door as one that is published here.
//! - Each start asks a relay for all that it has, a page at a time from the newest on, and then hears what comes.
//!   A connection that broke goes on a little before where it was. What is known already is passed over.
//! - Bounded: one page and a few events at a time. A relay that tells more than the log can write has to wait.

mod frame;
mod pages;

use std::{
    convert::Infallible,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Context as _, bail};
use base::{Clock as _, SystemClock, UnixSeconds};
use futures_util::{SinkExt as _, StreamExt as _, TryStreamExt as _, stream};
use ledger::{AppendError, Filter, Outcome, Query, Refusal, outbox};
use serde_json::json;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use url::Url;

use self::{
    frame::{Frame, Shown},
    pages::Pages,
};
use super::{
    Ledger, PublishError,
    onward::line::{self, Line, PATIENCE},
};

/// The names of the subscriptions: to what comes, and to what was there before.
const NEW: &str = "hallmark-new";
const PAST: &str = "hallmark-past";
/// How many events to ask for at once, and how many to take before that is too much.
const PAGE: usize = 500;
const PAGE_MAX: usize = 5000;
/// How many pages one relay may have: ten million events.
const PAGES_MAX: usize = 20_000;
/// How many events of a page are checked and written at once.
const AT_ONCE: usize = 16;
/// How far to go back after a connection broke: dates of events are their authors', and clocks differ.
const OVERLAP: Duration = Duration::from_hours(1);
/// After so long a silence the relay is asked whether it is still there.
const SILENCE_MAX: Duration = Duration::from_mins(2);
/// How long to leave a relay alone at most that cannot be followed.
const WAIT_MAX: Duration = Duration::from_mins(5);

/// Takes in what a relay shows, until the stop.
pub(super) async fn follow(ledger: Ledger, relay: Url) {
    let stop = ledger.stop().clone();
    let mut inward = Inward::new(ledger, relay);
    let work = async {
        let mut failures = 0;
        loop {
            inward.is_caught_up = false;
            let Err(error) = inward.listen().await;
            failures = if inward.is_caught_up { 0 } else { failures };
            let pause = outbox::wait(failures).min(WAIT_MAX);
            failures += 1;
            let seconds = pause.as_secs();
            tracing::warn!("{} is followed again in {seconds} s: {error:#}", inward.relay);
            sleep(pause).await;
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = work => {}
    }
}

struct Inward {
    ledger: Ledger,
    relay: Url,
    /// Until when all is here that the relay had, if it was ever heard to the end.
    heard_until: Option<UnixSeconds>,
    is_caught_up: bool,
    taken: AtomicU64,
    refused: AtomicU64,
}

impl Inward {
    fn new(ledger: Ledger, relay: Url) -> Self {
        let (taken, refused) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { ledger, relay, heard_until: None, is_caught_up: false, taken, refused }
    }

    /// Listens until the connection breaks.
    async fn listen(&mut self) -> anyhow::Result<Infallible> {
        let mut line = line::connect(&self.relay).await?;
        // One event that is there already does no harm; some relays take 0 for everything.
        line::say(&mut line, json!(["REQ", NEW, { "limit": 1 }]).to_string()).await?;
        let begun = SystemClock.now();
        self.catch_up(&mut line).await?;
        (self.heard_until, self.is_caught_up) = (Some(begun), true);
        let (taken, refused) = (self.taken.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed));
        tracing::info!("{} is followed: {taken} events taken in so far, {refused} refused", self.relay);
        loop {
            match self.hear(&mut line).await? {
                Frame::Event { shown, .. } => self.take(shown).await?,
                Frame::Closed { subscription, why } if subscription == NEW => {
                    bail!("the relay ended the subscription: {why}")
                }
                _ => {}
            }
            self.heard_until = Some(SystemClock.now());
        }
    }

    /// Takes in what the relay has, from the newest on.
    async fn catch_up(&self, line: &mut Line) -> anyhow::Result<()> {
        let mut pages = Pages::since(self.heard_until.map(|it| it.before(OVERLAP)));
        for _ in 0..PAGES_MAX {
            let page = self.page(line, &pages).await?;
            let is_last = !pages.turn(page.iter().map(|it| it.created_at));
            // What rests on something comes after it.
            let oldest_first = page.into_iter().rev();
            let work = stream::iter(oldest_first.map(|it| self.take(it))).buffered(AT_ONCE);
            work.try_collect::<()>().await?;
            if is_last {
                return Ok(());
            }
        }
        bail!("it has more than {PAGES_MAX} pages of events; only the newest were taken in")
    }

    /// Asks for one page.
    async fn page(&self, line: &mut Line, pages: &Pages) -> anyhow::Result<Vec<Shown>> {
        line::say(line, json!(["REQ", PAST, pages.filter(PAGE)]).to_string()).await?;
        let mut page = Vec::new();
        loop {
            match self.hear(line).await? {
                Frame::Event { subscription, shown } if subscription == PAST => {
                    page.push(shown);
                    anyhow::ensure!(page.len() <= PAGE_MAX, "it shows far more than it was asked for");
                }
                Frame::Event { shown, .. } => self.take(shown).await?,
                Frame::Eose { subscription } if subscription == PAST => break,
                Frame::Closed { why, .. } => bail!("the relay does not show what it has: {why}"),
                Frame::Eose { .. } | Frame::Auth { .. } | Frame::Other => {}
            }
        }
        line::say(line, json!(["CLOSE", PAST]).to_string()).await?;
        Ok(page)
    }

    /// Takes one event in, unless it is here.
    async fn take(&self, shown: Shown) -> anyhow::Result<()> {
        let query = Query { filter: Filter::default().id(shown.id).limit(1), size: None, after: None };
        if !self.ledger.read(move |it| it.log().query(&query)).await?.is_empty() {
            return Ok(());
        }
        loop {
            let why = match self.ledger.publish(shown.json.clone()).await {
                Ok(Outcome::Duplicate(_)) => return Ok(()),
                Ok(Outcome::Accepted(_)) => {
                    self.taken.fetch_add(1, Ordering::Relaxed);
                    return Ok(());
                }
                // What the lineage graph has to look at waits until that has been read.
                Ok(Outcome::Refused(Refusal::NotYet(_))) | Err(PublishError::Append(AppendError::Busy)) => {
                    sleep(Duration::from_secs(1)).await;
                    continue;
                }
                Ok(Outcome::Refused(refusal)) => anyhow::Error::from(refusal),
                Err(PublishError::Claim(error)) => anyhow::Error::from(error),
                Err(PublishError::Append(error)) => return Err(error).context("take an event in"),
            };
            self.refused.fetch_add(1, Ordering::Relaxed);
            tracing::debug!("{} shows {}, which is not let in: {why:#}", self.relay, shown.id);
            return Ok(());
        }
    }

    /// Hears the next frame. A relay that asks who we are is told; one that is silent is asked whether it is there.
    async fn hear(&self, line: &mut Line) -> anyhow::Result<Frame> {
        let mut is_asked = false;
        loop {
            let patience = if is_asked { PATIENCE } else { SILENCE_MAX };
            let Ok(heard) = timeout(patience, line.next()).await else {
                anyhow::ensure!(!is_asked, "the relay has fallen silent");
                line.send(Message::Ping("still there?".into())).await.context("send")?;
                is_asked = true;
                continue;
            };
            is_asked = false;
            let Some(text) = line::text(heard)? else { continue };
            let frame = Frame::parse(text.as_str());
            if let Frame::Auth { challenge } = &frame {
                line::say(line, line::auth(&self.ledger, &self.relay, challenge)).await?;
            }
            return Ok(frame);
        }
    }
}
