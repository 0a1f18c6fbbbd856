//! Following: what other logs take in is taken in here too.
//!
//! - Who showed an event counts for nothing: it comes in by the same door as one that is published here.
//! - A relay is asked for all that it has, a page at a time from the newest on, and then heard for what comes. How far
//!   it was heard is on disk: a connection that broke, or a start, goes on some time before that. What is known already is
//!   passed over.
//! - What was signed long before it came to the relay, while nobody here listened, escapes such a look. So a relay that
//!   was left alone in between is asked for everything again within a week.
//! - Bounded: one page and a few events at a time. A relay that tells more than the log can write has to wait.

mod frame;
mod pages;
mod standing;

use std::{convert::Infallible, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use base::{Clock as _, SystemClock, UnixSeconds};
use futures_util::{SinkExt as _, StreamExt as _, TryStreamExt as _, stream};
use ledger::{AppendError, Filter, Heard, Inbox, Outcome, Query, Refusal, outbox};
use serde_json::json;
use tokio::{
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tokio_tungstenite::tungstenite::Message;
use url::Url;

pub(crate) use self::standing::{Followed, Following, Stands};
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
/// How far to go back after a start.
const OVERLAP_OF_START: Duration = Duration::from_hours(24);
/// How long after the last look at everything a relay that was left alone since is looked at so again.
const SWEEP_AFTER: Duration = Duration::from_hours(7 * 24);
/// How often it is written down how far a relay was heard.
const NOTE_EVERY: Duration = Duration::from_secs(30);
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
            inward.change(|it| {
                it.stands = Stands::Waits;
                it.next = Some(SystemClock.now().after(pause));
                it.why = Some(format!("{error:#}"));
            });
            if let Err(error) = inward.note().await {
                tracing::error!("How far {} was heard could not be written: {error:#}", inward.relay);
            }
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
    /// How far it was heard, if it ever was to the end; what is on disk may be a little older.
    heard: Option<Heard>,
    /// Whether that was read from disk, or written there, and when.
    noted_at: Option<UnixSeconds>,
    overlap: Duration,
    is_caught_up: bool,
}

impl Inward {
    fn new(ledger: Ledger, relay: Url) -> Self {
        let overlap = OVERLAP_OF_START;
        Self { ledger, relay, heard: None, noted_at: None, overlap, is_caught_up: false }
    }

    /// Listens until the connection breaks.
    async fn listen(&mut self) -> anyhow::Result<Infallible> {
        self.recall().await?;
        let mut line = line::connect(&self.relay).await?;
        self.change(|it| (it.stands, it.next, it.why) = (Stands::CatchesUp, None, None));
        // One event that is there already does no harm; some relays take 0 for everything.
        line::say(&mut line, json!(["REQ", NEW, { "limit": 1 }]).to_string()).await?;
        let now = SystemClock.now();
        let known = self.heard.filter(|it| now.since(it.swept_at) < SWEEP_AFTER);
        let mut swept = self.look(&mut line, known).await?;
        (self.is_caught_up, self.overlap) = (true, OVERLAP);
        tracing::info!("{} is followed", self.relay);
        loop {
            self.change(|it| it.stands = Stands::Follows);
            let until_sweep =
                swept.map_or(Duration::MAX, |it| SWEEP_AFTER.saturating_sub(SystemClock.now().since(it)));
            match timeout(until_sweep.min(SWEEP_AFTER), self.hear(&mut line)).await {
                Ok(heard) => match heard? {
                    Frame::Event { shown, .. } => self.take(shown).await?,
                    Frame::Closed { subscription, why } if subscription == NEW => {
                        bail!("the relay ended the subscription: {why}")
                    }
                    _ => {}
                },
                Err(_) if swept.is_some() => swept = self.look(&mut line, None).await?,
                Err(_) => {}
            }
            let now = SystemClock.now();
            // As long as nothing escapes, all that came is here, whatever its date.
            let swept_at = swept.unwrap_or(now);
            self.advance(Heard { until: now, swept_at });
            if self.noted_at.is_none_or(|it| now.since(it) >= NOTE_EVERY) {
                self.note().await?;
            }
        }
    }

    /// Takes in what the relay has: all of it, or what may have come since it was heard. Returns since when something
    /// may have escaped, if something may.
    async fn look(&mut self, line: &mut Line, known: Option<Heard>) -> anyhow::Result<Option<UnixSeconds>> {
        let begun = SystemClock.now();
        self.catch_up(line, known.map(|it| it.until.before(self.overlap))).await?;
        let swept = known.map(|it| it.swept_at);
        self.advance(Heard { until: begun, swept_at: swept.unwrap_or(begun) });
        self.note().await?;
        Ok(swept)
    }

    /// Reads how far the relay was heard before the start.
    async fn recall(&mut self) -> anyhow::Result<()> {
        if self.heard.is_none() {
            let relay = self.relay.to_string();
            let heard = self.ledger.read(move |it| Inbox::new(Arc::clone(it.log())).heard(&relay)).await?;
            if let Some(heard) = heard {
                self.advance(heard);
            }
        }
        Ok(())
    }

    fn advance(&mut self, heard: Heard) {
        self.heard = Some(heard);
        self.change(|it| it.heard_until = Some(heard.until));
    }

    /// Writes down how far the relay was heard.
    async fn note(&mut self) -> anyhow::Result<()> {
        let Some(heard) = self.heard else { return Ok(()) };
        let (inbox, relay) = (Inbox::new(Arc::clone(self.ledger.log())), self.relay.to_string());
        let written = spawn_blocking(move || inbox.note(&relay, heard)).await.context("work on a thread")?;
        written.context("write down how far it was heard")?;
        self.noted_at = Some(SystemClock.now());
        Ok(())
    }

    fn change(&self, change: impl FnOnce(&mut Following)) {
        self.ledger.followed().change(self.relay.as_str(), change);
    }

    /// Takes in what the relay has since some time, from the newest on.
    async fn catch_up(&self, line: &mut Line, since: Option<UnixSeconds>) -> anyhow::Result<()> {
        let mut pages = Pages::since(since);
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
                    self.ledger.metrics().followed_event(self.relay.as_str(), "taken");
                    self.change(|it| (it.taken, it.last) = (it.taken + 1, Some(SystemClock.now())));
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
            self.ledger.metrics().followed_event(self.relay.as_str(), "refused");
            self.change(|it| it.refused += 1);
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
